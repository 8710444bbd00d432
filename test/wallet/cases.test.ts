// Cases of docs/WALLET-CASES.md that no other file shows.
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, describe, expect, it } from 'vitest'
import { parseWalletId } from '../../src/base/ids.js'
import { blobBytesMax } from '../../src/base/limits.js'
import { StoreFailed } from '../../src/base/persistence.js'
import type { AddressFunds, DashReader } from '../../src/chain/reader.js'
import { rowDigest } from '../../src/store/row-digest.js'
import { openSqliteWalletStore } from '../../src/store/sqlite/index.js'
import { type WalletTable, walletTableNames } from '../../src/store/sqlite/wallet-rows.js'
import { scriptedFaults } from '../../src/testing/faults.js'
import type { WalletEvent } from '../../src/wallet/events.js'
import { WalletManager } from '../../src/wallet/manager.js'
import { seedFromPhrase } from '../../src/wallet/mnemonic.js'
import { entryBytes } from '../../src/wallet/pool.js'
import type { WalletStore } from '../../src/wallet/store.js'
import { DataDir, otherPhrase, phrase } from './data-dir.js'

const dirs: DataDir[] = []
function dataDir(): DataDir {
  const dir = new DataDir()
  dirs.push(dir)
  return dir
}
afterEach(async () => {
  for (const dir of dirs.splice(0)) await dir.remove()
})

const wallet = { phrase, network: 'testnet' as const }

/** Answers that the first address of every question holds funds, and remembers what it was asked. */
function fundedReader(asked: string[] = []): DashReader {
  const reader: DashReader = {
    tipHeight: () => Promise.resolve({ kind: 'known', value: 900n, heightBlocks: 900n }),
    balances: (_network, [hash160]) => {
      const value: AddressFunds[] =
        hash160 === undefined ? [] : [{ hash160, balanceCredits: 5n, nonce: 1n }]
      return Promise.resolve({ kind: 'known', value, heightBlocks: 900n })
    },
  }
  return new Proxy(reader, {
    get(target, name, receiver) {
      asked.push(String(name))
      return Reflect.get(target, name, receiver)
    },
  })
}

/** Rows by table, as they stand on disk now, read from a copy while the product holds the files. */
function rowsOnDisk(dir: DataDir): Record<string, number> {
  const file = join(mkdtempSync(join(dir.root, 'copy-')), 'wallets.db')
  for (const suffix of ['', '-wal']) {
    const from = join(dir.path, `wallets.db${suffix}`)
    if (existsSync(from)) copyFileSync(from, `${file}${suffix}`)
  }
  const db = new Database(file)
  const tables = db
    .prepare(`select name from sqlite_schema where type = 'table'`)
    .pluck()
    .all() as string[]
  const counts = tables.map((table) => [
    table,
    db.prepare(`select count(*) from "${table}"`).pluck().get() as number,
  ])
  db.close()
  return Object.fromEntries(counts)
}

/** Transactions in the log since the store was opened: frames whose header gives the size of the database. */
function commitsInLog(dir: DataDir): number {
  const log = readFileSync(join(dir.path, 'wallets.db-wal'))
  if (log.length === 0) return 0
  const frameBytes = 24 + log.readUInt32BE(8)
  let commits = 0
  for (let at = 32; at + frameBytes <= log.length; at += frameBytes) {
    if (log.readUInt32BE(at + 4) !== 0) commits += 1
  }
  return commits
}

/** A manager on a store of its own, whose calls are counted and may be replaced. */
async function withStore(dir: DataDir): Promise<{
  readonly store: WalletStore
  readonly wallets: WalletManager
  readonly writes: string[]
}> {
  mkdirSync(dir.path, { mode: 0o700 })
  const store = await openSqliteWalletStore(dir.path)
  const writes: string[] = []
  for (const name of ['reserve', 'promote', 'discard', 'markDiscarding', 'quarantine'] as const) {
    const call = store[name].bind(store) as (...args: unknown[]) => Promise<never>
    store[name] = (...args: unknown[]) => {
      writes.push(name)
      return call(...args)
    }
  }
  return { store, wallets: await WalletManager.open({ store }), writes }
}

