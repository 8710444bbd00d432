import type { Clock } from './base/clock.js'
import { checkDirectory, createDirectory } from './base/directory-guard.js'
import { acquireDirectory } from './base/directory-lock.js'
import type { FaultPoints } from './base/fault-points.js'
import type { Logger } from './base/log.js'
import type { DashReader } from './chain/reader.js'
import { openSqliteWalletStore } from './store/sqlite/index.js'
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
}

/** One open data directory: its wallets, and its vault where there is one. */
export type Holdfast = AsyncDisposable & {
  readonly wallets: WalletManager
  readonly vault: Vault | undefined
  /** Waits for calls in flight, closes everything and gives the directory back. Safe to call twice. */
  readonly close: () => Promise<void>
}

/**
 * Opens a data directory: checks it, locks it, opens its stores and ends what a dead process left half way.
 *
 * @throws DataDirLocked when another process holds it; DataDirMissing, InsecureDataDir, SymlinkRefused,
 * UnsupportedFileSystem, NotWritable, NotAWalletDb, SchemaTooNew, IntegrityCheckFailed, WrongPassphrase, VaultMissing
 * @example
 * const holdfast = await openHoldfast({ dataDir: 'wallets' })
 * const wallet = await holdfast.wallets.createFromMnemonic({ phrase, network: 'testnet' })
 * await holdfast.close()
 */
export async function openHoldfast(options: HoldfastOptions): Promise<Holdfast> {
  const fileSystem = { allowFuse: options.allowFuse ?? false }
  const root =
    options.create === false
      ? checkDirectory(options.dataDir, fileSystem)
      : createDirectory(options.dataDir, fileSystem)
  const lock = acquireDirectory(root, fileSystem)
  const opened: { store?: WalletStore; vault?: Vault | undefined } = {}
  try {
    // The vault first: a wrong passphrase must not leave a new database behind.
    opened.vault = await findFileVault(root, options.passphrase)
    const store = await openSqliteWalletStore(root, {
      guard: () => lock.assertHeld(),
      ...pick(options, 'clock', 'faults'),
      ...(options.log === undefined ? {} : { logger: options.log }),
    })
    opened.store = store
    const wallets = await WalletManager.open({
      store,
      ...(opened.vault ? { vault: opened.vault } : {}),
      ...pick(options, 'dash', 'checkpoints', 'clock', 'log', 'onEvent', 'faults'),
    })
    const close = async (): Promise<void> => {
      try {
        await wallets.shutdown()
      } finally {
        lock.release()
      }
    }
    return { wallets, vault: opened.vault, close, [Symbol.asyncDispose]: close }
  } catch (error) {
    opened.vault?.close()
    // The first error is the one to report; a handle that does not close dies with the process.
    await opened.store?.close().catch(() => undefined)
    lock.release()
    throw error
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
