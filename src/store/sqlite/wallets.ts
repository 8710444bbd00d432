import { fromHex, toHex } from '../../base/bytes.js'
import type { Clock } from '../../base/clock.js'
import type { FaultPoints } from '../../base/fault-points.js'
import {
  type AttemptId,
  type Generation,
  generationOf,
  parseGeneration,
  type WalletId,
} from '../../base/ids.js'
import type { Logger } from '../../base/log.js'
import type { Changeset } from '../../wallet/changeset.js'
import type {
  Corruption,
  JournalRow,
  QuarantinedWallet,
  ReadOutcome,
  WalletStatus,
  WalletStore,
} from '../../wallet/store.js'
import { checkChangeset } from '../check-changeset.js'
import { looksDamaged } from './classify.js'
import type { Connection } from './connection.js'
import type { Inventory } from './inventory.js'
import { Journal } from './journal.js'
import { Quarantine } from './quarantine.js'
import { readWallet } from './read-wallet.js'
import { Session } from './session.js'
import {
  bytesOf,
  decodeOrSkip,
  decodeWallet,
  deleteFrom,
  encodeWallet,
  insertInto,
  isIntact,
  type NewRow,
  selectAllWallets,
  walletIdOf,
  walletTableNames,
} from './wallet-rows.js'

const selectGeneration = 'select generation from wallets where wallet_id = ?'
const selectDigest = 'select digest from wallets where wallet_id = ? and generation = ?'
const selectActive = `select wallet_id from wallets
  where wallet_id not in (select wallet_id from quarantined_wallets) order by wallet_id`
const selectHeld = `select 1 from wallets where wallet_id = ?
  union all select 1 from quarantined_wallets where wallet_id = ?`

/** The wallet store on SQLite. */
export class SqliteWalletStore implements WalletStore {
  readonly storeGeneration: string
  readonly #session: Session
  readonly #journal: Journal
  readonly #quarantine: Quarantine
  readonly #faults: FaultPoints
  readonly #onClose: () => void
  #closed = false

  constructor(options: {
    readonly connection: Connection
    readonly inventory: Inventory
    readonly quarantineFolder: string
    readonly onClose: () => void
    readonly faults: FaultPoints
    readonly clock: Clock
    readonly logger: Logger
  }) {
    const { connection, inventory } = options
    this.#session = new Session(connection, inventory)
    this.#faults = options.faults
    this.#onClose = options.onClose
    const token = connection.row('select token from store_generation where one = 1')
    this.storeGeneration = toHex(bytesOf(token?.[0], 16))
    this.#journal = new Journal(this.#session, this.storeGeneration)
    this.#quarantine = new Quarantine(this.#session, options.quarantineFolder, options.clock)
    this.#appendRowsAhead(options.logger)
  }

