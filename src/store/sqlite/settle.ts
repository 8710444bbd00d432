import { randomBytes } from 'node:crypto'
import { isHoldfastError } from '../../base/errors.js'
import { persistenceKindOf, StoreFailed } from '../../base/persistence.js'
import { classify, looksDamaged, primaryCodeOf } from './classify.js'
import type { Connection } from './connection.js'

/** One transaction and the way to tell afterwards whether it happened. */
export type Write<T> = {
  /** For messages: `promote`. */
  readonly what: string
  /** Makes the changes; synchronous, inside BEGIN IMMEDIATE. */
  readonly run: () => T
  /** Answers again from what is stored; `undefined` when the changes are not there. */
  readonly readBack: () => T | undefined
  /** Reached right after COMMIT returned; what it throws counts as an error of COMMIT. */
  readonly committed?: () => void
}

/**
 * Runs one transaction and answers only what is true.
 *
 * @returns what `run` returned, or `readBack` after an unclear commit that turned out to be there
 * @throws StoreFailed: `notWritten` when it is proven that nothing was kept, `unknown` when that could not be
 * found out; the connection then refuses everything. Errors of our own that `run` throws come through as they
 * are, after the rollback.
 * @remarks A failed sync leaves frames in the log that this handle does not see and the next opening may: a read
 * proves presence, never absence. Absence is answered only after a later commit has overwritten those frames.
 * The marker table `settle_marker(one, token)` must exist.
 */
export function commitOrSettle<T extends NonNullable<unknown>>(
  connection: Connection,
  write: Write<T>,
): T {
  const { handle } = connection
  connection.assertMayWrite()
  let committing = false
  let result: T
  try {
    connection.run('begin immediate')
    result = write.run()
    committing = true
    // A full disk inside a savepoint ends the whole transaction, whatever was made of its error.
    if (!handle.inTransaction) throw new StoreFailed(`${write.what}: transaction`, 'transient')
    connection.run('commit')
    write.committed?.()
  } catch (cause) {
    if (committing || isUnclear(cause)) return settle(connection, write, cause)
    rollBack(connection, write.what, cause)
    throw refusal(connection, write.what, cause)
  }
  return result
}

/** Errors after which the pages in the log and the answer of the handle may differ. */
function isUnclear(error: unknown): boolean {
  return primaryCodeOf(error) === 'SQLITE_IOERR' || looksDamaged(error)
}

function rollBack(connection: Connection, what: string, cause: unknown): void {
  try {
    if (connection.handle.inTransaction) connection.run('rollback')
  } catch (failure) {
    connection.fail()
    const both = new AggregateError([cause, failure], 'a write and its rollback failed')
    throw new StoreFailed(`${connection.what}: ${what}`, 'persisterClosed', { cause: both })
  }
}

function refusal(connection: Connection, what: string, cause: unknown): unknown {
  if (isHoldfastError(cause) || cause instanceof TypeError || cause instanceof RangeError) {
    return cause
  }
  return new StoreFailed(`${connection.what}: ${what}`, classify(cause), { cause })
}

function settle<T>(connection: Connection, write: Write<T>, cause: unknown): T {
  let found: T | undefined
  try {
    connection.assertMayWrite()
    connection.reopen()
    found = write.readBack()
    if (found === undefined) {
      commitMarker(connection)
      found = write.readBack()
    }
    if (found !== undefined) connection.checkpoint()
  } catch (failure) {
    connection.fail()
    const both = new AggregateError([cause, failure], 'a commit failed and could not be settled')
    throw new StoreFailed(`${connection.what}: ${write.what}`, 'persisterClosed', {
      outcome: 'unknown',
      cause: both,
    })
  }
  if (found !== undefined) return found
  removeMarker(connection)
  // A fresh handle and a commit on it just worked: the same call may succeed now.
  const kind = persistenceKindOf(cause) ?? (isUnclear(cause) ? 'transient' : classify(cause))
  throw new StoreFailed(`${connection.what}: ${write.what}`, kind, { cause })
}

function commitMarker(connection: Connection): void {
  connection.run('begin immediate')
  connection.run('insert or replace into settle_marker values (1, ?)', randomBytes(16))
  connection.run('commit')
}

function removeMarker(connection: Connection): void {
  try {
    connection.run('delete from settle_marker')
  } catch {
    // Its commit has done its work; the row says nothing and the next settling replaces it.
  }
}
