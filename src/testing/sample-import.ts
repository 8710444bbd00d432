import { isFinal, type JobProgress } from '../covenant/job.js'
import { rawSummary } from '../store/job-fences.js'
import type { ImportedJob, ImportedRecord } from '../store/keep-core/import-target.js'
import { sampleIntent, sampleJob } from './sample-job.js'

/** A sample job as another service would hand it over: unfinished, so that it waits here. */
export function sampleImport(number: number, changes: Partial<JobProgress> = {}): ImportedJob {
  const identity = sampleJob(number)
  const progress: JobProgress = {
    state: 'PENDING',
    detail: 'accepted elsewhere',
    updatedAt: '2026-01-03T00:00:00Z',
    attempts: 0,
    nextAtMs: 0,
    ...changes,
    held: !isFinal(changes.state ?? 'PENDING'),
  }
  return { identity, progress, intents: [] }
}

/** The same with a result, and with what was signed for it. */
export function sampleReadyImport(number: number, transactionHex = '0x0203'): ImportedJob {
  const at = '2026-01-03T00:00:01Z'
  const result = {
    state: 'ARTIFACT_READY',
    transactionHex,
    completedAt: at,
    updatedAt: at,
  } as const
  const job = sampleImport(number, { ...result, detail: 'signed elsewhere' })
  return { ...job, intents: [sampleIntent(job.identity)] }
}

/** The record of a file that was set aside; without `number` nobody knows its key. */
export function sampleRecord(text: string, number?: number): ImportedRecord {
  const raw = Buffer.from(text)
  const job = number === undefined ? undefined : sampleJob(number)
  const keys = job && [{ route: job.route, routeRequestId: job.routeRequestId }]
  const summary = rawSummary(raw)
  return {
    id: `file-${summary.sha256.slice(0, 16)}`,
    kind: 'file',
    reason: 'a.json: it ends too early',
    blocks: {
      keys: keys ?? [],
      outpoints: job === undefined ? [] : [job.outpoint],
      everyNewKey: job === undefined,
    },
    requestId: undefined,
    ...summary,
    foundAtMs: 1,
    state: 'open',
    raw,
  }
}
