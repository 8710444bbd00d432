import { randomBytes } from 'node:crypto'
import { closeSync, fstatSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Clock, systemClock } from '../../base/clock.js'
import { createDirectory } from '../../base/directory-guard.js'
import { acquireDirectory } from '../../base/directory-lock.js'
import { HoldfastError, isHoldfastError } from '../../base/errors.js'
import { type FaultPoints, noFaults } from '../../base/fault-points.js'
import { type Logger, silent } from '../../base/log.js'
import { StoreFailed } from '../../base/persistence.js'
import { openLedger } from '../ledger.js'
import { decodeLine } from '../ledger-line.js'
import type { Ledger } from '../ledger-port.js'
import { listSegments, openSegment, readPieces } from '../ledger-segments.js'
import { classify } from './classify.js'
import type { DatabaseKind } from './inspect.js'
import { SqliteJobStore } from './jobs.js'
import { JobMeta, openMeta } from './jobs-meta.js'
import type { Later } from './jobs-write-queue.js'
import { readMigrations } from './migrate.js'
import { openDatabase } from './open.js'

/** File name of the job database within a data directory. */
export const jobDatabaseName: string = 'jobs.db'

export type SqliteJobStoreOptions = {
  /** False refuses a missing store with StoreNotFound; default true. */
  readonly create?: boolean
  /** Called before every write; throws when this process no longer holds the directory. */
  readonly guard?: () => void
  /** Called once when the store was closed. */
  readonly onClose?: () => void
  /** File on another disk that gets the ledger's head after each sync. */
  readonly witnessPath?: string | undefined
  readonly faults?: FaultPoints
  readonly clock?: Clock
  readonly logger?: Logger
  /** How retries, syncs and checkpoints are put off; default a timer that keeps no process alive. */
  readonly later?: Later
}

/** What a job database is: `Hfjb` as its application id. */
export function jobDatabase(): DatabaseKind {
  return {
    what: 'job store',
    applicationId: 0x48666a62,
    migrations: readMigrations('jobs'),
    // Every row has a digest and a line: damage is a matter of single records here.
    checksPages: false,
    toBegin: 'Start the daemon or import jobs first',
    foreign: (file, problem) => new NotAJobDb(file, problem),
  }
}

/**
 * Checks and locks a data directory, made if need be, and opens its job store; `close` gives both back.
 *
 * @throws DataDirLocked when another process holds it, all that `createDirectory` and `openSqliteJobStore` throw
 */
export async function openJobStore(
  dir: string,
  options: Omit<SqliteJobStoreOptions, 'guard' | 'onClose'> = {},
): Promise<SqliteJobStore> {
  const lock = acquireDirectory(createDirectory(dir))
  try {
    return await openSqliteJobStore(lock.path, {
      ...options,
      guard: () => lock.assertHeld(),
      onClose: () => lock.release(),
    })
  } catch (error) {
    lock.release()
    throw error
  }
}

/**
 * Opens the job store of a directory with its ledger, or creates both there.
 *
 * @throws DriverMissing, SymlinkRefused, AlreadyOpen, StoreNotFound, NotAJobDb, SchemaTooNew,
 * MalformedSchemaHistory, MigrationChanged, IntegrityCheckFailed, JournalModeNotApplied, LedgerForeign,
 * LedgerOpenFailed, StoreFailed
 * @remarks The caller holds the directory lock. Jobs that are whole are answered at once; the comparison of the two
 * witnesses goes on behind, and new keys wait for it (`ready`).
 */
export async function openSqliteJobStore(
  directory: string,
  options: SqliteJobStoreOptions = {},
): Promise<SqliteJobStore> {
  const { guard = () => undefined, onClose = () => undefined, create = true } = options
  const { faults = noFaults, clock = systemClock, logger = silent, later = byTimer } = options
  const root = resolve(directory)
  const file = join(root, jobDatabaseName)
  const opening = { file, kind: jobDatabase(), create, guard, clock, logger }
  const connection = await openDatabase(opening)
  let ledger: Ledger | undefined
  try {
    const kept = openMeta(connection, clock, () => storeIdIn(root) ?? newStoreId())
    const { witnessPath } = options
    ledger = openLedger(root, { storeId: kept.storeId, witnessPath, clock, faults })
    const meta = new JobMeta({ connection, ledger, kept, clock, later })
    const parts = { connection, ledger, meta, faults, clock, logger, later, onClose }
    const store = new SqliteJobStore({ ...parts, directory: root })
    store.start()
    return store
  } catch (error) {
    connection.close()
    await ledger?.close()
    if (isHoldfastError(error)) throw error
    throw new StoreFailed('job store: opening', classify(error), { cause: error })
  }
}

function newStoreId(): string {
  return randomBytes(16).toString('hex')
}

/** The store id that the ledger of a directory names in the first line that can be read of a file. */
function storeIdIn(directory: string): string | undefined {
  for (const { path } of listSegments(directory)) {
    const descriptor = openSegment(path, 'read')
    if (descriptor === undefined) continue
    try {
      const [piece] = readPieces(descriptor, 0, fstatSync(descriptor).size, 4096)
      if (piece === undefined) continue
      const decoded = decodeLine(piece.buffer.subarray(piece.start, piece.end))
      if (decoded.kind === 'line' && 'storeId' in decoded.line.entry) {
        return decoded.line.entry.storeId
      }
    } finally {
      closeSync(descriptor)
    }
  }
  return undefined
}

const byTimer: Later = (work, delayMs) => {
  const timer = setTimeout(work, delayMs)
  timer.unref()
  return () => clearTimeout(timer)
}

export class NotAJobDb extends HoldfastError {
  readonly code = 'NotAJobDb'
  constructor(file: string, problem: string) {
    super(`${file}: not a job database, ${problem}`, {
      retry: 'after-fix',
      remedy:
        'Name another data directory, or restore the file from a backup; nothing was changed.',
    })
  }
}
