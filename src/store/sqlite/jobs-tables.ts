import type { Job } from '../../covenant/job.js'
import { looksDamaged } from './classify.js'
import type { Connection, Row } from './connection.js'
import {
  assembleJob,
  decodeBody,
  decodeIntent,
  decodeJob,
  decodeMeta,
  decodeResult,
  encodeMeta,
  fitsResult,
  type IntentRow,
  type JobRow,
  type ResultRow,
} from './jobs-rows.js'
import { sql } from './jobs-sql.js'

/** What reading one row came to; `damaged` was seen through two handles. */
export type Reading<T> =
  | { readonly kind: 'row'; readonly row: T }
  | { readonly kind: 'missing' }
  | { readonly kind: 'damaged' }

/** Names of the rows in `meta`. */
export type MetaName = 'storeId' | 'openings' | 'syncedSeq' | 'hostHeight'

/** Reads checked rows of the job database; by sequence wherever that is known, since an index may lie. */
export class JobTables {
  readonly connection: Connection

  constructor(connection: Connection) {
    this.connection = connection
  }

  job(seq: bigint): Reading<JobRow> {
    return this.#read(sql.selectJob, seq, decodeJob)
  }

  /** A job that the other witness knows: it is missing only when a fresh handle says so too. */
  expectedJob(seq: bigint): Reading<JobRow> {
    const first = this.job(seq)
    if (first.kind !== 'missing' || this.connection.handle.inTransaction) return first
    this.connection.reopen()
    return this.job(seq)
  }

  /** As `job`, without a second look. */
  glance(seq: bigint): Reading<JobRow> {
    return this.#readOnce(sql.selectJob, seq, decodeJob)
  }

  intent(seq: bigint): Reading<IntentRow> {
    return this.#read(sql.selectIntent, seq, decodeIntent)
  }

  result(seq: bigint): Reading<ResultRow> {
    return this.#read(sql.selectResult, seq, decodeResult)
  }

  body(seq: bigint): Reading<string> {
    return this.#read(sql.selectRequest, seq, decodeBody)
  }

  /** What the index on keys leads to; undefined when that is nothing or cannot be believed. */
  jobByKey(route: string, routeRequestId: string): JobRow | undefined {
    const row = this.#tryRead(() => this.connection.row(sql.selectJobByKey, route, routeRequestId))
    const found = this.#decoded(row)
    return found?.route === route && found.routeRequestId === routeRequestId ? found : undefined
  }

  /** As `jobByKey`, by the index on request ids. */
  jobById(requestId: string): JobRow | undefined {
    const row = this.#tryRead(() => this.connection.row(sql.selectJobById, requestId))
    const found = this.#decoded(row)
    return found?.requestId === requestId ? found : undefined
  }

  /** The intent of a job that still holds its outpoint. */
  intentOfJob(jobSeq: bigint): Reading<IntentRow> {
    const found = this.#read(sql.selectIntentOfJob, jobSeq, decodeIntent)
    // An index that lies leads to the intent of another job, which must not be released in this one's place.
    return found.kind === 'row' && found.row.jobSeq !== jobSeq ? { kind: 'missing' } : found
  }

  /**
   * The whole job of a row: `damaged` when its request or result is missing or changed.
   *
   * @param source has the request of the job, which then is not read
   */
  assemble(row: JobRow, source?: Pick<Job, 'request'>): Reading<Job> {
    const result = this.resultOf(row)
    if (result.kind === 'damaged') return result
    const ended = result.kind === 'row' ? result.row : undefined
    if (!fitsResult(row, ended)) return { kind: 'damaged' }
    if (source !== undefined) return { kind: 'row', row: assembleJob(row, source, ended) }
    const body = this.body(row.seq)
    if (body.kind !== 'row') return { kind: 'damaged' }
    return { kind: 'row', row: assembleJob(row, body.row, ended) }
  }

  /** The result that a job's row names; `missing` when it names none. */
  resultOf(row: JobRow): Reading<ResultRow> {
    if (row.settleSeq === undefined) return { kind: 'missing' }
    const result = this.result(row.settleSeq)
    return result.kind === 'missing' ? { kind: 'damaged' } : result
  }

  /** A value of `meta`; undefined when it is missing or damaged. */
  meta(name: MetaName): string | undefined {
    const row = this.connection.row(sql.selectMeta, name)
    try {
      return row === undefined ? undefined : decodeMeta(row)
    } catch (error) {
      if (error instanceof RangeError) return undefined
      throw error
    }
  }

  /** Writes a value of `meta`; belongs inside a transaction. */
  putMeta(name: MetaName, value: string): void {
    this.connection.run(sql.replaceMeta, ...encodeMeta(name, value))
  }

  /** Rebuilds every index of a table from its rows. */
  reindex(table: 'job' | 'intent'): void {
    this.connection.assertMayWrite()
    this.connection.handle.exec(`reindex ${table}`)
  }

  #decoded(row: Row | undefined): JobRow | undefined {
    try {
      return row === undefined ? undefined : decodeJob(row)
    } catch (error) {
      // What an index leads to may be a row beside itself; the sequence decides, not this.
      if (error instanceof RangeError) return undefined
      throw error
    }
  }

  #tryRead(read: () => Row | undefined): Row | undefined {
    try {
      return read()
    } catch (error) {
      if (looksDamaged(error)) return undefined
      throw error
    }
  }

  #read<T>(statement: string, seq: bigint, decode: (row: Row) => T): Reading<T> {
    const first = this.#readOnce(statement, seq, decode)
    // Inside a transaction there is no fresh handle to be had.
    if (first.kind !== 'damaged' || this.connection.handle.inTransaction) return first
    // An I/O error can look like damage: only what a fresh handle says again is true.
    this.connection.reopen()
    return this.#readOnce(statement, seq, decode)
  }

  #readOnce<T>(statement: string, seq: bigint, decode: (row: Row) => T): Reading<T> {
    try {
      const row = this.connection.row(statement, seq)
      return row === undefined ? { kind: 'missing' } : { kind: 'row', row: decode(row) }
    } catch (error) {
      if (error instanceof RangeError || looksDamaged(error)) return { kind: 'damaged' }
      throw error
    }
  }
}
