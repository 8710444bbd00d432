import { hash } from 'node:crypto'
import { unreachable } from '../../base/errors.js'
import { StoreFailed } from '../../base/persistence.js'
import { decodeRequest } from '../../covenant/decode.js'
import { canonicalRequest, requestDigest } from '../../covenant/digest.js'
import {
  isFinal,
  type JobIdentity,
  type Outpoint,
  outpointOf,
  walletKeyOf,
} from '../../covenant/job.js'
import type { Request } from '../../covenant/request.js'
import type {
  Operator,
  QuarantineRecord,
  ReleaseOutcome,
  Resolution,
  ResolveReport,
} from '../../covenant/store.js'
import { keyText } from '../job-fences.js'
import { RecordNotFound, ResolutionRefused } from '../job-refusals.js'
import type { AcceptEntry } from '../ledger-entry.js'
import { timeOf } from '../ledger-line.js'
import { releaseSubject } from './jobs-compare.js'
import type { JobCore } from './jobs-core.js'
import { rebuild, replaceRow, restoredIdentity, restoreIntent } from './jobs-heal.js'
import { encodeOperate, encodeQuarantine, encodeRelease, type IntentRow } from './jobs-rows.js'
import { sql } from './jobs-sql.js'

/** Ends the quarantine of a record; what is done is written to the ledger first. */
export function resolveRecord(
  core: JobCore,
  recordId: string,
  how: Resolution,
  by: Operator,
  dryRun: boolean,
): ResolveReport {
  const record = core.fences.get(recordId)
  if (record === undefined) throw new RecordNotFound(recordId)
  const [, digits] = /^job-(\d+)$/.exec(recordId) ?? []
  const plan =
    digits === undefined
      ? planLedger(core, record, how)
      : planJob(core, record, BigInt(digits), how)
  if (!dryRun) {
    operate(core, by, how.kind, recordId, plan.inTransaction)
    plan.apply()
  }
  return { record, changes: plan.changes, dryRun }
}

type Plan = {
  readonly changes: readonly string[]
  /** Goes into one transaction with the row of the audit trail. */
  readonly inTransaction: () => void
  readonly apply: () => void
}

const nothing = (): void => undefined

function planLedger(core: JobCore, record: QuarantineRecord, how: Resolution): Plan {
  if (how.kind !== 'release') {
    const remedy = `Compare with a backup, then release it by typing ${record.id}.`
    throw new ResolutionRefused(record.id, 'it names no single key', remedy)
  }
  assertTyped(record.id, how.typedKey, record.id)
  return {
    changes: record.blocks.everyNewKey
      ? ['new keys are taken again; keys of lost lines can be used a second time']
      : ['its outpoint can be used again'],
    inTransaction: nothing,
    apply: () => {
      core.released.add(record.id)
      core.fences.remove(record.id)
      if (record.id.startsWith('witness-')) core.ledger.acknowledgeWitness()
    },
  }
}

function planJob(core: JobCore, record: QuarantineRecord, seq: bigint, how: Resolution): Plan {
  const { id } = record
  const line = core.witness.accepted(seq)
  switch (how.kind) {
    case 'adopt':
      return planRebuild(core, record, seq, line, how.request)
    case 'restore': {
      if (how.from === 'backup') {
        const remedy = 'Restore the data directory with "holdfast store restore", or adopt it.'
        throw new ResolutionRefused(id, 'backups are restored as a whole', remedy)
      }
      const body = core.tables.body(seq)
      if (body.kind !== 'row') {
        const remedy = 'Adopt the request as its client sent it, or let the client send it again.'
        throw new ResolutionRefused(id, 'its request is lost and the ledger has no copy', remedy)
      }
      return planRebuild(core, record, seq, line, decodeRequest(Buffer.from(body.row)))
    }
    case 'retire':
      return {
        changes: ['its key and its outpoint stay closed for ever'],
        inTransaction: nothing,
        apply: () => {
          core.retired.add(id)
          core.fences.add({ ...record, reason: 'retired: closed for ever' })
        },
      }
    case 'release': {
      const [key] = record.blocks.keys
      if (key === undefined) throw new ResolutionRefused(id, 'it names no key', 'Retire it.')
      assertTyped(id, how.typedKey, keyText(key.route, key.routeRequestId))
      return {
        changes: [
          'its key can be used again',
          'what was recorded for its outpoint stays, so that no other transaction is signed',
        ],
        inTransaction: () => keepAndDelete(core, record, seq),
        apply: () => {
          core.released.add(id)
          core.retired.delete(id)
          core.fences.remove(id)
          forget(core, seq, line)
        },
      }
    }
    default:
      return unreachable(how)
  }
}

