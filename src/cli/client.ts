import { realpathSync } from 'node:fs'
import { type IncomingMessage, type RequestOptions, request } from 'node:http'
import { errnoOf, readBounded } from '../base/durable-file.js'
import { HoldfastError, type Retry } from '../base/errors.js'
import { adminAnswerBytesMax, adminAnswerMs, tokenFileBytesMax } from '../base/limits.js'
import { listenHost } from '../base/loopback.js'
import type { Config } from '../config.js'

/** A JSON object as the daemon sent it. */
export type JsonAnswer = Readonly<Record<string, unknown>>

/** What was answered: `status` is HTTP's. */
export type Answer = { readonly status: number; readonly body: JsonAnswer }

/** The admin listener of a daemon. */
export interface AdminClient {
  /** Asks for a page that anybody may read, whatever its status. @throws DaemonUnreachable */
  read(path: string): Promise<Answer>
  /** Asks for something below `/admin/v1`. @throws DaemonUnreachable, DaemonRefused */
  get(path: string): Promise<JsonAnswer>
  /**
   * Has something done below `/admin/v1`.
   *
   * @param body JSON text
   * @param timeoutMs default one minute
   * @throws DaemonUnreachable, DaemonRefused
   */
  post(path: string, body: string, timeoutMs?: number): Promise<JsonAnswer>
}

const prefix = '/admin/v1'

/**
 * Speaks to the admin listener that the settings name; the token is read with each call that needs it.
 *
 * @param settings.admin where it listens, and where its token is
 */
export function connectAdmin({ admin }: Pick<Config, 'admin'>): AdminClient {
  if (admin.port === 0) throw new DaemonUnreachable('its admin listener is off (admin.port is 0)')
  const host = reachable(listenHost(admin.listenAddress))
  const at: Place = { host, port: admin.port }
  async function call(
    method: string,
    path: string,
    body?: string,
    timeoutMs?: number,
  ): Promise<JsonAnswer> {
    const token = readToken(admin.tokenFile)
    const answer = await exchange(at, {
      ...{ method, path: `${prefix}${path}`, token },
      ...(body === undefined ? {} : { body }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    })
    if (answer.status < 200 || answer.status > 299) throw refusalIn(at, answer)
    return answer.body
  }
  return {
    read: (path) => exchange(at, { method: 'GET', path }),
    get: (path) => call('GET', path),
    post: (path, body, timeoutMs) => call('POST', path, body, timeoutMs),
  }
}

type Place = { readonly host: string; readonly port: number }
type Call = {
  readonly method: string
  readonly path: string
  readonly token?: string
  readonly body?: string
  readonly timeoutMs?: number
}

/** Who listens everywhere is reached on this machine. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}

function readToken(path: string): string {
  try {
    const bytes = readBounded(realpathSync(path), tokenFileBytesMax)
    const token = new TextDecoder().decode(bytes).trim()
    if (/^[\x21-\x7e]+$/.test(token)) return token
    throw new DaemonUnreachable(`the admin token in ${path} is not one line of text`)
  } catch (cause) {
    const errno = errnoOf(cause)
    if (errno === undefined) throw cause
    throw new DaemonUnreachable(`the admin token in ${path} cannot be read (${errno})`, cause)
  }
}

async function exchange(at: Place, call: Call): Promise<Answer> {
  const { method, path, token, body, timeoutMs = adminAnswerMs } = call
  const where = `${at.host}:${at.port}`
  const signal = AbortSignal.timeout(timeoutMs)
  try {
    const options: RequestOptions = {
      ...{ ...at, method, path, signal, agent: false },
      headers: {
        accept: 'application/json, application/problem+json',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      },
    }
    const { status, text } = await send(options, body)
    return { status, body: parse(where, status, text) }
  } catch (cause) {
    if (cause instanceof DaemonUnreachable) throw cause
    const seconds = Math.round(timeoutMs / 1000)
    const problem = signal.aborted ? `no answer within ${seconds} s` : faultOf(cause)
    throw new DaemonUnreachable(`${where}: ${problem}`, cause)
  }
}

function send(
  options: RequestOptions,
  body: string | undefined,
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(options, (incoming) => {
      readAll(incoming).then((text) => resolve({ status: incoming.statusCode ?? 0, text }), reject)
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

async function readAll(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    // no encoding was set, so that chunks are buffers
    size += chunk.length
    if (size > adminAnswerBytesMax) {
      throw new DaemonUnreachable(`its answer is longer than ${adminAnswerBytesMax} bytes`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parse(where: string, status: number, text: string): JsonAnswer {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new DaemonUnreachable(`${where}: answered ${status} with what is not JSON`, cause)
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as JsonAnswer // an object, as was just seen
  }
  throw new DaemonUnreachable(`${where}: answered ${status} with what is no object`)
}

function faultOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown'
  return code === 'ECONNREFUSED' ? 'nobody listens there' : `the connection failed (${code})`
}

/** The failure that a problem document tells of. */
function refusalIn({ host, port }: Place, { status, body }: Answer): HoldfastError {
  const { code, detail, title, remedy, retryable } = body
  if (typeof code !== 'string' || !/^[A-Za-z][A-Za-z0-9]{0,63}$/.test(code)) {
    return new DaemonUnreachable(`${host}:${port}: answered ${status} and no reason`)
  }
  const message = typeof detail === 'string' && detail !== '' ? detail : String(title ?? code)
  return new DaemonRefused(code, message, {
    retry: retryOf(body.retry, retryable),
    remedy:
      typeof remedy === 'string' && remedy !== '' ? remedy : 'Look into the log of the daemon.',
  })
}

function retryOf(retry: unknown, retryable: unknown): Retry {
  if (retry === 'safe' || retry === 'after-fix' || retry === 'never') return retry
  return retryable === true ? 'safe' : 'after-fix'
}

/** A failure inside the daemon, with the code it has there. */
export class DaemonRefused extends HoldfastError {
  readonly code: string
  constructor(code: string, message: string, details: { retry: Retry; remedy: string }) {
    super(message, details)
    this.code = code
  }
}

/** The daemon that is needed could not be asked; what it did with the request is unknown. */
export class DaemonUnreachable extends HoldfastError {
  readonly code = 'DaemonUnreachable'
  readonly problem: string
  constructor(problem: string, cause?: unknown) {
    super(`daemon: ${problem}`, {
      retry: 'safe',
      remedy:
        'Name the settings of the running daemon with --config, which say where it listens; start it when none runs.',
      cause,
    })
    this.problem = problem
  }
}
