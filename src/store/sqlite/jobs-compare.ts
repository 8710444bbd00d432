import { quarantineMax } from '../../base/limits.js'
import type { Operator } from '../../covenant/store.js'
import type { AcceptEntry, IntendEntry, OperateEntry, SettleEntry } from '../ledger-entry.js'
import type { LedgerLine, LineHead } from '../ledger-line.js'
import { type Operation, parseOperation } from '../operations.js'
import type { JobCore } from './jobs-core.js'
import { RowCursor, type Visited } from './jobs-cursor.js'
import {
  decodeIntent,
  decodeJob,
  decodeOperate,
  decodeResult,
  type IntentRow,
  type JobRow,
  type OperateRow,
  type ResultRow,
} from './jobs-rows.js'
import { sql } from './jobs-sql.js'

/** A row that no line speaks of. */
export type Orphan =
  | { readonly table: 'job'; readonly row: JobRow }
  | { readonly table: 'intent'; readonly row: IntentRow }
  | { readonly table: 'result'; readonly row: ResultRow }
  | { readonly table: 'operate'; readonly row: OperateRow }

/** What a line says and the database lost. */
export type Lost =
  | { readonly kind: 'intent'; readonly seq: bigint; readonly entry: IntendEntry }
  | { readonly kind: 'settlement'; readonly seq: bigint; readonly entry: SettleEntry }
  | {
      readonly kind: 'operate'
      readonly seq: bigint
      readonly at: string
      readonly entry: OperateEntry
    }
  | { readonly kind: 'release'; readonly seq: bigint; readonly intent: bigint }

/** What somebody did, and who it was. */
export type Operated = { readonly operation: Operation; readonly by: Operator }

/** Goes through the ledger line by line beside the rows, and notes where they differ. */
export class Comparison {
  readonly #core: JobCore
  readonly #jobs: RowCursor<JobRow>
  readonly #intents: RowCursor<IntentRow>
  readonly #results: RowCursor<ResultRow>
  readonly #operates: RowCursor<OperateRow>
  /** Jobs without a good row, with what their line says; undefined for a line that cannot be parsed. */
  readonly suspects: Map<bigint, AcceptEntry | undefined> = new Map()
  /** More were found than `suspects` takes. */
  overflow = false
  readonly orphans: Map<bigint, Orphan> = new Map()
  readonly lost: Lost[] = []
  /** Lines that freed the outpoint of an intent again, by the intent's sequence. */
  readonly releases: Map<bigint, bigint> = new Map()
  /** Intents that are lost, by their job. */
  readonly #lostIntents = new Map<bigint, bigint>()
  /** Jobs that have not ended, with when they are due; held ones never. */
  readonly unsettled: Map<number, number> = new Map()
  /** What people did, by the sequence of its line. */
  readonly operated: Map<bigint, Operated> = new Map()
  /** Records that were released or acknowledged, by their ids. */
  readonly released: Set<string> = new Set()
  /** The last line that put the host height to a value. */
  lastReset: bigint | undefined
  rows = 0n

