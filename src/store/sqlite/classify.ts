import { errnoOf } from '../../base/durable-file.js'
import { type PersistenceKind, persistenceKindOf } from '../../base/persistence.js'

/** SQLite's primary result codes; extended codes begin with one of them. */
export type SqliteCode =
  | 'SQLITE_OK'
  | 'SQLITE_ERROR'
  | 'SQLITE_INTERNAL'
  | 'SQLITE_PERM'
  | 'SQLITE_ABORT'
  | 'SQLITE_BUSY'
  | 'SQLITE_LOCKED'
  | 'SQLITE_NOMEM'
  | 'SQLITE_READONLY'
  | 'SQLITE_INTERRUPT'
  | 'SQLITE_IOERR'
  | 'SQLITE_CORRUPT'
  | 'SQLITE_NOTFOUND'
  | 'SQLITE_FULL'
  | 'SQLITE_CANTOPEN'
  | 'SQLITE_PROTOCOL'
  | 'SQLITE_EMPTY'
  | 'SQLITE_SCHEMA'
  | 'SQLITE_TOOBIG'
  | 'SQLITE_CONSTRAINT'
  | 'SQLITE_MISMATCH'
  | 'SQLITE_MISUSE'
  | 'SQLITE_NOLFS'
  | 'SQLITE_AUTH'
  | 'SQLITE_FORMAT'
  | 'SQLITE_RANGE'
  | 'SQLITE_NOTADB'
  | 'SQLITE_NOTICE'
  | 'SQLITE_WARNING'
  | 'SQLITE_ROW'
  | 'SQLITE_DONE'

/** What each primary code means for the caller. */
export const kindOfCode: Readonly<Record<SqliteCode, PersistenceKind>> = {
  SQLITE_BUSY: 'transient',
  SQLITE_LOCKED: 'transient',
  SQLITE_NOMEM: 'transient',
  SQLITE_IOERR: 'transient',
  SQLITE_FULL: 'transient',
  SQLITE_CONSTRAINT: 'constraint',
  SQLITE_OK: 'fatal',
  SQLITE_ERROR: 'fatal',
  SQLITE_INTERNAL: 'fatal',
  SQLITE_PERM: 'fatal',
  SQLITE_ABORT: 'fatal',
  SQLITE_READONLY: 'fatal',
  SQLITE_INTERRUPT: 'fatal',
  SQLITE_CORRUPT: 'fatal',
  SQLITE_NOTFOUND: 'fatal',
  SQLITE_CANTOPEN: 'fatal',
  SQLITE_PROTOCOL: 'fatal',
  SQLITE_EMPTY: 'fatal',
  SQLITE_SCHEMA: 'fatal',
  SQLITE_TOOBIG: 'fatal',
  SQLITE_MISMATCH: 'fatal',
  SQLITE_MISUSE: 'fatal',
  SQLITE_NOLFS: 'fatal',
  SQLITE_AUTH: 'fatal',
  SQLITE_FORMAT: 'fatal',
  SQLITE_RANGE: 'fatal',
  SQLITE_NOTADB: 'fatal',
  SQLITE_NOTICE: 'fatal',
  SQLITE_WARNING: 'fatal',
  SQLITE_ROW: 'fatal',
  SQLITE_DONE: 'fatal',
}

/** System call errors that pass by themselves or when room is made. */
const transientErrnos: ReadonlySet<string | undefined> = new Set([
  'ENOSPC',
  'EDQUOT',
  'EIO',
  'EMFILE',
  'ENFILE',
  'EAGAIN',
  'ENOMEM',
])

/** The primary SQLite code of an error, `SQLITE_IOERR` for `SQLITE_IOERR_FSYNC`. */
export function primaryCodeOf(error: unknown): SqliteCode | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  if (typeof error.code !== 'string') return undefined
  const primary = error.code.split('_', 2).join('_')
  return Object.hasOwn(kindOfCode, primary) ? (primary as SqliteCode) : undefined
}

/** What a storage error means for the caller; an error that already says so keeps its word. */
export function classify(error: unknown): PersistenceKind {
  const known = persistenceKindOf(error)
  if (known !== undefined) return known
  const code = primaryCodeOf(error)
  if (code !== undefined) return kindOfCode[code]
  return transientErrnos.has(errnoOf(error)) ? 'transient' : 'fatal'
}

/** True when the pages themselves could not be made sense of; it may still be an I/O error in disguise. */
export function looksDamaged(error: unknown): boolean {
  const code = primaryCodeOf(error)
  return code === 'SQLITE_CORRUPT' || code === 'SQLITE_NOTADB'
}
