import { rmSync } from 'node:fs'
import { HoldfastError } from '../../base/errors.js'
import { busyTimeoutMs } from '../../base/limits.js'
import { StoreFailed } from '../../base/persistence.js'
import type { Driver, Handle, SqlValue, Statement } from './driver.js'
import { type DatabaseKind, isFresh } from './inspect.js'

export type Row = readonly SqlValue[]

/**
 * Pragmas every handle runs with, in this order, and what each must answer afterwards.
 *
 * Exclusive locking comes before WAL: then no shared-memory file is made, and another process cannot get in.
 */
const settings = [
  ['locking_mode', 'EXCLUSIVE', 'exclusive'],
  ['journal_mode', 'WAL', 'wal'],
  ['synchronous', 'FULL', 2],
  ['foreign_keys', 'ON', 1],
  ['busy_timeout', busyTimeoutMs, busyTimeoutMs],
] as const

/**
 * Handles in use. A handle that were garbage collected would close its file, and with the first descriptor
 * of a file that a process closes, every POSIX lock of that file is gone.
 */
const pinned = new Set<Handle>()

/** The one connection to a database file, which can be put on a fresh handle. */
export class Connection {
  readonly what: string
  readonly #driver: Driver
  readonly #file: string
  readonly #kind: DatabaseKind
  readonly #guard: () => void
  readonly #closed: () => void
  #handle: Handle | undefined
  #statements = new Map<string, Statement>()

  constructor(options: {
    readonly driver: Driver
    readonly file: string
    readonly kind: DatabaseKind
    readonly guard: () => void
    readonly closed: () => void
  }) {
    this.what = options.kind.what
    this.#driver = options.driver
    this.#file = options.file
    this.#kind = options.kind
    this.#guard = options.guard
    this.#closed = options.closed
    this.#handle = this.#open()
  }

  /** @throws StoreFailed with kind `persisterClosed` after `close` or `fail` */
  get handle(): Handle {
    if (this.#handle === undefined) throw new StoreFailed(this.what, 'persisterClosed')
    return this.#handle
  }

  get usable(): boolean {
    return this.#handle !== undefined
  }

  /** @throws whatever the owner's guard throws when this process may no longer write */
  assertMayWrite(): void {
    this.#guard()
  }

  /** Runs a writing statement; answers the number of rows it changed. */
  run(sql: string, ...values: readonly SqlValue[]): number {
    return this.#statement(sql).run(...values).changes
  }

  /** Rows as arrays in the order of the selected columns, integers as `bigint`. */
  rows(sql: string, ...values: readonly SqlValue[]): readonly Row[] {
    return this.#statement(sql).all(...values) as Row[]
  }

  row(sql: string, ...values: readonly SqlValue[]): Row | undefined {
    return this.#statement(sql).get(...values) as Row | undefined
  }

  #statement(sql: string): Statement {
    const handle = this.handle
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = handle.prepare(sql)
      if (/^(select|pragma)/.test(sql)) statement.raw(true).safeIntegers(true)
      this.#statements.set(sql, statement)
    }
    return statement
  }

  /** Moves every committed frame from the log into the file: what was recovered is durable after this. */
  checkpoint(): void {
    checkpoint(this.handle, this.what)
  }

  /** Gives up the handle and opens a new one, all settings and the log checked again. */
  reopen(): void {
    this.#release()
    this.#handle = this.#open()
    this.checkpoint()
  }

  /** Refuses everything from now on; only a new opening may look again. */
  fail(): void {
    this.close()
  }

  /** Safe to repeat. */
  close(): void {
    if (this.#handle !== undefined) this.#release()
    this.#closed()
  }

  #open(): Handle {
    const handle = this.#driver(this.#file, { readonly: false, timeoutMs: busyTimeoutMs })
    pinned.add(handle)
    try {
      for (const [name, value, expected] of settings) {
        // Nothing may be written to a file that is not ours, and switching to WAL writes.
        if (name === 'journal_mode') isFresh(handle, this.#file, this.#kind)
        handle.pragma(`${name} = ${value}`, { simple: true })
        const applied = handle.pragma(name, { simple: true })
        if (applied === expected) continue
        if (name === 'journal_mode') throw new JournalModeNotApplied(this.#file, String(applied))
        throw new StoreFailed(`${this.what}: setting ${name}`, 'fatal')
      }
      // A process killed while it looked at the file leaves this behind; with the exclusive lock nobody uses it.
      rmSync(`${this.#file}-shm`, { force: true })
      return handle
    } catch (error) {
      closeQuietly(handle)
      throw error
    }
  }

  #release(): void {
    const handle = this.#handle
    this.#handle = undefined
    this.#statements = new Map()
    if (handle !== undefined) closeQuietly(handle)
  }
}

function closeQuietly(handle: Handle): void {
  try {
    handle.close()
  } catch {
    // Closing writes nothing that was not already durable in the log; the next open finds it there.
  }
  pinned.delete(handle)
}

function checkpoint(handle: Handle, what: string): void {
  const busy = handle.pragma('wal_checkpoint(TRUNCATE)', { simple: true })
  if (busy !== 0) throw new StoreFailed(`${what}: checkpoint`, 'transient')
}

export class JournalModeNotApplied extends HoldfastError {
  readonly code = 'JournalModeNotApplied'
  constructor(file: string, applied: string) {
    super(`${file}: journal mode stayed ${applied}, want wal`, {
      retry: 'after-fix',
      remedy: 'Put the data directory on a local disk; some network mounts refuse this mode.',
    })
  }
}
