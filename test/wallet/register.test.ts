import { inspect } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import type { AddressFunds, DashReader } from '../../src/chain/reader.js'
import { scriptedFaults } from '../../src/testing/faults.js'
import type { WalletEvent } from '../../src/wallet/events.js'
import { seedFromPhrase } from '../../src/wallet/mnemonic.js'
import { DataDir, otherPhrase, passphrase, phrase } from './data-dir.js'

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

describe('registering a wallet', () => {
  it('refuses the same wallet again as benign, and the first handle still works (case B1)', async () => {
    const { wallets } = await dataDir().open()
    const made = await wallets.createFromMnemonic(wallet)
    await expect(wallets.createFromMnemonic(wallet)).rejects.toMatchObject({
      code: 'WalletAlreadyExists',
      where: 'memory',
      retry: 'never',
    })
    expect(made.nextAddress('core')?.address).toBe('yRd4FhXfVGHXpsuZXPNkMrfD9GVj46pnjt')
  })

  it('refuses a wallet that is on disk and not in memory, and load brings it up', async () => {
    const dir = dataDir()
    const first = await dir.open()
    const made = await first.wallets.createFromMnemonic(wallet)
    await first.close()
    const { wallets } = await dir.open()
    await expect(wallets.createFromMnemonic(wallet)).rejects.toMatchObject({
      code: 'WalletAlreadyExists',
      where: 'storage',
    })
    expect((await wallets.load(made.id)).generation).toBe(made.generation)
  })

  it('keeps one seed on two networks apart and groups them', async () => {
    const { wallets } = await dataDir().open()
    const test = await wallets.createFromMnemonic(wallet)
    const main = await wallets.createFromMnemonic({ phrase, network: 'mainnet' })
    expect(main.id).not.toBe(test.id)
    expect(main.groupId).toBe(test.groupId)
    expect(wallets.list().map(({ id }) => id)).toEqual([main.id, test.id].sort())
  })

  it('keeps an explicit birth height of 0, and takes 0 when nothing tells one (case B5)', async () => {
    const { wallets } = await dataDir().open({
      checkpoints: { mainnet: [7], testnet: [5, 9], devnet: [], regtest: [] },
    })
    expect((await wallets.createFromMnemonic({ ...wallet, birthHeight: 0 })).birthHeight).toBe(0)
    expect((await wallets.createFromMnemonic({ ...wallet, phrase: otherPhrase })).birthHeight).toBe(
      9,
    )
    expect((await wallets.createFromMnemonic({ ...wallet, network: 'devnet' })).birthHeight).toBe(0)
  })

  it('tells its listeners once, when the wallet is durable and reachable (case B7)', async () => {
    const dir = dataDir()
    const { wallets } = await dir.open()
    const seen: unknown[] = []
    wallets.on((event) => {
      if (event.type === 'walletRegistered')
        seen.push(wallets.get(event.id).generation === event.generation)
    })
    await wallets.createFromMnemonic(wallet)
    expect(seen).toEqual([true])
  })

  it('loads what it registered, equal in every part (case B8)', async () => {
    const dir = dataDir()
    const first = await dir.open()
    const made = await first.wallets.createFromMnemonic({ ...wallet, birthHeight: 123 })
    const addresses = made.addresses('platform')
    await first.close()
    const { wallets } = await dir.open()
    const loaded = await wallets.load(made.id)
    expect({ ...loaded, ...functionsOf(made) }).toEqual({ ...made })
    expect(loaded.addresses('platform')).toEqual(addresses)
    expect(loaded.addresses('core')).toEqual(made.addresses('core'))
  })

  it('leaves no key reachable from the handle (case B6)', async () => {
    const { wallets } = await dataDir().open()
    const made = await wallets.createFromMnemonic(wallet)
    const seed = Buffer.from(seedFromPhrase(phrase))
    const shown = inspect([wallets, made], { depth: 20, showHidden: true, maxArrayLength: null })
    expect(shown).not.toContain(seed.toString('hex').slice(0, 16))
    expect(shown).not.toContain('prv')
  })

  it('reads funds while it restores, marks their addresses used and grows the pool past them (case E7)', async () => {
    const dir = dataDir()
    const asked: number[] = []
    const funded = new Map<string, AddressFunds>()
    const reader: DashReader = {
      tipHeight: () => Promise.resolve({ kind: 'known', value: 900n, heightBlocks: 900n }),
      balances: (_network, hashes) => {
        asked.push(hashes.length)
        // The last address of each answer holds funds, so every round finds the pool grown; three rounds are enough.
        const last = hashes.at(-1)
        if (last !== undefined && funded.size < 3) {
          funded.set(Buffer.from(last).toString('hex'), {
            hash160: last,
            balanceCredits: 5n,
            nonce: 1n,
          })
        }
        const value = hashes.flatMap((hash) => funded.get(Buffer.from(hash).toString('hex')) ?? [])
        return Promise.resolve({ kind: 'known', value, heightBlocks: 900n })
      },
    }
    const first = await dir.open({ dash: reader })
    const made = await first.wallets.createFromMnemonic(wallet)
    expect(made.birthHeight).toBe(900)
    expect(asked).toEqual([20, 20, 20, 20])
    expect(made.platformBalance()).toEqual({ kind: 'known', value: 15n, heightBlocks: 900n })
    expect(made.addresses('platform')).toHaveLength(80)
    expect(made.nextAddress('platform')?.index).toBe(0)
    await first.close()
    const { wallets } = await dir.open()
    expect((await wallets.load(made.id)).platformBalance()).toEqual(made.platformBalance())
  })

  it('registers without a network, and says that the balance is not known', async () => {
    const { wallets } = await dataDir().open()
    const made = await wallets.createFromMnemonic(wallet)
    expect(made.platformBalance()).toMatchObject({ kind: 'unavailable', source: 'dash' })
  })

  it('keeps the seed in the vault under its label when asked, and only then', async () => {
    const dir = await dataDir().withVault()
    const { wallets, vault } = await dir.open({ passphrase })
    const kept = await wallets.createFromMnemonic({
      ...wallet,
      persistSecret: { label: 'savings' },
    })
    await wallets.createFromMnemonic({ ...wallet, phrase: otherPhrase })
    expect(await vault?.list()).toMatchObject([
      { walletId: kept.id, label: 'savings', state: 'final' },
    ])
    expect(await vault?.read({ walletId: kept.id, label: 'savings' })).toEqual(
      seedFromPhrase(phrase),
    )
  })

  it('leaves nothing behind when the passphrase is wrong', async () => {
    const dir = await dataDir().withVault()
    const before = dir.files()
    const wrong = new TextEncoder().encode('another long passphrase')
    await expect(dir.open({ passphrase: wrong })).rejects.toMatchObject({ code: 'WrongPassphrase' })
    expect(dir.files().filter(([name]) => name !== 'lock')).toEqual(before)
  })

  it('refuses to keep a secret without an open vault, before anything is written', async () => {
    const dir = await dataDir().withVault()
    const first = await dir.open()
    await first.close()
    const zero = dir.dump()
    const { wallets } = await dir.open()
    await expect(
      wallets.createFromMnemonic({ ...wallet, persistSecret: { label: 'seed' } }),
    ).rejects.toMatchObject({ code: 'VaultLocked' })
    await wallets.shutdown()
    expect(dir.dump()).toEqual(zero)
  })
})

