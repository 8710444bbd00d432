import { hash } from 'node:crypto'
import { unreachable } from '../../base/errors.js'
import { decodeRequest } from '../../covenant/decode.js'
import { canonicalRequest, requestDigest } from '../../covenant/digest.js'
import { type JobIdentity, outpointOf, walletKeyOf } from '../../covenant/job.js'
import type { Request } from '../../covenant/request.js'
import type { Operator, QuarantineRecord, Resolution, ResolveReport } from '../../covenant/store.js'
import { keyText } from '../job-fences.js'
import { RecordNotFound, ResolutionRefused } from '../job-refusals.js'
import type { AcceptEntry } from '../ledger-entry.js'
import { type JobCore, retiredReason } from './jobs-core.js'
import { planFile } from './jobs-files.js'
import { rebuild, replaceRow, restoredIdentity } from './jobs-heal.js'
import { operate } from './jobs-operate.js'
import { assertTyped, goOn, nothing, type Plan } from './jobs-plan.js'
import { rawJob } from './jobs-raw.js'
import { encodeQuarantine } from './jobs-rows.js'
import { sql } from './jobs-sql.js'

/** Ends the quarantine of a record; what is done is written to the ledger first. */
export async function resolveRecord(
  core: JobCore,
  recordId: string,
  how: Resolution,
  by: Operator,
  dryRun: boolean,
): Promise<ResolveReport> {
  const record = core.fences.get(recordId)
  if (record === undefined) throw new RecordNotFound(recordId)
  const plan = planResolution(core, record, how)
  if (!dryRun) {
    const operation = (await plan.prepare?.()) ?? plan.operation
    operate(core, by, operation, (seq) => plan.inTransaction(seq))
    plan.apply()
  }
  return { record, changes: plan.changes, dryRun }
}

/** What resolving a record would do. @throws ResolutionRefused when it cannot be resolved so */
export function planResolution(core: JobCore, record: QuarantineRecord, how: Resolution): Plan {
  const [, digits] = /^job-(\d+)$/.exec(record.id) ?? []
  if (record.kind === 'file') return planFile(core, record, how)
  if (digits === undefined) return planLedger(core, record, how)
  return planJob(core, record, BigInt(digits), how)
}

function planLedger(core: JobCore, record: QuarantineRecord, how: Resolution): Plan {
  const { id } = record
  if (how.kind !== 'release') {
    const remedy = core.imports.isOpen(id)
      ? `Run the import again to its end, or release it by typing ${id}.`
      : `Compare with a backup, then release it by typing ${id}.`
    throw new ResolutionRefused(id, 'it names no single key', remedy)
  }
  assertTyped(id, how.typedKey, id)
  let ended = 0n
  return {
    operation: { kind: 'release', recordId: id },
    changes: [releaseEffect(core, record)],
    inTransaction: (seq) => {
      ended = seq
    },
    apply: () => {
      core.released.add(id)
      core.fences.remove(id)
      core.imports.end(id, ended)
      if (id.startsWith('witness-')) core.ledger.acknowledgeWitness()
    },
  }
}

function releaseEffect({ imports }: JobCore, { id, blocks }: QuarantineRecord): string {
  if (imports.isOpen(id)) {
    return 'the import is given up: new keys are taken again, also those of jobs that were not imported'
  }
  return blocks.everyNewKey
    ? 'new keys are taken again; keys of lost lines can be used a second time'
    : 'its outpoint can be used again'
}

function planJob(core: JobCore, record: QuarantineRecord, seq: bigint, how: Resolution): Plan {
  const { id } = record
  const line = core.witness.accepted(seq)
  switch (how.kind) {
    case 'adopt':
      return planRebuild(core, record, seq, line, { how: 'adopt', request: how.request })
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
      const request = decodeRequest(Buffer.from(body.row))
      return planRebuild(core, record, seq, line, { how: 'restore', request })
    }
    case 'retire':
      return {
        changes: ['its key and its outpoint stay closed for ever'],
        operation: { kind: 'retire', recordId: id },
        inTransaction: nothing,
        apply: () => {
          core.retired.add(id)
          core.fences.add({ ...record, reason: retiredReason, state: 'retired' })
        },
      }
    case 'release': {
      const [key] = record.blocks.keys
      if (key === undefined) throw new ResolutionRefused(id, 'it names no key', 'Retire it.')
      assertTyped(id, how.typedKey, keyText(key.route, key.routeRequestId))
      return {
        operation: { kind: 'release', recordId: id },
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
          goOn(core, record)
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
  { how, request }: { readonly how: 'adopt' | 'restore'; readonly request: Request },
): Plan {
  const job = line && identityOf(line, request)
  const identity = job && restoredIdentity(seq, line, job)
  if (identity === undefined) {
    const remedy = 'Hand in the request exactly as it was accepted.'
    throw new ResolutionRefused(id, 'the request has not the digests of its line', remedy)
  }
  if (core.retired.has(id)) throw new ResolutionRefused(id, 'it was retired', 'Release it.')
  return {
    operation:
      how === 'adopt' ? { kind: how, recordId: id, job: undefined } : { kind: how, recordId: id },
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

export function digestAsStored(request: Request): string {
  return `0x${hash('sha256', `covenant-signer-request-v1:${canonicalRequest(request)}`, 'hex')}`
}

/** Keeps a copy of a damaged row and takes the job out. */
function keepAndDelete(core: JobCore, record: QuarantineRecord, seq: bigint): void {
  const raw = rawJob(core.connection, seq)
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
