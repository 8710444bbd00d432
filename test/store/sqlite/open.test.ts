import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/base/clock.js'
import { silent } from '../../../src/base/log.js'
import { openSqliteWalletStore, walletDatabase } from '../../../src/store/sqlite/index.js'
import { migrationOf } from '../../../src/store/sqlite/migrate.js'
import { openDatabase } from '../../../src/store/sqlite/open.js'
import { sampleChangeset } from '../../../src/testing/sample-changeset.js'
import {
  databaseOf,
  directoryOfKilledProcess,
  directoryWith,
  filesOf,
  register,
  temporaryDirectory,
  withDatabase,
  withStore,
} from './fixture.js'

async function refusesUntouched(dir: string, code: string): Promise<void> {
  const before = filesOf(dir)
  await expect(openSqliteWalletStore(dir)).rejects.toMatchObject({ code })
  expect(filesOf(dir)).toEqual(before)
  // Nothing is left behind in the process either: the next opening meets the same refusal.
  await expect(openSqliteWalletStore(dir)).rejects.toMatchObject({ code })
}

describe('opening a wallet store', () => {
  it('makes files that only their owner can read, and no shared memory file', async () => {
    const dir = temporaryDirectory()
    await withStore(dir, async (store) => {
      await register(store, sampleChangeset(1))
      const names = readdirSync(dir).sort()
      expect(names).toEqual(['wallets.db', 'wallets.db-wal', 'wallets.inventory'])
      for (const name of names) expect(lstatSync(join(dir, name)).mode & 0o777, name).toBe(0o600)
    })
    expect(readdirSync(dir).sort()).toEqual(['wallets.db', 'wallets.inventory'])
  })

  it('runs with the settings that durability needs', async () => {
    const dir = temporaryDirectory()
    const connection = await openDatabase({
      file: databaseOf(dir),
      kind: walletDatabase(),
      create: true,
      guard: () => undefined,
      clock: systemClock,
      logger: silent,
    })
    const pragma = (name: string): unknown => connection.handle.pragma(name, { simple: true })
    const names = ['locking_mode', 'journal_mode', 'synchronous', 'foreign_keys', 'busy_timeout']
    const wanted = ['exclusive', 'wal', 2, 1, 5000]
    expect(names.map(pragma)).toEqual(wanted)
    connection.reopen()
    expect(names.map(pragma)).toEqual(wanted)
    connection.close()
  })

  it('finds again what a killed process had committed', async () => {
    const dir = directoryOfKilledProcess()
    await withStore(dir, async (store) => {
      expect(await store.list()).toEqual([sampleChangeset(1).walletId, sampleChangeset(2).walletId])
      expect((await store.read(sampleChangeset(2).walletId)).kind).toBe('wallet')
      // Recovered is not durable: the log was moved into the file before anything was answered.
      expect(lstatSync(join(dir, 'wallets.db-wal')).size).toBe(0)
    })
  })

  it('takes an empty file for a store that was being made', async () => {
    const dir = temporaryDirectory()
    writeFileSync(databaseOf(dir), '')
    await withStore(dir, async (store) => expect(await store.list()).toEqual([]))
  })

  it('makes no store when told not to', async () => {
    const dir = temporaryDirectory()
    const opened = openSqliteWalletStore(dir, { create: false })
    await expect(opened).rejects.toMatchObject({ code: 'StoreNotFound' })
    expect(readdirSync(dir)).toEqual([])
  })

  it('does not make the directory', async () => {
    const dir = join(temporaryDirectory(), 'missing')
    await expect(openSqliteWalletStore(dir)).rejects.toMatchObject({ code: 'StoreFailed' })
    expect(existsSync(dir)).toBe(false)
  })

  it('is refused while the same file is open in this process, also under another name', async () => {
    const dir = await directoryWith(1)
    const alias = `${temporaryDirectory()}/alias`
    symlinkSync(dir, alias)
    await withStore(dir, async () => {
      await expect(openSqliteWalletStore(dir)).rejects.toMatchObject({ code: 'AlreadyOpen' })
      await expect(openSqliteWalletStore(alias)).rejects.toMatchObject({ code: 'AlreadyOpen' })
    })
    await withStore(alias, async (store) => expect(await store.list()).toHaveLength(1))
  })

  it('lets only one of two openings at once through', async () => {
    const dir = temporaryDirectory()
    const results = await Promise.allSettled([
      openSqliteWalletStore(dir),
      openSqliteWalletStore(dir),
    ])
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    for (const result of results) if (result.status === 'fulfilled') await result.value.close()
  })

  it('keeps other processes out of the file', async () => {
    const dir = await directoryWith(1)
    await withStore(dir, async () => {
      const program = `const D = require('better-sqlite3'); const db = new D(${JSON.stringify(databaseOf(dir))}, { timeout: 50 })
        try { console.log(db.prepare('select count(*) from wallets').get()) } catch (error) { console.log(error.code) }`
      const child = spawnSync(process.execPath, ['-e', program], { encoding: 'utf8' })
      expect(child.stdout.trim()).toBe('SQLITE_BUSY')
    })
  })

  it('says so when the native module is not there, and makes no file', () => {
    const dir = temporaryDirectory()
    const index = new URL('../../../src/store/sqlite/index.ts', import.meta.url).href
    const hook = `export async function resolve(name, context, next) {
      if (name === 'better-sqlite3') throw new Error('not installed')
      return next(name, context)
    }`
    const program = `
      const { register } = await import('node:module')
      register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hook)}`)})
      const { openSqliteWalletStore } = await import(${JSON.stringify(index)})
      await openSqliteWalletStore(${JSON.stringify(dir)}).catch((error) => console.log(error.code))`
    const options = ['--import', 'tsx', '--input-type=module', '-e', program]
    const child = spawnSync(process.execPath, options, { encoding: 'utf8' })
    expect(child.stdout.trim()).toBe('DriverMissing')
    expect(readdirSync(dir)).toEqual([])
  })

  for (const name of ['wallets.db', 'wallets.db-wal', 'wallets.db-journal', 'wallets.inventory']) {
    it(`refuses a symbolic link in place of ${name}`, async () => {
      const dir = temporaryDirectory()
      const target = join(temporaryDirectory(), 'target')
      writeFileSync(target, '')
      symlinkSync(target, join(dir, name))
      const opened = openSqliteWalletStore(dir)
      await expect(opened).rejects.toMatchObject({ code: 'SymlinkRefused' })
      expect(readFileSync(target, 'utf8')).toBe('')
    })
  }
})

describe('a file that is refused keeps every byte', () => {
  it('when it is no database', async () => {
    const dir = temporaryDirectory()
    writeFileSync(databaseOf(dir), 'a letter to somebody\n'.repeat(500))
    await refusesUntouched(dir, 'NotAWalletDb')
  })

  it('when it is the database of another program, in either journal mode', async () => {
    for (const mode of ['delete', 'wal']) {
      const dir = temporaryDirectory()
      withDatabase(dir, (db) => {
        db.pragma(`journal_mode = ${mode}`)
        db.exec('create table notes (text) strict'.replace(' strict', ''))
      })
      await refusesUntouched(dir, 'NotAWalletDb')
    }
  })

  it('when it has another application id', async () => {
    const dir = await directoryWith(1)
    withDatabase(dir, (db) => db.pragma('application_id = 1'))
    await refusesUntouched(dir, 'NotAWalletDb')
  })

  it('when a newer release wrote it, also with frames left in its log', async () => {
    const newer = 'insert into schema_history values (2, ?, ?, 0)'
    const dir = await directoryWith(1)
    withDatabase(dir, (db) => db.prepare(newer).run('000002.sql', Buffer.alloc(32)))
    await refusesUntouched(dir, 'SchemaTooNew')

    const killed = directoryOfKilledProcess()
    const source = temporaryDirectory()
    const db = new Database(databaseOf(killed))
    db.prepare(newer).run('000002.sql', Buffer.alloc(32))
    for (const suffix of ['', '-wal']) {
      copyFileSync(`${databaseOf(killed)}${suffix}`, `${databaseOf(source)}${suffix}`)
    }
    db.close()
    expect(lstatSync(`${databaseOf(source)}-wal`).size).toBeGreaterThan(0)
    await refusesUntouched(source, 'SchemaTooNew')
  })

  for (const [title, sql] of [
    ['has a gap', 'update schema_history set version = 2'],
    ['is empty', 'delete from schema_history'],
    ['has other columns', 'alter table schema_history rename column checksum to sum'],
    ['is missing', 'drop table schema_history'],
  ] as const) {
    it(`when its schema history ${title}`, async () => {
      const dir = await directoryWith(1)
      withDatabase(dir, (db) => db.exec(sql))
      await refusesUntouched(dir, 'MalformedSchemaHistory')
    })
  }

  it('when an applied migration had another text', async () => {
    const dir = await directoryWith(1)
    withDatabase(dir, (db) => db.exec('update schema_history set checksum = zeroblob(32)'))
    await refusesUntouched(dir, 'MigrationChanged')
  })

  it('when its pages are damaged', async () => {
    const dir = await directoryWith(1, 2, 3)
    const bytes = readFileSync(databaseOf(dir))
    bytes.fill(0xff, 2 * 4096, 2 * 4096 + 64)
    writeFileSync(databaseOf(dir), bytes)
    await refusesUntouched(dir, 'IntegrityCheckFailed')
  })

  it('when it was cut short', async () => {
    const dir = await directoryWith(1, 2, 3)
    writeFileSync(databaseOf(dir), readFileSync(databaseOf(dir)).subarray(0, 3 * 4096))
    await refusesUntouched(dir, 'IntegrityCheckFailed')
  })
})

describe('migrations', () => {
  const options = (dir: string, more: readonly string[]) => {
    const kind = walletDatabase()
    const added = more.map((sql, at) => migrationOf(at + 2, `00000${at + 2}.sql`, sql))
    return {
      file: databaseOf(dir),
      kind: { ...kind, migrations: [...kind.migrations, ...added] },
      create: false,
      guard: () => undefined,
      clock: systemClock,
      logger: silent,
    }
  }

  it('bring an older database up, each in its own transaction', async () => {
    const dir = await directoryWith(1)
    const connection = await openDatabase(options(dir, ['create table extra (x integer) strict']))
    expect(connection.rows('select version from schema_history')).toEqual([[1n], [2n]])
    expect(connection.rows('select count(*) from wallets')).toEqual([[1n]])
    connection.close()
    await expect(openSqliteWalletStore(dir)).rejects.toMatchObject({ code: 'SchemaTooNew' })
  })

  it('keep what went well before one that fails, and nothing of the one that fails', async () => {
    const dir = await directoryWith(1)
    const bad = ['create table extra (x integer) strict', 'create table more (x); nonsense']
    await expect(openDatabase(options(dir, bad))).rejects.toMatchObject({ code: 'StoreFailed' })
    withDatabase(dir, (db) => {
      expect(db.prepare('select version from schema_history').pluck().all()).toEqual([1, 2])
      expect(db.prepare("select name from sqlite_schema where name = 'more'").all()).toEqual([])
    })
  })
})
