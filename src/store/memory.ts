import { randomBytes } from 'node:crypto'
import { type Clock, systemClock } from '../base/clock.js'
import { type FaultPoints, noFaults } from '../base/fault-points.js'
import { type AttemptId, type Generation, generationOf, type WalletId } from '../base/ids.js'
import { persistenceKindOf, StoreFailed } from '../base/persistence.js'
import type { Changeset, StoredWallet } from '../wallet/changeset.js'
import type {
  Corruption,
  JournalRow,
  QuarantinedWallet,
  ReadOutcome,
  WalletStatus,
  WalletStore,
} from '../wallet/store.js'
import { inOrder } from './canonical-order.js'
import { checkChangeset } from './check-changeset.js'

type JournalEntry = Omit<JournalRow, 'ours'> & { readonly opening: symbol }

type Contents = {
  readonly storeGeneration: string
  readonly wallets: Map<WalletId, StoredWallet>
  readonly journal: Map<AttemptId, JournalEntry>
  readonly quarantined: Map<WalletId, QuarantinedWallet>
  readonly inventory: Set<WalletId>
  readonly damaged: Map<WalletId, Corruption>
}

/** What outlives a closed memory store: hand it to the next one to open the same wallets again. */
export interface MemoryDisk {
  /** Makes the wallet unreadable, as flipped bits would. */
  damage(id: WalletId): void
  /** Drops the wallet's rows behind the store's back. */
  lose(id: WalletId): void
}

const contentsOf = new WeakMap<MemoryDisk, Contents>()
const inUse = new WeakSet<Contents>()

export function memoryDisk(): MemoryDisk {
  const contents: Contents = {
    storeGeneration: randomBytes(16).toString('hex'),
    wallets: new Map(),
    journal: new Map(),
    quarantined: new Map(),
    inventory: new Set(),
    damaged: new Map(),
  }
  const disk: MemoryDisk = {
    damage(id) {
      contents.damaged.set(id, { kind: 'manifestIntegrityMismatch', detail: 'made so by a test' })
    },
    lose: (id) => void contents.wallets.delete(id),
  }
  contentsOf.set(disk, contents)
  return disk
}

export type MemoryWalletStoreOptions = {
  /** Default: a new, empty one. */
  readonly disk?: MemoryDisk
  readonly faults?: FaultPoints
  readonly clock?: Clock
}

/**
 * A wallet store in memory, for tests: what it promises, and where it can be made to fail, is what SQLite's does.
 *
 * @throws RangeError when the disk is in use by another store
 */
export function memoryWalletStore(options: MemoryWalletStoreOptions = {}): WalletStore {
  const contents = contentsOf.get(options.disk ?? memoryDisk())
  if (contents === undefined) throw new RangeError('memory store: not a disk of memoryDisk()')
  if (inUse.has(contents)) throw new RangeError('memory store: this disk is in use')
  return new MemoryWalletStore(contents, options.faults ?? noFaults, options.clock ?? systemClock)
}

class MemoryWalletStore implements WalletStore {
  readonly storeGeneration: string
  readonly #contents: Contents
  readonly #faults: FaultPoints
  readonly #clock: Clock
  readonly #opening = Symbol('opening')
  readonly #live = new Map<WalletId, AttemptId>()
  #closed = false

  constructor(contents: Contents, faults: FaultPoints, clock: Clock) {
    inUse.add(contents)
    this.#contents = contents
    this.#faults = faults
    this.#clock = clock
    this.storeGeneration = contents.storeGeneration
  }

  async status(id: WalletId): Promise<WalletStatus> {
    const { wallets, quarantined } = this.#usable('status')
    const aside = quarantined.get(id)
    if (aside) return { kind: 'quarantined', corruption: aside.corruption }
    const wallet = wallets.get(id)
    return wallet ? { kind: 'active', generation: wallet.generation } : { kind: 'absent' }
  }

  async reserve(claim: {
    readonly walletId: WalletId
    readonly attempt: AttemptId
    readonly secretLabel?: string
    readonly createdAtMs: number
  }): Promise<void> {
    const { journal } = this.#usable('reserve')
    const { walletId, attempt } = claim
    if (this.#live.has(walletId)) throw refused('reserve', 'another attempt is under way')
    if (journal.has(attempt)) throw refused('reserve', 'the attempt exists already')
    for (const entry of journal.values()) {
      if (entry.walletId === walletId) this.#mark(entry.attempt)
    }
    journal.set(attempt, {
      attempt,
      walletId,
      secretLabel: claim.secretLabel,
      phase: 'reserved',
      storeGeneration: this.storeGeneration,
      opening: this.#opening,
      createdAtMs: claim.createdAtMs,
    })
    this.#live.set(walletId, attempt)
  }

  async promote(
    attempt: AttemptId,
    changeset: Changeset,
    options: { readonly replaceQuarantined: boolean },
  ): Promise<Generation> {
    try {
      checkChangeset(changeset)
      await this.#faults.pause('promote.begin')
      this.#assertPromotable(attempt, changeset, options.replaceQuarantined)
      const { accounts, pools, platformAddresses } = changeset
      const rows = 2 + accounts.length + pools.length + platformAddresses.length
      for (let row = 1; row <= rows; row += 1) this.#faults.reach(`promote.row:${row}`)
      this.#faults.reach('promote.beforeCommit')
    } catch (cause) {
      throw failure('promote', cause)
    }
    const generation = generationOf(attempt)
    this.#commit(attempt, structuredClone({ ...changeset, generation }))
    try {
      this.#faults.reach('promote.commitError')
      this.#faults.reach('promote.afterCommit')
    } catch {
      // A commit that returned an error: reading back finds the wallet, so the promise is kept.
    }
    return generation
  }

  #assertPromotable(
    attempt: AttemptId,
    { walletId }: Changeset,
    replaceQuarantined: boolean,
  ): void {
    const { wallets, journal, quarantined } = this.#usable('promote')
    if (quarantined.has(walletId)) {
      if (!replaceQuarantined) throw refused('promote', 'the wallet is quarantined')
    } else if (wallets.has(walletId)) {
      throw refused('promote', 'the wallet is registered already')
    }
    const entry = journal.get(attempt)
    if (entry?.walletId !== walletId || entry.phase !== 'reserved') {
      throw refused('promote', 'this attempt holds no reservation')
    }
  }

