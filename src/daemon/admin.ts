import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { isLoopback, listenHost } from '../base/loopback.js'
import { type AdminDeps, createAdminServer, type Gate } from './admin-server.js'
import { requireBearer } from './bearer.js'
import { type ListenAddress, ListenFailed } from './listen.js'

/** The listener for operators. */
export interface AdminListener {
  readonly address: ListenAddress
  /** Opens what is behind the token; before, and when it was given up, all of it is 503. */
  admit(token: string): void
  /** Closes what is behind the token, and waits a bounded time for the calls that are being answered. */
  giveUp(): Promise<void>
  close(): Promise<void>
}

/** Milliseconds. */
const times = {
  /** For calls that are being answered when what they need is closed. */
  drain: 5000,
  /** For open connections when the listener closes. */
  shutdown: 1000,
} as const

/**
 * Opens the listener for operators; it answers from now on, and says 503 to what is not open yet.
 *
 * @throws ListenFailed
 */
export async function openAdminListener(deps: AdminDeps): Promise<AdminListener> {
  const { settings, status, log } = deps
  const stop = new AbortController()
  const gate: Gate = { check: undefined, running: new Set() }
  const server = await createAdminServer(deps, stop.signal, gate)
  const host = listenHost(settings.listenAddress)
  try {
    await server.listen({ host, port: settings.port })
  } catch (cause) {
    await server.close()
    throw new ListenFailed(host, settings.port, cause)
  }
  const { address: at, port } = server.server.address() as AddressInfo // listening on TCP, so never a path
  const address = { host: at, port }
  status.listensOn(address)
  log.info({ ...address }, 'admin endpoint enabled')
  if (!isLoopback(host)) {
    log.warn(
      { host },
      'admin endpoint: other machines can reach it, and what it says is not encrypted',
    )
  }
  let closing: Promise<void> | undefined
  return {
    address,
    admit(token) {
      gate.check = requireBearer(token)
    },
    async giveUp() {
      gate.check = undefined
      stop.abort(new RangeError('admin listener: the daemon stops'))
      await withinMs(Promise.allSettled([...gate.running]), times.drain)
    },
    close() {
      closing ??= closeServer(server)
      return closing
    },
  }
}

async function closeServer(server: FastifyInstance): Promise<void> {
  const timer = setTimeout(() => server.server.closeAllConnections(), times.shutdown)
  try {
    await server.close()
  } finally {
    clearTimeout(timer)
  }
}

/** Waits for work, but no longer than this. */
async function withinMs(work: Promise<unknown>, limitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const timeUp = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs)
  })
  await Promise.race([work, timeUp])
  clearTimeout(timer)
}
