import {
  createServer,
  type IncomingMessage,
  request as requestOf,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'

/** How a call fails at once. */
type WrongAnswer =
  /** Takes the request and never answers. */
  | { readonly kind: 'hang' }
  | { readonly kind: 'status'; readonly status: number; readonly body?: string }
  /** Ends the connection without an answer. */
  | { readonly kind: 'reset' }
  | { readonly kind: 'rpc-error'; readonly code: number; readonly message: string }
  /** Status 200 and something that is no JSON. */
  | { readonly kind: 'html' }
  /** Status 200 and the first half of the right answer. */
  | { readonly kind: 'half-json' }
  /** The right form with another result. */
  | { readonly kind: 'result'; readonly result: unknown }
  /** Status 200 and these bytes, whatever they are. */
  | { readonly kind: 'body'; readonly body: string }

/** How a call fails; `delay` gives the right answer, later. */
export type HttpFault = WrongAnswer | { readonly kind: 'delay'; readonly delayMs: number }

/** Which calls a fault concerns; what is left out matches all. */
export type CallMatch = {
  readonly method?: string
  /** Address that an `eth_call` goes to. */
  readonly to?: string
  /** First four bytes of an `eth_call`'s data, or more of it. */
  readonly data?: string
}

/** A JSON-RPC call that came by. */
export type SeenCall = { readonly method: string; readonly params: readonly unknown[] }

export type FaultProxy = {
  readonly url: string
  /** Every call since the start or the last `forget`. */
  readonly seen: readonly SeenCall[]
  /** Makes the calls fail; the newest fault that matches a call wins. */
  fail(match: CallMatch, fault: HttpFault): void
  /** Passes every call on again. */
  heal(): void
  forget(): void
  stop(): Promise<void>
}

type Call = SeenCall & { readonly id: unknown }

const bodyBytesMax = 1024 * 1024

/** Starts an HTTP proxy on loopback that fails chosen JSON-RPC calls and passes the others on to `upstream`. */
export async function startFaultProxy(upstream: string): Promise<FaultProxy> {
  const faults: { readonly match: CallMatch; readonly fault: HttpFault }[] = []
  const seen: SeenCall[] = []
  const timers = new Set<NodeJS.Timeout>()

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readAll(request)
    const call = parseCall(body)
    seen.push({ method: call.method, params: call.params })
    const fault = faults.findLast(({ match }) => matches(match, call))?.fault
    if (fault?.kind === 'delay') {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, fault.delayMs)
        timers.add(timer)
      })
    }
    if (fault === undefined || fault.kind === 'delay') {
      return end(response, 200, await forward(upstream, body))
    }
    await fail(fault, call, response, () => forward(upstream, body))
  }

  const server = createServer((request, response) => {
    // The upstream went away, or the client did: either way nobody can be answered any more.
    serve(request, response).catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    seen,
    fail: (match, fault) => void faults.push({ match, fault }),
    heal: () => void faults.splice(0),
    forget: () => void seen.splice(0),
    stop: () =>
      new Promise((resolve) => {
        for (const timer of timers) clearTimeout(timer)
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function matches({ method, to, data }: CallMatch, call: Call): boolean {
  if (method !== undefined && method !== call.method) return false
  if (to === undefined && data === undefined) return true
  if (call.method !== 'eth_call') return false
  const [target] = call.params as readonly { readonly to?: string; readonly data?: string }[]
  const starts = (whole: string | undefined, part: string): boolean =>
    whole?.toLowerCase().startsWith(part.toLowerCase()) ?? false
  return (
    (to === undefined || starts(target?.to, to)) &&
    (data === undefined || starts(target?.data, data))
  )
}

async function fail(
  fault: WrongAnswer,
  { id }: Call,
  response: ServerResponse,
  answer: () => Promise<string>,
): Promise<void> {
  switch (fault.kind) {
    case 'hang':
      return
    case 'reset':
      response.socket?.resetAndDestroy()
      return
    case 'status':
      return end(response, fault.status, fault.body ?? 'no')
    case 'rpc-error': {
      const { code, message } = fault
      return end(response, 200, JSON.stringify({ jsonrpc: '2.0', id, error: { code, message } }))
    }
    case 'html':
      return end(response, 200, '<html><body>Welcome</body></html>', 'text/html')
    case 'half-json': {
      const whole = await answer()
      return end(response, 200, whole.slice(0, whole.length / 2))
    }
    case 'result':
      return end(response, 200, JSON.stringify({ jsonrpc: '2.0', id, result: fault.result }))
    case 'body':
      return end(response, 200, fault.body)
  }
}

function end(
  response: ServerResponse,
  status: number,
  body: string,
  type = 'application/json',
): void {
  response.writeHead(status, { 'content-type': type }).end(body)
}

async function readAll(stream: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of stream) {
    size += part.length
    if (size > bodyBytesMax) throw new RangeError('fault proxy: the body is too large')
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

function parseCall(body: string): Call {
  const { id, method, params = [] } = JSON.parse(body) as Partial<Call>
  return { id, method: method ?? '', params }
}

function forward(upstream: string, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' }
    const request = requestOf(upstream, { method: 'POST', headers, agent: false }, (response) => {
      readAll(response).then(resolve, reject)
    })
    request.on('error', reject).end(body)
  })
}
