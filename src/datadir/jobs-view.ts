import { listedMax } from '../base/limits.js'
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
import type { Route } from '../covenant/request.js'
import type { Intent } from '../covenant/store.js'
import { withJobCopy } from './job-copy.js'
import { findJobFiles } from './job-files.js'
import { readTimeline, type TimelineEntry } from './job-timeline.js'

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
    readonly route: Route | undefined
    readonly after: bigint | undefined
    readonly limit: number
  },
): Promise<JobList> {
  const files = findJobFiles(directory)
  if (files === undefined) return { jobs: [], next: undefined, quarantined: 0 }
  const { state, route, after, limit } = query
  return withJobCopy(files, async (store) => {
    const jobs = await store.list({
      limit,
      ...(state === undefined ? {} : { state }),
      ...(route === undefined ? {} : { route }),
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
  return withJobCopy(files, async (store) => {
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
