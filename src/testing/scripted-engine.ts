import { fromHex, sha256, toHex } from '../base/bytes.js'
import type { Engine, Finished, Prepared, SourceHeight } from '../covenant/engine.js'
import type { FinalTransition, Job } from '../covenant/job.js'
import type { Hex, Request } from '../covenant/request.js'
import type { Intent } from '../covenant/store.js'
import { verifiesDer } from './scripted-signer.js'
import { type ScriptedStep, scriptedStep } from './scripted-step.js'

/** What `finish` was asked. */
export type FinishAsked = { readonly job: Job; readonly signature: Uint8Array }

/** An engine without chains, whose every answer a test can set. */
export interface ScriptedEngine extends Engine {
  readonly script: {
    readonly prepare: ScriptedStep<Job, Prepared>
    readonly confirm: ScriptedStep<Job, Prepared>
    readonly finish: ScriptedStep<FinishAsked, Finished>
    /** Usual answer: `heightBlocks` from one source. */
    readonly heights: ScriptedStep<undefined, readonly SourceHeight[]>
    /** Usual answer: accepted. Throw an InvalidInput to refuse. */
    readonly verify: ScriptedStep<Request, void>
  }
}

export type ScriptedEngineOptions = {
  /** Height of the host chain; without it the engine has no heights. */
  readonly heightBlocks?: bigint
  /** Whether it verifies signer approval certificates; default false. */
  readonly verifies?: boolean
}

/**
 * Makes an engine that builds a made-up spend for each job, verifies real signatures over it and ends the job.
 *
 * @remarks The spend depends on the outpoint and the plan alone: the same plan gives the same sighash in every job and
 * after every restart, another plan gives another one.
 */
export function scriptedEngine(options: ScriptedEngineOptions = {}): ScriptedEngine {
  const { heightBlocks, verifies = false } = options
  const prepare = scriptedStep<Job, Prepared>(scriptedSpend)
  const confirm = scriptedStep<Job, Prepared>(scriptedSpend)
  const finish = scriptedStep<FinishAsked, Finished>(finishUsually)
  const heights = scriptedStep<undefined, readonly SourceHeight[]>(() => [
    { source: 'scripted', height: heightBlocks ?? 0n },
  ])
  const verify = scriptedStep<Request, void>(() => undefined)
  return {
    script: { prepare, confirm, finish, heights, verify },
    prepare: (job, signal) => prepare.play(job, signal),
    confirm: (job, _plan, signal) => confirm.play(job, signal),
    finish: (job, _plan, signature, signal) => finish.play({ job, signature }, signal),
    ...(heightBlocks === undefined
      ? {}
      : { heights: (signal: AbortSignal) => heights.play(undefined, signal) }),
    ...(verifies
      ? {
          verifySignerApproval: (request: Request, signal: AbortSignal) =>
            verify.play(request, signal),
        }
      : {}),
  }
}

/** The spend that the double builds for a job unless it is told otherwise. */
export function scriptedSpend(job: Job): Extract<Prepared, { kind: 'sign' }> {
  const intent = scriptedIntent(job)
  return { kind: 'sign', intent, publicKey: job.walletKey as Hex, plan: intent }
}

/** The intent of that spend. */
export function scriptedIntent({ outpoint, request }: Job): Intent {
  const plan = request.migrationTransactionPlan?.planCommitmentHash ?? ''
  const body = new TextEncoder().encode(`scripted spend ${outpoint} ${plan}`)
  return {
    outpoint,
    sighash: `0x${toHex(sha256(body))}`,
    unsignedTransaction: `0x${toHex(body)}`,
  }
}

/** How a job ends whose signature is good. */
export function scriptedResult(job: Job, signature: Uint8Array): FinalTransition {
  const { unsignedTransaction, sighash } = scriptedIntent(job)
  if (job.route === 'self_v1') {
    return {
      state: 'ARTIFACT_READY',
      detail: 'self_v1 artifact ready',
      psbtHash: sighash,
      transactionHex: `${unsignedTransaction}${toHex(signature)}`,
    }
  }
  return {
    state: 'HANDOFF_READY',
    detail: 'qc_v1 signer handoff ready for custodian coordination',
    handoff: {
      kind: 'qc_v1_signer_handoff_v1',
      signerRequestId: job.requestId,
      signerSignature: `0x${toHex(signature)}01`,
      unsignedTransactionHex: unsignedTransaction,
    },
  }
}

function finishUsually({ job, signature }: FinishAsked): Finished {
  const digest = fromHex(scriptedIntent(job).sighash.slice(2))
  if (verifiesDer(signature, digest, job.walletKey as Hex)) {
    return { kind: 'done', transition: scriptedResult(job, signature) }
  }
  return { kind: 'defer', detail: 'the signature does not verify' }
}
