import type { IncomingMessage, ServerResponse } from 'node:http'
import { hasBody, leavesTooMuch, readBody } from './body.js'
import type { Call } from './compatible-calls.js'
import type { Connection } from './connections.js'
import { type Answer, protocolAnswer, unsupportedVersion } from './wire-answer.js'

export type ExchangeSettings = {
  /** How long an answer may take from the moment that its request is read. */
  readonly responseMs: number
  /** How long a connection is kept whose client still sends what nobody reads. */
  readonly lingerMs: number
  /** How long a client that has closed its half of the connection counts as waiting. */
  readonly halfClosedMs: number
  /** Whether connections are to end with their answer. */
  readonly isClosing: () => boolean
}

/** Answers one request on its connection; resolves when the answer has been handed over or nobody is there for it. */
export async function runExchange(
  request: IncomingMessage,
  response: ServerResponse,
  connection: Connection,
  answer: (call: Call) => Promise<Answer>,
  settings: ExchangeSettings,
): Promise<void> {
  const gone = watchClient(request, response, settings.halfClosedMs)
  const slow = (): unknown => request.socket.destroy()
  let timer = setTimeout(slow, settings.responseMs)
  response.once('close', () => clearTimeout(timer))
  const expectsContinue =
    request.headers.expect !== undefined && request.httpVersion === '1.1' && hasBody(request)
  let mayStillSend = expectsContinue
  const call: Call = {
    method: request.method ?? '',
    target: request.url ?? '',
    authorization: request.headers.authorization,
    gone,
    readBody: async () => {
      if (expectsContinue) response.writeContinue()
      mayStillSend = false
      // While the body is read its own limit holds.
      clearTimeout(timer)
      const body = await readBody(request, connection)
      if (!response.destroyed) timer = setTimeout(slow, settings.responseMs)
      return body
    },
  }
  const answered = refuseRequest(request) ?? (await answer(call))
  const closes =
    answered.closes === true ||
    settings.isClosing() ||
    (connection.isBroken && !request.complete) ||
    mayStillSend ||
    leavesTooMuch(request) ||
    (request.socket.readableEnded && connection.waiting === 0)
  send(request, response, answered, closes, settings.lingerMs)
}

/**
 * A signal that fires when the client is gone before it was answered.
 *
 * @remarks One that has closed its half may still wait or may be gone: nothing tells before it is written to.
 */
function watchClient(
  { socket }: IncomingMessage,
  response: ServerResponse,
  halfClosedMs: number,
): AbortSignal {
  const gone = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const halfClosed = (): void => {
    timer = setTimeout(() => gone.abort(), halfClosedMs)
  }
  if (socket.readableEnded) halfClosed()
  else socket.once('end', halfClosed)
  // A client that leaves while it is answered shows as this event too; there is nothing else to do.
  response.on('error', () => undefined)
  response.once('close', () => {
    clearTimeout(timer)
    socket.off('end', halfClosed)
    if (!response.writableFinished) gone.abort()
  })
  return gone.signal
}

/** What the reference's runtime refuses before its handlers see it. */
function refuseRequest(request: IncomingMessage): Answer | undefined {
  const { headers, rawHeaders, httpVersion } = request
  if (httpVersion === '0.9') return protocolAnswer(400, 'Bad Request')
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return unsupportedVersion
  const encoding = headers['transfer-encoding']
  if (encoding !== undefined && encoding.toLowerCase() !== 'chunked') {
    return protocolAnswer(501, 'Not Implemented', 'Unsupported transfer encoding')
  }
  const hosts = rawHeaders.filter((text, i) => i % 2 === 0 && text.toLowerCase() === 'host').length
  if (hosts > 1) return protocolAnswer(400, 'Bad Request')
  if (hosts === 0 && httpVersion === '1.1') {
    return protocolAnswer(400, 'Bad Request: missing required Host header')
  }
  if (headers.expect === undefined || headers.expect.toLowerCase() === '100-continue') return
  return { status: 417, headers: [], body: '', closes: true }
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  closes: boolean,
  lingerMs: number,
): void {
  if (response.destroyed || response.headersSent) return
  // Without this the runtime adds headers of its own.
  response.removeHeader('Connection')
  if (closes) response.shouldKeepAlive = false
  const body = Buffer.from(answer.body)
  const headers = answer.headers.flat().concat('Content-Length', body.length.toString())
  if (!response.shouldKeepAlive) headers.push('Connection', 'close')
  else if (request.httpVersion === '1.0') headers.push('Connection', 'keep-alive')
  if (answer.reason !== undefined) response.statusMessage = answer.reason
  response.writeHead(answer.status, headers)
  const shown = request.method === 'HEAD' ? undefined : body
  if (response.shouldKeepAlive || request.complete) response.end(shown)
  else endAfterBody(request, response, shown, lingerMs)
}

/**
 * Sends an answer while its request is still being sent, and closes when that has ended.
 *
 * @remarks Closing at once would reset the connection, and a reset can take the answer with it.
 */
function endAfterBody(
  request: IncomingMessage,
  response: ServerResponse,
  body: Uint8Array | undefined,
  lingerMs: number,
): void {
  if (body === undefined) response.flushHeaders()
  else response.write(body)
  const end = (): void => {
    clearTimeout(timer)
    if (!response.writableEnded) response.end()
  }
  const timer = setTimeout(end, lingerMs)
  request.once('close', end)
  request.once('error', end)
  request.once('end', end)
  if (request.socket.readableEnded) end()
  else request.resume()
}
