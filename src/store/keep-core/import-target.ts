import {
  isFinal,
  type Job,
  type JobIdentity,
  type JobProgress,
  type Outpoint,
  type RequestId,
} from '../../covenant/job.js'
import type { Route } from '../../covenant/request.js'
import type { Fence, Intent, Operator, QuarantineRecord } from '../../covenant/store.js'

/** What deduplicates a job. */
export type RouteKey = { readonly route: Route; readonly routeRequestId: string }

/** A job that another service accepted, and how far it came there. */
export type ImportedJob = {
  readonly identity: JobIdentity
  /** Final with its result, or held until an operator resumes it; never due. */
  readonly progress: JobProgress
  /**
   * What was signed for it and for the jobs it superseded. An intent whose `unsignedTransaction` is `0x` is a
   * marker: its sighash belongs to no transaction, so that nothing else can be signed for the outpoint.
   */
  readonly intents: readonly Intent[]
}

/** A file that was set aside, with its bytes as far as they could be read. */
export type ImportedRecord = QuarantineRecord & { readonly raw: Uint8Array }

/** What a store knows of a request id. */
export type KnownJob = { readonly key: RouteKey; readonly outpoint: Outpoint }

export type ImportOutcome =
  | { readonly kind: 'imported' }
  /** The store has this job and knows as much or more of it; nothing was written. */
  | { readonly kind: 'present' }
  /** The store held this job unfinished; it is final now. */
  | { readonly kind: 'advanced' }
  /** The store says something else of this key or id; nothing was written. */
  | { readonly kind: 'conflict'; readonly requestId: RequestId; readonly reason: string }
  | { readonly kind: 'fenced'; readonly fence: Fence }

/** How many files got which verdict. */
export type ImportSummary = {
  readonly loaded: number
  readonly superseded: number
  readonly quarantined: number
  /** SHA-256 over the verdict of every file, as the import reported it. */
  readonly verdictsSha256: string
}

/**
 * The part of a job store that takes over the jobs of another service.
 *
 * @remarks Everything is durable when it resolves, and safe to repeat. The caller holds the data directory alone.
 */
export interface ImportTarget {
  /** The key of an accepted request id, also when it is fenced. */
  findKey(id: RequestId): Promise<KnownJob | undefined>

  /** Closes every new key until `endImport`, also across restarts: half an import must not look complete. */
  beginImport(importId: string, by: Operator): Promise<void>

  /**
   * Takes one job over: its identity, its progress and its intents in one transaction, with the lines `accept`,
   * `intend` and, for a final one, `settle`.
   *
   * @remarks Works while every new key is closed. Judges what it has of the key and the id by `judgeImport`: a
   * conflict is answered before a fence, and a fence before `present`. An intent on an
   * outpoint that has an unreleased one is left out: the outpoint is closed already.
   */
  importJob(job: ImportedJob): Promise<ImportOutcome>

  /** Keeps a record with its bytes and closes what it blocks; `present` when one of its id was ever kept. */
  setAside(record: ImportedRecord): Promise<'recorded' | 'present'>

  /** Writes an `operate` line with the summary and opens what `beginImport` closed. */
  endImport(importId: string, summary: ImportSummary, by: Operator): Promise<void>
}

/**
 * What importing a job means for a store that has `known` under its key or its id.
 *
 * @returns `advance` when the store's job was held and never ran here, and the imported one is final
 */
export function judgeImport(
  known: Job,
  { identity, progress }: ImportedJob,
): 'present' | 'advance' | 'conflict' {
  const same =
    known.requestId === identity.requestId &&
    known.route === identity.route &&
    known.routeRequestId === identity.routeRequestId &&
    known.requestDigest === identity.requestDigest
  if (!same) return 'conflict'
  if (!isFinal(progress.state)) return 'present'
  if (!isFinal(known.state)) return known.held ? 'advance' : 'conflict'
  return sameResult(known, progress) ? 'present' : 'conflict'
}

function sameResult(known: JobProgress, other: JobProgress): boolean {
  return (
    known.state === other.state &&
    known.psbtHash === other.psbtHash &&
    known.transactionHex === other.transactionHex &&
    sorted(known.handoff) === sorted(other.handoff)
  )
}

/** JSON with the keys of every object sorted. */
function sorted(value: unknown): string {
  return (
    JSON.stringify(value, (_, inner: unknown) =>
      typeof inner === 'object' && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
        : inner,
    ) ?? ''
  )
}
