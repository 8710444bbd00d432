import { looksDamaged } from './classify.js'
import type { Connection, Row } from './connection.js'

/** Rows fetched at a time. */
const pageRows = 256

/** A row in its place; `value` is undefined when it is damaged. */
export type Visited<T> = { readonly seq: bigint; readonly value: T | undefined }

/**
 * Walks the rows of one table in the order of their sequences.
 *
 * @remarks Rows that a damaged page hides from the walk are found by `take` and `lookUp` as far as they can be read.
 */
export class RowCursor<T> {
  readonly #connection: Connection
  readonly #pageSql: string
  readonly #rowSql: string
  readonly #decode: (row: Row) => T
  #page: readonly Row[] = []
  #at = 0
  #last = 0n
  #ended = false

  constructor(
    connection: Connection,
    statements: { readonly page: string; readonly row: string },
    decode: (row: Row) => T,
  ) {
    this.#connection = connection
    this.#pageSql = statements.page
    this.#rowSql = statements.row
    this.#decode = decode
  }

  /** The next row below a sequence; undefined when there is none. */
  nextBelow(limit: bigint): Visited<T> | undefined {
    const row = this.#peek()
    const seq = row?.[0]
    if (row === undefined || typeof seq !== 'bigint' || seq >= limit) return undefined
    this.#at += 1
    return { seq, value: this.#value(row) }
  }

  /** The row of exactly this sequence, once all rows below it were taken. */
  take(seq: bigint): Visited<T> | undefined {
    const row = this.#peek()
    if (row?.[0] !== seq) return this.lookUp(seq)
    this.#at += 1
    return { seq, value: this.#value(row) }
  }

  /** The row of this sequence, wherever the walk is. */
  lookUp(seq: bigint): Visited<T> | undefined {
    try {
      const row = this.#connection.row(this.#rowSql, seq)
      return row === undefined ? undefined : { seq, value: this.#value(row) }
    } catch (error) {
      if (!looksDamaged(error)) throw error
      return { seq, value: undefined }
    }
  }

  #peek(): Row | undefined {
    if (this.#at === this.#page.length && !this.#ended) this.#fetch()
    return this.#page[this.#at]
  }

  #fetch(): void {
    const rows = this.#read()
    this.#ended = rows.length < pageRows
    this.#page = isInOrder(rows, this.#last) ? rows : this.#sorted(rows)
    this.#at = 0
    const last = this.#page.at(-1)?.[0]
    if (typeof last === 'bigint') this.#last = last
    else this.#ended = true
  }

  #read(): readonly Row[] {
    for (const isLast of [false, true]) {
      try {
        return this.#connection.rows(this.#pageSql, this.#last, BigInt(pageRows))
      } catch (error) {
        if (!looksDamaged(error)) throw error
        // An I/O error can look like damage: only what a fresh handle says again is true.
        if (!isLast) this.#connection.reopen()
      }
    }
    return this.#readSingly()
  }

  /** Rows of a damaged page up to the damage. */
  #readSingly(): readonly Row[] {
    const rows: Row[] = []
    try {
      for (let last = this.#last; rows.length < pageRows - 1; ) {
        const [row] = this.#connection.rows(this.#pageSql, last, 1n)
        if (row === undefined) break
        rows.push(row)
        if (typeof row[0] !== 'bigint') break
        last = row[0]
      }
    } catch (error) {
      if (!looksDamaged(error)) throw error
    }
    return rows
  }

  /** A changed sequence stands out of order; rows whose digest fits are put right, the others left out. */
  #sorted(rows: readonly Row[]): readonly Row[] {
    const good = rows.filter((row) => this.#value(row) !== undefined && seqIn(row) > this.#last)
    return good.sort((a, b) => Number(seqIn(a) - seqIn(b)))
  }

  #value(row: Row): T | undefined {
    try {
      return this.#decode(row)
    } catch (error) {
      if (error instanceof RangeError) return undefined
      throw error
    }
  }
}

function isInOrder(rows: readonly Row[], after: bigint): boolean {
  let last = after
  for (const row of rows) {
    const seq = seqIn(row)
    if (seq <= last) return false
    last = seq
  }
  return true
}

function seqIn([seq]: Row): bigint {
  return typeof seq === 'bigint' ? seq : 0n
}
