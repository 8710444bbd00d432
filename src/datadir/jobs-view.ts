import { constants, copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { neverAborted } from '../base/abort.js'
import { DataDirLocked, holdIfFree } from '../base/directory-lock.js'
import { errnoOf } from '../base/durable-file.js'
import { listedMax } from '../base/limits.js'
import { StoreFailed } from '../base/persistence.js'
import { JobNotFound, requireFound } from '../covenant/answer.js'
import { canonicalRequest } from '../covenant/digest.js'
import {
  isFinal,
  type Job,
  type JobState,
  type RequestId,
  type StepResult,
  stepResult,
} from '../covenant/job.js'
import type { Intent, JobStore } from '../covenant/store.js'
import { openSqliteJobStore } from '../store/sqlite/index.js'
import { findJobFiles, type JobFiles } from './job-files.js'
import { readTimeline, type TimelineEntry } from './job-timeline.js'
import { databaseFiles, layoutOf } from './layout.js'

/** Jobs in the order they were accepted. */
export type JobList = {
  readonly jobs: readonly Job[]
  /** The sequence to go on after; undefined at the end. */
  readonly next: bigint | undefined
  /** Records that were set aside; their jobs are not listed. */
  readonly quarantined: number
}

/** One job with all that is known of it. */
export type JobView = {
  readonly job: Job
  readonly timeline: readonly TimelineEntry[]
  /** What was, or is about to be, signed; undefined when nothing was recorded or its outpoint was freed. */
  readonly intent: Intent | undefined
  /** What a client is told; undefined before the job has ended. */
  readonly result: StepResult | undefined
  /** Lossless JSON text of the normalised request. */
  readonly canonicalRequest: string
}

/**
 * Lists jobs of a data directory, and changes nothing in it.
 *
 * @param query.limit at most 10,000
 * @throws DataDirLocked, and what opening a store throws
 */
export async function listJobs(
  directory: string,
  query: {
    readonly state: JobState | undefined
    readonly after: bigint | undefined
    readonly limit: number
  },
): Promise<JobList> {
  const files = findJobFiles(directory)
  if (files === undefined) return { jobs: [], next: undefined, quarantined: 0 }
  const { state, after, limit } = query
  return withCopy(files, async (store) => {
    const jobs = await store.list({
      limit,
      ...(state === undefined ? {} : { state }),
      ...(after === undefined ? {} : { afterSeq: after }),
    })
    const quarantined = (await store.listQuarantined(listedMax)).length
    const next = jobs.length === limit ? jobs.at(-1)?.seq : undefined
    return { jobs, next, quarantined }
  })
}

/**
 * Reads one job of a data directory, and changes nothing in it.
 *
 * @throws JobNotFound, KeyFenced, DataDirLocked, and what opening a store throws
 */
export async function viewJob(directory: string, id: RequestId): Promise<JobView> {
  const files = findJobFiles(directory)
  if (files === undefined) throw new JobNotFound()
  return withCopy(files, async (store) => {
    const job = requireFound(await store.find(id))
    const held = await store.findIntent(job.outpoint)
    const timeline = await readTimeline(files.root, job)
    return {
      job,
      timeline,
      intent: held?.requestId === id ? held : undefined,
      result: isFinal(job.state) ? stepResult(job) : undefined,
      canonicalRequest: canonicalRequest(job.request),
    }
  })
}

/**
 * Opens a private copy of a job store, since opening the store itself writes to it, and the ledger stays whole.
 *
 * @remarks The directory is held meanwhile, so that nobody writes what is being copied.
 */
async function withCopy<T>(files: JobFiles, look: (store: JobStore) => Promise<T>): Promise<T> {
  const lock = holdIfFree(files.root)
  if (lock === 'held') throw new DataDirLocked(files.root)
  let copy: string | undefined
  try {
    copy = mkdtempSync(join(tmpdir(), 'holdfast-jobs-'))
    copyFiles(files, copy)
    const store = await openSqliteJobStore(copy)
    try {
      // A store that takes no new keys still tells what it has.
      await store.ready(neverAborted).catch(() => undefined)
      return await look(store)
    } finally {
      await store.close()
    }
  } finally {
    if (copy !== undefined) rmSync(copy, { recursive: true, force: true })
    if (typeof lock === 'object') lock.release()
  }
}

function copyFiles({ root, segments }: JobFiles, to: string): void {
  const paths = [...databaseFiles(layoutOf(root).jobs), ...segments.map(({ path }) => path)]
  for (const path of paths) {
    try {
      copyFileSync(path, join(to, basename(path)), constants.COPYFILE_FICLONE)
    } catch (cause) {
      if (errnoOf(cause) === 'ENOENT') continue
      throw new StoreFailed('job store: copying it to read from', 'transient', { cause })
    }
  }
}
