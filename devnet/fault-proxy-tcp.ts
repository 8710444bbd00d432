import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** What the proxy does to everything that comes after, on open connections as well. */
export type TcpFault =
  | { readonly kind: 'none' }
  /** Takes requests and never answers. */
  | { readonly kind: 'hang' }
  /** Ends a connection with a reset as soon as a request comes. */
  | { readonly kind: 'reset' }
  /** Ends a new connection at once. */
  | { readonly kind: 'refuse' }
  | { readonly kind: 'delay'; readonly ms: number }
  /** Passes so many bytes of the answers and then closes. */
  | { readonly kind: 'truncate'; readonly bytes: number }
  /** Turns one bit of this byte of the answers, counted from now on and over all connections. */
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  /** Writes `to` instead of `from` in requests, so that the server answers another question. */
  | { readonly kind: 'ask'; readonly from: string; readonly to: string }
  /** Writes `to` instead of `from` in answers; both have the same length. */
  | { readonly kind: 'say'; readonly from: string; readonly to: string }

export type TcpFaultProxy = {
  readonly port: number
  set(fault: TcpFault): void
  /** Bytes of answers that passed since the fault was set. */
  passedBytes(): number
  stop(): Promise<void>
}

const host = '127.0.0.1'

/** Stands between clients and a server on loopback and does to their bytes what it is told. */
export async function startTcpFaultProxy(serverPort: number): Promise<TcpFaultProxy> {
  let fault: TcpFault = { kind: 'none' }
  let passed = 0
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    if (fault.kind === 'refuse') {
      client.resetAndDestroy()
      return
    }
    const upstream = connect(serverPort, host)
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
    }
    client.on('data', (chunk: Buffer) => {
      if (fault.kind === 'reset') client.resetAndDestroy()
      else upstream.write(fault.kind === 'ask' ? exchanged(chunk, fault) : chunk)
    })
    upstream.on('data', (chunk: Buffer) => {
      const before = passed
      passed += chunk.length
      answer(client, chunk, fault, before)
    })
  })
  server.listen(0, host)
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    set: (next) => {
      fault = next
      passed = 0
    },
    passedBytes: () => passed,
    stop: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

function answer(client: Socket, chunk: Buffer, fault: TcpFault, before: number): void {
  switch (fault.kind) {
    case 'hang':
    case 'reset':
    case 'refuse':
      return
    case 'delay':
      setTimeout(() => {
        if (client.writable) client.write(chunk)
      }, fault.ms)
      return
    case 'truncate':
      if (before + chunk.length < fault.bytes) client.write(chunk)
      else client.end(chunk.subarray(0, Math.max(0, fault.bytes - before)))
      return
    case 'flip': {
      const changed = Buffer.from(chunk)
      const at = fault.at - before
      if (at >= 0 && at < changed.length) changed[at] = (changed[at] ?? 0) ^ (1 << fault.bit)
      client.write(changed)
      return
    }
    case 'say':
      client.write(exchanged(chunk, fault))
      return
    case 'none':
    case 'ask':
      client.write(chunk)
  }
}

function exchanged(chunk: Buffer, { from, to }: { from: string; to: string }): Buffer {
  return Buffer.from(chunk.toString('latin1').replaceAll(from, to), 'latin1')
}
