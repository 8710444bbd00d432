import type { Job, JobIdentity } from '../../covenant/job.js'
import { initialProgress } from '../job-progress.js'
import type { AcceptEntry } from '../ledger-entry.js'
import { looksDamaged } from './classify.js'
import { type JobCore, recordIdOf } from './jobs-core.js'
import {
  encodeIntent,
  encodeJob,
  encodeRequest,
  encodeResult,
  fixedDigestOf,
  type IntentRow,
  type JobRow,
  type ResultRow,
} from './jobs-rows.js'
import { sql } from './jobs-sql.js'
import { commitOrSettle } from './settle.js'

/**
 * Rebuilds the row of a fenced key from its line and the request that came again.
 *
 * @returns undefined unless the line has exactly these digests
 */
export function healJob(core: JobCore, job: JobIdentity): Job | undefined {
  const [fence, ...others] = core.fences.closing(job.route, job.routeRequestId)
  const [, digits] = /^job-(\d+)$/.exec(fence ?? '') ?? []
  // What somebody set aside besides is not healed by the job's own request.
  if (digits === undefined || others.length > 0) return undefined
  const seq = BigInt(digits)
  const line = core.witness.accepted(seq)
  const identity = line && restoredIdentity(seq, line, job)
  if (identity === undefined || core.retired.has(recordIdOf(seq))) return undefined
  return rebuild(core, seq, identity)
}

/** The job as it was accepted; undefined unless it has the digests of the line. */
export function restoredIdentity(
  seq: bigint,
  line: AcceptEntry,
  job: JobIdentity,
): JobIdentity | undefined {
  if (line.requestDigest !== job.requestDigest) return undefined
  const { requestId, createdAt, depositorEthAddress } = line
  const identity = { ...job, requestId, createdAt, depositorEthAddress }
  return fixedDigestOf(seq, identity) === line.rowDigest ? identity : undefined
}

/** Puts a job's rows in place of what is left of them and opens its key again. */
export function rebuild(core: JobCore, seq: bigint, identity: JobIdentity): Job | undefined {
  const kept = core.tables.job(seq)
  if (kept.kind === 'row' && kept.row.fixedDigest === fixedDigestOf(seq, identity)) {
    return rebuildRequest(core, kept.row, identity)
  }
  const result = findResult(core, seq)
  const progress = initialProgress(identity.createdAt, core.clock.nowMs())
  const held = result === undefined && core.imports.isHeld(seq)
  const moving =
    result === undefined
      ? { ...progress, held, settleSeq: undefined }
      : {
          ...progress,
          state: result.transition.state,
          updatedAt: result.updatedAt,
          nextAtMs: 0,
          settleSeq: result.seq,
        }
  const { values } = encodeJob(seq, identity, moving)
  try {
    replaceRow(core, 'job', () => {
      core.connection.run('delete from job where seq = ?', seq)
      core.connection.run(sql.insertJob, ...values)
      core.connection.run(sql.replaceRequest, ...encodeRequest(seq, identity.request))
    })
  } catch (error) {
    // The page itself takes no row: the fence stays.
    if (looksDamaged(error) || looksDamaged(causeOf(error))) return undefined
    throw error
  }
  const reading = core.tables.job(seq)
  const job = reading.kind === 'row' ? core.tables.assemble(reading.row) : reading
  if (job.kind !== 'row') return undefined
  core.fences.remove(recordIdOf(seq))
  core.witness.addId(identity.requestId, seq)
  if (result === undefined && !held) core.schedule.set(seq, progress.nextAtMs)
  return job.row
}

/** Only the request was lost: how far the job has come stays as it is. */
function rebuildRequest(core: JobCore, row: JobRow, identity: JobIdentity): Job | undefined {
  const values = encodeRequest(row.seq, identity.request)
  replaceRow(core, undefined, () => core.connection.run(sql.replaceRequest, ...values))
  const job = core.tables.assemble(row)
  if (job.kind !== 'row') return undefined
  core.fences.remove(recordIdOf(row.seq))
  if (row.settleSeq === undefined && !row.held) core.schedule.set(row.seq, row.nextAtMs)
  return job.row
}

/** How a job ended: its result is found by its job, since the job's own row is lost. */
function findResult(core: JobCore, jobSeq: bigint): ResultRow | undefined {
  for (const [seq] of core.connection.rows('select seq from result where job_seq = ?', jobSeq)) {
    const reading = typeof seq === 'bigint' ? core.tables.result(seq) : undefined
    if (reading?.kind === 'row' && reading.row.jobSeq === jobSeq) return reading.row
  }
  return undefined
}

/** Writes a job's result again from its line; true when that was possible. */
export function restoreResult(core: JobCore, row: JobRow): boolean {
  const { settleSeq } = row
  const line = settleSeq === undefined ? undefined : core.witness.entry(settleSeq)
  if (settleSeq === undefined || line?.kind !== 'settle' || line.job !== row.seq) return false
  const { transition, updatedAt, releasedIntent } = line
  const result = { seq: settleSeq, jobSeq: row.seq, transition, updatedAt, releasedIntent }
  const values = encodeResult(result)
  if (values.at(-1) !== line.rowDigest) return false
  replaceRow(core, undefined, () => core.connection.run(sql.insertResult, ...values))
  return true
}

/** Writes an intent again from its line; undefined when the line cannot be read either. */
export function restoreIntent(core: JobCore, seq: bigint): IntentRow | undefined {
  const line = core.witness.entry(seq)
  if (line?.kind !== 'intend') return undefined
  const values = encodeIntent(seq, line.job, line)
  if (values[5] !== line.rowDigest) return undefined
  replaceRow(core, 'intent', () => {
    core.connection.run('delete from intent where seq = ?', seq)
    core.connection.run(sql.insertIntent, ...values)
  })
  const reading = core.tables.intent(seq)
  return reading.kind === 'row' ? reading.row : undefined
}

/** Runs a change that may meet rows whose index entries do not fit them. */
export function replaceRow(
  core: JobCore,
  table: 'job' | 'intent' | undefined,
  change: () => void,
): void {
  const run = (): 1 => {
    change()
    return 1
  }
  // All changes made here can be made again, so a doubtful one counts as not made.
  const write = { what: 'restore', run, readBack: () => undefined }
  try {
    commitOrSettle(core.connection, write)
  } catch (error) {
    const damaged = looksDamaged(error) || looksDamaged(causeOf(error))
    if (!damaged || table === undefined) throw error
    // A changed column no longer leads to its index entry, which SQLite takes for damage of the index.
    core.tables.reindex(table)
    commitOrSettle(core.connection, write)
  }
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined
}
