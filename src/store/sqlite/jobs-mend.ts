import type { AcceptEntry, SettleEntry } from '../ledger-entry.js'
import { type LostLines, missingLines, type RewrittenLine } from '../ledger-port.js'
import type { ReplayReport } from '../ledger-replay.js'
import type { Comparison, Lost, Orphan } from './jobs-compare.js'
import {
  acceptEntry,
  fenceEveryKey,
  fenceJob,
  fenceOutpoint,
  intendEntry,
  type JobCore,
  recordIdOf,
  settleEntry,
} from './jobs-core.js'
import { replaceRow } from './jobs-heal.js'
import {
  encodeIntent,
  encodeOperate,
  encodeRelease,
  encodeResult,
  encodeUpdate,
  type JobRow,
} from './jobs-rows.js'
import { sql } from './jobs-sql.js'

/** Writes what the database lost again from its lines; answers whether that was possible. */
export function restoreLost(
  core: JobCore,
  lost: Lost,
  { releases, lastReset }: Pick<Comparison, 'releases' | 'lastReset'>,
): boolean {
  try {
    switch (lost.kind) {
      case 'intent':
        return restoreIntent(core, lost, releases.get(lost.seq))
      case 'settlement':
        return restoreSettlement(core, lost.seq, lost.entry)
      case 'release':
        return restoreRelease(core, lost.seq, lost.intent)
      case 'operate': {
        const { seq, at, entry } = lost
        const values = encodeOperate({ ...entry, seq, at })
        replaceRow(core, undefined, () => {
          core.connection.run(sql.insertOperate, ...values)
          if (seq === lastReset) core.meta.putHostHeight(BigInt(entry.subject))
        })
        if (seq === lastReset) core.meta.hostHeightWasPut(BigInt(entry.subject))
        return true
      }
    }
  } catch (cause) {
    core.logger.warn({ cause, seq: lost.seq }, 'job store: a row could not be written again')
    if (lost.kind === 'settlement') fenceUnsettled(core, lost.entry.job)
    if (lost.kind === 'intent') fenceOutpoint(core, lost.seq, lost.entry.outpoint)
    return false
  }
}

function restoreIntent(
  core: JobCore,
  { seq, entry }: Extract<Lost, { kind: 'intent' }>,
  releasedSeq: bigint | undefined,
): boolean {
  const values = encodeIntent(seq, entry.job, entry, releasedSeq)
  replaceRow(core, 'intent', () => {
    core.connection.run('delete from intent where seq = ?', seq)
    core.connection.run(sql.insertIntent, ...values)
  })
  if (releasedSeq !== undefined) core.witness.removeIntent(entry.outpoint, seq)
  return true
}

function restoreSettlement(core: JobCore, seq: bigint, entry: SettleEntry): boolean {
  const { job, transition, updatedAt, releasedIntent } = entry
  const result = { seq, jobSeq: job, transition, updatedAt, releasedIntent }
  const row = core.tables.job(job)
  replaceRow(core, 'intent', () => {
    core.connection.run(sql.insertResult, ...encodeResult(result))
    if (row.kind === 'row') core.connection.run(sql.updateJob, ...settled(row.row, seq, entry))
    const held = releasedIntent ? core.tables.intentOfJob(job) : undefined
    if (held?.kind === 'row') {
      core.connection.run(sql.releaseIntent, ...encodeRelease(held.row.seq, seq))
      core.witness.removeIntent(held.row.outpoint, held.row.seq)
    }
  })
  core.schedule.remove(job)
  core.leases.end(entry)
  return true
}

function settled(row: JobRow, seq: bigint, entry: SettleEntry): ReturnType<typeof encodeUpdate> {
  const { attempts } = row
  const { transition, updatedAt } = entry
  const moving = {
    state: transition.state,
    detail: '',
    updatedAt,
    attempts,
    nextAtMs: 0,
    held: false,
  }
  return encodeUpdate(row, { ...moving, settleSeq: seq })
}

function restoreRelease(core: JobCore, seq: bigint, intent: bigint): boolean {
  const reading = core.tables.intent(intent)
  if (reading.kind !== 'row') return false
  core.witness.removeIntent(reading.row.outpoint, intent)
  if (reading.row.releasedSeq !== undefined) return false
  replaceRow(core, 'intent', () =>
    core.connection.run(sql.releaseIntent, ...encodeRelease(intent, seq)),
  )
  return true
}

