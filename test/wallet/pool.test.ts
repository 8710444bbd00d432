import { HDKey } from '@scure/bip32'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hash160 } from '../../src/base/curve.js'
import { type AccountType, accountKey } from '../../src/wallet/account.js'
import { accountPath, deriveAccount } from '../../src/wallet/accounts.js'
import { withRoot } from '../../src/wallet/derive.js'
import type { PublicNode } from '../../src/wallet/extended-key.js'
import { formatPath } from '../../src/wallet/paths.js'
import {
  buildNodePool,
  buildPool,
  type Chain,
  chainKeys,
  entryAt,
  entryBytes,
  entryCount,
  entryPath,
  markReserved,
  markUsed,
  nextUnused,
  type Pool,
} from '../../src/wallet/pool.js'
import { nodeKeys } from '../../src/wallet/slip10.js'

const seed = new Uint8Array(64).fill(7)
const nodeOf = (type: AccountType): PublicNode =>
  withRoot(seed, (root) => deriveAccount(root, accountKey(type), 'mainnet').node)
const poolOf = (type: AccountType, chain: Chain, gap = 5): Pool =>
  buildPool({ account: accountKey(type), chain, gap }, chainKeys(nodeOf(type), type, chain))
const keys = chainKeys(nodeOf('platform_payment'), 'platform_payment', 'single')
const fresh = poolOf('platform_payment', 'single')

describe('a fresh pool', () => {
  it.each([
    ['standard_bip44', 'external', "m/44'/5'/0'/0/"],
    ['standard_bip44', 'internal', "m/44'/5'/0'/1/"],
    ['standard_bip32', 'external', "m/0'/0/"],
    ['standard_bip32', 'internal', "m/0'/1/"],
    ['coinjoin', 'single', "m/9'/5'/4'/0'/0/"],
    ['identity_registration', 'single', "m/9'/5'/5'/1'/"],
    ['platform_payment', 'single', "m/9'/5'/17'/0'/0'/"],
  ] as const)('of %s, chain %s, holds the keys at %s', (type, chain, start) => {
    const pool = poolOf(type, chain)
    const accountText = formatPath(accountPath(accountKey(type), 'mainnet'))
    expect(entryCount(pool)).toBe(5)
    expect(pool.entries).toHaveLength(5 * entryBytes)
    for (let index = 0; index < 5; index++) {
      const expected = HDKey.fromMasterSeed(seed).derive(`${start}${index}`)
      const entry = entryAt(pool, index)
      expect(entry).toMatchObject({ index, state: 'available', reservedAtS: 0 })
      expect(entry.publicKey).toEqual(expected.publicKey)
      expect(entry.hash160).toEqual(expected.pubKeyHash)
      expect(entryPath(accountText, pool, index)).toBe(`${start}${index}`)
    }
  })

  it('of node keys holds Ed25519 keys and node ids', () => {
    const made = nodeKeys(seed, 'mainnet')
    const pool = buildNodePool(accountKey('provider_platform'), 5, made)
    expect(entryCount(pool)).toBe(20)
    expect(pool).toMatchObject({ chain: 'single_hardened', gap: 5, highestUsed: undefined })
    for (const [index, key] of made.entries()) {
      expect(entryAt(pool, index)).toEqual({
        index,
        state: 'available',
        reservedAtS: 0,
        hash160: key.nodeId,
        publicKey: key.publicKey,
      })
      expect(pool.entries[index * entryBytes + 25]).toBe(0)
    }
    expect(entryPath("m/9'/5'/3'/4'", pool, 3)).toBe("m/9'/5'/3'/4'/3'")
    expect(() => chainKeys(nodeOf('coinjoin'), 'provider_platform', 'single_hardened')).toThrow(
      RangeError,
    )
  })

  it('has no entry outside its length', () => {
    for (const index of [-1, 5, 0.5, Number.NaN]) {
      expect(() => entryAt(fresh, index)).toThrow(RangeError)
      expect(() => markUsed(fresh, index, keys)).toThrow(RangeError)
      expect(() => markReserved(fresh, index, 1)).toThrow(RangeError)
    }
  })
})

describe('marking entries', () => {
  it('used keeps "gap" entries past the highest used one, whatever the order', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { minLength: 1, maxLength: 8 }), (picks) => {
        let pool = fresh
        const used = new Set<number>()
        for (const pick of picks) {
          const index = pick % entryCount(pool)
          const before = pool
          const frozen = Uint8Array.from(before.entries)
          pool = markUsed(pool, index, keys)
          used.add(index)
          expect(before.entries).toEqual(frozen)
          expect(pool.highestUsed).toBe(Math.max(...used))
          expect(entryCount(pool)).toBe(Math.max(...used) + pool.gap + 1)
        }
        for (let index = 0; index < entryCount(pool); index++) {
          const entry = entryAt(pool, index)
          expect(entry.state).toBe(used.has(index) ? 'used' : 'available')
          expect(entry.publicKey).toEqual(keys(index))
          expect(entry.hash160).toEqual(hash160(keys(index)))
        }
      }),
      { numRuns: 20 },
    )
  })

  it('used twice changes nothing', () => {
    const once = markUsed(fresh, 2, keys)
    expect(markUsed(once, 2, keys)).toEqual(once)
  })

  it('used without keys to extend leaves the pool as long as it was', () => {
    const pool = buildNodePool(accountKey('provider_platform'), 5, nodeKeys(seed, 'mainnet'))
    const used = markUsed(pool, 19)
    expect(used.highestUsed).toBe(19)
    expect(entryCount(used)).toBe(20)
    expect(entryAt(used, 19).state).toBe('used')
  })

  it('reserved stores when, and using the entry clears it', () => {
    const reserved = markReserved(fresh, 1, 4_000_000_000)
    expect(entryAt(reserved, 1)).toMatchObject({ state: 'reserved', reservedAtS: 4_000_000_000 })
    expect(reserved.highestUsed).toBeUndefined()
    expect(() => markReserved(reserved, 1, 5)).toThrow(RangeError)
    const used = markUsed(reserved, 1, keys)
    expect(entryAt(used, 1)).toMatchObject({ state: 'used', reservedAtS: 0 })
    expect(() => markReserved(used, 1, 5)).toThrow(RangeError)
  })

  it('reserved at a time that four bytes cannot hold is a programming error', () => {
    for (const atS of [-1, 2 ** 32, 1.5]) {
      expect(() => markReserved(fresh, 0, atS)).toThrow(RangeError)
    }
  })
})

describe('the next unused entry', () => {
  it('is the available one of the lowest index', () => {
    expect(nextUnused(fresh)?.index).toBe(0)
    expect(nextUnused(markReserved(fresh, 0, 1))?.index).toBe(1)
    expect(nextUnused(markUsed(fresh, 2, keys))?.index).toBe(0)
  })

  it('is missing when every entry is taken', () => {
    let pool = fresh
    for (let index = 0; index < entryCount(fresh); index++) pool = markUsed(pool, index)
    expect(nextUnused(pool)).toBeUndefined()
  })
})

describe('a damaged entry', () => {
  it('with an unknown state byte is not read', () => {
    const entries = Uint8Array.from(fresh.entries)
    entries[0] = 3
    expect(() => entryAt({ ...fresh, entries }, 0)).toThrow(RangeError)
  })
})
