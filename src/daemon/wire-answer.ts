/** One answer of the compatible listener before it is framed; Date, Content-Length and Connection come later. */
export type Answer = {
  readonly status: number
  /** Words after the status; the usual ones when absent. */
  readonly reason?: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string
  /** The connection is of no further use. */
  readonly closes?: true
}

/** An error as the reference writes it: the message and a line feed, in plain text. */
export function textAnswer(status: number, message: string, extra: Answer['headers'] = []): Answer {
  const headers: Answer['headers'] = [
    ['Content-Type', 'text/plain; charset=utf-8'],
    ...extra,
    ['X-Content-Type-Options', 'nosniff'],
  ]
  return { status, headers, body: `${message}\n` }
}

/** A success: a JSON object and a line feed. */
export function jsonAnswer(json: string): Answer {
  return { status: 200, headers: [['Content-Type', 'application/json']], body: `${json}\n` }
}

/** An answer to what is no proper HTTP request: no line feed, and the connection ends. */
export function protocolAnswer(status: number, reason: string, body?: string): Answer {
  return {
    status,
    reason,
    headers: [['Content-Type', 'text/plain; charset=utf-8']],
    body: body ?? `${status} ${reason}`,
    closes: true,
  }
}

export const unsupportedVersion: Answer = protocolAnswer(
  505,
  'HTTP Version Not Supported: unsupported protocol version',
)
export const health: Answer = { ...jsonAnswer(''), body: '{"status":"ok"}' }
export const malformedBody: Answer = textAnswer(400, 'malformed request body')
export const notFound: Answer = textAnswer(404, '404 page not found')
export const rateLimited: Answer = textAnswer(429, 'rate limit exceeded')
export const idMismatch: Answer = textAnswer(400, 'requestId in body does not match path')
export const cannotIssue: Answer = textAnswer(
  501,
  'covenant signer engine does not support signer approval certificate issuance',
)

/** 405 with the methods that the path accepts. */
export function wrongMethod(allow: string, message: string): Answer {
  return textAnswer(405, message, [['Allow', allow]])
}

/** 401; `message` says whether there was no token or another one. */
export function unauthorized(message: string): Answer {
  return textAnswer(401, message, [['WWW-Authenticate', 'Bearer']])
}
