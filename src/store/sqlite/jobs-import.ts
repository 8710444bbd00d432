import { StoreFailed } from '../../base/persistence.js'
import {
  type FinalTransition,
  isFinal,
  type Job,
  type JobProgress,
  type RequestId,
} from '../../covenant/job.js'
import type { Fence, Intent, Operator } from '../../covenant/store.js'
import { rawSummary } from '../job-fences.js'
import {
  type ImportedJob,
  type ImportOutcome,
  type ImportSummary,
  judgeImport,
  type KnownJob,
} from '../keep-core/import-target.js'
import type { AppendedEntry } from '../ledger-port.js'
import {
  acceptEntry,
  assertLineTakes,
  intendEntry,
  type JobCore,
  settleEntry,
} from './jobs-core.js'
import { isFence, loadJob, locateAny } from './jobs-find.js'
import { operate } from './jobs-operate.js'
import { unreleasedOn } from './jobs-outpoints.js'
import {
  decodeIntent,
  decodeResult,
  encodeIntent,
  encodeJob,
  encodeRequest,
  encodeResult,
  encodeUpdate,
  type IntentRow,
  type JobRow,
  type MovingPart,
  transitionText,
} from './jobs-rows.js'
import { isUpdated } from './jobs-run.js'
import { sql } from './jobs-sql.js'
import { inTurn } from './jobs-turns.js'
import type { Written } from './jobs-write-queue.js'

/** The key of an accepted request id, also when it is fenced. */
export function findAcceptedKey(core: JobCore, id: RequestId): KnownJob | undefined {
  for (const seq of core.witness.jobsById(id)) {
    const reading = core.tables.job(seq)
    const job = reading.kind === 'row' ? reading.row : core.witness.accepted(seq)
    if (job?.requestId !== id) continue
    const { route, routeRequestId, outpoint } = job
    return { key: { route, routeRequestId }, outpoint }
  }
  return undefined
}

/** Closes every new key until the import is ended or given up. */
export function beginImport(core: JobCore, importId: string, by: Operator): void {
  if (core.imports.isOpen(importId)) return
  operate(core, by, { kind: 'import-begin', importId }, (seq) =>
    openImport(core, importId, seq, by),
  )
}

/** Makes an import that was begun visible: as a record, so that it can be given up too. */
export function openImport(core: JobCore, importId: string, seq: bigint, by: Operator): void {
  const reason = 'an import was begun and has not ended'
  core.imports.begin(importId, seq, by)
  core.released.delete(importId)
  core.fences.add({
    id: importId,
    kind: 'ledger',
    reason,
    blocks: { keys: [], outpoints: [], everyNewKey: true },
    requestId: undefined,
    ...rawSummary(Buffer.from(reason)),
    foundAtMs: core.clock.nowMs(),
    state: 'open',
  })
}

/** Opens what `beginImport` closed. */
export function endImport(
  core: JobCore,
  importId: string,
  summary: ImportSummary,
  by: Operator,
): void {
  if (!core.imports.isOpen(importId)) {
    if (core.imports.wasBegun(importId)) return
    throw new RangeError('job store: this import was not begun')
  }
  const { loaded, superseded, quarantined, verdictsSha256 } = summary
  const counts = `${loaded} loaded, ${superseded} superseded, ${quarantined} set aside, ${verdictsSha256}`
  const seq = operate(core, by, { kind: 'import-end', importId, counts }, () => undefined)
  core.imports.end(importId, seq)
  core.fences.remove(importId)
}

/** Takes one job over, with all its lines, in one transaction. */
export async function importJob(core: JobCore, imported: ImportedJob): Promise<ImportOutcome> {
  const { identity } = imported
  const known = findKnown(core, imported)
  const isKnown = known !== undefined && !isFence(known)
  const judged = isKnown ? judgeImport(known, imported) : 'new'
  if (isKnown && judged === 'conflict') return conflictWith(known)
  const fence =
    core.fences.byKey(identity.route, identity.routeRequestId) ??
    core.fences.byRequestId(identity.requestId) ??
    (isKnown ? undefined : known)
  if (fence !== undefined) return { kind: 'fenced', fence }
  if (judged === 'present') return { kind: 'present' }
  await (isKnown
    ? inTurn(core.intending, outpointsOf(imported), () => advanceJob(core, known, imported))
    : takeJob(core, imported))
  return { kind: isKnown ? 'advanced' : 'imported' }
}

function conflictWith({ requestId, state }: Job): ImportOutcome {
  const reason = `it has another request, or another result (${state})`
  return { kind: 'conflict', requestId, reason }
}

/** What the store has under the job's id or key; a fence for what cannot be read. */
export function findKnown(core: JobCore, { identity }: ImportedJob): Job | Fence | undefined {
  const located = locateAny(core, identity)
  if (located.kind === 'absent') return undefined
  return located.kind === 'fenced' ? located.fence : loadJob(core, located.row)
}

/** Writes a job that the store lacks; answers the sequence of its accept line. */
export function takeJob(core: JobCore, imported: ImportedJob): Promise<bigint> {
  return inTurn(core.intending, outpointsOf(imported), () => writeJob(core, imported))
}

