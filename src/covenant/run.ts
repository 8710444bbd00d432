import { fromHex } from '../base/bytes.js'
import { HoldfastError, throwIfAborted, unreachable } from '../base/errors.js'
import type { FaultPoints } from '../base/fault-points.js'
import type { Engine, Finished, Prepared } from './engine.js'
import { expiryAt, type HeightGuard } from './height.js'
import type { FailureReason, FinalTransition, Job } from './job.js'
import type { LapseWatch } from './lapse.js'
import { deadline, type Scheduler, within } from './schedule.js'
import type { Signer } from './signer.js'
import type { Claim, IntendOutcome, Intent, JobStore } from './store.js'
import type { Extend, WalletLocks } from './wallet-lock.js'

/** Places in a run where a test can make the product fail, wait or die. */
export const runFaultPoints = [
  'run.prepare',
  'run.intend.before',
  'run.intend.after',
  'run.sign.before',
  'run.sign.after',
  'run.verify.after',
  'run.settle.before',
  'run.settle.after',
  'run.defer.before',
] as const
export type RunFaultPoint = (typeof runFaultPoints)[number]

export type RunDeps = {
  readonly store: JobStore
  readonly engine: Engine
  readonly signer: Signer
  readonly guard: HeightGuard
  readonly lapses: LapseWatch
  readonly locks: WalletLocks
  readonly faults: FaultPoints
  readonly scheduler: Scheduler
  /** How long a job waits for its wallet before it makes room for jobs of other wallets. */
  readonly walletWaitMs: number
}

/** `soon` ends everything that is easily begun again; `last` ends also what follows a recorded intent. */
export type RunSignals = { readonly soon: AbortSignal; readonly last: AbortSignal }

/** Where a try stands; what it says to clients when it stops there. */
export type RunStep = keyof typeof details
const details = {
  prepare: 'the covenant could not be prepared yet; it is tried again',
  wallet: 'waiting for an earlier signing of this wallet',
  certificate: 'the host chain height could not be judged yet; it is tried again',
  confirm: 'the wallet could not be confirmed yet; it is tried again',
  intend: 'the signing could not be recorded yet; it is tried again',
  sign: 'the signer gave no signature yet; it is asked again',
  verify: 'the signature could not be checked yet; it is asked for again',
} as const

/** How a try ends. */
export type Ending =
  | {
      readonly kind: 'settle'
      readonly transition: FinalTransition
      /** The signer was provably never asked, in this try or an earlier one. */
      readonly releaseIntent: boolean
    }
  | {
      readonly kind: 'defer'
      readonly step: RunStep
      readonly detail: string
      readonly cause?: unknown
    }
  /** Somebody else holds the job now. */
  | { readonly kind: 'stale' }

type Try = {
  readonly claim: Claim
  step: RunStep
  /** True from just before the signer is asked; an intent that an earlier try left counts as asked. */
  asked: boolean
}

/** A spend that may be signed once its intent is durable. */
type Spend = Extract<Prepared, { kind: 'sign' }>

/**
 * Tries once to bring a claimed job to its end; writes nothing but the intent.
 *
 * Reads top to bottom as the protocol: facts and unsigned spend, then inside the wallet's lock the height, a last look
 * at the wallet, the intent in both witnesses, the signature, its verification, the height again.
 *
 * @returns how the try ends, for the caller to record. Never rejects: a fault on the way is a passing one.
 */
export async function runJob(deps: RunDeps, claim: Claim, signals: RunSignals): Promise<Ending> {
  const attempt: Try = { claim, step: 'prepare', asked: claim.intent !== undefined }
  try {
    return await advance(deps, attempt, signals)
  } catch (cause) {
    return { kind: 'defer', step: attempt.step, detail: details[attempt.step], cause }
  }
}

async function advance(deps: RunDeps, attempt: Try, signals: RunSignals): Promise<Ending> {
  const { engine, signer, locks } = deps
  const { job, intent } = attempt.claim
  const { soon } = signals
  if (locks.isOverdue(job.walletKey)) {
    return { kind: 'defer', step: 'wallet', detail: details.wallet }
  }
  await pause(deps, 'run.prepare', soon)
  const prepared = await within(engine.prepare(job, soon, intent), soon, 'prepare')
  if (prepared.kind !== 'sign') return endingOf(deps, attempt, prepared, soon)
  const controlled = await within(signer.controls(prepared.publicKey, soon), soon, 'signer')
  if (!controlled) {
    return failure(attempt, 'POLICY_REJECTED', 'wallet is not controlled by this node')
  }
  attempt.step = 'wallet'
  const patience = deadline(deps.scheduler, deps.walletWaitMs, [soon])
  const signing = locks.run(job.walletKey, patience.signal, (extend) =>
    signOnce(deps, attempt, prepared, signals, extend),
  )
  return signing.finally(patience.end)
}

