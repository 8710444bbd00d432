import { StoreFailed } from '../../base/persistence.js'
import type { JobIdentity } from '../../covenant/job.js'
import type { AcceptOutcome } from '../../covenant/store.js'
import { keyText } from '../job-fences.js'
import { initialProgress } from '../job-progress.js'
import { StoreNotReady } from '../job-refusals.js'
import { primaryCodeOf } from './classify.js'
import { acceptEntry, assertLineTakes, type JobCore } from './jobs-core.js'
import { isFence, loadJob, locateByKey } from './jobs-find.js'
import { healJob } from './jobs-heal.js'
import { encodeJob, encodeRequest, type JobRow } from './jobs-rows.js'
import { sql } from './jobs-sql.js'
import type { Written } from './jobs-write-queue.js'

/** Takes a job whose key both witnesses lack, and answers for one that they have. */
export async function acceptJob(core: JobCore, job: JobIdentity): Promise<AcceptOutcome> {
  if (!core.replay.done) {
    const row = core.replay.answersEarly
      ? core.tables.jobByKey(job.route, job.routeRequestId)
      : undefined
    const known = row && judge(core, row, job)
    // A part that is damaged is a matter for both witnesses.
    if (known !== undefined && known.kind !== 'fenced') return known
    await core.replay.wait()
  }
  const key = keyText(job.route, job.routeRequestId)
  for (;;) {
    const located = locateByKey(core, job.route, job.routeRequestId)
    if (located.kind === 'row') return judge(core, located.row, job)
    if (located.kind === 'fenced') {
      const healed = healJob(core, job)
      return healed === undefined ? located : { kind: 'existing', job: healed }
    }
    const under = core.accepting.get(key)
    if (under === undefined) break
    await under
  }
  assertLineTakes(job.routeRequestId)
  assertTakesKeys(core)
  const fence = core.fences.byOutpoint(job.outpoint)
  if (fence !== undefined) return { kind: 'fenced', fence }
  const outcome = core.queue.add('accept', (seq) => insertJob(core, seq, job))
  const settled = outcome.then(
    () => undefined,
    // Whoever waits for the key looks for itself.
    () => undefined,
  )
  core.accepting.set(key, settled)
  try {
    return await outcome
  } finally {
    core.accepting.delete(key)
  }
}

/** @throws StoreNotReady while no new key may be taken */
export function assertTakesKeys({ fences, imports, queue, ledger }: JobCore): void {
  const record = fences.everyNewKey
  if (record !== undefined) {
    const remedy = imports.isOpen(record.id)
      ? 'Run the import again to its end, or give it up by releasing its record.'
      : `Look at ${record.id} among the quarantined records and resolve it.`
    throw new StoreNotReady(record.reason, remedy)
  }
  if (queue.takesLines()) return
  const reason = `the ledger takes no lines, ${ledger.trouble() || 'lines wait to be written'}`
  throw new StoreNotReady(reason, 'Free disk space; writing is tried again every second.')
}

function judge(core: JobCore, row: JobRow, job: JobIdentity): AcceptOutcome {
  if (row.requestDigest !== job.requestDigest) {
    return { kind: 'payloadMismatch', requestId: row.requestId }
  }
  // Equal digests are equal requests, so the stored one need not be read.
  const known = loadJob(core, row, job)
  return isFence(known) ? { kind: 'fenced', fence: known } : { kind: 'existing', job: known }
}

function insertJob(core: JobCore, seq: bigint, job: JobIdentity): Written<AcceptOutcome> {
  const progress = initialProgress(job.createdAt, core.clock.nowMs())
  const moving = { ...progress, settleSeq: undefined }
  const { values, fixedDigest } = encodeJob(seq, job, moving)
  try {
    core.connection.run(sql.insertJob, ...values)
  } catch (error) {
    if (primaryCodeOf(error) !== 'SQLITE_CONSTRAINT') throw error
    return { answer: judgeConflict(core, job, error) }
  }
  core.connection.run(sql.replaceRequest, ...encodeRequest(seq, job.request))
  const entry = acceptEntry(core, job, fixedDigest)
  return {
    answer: { kind: 'accepted', job: { ...job, ...progress, seq } },
    entries: [entry],
    isStored: () => {
      const reading = core.tables.job(seq)
      return reading.kind === 'row' && reading.row.fixedDigest === fixedDigest
    },
    publish: () => {
      core.witness.addKey(entry.print, seq)
      core.witness.addId(job.requestId, seq)
      core.schedule.set(seq, progress.nextAtMs)
    },
  }
}

/** The database knows a key or an id that the ledger lacks. */
function judgeConflict(core: JobCore, job: JobIdentity, cause: unknown): AcceptOutcome {
  const row = core.tables.jobByKey(job.route, job.routeRequestId)
  if (row !== undefined) {
    if (row.requestDigest !== job.requestDigest) {
      return { kind: 'payloadMismatch', requestId: row.requestId }
    }
    const known = core.tables.assemble(row, job)
    if (known.kind === 'row') return { kind: 'existing', job: known.row }
  }
  if (core.tables.jobById(job.requestId) !== undefined) {
    throw new StoreFailed('job store: accept', 'constraint', { cause })
  }
  throw new IndexLies(cause)
}

/** An index forbids what no row forbids. */
class IndexLies extends Error {
  readonly code = 'SQLITE_CORRUPT'
  constructor(cause: unknown) {
    super('an index of the job store does not fit its rows', { cause })
  }
}
