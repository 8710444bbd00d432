import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { HoldfastError } from '../base/errors.js'

/** Where a listener listens. */
export type ListenAddress = { readonly host: string; readonly port: number }

/** Binds a server to a port; port 0 lets the system choose one. @throws ListenFailed */
export async function listen(server: Server, host: string, port: number): Promise<ListenAddress> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host, port }, () => {
        server.off('error', reject)
        resolve()
      })
    })
  } catch (cause) {
    throw new ListenFailed(host, port, cause)
  }
  const { address, port: bound } = server.address() as AddressInfo // listening on TCP, so never a path
  return { host: address, port: bound }
}

/** A port could not be bound. */
export class ListenFailed extends HoldfastError {
  readonly code = 'ListenFailed'
  constructor(host: string, port: number, cause: unknown) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown'
    super(`listener: cannot listen on ${host} port ${port} (${why})`, {
      retry: 'after-fix',
      remedy: 'Choose a free port from 1 to 65535 and an address of this machine.',
      cause,
    })
  }
}
