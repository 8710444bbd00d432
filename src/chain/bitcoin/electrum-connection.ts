import * as net from 'node:net'
import * as tls from 'node:tls'
import { untilAborted } from '../../base/abort.js'
import { electrumLineBytesMax, electrumPendingMax } from '../../base/limits.js'
import { badData, fieldsOf, type ServerAnswer } from './answer.js'
import { BitcoinUnavailable } from './fault.js'

/** How an Electrum server's certificate is judged; undefined stands for plain TCP. */
export type ElectrumTls = {
  /** SHA-256 of the certificate in hex, colons allowed; with it the certificate needs no authority. */
  readonly pinnedFingerprint: string | undefined
}

export type ElectrumAddress = {
  readonly host: string
  readonly port: number
  readonly tls: ElectrumTls | undefined
}

type Pending = {
  readonly sentAtMs: number
  readonly resolve: (answer: ServerAnswer) => void
  readonly reject: (fault: BitcoinUnavailable) => void
}

const lineFeed = 0x0a

/** One connection to an Electrum server: requests by id, answers in any order, one line each. */
export class ElectrumConnection {
  readonly source: string
  readonly #socket: net.Socket
  readonly #pending = new Map<number, Pending>()
  #lastId = 0
  #heardAtMs = performance.now()
  #line: Buffer[] = []
  #lineBytes = 0
  #failure: BitcoinUnavailable | undefined

  private constructor(source: string, socket: net.Socket) {
    this.source = source
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', (error) => this.#fail('connection failed', error))
    socket.on('close', () => this.#fail('connection was closed'))
  }

  /** Connects; nothing has been sent to the server yet. @throws BitcoinUnavailable; Aborted */
  static async open(
    source: string,
    address: ElectrumAddress,
    signal: AbortSignal,
  ): Promise<ElectrumConnection> {
    const socket = address.tls ? secureSocket(address) : net.connect(address)
    socket.setNoDelay(true)
    const connected = new Promise<void>((resolve, reject) => {
      socket.once(address.tls ? 'secureConnect' : 'connect', resolve)
      socket.once('error', reject)
      socket.once('close', () => reject(new Error('closed before it was open')))
    })
    try {
      await untilAborted(connected, signal, source)
      if (address.tls) mustBePinned(source, socket, address.tls)
      return new ElectrumConnection(source, socket)
    } catch (error) {
      socket.on('error', () => undefined)
      socket.destroy()
      if (signal.aborted || error instanceof BitcoinUnavailable) throw error
      const { code } = error as NodeJS.ErrnoException
      const detail = `cannot connect (${code ?? 'closed'})`
      throw new BitcoinUnavailable(source, 'connection', detail, { cause: error })
    }
  }

  get isOpen(): boolean {
    return this.#failure === undefined
  }

  /** Milliseconds since the server last said anything. */
  get silentMs(): number {
    return performance.now() - this.#heardAtMs
  }

  /**
   * @throws BitcoinUnavailable when the connection fails; Aborted when the signal fires
   * @remarks When the signal fires because time is up and the server has said nothing since the request left, the
   * connection is given up: it may lead nowhere.
   */
  async request(
    method: string,
    params: readonly unknown[],
    signal: AbortSignal,
  ): Promise<ServerAnswer> {
    if (this.#failure) throw this.#failure
    if (this.#pending.size >= electrumPendingMax) {
      throw new BitcoinUnavailable(this.source, 'timeout', 'too many requests wait for answers')
    }
    this.#lastId += 1
    const id = this.#lastId
    const sentAtMs = performance.now()
    const answer = new Promise<ServerAnswer>((resolve, reject) => {
      this.#pending.set(id, { sentAtMs, resolve, reject })
    })
    this.#socket.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`)
    try {
      return await untilAborted(answer, signal, method)
    } finally {
      this.#pending.delete(id)
      const isLate = signal.aborted && signal.reason instanceof BitcoinUnavailable
      if (isLate && this.#heardAtMs < sentAtMs) this.#failWith(signal.reason)
    }
  }

  close(): void {
    this.#failWith(new BitcoinUnavailable(this.source, 'connection', 'was closed by us'))
  }

  #take(chunk: Buffer): void {
    this.#heardAtMs = performance.now()
    let rest = chunk
    while (this.isOpen) {
      const end = rest.indexOf(lineFeed)
      const part = end < 0 ? rest : rest.subarray(0, end)
      this.#lineBytes += part.length
      if (this.#lineBytes > electrumLineBytesMax) {
        this.#failWith(badData(this.source, `line is longer than ${electrumLineBytesMax} bytes`))
        return
      }
      this.#line.push(part)
      if (end < 0) return
      const line = Buffer.concat(this.#line, this.#lineBytes).toString('utf8')
      this.#line = []
      this.#lineBytes = 0
      this.#takeLine(line)
      rest = rest.subarray(end + 1)
    }
  }

  #takeLine(line: string): void {
    try {
      this.#dispatch(fieldsOf(this.source, JSON.parse(line), 'line'))
    } catch (error) {
      const isOurs = error instanceof BitcoinUnavailable
      this.#failWith(isOurs ? error : badData(this.source, 'line is no JSON', error))
    }
  }

  #dispatch(fields: Readonly<Record<string, unknown>>): void {
    const { id, error, method } = fields
    // A notification: whoever wants the tip asks for it.
    if (typeof method === 'string' && (id === undefined || id === null)) return
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 1 || id > this.#lastId) {
      throw badData(this.source, 'line answers no request')
    }
    // Requests that nobody waits for any more are answered all the same.
    const pending = this.#pending.get(id)
    if (!pending) return
    this.#pending.delete(id)
    if (error === null || error === undefined) {
      if ('result' in fields) pending.resolve({ kind: 'result', value: fields.result })
      else pending.reject(badData(this.source, 'answer has no result'))
      return
    }
    pending.resolve(errorOf(error))
  }

