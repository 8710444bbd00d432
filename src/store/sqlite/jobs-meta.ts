import type { Clock } from '../../base/clock.js'
import type { Ledger } from '../ledger-port.js'
import type { Connection } from './connection.js'
import { JobTables, type MetaName } from './jobs-tables.js'
import type { Later } from './jobs-write-queue.js'

/** Milliseconds between two notes of how far the ledger is synced, and until a checkpoint. */
const syncedNoteMs = 1000
const checkpointMs = 1000

/** What the store keeps about itself; written along with other commits. */
export class JobMeta {
  readonly storeId: string
  /** Counts the openings, and is above every earlier one. */
  readonly opening: bigint
  /** The line up to which an earlier opening saw the ledger synced. */
  readonly syncedAtOpening: bigint
  readonly #tables: JobTables
  readonly #ledger: Ledger
  readonly #clock: Clock
  readonly #later: Later
  #hostHeight: bigint | undefined
  #storedHeight: bigint | undefined
  #storedSynced: bigint
  #notedAtMs = Number.NEGATIVE_INFINITY
  #writing: { height: bigint | undefined; synced: bigint } | undefined
  #checkpointing: (() => void) | undefined

  constructor(options: {
    readonly connection: Connection
    readonly ledger: Ledger
    readonly kept: KeptMeta
    readonly clock: Clock
    readonly later: Later
  }) {
    const { storeId, opening, syncedSeq, hostHeight } = options.kept
    this.storeId = storeId
    this.opening = opening
    this.syncedAtOpening = syncedSeq
    this.#tables = new JobTables(options.connection)
    this.#ledger = options.ledger
    this.#clock = options.clock
    this.#later = options.later
    this.#hostHeight = hostHeight
    this.#storedHeight = hostHeight
    this.#storedSynced = syncedSeq
  }

  get hostHeight(): bigint | undefined {
    return this.#hostHeight
  }

  noteHostHeight(height: bigint): void {
    if (this.#hostHeight === undefined || this.#hostHeight < height) this.#hostHeight = height
  }

  /** Writes another height, also a lower one; inside a transaction. */
  putHostHeight(height: bigint): void {
    this.#tables.putMeta('hostHeight', String(height))
  }

  /** The transaction of `putHostHeight` is durable. */
  hostHeightWasPut(height: bigint): void {
    this.#hostHeight = height
    this.#storedHeight = height
  }

  /** Writes what changed; inside a transaction. */
  write(): void {
    const height = this.#hostHeight
    const isDue = this.#clock.nowMs() - this.#notedAtMs >= syncedNoteMs
    const synced = isDue ? this.#syncedSeq() : this.#storedSynced
    this.#put(height, synced)
    this.#writing = { height, synced }
  }

  /** The transaction is durable. */
  written(): void {
    if (this.#writing !== undefined) {
      if (this.#writing.synced !== this.#storedSynced) this.#notedAtMs = this.#clock.nowMs()
      this.#storedHeight = this.#writing.height
      this.#storedSynced = this.#writing.synced
    }
    this.#checkpointing ??= this.#later(() => {
      this.#checkpointing = undefined
      this.#checkpoint()
    }, checkpointMs)
  }

  /** Writes what is left to write, and moves everything into the database file. */
  writeLast(connection: Connection, ledger: Ledger): void {
    this.#checkpointing?.()
    this.#checkpointing = undefined
    if (ledger.state() === 'ok') ledger.sync()
    const synced = this.#syncedSeq()
    if (synced !== this.#storedSynced || this.#hostHeight !== this.#storedHeight) {
      connection.assertMayWrite()
      connection.run('begin immediate')
      this.#put(this.#hostHeight, synced)
      connection.run('commit')
    }
    connection.checkpoint()
  }

  #put(height: bigint | undefined, synced: bigint): void {
    if (height !== undefined && height !== this.#storedHeight) {
      this.#tables.putMeta('hostHeight', String(height))
    }
    if (synced !== this.#storedSynced) this.#tables.putMeta('syncedSeq', String(synced))
  }

  #syncedSeq(): bigint {
    return this.#ledger.isUnsynced() ? this.#storedSynced : this.#ledger.head().seq
  }

  #checkpoint(): void {
    const { connection } = this.#tables
    if (!connection.usable) return
    try {
      connection.checkpoint()
    } catch {
      // Nothing is lost: the log keeps what it has, and the next commit plans the next checkpoint.
    }
  }
}

/** What an earlier opening kept. */
export type KeptMeta = {
  readonly storeId: string
  readonly opening: bigint
  readonly syncedSeq: bigint
  readonly hostHeight: bigint | undefined
}

/**
 * Reads what earlier openings kept and counts this one.
 *
 * @param findStoreId of the ledger that is there, for a database that lost its own or never had one
 */
export function openMeta(
  connection: Connection,
  clock: Clock,
  findStoreId: () => string,
): KeptMeta {
  const tables = new JobTables(connection)
  const numberIn = (name: MetaName): bigint | undefined => {
    const text = tables.meta(name)
    return text === undefined || !/^\d{1,20}$/.test(text) ? undefined : BigInt(text)
  }
  const known = tables.meta('storeId')
  const storeId = known ?? findStoreId()
  const before = numberIn('openings')
  const isNew = known === undefined && before === undefined
  // A lost count goes on from the time, which no count of openings reaches.
  const opening = before === undefined && !isNew ? BigInt(clock.nowMs()) : (before ?? 0n) + 1n
  connection.assertMayWrite()
  connection.run('begin immediate')
  tables.putMeta('storeId', storeId)
  tables.putMeta('openings', String(opening))
  connection.run('commit')
  connection.checkpoint()
  const syncedSeq = numberIn('syncedSeq') ?? 0n
  return { storeId, opening, syncedSeq, hostHeight: numberIn('hostHeight') }
}
