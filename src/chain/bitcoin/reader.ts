import type { HoldfastError } from '../../base/errors.js'

/**
 * What Bitcoin sources say of one thing.
 *
 * `notFound` is an answer, an outage is not: whoever acts on it looks at how many sources agree.
 */
export type Lookup<T> =
  | { readonly kind: 'found'; readonly value: T; readonly sources: readonly string[] }
  | { readonly kind: 'notFound'; readonly sources: readonly string[] }
  | { readonly kind: 'unavailable'; readonly causes: readonly BitcoinFault[] }

/** Why one source gave no usable answer. */
export type BitcoinFault = {
  readonly source: string
  readonly kind:
    | 'timeout'
    | 'connection'
    | 'http'
    | 'rpc'
    | 'badData'
    | 'wrongNetwork'
    | 'notSynced'
  readonly error: HoldfastError
}

/** A transaction output, seen from the chain's tip and from the sources' mempools. */
export type OutputStatus =
  | { readonly kind: 'unspent' }
  /** Spent by a transaction that is not in a block yet; that may still change. */
  | { readonly kind: 'spentInMempool'; readonly by: string | undefined }
  /** Spent by a transaction in a block; `by` is its id where the source can tell. */
  | { readonly kind: 'spent'; readonly by: string | undefined }

export const bitcoinNetworks = ['mainnet', 'testnet', 'regtest'] as const
export type BitcoinNetwork = (typeof bitcoinNetworks)[number]

/**
 * Reads Bitcoin. Transaction ids are 64 lower-case hex digits in display order.
 *
 * @remarks Nothing rejects but for a mistake of the caller or after `signal` fired. Answers are checked: a transaction
 * has the id it was asked for. With several sources, the next one is asked when one is unavailable, and a second
 * opinion is asked for `notFound` and for anything spent.
 */
export interface BitcoinReader {
  rawTransaction(txid: string, signal: AbortSignal): Promise<Lookup<Uint8Array>>
  /** 0 for a transaction that is in no block. */
  confirmations(txid: string, signal: AbortSignal): Promise<Lookup<number>>
  outputStatus(txid: string, vout: number, signal: AbortSignal): Promise<Lookup<OutputStatus>>
  /** Height of the tip in blocks. */
  tipHeight(signal: AbortSignal): Promise<Lookup<number>>
  close(): Promise<void>
}

/** Whether one source can be used, and what to do when not. */
export type SourceCheck = {
  readonly source: string
  readonly ok: boolean
  /** One sentence for an operator. */
  readonly detail: string
  readonly remedy: string | undefined
}

/** A reader that can say, source by source, whether it is fit to be used. */
export interface CheckedBitcoinReader extends BitcoinReader {
  /** Asks every source for its network, its tip and, of a node, its transaction index. */
  check(signal: AbortSignal): Promise<readonly SourceCheck[]>
}