/** Changes rows of a closed store and gives them digests that fit, as only somebody who knows the format can. */
function forge(dir: DataDir, table: WalletTable, where: string, changes: object): void {
  const db = new Database(join(dir.path, 'wallets.db'))
  db.defaultSafeIntegers(true)
  const [row, ...more] = db.prepare(`select * from ${table} where ${where}`).all() as object[]
  expect(more).toEqual([])
  const { digest: _, ...columns } = { ...row, ...changes } as Record<string, never>
  const values = [...Object.values(columns), rowDigest(table, Object.values(columns))]
  const assignments = [...Object.keys(columns), 'digest'].map((column) => `${column} = ?`)
  db.prepare(`update ${table} set ${assignments.join(', ')} where ${where}`).run(...values)
  db.close()
}

describe('a registration', () => {
  it('writes everything of the wallet in one commit, after the one that claims its id', async () => {
    const dir = dataDir()
    const faults = scriptedFaults()
    const { wallets } = await dir.open({ faults, dash: fundedReader() })
    const before = commitsInLog(dir)
    await wallets.createFromMnemonic(wallet)
    expect(commitsInLog(dir) - before).toBe(2)

    const rows = rowsOnDisk(dir)
    const counts = walletTableNames.map((table) => rows[table] ?? 0)
    for (const count of counts) expect(count).toBeGreaterThan(0)
    const written = counts.reduce((sum, count) => sum + count, 0)
    const promoted = faults.reached.filter((point) => point.startsWith('promote.'))
    expect(promoted).toEqual([
      'promote.begin',
      ...Array.from({ length: written }, (_, at) => `promote.row:${at + 1}`),
      'promote.beforeCommit',
      'promote.commitError',
      'promote.afterCommit',
    ])

    await expect(wallets.createFromMnemonic(wallet)).rejects.toMatchObject({
      code: 'WalletAlreadyExists',
    })
    expect(commitsInLog(dir) - before).toBe(2)
  })

  it('stores nothing about identities and asks the chain for tip and funds only', async () => {
    const dir = dataDir()
    const asked: string[] = []
    const { wallets } = await dir.open({ dash: fundedReader(asked) })
    const made = await wallets.createFromMnemonic(wallet)
    expect([...new Set(asked)].sort()).toEqual(['balances', 'tipHeight'])
    const filled = Object.entries(rowsOnDisk(dir)).filter(([, count]) => count > 0)
    expect(filled.map(([table]) => table).sort()).toEqual(
      [...walletTableNames, 'schema_history', 'store_generation'].sort(),
    )
    const none = new Uint8Array(32)
    for (const { ownIdentity, contactIdentity } of made.accounts) {
      expect([ownIdentity, contactIdentity]).toEqual([none, none])
    }
  })

  it('stores an explicit birth height of 0, although the tip is known', async () => {
    const dir = dataDir()
    const first = await dir.open({ dash: fundedReader() })
    const made = await first.wallets.createFromMnemonic({ ...wallet, birthHeight: 0 })
    const other = await first.wallets.createFromMnemonic({ ...wallet, phrase: otherPhrase })
    await first.close()
    const { wallets } = await dir.open()
    expect((await wallets.load(made.id)).birthHeight).toBe(0)
    expect((await wallets.load(other.id)).birthHeight).toBe(900)
  })

  it('is announced when its rows are in the files', async () => {
    const dir = dataDir()
    const seen: unknown[] = []
    const onEvent = (event: WalletEvent): unknown =>
      event.type === 'walletRegistered' && seen.push(rowsOnDisk(dir).wallets)
    const { wallets } = await dir.open({ onEvent })
    await wallets.createFromMnemonic(wallet)
    expect(seen).toEqual([1])
  })

  it('shows its wallet neither in memory nor on disk while the chain is asked', async () => {
    const dir = dataDir()
    const seen: unknown[] = []
    const look = (): void => void seen.push([holdfast.wallets.list(), rowsOnDisk(dir).wallets])
    const reader = fundedReader()
    const dash: DashReader = {
      tipHeight: (network, signal) => {
        look()
        return reader.tipHeight(network, signal)
      },
      balances: (network, hashes, signal) => {
        look()
        return reader.balances(network, hashes, signal)
      },
    }
    const holdfast = await dir.open({ dash })
    await holdfast.wallets.createFromMnemonic(wallet)
    expect(seen.length).toBeGreaterThan(1)
    for (const one of seen) expect(one).toEqual([[], 0])
  })

  it.each(['tipHeight', 'balances'] as const)(
    'leaves no trace when %s of the chain reader throws, and the retry succeeds at once',
    async (failing) => {
      const dir = dataDir()
      await (await dir.open()).close()
      const zero = dir.dump()
      const reader = fundedReader()
      let broken = true
      const refuse = (): Promise<never> => Promise.reject(new Error('the reader is broken'))
      const answer = reader[failing] as (...args: unknown[]) => Promise<never>
      const dash: DashReader = {
        ...reader,
        [failing]: (...args: unknown[]) => (broken ? refuse() : answer(...args)),
      }
      const holdfast = await dir.open({ dash })
      await expect(holdfast.wallets.createFromMnemonic(wallet)).rejects.toMatchObject({
        code: 'RestoreFailed',
        retry: 'safe',
        cleanup: 'done',
        cause: { message: 'the reader is broken' },
      })
      expect(holdfast.wallets.list()).toEqual([])
      await holdfast.close()
      expect(dir.dump()).toEqual(zero)

      const { wallets } = await dir.open({ dash })
      await expect(wallets.createFromMnemonic(wallet)).rejects.toThrow()
      broken = false
      expect((await wallets.createFromMnemonic(wallet)).birthHeight).toBe(900)
    },
  )

  it('neither reads nor writes for a phrase of 11 words, with an unknown word or a wrong checksum', async () => {
    const { wallets, writes, store } = await withStore(dataDir())
    let reads = 0
    store.status = () => {
      reads += 1
      return Promise.resolve({ kind: 'absent' })
    }
    const words = phrase.split(' ')
    for (const bad of [
      words.slice(1),
      [...words.slice(1), 'aboot'],
      [...words.slice(1), 'abandon'],
    ]) {
      await expect(
        wallets.createFromMnemonic({ phrase: bad.join(' '), network: 'testnet' }),
      ).rejects.toMatchObject({ code: 'InvalidMnemonic' })
    }
    expect([writes, reads]).toEqual([[], 0])
    await wallets.shutdown()
  })
})

