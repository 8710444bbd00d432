import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { walletTables } from '../../../src/store/sqlite/wallet-rows.js'
import { sampleChangeset } from '../../../src/testing/sample-changeset.js'
import type { Corruption } from '../../../src/wallet/store.js'
import {
  databaseOf,
  directoryWith,
  temporaryDirectory,
  withDatabase,
  withStore,
} from './fixture.js'

const { walletId } = sampleChangeset(1)
const corruption: Corruption = { kind: 'manifestIntegrityMismatch', detail: 'a test' }
const clock = { nowMs: () => Date.UTC(2031, 1, 3, 4, 5, 6, 789) }

async function damagedDirectory(): Promise<string> {
  const dir = await directoryWith(1, 2)
  withDatabase(dir, (db) => {
    const sql = 'update account_registrations set xpub = ?, digest = null where wallet_id = ?'
    db.prepare(sql).run('tpub-changed', Buffer.from(walletId, 'hex'))
  })
  return dir
}

/** Every row of the wallet, digests included. */
function rowsOf(dir: string): unknown[] {
  return withDatabase(dir, (db) =>
    Object.keys(walletTables).map((table) =>
      db
        .prepare(`select * from ${table} where wallet_id = ?`)
        .raw(true)
        .safeIntegers(true)
        .all(Buffer.from(walletId, 'hex')),
    ),
  )
}

describe('a damaged wallet that is set aside', () => {
  it('keeps its rows as they are and is exported raw, readable by its owner only', async () => {
    const dir = await damagedDirectory()
    const before = rowsOf(dir)
    await withStore(dir, (store) => store.quarantine(walletId, corruption), { clock })
    expect(rowsOf(dir)).toEqual(before)

    const folder = join(dir, 'quarantine')
    const name = `${walletId}-20310203T040506789Z.json`
    expect(readdirSync(folder)).toEqual([name])
    expect(lstatSync(folder).mode & 0o777).toBe(0o700)
    expect(lstatSync(join(folder, name)).mode & 0o777).toBe(0o600)
    const exported = JSON.parse(readFileSync(join(folder, name), 'utf8')) as {
      tables: Record<string, Record<string, { type: string; hex: string }>[]>
    }
    expect(exported).toMatchObject({ version: 1, walletId, foundAtMs: clock.nowMs(), corruption })
    const counts = Object.values(exported.tables).map((rows) => rows.length)
    expect(counts).toEqual([1, 2, 3, 1, 1])
    const [account] = exported.tables.account_registrations ?? []
    expect(account).toMatchObject({
      wallet_id: { type: 'blob', hex: walletId },
      account_index: { type: 'integer', hex: '30' },
      xpub: { type: 'text', hex: Buffer.from('tpub-changed').toString('hex') },
      digest: { type: 'null', hex: '' },
    })
  })

  it('stays set aside after the store was opened again, with the reason', async () => {
    const dir = await damagedDirectory()
    await withStore(dir, (store) => store.quarantine(walletId, corruption), { clock })
    await withStore(dir, async (store) => {
      const aside = [{ walletId, corruption, foundAtMs: clock.nowMs() }]
      expect(await store.quarantined()).toEqual(aside)
      expect(await store.list()).toEqual([sampleChangeset(2).walletId])
      expect(await store.lost()).toEqual([])
    })
  })

  it('stays set aside when the record of its quarantine is damaged too', async () => {
    const dir = await damagedDirectory()
    await withStore(dir, (store) => store.quarantine(walletId, corruption), { clock })
    withDatabase(dir, (db) => db.exec("update quarantined_wallets set detail = 'nothing to see'"))
    await withStore(dir, async (store) => {
      const [aside] = await store.quarantined()
      expect(aside?.corruption.detail).toBe('the record of its quarantine is damaged')
      expect((await store.status(walletId)).kind).toBe('quarantined')
    })
  })

  it('is not set aside when its export cannot be written', async () => {
    const dir = await damagedDirectory()
    const elsewhere = join(temporaryDirectory(), 'elsewhere')
    mkdirSync(elsewhere)
    symlinkSync(elsewhere, join(dir, 'quarantine'))
    await withStore(dir, async (store) => {
      const setAside = store.quarantine(walletId, corruption)
      await expect(setAside).rejects.toMatchObject({ code: 'StoreFailed', outcome: 'notWritten' })
      expect((await store.status(walletId)).kind).toBe('active')
    })
    expect(readdirSync(elsewhere)).toEqual([])
  })
})