  constructor(core: JobCore) {
    const { connection } = core
    this.#core = core
    this.#jobs = new RowCursor(
      connection,
      { page: sql.selectJobsAfter, row: sql.selectJob },
      decodeJob,
    )
    this.#intents = new RowCursor(
      connection,
      { page: sql.selectIntentsAfter, row: sql.selectIntent },
      decodeIntent,
    )
    this.#results = new RowCursor(
      connection,
      { page: sql.selectResultsAfter, row: sql.selectResult },
      decodeResult,
    )
    this.#operates = new RowCursor(
      connection,
      { page: sql.selectOperatesAfter, row: sql.selectOperate },
      decodeOperate,
    )
  }

  /** Takes the next line; `read` parses it. */
  take(line: LineHead, read: () => LedgerLine): void {
    const seq = line.again ?? line.seq
    if (line.again === undefined) this.passBelow(seq)
    else {
      this.orphans.delete(seq)
      this.#core.witness.movedLine(seq, line.seq)
    }
    const isAgain = line.again !== undefined
    switch (line.kind) {
      case 'accept':
        this.#takeAccept(line, seq, pick(this.#jobs, seq, isAgain), read)
        break
      case 'intend':
        this.#takeIntend(line, seq, pick(this.#intents, seq, isAgain), read)
        break
      case 'settle':
        this.#takeSettle(line, seq, pick(this.#results, seq, isAgain), read)
        break
      case 'operate':
        this.#takeOperate(seq, pick(this.#operates, seq, isAgain), read)
        break
      default:
    }
  }

  /** Notes every row below a sequence that was not taken with a line. */
  passBelow(limit: bigint): void {
    for (let job = this.#jobs.nextBelow(limit); job; job = this.#jobs.nextBelow(limit)) {
      if (job.value === undefined) continue
      this.#visit(job.value)
      this.orphans.set(job.seq, { table: 'job', row: job.value })
    }
    pass(this.#intents, limit, (seq, row) => this.orphans.set(seq, { table: 'intent', row }))
    pass(this.#results, limit, (seq, row) => this.orphans.set(seq, { table: 'result', row }))
    pass(this.#operates, limit, (seq, row) => {
      this.orphans.set(seq, { table: 'operate', row })
      this.#noteOperation(seq, row)
    })
  }

  /** A job whose row is good. */
  #visit(row: JobRow): void {
    this.rows += 1n
    this.#core.witness.addId(row.requestId, row.seq)
    if (row.settleSeq !== undefined) return
    this.unsettled.set(Number(row.seq), row.held ? Number.POSITIVE_INFINITY : row.nextAtMs)
  }

  #takeAccept(
    line: LineHead,
    seq: bigint,
    visited: Visited<JobRow> | undefined,
    read: () => LedgerLine,
  ): void {
    if (line.print !== undefined) this.#core.witness.addKey(line.print, seq)
    const row = visited?.value
    if (row !== undefined && row.fixedDigest === line.rowDigest) {
      if (line.again === undefined) this.#visit(row)
      return
    }
    if (this.suspects.size < quarantineMax) this.suspects.set(seq, parsed('accept', read))
    else this.overflow = true
  }

  #takeIntend(
    line: LineHead,
    seq: bigint,
    visited: Visited<IntentRow> | undefined,
    read: () => LedgerLine,
  ): void {
    const row = visited?.value
    const isSame = row !== undefined && row.digest === line.rowDigest
    if (isSame && row.releasedSeq !== undefined) return
    if (line.outpointPrint !== undefined) this.#core.witness.addIntent(line.outpointPrint, seq)
    if (isSame) return
    const entry = parsed('intend', read)
    if (entry === undefined) return
    this.lost.push({ kind: 'intent', seq, entry })
    this.#lostIntents.set(entry.job, seq)
  }

  #takeSettle(
    line: LineHead,
    seq: bigint,
    visited: Visited<ResultRow> | undefined,
    read: () => LedgerLine,
  ): void {
    const { job } = line
    if (job === undefined) return
    const row = visited?.value
    const isSame = row !== undefined && row.digest === line.rowDigest
    const lostIntent = this.#lostIntents.get(job)
    if (!isSame || this.unsettled.has(Number(job))) {
      const entry = parsed('settle', read)
      if (entry?.releasedIntent && lostIntent !== undefined) this.releases.set(lostIntent, seq)
      if (entry !== undefined) this.lost.push({ kind: 'settlement', seq, entry })
      this.unsettled.delete(Number(job))
    } else if (row.releasedIntent) {
      if (lostIntent !== undefined) this.releases.set(lostIntent, seq)
      const held = this.#core.tables.intentOfJob(job)
      if (held.kind !== 'row' || held.row.seq > seq) return
      this.lost.push({ kind: 'release', seq, intent: held.row.seq })
    }
  }

  #takeOperate(
    seq: bigint,
    visited: Visited<OperateRow> | undefined,
    read: () => LedgerLine,
  ): void {
    const line = parsedLine(read)
    if (line?.entry.kind !== 'operate') return
    const { entry, at } = line
    this.#noteOperation(seq, entry)
    if (visited?.value === undefined) this.lost.push({ kind: 'operate', seq, at, entry })
  }

  #noteOperation(seq: bigint, { who, what, why, subject }: Omit<OperateEntry, 'kind'>): void {
    const operation = parseOperation(what, subject)
    if (operation === undefined) return
    this.operated.set(seq, { operation, by: { who, why } })
    if (operation.kind === 'release') this.released.add(operation.recordId)
    if (operation.kind === 'reset-height' && seq > (this.lastReset ?? 0n)) this.lastReset = seq
    if (operation.kind !== 'release-intent') return
    this.releases.set(operation.intent, seq)
    this.lost.push({ kind: 'release', seq, intent: operation.intent })
  }
}

function pick<T>(cursor: RowCursor<T>, seq: bigint, isAgain: boolean): Visited<T> | undefined {
  return isAgain ? cursor.lookUp(seq) : cursor.take(seq)
}

function pass<T>(cursor: RowCursor<T>, limit: bigint, note: (seq: bigint, row: T) => void): void {
  for (let row = cursor.nextBelow(limit); row; row = cursor.nextBelow(limit)) {
    if (row.value !== undefined) note(row.seq, row.value)
  }
}

function parsedLine(read: () => LedgerLine): LedgerLine | undefined {
  try {
    return read()
  } catch {
    // A line with a good hash that another program made: what it means is unknown, and it counts as lost.
    return undefined
  }
}

type EntryOf = {
  readonly accept: AcceptEntry
  readonly intend: IntendEntry
  readonly settle: SettleEntry
}

function parsed<Kind extends keyof EntryOf>(
  kind: Kind,
  read: () => LedgerLine,
): EntryOf[Kind] | undefined {
  const entry = parsedLine(read)?.entry
  return entry?.kind === kind ? (entry as EntryOf[Kind]) : undefined
}
