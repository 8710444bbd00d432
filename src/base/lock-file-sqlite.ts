import { closeSync, lstatSync, openSync } from 'node:fs'
import { createRequire } from 'node:module'
import { SymlinkRefused } from './directory-guard.js'
import { errnoOf } from './durable-file.js'
import { type HeldFile, identityAt, LockHelperFailed } from './lock-file.js'

type Driver = new (path: string, options: { readonly timeout: number }) => Connection
type Connection = { exec(sql: string): unknown; close(): unknown }

/**
 * Locks a file by keeping an exclusive SQLite transaction open on it: for platforms without flock(1).
 *
 * @returns `undefined` when somebody else holds the lock
 * @throws LockHelperFailed, SymlinkRefused
 * @remarks The file is never opened by anything else in this process: closing any other descriptor of it would
 * drop the lock.
 */
export function lockBySqlite(path: string): HeldFile | undefined {
  createEmpty(path)
  const before = identityAt(path)
  let connection: Connection | undefined
  try {
    connection = new (loadDriver())(path, { timeout: 0 })
    connection.exec('begin exclusive')
  } catch (cause) {
    connection?.close()
    if (cause instanceof Error && 'code' in cause && String(cause.code).startsWith('SQLITE_BUSY')) {
      return undefined
    }
    throw new LockHelperFailed(path, 'SQLite cannot lock it', cause)
  }
  const locked = connection
  // A file replaced while it was opened gets an identity that no path has, so the caller tries again.
  const identity = before === identityAt(path) && before !== undefined ? before : 'replaced'
  return { identity, close: () => void locked.close() }
}

function createEmpty(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (cause) {
    if (errnoOf(cause) !== 'EEXIST') {
      throw new LockHelperFailed(path, 'it cannot be created', cause)
    }
  }
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (stats?.isSymbolicLink() === true) throw new SymlinkRefused(path)
}

/** Loaded here and not at the top: on Linux nothing in this room needs a database. */
function loadDriver(): Driver {
  return createRequire(import.meta.url)('better-sqlite3') as Driver
}
