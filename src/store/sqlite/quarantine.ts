import { lstatSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fromHex } from '../../base/bytes.js'
import type { Clock } from '../../base/clock.js'
import { SymlinkRefused } from '../../base/directory-guard.js'
import { syncFolder, writeNew } from '../../base/durable-file.js'
import type { WalletId } from '../../base/ids.js'
import type { Corruption, CorruptKind, QuarantinedWallet } from '../../wallet/store.js'
import { rowDigest } from '../row-digest.js'
import { looksDamaged } from './classify.js'
import type { Connection, Row } from './connection.js'
import type { Session } from './session.js'
import {
  decodeOrSkip,
  isIntact,
  numberOf,
  textOf,
  type WalletTable,
  walletIdOf,
  walletTableNames,
  walletTables,
} from './wallet-rows.js'

const select = `select wallet_id, reason, detail, found_at_ms, export_file, digest
  from quarantined_wallets`
const insert = 'insert into quarantined_wallets values (?, ?, ?, ?, ?, ?)'
const remove = 'delete from quarantined_wallets where wallet_id = ?'
const selectWallet = 'select 1 from wallets where wallet_id = ?'

/** Wallets set aside: their rows stay byte for byte, a row of this table speaks for them. */
export class Quarantine {
  readonly #session: Session
  readonly #folder: string
  readonly #clock: Clock

  constructor(session: Session, folder: string, clock: Clock) {
    this.#session = session
    this.#folder = folder
    this.#clock = clock
  }

  find(id: WalletId): QuarantinedWallet | undefined {
    const row = this.#session.connection.row(`${select} where wallet_id = ?`, fromHex(id))
    return row && decode(row)
  }

  /** Sorted by id. */
  list(): readonly QuarantinedWallet[] {
    return this.#session.connection
      .rows(`${select} order by wallet_id`)
      .flatMap((row) => decodeOrSkip(row, decode))
  }

  /** Lets the id go, inside the transaction that replaces its wallet. */
  release(id: WalletId): void {
    this.#session.connection.run(remove, fromHex(id))
  }

  /** Exports the rows, then sets the wallet aside; no-op when it is aside already or has no row. */
  setAside(walletId: WalletId, corruption: Corruption): void {
    const { connection } = this.#session
    const there = this.#session.read('quarantine', () => this.find(walletId))
    if (there !== undefined || this.#holdsNothing(walletId)) return
    const foundAtMs = this.#clock.nowMs()
    let file: string
    try {
      connection.assertMayWrite()
      file = exportRows(connection, this.#folder, { walletId, corruption, foundAtMs })
    } catch (cause) {
      throw this.#session.failure('quarantine', cause)
    }
    const { kind, detail } = corruption
    const values = [fromHex(walletId), kind, detail, BigInt(foundAtMs), file] as const
    this.#session.write({
      what: 'quarantine',
      run: () => connection.run(insert, ...values, rowDigest('quarantined_wallets', values)),
      readBack: () => (this.find(walletId) ? 1 : undefined),
    })
  }

  /** A lost wallet has no row to set aside: it stays lost and may be registered again. */
  #holdsNothing(id: WalletId): boolean {
    try {
      return this.#session.connection.row(selectWallet, fromHex(id)) === undefined
    } catch (cause) {
      if (looksDamaged(cause)) return false
      throw this.#session.failure('quarantine', cause)
    }
  }
}

function decode(row: Row): QuarantinedWallet {
  const [id, reason, detail, foundAt] = row
  const walletId = walletIdOf(id)
  if (!isIntact('quarantined_wallets', row)) {
    const problem = 'the record of its quarantine is damaged'
    const corruption = { kind: 'manifestIntegrityMismatch', detail: problem } as const
    return { walletId, corruption, foundAtMs: 0 }
  }
  const corruption = { kind: textOf(reason) as CorruptKind, detail: textOf(detail) }
  return { walletId, corruption, foundAtMs: numberOf(foundAt) }
}

/** One value as it lies in the file: its storage class and the bytes of its text or blob form in hex. */
type RawValue = { readonly type: string; readonly hex: string }
type RawRow = Readonly<Record<string, RawValue>>

/**
 * Writes every row of a wallet, raw, to a new file of the folder; durable on return.
 *
 * @returns the file's name, `<walletId>-<UTC>.json`
 * @throws Node's errno errors; the driver's errors other than damage
 */
function exportRows(
  connection: Connection,
  folder: string,
  wallet: {
    readonly walletId: WalletId
    readonly corruption: Corruption
    readonly foundAtMs: number
  },
): string {
  const { walletId, corruption, foundAtMs } = wallet
  const tables = Object.fromEntries(
    walletTableNames.map((table) => [table, rawRows(connection, table, walletId)]),
  )
  const text = JSON.stringify({ version: 1, walletId, foundAtMs, corruption, tables }, null, 2)
  const utc = new Date(foundAtMs).toISOString().replace(/[-:.]/g, '')
  const name = `${walletId}-${utc}.json`
  ensureFolder(folder)
  writeNew(join(folder, name), Buffer.from(`${text}\n`))
  return name
}

function rawRows(
  connection: Connection,
  table: WalletTable,
  id: WalletId,
): readonly RawRow[] | { readonly unreadable: string } {
  const columns = [...walletTables[table], 'digest']
  const selected = columns.flatMap((column) => [`typeof(${column})`, `hex(${column})`]).join(', ')
  const sql = `select ${selected} from ${table} where wallet_id = ?`
  try {
    return connection.rows(sql, fromHex(id)).map((row) =>
      Object.fromEntries(
        columns.map((column, at) => {
          const value = { type: String(row[2 * at]), hex: String(row[2 * at + 1]).toLowerCase() }
          return [column, value]
        }),
      ),
    )
  } catch (error) {
    if (!looksDamaged(error)) throw error
    return { unreadable: String(error) }
  }
}

function ensureFolder(folder: string): void {
  const found = lstatSync(folder, { throwIfNoEntry: false })
  if (found?.isSymbolicLink()) throw new SymlinkRefused(folder)
  if (found === undefined) mkdirSync(folder, { mode: 0o700 })
  syncFolder(dirname(folder))
}
