import { StoreFailed } from '../../base/persistence.js'
import { type FinalTransition, isFinal, type Job } from '../../covenant/job.js'
import type { Claim, IntendOutcome, Intent, Lease, SettleOutcome } from '../../covenant/store.js'
import { type Wait, waiting } from '../job-progress.js'
import { primaryCodeOf } from './classify.js'
import {
  assertLineTakes,
  fenceJob,
  fenceOutpoint,
  intendEntry,
  type JobCore,
  recordIdOf,
  settleEntry,
} from './jobs-core.js'
import { isFence, loadJob } from './jobs-find.js'
import { restoreIntent } from './jobs-heal.js'
import {
  assembleJob,
  decodeIntent,
  decodeResult,
  encodeIntent,
  encodeRelease,
  encodeResult,
  encodeUpdate,
  type IntentRow,
  type JobRow,
  type MovingPart,
  transitionText,
} from './jobs-rows.js'
import { sql } from './jobs-sql.js'
import { inTurn } from './jobs-turns.js'
import type { Written } from './jobs-write-queue.js'

/** Leases jobs that are due; those whose record is damaged are set aside instead. */
export function claimJobs(
  core: JobCore,
  owner: string,
  nowMs: number,
  limit: number,
): readonly Claim[] {
  const claims: Claim[] = []
  while (claims.length < limit) {
    const seq = core.schedule.take(nowMs)
    if (seq === undefined) break
    const claim = claimJob(core, seq, owner)
    if (claim !== undefined) claims.push(claim)
  }
  return claims
}

function claimJob(core: JobCore, seq: bigint, owner: string): Claim | undefined {
  if (core.fences.get(recordIdOf(seq)) !== undefined) return undefined
  const reading = core.tables.expectedJob(seq)
  if (reading.kind !== 'row') {
    const line = core.witness.accepted(seq)
    if (line !== undefined) fenceJob(core, seq, line, 'its record is lost or damaged')
    return undefined
  }
  const { row } = reading
  if (isFinal(row.state) || row.held || core.leases.has(row.requestId)) return undefined
  // A file that was set aside says something else of this key: it goes on when that is resolved.
  if (core.fences.byKey(row.route, row.routeRequestId) !== undefined) return undefined
  const job = loadJob(core, row)
  if (isFence(job)) return undefined
  const intent = recordedFor(core, job)
  const recorded = intent === undefined ? undefined : intentOf(intent)
  return { job, lease: core.leases.grant(job, owner), intent: recorded }
}

/** The intent of a job in either witness; one that the database lost is written again. */
function recordedFor(core: JobCore, job: Job): IntentRow | undefined {
  const reading = core.tables.intentOfJob(job.seq)
  if (reading.kind === 'row') return reading.row
  for (const seq of core.witness.intentsOn(job.outpoint)) {
    const known = core.tables.intent(seq)
    const intent = known.kind === 'row' ? known.row : restoreIntent(core, seq)
    if (intent?.jobSeq === job.seq && intent.releasedSeq === undefined) return intent
  }
  return undefined
}

export function intentOf({ outpoint, sighash, unsignedTransaction }: IntentRow): Intent {
  return { outpoint, sighash, unsignedTransaction }
}

/**
 * Records what is about to be signed, one intent for an outpoint at a time.
 *
 * @remarks Two of one batch would have the database's index as their only judge: the ledger knows of the first one
 * only once it is committed, and an index with one flipped bit takes both.
 */
export function recordIntent(core: JobCore, lease: Lease, intent: Intent): Promise<IntendOutcome> {
  return inTurn(core.intending, [intent.outpoint], () =>
    core.queue.add('intend', (seq) => insertIntent(core, seq, lease, intent)),
  )
}

/** Part of a batch. */
function insertIntent(
  core: JobCore,
  seq: bigint,
  lease: Lease,
  intent: Intent,
): Written<IntendOutcome> {
  const job = core.leases.jobOf(lease)
  if (job === undefined) return { answer: { kind: 'stale' } }
  assertLineTakes(intent.unsignedTransaction)
  const held = holderOf(core, intent)
  if (held !== undefined) return { answer: held }
  const values = encodeIntent(seq, job.seq, intent)
  try {
    core.connection.run(sql.insertIntent, ...values)
  } catch (error) {
    if (primaryCodeOf(error) !== 'SQLITE_CONSTRAINT') throw error
    const row = core.connection.row(sql.selectUnreleased, intent.outpoint)
    if (row === undefined) throw error
    return { answer: compareIntents(core, decodeIntent(row), intent) }
  }
  const row = decodeIntent(values)
  const entry = intendEntry(core, row, lease.requestId)
  return {
    answer: { kind: 'recorded' },
    entries: [entry],
    isStored: () => {
      const reading = core.tables.intent(seq)
      return reading.kind === 'row' && reading.row.digest === row.digest
    },
    publish: () => core.witness.addIntent(core.witness.outpointPrint(intent.outpoint), seq),
  }
}

