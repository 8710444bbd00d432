import { isFinal, type Job, type Outpoint, type RequestId } from '../covenant/job.js'
import type { Intent, QuarantineDetail, QuarantineRecord, Resolution } from '../covenant/store.js'
import { type JobFences, keyText, rawSummary } from './job-fences.js'
import { ResolutionRefused } from './job-refusals.js'
import {
  type ImportedJob,
  type ImportedRecord,
  type ImportOutcome,
  judgeImport,
} from './keep-core/import-target.js'

/** What outlives a closed memory store of imports and of files that were set aside. */
export type ImportContents = {
  readonly open: Set<string>
  readonly begun: Set<string>
  /** Every record of a file that was ever kept; `resolved` ones close nothing. */
  readonly files: Map<string, ImportedRecord>
  readonly resolved: Set<string>
}

export function importContents(): ImportContents {
  return { open: new Set(), begun: new Set(), files: new Map(), resolved: new Set() }
}

/** The record that closes every new key while an import runs. */
export function importRecord(importId: string, nowMs: number): QuarantineRecord {
  const reason = 'an import was begun and has not ended'
  return {
    id: importId,
    kind: 'ledger',
    reason,
    blocks: { keys: [], outpoints: [], everyNewKey: true },
    requestId: undefined,
    ...rawSummary(Buffer.from(reason)),
    foundAtMs: nowMs,
    state: 'open',
  }
}

/** What importing a job comes to, before anything is written. */
export function judgeMemoryImport(
  known: Job | undefined,
  fences: JobFences,
  job: ImportedJob,
): ImportOutcome | 'new' | 'advance' {
  const { route, routeRequestId, requestId } = job.identity
  const judged = known === undefined ? 'new' : judgeImport(known, job)
  if (known !== undefined && judged === 'conflict') {
    return { kind: 'conflict', requestId: known.requestId, reason: 'it is another job' }
  }
  const fence = fences.byKey(route, routeRequestId) ?? fences.byRequestId(requestId)
  if (fence !== undefined) return { kind: 'fenced', fence }
  if (judged === 'present') return { kind: 'present' }
  return judged === 'new' ? 'new' : 'advance'
}

/** Keeps the first intent of each outpoint. */
export function keepIntents(
  intents: Map<Outpoint, Intent & { readonly requestId: RequestId }>,
  { identity, intents: more }: ImportedJob,
): void {
  for (const intent of more) {
    if (intents.has(intent.outpoint)) continue
    intents.set(intent.outpoint, { ...intent, requestId: identity.requestId })
  }
}

/** What resolving the record of a file comes to: the record that stands afterwards, if one does. */
export function resolveFile(
  record: QuarantineRecord,
  how: Resolution,
  known: Job | undefined,
): { readonly change: string; readonly left: QuarantineRecord | undefined } {
  const { id, blocks } = record
  const [key, ...more] = blocks.keys
  const isOne = key !== undefined && more.length === 0 && !blocks.everyNewKey
  const typed = isOne ? keyText(key.route, key.routeRequestId) : id
  const toRelease = `Release it by typing ${typed}.`
  switch (how.kind) {
    case 'restore':
      throw new ResolutionRefused(id, 'no other witness has its request', toRelease)
    case 'adopt':
      throw new ResolutionRefused(id, 'a store in memory makes no job of a file', toRelease)
    case 'retire': {
      if (blocks.everyNewKey && known === undefined) {
        throw new ResolutionRefused(id, 'nobody knows its key', toRelease)
      }
      const keys = known === undefined ? blocks.keys : [...blocks.keys, known]
      const closed = { ...blocks, keys, everyNewKey: false }
      const left = { ...record, blocks: closed, reason: 'retired: closed for ever' }
      return { change: 'its keys stay closed for ever', left: { ...left, state: 'retired' } }
    }
    case 'release':
      if (how.typedKey === typed) return { change: 'its keys can be used again', left: undefined }
      throw new ResolutionRefused(id, 'another key was typed', `Type ${typed}.`)
  }
}

/** What a store in memory knows of a record. */
export function memoryDetail(
  record: QuarantineRecord,
  raw: Uint8Array,
  line: Job | undefined,
): QuarantineDetail {
  const readable =
    line === undefined
      ? {}
      : {
          ...{ requestId: line.requestId, route: line.route, routeRequestId: line.routeRequestId },
          ...{ requestDigest: line.requestDigest, outpoint: line.outpoint },
        }
  const ended = line !== undefined && isFinal(line.state)
  const adopt = line === undefined || record.state === 'retired' ? [] : (['adopt'] as const)
  const retire = record.state === 'retired' ? [] : (['retire'] as const)
  return {
    record,
    raw,
    readable,
    witnesses: [
      { name: 'database', says: 'lost or damaged' },
      { name: 'ledger', says: line === undefined ? 'nothing' : ended ? line.state : 'accepted' },
    ],
    ways: [...adopt, ...retire, 'release' as const].map((how) => ({ how, effect: how })),
  }
}
