import { join, resolve } from 'node:path'
import { type Clock, systemClock } from '../../base/clock.js'
import { createDirectory, SymlinkRefused } from '../../base/directory-guard.js'
import { acquireDirectory } from '../../base/directory-lock.js'
import { errnoOf } from '../../base/durable-file.js'
import { HoldfastError, isHoldfastError } from '../../base/errors.js'
import { type FaultPoints, noFaults } from '../../base/fault-points.js'
import { type Logger, silent } from '../../base/log.js'
import { StoreFailed } from '../../base/persistence.js'
import type { WalletStore } from '../../wallet/store.js'
import { classify } from './classify.js'
import type { DatabaseKind } from './inspect.js'
import { Inventory } from './inventory.js'
import { readMigrations } from './migrate.js'
import { openDatabase } from './open.js'
import { SqliteWalletStore } from './wallets.js'

export {
  jobDatabase,
  jobDatabaseName,
  NotAJobDb,
  openJobStore,
  openSqliteJobStore,
  type SqliteJobStoreOptions,
} from './jobs-open.js'

/** File names of the wallet store within a data directory. */
export const walletFiles: {
  readonly database: string
  readonly inventory: string
  readonly quarantine: string
} = { database: 'wallets.db', inventory: 'wallets.inventory', quarantine: 'quarantine' }

export type SqliteWalletStoreOptions = {
  /** False refuses a missing store with StoreNotFound; default true. */
  readonly create?: boolean
  /** Called before every write; throws when this process no longer holds the directory. */
  readonly guard?: () => void
  /** Called once when the store was closed. */
  readonly onClose?: () => void
  readonly faults?: FaultPoints
  readonly clock?: Clock
  readonly logger?: Logger
}

/** What a wallet database is: `Hfwl` as its application id. */
export function walletDatabase(): DatabaseKind {
  return {
    what: 'wallet store',
    applicationId: 0x4866776c,
    migrations: readMigrations('wallets'),
    toBegin: 'Create a wallet first',
    foreign: (file, problem) => new NotAWalletDb(file, problem),
  }
}

/**
 * Checks and locks a data directory, made if need be, and opens its wallet store; `close` gives both back.
 *
 * @throws DataDirLocked when another process holds it, all that `createDirectory` and `openSqliteWalletStore` throw
 */
export async function openWalletStore(
  dir: string,
  options: Omit<SqliteWalletStoreOptions, 'guard' | 'onClose'> = {},
): Promise<WalletStore> {
  const lock = acquireDirectory(createDirectory(dir))
  try {
    return await openSqliteWalletStore(lock.path, {
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
 * Opens the wallet store of a directory, or creates it there.
 *
 * @throws DriverMissing, SymlinkRefused, AlreadyOpen, StoreNotFound, NotAWalletDb, SchemaTooNew,
 * MalformedSchemaHistory, MigrationChanged, IntegrityCheckFailed, JournalModeNotApplied, StoreFailed
 * @remarks The caller holds the directory lock. A file that is refused keeps every byte.
 */
export async function openSqliteWalletStore(
  directory: string,
  options: SqliteWalletStoreOptions = {},
): Promise<WalletStore> {
  const { guard = () => undefined, onClose = () => undefined, faults = noFaults } = options
  const { clock = systemClock, logger = silent, create = true } = options
  const at = (name: string): string => join(resolve(directory), name)
  const file = at(walletFiles.database)
  const kind = walletDatabase()
  const connection = await openDatabase({ file, kind, create, guard, clock, logger })
  let inventory: Inventory | undefined
  try {
    inventory = openInventory(at(walletFiles.inventory), logger)
    const quarantineFolder = at(walletFiles.quarantine)
    return new SqliteWalletStore({
      connection,
      inventory,
      quarantineFolder,
      onClose,
      faults,
      clock,
      logger,
    })
  } catch (error) {
    inventory?.close()
    connection.close()
    if (isHoldfastError(error)) throw error
    throw new StoreFailed('wallet store: opening', classify(error), { cause: error })
  }
}

function openInventory(path: string, logger: Logger): Inventory {
  try {
    return new Inventory(path, logger)
  } catch (error) {
    if (errnoOf(error) === 'ELOOP') throw new SymlinkRefused(path)
    throw error
  }
}

export class NotAWalletDb extends HoldfastError {
  readonly code = 'NotAWalletDb'
  constructor(file: string, problem: string) {
    super(`${file}: not a wallet database, ${problem}`, {
      retry: 'after-fix',
      remedy:
        'Name another data directory, or restore the file from a backup; nothing was changed.',
    })
  }
}