  #fail(detail: string, cause?: unknown): void {
    this.#failWith(new BitcoinUnavailable(this.source, 'connection', detail, { cause }))
  }

  #failWith(fault: BitcoinUnavailable): void {
    if (this.#failure) return
    this.#failure = fault
    this.#line = []
    this.#socket.destroy()
    for (const { reject } of this.#pending.values()) reject(fault)
    this.#pending.clear()
  }
}

// Servers send an object as JSON-RPC wants it, some of them a mere string.
function errorOf(error: unknown): ServerAnswer {
  if (typeof error === 'string') return { kind: 'error', code: undefined, message: error }
  const fields = typeof error === 'object' && error !== null ? error : {}
  const { code, message } = fields as { code?: unknown; message?: unknown }
  return {
    kind: 'error',
    code: typeof code === 'number' ? code : undefined,
    message: typeof message === 'string' ? message : 'no message',
  }
}

function secureSocket({ host, port, tls: wanted }: ElectrumAddress): tls.TLSSocket {
  return tls.connect({
    host,
    port,
    ...(net.isIP(host) === 0 ? { servername: host } : {}),
    minVersion: 'TLSv1.2',
    rejectUnauthorized: wanted?.pinnedFingerprint === undefined,
  })
}

function mustBePinned(source: string, socket: net.Socket, wanted: ElectrumTls): void {
  if (wanted.pinnedFingerprint === undefined) return
  const fingerprint =
    socket instanceof tls.TLSSocket ? socket.getPeerCertificate().fingerprint256 : undefined
  if (fingerprint && plainHex(fingerprint) === plainHex(wanted.pinnedFingerprint)) return
  const detail = `shows another certificate than the pinned one (${fingerprint ?? 'none'})`
  const remedy = 'Ask the operator of the server whether the certificate was renewed.'
  throw new BitcoinUnavailable(source, 'connection', detail, { remedy })
}

function plainHex(fingerprint: string): string {
  return fingerprint.replaceAll(':', '').toLowerCase()
}
