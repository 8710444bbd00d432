import { equalBytes, sha256, toHex } from '../base/bytes.js'
import type { BitcoinFault, BitcoinReader, OutputStatus } from '../chain/bitcoin/reader.js'
import type { RequestId } from './job.js'
import type { ActiveOutpoint } from './request.js'
import type { Sightings } from './sightings.js'
import { parseTransaction, type Transaction } from './transaction.js'
import { sameHex } from './validate-fields.js'

/** The covenant output that a job wants to spend, and what must be found there. */
export type WantedOutput = {
  readonly requestId: RequestId
  readonly outpoint: ActiveOutpoint
  readonly scriptPubKey: Uint8Array
  readonly valueSats: bigint
}

/** What became of looking for a covenant output. */
export type OutputVerdict =
  | { readonly kind: 'spendable' }
  | { readonly kind: 'spent'; readonly status: Exclude<OutputStatus, { kind: 'unspent' }> }
  /** A passing fault. */
  | { readonly kind: 'defer'; readonly detail: string; readonly cause?: Error }
  /** It is not what the request says, and never will be. */
  | { readonly kind: 'wrong'; readonly detail: string }

export type OutputDeps = {
  readonly bitcoin: BitcoinReader
  readonly sightings: Sightings
  readonly minConfirmations: number
}

/**
 * Looks for a covenant output (engine specification, section 4): the transaction, its depth, the output, and whether it
 * is still there to be spent.
 *
 * @remarks An outage is never an answer, and a transaction that sources lack is believed missing only when two of them
 * or three blocks agree.
 */
export async function findCovenantOutput(
  deps: OutputDeps,
  wanted: WantedOutput,
  signal: AbortSignal,
): Promise<OutputVerdict> {
  const { bitcoin, sightings, minConfirmations } = deps
  const txid = wanted.outpoint.txid.toLowerCase().replace(/^0x/, '')
  const raw = await bitcoin.rawTransaction(txid, signal)
  if (raw.kind === 'unavailable') return awayVerdict(raw.causes)
  if (raw.kind === 'notFound') return missingVerdict(deps, wanted, raw.sources, signal)
  sightings.forget(wanted.requestId)
  const transaction = transactionOf(raw.value, txid)
  if (transaction === undefined) {
    return { kind: 'defer', detail: 'the Bitcoin backend answered with another transaction' }
  }
  const depth = await bitcoin.confirmations(txid, signal)
  if (depth.kind === 'unavailable') return awayVerdict(depth.causes)
  const confirmations = depth.kind === 'found' ? depth.value : 0
  if (confirmations < minConfirmations) {
    const detail = `active outpoint confirmations: have ${confirmations}, need ${minConfirmations}`
    return { kind: 'defer', detail }
  }
  const mismatch = mismatchOf(transaction, wanted)
  if (mismatch !== undefined) return { kind: 'wrong', detail: mismatch }
  const status = await bitcoin.outputStatus(txid, wanted.outpoint.vout, signal)
  if (status.kind === 'unavailable') return awayVerdict(status.causes)
  if (status.kind === 'notFound') {
    return { kind: 'defer', detail: 'the Bitcoin backend does not agree with itself' }
  }
  return status.value.kind === 'unspent'
    ? { kind: 'spendable' }
    : { kind: 'spent', status: status.value }
}

async function missingVerdict(
  { bitcoin, sightings }: OutputDeps,
  { requestId }: WantedOutput,
  sources: readonly string[],
  signal: AbortSignal,
): Promise<OutputVerdict> {
  const tip = await bitcoin.tipHeight(signal)
  const heightBlocks = tip.kind === 'found' ? tip.value : undefined
  return sightings.confirm(requestId, sources, heightBlocks)
    ? { kind: 'wrong', detail: 'active outpoint transaction was not found' }
    : { kind: 'defer', detail: 'active outpoint transaction was not found yet' }
}

/** The transaction, unless a backend sent bytes of another one. */
export function transactionOf(bytes: Uint8Array, txid: string): Transaction | undefined {
  try {
    const transaction = parseTransaction(bytes)
    return transaction.txid === txid ? transaction : undefined
  } catch (error) {
    // Bytes that are no transaction are no answer, as when the backend is away.
    if (error instanceof RangeError) return undefined
    throw error
  }
}

function mismatchOf({ outputs }: Transaction, wanted: WantedOutput): string | undefined {
  const { outpoint, scriptPubKey, valueSats } = wanted
  const output = outputs[outpoint.vout]
  if (output === undefined) {
    return `active outpoint output ${outpoint.vout} does not exist: the transaction has ${outputs.length}`
  }
  if (!equalBytes(output.script, scriptPubKey)) {
    return 'active outpoint script does not match the covenant script of the request'
  }
  if (output.valueSats === 0n || output.valueSats !== valueSats) {
    return `active outpoint value is ${output.valueSats} sat, want the plan's ${valueSats} sat`
  }
  const scriptHash = `0x${toHex(sha256(output.script))}`
  return outpoint.scriptHash === '' || sameHex(outpoint.scriptHash, scriptHash)
    ? undefined
    : 'active outpoint scriptHash does not match its script'
}

/** @param causes why no source answered; clients are told the kinds, the log gets the first error */
export function awayVerdict(
  causes: readonly BitcoinFault[],
): Extract<OutputVerdict, { kind: 'defer' }> {
  const kinds = [...new Set(causes.map(({ kind }) => kind))].join(', ')
  const [first] = causes
  return {
    kind: 'defer',
    detail: `Bitcoin backend is unavailable (${kinds}); the job is tried again`,
    ...(first === undefined ? {} : { cause: first.error }),
  }
}