describe('a registration whose first read fails', () => {
  it.each(['transient', 'fatal'] as const)(
    'as %s says so, was read once, wrote nothing, and goes through the next time',
    async (kind) => {
      const dir = dataDir()
      const { store, wallets, writes } = await withStore(dir)
      const status = store.status.bind(store)
      let reads = 0
      store.status = (id) => {
        reads += 1
        return reads === 1 ? Promise.reject(new StoreFailed('status', kind)) : status(id)
      }
      await expect(wallets.createFromMnemonic(wallet)).rejects.toMatchObject({
        code: 'PersisterLoad',
        kind,
        retry: kind === 'transient' ? 'safe' : 'after-fix',
        cause: { code: 'StoreFailed' },
      })
      expect([reads, writes, wallets.list()]).toEqual([1, [], []])
      await wallets.createFromMnemonic(wallet)
      expect(writes).toEqual(['reserve', 'promote'])
      await wallets.shutdown()
    },
  )
})

describe('a commit whose outcome nobody can tell', () => {
  it('is reported as such, and nothing more is touched', async () => {
    const dir = dataDir()
    const { store, wallets, writes } = await withStore(dir)
    const unknown = new StoreFailed('promote', 'persisterClosed', { outcome: 'unknown' })
    store.promote = () => {
      writes.push('promote')
      return Promise.reject(unknown)
    }
    await expect(wallets.createFromMnemonic(wallet)).rejects.toMatchObject({
      code: 'PromoteOutcomeUnknown',
      phase: 'promote',
      retry: 'never',
      cause: unknown,
    })
    expect(writes).toEqual(['reserve', 'promote'])
    expect(wallets.list()).toEqual([])
    await wallets.shutdown()
    // The claim is still there for the next open to decide.
    expect(rowsOnDisk(dir).pending_registrations).toBe(1)
    const again = await dir.open()
    expect(again.wallets.recoveryReport().discarded).toHaveLength(1)
    await again.wallets.createFromMnemonic(wallet)
  })
})