describe('two registrations at once', () => {
  it('lets exactly one of many for one id succeed', async () => {
    const { wallets } = await dataDir().open()
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, () => wallets.createFromMnemonic(wallet)),
    )
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    const codes = results.flatMap((result) =>
      result.status === 'rejected' ? [result.reason.code] : [],
    )
    expect(new Set(codes)).toEqual(new Set(['WalletAlreadyExists']))
  })

  it('lets the next one try when the first fails', async () => {
    const faults = scriptedFaults({ point: 'restore.read', nth: 1, action: 'fatal' })
    const { wallets } = await dataDir().open({ faults })
    const [first, second] = await Promise.allSettled([
      wallets.createFromMnemonic(wallet),
      wallets.createFromMnemonic(wallet),
    ])
    expect([first?.status, second?.status]).toEqual(['rejected', 'fulfilled'])
  })

  it('shows nobody the candidate while it restores (case C6)', async () => {
    const faults = scriptedFaults({ point: 'restore.read', action: 'hang' })
    const dir = dataDir()
    const { wallets } = await dir.open({ faults })
    const pending = wallets.createFromMnemonic(wallet)
    await faults.hanging('restore.read')
    expect(wallets.list()).toEqual([])
    expect((await wallets.loadAll()).loaded).toEqual([])
    faults.release('restore.read')
    await pending
    expect(wallets.list()).toHaveLength(1)
  })
})

