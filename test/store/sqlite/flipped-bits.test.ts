import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type Database from 'better-sqlite3'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isHoldfastError } from '../../../src/base/errors.js'
import { openSqliteWalletStore } from '../../../src/store/sqlite/index.js'
import { walletTables } from '../../../src/store/sqlite/wallet-rows.js'
import { sampleChangeset } from '../../../src/testing/sample-changeset.js'
import type { Changeset } from '../../../src/wallet/changeset.js'
import type { WalletStore } from '../../../src/wallet/store.js'
import {
  databaseOf,
  directoryOfKilledProcess,
  directoryWith,
  temporaryDirectory,
  withDatabase,
  withStore,
} from './fixture.js'

type Verdict = 'whole' | 'damaged' | 'lost'

/** What the store says of a wallet; fails when it hands out anything else than what was registered. */
async function verdictOn(store: WalletStore, changeset: Changeset): Promise<Verdict> {
  const { walletId } = changeset
  const outcome = await store.read(walletId)
  if (outcome.kind === 'wallet') {
    const { generation: _generation, ...rest } = outcome.wallet
    expect(rest).toEqual(changeset)
    return 'whole'
  }
  if (outcome.kind === 'damaged' && outcome.corruption.kind !== 'lost') return 'damaged'
  // Never silently absent: the inventory still names it.
  expect(outcome).toMatchObject({ corruption: { kind: 'lost' } })
  expect(await store.lost()).toContain(walletId)
  return 'lost'
}

/** Every value of a table's rows of one wallet, by row and column. */
function cellsOf(
  db: Database.Database,
  table: string,
  id: Buffer,
): { rowid: number; at: number }[] {
  const count = db.prepare(`select count(*) from ${table} where wallet_id = ?`).pluck().get(id)
  const columns = walletTables[table as keyof typeof walletTables].length + 1
  return Array.from({ length: Number(count) * columns }, (_, n) => ({
    rowid: Math.floor(n / columns),
    at: n % columns,
  }))
}

function flipped(value: unknown, seed: number): unknown {
  if (value === null) return 1n
  if (typeof value === 'bigint') return value ^ (1n << BigInt(seed % 63))
  const bytes = Buffer.isBuffer(value) ? Buffer.from(value) : Buffer.from(String(value))
  const at = seed % bytes.length
  bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << (seed % 7)), at)
  return Buffer.isBuffer(value) ? bytes : bytes.toString('latin1')
}

/** Flips one bit of one cell of a wallet, past every CHECK and key. */
function flipCell(
  db: Database.Database,
  table: string,
  id: Buffer,
  cell: number,
  seed: number,
): string {
  db.pragma('ignore_check_constraints = ON')
  db.pragma('foreign_keys = OFF')
  const { rowid, at } = cellsOf(db, table, id)[cell] ?? { rowid: 0, at: 0 }
  const columns = [...walletTables[table as keyof typeof walletTables], 'digest']
  const column = String(columns[at])
  const select = `select ${columns.join(', ')} from ${table} where wallet_id = ? limit 1 offset ${rowid}`
  const row = db.prepare(select).raw(true).safeIntegers(true).get(id) as unknown[]
  const where = columns.map((name) => `${name} is ?`).join(' and ')
  const sql = `update ${table} set ${column} = ? where ${where}`
  expect(db.prepare(sql).run(flipped(row[at], seed), ...row).changes).toBe(1)
  return `${table}.${column}`
}

describe('one flipped bit', () => {
  for (const table of Object.keys(walletTables)) {
    it(`in any column of ${table} makes that wallet damaged or lost, never another wallet`, async () => {
      const [bad, good] = [sampleChangeset(1), sampleChangeset(2)]
      const pristine = await directoryWith(1, 2)
      const id = Buffer.from(bad.walletId, 'hex')
      const cells = withDatabase(pristine, (db) => cellsOf(db, table, id).length)
      expect(cells).toBeGreaterThan(0)
      for (let cell = 0; cell < cells; cell += 1) {
        const dir = temporaryDirectory()
        for (const name of ['wallets.db', 'wallets.inventory']) {
          copyFileSync(join(pristine, name), join(dir, name))
        }
        const where = withDatabase(dir, (db) => flipCell(db, table, id, cell, 7 * cell + 3))
        await withStore(dir, async (store) => {
          expect(['damaged', 'lost'], where).toContain(await verdictOn(store, bad))
          expect(await verdictOn(store, good), where).toBe('whole')
        })
      }
    })
  }

  it('anywhere in the database file never yields a wrong wallet or a silent loss', async () => {
    const pristine = await directoryWith(1, 2, 3)
    const bytes = readFileSync(databaseOf(pristine))
    const seen: Record<string, number> = {}
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length * 8 - 1), async (bit) => {
        const dir = temporaryDirectory()
        copyFileSync(join(pristine, 'wallets.inventory'), join(dir, 'wallets.inventory'))
        const changed = Buffer.from(bytes)
        changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
        writeFileSync(databaseOf(dir), changed)
        await judge(dir, [1, 2, 3], seen)
      }),
      { numRuns: 200 },
    )
    expect(seen.whole).toBeGreaterThan(0)
    expect((seen.damaged ?? 0) + (seen.refused ?? 0)).toBeGreaterThan(0)
  })

  it('in the log of a killed process never takes a wallet away in silence', async () => {
    const pristine = directoryOfKilledProcess(3)
    const log = readFileSync(join(pristine, 'wallets.db-wal'))
    const seen: Record<string, number> = {}
    await fc.assert(
      fc.asyncProperty(fc.nat(log.length * 8 - 1), async (bit) => {
        const dir = temporaryDirectory()
        for (const name of ['wallets.db', 'wallets.inventory']) {
          copyFileSync(join(pristine, name), join(dir, name))
        }
        const changed = Buffer.from(log)
        changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
        writeFileSync(join(dir, 'wallets.db-wal'), changed)
        await judge(dir, [1, 2, 3], seen)
      }),
      { numRuns: 100 },
    )
    expect(seen.lost).toBeGreaterThan(0)
  })
})

/** Opens the store: a typed refusal is fine, a wrong answer is not. */
async function judge(dir: string, numbers: number[], seen: Record<string, number>): Promise<void> {
  const note = (what: string): void => {
    seen[what] = (seen[what] ?? 0) + 1
  }
  let store: WalletStore
  try {
    store = await openSqliteWalletStore(dir)
  } catch (error) {
    if (!isHoldfastError(error)) throw error
    note('refused')
    return
  }
  try {
    for (const number of numbers) note(await verdictOn(store, sampleChangeset(number)))
  } finally {
    await store.close()
  }
}
