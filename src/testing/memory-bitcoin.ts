import { throwIfAborted } from '../base/errors.js'
import { BitcoinUnavailable, faultOf } from '../chain/bitcoin/fault.js'
import type { BitcoinFault, BitcoinReader, Lookup, OutputStatus } from '../chain/bitcoin/reader.js'
import type { Outpoint } from '../covenant/job.js'
import { parseTransaction, type Transaction } from '../covenant/transaction.js'

type Method = 'rawTransaction' | 'confirmations' | 'outputStatus' | 'tipHeight'

/** A Bitcoin chain in memory, whose tip, transactions and faults a test can set. */
export interface MemoryBitcoin extends BitcoinReader {
  /** Height of the tip in blocks; confirmations follow from it. */
  tip: number
  /** Names of the sources that every answer is given by. */
  sources: readonly string[]
  /** False when the sources do not tell who spent an output. */
  namesSpenders: boolean
  /** What was asked, in order. */
  readonly asked: readonly Method[]
  /**
   * Puts a transaction into a block, or into the mempool without a height; what it spends is spent.
   *
   * @returns its id
   */
  add(raw: Uint8Array, heightBlocks?: number): string
  /** Forgets a transaction, as a reorganisation or an eviction does. */
  remove(txid: string): void
  /** The next or every call of a method finds its sources away. @param times default: until `restore` */
  fail(method: Method | 'all', kind: BitcoinFault['kind'], times?: number): void
  restore(): void
  /** Answers other bytes for a transaction, as a source does that lies. */
  forge(txid: string, raw: Uint8Array): void
}

type Entry = {
  readonly raw: Uint8Array
  readonly transaction: Transaction
  readonly heightBlocks: number | undefined
}

export function memoryBitcoin(options: { readonly tip?: number } = {}): MemoryBitcoin {
  const entries = new Map<string, Entry>()
  const forged = new Map<string, Uint8Array>()
  const faults = new Map<Method, { readonly kind: BitcoinFault['kind']; left: number }>()
  const asked: Method[] = []

  function spenderOf(outpoint: Outpoint): Entry | undefined {
    const spends = ({ transaction }: Entry): boolean =>
      transaction.inputs.some((input) => input.outpoint === outpoint)
    return [...entries.values()].find(spends)
  }

  async function answer<T>(
    method: Method,
    signal: AbortSignal,
    look: () => T | undefined,
  ): Promise<Lookup<T>> {
    asked.push(method)
    throwIfAborted(signal, method)
    const fault = faults.get(method)
    if (fault !== undefined && fault.left > 0) {
      fault.left -= 1
      const of = (source: string): BitcoinFault =>
        faultOf(new BitcoinUnavailable(source, fault.kind, `${method} is scripted to fail`))
      return { kind: 'unavailable', causes: chain.sources.map(of) }
    }
    const value = look()
    return value === undefined
      ? { kind: 'notFound', sources: chain.sources }
      : { kind: 'found', value, sources: chain.sources }
  }

  function statusOf(txid: string, vout: number): OutputStatus | undefined {
    if (entries.get(txid)?.transaction.outputs[vout] === undefined) return undefined
    const spender = spenderOf(`${txid}:${vout}` as Outpoint)
    if (spender === undefined) return { kind: 'unspent' }
    const by = chain.namesSpenders ? spender.transaction.txid : undefined
    return spender.heightBlocks === undefined
      ? { kind: 'spentInMempool', by }
      : { kind: 'spent', by }
  }

  function depthOf({ heightBlocks }: Entry): number {
    return heightBlocks === undefined ? 0 : Math.max(0, chain.tip - heightBlocks + 1)
  }

  const chain: MemoryBitcoin = {
    tip: options.tip ?? 900_000,
    sources: ['memory'],
    namesSpenders: true,
    asked,
    add(raw, heightBlocks) {
      const transaction = parseTransaction(raw)
      entries.set(transaction.txid, { raw, transaction, heightBlocks })
      return transaction.txid
    },
    remove: (txid) => void entries.delete(txid),
    fail(method, kind, times = Number.POSITIVE_INFINITY) {
      const methods: readonly Method[] =
        method === 'all'
          ? ['rawTransaction', 'confirmations', 'outputStatus', 'tipHeight']
          : [method]
      for (const one of methods) faults.set(one, { kind, left: times })
    },
    restore: () => faults.clear(),
    forge: (txid, raw) => void forged.set(txid, raw),
    rawTransaction: (txid, signal) =>
      answer('rawTransaction', signal, () => forged.get(txid) ?? entries.get(txid)?.raw),
    confirmations: (txid, signal) =>
      answer('confirmations', signal, () => {
        const entry = entries.get(txid)
        return entry && depthOf(entry)
      }),
    outputStatus: (txid, vout, signal) =>
      answer('outputStatus', signal, () => statusOf(txid, vout)),
    tipHeight: (signal) => answer('tipHeight', signal, () => chain.tip),
    close: () => Promise.resolve(),
  }
  return chain
}
