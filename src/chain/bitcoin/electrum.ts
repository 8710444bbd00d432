import { electrumHistoryMax, electrumScriptsMax, electrumSpendersMax } from '../../base/limits.js'
import {
  badData,
  fieldsOf,
  heightOf,
  isUnknownTransaction,
  lacksIndex,
  type ProvenTransaction,
  provenTransaction,
  refusal,
  resultOf,
} from './answer.js'
import { ElectrumLink } from './electrum-link.js'
import { BitcoinUnavailable } from './fault.js'
import { lookUp, mustBeTxid, mustBeVout } from './lookup.js'
import type {
  BitcoinNetwork,
  CheckedBitcoinReader,
  Lookup,
  OutputStatus,
  SourceCheck,
} from './reader.js'
import { electrumScriptHash, isUnspendable, type Outpoint } from './transaction.js'

export type ElectrumOptions = {
  readonly host: string
  readonly port: number
  /** Plain TCP, TLS with a certificate that is checked, or TLS with the one certificate of this SHA-256 fingerprint. */
  readonly tls: boolean | { readonly pinnedFingerprint: string }
  readonly network: BitcoinNetwork
  /** Milliseconds for one question, whatever it takes, opening the connection included; 1 to 600000. */
  readonly requestTimeoutMs: number
  /** Milliseconds for opening a connection. Default 10000. */
  readonly connectTimeoutMs?: number | undefined
  /** Milliseconds of silence after which the server is asked for a sign of life. Default 300000. */
  readonly keepAliveMs?: number | undefined
}

/**
 * Reads Bitcoin through one Electrum server, protocol 1.4.
 *
 * @throws RangeError when the options cannot be meant so
 * @remarks One connection is opened when first needed. After a failure the next try waits 250 ms to 30 s; what is asked
 * meanwhile gets the failure as its answer.
 * @see https://electrumx.readthedocs.io/en/latest/protocol.html
 */
export function electrumReader(options: ElectrumOptions): CheckedBitcoinReader {
  const { host, port, tls } = options
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new RangeError('Electrum server: want a port from 1 to 65535')
  }
  const pinnedFingerprint = typeof tls === 'object' ? tls.pinnedFingerprint : undefined
  if (pinnedFingerprint !== undefined && !/^([0-9a-f]{2}:?){32}$/i.test(pinnedFingerprint)) {
    throw new RangeError('Electrum server: want a fingerprint of 64 hex digits')
  }
  return new ElectrumReader(options, {
    host,
    port,
    tls: tls === false ? undefined : { pinnedFingerprint },
  })
}

type HistoryEntry = {
  readonly txid: string
  /** 0 or -1 while the transaction is in no block. */
  readonly height: number
}

class ElectrumReader implements CheckedBitcoinReader {
  readonly #source: string
  readonly #network: BitcoinNetwork
  readonly #timeoutMs: number
  readonly #link: ElectrumLink

  constructor(
    options: ElectrumOptions,
    address: {
      host: string
      port: number
      tls: { pinnedFingerprint: string | undefined } | undefined
    },
  ) {
    const { network, requestTimeoutMs, connectTimeoutMs = 10_000, keepAliveMs = 300_000 } = options
    const host = address.host.includes(':') ? `[${address.host}]` : address.host
    this.#source = `${address.tls ? 'ssl' : 'tcp'}://${host}:${address.port}`
    this.#network = network
    this.#timeoutMs = requestTimeoutMs
    const source = this.#source
    this.#link = new ElectrumLink({ source, address, network, connectTimeoutMs, keepAliveMs })
  }