  /** A crash between a commit and its line leaves the rows ahead. */
  #appendRowsAhead(logger: Logger): void {
    const { connection, inventory } = this.#session
    const rows = connection.rows(selectAllWallets)
    if (inventory.created && rows.length > 0) {
      logger.warn({ wallets: rows.length }, 'wallet inventory: missing beside rows, made again')
    }
    const ahead = rows
      .filter((row) => isIntact('wallets', row))
      .flatMap((row) => decodeOrSkip(row, decodeWallet))
      .filter((wallet) => inventory.judge(wallet) === 'ahead')
    inventory.append(ahead.map((wallet) => ({ kind: 'promote' as const, ...wallet })))
  }

  async status(id: WalletId): Promise<WalletStatus> {
    return this.#session.read('status', () => {
      const corruption = this.#quarantine.find(id)?.corruption
      if (corruption !== undefined) return { kind: 'quarantined', corruption }
      const row = this.#session.connection.row(selectGeneration, fromHex(id))
      if (row === undefined) return { kind: 'absent' }
      return { kind: 'active', generation: parseGeneration(toHex(bytesOf(row[0], 16))) }
    })
  }

  async reserve(claim: {
    readonly walletId: WalletId
    readonly attempt: AttemptId
    readonly secretLabel?: string
    readonly createdAtMs: number
  }): Promise<void> {
    this.#journal.reserve(claim)
  }

  async promote(
    attempt: AttemptId,
    changeset: Changeset,
    options: { readonly replaceQuarantined: boolean },
  ): Promise<Generation> {
    try {
      checkChangeset(changeset)
    } catch (cause) {
      throw this.#session.failure('promote', cause, 'constraint')
    }
    await this.#pause('promote', 'promote.begin')
    const { connection, inventory } = this.#session
    const { walletId } = changeset
    const generation = generationOf(attempt)
    const rows = encodeWallet(changeset, generation)
    const digest = this.#session.write({
      what: 'promote',
      run: () => {
        this.#makeRoom(walletId, options.replaceQuarantined)
        this.#insert(rows)
        if (!this.#journal.end(attempt, walletId)) {
          throw this.#session.refusal('promote', 'this attempt holds no reservation')
        }
        this.#faults.reach('promote.beforeCommit')
        return toHex(bytesOf(rows[0]?.values.at(-1), 32))
      },
      committed: () => {
        this.#faults.reach('promote.commitError')
        this.#faults.reach('promote.afterCommit')
      },
      readBack: () => {
        const row = connection.row(selectDigest, fromHex(walletId), fromHex(generation))
        return row && toHex(bytesOf(row[0], 32))
      },
    })
    this.#journal.forget(attempt)
    inventory.append([{ kind: 'promote', walletId, generation, digest }])
    return generation
  }

  /** Removes what may go before a wallet is inserted: a quarantined one, or rows whose wallet row is lost. */
  #makeRoom(walletId: WalletId, replaceQuarantined: boolean): void {
    const { connection } = this.#session
    const id = fromHex(walletId)
    if (this.#quarantine.find(walletId) !== undefined) {
      if (!replaceQuarantined) throw this.#session.refusal('promote', 'the wallet is quarantined')
      this.#quarantine.release(walletId)
    } else if (connection.row(selectGeneration, id) !== undefined) {
      throw this.#session.refusal('promote', 'the wallet is registered already')
    }
    for (const table of walletTableNames) connection.run(deleteFrom[table], id)
  }

  #insert(rows: readonly NewRow[]): void {
    for (const [at, { table, values }] of rows.entries()) {
      this.#session.connection.run(insertInto[table], ...values)
      this.#faults.reach(`promote.row:${at + 1}`)
    }
  }

  async #pause(what: string, point: string): Promise<void> {
    try {
      await this.#faults.pause(point)
    } catch (cause) {
      throw this.#session.failure(what, cause)
    }
  }

  async discard(attempt: AttemptId): Promise<void> {
    this.#journal.forget(attempt)
    try {
      await this.#pause('discard', 'discard.before')
      this.#journal.discard(attempt)
    } catch (cause) {
      await this.markDiscarding([attempt]).catch(() => {
        // The row stays as it is; it blocks nobody, and recovery at the next open ends it.
      })
      throw cause
    }
  }

  async markDiscarding(attempts: readonly AttemptId[]): Promise<void> {
    this.#journal.markDiscarding(attempts)
  }

  async journal(): Promise<readonly JournalRow[]> {
    return this.#journal.rows()
  }

  async list(): Promise<readonly WalletId[]> {
    return this.#session.read('list', () =>
      this.#session.connection
        .rows(selectActive)
        .flatMap((row) => decodeOrSkip(row, ([id]) => walletIdOf(id))),
    )
  }

  async lost(): Promise<readonly WalletId[]> {
    const { connection, inventory } = this.#session
    const isLost = (id: WalletId): boolean =>
      connection.row(selectHeld, fromHex(id), fromHex(id)) === undefined
    return this.#session.read('lost', () => inventory.alive().filter(isLost).sort())
  }

  async read(id: WalletId): Promise<ReadOutcome> {
    const { inventory } = this.#session
    const first = this.#readOnce(id)
    if (first.kind === 'wallet' || (first.kind === 'absent' && !inventory.isAlive(id))) return first
    // An I/O error can look like damage: only what a fresh handle says again is true.
    this.#session.reopen('read')
    const second = this.#readOnce(id)
    if (second.kind === 'absent' && inventory.isAlive(id)) {
      const detail = 'the inventory names it and the database does not hold it'
      return { kind: 'damaged', corruption: { kind: 'lost', detail } }
    }
    if (kindOf(first) === kindOf(second) || second.kind !== 'damaged') return second
    const cause = new RangeError('read: two readings found different damage')
    throw this.#session.failure('read', cause, 'transient')
  }

  #readOnce(id: WalletId): ReadOutcome {
    const { connection, inventory } = this.#session
    try {
      return readWallet(connection, inventory, id)
    } catch (cause) {
      if (!looksDamaged(cause)) throw this.#session.failure('read', cause)
      const detail = 'its pages cannot be read'
      return { kind: 'damaged', corruption: { kind: 'decodeError', detail } }
    }
  }

  async quarantine(id: WalletId, corruption: Corruption): Promise<void> {
    this.#quarantine.setAside(id, corruption)
  }

  async quarantined(): Promise<readonly QuarantinedWallet[]> {
    return this.#session.read('quarantined', () => this.#quarantine.list())
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#session.connection.close()
    this.#session.inventory.close()
    this.#onClose()
  }
}

function kindOf(outcome: ReadOutcome): string {
  return outcome.kind === 'damaged' ? outcome.corruption.kind : outcome.kind
}
