import { toHex } from '../base/bytes.js'
import type { Job } from '../covenant/job.js'
import type { Intent, QuarantineDetail, QuarantineRecord } from '../covenant/store.js'
import type { JobList, JobView } from './jobs-view.js'
import type { StoreVerification } from './store-verify.js'

/** One job as lists print it in JSON: large numbers are decimal, what it has not is left out. */
export type JobDocument = Pick<
  Job,
  | 'requestId'
  | 'route'
  | 'routeRequestId'
  | 'state'
  | 'detail'
  | 'reason'
  | 'outpoint'
  | 'walletKey'
  | 'createdAt'
  | 'updatedAt'
  | 'completedAt'
  | 'failedAt'
  | 'attempts'
  | 'held'
> & { readonly nextAt?: string; readonly seq: number }

/** Jobs with where the next page begins. */
export type JobsDocument = {
  readonly jobs: readonly JobDocument[]
  /** `null` at the end. */
  readonly next: number | null
  /** Records that were set aside. */
  readonly quarantined: number
}

/** One job with all that is known of it. */
export type JobViewDocument = JobDocument & {
  readonly requestDigest: string
  readonly depositorEthAddress: string
  readonly endBlock?: string
  readonly timeline: readonly {
    readonly at: string
    readonly what: string
    readonly detail: string
    readonly seq?: number
  }[]
  readonly intent: Intent | null
  readonly result: JobView['result'] | null
  readonly canonicalRequest: string
}

/** One quarantined record. */
export type RecordDocument = Pick<
  QuarantineRecord,
  'id' | 'kind' | 'blocks' | 'reason' | 'sha256' | 'state'
> & { readonly size: number; readonly foundAt: string; readonly requestId?: string }

/** Quarantined records, open ones first. */
export type RecordsDocument = { readonly records: readonly RecordDocument[] }

/** One quarantined record with all that is known of it. */
export type RecordViewDocument = RecordDocument &
  Pick<QuarantineDetail, 'readable' | 'witnesses' | 'ways'> & {
    readonly raw: { readonly hex: string; readonly text: string }
  }

/** What `store verify` prints. */
export type VerificationDocument = {
  readonly ok: boolean
  readonly checks: StoreVerification['checks']
  readonly newKeys: boolean | null
  readonly report: Readonly<Record<string, number | boolean>> | null
  readonly fenced: readonly (RecordDocument & { readonly remedy: string })[]
}

export function jobDocument(job: Job): JobDocument {
  const { requestId, route, routeRequestId, state, detail, reason, outpoint, walletKey } = job
  const { createdAt, updatedAt, completedAt, failedAt, attempts, nextAtMs, held, seq } = job
  return {
    ...{ requestId, route, routeRequestId, state, detail },
    ...(reason === undefined ? {} : { reason }),
    ...{ outpoint, walletKey, createdAt, updatedAt },
    ...(completedAt === undefined ? {} : { completedAt }),
    ...(failedAt === undefined ? {} : { failedAt }),
    attempts,
    ...(nextAtMs === 0 ? {} : { nextAt: new Date(nextAtMs).toISOString() }),
    held,
    seq: Number(seq),
  }
}

export function jobsDocument({ jobs, next, quarantined }: JobList): JobsDocument {
  return {
    jobs: jobs.map(jobDocument),
    next: next === undefined ? null : Number(next),
    quarantined,
  }
}

export function jobViewDocument(view: JobView): JobViewDocument {
  const { job, timeline, intent, result, canonicalRequest } = view
  return {
    ...jobDocument(job),
    requestDigest: job.requestDigest,
    depositorEthAddress: job.depositorEthAddress,
    ...(job.endBlock === undefined ? {} : { endBlock: String(job.endBlock) }),
    timeline: timeline.map(({ at, what, detail, seq }) => ({
      ...{ at, what, detail },
      ...(seq === undefined ? {} : { seq: Number(seq) }),
    })),
    intent: intent === undefined ? null : intentDocument(intent),
    result: result ?? null,
    canonicalRequest,
  }
}

export function recordDocument(record: QuarantineRecord): RecordDocument {
  const { id, kind, blocks, reason, sha256, sizeBytes, foundAtMs, state, requestId } = record
  return {
    ...{ id, kind, blocks, reason, sha256, size: sizeBytes },
    foundAt: new Date(foundAtMs).toISOString(),
    state,
    ...(requestId === undefined ? {} : { requestId }),
  }
}

export function recordViewDocument(detail: QuarantineDetail): RecordViewDocument {
  const { record, raw, readable, witnesses, ways } = detail
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(raw)
  return { ...recordDocument(record), raw: { hex: toHex(raw), text }, readable, witnesses, ways }
}

export function verificationDocument(found: StoreVerification): VerificationDocument {
  const { ok, checks, newKeys = null, report, fenced } = found
  const counts = report && { ...report, lines: Number(report.lines), rows: Number(report.rows) }
  return {
    ...{ ok, checks, newKeys, report: counts ?? null },
    fenced: fenced.map((record) => ({ ...recordDocument(record), remedy: record.remedy })),
  }
}

function intentDocument({ outpoint, sighash, unsignedTransaction }: Intent): Intent {
  return { outpoint, sighash, unsignedTransaction }
}
