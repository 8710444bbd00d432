import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, it } from 'vitest'
import { memoryDisk, memoryWalletStore } from '../../src/store/memory.js'
import { openSqliteWalletStore } from '../../src/store/sqlite/index.js'
import {
  type WalletStoreHarness,
  walletStoreContract,
} from '../../src/testing/wallet-store-contract.js'

const inMemory = async (): Promise<WalletStoreHarness> => {
  const disk = memoryDisk()
  return {
    open: async (faults) => memoryWalletStore(faults ? { disk, faults } : { disk }),
    damage: async (id) => disk.damage(id),
    lose: async (id) => disk.lose(id),
    dispose: async () => undefined,
  }
}

const onSqlite = async (): Promise<WalletStoreHarness> => {
  const dir = mkdtempSync(join(tmpdir(), 'wallet-store-'))
  const change = (sql: string, id: string): void => {
    const db = new Database(join(dir, 'wallets.db'))
    db.pragma('foreign_keys = ON')
    db.prepare(sql).run(Buffer.from(id, 'hex'))
    db.close()
  }
  return {
    open: (faults) => openSqliteWalletStore(dir, faults ? { faults } : {}),
    damage: async (id) =>
      change('update account_registrations set xpub = upper(xpub) where wallet_id = ?', id),
    lose: async (id) => change('delete from wallets where wallet_id = ?', id),
    dispose: async () => rmSync(dir, { recursive: true, force: true }),
  }
}

describe('every wallet store', () => {
  for (const { name, run } of walletStoreContract('memory', inMemory)) it(name, run)
  for (const { name, run } of walletStoreContract('sqlite', onSqlite)) it(name, run)
})
