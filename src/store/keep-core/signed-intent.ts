import { hash } from 'node:crypto'
import { fromHex, toHex } from '../../base/bytes.js'
import type { JobIdentity, JobProgress, Outpoint } from '../../covenant/job.js'
import type { Hex } from '../../covenant/request.js'
import type { Intent } from '../../covenant/store.js'
import { parseTransaction, type Transaction, witnessSighash } from '../../covenant/transaction.js'

type Signed = { readonly spend: Transaction; readonly witnessScript: Uint8Array }

/**
 * What was signed for a job that is ready; nothing for any other.
 *
 * @remarks Without a transaction that fits the outpoint the intent is a marker: no transaction, and a sighash
 * that belongs to none.
 */
export function signedIntents(identity: JobIdentity, progress: JobProgress): readonly Intent[] {
  if (progress.state !== 'ARTIFACT_READY' && progress.state !== 'HANDOFF_READY') return []
  const { outpoint, requestId, request } = identity
  const signed = signedIn(progress)
  const plan = request.migrationTransactionPlan
  if (signed === undefined || plan === undefined || spentBy(signed.spend) !== outpoint) {
    const sighash: Hex = `0x${hash('sha256', `holdfast: signed elsewhere ${requestId} ${outpoint}`)}`
    return [{ outpoint, sighash, unsignedTransaction: '0x' }]
  }
  const { spend, witnessScript } = signed
  const sighash = witnessSighash(spend, 0, witnessScript, plan.inputValueSats)
  const unsignedTransaction: Hex = `0x${toHex(spend.stripped)}`
  return [{ outpoint, sighash: `0x${toHex(sighash)}`, unsignedTransaction }]
}

/** The one output that a transaction spends by its witness alone; undefined for any other transaction. */
function spentBy({ inputs: [input, ...others] }: Transaction): Outpoint | undefined {
  return others.length === 0 && input?.scriptSig.length === 0 ? input.outpoint : undefined
}

function signedIn({ transactionHex, handoff }: JobProgress): Signed | undefined {
  try {
    if (handoff !== undefined) return signedHandoff(handoff)
    return transactionHex === undefined ? undefined : signedTransaction(transactionHex)
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

/** Witness of a signed spend: signature with its sighash type, selectors, script. */
function signedTransaction(hex: string): Signed | undefined {
  const spend = parseTransaction(bytesOf(hex))
  const witness = spend.inputs[0]?.witness ?? []
  const [signature] = witness
  const witnessScript = witness.at(-1)
  if (signature?.at(-1) !== 1 || witnessScript === undefined || witness.length < 2) return
  return { spend, witnessScript }
}

function signedHandoff(handoff: Readonly<Record<string, unknown>>): Signed | undefined {
  const { unsignedTransactionHex, witnessScript, sighashType } = handoff
  if (typeof unsignedTransactionHex !== 'string' || typeof witnessScript !== 'string') return
  if (sighashType !== 1) return
  return {
    spend: parseTransaction(bytesOf(unsignedTransactionHex)),
    witnessScript: bytesOf(witnessScript),
  }
}

function bytesOf(hex: string): Uint8Array {
  return fromHex(hex.replace(/^0x/, ''))
}