describe('what is wrong with a wallet', () => {
  const setDigests = 'pragma ignore_check_constraints = on; pragma foreign_keys = off'
  for (const [title, sql, kind] of [
    ['no account rows', 'delete from account_registrations', 'missingManifest'],
    [
      'a pool too few',
      "delete from address_pools where chain = 'internal'",
      'manifestIntegrityMismatch',
    ],
    ['no sync state', 'delete from platform_address_sync', 'manifestIntegrityMismatch'],
    [
      'no digest on an account',
      'update account_registrations set digest = null',
      'manifestIntegrityMismatch',
    ],
  ] as const) {
    it(`is ${kind} when it has ${title}`, async () => {
      const dir = await directoryWith(1)
      withDatabase(dir, (db) => {
        db.exec(setDigests)
        db.exec(sql)
      })
      await withStore(dir, async (store) => {
        expect(await store.read(walletId)).toMatchObject({ kind: 'damaged', corruption: { kind } })
      })
    })
  }

  it('is a number whose type was flipped into a float', async () => {
    const dir = await directoryWith(1, 2)
    const bytes = readFileSync(databaseOf(dir))
    // Column types of a Platform address of the sample: blob(32) blob(20) 0 0 byte int64 1 byte blob(32).
    const types = Buffer.from('4c34080801060901', 'hex')
    const at = bytes.indexOf(Buffer.concat([types, Buffer.from([0x4c])]))
    expect(at).toBeGreaterThan(0)
    bytes.writeUInt8(7, at + 5)
    writeFileSync(databaseOf(dir), bytes)
    await withStore(dir, async (store) => {
      const outcome = await store.read(walletId)
      expect(outcome).toMatchObject({ corruption: { kind: 'manifestIntegrityMismatch' } })
      expect((await store.read(sampleChangeset(2).walletId)).kind).toBe('wallet')
    })
  })

  it('does not stop the others when its id is too short to be one', async () => {
    const dir = await directoryWith(1, 2)
    withDatabase(dir, (db) => {
      db.exec(setDigests)
      db.prepare("update wallets set wallet_id = x'00', birth_height = -1 where wallet_id = ?").run(
        Buffer.from(walletId, 'hex'),
      )
      db.exec(
        "insert into pending_registrations values (x'00', x'00', null, x'00', x'00', 'reserved', 1)",
      )
      db.exec("insert into quarantined_wallets values (x'00', 'lost', '', 1, '', null)")
    })
    await withStore(dir, async (store) => {
      expect(await store.list()).toEqual([sampleChangeset(2).walletId])
      expect(await store.lost()).toEqual([walletId])
      expect(await store.journal()).toEqual([])
      expect(await store.quarantined()).toEqual([])
    })
  })

  it('is an account row copied from another wallet', async () => {
    const dir = await directoryWith(1, 2)
    withDatabase(dir, (db) => {
      const other = Buffer.from(sampleChangeset(2).walletId, 'hex')
      db.prepare('delete from account_registrations where wallet_id = ?').run(
        Buffer.from(walletId, 'hex'),
      )
      db.prepare(
        `insert into account_registrations select ?, account_type, account_index, key_class, own_identity,
          contact_identity, path, xpub, digest from account_registrations where wallet_id = ?`,
      ).run(Buffer.from(walletId, 'hex'), other)
    })
    await withStore(dir, async (store) => {
      const outcome = await store.read(walletId)
      expect(outcome).toMatchObject({ corruption: { kind: 'manifestIntegrityMismatch' } })
      expect((await store.read(sampleChangeset(2).walletId)).kind).toBe('wallet')
    })
  })
})
