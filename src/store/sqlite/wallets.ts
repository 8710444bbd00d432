import { randomBytes } from 'node:crypto'
import { fromHex, toHex } from '../../base/bytes.js'
import type { Clock } from '../../base/clock.js'
import type { FaultPoints } from '../../base/fault-points.js'
import {
  type AttemptId,
  type Generation,
  generationOf,
  parseAttemptId,
  parseGeneration,
  type WalletId,
} from '../../base/ids.js'
import type { Logger } from '../../base/log.js'
import { StoreFailed } from '../../base/persistence.js'
import type { Changeset } from '../../wallet/changeset.js'
import type {
  Corruption,
  CorruptKind,
  JournalRow,
  QuarantinedWallet,
  ReadOutcome,
  WalletStatus,
  WalletStore,
} from '../../wallet/store.js'
import { checkChangeset } from '../check-changeset.js'
import { rowDigest } from '../row-digest.js'
import { classify, looksDamaged } from './classify.js'
import type { Connection, Row } from './connection.js'
import type { Inventory } from './inventory.js'
import { exportRows } from './quarantine.js'
import { readWallet } from './read-wallet.js'
import { commitOrSettle } from './settle.js'
import {
  bytesOf,
  decodeWallet,
  deleteFrom,
  encodeWallet,
  insertInto,
  isIntact,
  numberOf,
  selectAllWallets,
  textOf,
  walletIdOf,
  walletTableNames,
} from './wallet-rows.js'

const selectJournal = `select attempt_id, wallet_id, secret_label, opening_id, store_generation, phase, created_at_ms
  from pending_registrations order by created_at_ms, attempt_id`
const selectQuarantined = `select wallet_id, reason, detail, found_at_ms, export_file, digest
  from quarantined_wallets`

/** The wallet store on SQLite. */
export class SqliteWalletStore implements WalletStore {
  readonly storeGeneration: string
  readonly #connection: Connection
  readonly #inventory: Inventory
  readonly #quarantineFolder: string
  readonly #faults: FaultPoints
  readonly #clock: Clock
  /** Names this opening in the journal. */
  readonly #opening: Uint8Array = new Uint8Array(randomBytes(16))
  /** Attempts of this opening that have neither been promoted nor given up, by wallet. */
  readonly #live = new Map<WalletId, AttemptId>()
  #closed = false

  constructor(options: {
    readonly connection: Connection
    readonly inventory: Inventory
    readonly quarantineFolder: string
    readonly faults: FaultPoints
    readonly clock: Clock
    readonly logger: Logger
  }) {
    this.#connection = options.connection
    this.#inventory = options.inventory
    this.#quarantineFolder = options.quarantineFolder
    this.#faults = options.faults
    this.#clock = options.clock
    const token = this.#connection.row('select token from store_generation where one = 1')
    this.storeGeneration = toHex(bytesOf(token?.[0], 16))
    this.#appendRowsAhead(options.logger)
  }

  /** A crash between a commit and its line leaves the rows ahead. */
  #appendRowsAhead(logger: Logger): void {
    const rows = this.#connection.rows(selectAllWallets)
    if (this.#inventory.created && rows.length > 0) {
      logger.warn({ wallets: rows.length }, 'wallet inventory: missing beside rows, made again')
    }
    const ahead = rows
      .filter((row) => isIntact('wallets', row))
      .map(decodeWallet)
      .filter((wallet) => this.#inventory.judge(wallet) === 'ahead')
    this.#inventory.append(...ahead.map((wallet) => ({ kind: 'promote' as const, ...wallet })))
  }

