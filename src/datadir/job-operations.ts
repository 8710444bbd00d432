import { neverAborted } from '../base/abort.js'
import { listedMax } from '../base/limits.js'
import { JobNotFound, requireFound } from '../covenant/answer.js'
import type { Job, Outpoint, RequestId } from '../covenant/job.js'
import type {
  JobStore,
  Operator,
  QuarantineDetail,
  QuarantineRecord,
  ReleaseOutcome,
  Resolution,
  ResolveReport,
} from '../covenant/store.js'
import { RecordNotFound } from '../store/job-refusals.js'
import { openJobStore } from '../store/sqlite/index.js'
import { withJobCopy } from './job-copy.js'
import { findJobFiles } from './job-files.js'

/** Whether a change is made, or only tried on a copy that is thrown away. */
export type Attempt = { readonly dryRun: boolean; readonly by: Operator }

/** What `resume` did; `notHeld` when there was nothing to do. */
export type Resumed = { readonly kind: 'resumed' | 'notHeld'; readonly job: Job }

/**
 * Lists the quarantined records of a data directory, and changes nothing in it.
 *
 * @throws DataDirLocked, and what opening a store throws
 */
export async function listRecords(
  directory: string,
  limit: number = listedMax,
): Promise<readonly QuarantineRecord[]> {
  const files = findJobFiles(directory)
  return files === undefined ? [] : withJobCopy(files, (store) => store.listQuarantined(limit))
}

/**
 * Reads one quarantined record, and changes nothing.
 *
 * @throws RecordNotFound, DataDirLocked, and what opening a store throws
 */
export async function viewRecord(directory: string, id: string): Promise<QuarantineDetail> {
  const files = findJobFiles(directory)
  const detail = files && (await withJobCopy(files, (store) => store.findQuarantined(id)))
  if (detail === undefined) throw new RecordNotFound(id)
  return detail
}

/**
 * Ends the quarantine of a record, or says what that would change.
 *
 * @throws RecordNotFound, ResolutionRefused, DataDirLocked, and what opening a store throws
 */
export async function resolveRecord(
  directory: string,
  id: string,
  how: Resolution,
  { dryRun, by }: Attempt,
): Promise<ResolveReport> {
  const report = await change(directory, dryRun, (store) => store.resolve(id, how, by, dryRun))
  if (report === undefined) throw new RecordNotFound(id)
  return report
}

/**
 * Lets a held job run.
 *
 * @throws JobNotFound, KeyFenced, DataDirLocked, and what opening a store throws
 */
export async function resumeJob(
  directory: string,
  id: RequestId,
  { dryRun, by }: Attempt,
): Promise<Resumed> {
  const outcome = await change(directory, dryRun, (store) => store.resume(id, by))
  if (outcome === undefined) throw new JobNotFound()
  if (outcome.kind === 'resumed' || outcome.kind === 'notHeld') return outcome
  return { kind: 'notHeld', job: requireFound(outcome) }
}

/** Frees an outpoint by hand. @throws DataDirLocked, and what opening a store throws */
export async function releaseIntent(
  directory: string,
  outpoint: Outpoint,
  { dryRun, by }: Attempt,
): Promise<ReleaseOutcome> {
  const outcome = await change(directory, dryRun, (store) => store.releaseIntent(outpoint, by))
  return outcome ?? { kind: 'absent' }
}

/**
 * Puts the durable maximum of host-chain heights to a value.
 *
 * @returns the value before; undefined when there was none, or there is no job store
 * @throws DataDirLocked, and what opening a store throws
 */
export async function resetHostHeight(
  directory: string,
  height: bigint,
  { dryRun, by }: Attempt,
): Promise<{ readonly before: bigint | undefined; readonly changed: boolean }> {
  const done = await change(directory, dryRun, async (store) => {
    const before = store.hostHeight()
    await store.resetHostHeight(height, by)
    return { before, changed: true }
  })
  return done ?? { before: undefined, changed: false }
}

/** Works on the store itself, or on a copy; `undefined` when the directory has no jobs. */
async function change<T>(
  directory: string,
  dryRun: boolean,
  work: (store: JobStore) => Promise<T>,
): Promise<T | undefined> {
  const files = findJobFiles(directory)
  if (files === undefined) return undefined
  if (dryRun) return withJobCopy(files, work)
  const store = await openJobStore(files.root, { create: false })
  try {
    // A store that takes no new keys still changes what it has.
    await store.ready(neverAborted).catch(() => undefined)
    return await work(store)
  } finally {
    await store.close()
  }
}
