import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { walletTables } from '../../../src/store/sqlite/wallet-rows.js'
import { sampleChangeset } from '../../../src/testing/sample-changeset.js'
import { accountTypes } from '../../../src/wallet/account.js'
import { networks } from '../../../src/wallet/network.js'
import { chains, entryBytes } from '../../../src/wallet/pool.js'
import type { CorruptKind, JournalRow } from '../../../src/wallet/store.js'
import { directoryWith, withDatabase } from './fixture.js'

const corruptKinds: Record<CorruptKind, true> = {
  missingManifest: true,
  malformedXpub: true,
  snapshotIdentityMismatch: true,
  decodeError: true,
  manifestIntegrityMismatch: true,
  platformStateMismatch: true,
  lost: true,
}
const phases: Record<JournalRow['phase'], true> = { reserved: true, discarding: true }

const schema = readFileSync(
  new URL('../../../sql/sqlite/wallets/000001.sql', import.meta.url),
  'utf8',
)

/** The lists of every `column in (...)` of the schema, by column. */
function checkLists(column: string): string[][] {
  const lists = schema.matchAll(new RegExp(`check \\(${column} in \\(([^)]*)\\)\\)`, 'g'))
  return [...lists].map(([, list = '']) => [...list.matchAll(/'([^']*)'/g)].map(([, v = '']) => v))
}

describe('the schema of the wallet database', () => {
  it('allows exactly the values that the types allow', () => {
    expect(checkLists('network')).toEqual([networks])
    expect(checkLists('account_type')).toEqual([accountTypes, accountTypes])
    expect(checkLists('chain')).toEqual([chains])
    expect(checkLists('reason')).toEqual([Object.keys(corruptKinds)])
    expect(checkLists('phase')).toEqual([Object.keys(phases)])
    expect(schema.match(/ in \(/g)).toHaveLength(6)
    expect(schema).toContain(`% ${entryBytes} = 0`)
  })

  it('has only strict tables without counters, and digests where a wallet is kept', async () => {
    const dir = await directoryWith()
    const tables = withDatabase(dir, (db) => db.prepare('select * from pragma_table_list').all())
    const ours = (tables as { name: string; schema: string; strict: number }[]).filter(
      ({ name, schema: owner }) => owner === 'main' && !name.startsWith('sqlite_'),
    )
    expect(ours.map(({ name }) => name).sort()).toEqual(
      [
        ...Object.keys(walletTables),
        'pending_registrations',
        'quarantined_wallets',
        'schema_history',
        'settle_marker',
        'store_generation',
      ].sort(),
    )
    expect(ours.filter(({ strict }) => strict !== 1)).toEqual([])
    expect(schema).not.toMatch(/autoincrement/i)
    withDatabase(dir, (db) => {
      for (const [table, columns] of Object.entries(walletTables)) {
        const found = db.prepare(`select name from pragma_table_info('${table}')`).pluck().all()
        expect(found).toEqual([...columns, 'digest'])
      }
    })
  })

  it('removes every row of a deleted wallet, whatever table it is in', async () => {
    const { walletId } = sampleChangeset(1)
    const dir = await directoryWith(1, 2)
    withDatabase(dir, (db) => {
      db.pragma('foreign_keys = ON')
      const names = db.prepare("select name from sqlite_schema where type = 'table'").pluck().all()
      const owning = (names as string[]).filter((name) => {
        const columns = db.prepare(`select name from pragma_table_info('${name}')`).pluck().all()
        const apart = ['pending_registrations', 'quarantined_wallets']
        return columns.includes('wallet_id') && !apart.includes(name)
      })
      expect(owning.sort()).toEqual(Object.keys(walletTables).sort())
      const count = (table: string, id: string): unknown =>
        db
          .prepare(`select count(*) from ${table} where wallet_id = ?`)
          .pluck()
          .get(Buffer.from(id, 'hex'))
      const other = sampleChangeset(2).walletId
      for (const table of owning) expect(count(table, walletId), table).toBeGreaterThan(0)
      const before = owning.map((table) => count(table, other))
      db.prepare('delete from wallets where wallet_id = ?').run(Buffer.from(walletId, 'hex'))
      for (const table of owning) expect(count(table, walletId), table).toBe(0)
      expect(owning.map((table) => count(table, other))).toEqual(before)
    })
  })

  it('has no place for anything private', () => {
    const words = schema.toLowerCase().match(/private|mnemonic|seed|xpriv|secret\w*/g)
    expect(new Set(words)).toEqual(new Set(['secret_label']))
  })
})
