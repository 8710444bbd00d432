import { closeSync, fsyncSync, lstatSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Clock } from '../../base/clock.js'
import { SymlinkRefused } from '../../base/directory-guard.js'
import { syncFolder } from '../../base/durable-file.js'
import { HoldfastError, isHoldfastError } from '../../base/errors.js'
import type { Logger } from '../../base/log.js'
import { StoreFailed } from '../../base/persistence.js'
import { classify } from './classify.js'
import { Connection } from './connection.js'
import { type Driver, loadDriver } from './driver.js'
import { type DatabaseKind, inspect } from './inspect.js'
import { migrate } from './migrate.js'

/** Database files that this process has open, by device and inode. */
const open = new Set<string>()

/**
 * Opens a database of ours, or creates it, and answers nothing before it is known to be whole and durable.
 *
 * @param options.create false refuses a missing file with StoreNotFound
 * @throws DriverMissing, SymlinkRefused, AlreadyOpen, StoreNotFound, JournalModeNotApplied, SchemaTooNew,
 * MalformedSchemaHistory, MigrationChanged, IntegrityCheckFailed, StoreFailed, the kind's own refusal
 * @remarks A file that is refused keeps every byte. The file is opened by nothing else in this process.
 */
export async function openDatabase(options: {
  readonly file: string
  readonly kind: DatabaseKind
  readonly create: boolean
  readonly guard: () => void
  readonly clock: Clock
  readonly logger: Logger
}): Promise<Connection> {
  const driver = await loadDriver()
  const { file, kind } = options
  try {
    ensureFile(file, kind, options.create)
    const { dev, ino, size } = statSync(file)
    const key = `${dev}:${ino}`
    if (open.has(key)) throw new AlreadyOpen(file)
    open.add(key)
    const closed = (): void => void open.delete(key)
    try {
      return openChecked({ ...options, driver, closed, empty: size === 0 })
    } catch (error) {
      closed()
      throw error
    }
  } catch (error) {
    if (isHoldfastError(error)) throw error
    throw new StoreFailed(`${kind.what}: opening`, classify(error), { cause: error })
  }
}

function openChecked(options: {
  readonly file: string
  readonly kind: DatabaseKind
  readonly guard: () => void
  readonly clock: Clock
  readonly logger: Logger
  readonly driver: Driver
  readonly closed: () => void
  readonly empty: boolean
}): Connection {
  const { file, kind, driver } = options
  const found = options.empty ? { version: 0, rowComplaints: [] } : inspect(driver, file, kind)
  if (found.rowComplaints.length > 0) {
    options.logger.warn({ rows: found.rowComplaints.length }, `${kind.what}: rows are damaged`)
  }
  const connection = new Connection(options)
  try {
    if (found.version < kind.migrations.length) {
      connection.assertMayWrite()
      const { applicationId, migrations } = kind
      const nowMs = options.clock.nowMs()
      migrate(connection.handle, found.version, migrations, { applicationId, nowMs })
    }
    connection.checkpoint()
    return connection
  } catch (error) {
    connection.close()
    throw error
  }
}

/** Makes the file with its final mode before SQLite sees it, so that no other mode ever exists. */
function ensureFile(file: string, kind: DatabaseKind, create: boolean): void {
  for (const path of ['', '-wal', '-shm', '-journal'].map((suffix) => `${file}${suffix}`)) {
    if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) throw new SymlinkRefused(path)
  }
  const found = lstatSync(file, { throwIfNoEntry: false })
  if (found !== undefined) {
    if (!found.isFile()) throw kind.foreign(file, 'it is no regular file')
    return
  }
  if (!create) throw new StoreNotFound(file, kind)
  const descriptor = openSync(file, 'wx', 0o600)
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
  syncFolder(dirname(file))
}

export class AlreadyOpen extends HoldfastError {
  readonly code = 'AlreadyOpen'
  constructor(file: string) {
    super(`${file}: already open in this process, want one opening at a time`, {
      retry: 'after-fix',
      remedy: 'Use the store that is open, or close it first.',
    })
  }
}

export class StoreNotFound extends HoldfastError {
  readonly code = 'StoreNotFound'
  constructor(file: string, { what, toBegin }: Pick<DatabaseKind, 'what' | 'toBegin'>) {
    super(`${file}: no such ${what}`, {
      retry: 'after-fix',
      remedy: `${toBegin}, or name another data directory.`,
    })
  }
}