  async status(id: WalletId): Promise<WalletStatus> {
    return this.#read('status', () => {
      const corruption = this.#quarantineOf(id)?.corruption
      if (corruption !== undefined) return { kind: 'quarantined', corruption }
      const sql = 'select generation from wallets where wallet_id = ?'
      const row = this.#connection.row(sql, fromHex(id))
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
    const { walletId, attempt } = claim
    if (this.#live.has(walletId)) {
      const cause = new RangeError('reserve: another attempt for this wallet is under way')
      throw new StoreFailed('wallet store: reserve', 'constraint', { cause })
    }
    this.#write('reserve', {
      run: () => {
        this.#connection.run(
          "update pending_registrations set phase = 'discarding' where wallet_id = ? and phase = 'reserved'",
          fromHex(walletId),
        )
        return this.#connection.run(
          "insert into pending_registrations values (?, ?, ?, ?, ?, 'reserved', ?)",
          fromHex(attempt),
          fromHex(walletId),
          claim.secretLabel ?? null,
          this.#opening,
          fromHex(this.storeGeneration),
          BigInt(claim.createdAtMs),
        )
      },
      readBack: () => {
        const sql = 'select 1 from pending_registrations where attempt_id = ? and opening_id = ?'
        return this.#connection.row(sql, fromHex(attempt), this.#opening) && 1
      },
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
    } catch (cause) {
      const kind = cause instanceof RangeError ? 'constraint' : classify(cause)
      throw new StoreFailed('wallet store: promote', kind, { cause })
    }
    const { walletId } = changeset
    const generation = generationOf(attempt)
    const rows = encodeWallet(changeset, generation)
    const digest = this.#write('promote', {
      run: () => {
        this.#makeRoom(walletId, options.replaceQuarantined)
        for (const [at, { table, values }] of rows.entries()) {
          this.#connection.run(insertInto[table], ...values)
          this.#faults.reach(`promote.row:${at + 1}`)
        }
        const sql =
          "delete from pending_registrations where attempt_id = ? and wallet_id = ? and phase = 'reserved'"
        const ended = this.#connection.run(sql, fromHex(attempt), fromHex(walletId))
        if (ended !== 1) throw refused('promote', 'this attempt holds no reservation')
        this.#faults.reach('promote.beforeCommit')
        return toHex(bytesOf(rows[0]?.values.at(-1), 32))
      },
      committed: () => {
        this.#faults.reach('promote.commitError')
        this.#faults.reach('promote.afterCommit')
      },
      readBack: () => {
        const sql = 'select digest from wallets where wallet_id = ? and generation = ?'
        const row = this.#connection.row(sql, fromHex(walletId), fromHex(generation))
        return row && toHex(bytesOf(row[0], 32))
      },
    })
    this.#live.delete(walletId)
    this.#inventory.append({ kind: 'promote', walletId, generation, digest })
    return generation
  }

  /** Removes what may go before a wallet is inserted: a quarantined one, or rows whose wallet row is lost. */
  #makeRoom(walletId: WalletId, replaceQuarantined: boolean): void {
    const id = fromHex(walletId)
    const sql = 'select 1 from quarantined_wallets where wallet_id = ?'
    if (this.#connection.row(sql, id) !== undefined) {
      if (!replaceQuarantined) throw refused('promote', 'the wallet is quarantined')
      this.#connection.run('delete from quarantined_wallets where wallet_id = ?', id)
      this.#connection.run(deleteFrom.wallets, id)
    } else if (this.#connection.row('select 1 from wallets where wallet_id = ?', id)) {
      throw refused('promote', 'the wallet is registered already')
    }
    for (const table of walletTableNames) this.#connection.run(deleteFrom[table], id)
  }

  async discard(attempt: AttemptId): Promise<void> {
    this.#forget(attempt)
    const id = fromHex(attempt)
    try {
      await this.#faults.pause('discard.before')
      this.#write('discard', {
        run: () =>
          this.#connection.run('delete from pending_registrations where attempt_id = ?', id),
        readBack: () => (this.#hasAttempt(id) ? undefined : 1),
      })
    } catch (cause) {
      await this.markDiscarding([attempt]).catch(() => {
        // The row stays as it is; it blocks nobody, and recovery at the next open ends it.
      })
      if (cause instanceof StoreFailed) throw cause
      throw new StoreFailed('wallet store: discard', classify(cause), { cause })
    }
  }

  #hasAttempt(id: Uint8Array): boolean {
    const sql = 'select 1 from pending_registrations where attempt_id = ?'
    return this.#connection.row(sql, id) !== undefined
  }

  #forget(attempt: AttemptId): void {
    for (const [walletId, live] of this.#live) if (live === attempt) this.#live.delete(walletId)
  }

  async markDiscarding(attempts: readonly AttemptId[]): Promise<void> {
    for (const attempt of attempts) this.#forget(attempt)
    const mark = "update pending_registrations set phase = 'discarding' where attempt_id = ?"
    const sql = "select 1 from pending_registrations where attempt_id = ? and phase = 'reserved'"
    const ids = attempts.map((attempt) => fromHex(attempt))
    this.#write('markDiscarding', {
      run: () => ids.reduce((changed, id) => changed + this.#connection.run(mark, id), 0),
      readBack: () => (ids.some((id) => this.#connection.row(sql, id)) ? undefined : 0),
    })
  }

  async journal(): Promise<readonly JournalRow[]> {
    return this.#read('journal', () =>
      this.#connection.rows(selectJournal).map((row) => this.#journalRow(row)),
    )
  }

  #journalRow(row: Row): JournalRow {
    const [attempt, walletId, label, opening, storeGeneration, phase, createdAt] = row
    return {
      attempt: parseAttemptId(toHex(bytesOf(attempt, 16))),
      walletId: walletIdOf(walletId),
      secretLabel: label === null ? undefined : textOf(label),
      phase: phase === 'reserved' ? 'reserved' : 'discarding',
      storeGeneration: toHex(bytesOf(storeGeneration, 16)),
      ours: toHex(bytesOf(opening)) === toHex(this.#opening),
      createdAtMs: numberOf(createdAt),
    }
  }

  async list(): Promise<readonly WalletId[]> {
    return this.#read('list', () =>
      this.#connection
        .rows(
          `select wallet_id from wallets
          where wallet_id not in (select wallet_id from quarantined_wallets) order by wallet_id`,
        )
        .map(([id]) => walletIdOf(id)),
    )
  }

  async lost(): Promise<readonly WalletId[]> {
    return this.#read('lost', () =>
      this.#inventory
        .alive()
        .filter((id) => this.#isLost(id))
        .sort(),
    )
  }

  #isLost(id: WalletId): boolean {
    const sql = `select 1 from wallets where wallet_id = ?
      union all select 1 from quarantined_wallets where wallet_id = ?`
    return this.#connection.row(sql, fromHex(id), fromHex(id)) === undefined
  }

  async read(id: WalletId): Promise<ReadOutcome> {
    const first = this.#tryRead(id)
    if (first.kind === 'wallet' || (first.kind === 'absent' && !this.#knows(id))) return first
    // An I/O error can look like damage: only what a fresh handle says again is true.
    this.#reopen('read')
    const second = this.#tryRead(id)
    if (first.kind === 'damaged' && second.kind === 'damaged' && !sameKind(first, second)) {
      const cause = new RangeError('read: two readings found different damage')
      throw new StoreFailed('wallet store: read', 'transient', { cause })
    }
    if (second.kind !== 'absent' || !this.#knows(id)) return second
    const detail = 'the inventory names it and the database does not hold it'
    return { kind: 'damaged', corruption: { kind: 'lost', detail } }
  }

  #knows(id: WalletId): boolean {
    return this.#inventory.isAlive(id)
  }

  #tryRead(id: WalletId): ReadOutcome {
    try {
      return readWallet(this.#connection, this.#inventory, id)
    } catch (cause) {
      if (!looksDamaged(cause)) throw this.#failure('read', cause)
      const detail = 'its pages cannot be read'
      return { kind: 'damaged', corruption: { kind: 'decodeError', detail } }
    }
  }

  async quarantine(id: WalletId, corruption: Corruption): Promise<void> {
    const there = this.#read('quarantine', () => this.#quarantineOf(id))
    if (there !== undefined || this.#holdsNothing(id)) return
    const foundAtMs = this.#clock.nowMs()
    const wallet = { walletId: id, corruption, foundAtMs }
    let file: string
    try {
      this.#connection.assertMayWrite()
      file = exportRows(this.#connection, this.#quarantineFolder, wallet)
    } catch (cause) {
      throw this.#failure('quarantine', cause)
    }
    const { kind, detail } = corruption
    const values = [fromHex(id), kind, detail, BigInt(foundAtMs), file] as const
    const insert = 'insert into quarantined_wallets values (?, ?, ?, ?, ?, ?)'
    this.#write('quarantine', {
      run: () => this.#connection.run(insert, ...values, rowDigest('quarantined_wallets', values)),
      readBack: () => this.#quarantineOf(id) && 1,
    })
  }

  /** A lost wallet has no row to set aside: it stays lost and may be registered again. */
  #holdsNothing(id: WalletId): boolean {
    try {
      return (
        this.#connection.row('select 1 from wallets where wallet_id = ?', fromHex(id)) === undefined
      )
    } catch (cause) {
      if (looksDamaged(cause)) return false
      throw this.#failure('quarantine', cause)
    }
  }

  async quarantined(): Promise<readonly QuarantinedWallet[]> {
    return this.#read('quarantined', () =>
      this.#connection.rows(`${selectQuarantined} order by wallet_id`).map(quarantinedWallet),
    )
  }

  #quarantineOf(id: WalletId): QuarantinedWallet | undefined {
    const row = this.#connection.row(`${selectQuarantined} where wallet_id = ?`, fromHex(id))
    return row && quarantinedWallet(row)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#connection.close()
    this.#inventory.close()
  }

  #write<T extends NonNullable<unknown>>(
    what: string,
    write: { run: () => T; readBack: () => T | undefined; committed?: () => void },
  ): T {
    if (this.#connection.usable) {
      this.#connection.assertMayWrite()
      this.#inventory.catchUp()
    }
    return commitOrSettle(this.#connection, { what, ...write })
  }

  /** Damage on a read counts only when a fresh handle sees it too. */
  #read<T>(what: string, read: () => T): T {
    if (!this.#connection.usable) throw new StoreFailed(`wallet store: ${what}`, 'persisterClosed')
    try {
      return read()
    } catch (cause) {
      if (!looksDamaged(cause)) throw this.#failure(what, cause)
    }
    this.#reopen(what)
    try {
      return read()
    } catch (cause) {
      throw this.#failure(what, cause)
    }
  }

  #reopen(what: string): void {
    try {
      this.#connection.reopen()
    } catch (cause) {
      this.#connection.fail()
      throw new StoreFailed(`wallet store: ${what}`, 'persisterClosed', { cause })
    }
  }

  #failure(what: string, cause: unknown): StoreFailed {
    if (cause instanceof StoreFailed) return cause
    return new StoreFailed(`wallet store: ${what}`, classify(cause), { cause })
  }
}

type Damaged = Extract<ReadOutcome, { kind: 'damaged' }>

function sameKind(a: Damaged, b: Damaged): boolean {
  return a.corruption.kind === b.corruption.kind
}

function quarantinedWallet(row: Row): QuarantinedWallet {
  const [id, reason, detail, foundAt] = row
  const corruption: Corruption = isIntact('quarantined_wallets', row)
    ? { kind: textOf(reason) as CorruptKind, detail: textOf(detail) }
    : { kind: 'manifestIntegrityMismatch', detail: 'the record of its quarantine is damaged' }
  return { walletId: walletIdOf(id), corruption, foundAtMs: numberOf(foundAt) }
}

function refused(what: string, problem: string): StoreFailed {
  const cause = new RangeError(`${what}: ${problem}`)
  return new StoreFailed(`wallet store: ${what}`, 'constraint', { cause })
}
