import type { Clock } from '../../base/clock.js'
import type { FaultPoints } from '../../base/fault-points.js'
import { ledgerLineBytesMax } from '../../base/limits.js'
import type { Logger } from '../../base/log.js'
import { StoreFailed } from '../../base/persistence.js'
import type { Job, JobIdentity, Outpoint } from '../../covenant/job.js'
import type { Fence, QuarantineRecord } from '../../covenant/store.js'
import type { ImportMarks } from '../import-marks.js'
import { fenceOf, type JobFences, rawSummary } from '../job-fences.js'
import type { JobLeases } from '../job-leases.js'
import type { JobSchedule } from '../job-schedule.js'
import type { AcceptEntry, SettleEntry } from '../ledger-entry.js'
import type { AppendedEntry, Ledger } from '../ledger-port.js'
import type { Connection } from './connection.js'
import type { JobMeta } from './jobs-meta.js'
import { rawIntent, rawJob } from './jobs-raw.js'
import type { IntentRow, ResultRow } from './jobs-rows.js'
import type { JobTables } from './jobs-tables.js'
import type { JobWitness } from './jobs-witness.js'
import type { WriteQueue } from './jobs-write-queue.js'

/** What the parts of the SQLite job store share. */
export type JobCore = {
  readonly connection: Connection
  readonly tables: JobTables
  readonly ledger: Ledger
  readonly witness: JobWitness
  readonly fences: JobFences
  readonly schedule: JobSchedule
  readonly leases: JobLeases
  readonly queue: WriteQueue
  readonly replay: ReplayGate
  /** Keys whose accept waits for its commit; the promise never rejects. */
  readonly accepting: Map<string, Promise<unknown>>
  /** Outpoints whose intent waits for its commit; the promise never rejects. */
  readonly intending: Map<string, Promise<unknown>>
  /** Records that were retired: their keys stay closed whatever comes. */
  readonly retired: Set<string>
  /** Records that were released or acknowledged. */
  readonly released: Set<string>
  /** Ids of every record of a file that was ever set aside. */
  readonly setAside: Set<string>
  readonly imports: ImportMarks
  /** Sequences of the `operate` lines that were acted on in this opening. */
  readonly applied: Set<bigint>
  readonly meta: JobMeta
  readonly faults: FaultPoints
  readonly clock: Clock
  readonly logger: Logger
}

/** Whether the ledger was compared with the database in this opening. */
export interface ReplayGate {
  readonly done: boolean
  /** Whether jobs may be answered before that: not while a file that was set aside may close their keys. */
  readonly answersEarly: boolean
  /** Waits for it, bounded. @throws StoreNotReady when it takes too long or failed */
  wait(): Promise<void>
}

/** Why a record that was retired closes its key. */
export const retiredReason = 'retired: closed for ever'

export function recordIdOf(jobSeq: bigint): string {
  return `job-${jobSeq}`
}

/** Closes the key and the outpoint of a job whose record cannot be trusted. */
export function fenceJob(core: JobCore, seq: bigint, line: AcceptEntry, reason: string): Fence {
  const { route, routeRequestId, requestId, outpoint } = line
  const record: QuarantineRecord = {
    id: recordIdOf(seq),
    kind: 'job',
    reason,
    blocks: { keys: [{ route, routeRequestId }], outpoints: [outpoint], everyNewKey: false },
    requestId,
    ...rawSummary(rawJob(core.connection, seq)),
    foundAtMs: core.clock.nowMs(),
    state: core.retired.has(recordIdOf(seq)) ? 'retired' : 'open',
  }
  return putFence(core, record)
}

/** Forbids every new key until an operator looked at the ledger. */
export function fenceEveryKey(core: JobCore, id: string, reason: string): Fence {
  return putFence(core, {
    id,
    kind: 'ledger',
    reason,
    blocks: { keys: [], outpoints: [], everyNewKey: true },
    requestId: undefined,
    ...rawSummary(Buffer.from(reason)),
    foundAtMs: core.clock.nowMs(),
    state: 'open',
  })
}

/** Closes an outpoint whose intent cannot be read in either witness. */
export function fenceOutpoint(core: JobCore, seq: bigint, outpoint: Outpoint): Fence {
  return putFence(core, {
    id: `intent-${seq}`,
    kind: 'intent',
    reason: 'what was recorded for its outpoint cannot be read',
    blocks: { keys: [], outpoints: [outpoint], everyNewKey: false },
    requestId: undefined,
    ...rawSummary(rawIntent(core.connection, seq)),
    foundAtMs: core.clock.nowMs(),
    state: 'open',
  })
}

function putFence(
  { fences, released, schedule, logger }: JobCore,
  record: QuarantineRecord,
): Fence {
  const known = fences.get(record.id)
  if (known !== undefined) return fenceOf(known)
  // What an operator let go stays so, also when the difference is seen again.
  if (released.has(record.id)) return fenceOf(record)
  fences.add(record)
  const [, seq] = /^job-(\d+)$/.exec(record.id) ?? []
  if (seq !== undefined) schedule.remove(BigInt(seq))
  logger.warn({ record: record.id, reason: record.reason }, 'job store: a record was set aside')
  return fenceOf(record)
}

/** Bytes that a line needs besides its longest text, amply. */
const lineRestBytes = 64 * 1024

/**
 * Checks before anything is written that the ledger will take a line with this text.
 *
 * @throws StoreFailed with kind `constraint`
 */
export function assertLineTakes(text: string): void {
  const bytesMax = ledgerLineBytesMax - lineRestBytes
  // No character takes more than six bytes, so most texts need not be measured.
  if (6 * text.length <= bytesMax || Buffer.byteLength(JSON.stringify(text)) <= bytesMax) return
  const cause = new RangeError(`ledger line: a text of ${text.length} characters is too long`)
  throw new StoreFailed('job store: write', 'constraint', { cause })
}

/** The line that accepts a job. */
export function acceptEntry(
  { witness }: JobCore,
  job: Omit<JobIdentity, 'request'>,
  fixedDigest: string,
): AcceptEntry {
  const { route, routeRequestId, requestId, requestDigest, outpoint } = job
  return {
    kind: 'accept',
    print: witness.keyPrint(route, routeRequestId),
    outpointPrint: witness.outpointPrint(outpoint),
    rowDigest: fixedDigest,
    route,
    routeRequestId,
    requestId,
    requestDigest,
    outpoint,
    depositorEthAddress: job.depositorEthAddress,
    createdAt: job.createdAt,
  }
}

/** The line that records an intent. */
export function intendEntry(
  { witness }: JobCore,
  row: IntentRow,
  requestId: Job['requestId'],
): AppendedEntry {
  const { outpoint, sighash, unsignedTransaction } = row
  return {
    kind: 'intend',
    job: row.jobSeq,
    outpointPrint: witness.outpointPrint(outpoint),
    rowDigest: row.digest,
    requestId,
    outpoint,
    sighash,
    unsignedTransaction,
  }
}

/** The line that ends a job. */
export function settleEntry(row: ResultRow, requestId: Job['requestId']): SettleEntry {
  const { jobSeq, transition, updatedAt, releasedIntent } = row
  return {
    kind: 'settle',
    job: jobSeq,
    rowDigest: row.digest,
    requestId,
    transition,
    updatedAt,
    releasedIntent,
  }
}
