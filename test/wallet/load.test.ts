import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, describe, expect, it } from 'vitest'
import { parseWalletId } from '../../src/base/ids.js'
import { openSqliteWalletStore } from '../../src/store/sqlite/index.js'
import { WalletManager } from '../../src/wallet/manager.js'
import { seedFromPhrase } from '../../src/wallet/mnemonic.js'
import type { Network } from '../../src/wallet/network.js'
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

/** Three wallets in a closed directory, ids in the order they were made. */
async function three(): Promise<{ dir: DataDir; ids: string[] }> {
  const dir = dataDir()
  const { wallets, close } = await dir.open()
  const ids: string[] = []
  for (const network of ['testnet', 'mainnet', 'regtest'] satisfies Network[]) {
    ids.push((await wallets.createFromMnemonic({ phrase, network })).id)
  }
  await close()
  return { dir, ids }
}

/** Changes the database behind the product's back, as a bad disk or a careless hand would. */
function tamper(dir: DataDir, sql: string, ...values: unknown[]): void {
  const db = new Database(join(dir.path, 'wallets.db'))
  expect(db.prepare(sql).run(...values).changes).toBeGreaterThan(0)
  db.close()
}
const blob = (id: string | undefined): Buffer => Buffer.from(id ?? '', 'hex')

describe('loading wallets', () => {
  it('answers loaded with no ids for an empty store', async () => {
    const { wallets } = await dataDir().open()
    expect(await wallets.loadAll()).toEqual({ kind: 'loaded', loaded: [], skipped: [] })
  })

  it('can be repeated: later passes skip what is there (case E1)', async () => {
    const { dir, ids } = await three()
    const { wallets } = await dir.open()
    expect((await wallets.loadAll()).loaded).toEqual([...ids].sort())
    const again = await wallets.loadAll()
    expect(again).toMatchObject({ kind: 'loaded', loaded: [] })
    expect(again.skipped.map(({ reason }) => reason)).toEqual(ids.map(() => 'alreadyRegistered'))
    expect(wallets.list()).toHaveLength(3)
  })

  it('leaves a wallet alone that was registered in this process (case E2)', async () => {
    const { wallets } = await dataDir().open()
    const made = await wallets.createFromMnemonic(wallet)
    expect((await wallets.loadAll()).skipped).toMatchObject([
      { walletId: made.id, reason: 'alreadyRegistered' },
    ])
    expect(wallets.get(made.id).generation).toBe(made.generation)
  })

  const damages: readonly (readonly [string, string, string])[] = [
    [
      'an account row with another key',
      `update account_registrations set xpub = 'xpub' where wallet_id = ? and account_type = 'coinjoin'`,
      'manifestIntegrityMismatch',
    ],
    [
      'a row without digest',
      'update address_pools set digest = null where wallet_id = ?',
      'manifestIntegrityMismatch',
    ],
    [
      'a pool row that is gone',
      `delete from address_pools where wallet_id = ? and account_type = 'coinjoin'`,
      'manifestIntegrityMismatch',
    ],
    [
      'no account rows at all',
      'delete from account_registrations where wallet_id = ?',
      'missingManifest',
    ],
    [
      'a wallet row with another birth height',
      'update wallets set birth_height = 77 where wallet_id = ?',
      'manifestIntegrityMismatch',
    ],
  ]
  for (const [what, sql, reason] of damages) {
    it(`skips one wallet with ${what}, and loads the others (cases E3, E4, A5)`, async () => {
      const { dir, ids } = await three()
      tamper(dir, sql, blob(ids[1]))
      const events: string[] = []
      const { wallets } = await dir.open({ onEvent: (event) => events.push(event.type) })
      const outcome = await wallets.loadAll()
      expect(outcome.kind).toBe('partial')
      expect(outcome.loaded).toEqual([ids[0], ids[2]].sort())
      expect(outcome.skipped).toMatchObject([{ walletId: ids[1], reason }])
      expect(events).toContain('walletQuarantined')
      expect(events).toContain('walletSkippedOnLoad')
      expect(await wallets.quarantined()).toMatchObject([{ walletId: ids[1] }])
    })
  }

  it('skips a wallet whose account row was copied from another wallet (case E4)', async () => {
    const { dir, ids } = await three()
    tamper(
      dir,
      `update account_registrations set (xpub, digest) =
         (select xpub, digest from account_registrations where wallet_id = ? and account_type = 'coinjoin')
       where wallet_id = ? and account_type = 'coinjoin'`,
      blob(ids[0]),
      blob(ids[2]),
    )
    const { wallets } = await dir.open()
    expect(await wallets.loadAll()).toMatchObject({
      kind: 'partial',
      skipped: [{ walletId: ids[2], reason: 'manifestIntegrityMismatch' }],
    })
  })

  it('reports a wallet that the database lost, and lets it be registered again', async () => {
    const { dir, ids } = await three()
    tamper(dir, 'delete from wallets where wallet_id = ?', blob(ids[0]))
    const { wallets } = await dir.open()
    const outcome = await wallets.loadAll()
    expect(outcome).toMatchObject({
      kind: 'partial',
      skipped: [{ walletId: ids[0], reason: 'lost' }],
    })
    await expect(wallets.load(parseWalletId(ids[0] ?? ''))).rejects.toMatchObject({
      code: 'WalletLost',
    })
    expect(await wallets.quarantined()).toEqual([])
    expect((await wallets.createFromMnemonic(wallet)).id).toBe(ids[0])
  })

  it('says noneUsable when every wallet is damaged', async () => {
    const { dir } = await three()
    tamper(dir, 'update wallets set birth_height = 5')
    const { wallets } = await dir.open()
    expect(await wallets.loadAll()).toMatchObject({ kind: 'noneUsable', loaded: [] })
  })

  it('skips a wallet one of whose pools was moved to an account it does not have (case E6)', async () => {
    const { dir, ids } = await three()
    tamper(
      dir,
      `update address_pools set account_index = 3 where wallet_id = ? and account_type = 'coinjoin'`,
      blob(ids[0]),
    )
    const { wallets } = await dir.open()
    expect((await wallets.loadAll()).skipped).toMatchObject([{ walletId: ids[0] }])
  })
})

