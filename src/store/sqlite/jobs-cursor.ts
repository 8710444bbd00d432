import { looksDamaged } from './classify.js'
import type { Connection, Row } from './connection.js'

/** Rows fetched at a time. */
const pageRows = 256

/** Sequences that one damaged page may hide. */
const farthestStep = 1n << 32n

/** A row in its place; `value` is undefined when it is damaged. */
export type Visited<T> = { readonly seq: bigint; readonly value: T | undefined }

/**
 * Walks the rows of one table in the order of their sequences.
 *
 * @remarks A damaged page is stepped over; rows beside the damage are found by `take` and `lookUp` as far as they can
 * be read.
 */
export class RowCursor<T> {
  readonly #connection: Connection
  readonly #pageSql: string
  readonly #rowSql: string
  readonly #decode: (row: Row) => T
  #page: readonly Row[] = []
  #at = 0
  #last: bigint
  #ended = false
  #reopened = false

  constructor(
    connection: Connection,
    statements: { readonly page: string; readonly row: string },
    decode: (row: Row) => T,
    after: bigint = 0n,
  ) {
    this.#last = after
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
    this.#page = isInOrder(rows, this.#last) ? rows : this.#sorted(rows)
    this.#at = 0
    const last = this.#page.at(-1)?.[0]
    if (typeof last === 'bigint') this.#last = last
    else this.#ended = true
  }

  #read(): readonly Row[] {
    const rows = this.#tryPage(this.#last, pageRows)
    if (rows !== undefined) {
      this.#ended = rows.length < pageRows
      return rows
    }
    if (!this.#reopened) {
      // An I/O error can look like damage: only what a fresh handle says again is true.
      this.#reopened = true
      this.#connection.reopen()
      return this.#read()
    }
    const before = this.#readSingly(this.#last)
    return before.length > 0 ? before : this.#readBehind()
  }

  /** Rows up to the damage. */
  #readSingly(after: bigint): readonly Row[] {
    const rows: Row[] = []
    for (let last = after; rows.length < pageRows; ) {
      const [row] = this.#tryPage(last, 1) ?? []
      const seq = row?.[0]
      if (row === undefined || typeof seq !== 'bigint' || seq <= last) break
      rows.push(row)
      last = seq
    }
    return rows
  }

  /** Rows behind the damage: the nearest place from which they can be read is found by halving. */
  #readBehind(): readonly Row[] {
    let step = 1n
    while (this.#tryPage(this.#last + step, 1) === undefined) {
      step *= 2n
      if (step > farthestStep) return []
    }
    let unreadable = step / 2n
    while (step - unreadable > 1n) {
      const middle = (step + unreadable) / 2n
      if (this.#tryPage(this.#last + middle, 1) === undefined) unreadable = middle
      else step = middle
    }
    const nearest = this.#last + step
    const behind = this.#tryPage(nearest, pageRows) ?? this.#readSingly(nearest)
    // Rows above a key are looked for where the key would stand: its own row is the first behind the damage.
    const first = this.#tryRow(nearest)
    return first === undefined ? behind : [first, ...behind]
  }

  #tryRow(seq: bigint): Row | undefined {
    try {
      return this.#connection.row(this.#rowSql, seq)
    } catch (error) {
      if (looksDamaged(error)) return undefined
      throw error
    }
  }

  /** Undefined when a page on the way is damaged. */
  #tryPage(after: bigint, rows: number): readonly Row[] | undefined {
    try {
      return this.#connection.rows(this.#pageSql, after, BigInt(rows))
    } catch (error) {
      if (looksDamaged(error)) return undefined
      throw error
    }
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