describe('aborting a registration (case C12)', () => {
  for (const point of ['restore.read', 'restore.provider']) {
    it(`leaves nothing when the signal fires at ${point}, and the next one goes through`, async () => {
      const dir = await dataDir().withVault()
      await (await dir.open()).close()
      const zero = dir.dump()
      const faults = scriptedFaults({ point, nth: 1, action: 'hang' })
      const holdfast = await dir.open({ passphrase, faults })
      const stop = new AbortController()
      const pending = holdfast.wallets.createFromMnemonic({
        ...wallet,
        persistSecret: { label: 'seed' },
        signal: stop.signal,
      })
      await faults.hanging(point)
      stop.abort()
      await expect(pending).rejects.toMatchObject({
        code: 'Aborted',
        retry: 'safe',
        cleanup: 'done',
      })
      await holdfast.close()
      expect(dir.dump()).toEqual(zero)
      const again = await dir.open()
      await again.wallets.createFromMnemonic(wallet)
    })
  }

  it('does nothing at all when the signal had fired before', async () => {
    const dir = dataDir()
    const holdfast = await dir.open()
    await expect(
      holdfast.wallets.createFromMnemonic({ ...wallet, signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ code: 'Aborted' })
    expect(holdfast.wallets.list()).toEqual([])
  })

  it('stops waiting for a reader that never answers', async () => {
    const never = (): Promise<never> => new Promise(() => undefined)
    const { wallets } = await dataDir().open({ dash: { tipHeight: never, balances: never } })
    const stop = new AbortController()
    const pending = wallets.createFromMnemonic({ ...wallet, signal: stop.signal })
    stop.abort()
    await expect(pending).rejects.toMatchObject({ code: 'Aborted' })
  })
})

describe('errors of a registration', () => {
  it('name the wallet and the phase, keep the cause, and hold no secret (cases C7, J7)', async () => {
    const dir = await dataDir().withVault()
    const seen: WalletEvent[] = []
    const { wallets } = await dir.open({
      passphrase,
      faults: scriptedFaults({ point: 'secret.stage.after', action: 'transient' }),
      onEvent: (event) => seen.push(event),
    })
    const error: unknown = await wallets
      .createFromMnemonic({ ...wallet, persistSecret: { label: 'seed' } })
      .catch((e) => e)
    expect(error).toMatchObject({ code: 'SecretStage', phase: 'secret', kind: 'transient' })
    const cause = (error as Error).cause as Error
    expect(cause.message).toContain('fault injected at secret.stage.after')
    const shown = inspect([error, seen], { depth: 20, showHidden: true })
    const seed = Buffer.from(seedFromPhrase(phrase)).toString('hex')
    for (const secret of ['abandon', seed.slice(0, 16), 'correct horse'])
      expect(shown).not.toContain(secret)
  })

  it('refuse words by position or checksum before anything is read or written (case A6)', async () => {
    const dir = dataDir()
    const { wallets } = await dir.open()
    const zero = dir.files()
    const wrong = phrase.replace('about', 'aboot')
    await expect(
      wallets.createFromMnemonic({ phrase: wrong, network: 'testnet' }),
    ).rejects.toMatchObject({
      code: 'InvalidMnemonic',
      message: expect.stringContaining('12'),
    })
    await expect(
      wallets.createFromMnemonic({ phrase: `${'abandon '.repeat(11)}abandon`, network: 'testnet' }),
    ).rejects.toMatchObject({
      code: 'InvalidMnemonic',
      message: expect.stringContaining('checksum'),
    })
    await expect(
      wallets.createFromSeedBytes({ seed: new Uint8Array(63), network: 'testnet' }),
    ).rejects.toMatchObject({ code: 'InvalidSeed' })
    expect(dir.files()).toEqual(zero)
  })
})

function functionsOf(handle: object): object {
  return Object.fromEntries(
    Object.entries(handle).filter(([, value]) => typeof value === 'function'),
  )
}
