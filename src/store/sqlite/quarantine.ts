import { lstatSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fromHex } from '../../base/bytes.js'
import { SymlinkRefused } from '../../base/directory-guard.js'
import { syncFolder, writeNew } from '../../base/durable-file.js'
import type { WalletId } from '../../base/ids.js'
import type { Corruption } from '../../wallet/store.js'
import { looksDamaged } from './classify.js'
import type { Connection } from './connection.js'
import { type WalletTable, walletTableNames, walletTables } from './wallet-rows.js'

/** One value as it lies in the file: its storage class and the bytes of its text or blob form in hex. */
type RawValue = { readonly type: string; readonly hex: string }
type RawRow = Readonly<Record<string, RawValue>>

/**
 * Writes every row of a wallet, raw, to a new file of the folder; durable on return.
 *
 * @returns the file's name, `<walletId>-<UTC>.json`
 * @throws Node's errno errors; the driver's errors other than damage
 */
export function exportRows(
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
