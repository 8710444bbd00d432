import { randomBytes } from 'node:crypto'
import { equalBytes, fromHex, toHex } from '../../base/bytes.js'
import { type AttemptId, parseAttemptId, type WalletId } from '../../base/ids.js'
import type { JournalRow } from '../../wallet/store.js'
import type { Row } from './connection.js'
import type { Session } from './session.js'
import { bytesOf, decodeOrSkip, numberOf, textOf, walletIdOf } from './wallet-rows.js'

const insert = "insert into pending_registrations values (?, ?, ?, ?, ?, 'reserved', ?)"
const markDead = `update pending_registrations set phase = 'discarding'
  where wallet_id = ? and phase = 'reserved'`
const mark = "update pending_registrations set phase = 'discarding' where attempt_id = ?"
const remove = 'delete from pending_registrations where attempt_id = ?'
const end = `delete from pending_registrations
  where attempt_id = ? and wallet_id = ? and phase = 'reserved'`
const selectOne = 'select opening_id, phase from pending_registrations where attempt_id = ?'
const selectAll = `select attempt_id, wallet_id, secret_label, opening_id, store_generation, phase,
  created_at_ms from pending_registrations order by created_at_ms, attempt_id`

/** The registrations that were begun and not promoted. */
export class Journal {
  readonly #session: Session
  readonly #storeGeneration: string
  /** Names this opening. */
  readonly #opening: Uint8Array = new Uint8Array(randomBytes(16))
  /** Attempts of this opening that have neither been promoted nor given up, by wallet. */
  readonly #live = new Map<WalletId, AttemptId>()

  constructor(session: Session, storeGeneration: string) {
    this.#session = session
    this.#storeGeneration = storeGeneration
  }

  reserve(claim: {
    readonly walletId: WalletId
    readonly attempt: AttemptId
    readonly secretLabel?: string
    readonly createdAtMs: number
  }): void {
    const { walletId, attempt, secretLabel = null } = claim
    if (this.#live.has(walletId)) {
      throw this.#session.refusal('reserve', 'another attempt for this wallet is under way')
    }
    const { connection } = this.#session
    const [id, wallet] = [fromHex(attempt), fromHex(walletId)]
    const generation = fromHex(this.#storeGeneration)
    const createdAtMs = BigInt(claim.createdAtMs)
    this.#session.write({
      what: 'reserve',
      run: () => {
        connection.run(markDead, wallet)
        return connection.run(
          insert,
          id,
          wallet,
          secretLabel,
          this.#opening,
          generation,
          createdAtMs,
        )
      },
      readBack: () => {
        const row = connection.row(selectOne, id)
        return row && equalBytes(bytesOf(row[0]), this.#opening) ? 1 : undefined
      },
    })
    this.#live.set(walletId, attempt)
  }

  /** Removes the reservation inside the transaction of a promote; false when this attempt holds none. */
  end(attempt: AttemptId, walletId: WalletId): boolean {
    return this.#session.connection.run(end, fromHex(attempt), fromHex(walletId)) === 1
  }

  /** From now on the attempt blocks nobody in this opening. */
  forget(attempt: AttemptId): void {
    for (const [walletId, live] of this.#live) if (live === attempt) this.#live.delete(walletId)
  }

  discard(attempt: AttemptId): void {
    const { connection } = this.#session
    const id = fromHex(attempt)
    this.#session.write({
      what: 'discard',
      run: () => connection.run(remove, id),
      readBack: () => (connection.row(selectOne, id) === undefined ? 1 : undefined),
    })
  }

  markDiscarding(attempts: readonly AttemptId[]): void {
    for (const attempt of attempts) this.forget(attempt)
    const { connection } = this.#session
    const ids = attempts.map((attempt) => fromHex(attempt))
    const isReserved = (id: Uint8Array): boolean =>
      connection.row(selectOne, id)?.[1] === 'reserved'
    this.#session.write({
      what: 'mark discarding',
      run: () => ids.reduce((changed, id) => changed + connection.run(mark, id), 0),
      readBack: () => (ids.some(isReserved) ? undefined : ids.length),
    })
  }

  /** Every row that can be read, oldest first; one that cannot blocks nobody and stays where it is. */
  rows(): readonly JournalRow[] {
    return this.#session.read('journal', () =>
      this.#session.connection
        .rows(selectAll)
        .flatMap((row) => decodeOrSkip(row, (one) => this.#decode(one))),
    )
  }

  #decode(row: Row): JournalRow {
    const [attempt, walletId, label, opening, storeGeneration, phase, createdAt] = row
    return {
      attempt: parseAttemptId(toHex(bytesOf(attempt, 16))),
      walletId: walletIdOf(walletId),
      secretLabel: label === null ? undefined : textOf(label),
      phase: phase === 'reserved' ? 'reserved' : 'discarding',
      storeGeneration: toHex(bytesOf(storeGeneration, 16)),
      ours: equalBytes(bytesOf(opening), this.#opening),
      createdAtMs: numberOf(createdAt),
    }
  }
}
