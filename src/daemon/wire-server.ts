import { createServer, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { compatibleConnectionsMax, compatibleHeaderBytesMax } from '../base/limits.js'
import type { Call } from './compatible-calls.js'
import { createConnections } from './connections.js'
import { runExchange } from './exchange.js'
import { type ListenAddress, listen } from './listen.js'
import type { Answer } from './wire-answer.js'

/** Limits of time, in milliseconds; the defaults are those of the covenant signer's contract. */
export type WireTimes = {
  /** From a connection's or a request's first byte to the end of its headers; default 5000. */
  readonly headersMs: number
  /** From a request's first byte to its last; default 30 000. */
  readonly requestMs: number
  /** From the last byte of a request to the last of its answer; default 30 000. */
  readonly responseMs: number
  /** Between an answer and the next request; default 60 000. */
  readonly idleMs: number
  /** For open connections when the listener closes; default 5000. */
  readonly shutdownMs: number
  /** For a client to read why its connection is closed while it still sends; default 500. */
  readonly lingerMs: number
  /** For a poll whose client has closed its half of the connection, and may be gone; default 1000. */
  readonly halfClosedMs: number
}

export const usualWireTimes: WireTimes = {
  headersMs: 5000,
  requestMs: 30_000,
  responseMs: 30_000,
  idleMs: 60_000,
  shutdownMs: 5000,
  lingerMs: 500,
  halfClosedMs: 1000,
}

export type WireServerDeps = {
  /** Must not reject. */
  readonly answer: (call: Call) => Promise<Answer>
  /** Whether connections are to end with their answer. */
  readonly isClosing: () => boolean
  readonly times: WireTimes
  readonly onRefused: (connectionsMax: number) => void
}

/** An HTTP server that frames answers as the reference's runtime does. */
export interface WireServer {
  /** @throws ListenFailed */
  listen(host: string, port: number): Promise<ListenAddress>
  /** Takes no more connections and waits for open ones, at most `shutdownMs` or until the signal fires. */
  close(signal: AbortSignal | undefined): Promise<void>
  load(): WireLoad
}

/** What a server is busy with now. */
export type WireLoad = {
  readonly connections: number
  /** Requests that have not been answered. */
  readonly requests: number
  /** Milliseconds since the oldest of them came; 0 without any. */
  readonly slowestMs: number
}

/**
 * Makes a server on the runtime's bare HTTP module.
 *
 * @remarks A framework would add answers of its own for unknown methods, bodies, paths and errors, and the contract
 * leaves it nothing to decide.
 */
export function openWireServer(deps: WireServerDeps): WireServer {
  const server = createBareServer(deps.times)
  const sockets = trackSockets(server)
  const openedMs = trackRequests(server)
  answerWith(server, deps)
  server.on('drop', () => deps.onRefused(compatibleConnectionsMax))
  return {
    listen: (host, port) => listen(server, host, port),
    close: (signal) => closeServer(server, sockets, deps.times.shutdownMs, signal),
    load() {
      // The oldest stands first.
      const [oldestMs] = openedMs.values()
      const slowestMs = oldestMs === undefined ? 0 : Math.round(performance.now() - oldestMs)
      return { connections: sockets.size, requests: openedMs.size, slowestMs }
    },
  }
}

/** When each request that is not yet answered came, the oldest first. */
function trackRequests(server: Server): ReadonlyMap<object, number> {
  const openedMs = new Map<object, number>()
  for (const event of ['request', 'checkContinue', 'checkExpectation'] as const) {
    server.on(event, (_, response) => {
      openedMs.set(response, performance.now())
      response.once('close', () => openedMs.delete(response))
    })
  }
  return openedMs
}

function createBareServer(times: WireTimes): Server {
  const server = createServer({
    maxHeaderSize: compatibleHeaderBytesMax,
    headersTimeout: Math.min(times.headersMs, times.requestMs),
    requestTimeout: times.requestMs,
    keepAliveTimeout: times.idleMs,
    connectionsCheckingInterval: Math.max(10, Math.min(500, times.headersMs / 8)),
    keepAlive: true,
    // The answer to a request without Host is the reference's, so that it is given elsewhere.
    requireHostHeader: false,
  })
  // Headers that exceed a number would be dropped in silence; their bytes are limited.
  server.maxHeadersCount = 0
  server.maxConnections = compatibleConnectionsMax
  // A client may close its half of the connection as soon as it has asked (not in the type, but in the runtime).
  Object.assign(server, { httpAllowHalfOpen: true })
  return server
}

function answerWith(server: Server, deps: WireServerDeps): void {
  const { answer, isClosing, times } = deps
  const { responseMs, lingerMs, halfClosedMs } = times
  const connections = createConnections(lingerMs, isClosing)
  // Each of the three events brings a request; what its Expect header asks for is looked at in the exchange.
  for (const event of ['request', 'checkContinue', 'checkExpectation'] as const) {
    server.on(event, (request, response) => {
      connections.take(request, response, () => {
        const connection = connections.of(request.socket)
        const settings = { responseMs, lingerMs, halfClosedMs, isClosing }
        // A client is not to be left hanging, whatever went wrong in answering.
        runExchange(request, response, connection, answer, settings).catch(() =>
          request.socket.destroy(),
        )
      })
    })
  }
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // A server on TCP has no other kind of stream.
    connections.breakOff(socket as Socket, lastWordsFor(error.code ?? ''))
  })
}

/** What the reference's runtime writes to a client whose bytes are no request; nothing to one that is slow or gone. */
function lastWordsFor(code: string): string {
  if (!code.startsWith('HPE_') || code === 'HPE_CLOSED_CONNECTION') return ''
  const status =
    code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : code === 'HPE_INVALID_VERSION'
        ? '505 HTTP Version Not Supported: unsupported protocol version'
        : '400 Bad Request'
  const headers = 'Content-Type: text/plain; charset=utf-8\r\nConnection: close'
  return `HTTP/1.1 ${status}\r\n${headers}\r\n\r\n${status}`
}

function trackSockets(server: Server): ReadonlySet<Socket> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  return sockets
}

async function closeServer(
  server: Server,
  sockets: ReadonlySet<Socket>,
  shutdownMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const destroyAll = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
  const timer = setTimeout(destroyAll, shutdownMs)
  if (signal?.aborted) destroyAll()
  signal?.addEventListener('abort', destroyAll, { once: true })
  try {
    await closed
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', destroyAll)
  }
}
