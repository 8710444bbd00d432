import type { Clock } from './base/clock.js'
import { checkDirectory, createDirectory } from './base/directory-guard.js'
import { acquireDirectory } from './base/directory-lock.js'
import type { FaultPoints } from './base/fault-points.js'
import type { Logger } from './base/log.js'
import type { DashReader } from './chain/reader.js'
import type { JobStore } from './covenant/store.js'
import { openSqliteJobStore, openSqliteWalletStore } from './store/sqlite/index.js'
import { findFileVault } from './vault/file.js'
import type { Vault } from './vault/vault.js'
import type { Checkpoints } from './wallet/birth-height.js'
import type { WalletListener } from './wallet/events.js'
import { WalletManager } from './wallet/manager.js'
import type { WalletStore } from './wallet/store.js'

export type HoldfastOptions = {
  /** The data directory; one process at a time. Its parent must exist. */
  readonly dataDir: string
  /** Make the directory when it is missing. Default: true. */
  readonly create?: boolean
  /** Opens the vault for reading and writing secrets. Without it the vault stays locked; the caller wipes it. */
  readonly passphrase?: Uint8Array
  /** Allow a data directory on a FUSE file system. Default: false, since many do not keep their sync promises. */
  readonly allowFuse?: boolean
  readonly dash?: DashReader
  readonly checkpoints?: Checkpoints
  readonly clock?: Clock
  readonly log?: Logger
  readonly onEvent?: WalletListener
  readonly faults?: FaultPoints
  /** Opens the job store too, made when it is missing. Without it none is made or looked at. */
  readonly jobs?: JobOptions
}

/** How the job store is opened. */
export type JobOptions = {
  /** File on another disk that gets the ledger's head. */
  readonly witnessPath?: string | undefined
}

/** One open data directory: its wallets, its vault where there is one, and its jobs where they were asked for. */
export type Holdfast = AsyncDisposable & {
  readonly wallets: WalletManager
  readonly jobs: JobStore | undefined
  readonly vault: Vault | undefined
  /** Waits for calls in flight, closes everything and gives the directory back. Safe to call twice. */
  readonly close: () => Promise<void>
}

/** A data directory that was opened with its jobs. */
export type HoldfastWithJobs = Holdfast & { readonly jobs: JobStore }

/**
 * Opens a data directory: checks it, locks it, opens its stores and ends what a dead process left half way.
 *
 * @throws DataDirLocked when another process holds it; DataDirMissing, InsecureDataDir, SymlinkRefused,
 * UnsupportedFileSystem, NotWritable, NotAWalletDb, NotAJobDb, SchemaTooNew, IntegrityCheckFailed, LedgerForeign,
 * LedgerOpenFailed, WrongPassphrase, VaultMissing
 * @remarks Whatever fails, the lock is free again.
 * @example
 * const holdfast = await openHoldfast({ dataDir: 'wallets' })
 * const wallet = await holdfast.wallets.createFromMnemonic({ phrase, network: 'testnet' })
 * await holdfast.close()
 */
export function openHoldfast(
  options: HoldfastOptions & { readonly jobs: JobOptions },
): Promise<HoldfastWithJobs>
export function openHoldfast(options: HoldfastOptions): Promise<Holdfast>
export async function openHoldfast(options: HoldfastOptions): Promise<Holdfast> {
  const fileSystem = { allowFuse: options.allowFuse ?? false }
  const root =
    options.create === false
      ? checkDirectory(options.dataDir, fileSystem)
      : createDirectory(options.dataDir, fileSystem)
  const lock = acquireDirectory(root, fileSystem)
  const opened: { store?: WalletStore; jobs?: JobStore; vault?: Vault | undefined } = {}
  const storeOptions = {
    guard: () => lock.assertHeld(),
    ...pick(options, 'clock', 'faults'),
    ...(options.log === undefined ? {} : { logger: options.log }),
  }
  try {
    // The vault first: a wrong passphrase must not leave a new database behind.
    opened.vault = await findFileVault(root, options.passphrase)
    const store = await openSqliteWalletStore(root, storeOptions)
    opened.store = store
    if (options.jobs !== undefined) {
      opened.jobs = await openSqliteJobStore(root, { ...storeOptions, ...options.jobs })
    }
    const wallets = await WalletManager.open({
      store,
      ...(opened.vault ? { vault: opened.vault } : {}),
      ...pick(options, 'dash', 'checkpoints', 'clock', 'log', 'onEvent', 'faults'),
    })
    const { jobs, vault } = opened
    const close = (): Promise<void> =>
      closeInOrder([
        () => wallets.shutdown(),
        () => jobs?.close() ?? Promise.resolve(),
        async () => lock.release(),
      ])
    return { wallets, jobs, vault, close, [Symbol.asyncDispose]: close }
  } catch (error) {
    opened.vault?.close()
    // The first error is the one to report; a handle that does not close dies with the process.
    await opened.jobs?.close().catch(() => undefined)
    await opened.store?.close().catch(() => undefined)
    lock.release()
    throw error
  }
}

/** Closes one after the other, each also when the one before failed. */
async function closeInOrder([first, ...others]: readonly (() => Promise<void>)[]): Promise<void> {
  try {
    await first?.()
  } finally {
    if (others.length > 0) await closeInOrder(others)
  }
}

/** The named options that were given; leaves out the others, so that defaults stay in one place. */
function pick<Key extends keyof HoldfastOptions>(
  options: HoldfastOptions,
  ...keys: readonly Key[]
): Pick<HoldfastOptions, Key> {
  return Object.fromEntries(
    keys.filter((key) => options[key] !== undefined).map((key) => [key, options[key]]),
  ) as Pick<HoldfastOptions, Key> // the filter keeps exactly these keys
}