/** What either witness has recorded for the outpoint; undefined when it is free. */
function holderOf(core: JobCore, intent: Intent): IntendOutcome | undefined {
  const fence = core.fences.byOutpoint(intent.outpoint)
  if (fence !== undefined) return { kind: 'fenced', fence }
  for (const seq of core.witness.intentsOn(intent.outpoint)) {
    const row = readIntent(core, seq)
    if (row === undefined)
      return { kind: 'fenced', fence: fenceOutpoint(core, seq, intent.outpoint) }
    if (row.outpoint === intent.outpoint && row.releasedSeq === undefined) {
      return compareIntents(core, row, intent)
    }
  }
  return undefined
}

/** The intent of a sequence; what the database lost is answered from the line. */
function readIntent(core: JobCore, seq: bigint): IntentRow | undefined {
  const reading = core.tables.intent(seq)
  if (reading.kind === 'row') return reading.row
  const line = core.witness.entry(seq)
  if (line?.kind !== 'intend') return undefined
  return decodeIntent(encodeIntent(seq, line.job, line))
}

function compareIntents(core: JobCore, held: IntentRow, intent: Intent): IntendOutcome {
  if (held.sighash === intent.sighash) return { kind: 'same' }
  const job = core.tables.job(held.jobSeq)
  const requestId =
    job.kind === 'row' ? job.row.requestId : core.witness.accepted(held.jobSeq)?.requestId
  if (requestId !== undefined) return { kind: 'conflict', requestId }
  return { kind: 'fenced', fence: fenceOutpoint(core, held.seq, intent.outpoint) }
}

/** Ends a job; part of a batch. */
export function settleJob(
  core: JobCore,
  seq: bigint,
  lease: Lease,
  transition: FinalTransition,
  options: { readonly releaseIntent: boolean; readonly at: string },
): Written<SettleOutcome> {
  const leased = core.leases.jobOf(lease)
  const row = leased && leasedRow(core, leased)
  if (leased === undefined || row === undefined) return { answer: { kind: 'stale' } }
  const intent = options.releaseIntent ? core.tables.intentOfJob(row.seq) : undefined
  const released = intent?.kind === 'row' ? intent.row : undefined
  const result = {
    seq,
    jobSeq: row.seq,
    transition,
    updatedAt: options.at,
    releasedIntent: released !== undefined,
  }
  const values = encodeResult(result)
  assertLineTakes(transitionText(transition))
  core.connection.run(sql.insertResult, ...values)
  if (released !== undefined) {
    core.connection.run(sql.releaseIntent, ...encodeRelease(released.seq, seq))
  }
  const moving = {
    state: transition.state,
    detail: '',
    updatedAt: options.at,
    attempts: row.attempts,
    nextAtMs: 0,
    held: false,
    settleSeq: seq,
  }
  update(core, row, moving)
  const ended = decodeResult(values)
  return {
    answer: { kind: 'settled', job: assembleJob({ ...row, ...moving }, leased, ended) },
    entries: [settleEntry(ended, row.requestId)],
    isStored: () => isUpdated(core, row.seq, moving),
    publish: () => {
      core.leases.end(lease)
      if (released !== undefined) core.witness.removeIntent(released.outpoint, released.seq)
    },
  }
}

/** Puts a job back to wait; part of a batch. */
export function deferJob(core: JobCore, lease: Lease, wait: Wait): Written<SettleOutcome> {
  const leased = core.leases.jobOf(lease)
  const row = leased && leasedRow(core, leased)
  if (leased === undefined || row === undefined) return { answer: { kind: 'stale' } }
  const moving = { ...waiting(wait, row.held), settleSeq: undefined }
  update(core, row, moving)
  return {
    answer: { kind: 'settled', job: assembleJob({ ...row, ...moving }, leased) },
    isStored: () => isUpdated(core, row.seq, moving),
    publish: () => {
      core.leases.end(lease)
      if (!row.held) core.schedule.set(row.seq, wait.nextAtMs)
    },
  }
}

/** The row of a leased job; undefined when the job has ended already. */
function leasedRow(core: JobCore, { seq }: Job): JobRow | undefined {
  const reading = core.tables.job(seq)
  if (reading.kind === 'row') return isFinal(reading.row.state) ? undefined : reading.row
  const cause = new RangeError('job: its record was damaged while it was leased')
  throw new StoreFailed('job store: leased job', 'fatal', { cause })
}

function update(core: JobCore, row: JobRow, moving: MovingPart): void {
  core.connection.run(sql.updateJob, ...encodeUpdate(row, moving))
}

export function isUpdated(core: JobCore, seq: bigint, moving: MovingPart): boolean {
  const reading = core.tables.job(seq)
  if (reading.kind !== 'row') return false
  const { state, detail, updatedAt, attempts, nextAtMs, settleSeq } = reading.row
  return (
    state === moving.state &&
    detail === moving.detail &&
    updatedAt === moving.updatedAt &&
    attempts === moving.attempts &&
    nextAtMs === moving.nextAtMs &&
    settleSeq === moving.settleSeq
  )
}
