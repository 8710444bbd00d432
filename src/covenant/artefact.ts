import { toHex } from '../base/bytes.js'
import { handoffBundle } from './handoff.js'
import type { FinalTransition, Job } from './job.js'
import type { Hex } from './request.js'
import { psbtHash, signedSpend, type UnsignedSpend, verifiesSpend } from './spend.js'
import { checkSpend } from './spend-check.js'
import type { Transaction } from './transaction.js'

/** A finished job, or why a signature makes none, in words for its client. */
export type ArtefactVerdict =
  | { readonly kind: 'good'; readonly transition: FinalTransition }
  | { readonly kind: 'malformed'; readonly detail: string }

/**
 * What a job hands out for a signature: verified, and for self_v1 the whole spend executed.
 *
 * @param signature DER without a sighash type
 */
export function artefactOf(job: Job, spend: UnsignedSpend, signature: Uint8Array): ArtefactVerdict {
  if (!verifiesSpend(spend, signature, job.walletKey as Hex)) {
    return malformed('the signature does not verify against wallet key and sighash')
  }
  return spend.route === 'self_v1'
    ? selfArtefact(job, spend, signedSpend(spend, signature))
    : qcArtefact(job, spend, signature)
}

function selfArtefact(
  { request }: Job,
  spend: UnsignedSpend,
  transaction: Uint8Array,
): ArtefactVerdict {
  const { scriptPubKey, inputValueSats: valueSats } = spend
  const verdict = checkSpend({ transaction, scriptPubKey, valueSats })
  if (verdict.kind === 'refused') {
    return malformed(`the signed transaction does not spend the covenant: ${verdict.reason}`)
  }
  const isPresign = request.requestType === 'presign_self_v1'
  const transition = {
    state: 'ARTIFACT_READY',
    detail: `self_v1 ${isPresign ? 'presign ' : ''}artifact ready`,
    psbtHash: psbtHash(transaction),
    transactionHex: `0x${toHex(transaction)}`,
  } as const
  return { kind: 'good', transition }
}

function qcArtefact(job: Job, spend: UnsignedSpend, signature: Uint8Array): ArtefactVerdict {
  const { requestId, request } = job
  const { destinationCommitmentHash } = request
  const handoff = handoffBundle(spend, signature, { requestId, destinationCommitmentHash })
  const transition = {
    state: 'HANDOFF_READY',
    detail: 'qc_v1 signer handoff ready for custodian coordination',
    handoff,
  } as const
  return { kind: 'good', transition }
}

/**
 * The artefact that a published spend was made from: a crash may have kept it from being recorded, and then it is not
 * to be signed for again.
 *
 * @param published the spend as it is on the chain: the transaction with the spend's id
 * @returns undefined when it is not the spend's own signature on the maturity path
 */
export function publishedArtefact(
  job: Job,
  spend: UnsignedSpend,
  published: Transaction,
): FinalTransition | undefined {
  const witness = published.inputs[0]?.witness ?? []
  // Above the dummy of a multisig the signer's signature is the first one.
  const signature = witness[spend.route === 'self_v1' ? 0 : 1]
  if (signature === undefined) return undefined
  const made = artefactOf(job, spend, signature.subarray(0, -1))
  return made.kind === 'good' ? made.transition : undefined
}

function malformed(detail: string): ArtefactVerdict {
  return { kind: 'malformed', detail }
}
