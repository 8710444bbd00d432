import { neverAborted } from '../base/abort.js'
import { wipe } from '../base/bytes.js'
import { type Clock, systemClock } from '../base/clock.js'
import { HoldfastError } from '../base/errors.js'
import { type FaultPoints, noFaults } from '../base/fault-points.js'
import type { WalletId } from '../base/ids.js'
import { type Logger, silent } from '../base/log.js'
import { offlineDash } from '../chain/dash/offline.js'
import type { DashReader } from '../chain/reader.js'
import type { Vault } from '../vault/vault.js'
import type { AccountOptions } from './accounts.js'
import { matchSeed } from './attach.js'
import { type Checkpoints, noCheckpoints } from './birth-height.js'
import { deriveCandidate, type WatchOnlyAccount, watchOnlyCandidate } from './candidate.js'
import { seedOf } from './derive.js'
import { createEvents, type Events, type WalletListener } from './events.js'
import { handleOf, type WalletHandle } from './handle.js'
import {
  createRegistry,
  type LiveWallet,
  type Registry,
  StaleGeneration,
  WalletNotFound,
} from './live.js'
import { type LoadDeps, type LoadOutcome, loadAllWallets, loadWallet } from './load.js'
import type { Network } from './network.js'
import { createQueues, type WalletQueues } from './queue.js'
import { type RecoveryReport, recoverRegistrations } from './recover.js'
import { type Leftover, type RegisterDeps, type Registration, registerWallet } from './register.js'
import type { QuarantinedWallet, WalletStore } from './store.js'

export type WalletManagerOptions = {
  readonly store: WalletStore
  /** Where `persistSecret` keeps seeds; a locked one is enough to finish what a dead process left. */
  readonly vault?: Vault
  /** Reads Dash Platform while a wallet registers. Default: offline, everything `unavailable`. */
  readonly dash?: DashReader
  /** Heights a new wallet may start from when the chain's tip is not known. Default: none. */
  readonly checkpoints?: Checkpoints
  readonly clock?: Clock
  readonly log?: Logger
  /** Hears every event, also those of recovery, which happen before `open` returns. */
  readonly onEvent?: WalletListener
  readonly faults?: FaultPoints
}

export type CreateOptions = {
  readonly network: Network
  /** Which accounts to make; default: one of each kind a Dash wallet needs. */
  readonly accounts?: AccountOptions
  /** Block height before which the wallet has no history; 0 scans from the start. Default: the chain's tip. */
  readonly birthHeight?: number
  /** Keep the seed in the vault under this label. Default: the seed is forgotten. */
  readonly persistSecret?: { readonly label: string; readonly objectPassword?: Uint8Array }
  /** Replace damaged rows of the same id. Default: refuse with `WalletQuarantined`. */
  readonly replaceQuarantined?: boolean
  readonly signal?: AbortSignal
}

/** The public keys of a keyless wallet, with its id or the root key both ids are computed from. */
export type WatchOnlyKeys = { readonly accounts: readonly WatchOnlyAccount[] } & (
  | { readonly walletId: WalletId }
  | { readonly rootXpub: string }
)

/**
 * Registers, loads and lists wallets; at most one manager per store.
 *
 * @example
 * const manager = await WalletManager.open({ store: await openWalletStore('wallets') })
 * const wallet = await manager.createFromMnemonic({ phrase, network: 'testnet' })
 * console.log(wallet.id, wallet.nextAddress('platform').address)
 * await manager.shutdown()
 */
export class WalletManager implements AsyncDisposable {
  readonly #options: WalletManagerOptions
  readonly #registry: Registry = createRegistry()
  readonly #queues: WalletQueues = createQueues()
  readonly #events: Events
  readonly #seeds = new Map<WalletId, Uint8Array>()
  readonly #leftovers: Leftover[] = []
  #recovery: RecoveryReport = { discarded: [], completed: [], keptSecrets: [], deferred: [] }
  #closing: Promise<void> | undefined

  private constructor(options: WalletManagerOptions) {
    this.#options = options
    this.#events = createEvents(options.log ?? silent)
    if (options.onEvent) this.#events.on(options.onEvent)
  }

