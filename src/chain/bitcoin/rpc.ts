import { bitcoinBlocksBehindMax, bitcoinNodeCheckMs } from '../../base/limits.js'
import {
  badData,
  fieldsOf,
  heightOf,
  isUnknownTransaction,
  lacksIndex,
  mustBeGenesis,
  type ProvenTransaction,
  provenTransaction,
  refusal,
  resultOf,
  type ServerAnswer,
} from './answer.js'
import { BitcoinUnavailable } from './fault.js'
import { lookUp, mustBeTxid, mustBeVout } from './lookup.js'
import type {
  BitcoinNetwork,
  CheckedBitcoinReader,
  Lookup,
  OutputStatus,
  SourceCheck,
} from './reader.js'
import { RpcConnection } from './rpc-connection.js'
import { isUnspendable } from './transaction.js'

export type BitcoinRpcOptions = {
  /** `http://HOST:PORT` or `https`; no user and password in it. */
  readonly url: string
  readonly user?: string | undefined
  /** Copied and wiped on close. */
  readonly password?: Uint8Array | undefined
  /** Instead of user and password: the cookie file of a Bitcoin Core node on this machine. */
  readonly cookieFile?: string | undefined
  readonly network: BitcoinNetwork
  /** Milliseconds for one question, whatever it takes; 1 to 600000. */
  readonly requestTimeoutMs: number
}

/**
 * Reads Bitcoin through the JSON-RPC of a Core-style node with a transaction index.
 *
 * @throws RangeError when the options cannot be meant so
 * @remarks The node's network and its being synced are asked for at first and then once a minute. Who spends an output
 * is known for the mempool only, from nodes that have `gettxspendingprevout` (Bitcoin Core 24).
 */
export function bitcoinRpcReader(options: BitcoinRpcOptions): CheckedBitcoinReader {
  const url = new URL(options.url)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new RangeError('Bitcoin node: want an http or https URL')
  }
  if (url.username !== '' || url.password !== '') {
    throw new RangeError('Bitcoin node: user and password do not belong in the URL')
  }
  if (options.cookieFile !== undefined && options.password !== undefined) {
    throw new RangeError('Bitcoin node: want a password or a cookie file, not both')
  }
  const { user = '', password, cookieFile } = options
  return new RpcReader(new RpcConnection(url, { user, password, cookieFile }), options)
}

type TransactionInfo = ProvenTransaction & { readonly confirmations: number }

class RpcReader implements CheckedBitcoinReader {
  readonly #connection: RpcConnection
  readonly #source: string
  readonly #network: BitcoinNetwork
  readonly #timeoutMs: number
  #checkedUntilMs = Number.NEGATIVE_INFINITY

  constructor(connection: RpcConnection, options: BitcoinRpcOptions) {
    this.#connection = connection
    this.#source = connection.source
    this.#network = options.network
    this.#timeoutMs = options.requestTimeoutMs
  }

