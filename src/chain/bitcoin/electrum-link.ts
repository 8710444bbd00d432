import { untilAborted } from '../../base/abort.js'
import { electrumBackoffMs, electrumBackoffMsMax } from '../../base/limits.js'
import { badData, mustBeGenesis, resultOf, type ServerAnswer } from './answer.js'
import { type ElectrumAddress, ElectrumConnection } from './electrum-connection.js'
import { BitcoinUnavailable } from './fault.js'
import type { BitcoinNetwork } from './reader.js'
import { displayHash } from './transaction.js'

export type ElectrumLinkOptions = {
  readonly source: string
  readonly address: ElectrumAddress
  readonly network: BitcoinNetwork
  readonly connectTimeoutMs: number
  readonly keepAliveMs: number
}

const protocolVersion = '1.4'

/** Keeps at most one connection to an Electrum server, opened when first asked for and after it was lost. */
export class ElectrumLink {
  readonly #options: ElectrumLinkOptions
  #connection: ElectrumConnection | undefined
  #opening: Promise<ElectrumConnection> | undefined
  #keepAlive: NodeJS.Timeout | undefined
  #failure: BitcoinUnavailable | undefined
  #backoffMs = electrumBackoffMs
  #retryAtMs = Number.NEGATIVE_INFINITY
  readonly #closing = new AbortController()

  constructor(options: ElectrumLinkOptions) {
    this.#options = options
  }

  /** @throws BitcoinUnavailable; Aborted */
  async request(
    method: string,
    params: readonly unknown[],
    signal: AbortSignal,
  ): Promise<ServerAnswer> {
    const connection = await this.#connected(signal)
    return connection.request(method, params, signal)
  }

  /** Ends the connection; every request that waits, and every later one, is answered "unavailable". */
  async close(): Promise<void> {
    this.#closing.abort(this.#fault('was closed by us'))
    clearInterval(this.#keepAlive)
    this.#connection?.close()
    // Its failure has been told to those who waited for it.
    await this.#opening?.catch(() => undefined)
  }

  async #connected(signal: AbortSignal): Promise<ElectrumConnection> {
    if (this.#closing.signal.aborted) throw this.#closing.signal.reason
    if (this.#connection?.isOpen) return this.#connection
    if (!this.#opening) {
      // Until the next try is due, the last failure is the answer: nobody has to wait for it twice.
      if (this.#failure && performance.now() < this.#retryAtMs) throw this.#failure
      this.#opening = this.#open().finally(() => {
        this.#opening = undefined
      })
    }
    return untilAborted(this.#opening, signal, this.#options.source)
  }

  async #open(): Promise<ElectrumConnection> {
    const deadline = new AbortController()
    const { connectTimeoutMs } = this.#options
    const detail = `no connection within ${connectTimeoutMs} ms`
    const timer = setTimeout(() => deadline.abort(this.#fault(detail, 'timeout')), connectTimeoutMs)
    const onClose = (): void => deadline.abort(this.#closing.signal.reason)
    this.#closing.signal.addEventListener('abort', onClose, { once: true })
    try {
      const connection = await this.#introduce(deadline.signal)
      this.#backoffMs = electrumBackoffMs
      this.#failure = undefined
      this.#connection = connection
      this.#watch(connection)
      return connection
    } catch (error) {
      const fault = deadline.signal.aborted ? deadline.signal.reason : error
      if (fault instanceof BitcoinUnavailable) this.#backOff(fault)
      throw fault
    } finally {
      clearTimeout(timer)
      this.#closing.signal.removeEventListener('abort', onClose)
    }
  }

  async #introduce(signal: AbortSignal): Promise<ElectrumConnection> {
    const { source, address } = this.#options
    const connection = await ElectrumConnection.open(source, address, signal)
    try {
      const versions = await connection.request(
        'server.version',
        ['holdfast', protocolVersion],
        signal,
      )
      const agreed = resultOf(source, 'server.version', versions)
      if (!Array.isArray(agreed) || agreed[1] !== protocolVersion) {
        throw badData(source, `does not speak version ${protocolVersion} of the Electrum protocol`)
      }
      await this.#mustBeOnNetwork(connection, signal)
      return connection
    } catch (error) {
      connection.close()
      throw error
    }
  }

  async #mustBeOnNetwork(connection: ElectrumConnection, signal: AbortSignal): Promise<void> {
    const { source, network } = this.#options
    const features = await connection.request('server.features', [], signal)
    const named = features.kind === 'result' ? features.value : undefined
    if (typeof named === 'object' && named !== null && 'genesis_hash' in named) {
      mustBeGenesis(source, network, named.genesis_hash)
      return
    }
    const first = await connection.request('blockchain.block.header', [0], signal)
    const header = resultOf(source, 'blockchain.block.header', first)
    if (typeof header !== 'string' || !/^[0-9a-f]{160}$/i.test(header)) {
      throw badData(source, 'header of the first block is none')
    }
    mustBeGenesis(source, network, displayHash(Buffer.from(header, 'hex')))
  }

  // Servers end sessions that are quiet for long, and a silent line may be dead.
  #watch(connection: ElectrumConnection): void {
    const { keepAliveMs, connectTimeoutMs } = this.#options
    clearInterval(this.#keepAlive)
    let isPinging = false
    this.#keepAlive = setInterval(() => {
      if (isPinging || !connection.isOpen || connection.silentMs < keepAliveMs) return
      isPinging = true
      const deadline = new AbortController()
      const fault = this.#fault('does not answer a ping', 'timeout')
      const timer = setTimeout(() => deadline.abort(fault), connectTimeoutMs).unref()
      connection
        .request('server.ping', [], deadline.signal)
        // The connection has noted its own failure; the next request opens another one.
        .catch(() => undefined)
        .finally(() => {
          clearTimeout(timer)
          isPinging = false
        })
    }, keepAliveMs)
    this.#keepAlive.unref()
  }

  #backOff(fault: BitcoinUnavailable): void {
    this.#failure = fault
    this.#retryAtMs = performance.now() + this.#backoffMs
    this.#backoffMs = Math.min(this.#backoffMs * 2, electrumBackoffMsMax)
  }

  #fault(detail: string, kind: 'connection' | 'timeout' = 'connection'): BitcoinUnavailable {
    return new BitcoinUnavailable(this.#options.source, kind, detail)
  }
}
