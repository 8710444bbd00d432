import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import { HDKey } from '@scure/bip32'
import { describe, expect, it } from 'vitest'
import { fromHex, toHex } from '../../src/base/bytes.js'
import { parseWalletId } from '../../src/base/ids.js'
import { accountName } from '../../src/wallet/account.js'
import { InvalidAccountOptions } from '../../src/wallet/accounts.js'
import { InvalidBirthHeight } from '../../src/wallet/birth-height.js'
import {
  deriveCandidate,
  type WatchOnlyAccount,
  type WatchOnlyInput,
  watchOnlyCandidate,
} from '../../src/wallet/candidate.js'
import type { Changeset } from '../../src/wallet/changeset.js'
import { coreAddress } from '../../src/wallet/core-address.js'
import { derivePath256, deriveWallet } from '../../src/wallet/derive.js'
import { MalformedXpub } from '../../src/wallet/extended-key.js'
import { InvalidSeed } from '../../src/wallet/hd.js'
import { networks } from '../../src/wallet/network.js'
import { encodePlatformAddress } from '../../src/wallet/platform-address.js'
import { entryAt, entryCount, entryPath, type Pool } from '../../src/wallet/pool.js'
import { nodeKeys } from '../../src/wallet/slip10.js'

const { wallet_ids, accounts: accountVectors } = JSON.parse(
  readFileSync(
    new URL('../vectors/wallet_id_and_account_vectors_v1.json', import.meta.url),
    'utf8',
  ),
) as {
  wallet_ids: { seed: string }[]
  accounts: {
    vectors: { path: string; network: 'mainnet' | 'testnet'; core_address?: string }[]
  }
}
const seed = (): Uint8Array => fromHex(wallet_ids[0]?.seed ?? '')
const facts = { birthHeight: 0, createdAtMs: 1_700_000_000_000 }
const derive = (network: 'mainnet' | 'testnet' = 'mainnet'): Changeset =>
  deriveCandidate({ seed: seed(), network, ...facts })

const poolName = ({ account, chain }: Pool): string => `${account.type} ${chain}`
const sizes = (changeset: Changeset): string[] =>
  changeset.pools.map((pool) => `${poolName(pool)} ${entryCount(pool)}`)

/** Every address of a candidate by its path. */
function addressesOf(changeset: Changeset): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>()
  for (const pool of changeset.pools) {
    const account = changeset.accounts.find((one) => accountName(one) === accountName(pool.account))
    for (let index = 0; account !== undefined && index < entryCount(pool); index++) {
      found.set(entryPath(account.path, pool, index), entryAt(pool, index).hash160)
    }
  }
  return found
}

describe('the candidate of a seed', () => {
  it('holds the ids and accounts that deriveWallet shows', () => {
    for (const network of networks) {
      const shown = deriveWallet({ seed: seed(), network })
      const candidate = deriveCandidate({ seed: seed(), network, ...facts })
      expect(candidate).toMatchObject({
        walletId: shown.walletId,
        groupId: shown.groupId,
        network,
        birthHeight: 0,
        createdAtMs: facts.createdAtMs,
      })
      expect(candidate.accounts.map(({ type, path, xpub }) => ({ type, path, xpub }))).toEqual(
        shown.accounts,
      )
    }
  })

  it('holds every pool with its gap, and 20 node keys', () => {
    expect(sizes(derive())).toEqual([
      'standard_bip44 external 30',
      'standard_bip44 internal 30',
      'standard_bip32 external 30',
      'standard_bip32 internal 30',
      'coinjoin single 30',
      'identity_registration single 5',
      'identity_topup_unbound single 5',
      'identity_invitation single 5',
      'provider_voting single 5',
      'provider_owner single 5',
      'provider_platform single_hardened 20',
      'platform_payment single 20',
    ])
    const nodePool = derive().pools.find(({ chain }) => chain === 'single_hardened')
    const ids = nodeKeys(seed(), 'mainnet').map(({ nodeId }) => toHex(nodeId))
    if (nodePool === undefined) throw new Error('no node pool')
    expect(ids.map((_, n) => toHex(entryAt(nodePool, n).hash160))).toEqual(ids)
  })

  it('holds the published addresses at their paths', () => {
    let seen = 0
    for (const { path, network, core_address } of accountVectors.vectors) {
      const hash = addressesOf(derive(network)).get(path)
      if (hash === undefined || core_address === undefined) continue
      expect(coreAddress(hash, network)).toBe(core_address)
      seen++
    }
    expect(seen).toBe(5)
    const hash160 = addressesOf(derive()).get("m/9'/5'/17'/0'/0'/0") ?? new Uint8Array()
    expect(encodePlatformAddress({ hash160, type: 'p2pkh', network: 'mainnet' })).toBe(
      'dash1krma5z3ttj75la4m93xcndna9ullamq9y5e9n5rs',
    )
  })

  it('holds only addresses that another library derives', () => {
    const root = HDKey.fromMasterSeed(seed())
    const addresses = addressesOf(derive())
    expect(addresses.size).toBe(30 * 5 + 5 * 5 + 20)
    for (const [path, hash] of addresses) {
      expect(hash).toEqual(root.derive(path).pubKeyHash)
    }
  })

  it('starts without funds and unsynced', () => {
    expect(derive()).toMatchObject({
      platformAddresses: [],
      platformSync: { syncHeight: 0n, syncTimestampS: 0n, lastKnownRecentBlock: 0n },
    })
    for (const pool of derive().pools) expect(pool.highestUsed).toBeUndefined()
  })

  it('derived twice is equal, and leaves the seed as it was', () => {
    const given = seed()
    const first = deriveCandidate({ seed: given, network: 'testnet', ...facts })
    expect(given).toEqual(seed())
    expect(deriveCandidate({ seed: given, network: 'testnet', ...facts })).toEqual(first)
  })

  it('holds no private key and no part of the seed', () => {
    const shown = inspect(derive(), { depth: 9, maxArrayLength: null, maxStringLength: null })
    const flat = JSON.stringify(derive(), (_, value: unknown) => {
      if (typeof value === 'bigint') return value.toString()
      return value instanceof Uint8Array ? toHex(value) : value
    })
    const secrets: Uint8Array[] = [seed().slice(0, 32), seed().slice(32)]
    for (const path of ['m', "m/44'/5'/0'", "m/9'/5'/17'/0'/0'", "m/9'/5'/17'/0'/0'/0"]) {
      secrets.push(derivePath256({ seed: seed(), path, network: 'mainnet' }).privateKey)
    }
    for (const secret of secrets) expect(flat).not.toContain(toHex(secret))
    expect(shown).not.toContain('xprv')
    expect(shown).not.toContain('privateKey')
  })

  it('takes other accounts and gaps', () => {
    const candidate = deriveCandidate({
      seed: seed(),
      network: 'mainnet',
      accounts: { bip44Only: [0, 4] },
      gaps: { standard_bip44: 3 },
      ...facts,
    })
    expect(candidate.accounts.map(({ path }) => path)).toEqual(["m/44'/5'/0'", "m/44'/5'/4'"])
    expect(sizes(candidate)).toEqual([
      'standard_bip44 external 3',
      'standard_bip44 internal 3',
      'standard_bip44 external 3',
      'standard_bip44 internal 3',
    ])
    expect(candidate.walletId).toBe(derive().walletId)
    const none = deriveCandidate({ seed: seed(), network: 'mainnet', accounts: 'none', ...facts })
    expect([none.accounts, none.pools]).toEqual([[], []])
  })

  it('is refused for a bad seed, account, gap, height or network', () => {
    const good = { seed: seed(), network: 'mainnet', ...facts } as const
    expect(() => deriveCandidate({ ...good, seed: new Uint8Array(32) })).toThrow(InvalidSeed)
    expect(() => deriveCandidate({ ...good, accounts: { bip44Only: [-1] } })).toThrow(
      InvalidAccountOptions,
    )
    expect(() => deriveCandidate({ ...good, gaps: { coinjoin: 1001 } })).toThrow(
      InvalidAccountOptions,
    )
    for (const birthHeight of [-1, 0.5, 2 ** 32, Number.NaN]) {
      expect(() => deriveCandidate({ ...good, birthHeight })).toThrow(InvalidBirthHeight)
    }
    expect(() => deriveCandidate({ ...good, network: 'main' as never })).toThrow(/not known/)
  })
})