function fenceUnsettled(core: JobCore, job: bigint): void {
  const line = core.witness.accepted(job)
  if (line !== undefined) fenceJob(core, job, line, 'its result could not be written again')
}

/** The line that says what a row says; undefined when the job that it belongs to cannot be read. */
function lineOf(core: JobCore, orphan: Orphan): RewrittenLine | undefined {
  const { seq } = orphan.row
  if (orphan.table === 'job') {
    return { seq, entry: acceptEntry(core, orphan.row, orphan.row.fixedDigest) }
  }
  if (orphan.table === 'operate') {
    const { who, what, why, subject } = orphan.row
    return { seq, entry: { kind: 'operate', who, what, why, subject } }
  }
  const job = core.tables.job(orphan.row.jobSeq)
  const requestId =
    job.kind === 'row' ? job.row.requestId : core.witness.accepted(orphan.row.jobSeq)?.requestId
  if (requestId === undefined) return undefined
  if (orphan.table === 'intent') return { seq, entry: intendEntry(core, orphan.row, requestId) }
  return { seq, entry: settleEntry(orphan.row, requestId) }
}

/** What was done to the ledger. */
export type Mended = { linesAppended: number; repairedLines: number }

/**
 * Writes lines that the ledger lost, or never got, again from the rows.
 *
 * @param comparison loses the orphans that got their line
 * @param opening a line that was synced once, so that the ledger must reach it; undefined while the store is in use
 */
export function mendLedger(
  core: JobCore,
  comparison: Comparison,
  report: ReplayReport,
  opening: bigint | undefined,
): Mended {
  const { ledger } = core
  core.connection.assertMayWrite()
  const mended: Mended = { linesAppended: 0, repairedLines: 0 }
  const tail = ledger.lost()
  const reached = ledger.head().seq
  const highest = [...comparison.orphans.keys()].reduce((a, b) => (a > b ? a : b), 0n)
  const syncedSeq = opening ?? 0n
  const isNew = opening !== undefined && ledger.opened.created
  const isShort = reached < syncedSeq || (isNew && comparison.orphans.size > 0)
  if (tail !== undefined) {
    const { segment, fromSeq, foundHash } = tail
    const ends = [fromSeq + BigInt(tail.lines) - 1n, highest, syncedSeq]
    const toSeq = ends.reduce((a, b) => (a > b ? a : b))
    rewrite(core, comparison, { segment, fromSeq, toSeq, foundHash }, 0, mended)
  } else if (isShort) {
    // One line more than is known to be lost: that the ledger was cut stays visible until somebody looked at it.
    const toSeq = (highest > syncedSeq ? highest : syncedSeq) + 1n
    rewrite(core, comparison, missingLines(ledger.nextSeq(), toSeq), 0, mended)
  } else {
    appendAhead(core, comparison, highest, mended)
  }
  for (const damage of report.damaged) {
    if (damage.reason === 'fork') {
      const reason = `its line ${damage.fromSeq} follows another line than the one before it`
      fenceEveryKey(core, `ledger-fork-${damage.fromSeq}`, reason)
    } else if (!damage.atEnd) {
      rewrite(core, comparison, damage, damage.offset === 0 ? 1 : 0, mended)
    }
  }
  for (const damage of report.repaired) {
    const { fromSeq, toSeq } = damage
    const left = orphansIn(core, comparison, fromSeq, toSeq)
    if (left.length > 0) mended.repairedLines += ledger.repair(undefined, left).length
    const known = damage.rewritten + left.length + (damage.offset === 0 ? 1 : 0)
    closeIfLost(core, fromSeq, toSeq, known)
  }
  return mended
}

/** Rows that were committed just before the process ended. */
function appendAhead(core: JobCore, comparison: Comparison, highest: bigint, mended: Mended): void {
  const next = core.ledger.nextSeq()
  if (highest < next) return
  const lines = orphansIn(core, comparison, next, highest)
  const isWhole = lines.every(({ seq }, at) => seq === next + BigInt(at))
  if (isWhole && BigInt(lines.length) === highest - next + 1n) {
    core.ledger.append(lines.map(({ entry }) => entry))
    mended.linesAppended += lines.length
    noteKeys(core, lines)
  } else {
    const missing = missingLines(next, highest)
    const places = core.ledger.repair(missing, lines)
    place(core, lines, places)
    mended.linesAppended += lines.length
    closeIfLost(core, next, highest, lines.length)
  }
}

