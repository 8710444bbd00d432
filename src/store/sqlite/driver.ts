import { HoldfastError } from '../../base/errors.js'

/** A value as SQLite keeps it; integers are always `bigint` here. */
export type SqlValue = null | bigint | string | Uint8Array

/** What is used of a prepared statement, by shape, so that no driver's types leak out of this room. */
export interface Statement {
  run(...values: readonly SqlValue[]): { readonly changes: number }
  get(...values: readonly SqlValue[]): unknown
  all(...values: readonly SqlValue[]): unknown[]
  raw(on: boolean): this
  pluck(on: boolean): this
  safeIntegers(on: boolean): this
}

/** What is used of a database handle. */
export interface Handle {
  readonly inTransaction: boolean
  prepare(sql: string): Statement
  exec(sql: string): unknown
  pragma(sql: string, options: { readonly simple: boolean }): unknown
  close(): unknown
}

/** Opens one handle. */
export type Driver = (
  file: string,
  options: { readonly readonly: boolean; readonly timeoutMs: number },
) => Handle

/**
 * Loads the native SQLite module on first use.
 *
 * @throws DriverMissing
 */
export async function loadDriver(): Promise<Driver> {
  try {
    const { default: Database } = await import('better-sqlite3')
    return (file, { readonly, timeoutMs }) =>
      new Database(file, { readonly, fileMustExist: true, timeout: timeoutMs }) as Handle
  } catch (cause) {
    throw new DriverMissing(cause)
  }
}

export class DriverMissing extends HoldfastError {
  readonly code = 'DriverMissing'
  constructor(cause: unknown) {
    super('SQLite: the native module better-sqlite3 cannot be loaded', {
      retry: 'after-fix',
      remedy: 'Run "npm install better-sqlite3"; building it needs Python 3 and a C++ compiler.',
      cause,
    })
  }
}