  /**
   * Opens a manager and ends every registration that a dead process left half way.
   *
   * @remarks The store must be held by this process alone. The manager closes store and vault at `shutdown`.
   */
  static async open(options: WalletManagerOptions): Promise<WalletManager> {
    const manager = new WalletManager(options)
    manager.#recovery = await recoverRegistrations({
      store: options.store,
      vault: options.vault,
      events: manager.#events,
      faults: options.faults ?? noFaults,
    })
    return manager
  }

  /**
   * Registers the wallet of a BIP-39 phrase, with the empty passphrase.
   *
   * @throws InvalidMnemonic, and everything `createFromSeedBytes` throws
   */
  async createFromMnemonic(
    options: CreateOptions & { readonly phrase: string },
  ): Promise<WalletHandle> {
    this.#refuseClosed()
    const seed = seedOf(options)
    try {
      return await this.#create(seed, options)
    } finally {
      wipe(seed)
    }
  }

  /**
   * Registers the wallet of a 64-byte seed; the caller's array is neither kept nor changed.
   *
   * @throws InvalidSeed, WalletAlreadyExists, WalletQuarantined, PersisterLoad, PersisterReserve, SecretStage,
   * RestoreFailed, PersisterPromote, PromoteOutcomeUnknown, VaultLocked, Aborted
   */
  async createFromSeedBytes(
    options: CreateOptions & { readonly seed: Uint8Array },
  ): Promise<WalletHandle> {
    this.#refuseClosed()
    const seed = seedOf(options)
    try {
      return await this.#create(seed, options)
    } finally {
      wipe(seed)
    }
  }

  /** Registers a wallet from extended public keys alone. */
  async createWatchOnly(
    options: WatchOnlyKeys & Omit<CreateOptions, 'accounts' | 'persistSecret'>,
  ): Promise<WalletHandle> {
    this.#refuseClosed()
    const candidate = watchOnlyCandidate({
      ...options,
      birthHeight: options.birthHeight ?? 0,
      createdAtMs: this.#clock.nowMs(),
    })
    return this.#register({ candidate, secret: undefined, ...restOf(options) }, options.signal)
  }

  /** Brings every stored wallet into memory; damaged ones are skipped with a reason. @throws PersisterLoad */
  loadAll(): Promise<LoadOutcome> {
    this.#refuseClosed()
    return loadAllWallets(this.#loadDeps())
  }

  /** Brings one stored wallet into memory. @throws WalletNotFound, WalletQuarantined, PersisterLoad */
  async load(id: WalletId, signal: AbortSignal = neverAborted): Promise<WalletHandle> {
    this.#refuseClosed()
    return handleOf(await loadWallet(this.#loadDeps(), id, signal))
  }

  /** The handle of a wallet in memory. @throws WalletNotFound */
  get(id: WalletId): WalletHandle {
    return handleOf(this.#find(id))
  }

  has(id: WalletId): boolean {
    return this.#registry.find(id) !== undefined
  }

  /** Wallets in memory, sorted by id. */
  list(): readonly WalletHandle[] {
    return this.#registry.list().map((wallet) => handleOf(wallet))
  }

  /** Wallets whose stored rows are damaged and set aside. */
  quarantined(): Promise<readonly QuarantinedWallet[]> {
    this.#refuseClosed()
    return this.#options.store.quarantined()
  }

  /**
   * Takes a wallet out of memory; its rows stay.
   *
   * @throws WalletNotFound, StaleGeneration when the handle is of an earlier generation
   */
  unload(wallet: WalletId | WalletHandle): Promise<WalletHandle> {
    this.#refuseClosed()
    const id = typeof wallet === 'string' ? wallet : wallet.id
    return this.#queues.run(id, neverAborted, async () => {
      const live = this.#current(wallet)
      const { generation } = live.stored
      this.#forgetSeed(id)
      this.#registry.remove(id, generation)
      this.#events.emit({ type: 'walletUnloaded', id, generation })
      return handleOf(live)
    })
  }

  /**
   * Gives a wallet in memory its seed for this session; accounts and state stay as they are.
   *
   * @throws WalletNotFound, StaleGeneration, InvalidSeed, SeedMismatch
   * @remarks Also accepts the seed of a wallet whose id predates network scoping, by its BIP-44 account 0.
   */
  attachSeed(wallet: WalletId | WalletHandle, seed: Uint8Array): Promise<void> {
    this.#refuseClosed()
    const id = typeof wallet === 'string' ? wallet : wallet.id
    return this.#queues.run(id, neverAborted, async () => {
      const live = this.#current(wallet)
      if (this.#seeds.has(id)) return
      const copy = seedOf({ seed })
      try {
        matchSeed(live.stored, copy)
      } catch (error) {
        wipe(copy)
        throw error
      }
      this.#seeds.set(id, copy)
    })
  }

  /** Forgets an attached seed; no-op when there is none. */
  detachSeed(id: WalletId): void {
    this.#forgetSeed(id)
  }

  /** Whether a seed is attached to this wallet now. */
  isSeeded(id: WalletId): boolean {
    return this.#seeds.has(id)
  }

  /** What `open` found of registrations that a dead process left behind. */
  recoveryReport(): RecoveryReport {
    return this.#recovery
  }

  /** Adds a listener; returns the function that removes it. */
  on(listener: WalletListener): () => void {
    return this.#events.on(listener)
  }

  /** Waits for calls in flight, wipes attached seeds, closes store and vault. Safe to call twice. */
  shutdown(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown()
  }

  async #create(seed: Uint8Array, options: CreateOptions): Promise<WalletHandle> {
    const candidate = deriveCandidate({
      seed,
      network: options.network,
      ...(options.accounts === undefined ? {} : { accounts: options.accounts }),
      birthHeight: options.birthHeight ?? 0,
      createdAtMs: this.#clock.nowMs(),
      onNodeKeyFailure: (error) =>
        this.#options.log?.warn({ error }, 'node keys could not be derived; the wallet has none'),
    })
    const { persistSecret } = options
    const secret = persistSecret === undefined ? undefined : { seed, ...persistSecret }
    return this.#register({ candidate, secret, ...restOf(options) }, options.signal)
  }

  async #register(
    registration: Registration,
    signal: AbortSignal = neverAborted,
  ): Promise<WalletHandle> {
    const { wallet, warnings } = await registerWallet(this.#registerDeps(), registration, signal)
    return handleOf(wallet, warnings)
  }

  #registerDeps(): RegisterDeps {
    const { store, vault, dash, checkpoints, faults } = this.#options
    return {
      store,
      vault,
      dash: dash ?? offlineDash,
      checkpoints: checkpoints ?? noCheckpoints,
      registry: this.#registry,
      queues: this.#queues,
      events: this.#events,
      leftovers: this.#leftovers,
      faults: faults ?? noFaults,
    }
  }

  #loadDeps(): LoadDeps {
    return {
      store: this.#options.store,
      registry: this.#registry,
      queues: this.#queues,
      events: this.#events,
    }
  }

  get #clock(): Clock {
    return this.#options.clock ?? systemClock
  }

  #find(id: WalletId): LiveWallet {
    const live = this.#registry.find(id)
    if (live === undefined) throw new WalletNotFound(id)
    return live
  }

  #current(wallet: WalletId | WalletHandle): LiveWallet {
    const live = this.#find(typeof wallet === 'string' ? wallet : wallet.id)
    if (typeof wallet !== 'string' && wallet.generation !== live.stored.generation) {
      throw new StaleGeneration(wallet.id)
    }
    return live
  }

  #forgetSeed(id: WalletId): void {
    wipe(this.#seeds.get(id))
    this.#seeds.delete(id)
  }

  async #close(): Promise<void> {
    await this.#queues.drain()
    for (const id of [...this.#seeds.keys()]) this.#forgetSeed(id)
    this.#options.vault?.close()
    await this.#options.store.close()
  }

  #refuseClosed(): void {
    if (this.#closing !== undefined) throw new ManagerClosed()
  }
}

function restOf(
  options: Pick<CreateOptions, 'birthHeight' | 'replaceQuarantined'>,
): Pick<Registration, 'birthHeight' | 'replaceQuarantined'> {
  return {
    birthHeight: options.birthHeight,
    replaceQuarantined: options.replaceQuarantined ?? false,
  }
}

/** The manager was shut down. */
export class ManagerClosed extends HoldfastError {
  readonly code = 'ManagerClosed'
  constructor() {
    super('wallet manager: it was shut down', {
      retry: 'after-fix',
      remedy: 'Open a new manager.',
    })
  }
}