  async rawTransaction(txid: string, signal: AbortSignal): Promise<Lookup<Uint8Array>> {
    mustBeTxid(txid)
    return this.#ask('raw transaction', signal, async (within) => {
      return (await this.#transaction(txid, within))?.bytes
    })
  }

  async confirmations(txid: string, signal: AbortSignal): Promise<Lookup<number>> {
    mustBeTxid(txid)
    return this.#ask('confirmations', signal, (within) => this.#confirmations(txid, within))
  }

  async outputStatus(
    txid: string,
    vout: number,
    signal: AbortSignal,
  ): Promise<Lookup<OutputStatus>> {
    mustBeTxid(txid)
    mustBeVout(vout)
    return this.#ask('output status', signal, (within) =>
      this.#outputStatus({ txid, vout }, within),
    )
  }

  async tipHeight(signal: AbortSignal): Promise<Lookup<number>> {
    return this.#ask('tip', signal, (within) => this.#tip(within))
  }

  async check(signal: AbortSignal): Promise<readonly SourceCheck[]> {
    const source = this.#source
    const tip = await this.tipHeight(signal)
    if (tip.kind === 'found') {
      const detail = `Electrum server on ${this.#network}, height ${tip.value}`
      return [{ source, ok: true, detail, remedy: undefined }]
    }
    const error = tip.kind === 'unavailable' ? tip.causes[0]?.error : undefined
    return [{ source, ok: false, detail: error?.message ?? '', remedy: error?.remedy }]
  }

  close(): Promise<void> {
    return this.#link.close()
  }

  #ask<T extends NonNullable<unknown>>(
    what: string,
    signal: AbortSignal,
    work: (within: AbortSignal) => Promise<T | undefined>,
  ): Promise<Lookup<T>> {
    return lookUp({ source: this.#source, what, timeoutMs: this.#timeoutMs, signal }, work)
  }

  async #transaction(txid: string, within: AbortSignal): Promise<ProvenTransaction | undefined> {
    const method = 'blockchain.transaction.get'
    const answer = await this.#link.request(method, [txid], within)
    if (answer.kind === 'result') return provenTransaction(this.#source, txid, answer.value)
    if (!lacksIndex(answer.message) && isUnknownTransaction(answer)) return undefined
    throw refusal(this.#source, method, answer)
  }

  async #tip(within: AbortSignal): Promise<number> {
    const source = this.#source
    const tip = await this.#result('blockchain.headers.subscribe', [], within)
    return heightOf(source, fieldsOf(source, tip, 'tip').height, 'height of the tip')
  }

  // Servers do not tell the block of a transaction, only the history of a script: each output of the transaction has one.
  async #confirmations(txid: string, within: AbortSignal): Promise<number | undefined> {
    const transaction = await this.#transaction(txid, within)
    if (!transaction) return undefined
    const scripts = new Map(
      transaction.decoded.outputs
        .filter(({ script }) => !isUnspendable(script))
        .map(({ script }) => [electrumScriptHash(script), script]),
    )
    let refused: unknown
    for (const hash of [...scripts.keys()].slice(0, electrumScriptsMax)) {
      try {
        const entry = (await this.#history(hash, within)).find((each) => each.txid === txid)
        if (entry) return await this.#depth(entry.height, within)
      } catch (error) {
        // A history can be too long for the server; another output may have a shorter one.
        if (!(error instanceof BitcoinUnavailable && error.kind === 'rpc')) throw error
        refused ??= error
      }
    }
    throw refused ?? badData(this.#source, `knows transaction ${txid}, but no history has it`)
  }

  async #depth(height: number, within: AbortSignal): Promise<number> {
    if (height <= 0) return 0
    return Math.max(0, (await this.#tip(within)) - height + 1)
  }

  async #outputStatus(outpoint: Outpoint, within: AbortSignal): Promise<OutputStatus | undefined> {
    const transaction = await this.#transaction(outpoint.txid, within)
    const output = transaction?.decoded.outputs[outpoint.vout]
    if (!output) return undefined
    if (isUnspendable(output.script)) return { kind: 'unspent' }
    const hash = electrumScriptHash(output.script)
    if (await this.#isListed(hash, { ...outpoint, sats: output.valueSats }, within)) {
      return { kind: 'unspent' }
    }
    return this.#spender(hash, outpoint, within)
  }

  async #isListed(
    hash: string,
    { txid, vout, sats }: Outpoint & { readonly sats: bigint },
    within: AbortSignal,
  ): Promise<boolean> {
    const source = this.#source
    const list = await this.#result('blockchain.scripthash.listunspent', [hash], within)
    for (const entry of this.#bounded(list, 'list of unspent outputs')) {
      const { tx_hash: id, tx_pos: at, value } = fieldsOf(source, entry, 'unspent output')
      if (id !== txid || at !== vout) continue
      if (value === Number(sats)) return true
      throw badData(source, `output ${txid}:${vout} contradicts its transaction`)
    }
    return false
  }

  // The spender is in the history of the output's script. What is in no block is looked at first: once none of that
  // spends the output, a block does, also when its transaction is too far back to be looked for.
  async #spender(
    hash: string,
    { txid, vout }: Outpoint,
    within: AbortSignal,
  ): Promise<OutputStatus> {
    const others = (await this.#history(hash, within)).filter((entry) => entry.txid !== txid)
    const waiting = others.filter(({ height }) => height <= 0)
    const inBlocks = others.filter(({ height }) => height > 0).reverse()
    const candidates = [...waiting, ...inBlocks].slice(0, electrumSpendersMax)
    for (const { txid: by, height } of candidates) {
      const inputs = (await this.#transaction(by, within))?.decoded.inputs ?? []
      if (inputs.some((input) => input.txid === txid && input.vout === vout)) {
        return height > 0 ? { kind: 'spent', by } : { kind: 'spentInMempool', by }
      }
    }
    if (others.length === candidates.length) {
      throw badData(this.#source, `output ${txid}:${vout} is neither unspent nor spent`)
    }
    const isInBlock = waiting.length <= candidates.length
    return { kind: isInBlock ? 'spent' : 'spentInMempool', by: undefined }
  }

  async #history(hash: string, within: AbortSignal): Promise<readonly HistoryEntry[]> {
    const source = this.#source
    const list = await this.#result('blockchain.scripthash.get_history', [hash], within)
    return this.#bounded(list, 'history').map((entry) => {
      const { tx_hash: txid, height } = fieldsOf(source, entry, 'history entry')
      if (typeof txid !== 'string' || !/^[0-9a-f]{64}$/.test(txid)) {
        throw badData(source, 'history entry has no transaction id')
      }
      // -1 says that a parent is in no block either.
      return { txid, height: height === -1 ? -1 : heightOf(source, height, 'height in a history') }
    })
  }

  #bounded(list: unknown, what: string): readonly unknown[] {
    if (Array.isArray(list) && list.length <= electrumHistoryMax) return list
    throw badData(this.#source, `${what} is none, or longer than ${electrumHistoryMax}`)
  }

  async #result(method: string, params: readonly unknown[], within: AbortSignal): Promise<unknown> {
    return resultOf(this.#source, method, await this.#link.request(method, params, within))
  }
}