describe('the candidate of a keyless wallet', () => {
  const full = derive()
  const given: WatchOnlyAccount[] = full.accounts
    .map(({ type, index, keyClass, xpub }) => ({ type, index, keyClass, xpub }))
    .reverse()
  const carried = parseWalletId('ab'.repeat(32))
  const watch = (rest: Partial<WatchOnlyInput> = {}): Changeset =>
    watchOnlyCandidate({
      network: 'mainnet',
      walletId: carried,
      accounts: given,
      ...facts,
      ...rest,
    })

  it('holds the same accounts and pools as that of the seed, node keys aside', () => {
    expect(watch().accounts).toEqual(full.accounts)
    expect(watch().pools).toEqual(full.pools.filter(({ chain }) => chain !== 'single_hardened'))
  })

  it('carries the id it is given, also as its group id', () => {
    expect(watch()).toMatchObject({ walletId: carried, groupId: carried })
  })

  it('computes both ids from a root key', () => {
    const rootXpub = HDKey.fromMasterSeed(seed()).publicExtendedKey
    const { walletId, groupId } = watchOnlyCandidate({
      network: 'mainnet',
      rootXpub,
      accounts: given,
      ...facts,
    })
    expect({ walletId, groupId }).toEqual({ walletId: full.walletId, groupId: full.groupId })
  })

  it('takes index and key class as 0 where they are left out', () => {
    const [first] = full.accounts
    if (first === undefined) throw new Error('no account')
    const { accounts } = watch({ accounts: [{ type: first.type, xpub: first.xpub }] })
    expect(accounts).toEqual([first])
  })

  it('is refused when a key stands at another place than its account', () => {
    const [bip44, bip32] = full.accounts
    if (bip44 === undefined || bip32 === undefined) throw new Error('no accounts')
    const at = (path: string): string =>
      derivePath256({ seed: seed(), path, network: 'mainnet' }).extendedPublic
    for (const xpub of [at("m/44'/5'/1'"), at("m/44'/5'"), at("m/44'/5'/0"), bip32.xpub, at('m')]) {
      expect(() => watch({ accounts: [{ type: 'standard_bip44', xpub }] })).toThrow(MalformedXpub)
    }
    const rootXpub = bip44.xpub
    const input = { network: 'mainnet', rootXpub, accounts: given, ...facts } as const
    expect(() => watchOnlyCandidate(input)).toThrow(MalformedXpub)
  })

  it('is refused without accounts, with one twice, and with types that need a key', () => {
    const [first] = given
    if (first === undefined) throw new Error('no account')
    expect(() => watch({ accounts: [] })).toThrow(InvalidAccountOptions)
    expect(() => watch({ accounts: [first, first] })).toThrow(InvalidAccountOptions)
    for (const type of ['provider_platform', 'dashpay_external', 'bls' as never] as const) {
      const accounts = [{ type, xpub: first.xpub }]
      expect(() => watch({ accounts })).toThrow(InvalidAccountOptions)
    }
  })

  it('is refused with keys of another network', () => {
    expect(() => watch({ network: 'testnet' })).toThrow(MalformedXpub)
  })
})