/** Everything that happens while no other job of the wallet is being signed. */
async function signOnce(
  deps: RunDeps,
  attempt: Try,
  prepared: Spend,
  signals: RunSignals,
  extend: Extend,
): Promise<Ending> {
  const { engine, signer, store } = deps
  const { job, lease } = attempt.claim
  const { soon, last } = signals
  const early = await judgeCertificate(deps, attempt, soon)
  if (early !== undefined) return early

  attempt.step = 'confirm'
  const confirmed = await within(engine.confirm(job, prepared.plan, soon), soon, 'confirm')
  if (confirmed.kind !== 'sign') return endingOf(deps, attempt, confirmed, soon)
  const digest = digestOf(job, confirmed)
  throwIfAborted(soon, 'sign')

  attempt.step = 'intend'
  await pause(deps, 'run.intend.before', soon)
  const intended = await store.intend(lease, confirmed.intent)
  await pause(deps, 'run.intend.after', last)
  const refused = refusalOf(intended, attempt, confirmed.intent)
  if (refused !== undefined) return refused

  attempt.step = 'sign'
  await pause(deps, 'run.sign.before', last)
  throwIfAborted(last, 'sign')
  attempt.asked = true
  const context = { requestId: job.requestId }
  const signing = extend(signer.sign(confirmed.publicKey, digest, context, last))
  const signature = await within(signing, last, 'sign')
  await pause(deps, 'run.sign.after', last)

  attempt.step = 'verify'
  const finishing = engine.finish(job, confirmed.plan, signature, last)
  const finished = await within(finishing, last, 'verify')
  await pause(deps, 'run.verify.after', last)
  return endingOf(deps, attempt, finished, last)
}

/** How a job ends whose certificate is not good now; undefined when it is, or when there is none. */
async function judgeCertificate(
  deps: RunDeps,
  attempt: Try,
  signal: AbortSignal,
): Promise<Ending | undefined> {
  const { guard, lapses } = deps
  const { requestId, request } = attempt.claim.job
  const { step } = attempt
  if (request.signerApproval === undefined) return undefined
  const expired = 'signer approval certificate has expired'
  const { endBlock } = request.signerApproval
  attempt.step = 'certificate'
  if (endBlock === null) return failure(attempt, 'AUTH_FAILED', expired)
  const reading = await within(guard.read(signal), signal, 'host chain height')
  switch (expiryAt(reading, endBlock)) {
    case 'timely':
      attempt.step = step
      return undefined
    case 'disputed':
      return { kind: 'defer', step: 'certificate', detail: details.certificate }
    default:
      return lapses.confirm(requestId, endBlock, reading)
        ? failure(attempt, 'AUTH_FAILED', expired)
        : { kind: 'defer', step: 'certificate', detail: expired }
  }
}

/** The 32 bytes to sign. @throws SpendMismatch when the engine would spend or sign with something else than the job's */
function digestOf(job: Job, { intent, publicKey }: Spend): Uint8Array {
  if (intent.outpoint !== job.outpoint) throw new SpendMismatch(job, 'outpoint')
  // The lock is the job's wallet's: another key would be signed with outside of any lock.
  if (publicKey.toLowerCase() !== job.walletKey) throw new SpendMismatch(job, 'wallet key')
  const digest = fromHex(intent.sighash.slice(2))
  if (digest.length !== 32) throw new SpendMismatch(job, 'sighash')
  return digest
}

function refusalOf(outcome: IntendOutcome, attempt: Try, intent: Intent): Ending | undefined {
  switch (outcome.kind) {
    case 'recorded':
    case 'same':
      return undefined
    case 'conflict':
      return failure(attempt, 'POLICY_REJECTED', conflictDetail(attempt.claim.job, outcome, intent))
    case 'fenced': {
      const detail = `the covenant output is closed by quarantine record ${outcome.fence.recordId}`
      return { kind: 'defer', step: 'intend', detail }
    }
    case 'stale':
      return { kind: 'stale' }
    default:
      return unreachable(outcome)
  }
}

function conflictDetail(
  { requestId }: Job,
  holder: { readonly requestId: string },
  { outpoint }: Intent,
): string {
  const who = holder.requestId === requestId ? 'this job' : `job ${holder.requestId}`
  return `covenant output ${outpoint} is already committed to another transaction by ${who}`
}

async function endingOf(
  deps: RunDeps,
  attempt: Try,
  answer: Exclude<Prepared | Finished, { kind: 'sign' }>,
  signal: AbortSignal,
): Promise<Ending> {
  switch (answer.kind) {
    case 'done': {
      // A result whose certificate lapsed while it was made is neither stored nor shown.
      const late = await judgeCertificate(deps, attempt, signal)
      return late ?? { kind: 'settle', transition: answer.transition, releaseIntent: false }
    }
    case 'fail':
      return failure(attempt, answer.reason, answer.detail)
    case 'defer': {
      const { detail, cause } = answer
      return {
        kind: 'defer',
        step: attempt.step,
        detail,
        ...(cause === undefined ? {} : { cause }),
      }
    }
    default:
      return unreachable(answer)
  }
}

function failure(attempt: Try, reason: FailureReason, detail: string): Ending {
  const transition = { state: 'FAILED', reason, detail } as const
  return { kind: 'settle', transition, releaseIntent: !attempt.asked }
}

function pause({ faults }: RunDeps, point: RunFaultPoint, signal: AbortSignal): Promise<void> {
  return within(faults.pause(point), signal, point)
}

/** The engine built a spend that is not the job's; nothing was recorded or signed. */
export class SpendMismatch extends HoldfastError {
  readonly code = 'SpendMismatch'
  constructor({ requestId }: Job, field: 'outpoint' | 'wallet key' | 'sighash') {
    super(`job ${requestId}: the engine built a spend with another ${field}, want the job's own`, {
      retry: 'after-fix',
      remedy: 'This is a fault of the signing engine; report it with the job.',
    })
  }
}
