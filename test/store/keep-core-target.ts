import { isFinal, type Job, type RequestId } from '../../src/covenant/job.js'
import type { Intent, QuarantineRecord } from '../../src/covenant/store.js'
import { JobFences, keyText } from '../../src/store/job-fences.js'
import {
  type ImportedRecord,
  type ImportOutcome,
  type ImportSummary,
  type ImportTarget,
  judgeImport,
} from '../../src/store/keep-core/import-target.js'

export type RecordedIntent = Intent & { readonly requestId: RequestId }

/** A store that takes imports, in memory; what it holds outlives every import that was stopped. */
export type MemoryTarget = ImportTarget & {
  readonly jobs: Map<RequestId, Job>
  readonly intents: Map<string, RecordedIntent>
  readonly records: Map<string, ImportedRecord>
  readonly summaries: ImportSummary[]
  /** Imports that were begun and not ended. */
  readonly open: Set<string>
  /** Changes that were made. */
  writes: number
  /** Whether a key could be taken by a new submit now. */
  takes(route: Job['route'], routeRequestId: string): boolean
  list(query: { readonly afterSeq?: bigint; readonly limit: number }): Promise<readonly Job[]>
  listQuarantined(limit: number): Promise<readonly QuarantineRecord[]>
}

export function memoryTarget(): MemoryTarget {
  const jobs = new Map<RequestId, Job>()
  const intents = new Map<string, RecordedIntent>()
  const records = new Map<string, ImportedRecord>()
  const open = new Set<string>()
  const fences = new JobFences()
  const byKey = (job: Pick<Job, 'route' | 'routeRequestId'>): Job | undefined => {
    const text = keyText(job.route, job.routeRequestId)
    return [...jobs.values()].find((one) => keyText(one.route, one.routeRequestId) === text)
  }
  const target: MemoryTarget = {
    ...{ jobs, intents, records, open, summaries: [], writes: 0 },
    async findKey(id) {
      const job = jobs.get(id)
      if (job === undefined) return undefined
      const { route, routeRequestId, outpoint } = job
      return { key: { route, routeRequestId }, outpoint }
    },
    async beginImport(importId) {
      if (open.has(importId)) return
      open.add(importId)
      target.writes += 1
    },
    async importJob(imported): Promise<ImportOutcome> {
      const { identity, progress } = imported
      const known = jobs.get(identity.requestId) ?? byKey(identity)
      const judged = known === undefined ? 'new' : judgeImport(known, imported)
      if (known !== undefined && judged === 'conflict') {
        return { kind: 'conflict', requestId: known.requestId, reason: 'it is another job' }
      }
      const fence =
        fences.byKey(identity.route, identity.routeRequestId) ??
        fences.byRequestId(identity.requestId)
      if (fence !== undefined) return { kind: 'fenced', fence }
      if (judged === 'present') return { kind: 'present' }
      target.writes += 1
      const seq = known?.seq ?? BigInt(jobs.size + 1)
      jobs.set(identity.requestId, { ...identity, ...progress, seq })
      for (const intent of imported.intents) {
        if (intents.has(intent.outpoint)) continue
        intents.set(intent.outpoint, { ...intent, requestId: identity.requestId })
      }
      return { kind: judged === 'new' ? 'imported' : 'advanced' }
    },
    async setAside(record) {
      if (records.has(record.id)) return 'present'
      target.writes += 1
      records.set(record.id, record)
      fences.add(record)
      return 'recorded'
    },
    async endImport(importId, summary) {
      if (!open.has(importId)) throw new RangeError('target: this import was not begun')
      open.delete(importId)
      target.summaries.push(summary)
    },
    takes(route, routeRequestId) {
      const closed = open.size > 0 || fences.everyNewKey !== undefined
      const fenced = fences.byKey(route, routeRequestId) !== undefined
      return !closed && !fenced && byKey({ route, routeRequestId }) === undefined
    },
    async list({ afterSeq = 0n, limit }) {
      const found = [...jobs.values()].filter((job) => job.seq > afterSeq)
      return found.sort((a, b) => (a.seq < b.seq ? -1 : 1)).slice(0, limit)
    },
    listQuarantined: async (limit) => [...records.values()].slice(0, limit),
  }
  return target
}

/** What a target holds, without the order and the times of the imports that filled it. */
export function contentsOf({ jobs, intents, records, open }: MemoryTarget): unknown {
  const sorted = <T>(map: ReadonlyMap<string, T>): [string, T][] =>
    [...map].sort(([a], [b]) => (a < b ? -1 : 1))
  return {
    jobs: sorted(jobs).map(([, { seq: _, ...job }]) => job),
    intents: sorted(intents),
    records: sorted(records).map(([, { foundAtMs: _, ...record }]) => record),
    open: [...open],
    unfinished: [...jobs.values()].filter(({ state, held }) => !isFinal(state) && !held),
  }
}
