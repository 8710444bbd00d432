import type { Job, RequestId } from '../../covenant/job.js'
import type { Route } from '../../covenant/request.js'
import type { Fence, FindOutcome } from '../../covenant/store.js'
import { acceptEntry, fenceJob, type JobCore } from './jobs-core.js'
import { restoreResult } from './jobs-heal.js'
import type { JobRow } from './jobs-rows.js'

/** What both witnesses say of a key or an id. */
export type Located =
  | { readonly kind: 'row'; readonly row: JobRow }
  | { readonly kind: 'fenced'; readonly fence: Fence }
  | { readonly kind: 'absent' }

/** Looks a key up in both witnesses; once the ledger was replayed. */
export function locateByKey(core: JobCore, route: Route, routeRequestId: string): Located {
  const fence = core.fences.byKey(route, routeRequestId)
  if (fence !== undefined) return { kind: 'fenced', fence }
  const seqs = core.witness.jobsByKey(route, routeRequestId)
  return locate(core, seqs, (job) => job.route === route && job.routeRequestId === routeRequestId)
}

/** Looks an id up in both witnesses; once the ledger was replayed. */
export function locateById(core: JobCore, id: RequestId): Located {
  const fence = core.fences.byRequestId(id)
  if (fence !== undefined) return { kind: 'fenced', fence }
  return locate(core, core.witness.jobsById(id), (job) => job.requestId === id)
}

/** Looks for a job that has the id or the key, whatever closes it; once the ledger was replayed. */
export function locateAny(
  core: JobCore,
  { requestId, route, routeRequestId }: Pick<Job, 'requestId' | 'route' | 'routeRequestId'>,
): Located {
  const { witness } = core
  const seqs = new Set([
    ...witness.jobsById(requestId),
    ...witness.jobsByKey(route, routeRequestId),
  ])
  const isKey = (job: Named): boolean =>
    job.route === route && job.routeRequestId === routeRequestId
  return locate(core, [...seqs], (job) => job.requestId === requestId || isKey(job))
}

type Named = Pick<JobRow, 'route' | 'routeRequestId' | 'requestId'>

function locate(core: JobCore, seqs: readonly bigint[], isMeant: (job: Named) => boolean): Located {
  for (const seq of seqs) {
    const reading = core.tables.expectedJob(seq)
    if (reading.kind === 'row') {
      // Another key may have the same fingerprint.
      if (isMeant(reading.row)) return reading
      continue
    }
    const line = core.witness.accepted(seq)
    if (line === undefined || isMeant(line)) {
      return { kind: 'fenced', fence: fenceReading(core, seq, reading.kind, line) }
    }
  }
  return { kind: 'absent' }
}

function fenceReading(
  core: JobCore,
  seq: bigint,
  kind: 'missing' | 'damaged',
  line: ReturnType<JobCore['witness']['accepted']>,
): Fence {
  const reason = kind === 'missing' ? 'its record is lost' : 'its record is damaged'
  if (line !== undefined) return fenceJob(core, seq, line, reason)
  return { recordId: `job-${seq}`, reason: `${reason}, and the ledger cannot be read there` }
}

/** The whole job of a row, or the fence that closes it because a part of it is damaged. */
export function loadJob(core: JobCore, row: JobRow, source?: Pick<Job, 'request'>): Job | Fence {
  const first = core.tables.assemble(row, source)
  if (first.kind === 'row') return first.row
  if (restoreResult(core, row)) {
    const second = core.tables.assemble(row, source)
    if (second.kind === 'row') return second.row
  }
  const line = core.witness.accepted(row.seq) ?? acceptEntry(core, row, row.fixedDigest)
  return fenceJob(core, row.seq, line, 'its request or its result is damaged')
}

export function isFence(found: Job | Fence): found is Fence {
  return 'recordId' in found
}

/** Finds a job by key or id; one that is whole is answered before the ledger was replayed. */
export async function findJob(
  core: JobCore,
  early: () => JobRow | undefined,
  look: () => Located,
): Promise<FindOutcome> {
  if (!core.replay.done) {
    const row = core.replay.answersEarly ? early() : undefined
    const reading = row === undefined ? undefined : core.tables.assemble(row)
    if (reading?.kind === 'row') return { kind: 'found', job: reading.row }
    await core.replay.wait()
  }
  const located = look()
  if (located.kind !== 'row') return located
  const job = loadJob(core, located.row)
  return isFence(job) ? { kind: 'fenced', fence: job } : { kind: 'found', job }
}
