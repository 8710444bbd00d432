import { open } from 'node:fs/promises'
import * as http from 'node:http'
import * as https from 'node:https'
import { concatBytes, wipe } from '../../base/bytes.js'
import {
  bitcoinAnswerBytesMax,
  bitcoinConnectionsMax,
  cookieFileBytesMax,
} from '../../base/limits.js'
import { badData, fieldsOf, type ServerAnswer } from './answer.js'
import { BitcoinUnavailable } from './fault.js'

/** How a node is to be told who asks. */
export type RpcCredentials = {
  readonly user: string
  /** Copied; the caller may wipe its own. */
  readonly password: Uint8Array | undefined
  /** The file a Bitcoin Core node writes at each start, read again when the node refuses us. */
  readonly cookieFile: string | undefined
}

type HttpAnswer = { readonly status: number; readonly body: Buffer }

const fromHttpParser = /^HPE_/

/** JSON-RPC over HTTP to one node. */
export class RpcConnection {
  readonly source: string
  readonly #url: URL
  readonly #agent: http.Agent
  readonly #credentials: RpcCredentials
  #secret: Uint8Array | undefined
  #lastId = 0

  constructor(url: URL, credentials: RpcCredentials) {
    this.source = url.origin
    this.#url = url
    const options = { keepAlive: true, maxSockets: bitcoinConnectionsMax }
    this.#agent = url.protocol === 'https:' ? new https.Agent(options) : new http.Agent(options)
    this.#credentials = credentials
    // A Buffer shares its memory with its slices, and this one will be wiped.
    this.#secret = credentials.password && new Uint8Array(credentials.password)
  }

  /** @throws BitcoinUnavailable when there is no JSON-RPC answer; whatever else once `signal` has fired */
  async call(
    method: string,
    params: readonly unknown[],
    signal: AbortSignal,
  ): Promise<ServerAnswer> {
    this.#lastId += 1
    const id = this.#lastId
    const body = Buffer.from(JSON.stringify({ jsonrpc: '1.0', id, method, params }))
    let answer = await this.#postAgainWhenStale(body, signal)
    if (answer.status === 401 && this.#credentials.cookieFile !== undefined) {
      this.#dropSecret()
      answer = await this.#postAgainWhenStale(body, signal)
    }
    return this.#read(answer, id)
  }

  close(): void {
    this.#agent.destroy()
    this.#dropSecret()
  }

  async #postAgainWhenStale(body: Buffer, signal: AbortSignal): Promise<HttpAnswer> {
    const authorization = await this.#authorization()
    const first = await this.#post(body, authorization, signal)
    if (first !== 'stale') return first
    // The node had closed an idle connection while the request was on its way; every call here only reads.
    const second = await this.#post(body, authorization, signal)
    if (second === 'stale') throw this.#fault('connection', 'closed the connection twice')
    return second
  }

  #post(
    body: Buffer,
    authorization: string | undefined,
    signal: AbortSignal,
  ): Promise<HttpAnswer | 'stale'> {
    const headers = {
      'content-type': 'application/json',
      'content-length': body.length,
      ...(authorization === undefined ? {} : { authorization }),
    }
    return new Promise((resolve, reject) => {
      const send = this.#url.protocol === 'https:' ? https.request : http.request
      const options = { method: 'POST', agent: this.#agent, headers, signal }
      const request = send(this.#url, options, (response) => {
        this.#collect(response).then(resolve, (error: unknown) => {
          request.destroy()
          reject(error)
        })
      })
      request.on('error', (error: NodeJS.ErrnoException) => {
        const { code = '' } = error
        if (request.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE')) resolve('stale')
        else if (fromHttpParser.test(code)) reject(badData(this.source, 'no HTTP answer', error))
        else reject(this.#fault('connection', `connection failed (${code || 'ended'})`, error))
      })
      request.end(body)
    })
  }

  async #collect(response: http.IncomingMessage): Promise<HttpAnswer> {
    const chunks: Buffer[] = []
    let size = 0
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) {
        size += chunk.length
        if (size > bitcoinAnswerBytesMax) {
          throw badData(this.source, `answer is longer than ${bitcoinAnswerBytesMax} bytes`)
        }
        chunks.push(chunk)
      }
    } catch (error) {
      if (error instanceof BitcoinUnavailable) throw error
      throw this.#fault('connection', 'answer was cut off', error)
    }
    return { status: response.statusCode ?? 0, body: Buffer.concat(chunks) }
  }

  // Nodes answer refusals with status 404 or 500 and a JSON-RPC error inside.
  #read({ status, body }: HttpAnswer, id: number): ServerAnswer {
    if (status === 401 || status === 403) {
      throw this.#fault('http', `HTTP status ${status}, the node does not accept our credentials`)
    }
    let parsed: unknown
    try {
      parsed = JSON.parse(body.toString('utf8'))
    } catch (error) {
      if (status !== 200) throw this.#fault('http', `HTTP status ${status}`, error)
      throw badData(this.source, 'answer is no JSON', error)
    }
    const fields = fieldsOf(this.source, parsed, 'answer')
    const { error } = fields
    if (error === null || error === undefined) {
      if (status !== 200) throw this.#fault('http', `HTTP status ${status}`)
      if (fields.id !== id) throw badData(this.source, 'answer belongs to another request')
      if (!('result' in fields)) throw badData(this.source, 'answer has no result')
      return { kind: 'result', value: fields.result }
    }
    const { code, message } = fieldsOf(this.source, error, 'error of an answer')
    if (!Number.isInteger(code) || typeof message !== 'string' || fields.id !== id) {
      throw badData(this.source, 'answer has an error that is none')
    }
    return { kind: 'error', code: Number(code), message }
  }

  async #authorization(): Promise<string | undefined> {
    const { user, cookieFile } = this.#credentials
    if (cookieFile !== undefined) {
      this.#secret ??= await this.#readCookie(cookieFile)
      return basic(this.#secret)
    }
    if (user === '' && this.#secret === undefined) return undefined
    const pair = concatBytes(Buffer.from(`${user}:`), this.#secret ?? new Uint8Array(0))
    try {
      return basic(pair)
    } finally {
      wipe(pair)
    }
  }

  async #readCookie(path: string): Promise<Uint8Array> {
    const buffer = Buffer.alloc(cookieFileBytesMax)
    try {
      const file = await open(path, 'r')
      try {
        const { bytesRead } = await file.read(buffer, 0, buffer.length, 0)
        const end = buffer.subarray(0, bytesRead).indexOf('\n')
        return new Uint8Array(buffer.subarray(0, end < 0 ? bytesRead : end))
      } finally {
        await file.close()
      }
    } catch (error) {
      const remedy = 'Check that the node runs, and that its cookie file can be read.'
      const detail = `cookie file ${path} cannot be read`
      throw new BitcoinUnavailable(this.source, 'connection', detail, { cause: error, remedy })
    } finally {
      wipe(buffer)
    }
  }

  #dropSecret(): void {
    wipe(this.#secret)
    this.#secret = undefined
  }

  #fault(kind: 'connection' | 'http', detail: string, cause?: unknown): BitcoinUnavailable {
    return new BitcoinUnavailable(this.source, kind, detail, { cause })
  }
}

function basic(pair: Uint8Array): string {
  return `Basic ${Buffer.from(pair.buffer, pair.byteOffset, pair.byteLength).toString('base64')}`
}