describe('a damaged wallet', () => {
  async function damaged(): Promise<{ dir: DataDir; id: string }> {
    const { dir, ids } = await three()
    tamper(dir, 'update wallets set birth_height = 77 where wallet_id = ?', blob(ids[0]))
    const { wallets, close } = await dir.open()
    await wallets.loadAll()
    await close()
    return { dir, id: ids[0] ?? '' }
  }

  it('blocks its own id with a reason, and its rows stay as they are', async () => {
    const { dir, id } = await damaged()
    const before = dir.dump()
    const { wallets, close } = await dir.open()
    await expect(wallets.createFromMnemonic(wallet)).rejects.toMatchObject({
      code: 'WalletQuarantined',
    })
    await expect(wallets.load(parseWalletId(id))).rejects.toMatchObject({
      code: 'WalletQuarantined',
    })
    await close()
    expect(dir.dump()).toEqual(before)
  })

  it('is replaced by its own words when asked, and is whole again', async () => {
    const { dir, id } = await damaged()
    const { wallets, close } = await dir.open()
    const made = await wallets.createFromMnemonic({ ...wallet, replaceQuarantined: true })
    expect(made.id).toBe(id)
    expect(await wallets.quarantined()).toEqual([])
    await close()
    const again = await dir.open()
    expect(await again.wallets.loadAll()).toMatchObject({ kind: 'loaded', skipped: [] })
  })

  it('is replaced by nothing when the replacement fails', async () => {
    const { dir } = await damaged()
    const before = dir.dump()
    const { scriptedFaults } = await import('../../src/testing/faults.js')
    const { wallets, close } = await dir.open({
      faults: scriptedFaults({ point: 'promote.beforeCommit', action: 'fatal' }),
    })
    await expect(
      wallets.createFromMnemonic({ ...wallet, replaceQuarantined: true }),
    ).rejects.toMatchObject({ code: 'PersisterPromote' })
    await close()
    expect(dir.dump()).toEqual(before)
  })
})

describe('a pass that fails hard (cases E9, E10)', () => {
  it('removes what it brought up, keeps what was registered meanwhile, and can be repeated', async () => {
    const { dir, ids } = await three()
    const store = await openSqliteWalletStore(dir.path)
    const wallets = await WalletManager.open({ store })
    const made = await wallets.createFromMnemonic({ phrase: otherPhrase, network: 'testnet' })
    const read = store.read.bind(store)
    let calls = 0
    store.read = (id) =>
      ++calls === 3 ? Promise.reject(new Error('the disk went away')) : read(id)
    await expect(wallets.loadAll()).rejects.toMatchObject({ code: 'PersisterLoad' })
    expect(wallets.list().map(({ id }) => id)).toEqual([made.id])
    store.read = read
    expect((await wallets.loadAll()).loaded).toEqual([...ids].sort())
    await wallets.shutdown()
  })
})