function planRebuild(
  core: JobCore,
  { id }: QuarantineRecord,
  seq: bigint,
  line: AcceptEntry | undefined,
  request: Request,
): Plan {
  const job = line && identityOf(line, request)
  const identity = job && restoredIdentity(seq, line, job)
  if (identity === undefined) {
    const remedy = 'Hand in the request exactly as it was accepted.'
    throw new ResolutionRefused(id, 'the request has not the digests of its line', remedy)
  }
  if (core.retired.has(id)) throw new ResolutionRefused(id, 'it was retired', 'Release it.')
  return {
    changes: ['the job is rebuilt from its request and its line, and goes on'],
    inTransaction: nothing,
    apply: () => {
      if (rebuild(core, seq, identity) !== undefined) return
      const remedy = 'Check the disk, then restore the database from a backup.'
      throw new ResolutionRefused(id, 'the database does not take its row', remedy)
    },
  }
}

/** A request as the service would submit it. */
function identityOf(line: AcceptEntry, request: Request): JobIdentity | undefined {
  const digests = [requestDigest(request), digestAsStored(request)]
  if (!digests.includes(line.requestDigest)) return undefined
  const { route, routeRequestId, requestId, requestDigest: known } = line
  return {
    route,
    routeRequestId,
    requestId,
    requestDigest: known,
    depositorEthAddress: line.depositorEthAddress,
    outpoint: outpointOf(request.activeOutpoint),
    walletKey: walletKeyOf(request.scriptTemplate),
    endBlock: request.signerApproval?.endBlock ?? undefined,
    createdAt: line.createdAt,
    request,
  }
}

function digestAsStored(request: Request): string {
  return `0x${hash('sha256', `covenant-signer-request-v1:${canonicalRequest(request)}`, 'hex')}`
}

function assertTyped(id: string, typed: string, wanted: string): void {
  if (typed === wanted) return
  throw new ResolutionRefused(id, 'another key was typed', `Type ${wanted}.`)
}

/** Writes a line of what somebody did, synced, then its row together with the change. */
function operate(
  core: JobCore,
  by: Operator,
  what: string,
  subject: string,
  change: (seq: bigint) => void,
): void {
  core.connection.assertMayWrite()
  const seq = core.queue.appendSynced({ kind: 'operate', ...by, what, subject })
  const row = { seq, at: timeOf(core.clock.nowMs()), ...by, what, subject }
  try {
    replaceRow(core, what === 'release-intent' ? 'intent' : 'job', () => {
      core.connection.run(sql.insertOperate, ...encodeOperate(row))
      change(seq)
    })
  } catch (cause) {
    // Its line is synced, so the next opening does what the line says.
    throw new StoreFailed('job store: operate', 'transient', { outcome: 'unknown', cause })
  }
}

/** Keeps a copy of a damaged row and takes the job out. */
function keepAndDelete(core: JobCore, record: QuarantineRecord, seq: bigint): void {
  const [row] = core.connection.rows(sql.selectJob, seq)
  const raw = Buffer.from(
    JSON.stringify(row ?? null, (_, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    ),
  )
  core.connection.run(sql.insertQuarantine, ...encodeQuarantine({ ...record, raw }))
  core.connection.run('delete from job where seq = ?', seq)
  core.connection.run('delete from request where seq = ?', seq)
}

/** Takes a released job out that an earlier process did not get to. */
export function deleteJob(core: JobCore, seq: bigint): void {
  if (core.tables.glance(seq).kind !== 'missing') {
    replaceRow(core, 'job', () => {
      core.connection.run('delete from job where seq = ?', seq)
      core.connection.run('delete from request where seq = ?', seq)
    })
  }
  forget(core, seq, core.witness.accepted(seq))
}

function forget(core: JobCore, seq: bigint, line: AcceptEntry | undefined): void {
  core.schedule.remove(seq)
  if (line === undefined) return
  core.witness.removeKey(line.route, line.routeRequestId, seq)
  core.witness.removeId(line.requestId, seq)
}

/** Frees an outpoint by hand. */
export function releaseByHand(core: JobCore, outpoint: Outpoint, by: Operator): ReleaseOutcome {
  const intent = unreleasedOn(core, outpoint)
  if (intent === undefined) return { kind: 'absent' }
  const job = core.tables.job(intent.jobSeq)
  const requestId =
    job.kind === 'row' ? job.row.requestId : core.witness.accepted(intent.jobSeq)?.requestId
  if (job.kind !== 'row' || !isFinal(job.row.state)) {
    if (requestId === undefined) return { kind: 'absent' }
    return { kind: 'jobNotFinal', requestId }
  }
  operate(core, by, 'release-intent', releaseSubject(outpoint, intent.seq), (seq) =>
    core.connection.run(sql.releaseIntent, ...encodeRelease(intent.seq, seq)),
  )
  core.witness.removeIntent(outpoint, intent.seq)
  return { kind: 'released' }
}

/** The intent that holds an outpoint. */
export function unreleasedOn(core: JobCore, outpoint: Outpoint): IntentRow | undefined {
  for (const seq of core.witness.intentsOn(outpoint)) {
    const reading = core.tables.intent(seq)
    const intent = reading.kind === 'row' ? reading.row : restoreIntent(core, seq)
    if (intent?.outpoint === outpoint && intent.releasedSeq === undefined) return intent
  }
  return undefined
}