describe('loading', () => {
  /** A closed directory with two wallets; id of the first, also as a condition in SQL. */
  async function two(): Promise<{ dir: DataDir; id: string; where: string }> {
    const dir = dataDir()
    const { wallets, close } = await dir.open()
    const { id } = await wallets.createFromMnemonic(wallet)
    await wallets.createFromMnemonic({ ...wallet, phrase: otherPhrase })
    await close()
    return { dir, id, where: `wallet_id = x'${id}'` }
  }

  it.each([
    ['a pool of an account that is not there', 'address_pools', 'snapshotIdentityMismatch'],
    ['another network', 'wallets', 'manifestIntegrityMismatch'],
    ['an address of an account that is not there', 'platform_addresses', 'platformStateMismatch'],
  ] as const)('skips a wallet with %s, whatever its digest says', async (_what, table, reason) => {
    const { dir, id, where } = await two()
    if (table === 'wallets') forge(dir, table, where, { network: 'mainnet' })
    else if (table === 'address_pools') {
      forge(dir, table, `${where} and account_type = 'coinjoin'`, { account_index: 3n })
    } else addAddress(dir, id)
    const { wallets } = await dir.open()
    const outcome = await wallets.loadAll()
    expect(outcome.skipped).toMatchObject([{ walletId: id, reason }])
    expect(outcome.loaded).toHaveLength(1)
  })

  it('skips a wallet with a blob above 16 MiB, and loads the others', async () => {
    const { dir, id, where } = await two()
    const db = new Database(join(dir.path, 'wallets.db'))
    const size = Math.ceil((blobBytesMax + 1) / entryBytes) * entryBytes
    const grown = `update address_pools set entries = zeroblob(${size}) where ${where}`
    expect(db.prepare(`${grown} and account_type = 'coinjoin'`).run().changes).toBe(1)
    db.close()
    const { wallets } = await dir.open()
    const outcome = await wallets.loadAll()
    expect(outcome.skipped).toMatchObject([{ walletId: id, reason: 'manifestIntegrityMismatch' }])
    expect(outcome.loaded).toHaveLength(1)
  })

  /** A Platform address under account 7, with all counts and digests made to fit. */
  function addAddress(dir: DataDir, id: string): void {
    const db = new Database(join(dir.path, 'wallets.db'))
    const values = [Buffer.from(id, 'hex'), Buffer.alloc(20, 1), 7n, 0n, 0n, 5n, 1n, 900n]
    const digest = rowDigest('platform_addresses', values)
    db.prepare(`insert into platform_addresses values (?, ?, ?, ?, ?, ?, ?, ?, ?)`).run(
      ...values,
      digest,
    )
    db.close()
    forge(dir, 'wallets', `wallet_id = x'${id}'`, { platform_address_count: 1n })
    // Without the inventory only the rows themselves are left to judge by.
    rmSync(join(dir.path, 'wallets.inventory'))
  }
})

describe('attaching a seed', () => {
  it('to an id that nobody knows is refused, and attaches nothing', async () => {
    const { wallets } = await dataDir().open()
    const id = parseWalletId('0'.repeat(64))
    const attached = wallets.attachSeed(id, seedFromPhrase(phrase))
    await expect(attached).rejects.toMatchObject({ code: 'WalletNotFound' })
    expect(wallets.isSeeded(id)).toBe(false)
  })
})