  async rawTransaction(txid: string, signal: AbortSignal): Promise<Lookup<Uint8Array>> {
    mustBeTxid(txid)
    return this.#ask('raw transaction', signal, async (within) => {
      const answer = await this.#call('getrawtransaction', [txid, false], within)
      const hex = this.#knownOr(answer, 'getrawtransaction')
      return hex === undefined ? undefined : provenTransaction(this.#source, txid, hex).bytes
    })
  }

  async confirmations(txid: string, signal: AbortSignal): Promise<Lookup<number>> {
    mustBeTxid(txid)
    return this.#ask('confirmations', signal, async (within) => {
      return (await this.#transactionInfo(txid, within))?.confirmations
    })
  }

  async outputStatus(
    txid: string,
    vout: number,
    signal: AbortSignal,
  ): Promise<Lookup<OutputStatus>> {
    mustBeTxid(txid)
    mustBeVout(vout)
    return this.#ask('output status', signal, (within) => this.#outputStatus(txid, vout, within))
  }

  async tipHeight(signal: AbortSignal): Promise<Lookup<number>> {
    return this.#ask('tip', signal, (within) => this.#tip(within))
  }

  async check(signal: AbortSignal): Promise<readonly SourceCheck[]> {
    const asked = await this.#ask('check', signal, async (within) => {
      this.#checkedUntilMs = Number.NEGATIVE_INFINITY
      await this.#mustBeUsable(within)
      await this.#mustHaveIndex(within)
      return this.#tip(within)
    })
    const source = this.#source
    if (asked.kind === 'found') {
      const detail = `node on ${this.#network} with transaction index, height ${asked.value}`
      return [{ source, ok: true, detail, remedy: undefined }]
    }
    const error = asked.kind === 'unavailable' ? asked.causes[0]?.error : undefined
    return [{ source, ok: false, detail: error?.message ?? '', remedy: error?.remedy }]
  }

  async close(): Promise<void> {
    this.#connection.close()
  }

  #ask<T extends NonNullable<unknown>>(
    what: string,
    signal: AbortSignal,
    work: (within: AbortSignal) => Promise<T | undefined>,
  ): Promise<Lookup<T>> {
    const question = { source: this.#source, what, timeoutMs: this.#timeoutMs, signal }
    return lookUp(question, async (within) => {
      try {
        await this.#mustBeUsable(within)
        return await work(within)
      } catch (error) {
        // Whatever went wrong, the node may be another one when it answers again.
        this.#checkedUntilMs = Number.NEGATIVE_INFINITY
        throw error
      }
    })
  }

  async #mustBeUsable(within: AbortSignal): Promise<void> {
    if (performance.now() < this.#checkedUntilMs) return
    const source = this.#source
    mustBeGenesis(source, this.#network, await this.#result('getblockhash', [0], within))
    const info = fieldsOf(source, await this.#result('getblockchaininfo', [], within), 'chain info')
    const blocks = heightOf(source, info.blocks, 'number of blocks')
    const headers = heightOf(source, info.headers, 'number of headers')
    if (info.initialblockdownload === true || headers > blocks + bitcoinBlocksBehindMax) {
      const detail = `has ${blocks} of at least ${headers} blocks`
      throw new BitcoinUnavailable(source, 'notSynced', detail)
    }
    this.#checkedUntilMs = performance.now() + bitcoinNodeCheckMs
  }

  // A node that cannot name its indexes is asked for a transaction that only an index finds: the first one after the
  // genesis block.
  async #mustHaveIndex(within: AbortSignal): Promise<void> {
    const source = this.#source
    const known = await this.#call('getindexinfo', ['txindex'], within)
    if (known.kind === 'result') {
      const { txindex } = fieldsOf(source, known.value, 'index info')
      if (txindex === undefined) throw noIndex(source)
      if (fieldsOf(source, txindex, 'index info').synced === true) return
      throw new BitcoinUnavailable(source, 'notSynced', 'its transaction index is not complete')
    }
    if ((await this.#tip(within)) === 0) return
    const hash = await this.#result('getblockhash', [1], within)
    const block = fieldsOf(source, await this.#result('getblock', [hash], within), 'block 1')
    const txid = Array.isArray(block.tx) ? block.tx[0] : undefined
    if (typeof txid !== 'string') throw badData(source, 'block 1 has no transaction')
    const answer = await this.#call('getrawtransaction', [txid, false], within)
    if (this.#knownOr(answer, 'getrawtransaction') === undefined) throw noIndex(source)
  }

  async #tip(within: AbortSignal): Promise<number> {
    return heightOf(this.#source, await this.#result('getblockcount', [], within), 'block count')
  }

  async #transactionInfo(txid: string, within: AbortSignal): Promise<TransactionInfo | undefined> {
    const source = this.#source
    const answer = await this.#call('getrawtransaction', [txid, true], within)
    const value = this.#knownOr(answer, 'getrawtransaction')
    if (value === undefined) return undefined
    const fields = fieldsOf(source, value, 'transaction')
    const proven = provenTransaction(source, txid, fields.hex)
    if (typeof fields.blockhash === 'string' && fields.confirmations === undefined) {
      throw badData(source, `transaction ${txid} is in a block without confirmations`)
    }
    // A node leaves the field out while the transaction waits in its mempool.
    const confirmations = heightOf(source, fields.confirmations ?? 0, 'number of confirmations')
    return { ...proven, confirmations }
  }

  // The order matters: what was in a block before the set of unspent outputs was asked cannot be missing there for
  // being too new, so a spend that is in the mempool only never passes for one in a block.
  async #outputStatus(
    txid: string,
    vout: number,
    within: AbortSignal,
  ): Promise<OutputStatus | undefined> {
    const info = await this.#transactionInfo(txid, within)
    const output = info?.decoded.outputs[vout]
    if (!info || !output) return undefined
    if (isUnspendable(output.script)) return { kind: 'unspent' }
    if (await this.#isUnspent({ info, vout, withMempool: true }, within)) return { kind: 'unspent' }
    const isInBlock = info.confirmations > 0
    if (isInBlock && !(await this.#isUnspent({ info, vout, withMempool: false }, within))) {
      return { kind: 'spent', by: undefined }
    }
    return { kind: 'spentInMempool', by: await this.#mempoolSpender(txid, vout, within) }
  }

  async #isUnspent(
    output: { info: TransactionInfo; vout: number; withMempool: boolean },
    within: AbortSignal,
  ): Promise<boolean> {
    const source = this.#source
    const { info, vout, withMempool } = output
    const { txid } = info.decoded
    const coin = await this.#result('gettxout', [txid, vout, withMempool], within)
    if (coin === null) return false
    const { value, scriptPubKey } = fieldsOf(source, coin, 'output')
    const { hex } = fieldsOf(source, scriptPubKey, 'script of an output')
    const expected = info.decoded.outputs[vout]
    const sats = typeof value === 'number' ? Math.round(value * 1e8) : undefined
    const isSame =
      sats === Number(expected?.valueSats) &&
      hex === Buffer.from(expected?.script ?? []).toString('hex')
    if (!isSame) throw badData(source, `output ${txid}:${vout} contradicts its transaction`)
    return true
  }

  async #mempoolSpender(
    txid: string,
    vout: number,
    within: AbortSignal,
  ): Promise<string | undefined> {
    const source = this.#source
    const answer = await this.#call('gettxspendingprevout', [[{ txid, vout }]], within)
    // Older nodes cannot tell; that the output is spent they have told already.
    if (answer.kind === 'error') return undefined
    const [entry] = Array.isArray(answer.value) ? answer.value : []
    const { spendingtxid: by } = fieldsOf(source, entry, 'spender of an output')
    if (by === undefined) return undefined
    if (typeof by !== 'string' || !/^[0-9a-f]{64}$/.test(by)) {
      throw badData(source, 'spender of an output is no transaction id')
    }
    const spender = this.#knownOr(
      await this.#call('getrawtransaction', [by, false], within),
      'getrawtransaction',
    )
    if (spender === undefined) return undefined
    const { inputs } = provenTransaction(source, by, spender).decoded
    if (inputs.some((input) => input.txid === txid && input.vout === vout)) return by
    throw badData(source, `transaction ${by} does not spend ${txid}:${vout}`)
  }

  async #result(method: string, params: readonly unknown[], within: AbortSignal): Promise<unknown> {
    return resultOf(this.#source, method, await this.#call(method, params, within))
  }

  #call(method: string, params: readonly unknown[], within: AbortSignal): Promise<ServerAnswer> {
    return this.#connection.call(method, params, within)
  }

  #knownOr(answer: ServerAnswer, what: string): unknown {
    if (answer.kind === 'result') return answer.value
    if (lacksIndex(answer.message)) throw noIndex(this.#source)
    if (isUnknownTransaction(answer)) return undefined
    throw refusal(this.#source, what, answer)
  }
}

function noIndex(source: string): BitcoinUnavailable {
  const detail = 'has no complete transaction index, so it cannot say what it does not find'
  const remedy = 'Start the node with txindex=1 and wait until the index is built.'
  return new BitcoinUnavailable(source, 'rpc', detail, { remedy })
}
