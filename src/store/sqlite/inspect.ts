import { lstatSync, rmSync } from 'node:fs'
import { HoldfastError } from '../../base/errors.js'
import { busyTimeoutMs } from '../../base/limits.js'
import { looksDamaged } from './classify.js'
import type { Driver, Handle } from './driver.js'
import { type Migration, migrate, schemaVersion } from './migrate.js'

/** What tells one of our databases from another file. */
export type DatabaseKind = {
  /** For messages: `wallet store`. */
  readonly what: string
  /** SQLite application id, 32 bits. */
  readonly applicationId: number
  readonly migrations: readonly Migration[]
  /** False for a store that checks its rows itself and goes on beside damaged pages; default true. */
  readonly checksPages?: boolean
  /** What to do when there is no such store yet. */
  readonly toBegin: string
  /** The refusal of a file that is not of this kind. */
  readonly foreign: (file: string, problem: string) => HoldfastError
}

export type Inspection = {
  /** 0 when nothing was ever committed to the file. */
  readonly version: number
  /** Complaints about single rows: their digests speak for them when they are read. */
  readonly rowComplaints: readonly string[]
}

/** Complaints of SQLite's check that concern one row or its index entry and leave the pages readable. */
const rowComplaint =
  /^(NULL value in|(TEXT|NUMERIC) value in|non-\w+ value in|CHECK constraint failed in|row .* missing from index|row not in PRIMARY KEY order|non-unique entry in index|wrong # of entries in index)/

/**
 * Looks at a database through a read-only handle and leaves every byte of it as it was.
 *
 * @throws the kind's refusal for a foreign file; MalformedSchemaHistory, SchemaTooNew, MigrationChanged,
 * IntegrityCheckFailed
 * @remarks An I/O error can look like damage, so damage counts only when a second handle sees it too.
 */
export function inspect(driver: Driver, file: string, kind: DatabaseKind): Inspection {
  try {
    return lookOnce(driver, file, kind)
  } catch (error) {
    const damaged = error instanceof IntegrityCheckFailed || isBrokenSchema(error)
    if (!damaged && !looksDamaged(error)) throw error
  }
  try {
    return lookOnce(driver, file, kind)
  } catch (error) {
    if (isBrokenSchema(error)) throw new IntegrityCheckFailed(file, String(error), error)
    if (!looksDamaged(error)) throw error
    const notOurs = error instanceof Error && 'code' in error && error.code === 'SQLITE_NOTADB'
    if (notOurs) throw kind.foreign(file, 'it is no SQLite database')
    throw new IntegrityCheckFailed(file, 'its pages cannot be read', error)
  }
}

function lookOnce(driver: Driver, file: string, kind: DatabaseKind): Inspection {
  const sides = ['-shm', '-wal'].map((suffix) => `${file}${suffix}`)
  const absent = sides.filter((path) => sizeOf(path) === undefined)
  try {
    const handle = driver(file, { readonly: true, timeoutMs: busyTimeoutMs })
    try {
      const found = look(handle, file, kind)
      if (found.version > 0) checkSchema(driver, handle, file, kind, found.version)
      return found
    } finally {
      handle.close()
    }
  } finally {
    // A read-only handle cannot tidy up after itself; what stood here before stays.
    for (const path of absent) {
      if (path.endsWith('-shm') || sizeOf(path) === 0) rmSync(path, { force: true })
    }
  }
}

const isBrokenSchema = (error: unknown): boolean =>
  error instanceof Error && error.message.startsWith('malformed database schema')

/** One flipped bit in the text of a table or index makes it another one: it must be what the migrations make. */
function checkSchema(
  driver: Driver,
  handle: Handle,
  file: string,
  kind: DatabaseKind,
  version: number,
): void {
  const model = driver(':memory:', { readonly: false, timeoutMs: 0 })
  try {
    const { applicationId, migrations } = kind
    migrate(model, 0, migrations.slice(0, version), { applicationId, nowMs: 0 })
    if (schemaText(handle) === schemaText(model)) return
  } finally {
    model.close()
  }
  throw new IntegrityCheckFailed(file, 'its tables are not what its migrations made')
}

function schemaText(handle: Handle): string {
  const select = 'select type, name, tbl_name, sql from sqlite_schema order by type, name'
  return JSON.stringify(handle.prepare(select).raw(true).all())
}

const sizeOf = (path: string): number | undefined =>
  lstatSync(path, { throwIfNoEntry: false })?.size

function look(handle: Handle, file: string, kind: DatabaseKind): Inspection {
  let fresh: boolean
  try {
    fresh = isFresh(handle, file, kind)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code !== 'SQLITE_READONLY_ROLLBACK') throw error
    // Only the first page of a new file is ever written with a rollback journal: a creation was interrupted.
    if ((sizeOf(file) ?? 0) <= 4096) return { version: 0, rowComplaints: [] }
    throw kind.foreign(file, 'it has a rollback journal, which is never used here')
  }
  if (fresh) return { version: 0, rowComplaints: [] }
  const version = schemaVersion(handle, file, kind.migrations)
  if (kind.checksPages === false) return { version, rowComplaints: [] }
  return { version, rowComplaints: checkIntegrity(handle, file) }
}

/**
 * True when nothing was committed to the file yet.
 *
 * @throws the kind's refusal when something was, and not by us
 */
export function isFresh(handle: Handle, file: string, kind: DatabaseKind): boolean {
  const id = handle.pragma('application_id', { simple: true })
  if (id === kind.applicationId) return false
  const objects = handle.prepare('select count(*) from sqlite_schema').pluck(true).get()
  if (id === 0 && objects === 0) return true
  throw kind.foreign(file, `its application id is ${id}, want ${kind.applicationId}`)
}

function checkIntegrity(handle: Handle, file: string): string[] {
  // A value that breaks a CHECK is damage of one row, and every row has a digest.
  handle.pragma('ignore_check_constraints = ON', { simple: true })
  const answers = handle.prepare('pragma integrity_check').pluck(true).all() as string[]
  const complaints = answers.filter((answer) => answer !== 'ok')
  const structural = complaints.find((complaint) => !rowComplaint.test(complaint))
  if (structural !== undefined) throw new IntegrityCheckFailed(file, structural)
  return complaints
}

export class IntegrityCheckFailed extends HoldfastError {
  readonly code = 'IntegrityCheckFailed'
  constructor(file: string, problem: string, cause?: unknown) {
    super(`${file}: damaged, ${problem.slice(0, 200)}`, {
      retry: 'after-fix',
      remedy: 'Check the disk, then restore the file from a backup; nothing in it was changed.',
      cause,
    })
  }
}