function rewrite(
  core: JobCore,
  comparison: Comparison,
  lost: LostLines,
  ownLines: number,
  mended: Mended,
): void {
  const { segment, fromSeq, toSeq, foundHash } = lost
  const lines = orphansIn(core, comparison, fromSeq, toSeq)
  place(core, lines, core.ledger.repair({ segment, fromSeq, toSeq, foundHash }, lines))
  mended.repairedLines += lines.length
  closeIfLost(core, fromSeq, toSeq, lines.length + ownLines)
}

/** Takes the orphans of a range out and makes their lines. */
function orphansIn(
  core: JobCore,
  comparison: Comparison,
  fromSeq: bigint,
  toSeq: bigint,
): RewrittenLine[] {
  const lines: RewrittenLine[] = []
  for (const [seq, orphan] of comparison.orphans) {
    if (seq < fromSeq || seq > toSeq) continue
    const line = lineOf(core, orphan)
    if (line === undefined) continue
    lines.push(line)
    comparison.orphans.delete(seq)
  }
  return lines.sort((a, b) => Number(a.seq - b.seq))
}

/** Where lines stand that were written again, the repair line before them. */
function place(core: JobCore, lines: readonly RewrittenLine[], places: readonly bigint[]): void {
  for (const [at, { seq }] of lines.entries()) {
    const moved = places[at + 1]
    if (moved !== undefined) core.witness.movedLine(seq, moved)
  }
  noteKeys(core, lines)
}

function noteKeys({ witness }: JobCore, lines: readonly RewrittenLine[]): void {
  for (const { seq, entry } of lines) {
    if (entry.kind === 'accept') witness.addKey(entry.print, seq)
    if (entry.kind === 'intend') witness.addIntent(entry.outpointPrint, seq)
  }
}

/** What a line accepted that is lost in both witnesses can be any key. */
function closeIfLost(core: JobCore, fromSeq: bigint, toSeq: bigint, known: number): void {
  const missing = toSeq - fromSeq + 1n - BigInt(known)
  if (missing <= 0n) return
  const reason = `of the ledger's lines ${fromSeq} to ${toSeq} some are lost in both witnesses`
  fenceEveryKey(core, `ledger-${fromSeq}-${toSeq}`, reason)
}

/** Fences a job that only its line knows; a good row that turned up after all is left alone. */
export function judgeSuspect(
  core: JobCore,
  seq: bigint,
  line: AcceptEntry | undefined,
): 'fenced' | 'good' {
  const reading = core.tables.glance(seq)
  const entry = line ?? core.witness.accepted(seq)
  if (entry === undefined) {
    fenceEveryKey(core, recordIdOf(seq), 'its line is of another version and its row is lost')
    return 'fenced'
  }
  if (reading.kind === 'row' && reading.row.fixedDigest === entry.rowDigest) return 'good'
  core.witness.addId(entry.requestId, seq)
  const changed = reading.kind === 'row' ? 'differs from its line' : 'is damaged'
  fenceJob(core, seq, entry, `its record ${reading.kind === 'missing' ? 'is lost' : changed}`)
  return 'fenced'
}

/** Fences what a row without line closes. */
export function judgeOrphan(core: JobCore, orphan: Orphan): void {
  if (orphan.table === 'operate') return
  if (orphan.table === 'intent') {
    if (orphan.row.releasedSeq === undefined)
      fenceOutpoint(core, orphan.row.seq, orphan.row.outpoint)
    return
  }
  const job =
    orphan.table === 'job' ? orphan : { row: rowOf(core, orphan.row.jobSeq), table: 'job' as const }
  if (job.row === undefined) return
  const line = acceptEntry(core, job.row, job.row.fixedDigest)
  core.witness.addKey(line.print, job.row.seq)
  fenceJob(core, job.row.seq, line, 'the ledger has no line of its record')
}

function rowOf(core: JobCore, seq: bigint): JobRow | undefined {
  const reading = core.tables.job(seq)
  return reading.kind === 'row' ? reading.row : undefined
}