  #commit(attempt: AttemptId, wallet: StoredWallet): void {
    const { wallets, journal, quarantined, inventory, damaged } = this.#contents
    const { walletId } = wallet
    quarantined.delete(walletId)
    damaged.delete(walletId)
    wallets.set(walletId, {
      ...wallet,
      accounts: inOrder.accounts(wallet.accounts),
      pools: inOrder.pools(wallet.pools),
      platformAddresses: inOrder.platformAddresses(wallet.platformAddresses),
    })
    journal.delete(attempt)
    inventory.add(walletId)
    this.#live.delete(walletId)
  }

  async discard(attempt: AttemptId): Promise<void> {
    const { journal } = this.#usable('discard')
    this.#forget(attempt)
    try {
      await this.#faults.pause('discard.before')
    } catch (cause) {
      this.#mark(attempt)
      throw failure('discard', cause)
    }
    journal.delete(attempt)
  }

  async markDiscarding(attempts: readonly AttemptId[]): Promise<void> {
    this.#usable('markDiscarding')
    for (const attempt of attempts) {
      this.#forget(attempt)
      this.#mark(attempt)
    }
  }

  #mark(attempt: AttemptId): void {
    const entry = this.#contents.journal.get(attempt)
    if (entry) this.#contents.journal.set(attempt, { ...entry, phase: 'discarding' })
  }

  #forget(attempt: AttemptId): void {
    for (const [walletId, live] of this.#live) if (live === attempt) this.#live.delete(walletId)
  }

  async journal(): Promise<readonly JournalRow[]> {
    return [...this.#usable('journal').journal.values()]
      .map(({ opening, ...row }) => ({ ...row, ours: opening === this.#opening }))
      .sort((a, b) => a.createdAtMs - b.createdAtMs || compare(a.attempt, b.attempt))
  }

  async list(): Promise<readonly WalletId[]> {
    const { wallets, quarantined } = this.#usable('list')
    return [...wallets.keys()].filter((id) => !quarantined.has(id)).sort()
  }

  async lost(): Promise<readonly WalletId[]> {
    const { wallets, quarantined, inventory } = this.#usable('lost')
    return [...inventory].filter((id) => !wallets.has(id) && !quarantined.has(id)).sort()
  }

  async read(id: WalletId): Promise<ReadOutcome> {
    const { wallets, inventory, damaged } = this.#usable('read')
    const wallet = wallets.get(id)
    if (wallet === undefined) {
      if (!inventory.has(id)) return { kind: 'absent' }
      return { kind: 'damaged', corruption: { kind: 'lost', detail: 'its rows are gone' } }
    }
    const corruption = damaged.get(id)
    if (corruption) return { kind: 'damaged', corruption }
    return { kind: 'wallet', wallet: structuredClone(wallet) }
  }

  async quarantine(id: WalletId, corruption: Corruption): Promise<void> {
    const { wallets, quarantined } = this.#usable('quarantine')
    if (!wallets.has(id) || quarantined.has(id)) return
    quarantined.set(id, { walletId: id, corruption, foundAtMs: this.#clock.nowMs() })
  }

  async quarantined(): Promise<readonly QuarantinedWallet[]> {
    const rows = [...this.#usable('quarantined').quarantined.values()]
    return rows.sort((a, b) => compare(a.walletId, b.walletId))
  }

  async close(): Promise<void> {
    this.#closed = true
    inUse.delete(this.#contents)
  }

  #usable(what: string): Contents {
    if (this.#closed) throw new StoreFailed(`wallet store: ${what}`, 'persisterClosed')
    return this.#contents
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

function refused(what: string, problem: string): StoreFailed {
  const cause = new RangeError(`${what}: ${problem}`)
  return new StoreFailed(`wallet store: ${what}`, 'constraint', { cause })
}

function failure(what: string, cause: unknown): StoreFailed {
  if (cause instanceof StoreFailed) return cause
  const kind = cause instanceof RangeError ? 'constraint' : persistenceKindOf(cause)
  return new StoreFailed(`wallet store: ${what}`, kind ?? 'fatal', { cause })
}