const outpointsOf = ({ intents }: ImportedJob): readonly string[] =>
  intents.map(({ outpoint }) => outpoint)

function writeJob(core: JobCore, imported: ImportedJob): Promise<bigint> {
  const { identity, progress } = imported
  assertLineTakes(identity.routeRequestId)
  const parts = planParts(core, imported)
  return core.queue.add('import', (seq): Written<bigint> => {
    const rest = writeParts(core, seq, seq + 1n, identity, parts)
    const moving = movingOf(progress, rest.settleSeq)
    const { values, fixedDigest } = encodeJob(seq, identity, moving)
    core.connection.run(sql.insertJob, ...values)
    core.connection.run(sql.replaceRequest, ...encodeRequest(seq, identity.request))
    const accept = acceptEntry(core, identity, fixedDigest)
    return {
      answer: seq,
      entries: [accept, ...rest.entries],
      isStored: () => {
        const reading = core.tables.job(seq)
        return reading.kind === 'row' && reading.row.fixedDigest === fixedDigest
      },
      publish: () => {
        core.witness.addKey(accept.print, seq)
        core.witness.addId(identity.requestId, seq)
        for (const row of rest.intents) noteIntent(core, row)
      },
    }
  })
}

/** Ends a job that was held here and that ended elsewhere. */
function advanceJob(core: JobCore, known: Job, imported: ImportedJob): Promise<bigint> {
  const parts = planParts(core, imported)
  return core.queue.add('import', (seq): Written<bigint> => {
    const reading = core.tables.job(known.seq)
    if (reading.kind !== 'row' || !reading.row.held) {
      const cause = new RangeError('job: it is not held any more')
      throw new StoreFailed('job store: import', 'transient', { cause })
    }
    const { row } = reading
    const rest = writeParts(core, row.seq, seq, row, parts)
    const moving = movingOf({ ...imported.progress, attempts: row.attempts }, rest.settleSeq)
    core.connection.run(sql.updateJob, ...encodeUpdate(row, moving))
    return {
      answer: row.seq,
      entries: rest.entries,
      isStored: () => isUpdated(core, row.seq, moving),
      publish: () => {
        for (const intent of rest.intents) noteIntent(core, intent)
      },
    }
  })
}

type Parts = {
  readonly intents: readonly Intent[]
  readonly ended: { readonly transition: FinalTransition; readonly updatedAt: string } | undefined
}

/** What is written besides the job itself: intents on outpoints that are not closed yet, and its result. */
function planParts(core: JobCore, { progress, intents }: ImportedJob): Parts {
  const open: Intent[] = []
  for (const intent of intents) {
    const { outpoint } = intent
    if (open.some((one) => one.outpoint === outpoint)) continue
    assertLineTakes(intent.unsignedTransaction)
    if (unreleasedOn(core, outpoint) === undefined) open.push(intent)
  }
  if (!isFinal(progress.state)) return { intents: open, ended: undefined }
  const { state, detail, reason, psbtHash, transactionHex, handoff, updatedAt } = progress
  const transition: FinalTransition = {
    state,
    detail,
    ...(reason === undefined ? {} : { reason }),
    ...(psbtHash === undefined ? {} : { psbtHash }),
    ...(transactionHex === undefined ? {} : { transactionHex }),
    ...(handoff === undefined ? {} : { handoff }),
  }
  assertLineTakes(transitionText(transition))
  return { intents: open, ended: { transition, updatedAt } }
}

/** Writes the rows that follow a job's own, each with the sequence of its line, from `firstSeq` on. */
function writeParts(
  core: JobCore,
  jobSeq: bigint,
  firstSeq: bigint,
  { requestId }: Pick<JobRow, 'requestId'>,
  { intents, ended }: Parts,
): {
  readonly entries: readonly AppendedEntry[]
  readonly intents: readonly IntentRow[]
  readonly settleSeq: bigint | undefined
} {
  let seq = firstSeq
  const rows: IntentRow[] = []
  for (const intent of intents) {
    const values = encodeIntent(seq, jobSeq, intent)
    core.connection.run(sql.insertIntent, ...values)
    rows.push(decodeIntent(values))
    seq += 1n
  }
  const entries = rows.map((row) => intendEntry(core, row, requestId))
  if (ended === undefined) return { entries, intents: rows, settleSeq: undefined }
  const values = encodeResult({ ...ended, seq, jobSeq, releasedIntent: false })
  core.connection.run(sql.insertResult, ...values)
  const settle = settleEntry(decodeResult(values), requestId)
  return { entries: [...entries, settle], intents: rows, settleSeq: seq }
}

function noteIntent({ witness }: JobCore, { outpoint, seq }: IntentRow): void {
  witness.addIntent(witness.outpointPrint(outpoint), seq)
}

/** The moving part of a job's row: what a final one hands out stands with its result. */
function movingOf(progress: JobProgress, settleSeq: bigint | undefined): MovingPart {
  const { state, detail, updatedAt, attempts } = progress
  if (settleSeq !== undefined) {
    return { state, detail: '', updatedAt, attempts, nextAtMs: 0, held: false, settleSeq }
  }
  return { state, detail, updatedAt, attempts, nextAtMs: 0, held: true, settleSeq: undefined }
}
