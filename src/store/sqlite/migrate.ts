import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { equalBytes } from '../../base/bytes.js'
import { HoldfastError } from '../../base/errors.js'
import type { Handle } from './driver.js'

/** One released step of a schema; its text never changes again. */
export type Migration = {
  /** Counts from 1 without gaps. */
  readonly version: number
  readonly name: string
  readonly sql: string
  /** SHA-256 of the text. */
  readonly checksum: Uint8Array
}

const createHistory = `create table schema_history (
  version integer primary key,
  name text not null,
  checksum blob not null check (length(checksum) = 32),
  applied_at_ms integer not null
) strict`

/**
 * Reads the numbered `.sql` files of one folder of the package's `sql/sqlite`.
 *
 * @throws RangeError when a number is missing or doubled
 */
export function readMigrations(folder: string): readonly Migration[] {
  const path = fileURLToPath(new URL(`../../../sql/sqlite/${folder}/`, import.meta.url))
  const names = readdirSync(path)
    .filter((name) => /^\d{6}\.sql$/.test(name))
    .sort()
  return names.map((name, at) => {
    const version = Number.parseInt(name, 10)
    if (version !== at + 1) throw new RangeError(`migrations: ${name} is out of order`)
    return migrationOf(version, name, readFileSync(join(path, name), 'utf8'))
  })
}

/** A migration of this text. */
export function migrationOf(version: number, name: string, sql: string): Migration {
  const checksum = new Uint8Array(createHash('sha256').update(sql).digest())
  return { version, name, sql, checksum }
}

/**
 * Checks which migrations a database has had, and reads nothing else.
 *
 * @returns the version of its schema
 * @throws MalformedSchemaHistory, SchemaTooNew, MigrationChanged
 */
export function schemaVersion(
  handle: Handle,
  file: string,
  migrations: readonly Migration[],
): number {
  const rows = readHistory(handle, file)
  for (const [at, { version }] of rows.entries()) {
    if (version !== at + 1) throw new MalformedSchemaHistory(file, `version ${at + 1} is missing`)
  }
  if (rows.length > migrations.length) {
    throw new SchemaTooNew(file, rows.length, migrations.length)
  }
  for (const [at, row] of rows.entries()) {
    const ours = migrations[at]
    if (ours === undefined || !equalBytes(row.checksum, ours.checksum)) {
      throw new MigrationChanged(file, row.version)
    }
  }
  return rows.length
}

function readHistory(
  handle: Handle,
  file: string,
): { readonly version: number; readonly checksum: Uint8Array }[] {
  const columns = handle.prepare("select name from pragma_table_info('schema_history')").pluck(true)
  const names = new Set(columns.all())
  if (!names.has('version') || !names.has('checksum')) {
    throw new MalformedSchemaHistory(file, 'its table is missing or has other columns')
  }
  const rows = handle
    .prepare('select version, checksum from schema_history order by version')
    .raw(true)
    .all() as [unknown, unknown][]
  if (rows.length === 0) throw new MalformedSchemaHistory(file, 'it is empty')
  return rows.map(([version, checksum]) => {
    if (typeof version !== 'number' || !(checksum instanceof Uint8Array)) {
      throw new MalformedSchemaHistory(file, 'a row has values of the wrong type')
    }
    return { version, checksum }
  })
}

/**
 * Brings a database from one version to the newest, each step in one transaction with its history row.
 *
 * @param applicationId written with the first step, so that an interrupted creation leaves an empty database
 */
export function migrate(
  handle: Handle,
  from: number,
  migrations: readonly Migration[],
  options: { readonly applicationId: number; readonly nowMs: number },
): void {
  for (const { version, name, sql, checksum } of migrations.slice(from)) {
    handle.exec('begin immediate')
    try {
      if (version === 1) {
        handle.exec(`pragma application_id = ${options.applicationId}`)
        handle.exec(createHistory)
      }
      handle.exec(sql)
      handle
        .prepare('insert into schema_history values (?, ?, ?, ?)')
        .run(BigInt(version), name, checksum, BigInt(options.nowMs))
      handle.exec('commit')
    } catch (error) {
      if (handle.inTransaction) handle.exec('rollback')
      throw error
    }
  }
}

export class SchemaTooNew extends HoldfastError {
  readonly code = 'SchemaTooNew'
  constructor(file: string, version: number, supported: number) {
    super(`${file}: schema version ${version}, want at most ${supported}`, {
      retry: 'after-fix',
      remedy: 'Use the newer Holdfast that wrote this file; downgrading is not possible.',
    })
  }
}

export class MalformedSchemaHistory extends HoldfastError {
  readonly code = 'MalformedSchemaHistory'
  constructor(file: string, problem: string) {
    super(`${file}: schema history is malformed, ${problem}`, {
      retry: 'after-fix',
      remedy: 'Restore the file from a backup; nothing in it was changed.',
    })
  }
}

export class MigrationChanged extends HoldfastError {
  readonly code = 'MigrationChanged'
  constructor(file: string, version: number) {
    super(`${file}: migration ${version} was applied with another text than this release has`, {
      retry: 'after-fix',
      remedy: 'Use the Holdfast release that wrote this file, or reinstall this one unchanged.',
    })
  }
}