describe('unloading', () => {
  it('takes a wallet out of memory and leaves its rows', async () => {
    const { wallets } = await dataDir().open()
    const made = await wallets.createFromMnemonic(wallet)
    await wallets.unload(made)
    expect(wallets.has(made.id)).toBe(false)
    expect((await wallets.load(made.id)).generation).toBe(made.generation)
  })

  it('refuses a handle of an earlier generation (case D8)', async () => {
    const dir = dataDir()
    const first = await dir.open()
    const old = await first.wallets.createFromMnemonic(wallet)
    await first.close()
    tamper(dir, 'update wallets set birth_height = 3')
    const { wallets } = await dir.open()
    await wallets.loadAll()
    const made = await wallets.createFromMnemonic({ ...wallet, replaceQuarantined: true })
    await expect(wallets.unload(old)).rejects.toMatchObject({ code: 'StaleGeneration' })
    await expect(wallets.attachSeed(old, seedFromPhrase(phrase))).rejects.toMatchObject({
      code: 'StaleGeneration',
    })
    expect(wallets.get(made.id).generation).toBe(made.generation)
  })

  it('lets a registration that waits behind it go through (case D1)', async () => {
    const { wallets } = await dataDir().open()
    const made = await wallets.createFromMnemonic(wallet)
    const [gone, again] = await Promise.allSettled([wallets.unload(made), wallets.load(made.id)])
    expect([gone.status, again.status]).toEqual(['fulfilled', 'fulfilled'])
    expect(wallets.get(made.id).nextAddress('core')).toBeDefined()
  })

  it('answers WalletNotFound for an id nobody knows', async () => {
    const { wallets } = await dataDir().open()
    const id = parseWalletId('0'.repeat(64))
    expect(() => wallets.get(id)).toThrow(expect.objectContaining({ code: 'WalletNotFound' }))
    await expect(wallets.unload(id)).rejects.toMatchObject({ code: 'WalletNotFound' })
    await expect(wallets.load(id)).rejects.toMatchObject({ code: 'WalletNotFound' })
  })
})

describe('attaching a seed', () => {
  it('takes the right seed once and leaves the wallet as it is (cases F1, F3)', async () => {
    const { wallets } = await dataDir().open()
    const made = await wallets.createFromMnemonic(wallet)
    const seed = seedFromPhrase(phrase)
    await wallets.attachSeed(made, seed)
    await wallets.attachSeed(made, seed)
    expect(wallets.isSeeded(made.id)).toBe(true)
    expect(wallets.get(made.id).accounts).toEqual(made.accounts)
    expect(seed).toEqual(seedFromPhrase(phrase))
    wallets.detachSeed(made.id)
    expect(wallets.isSeeded(made.id)).toBe(false)
  })

  it('refuses another seed and leaves the wallet keyless (case F2)', async () => {
    const { wallets } = await dataDir().open()
    const made = await wallets.createFromMnemonic(wallet)
    await expect(wallets.attachSeed(made, seedFromPhrase(otherPhrase))).rejects.toMatchObject({
      code: 'SeedMismatch',
    })
    expect(wallets.isSeeded(made.id)).toBe(false)
  })

  it('takes the seed of a wallet whose id predates network scoping, by its first account (case F4)', async () => {
    const { wallets } = await dataDir().open()
    const known = await wallets.createFromMnemonic(wallet)
    const bip44 = known.accounts.find(({ type }) => type === 'standard_bip44')
    const old = await wallets.createWatchOnly({
      network: 'testnet',
      walletId: parseWalletId(known.groupId),
      accounts: [{ type: 'standard_bip44', xpub: bip44?.xpub ?? '' }],
    })
    await expect(wallets.attachSeed(old, seedFromPhrase(otherPhrase))).rejects.toMatchObject({
      code: 'SeedMismatch',
    })
    await wallets.attachSeed(old, seedFromPhrase(phrase))
    expect(wallets.isSeeded(old.id)).toBe(true)
  })
})

describe('a keyless wallet (case A4)', () => {
  it('keeps the id and the accounts it was stored with', async () => {
    const dir = dataDir()
    const first = await dir.open()
    const known = await first.wallets.createFromMnemonic(wallet)
    const accounts = known.accounts
      .slice(0, 3)
      .map(({ type, index, xpub }) => ({ type, index, xpub }))
    const made = await first.wallets.createWatchOnly({
      network: 'testnet',
      walletId: parseWalletId('ab'.repeat(32)),
      accounts,
    })
    await first.close()
    const { wallets } = await dir.open()
    const loaded = await wallets.load(made.id)
    expect(loaded.id).toBe('ab'.repeat(32))
    expect(loaded.groupId).toBe(loaded.id)
    expect(loaded.accounts.map(({ type, index, xpub }) => ({ type, index, xpub }))).toEqual(
      accounts,
    )
    expect(loaded.nextAddress('core')).toEqual(known.nextAddress('core'))
  })
})

describe('shutting down', () => {
  it('waits for calls in flight, then refuses new ones; twice is fine', async () => {
    const dir = dataDir()
    const { wallets } = await dir.open()
    const pending = wallets.createFromMnemonic(wallet)
    const down = wallets.shutdown()
    await pending
    await down
    await wallets.shutdown()
    await expect(wallets.createFromMnemonic(wallet)).rejects.toMatchObject({
      code: 'ManagerClosed',
    })
  })
})
