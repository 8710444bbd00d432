import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { accountKey, accountTypes } from '../../src/wallet/account.js'
import {
  type AccountOptions,
  accountPath,
  chainsOf,
  checkGaps,
  defaultGaps,
  deriveAccount,
  InvalidAccountOptions,
  planAccounts,
} from '../../src/wallet/accounts.js'
import { withRoot } from '../../src/wallet/derive.js'
import { formatPath } from '../../src/wallet/paths.js'

const planned = (options: AccountOptions): string[] =>
  planAccounts(options).accounts.map(
    (key) => `${key.type} ${formatPath(accountPath(key, 'mainnet'))}`,
  )
const specials = [
  "identity_registration m/9'/5'/5'/1'",
  "identity_topup_unbound m/9'/5'/5'/2'",
  "identity_invitation m/9'/5'/5'/3'",
  "provider_voting m/9'/5'/3'/1'",
  "provider_owner m/9'/5'/3'/2'",
]

describe('account options', () => {
  it('are by default index 0 of each numbered type and every special account', () => {
    expect(planned('default')).toEqual([
      "standard_bip44 m/44'/5'/0'",
      "standard_bip32 m/0'",
      "coinjoin m/9'/5'/4'/0'",
      ...specials,
      "platform_payment m/9'/5'/17'/0'/0'",
    ])
    expect(planAccounts('default').nodeKeys).toBe(true)
  })

  it('"all" add every special account to the given ones, in the specification’s order', () => {
    const options = {
      all: {
        platformPayment: [
          { account: 1, keyClass: 0 },
          { account: 0, keyClass: 7 },
        ],
        topUps: [9, 2],
        coinjoin: [1],
        bip44: [3, 0],
      },
    }
    expect(planned(options)).toEqual([
      "standard_bip44 m/44'/5'/0'",
      "standard_bip44 m/44'/5'/3'",
      "coinjoin m/9'/5'/4'/1'",
      specials[0],
      "identity_topup m/9'/5'/5'/2'/2'",
      "identity_topup m/9'/5'/5'/2'/9'",
      ...specials.slice(1),
      "platform_payment m/9'/5'/17'/0'/7'",
      "platform_payment m/9'/5'/17'/1'/0'",
    ])
    expect(planAccounts(options).nodeKeys).toBe(true)
  })

  it('"bip44Only" make nothing else', () => {
    expect(planned({ bip44Only: [1, 0] })).toEqual([
      "standard_bip44 m/44'/5'/0'",
      "standard_bip44 m/44'/5'/1'",
    ])
    expect(planAccounts({ bip44Only: [0] }).nodeKeys).toBe(false)
  })

  it('"specific" make no special account that is not named', () => {
    expect(planned({ specific: { bip32: [5] } })).toEqual(["standard_bip32 m/5'"])
    const options = { specific: { extra: ['provider_owner', 'provider_platform'] } } as const
    expect(planned(options)).toEqual([specials[4]])
    expect(planAccounts(options).nodeKeys).toBe(true)
    expect(planAccounts({ specific: {} }).nodeKeys).toBe(false)
  })

  it('"none" make nothing', () => {
    expect(planAccounts('none')).toEqual({ accounts: [], nodeKeys: false })
  })

  it.each([
    [{ bip44Only: [0, 0] }, 'twice'],
    [{ bip44Only: [-1] }, 'number'],
    [{ bip44Only: [0.5] }, 'number'],
    [{ bip44Only: [2 ** 31] }, 'number'],
    [{ all: { platformPayment: [{ account: 0, keyClass: 2 ** 31 }] } }, 'number'],
    [{ bip44Only: Array.from({ length: 257 }, (_, n) => n) }, '256'],
    [{ specific: { extra: ['provider_owner', 'provider_owner'] as const } }, 'twice'],
    [{ specific: { extra: ['provider_operator' as never] } }, 'special'],
  ] satisfies [AccountOptions, string][])('are refused when they are %j', (options, why) => {
    expect(() => planAccounts(options)).toThrow(InvalidAccountOptions)
    expect(() => planAccounts(options)).toThrow(why)
  })
})

describe('gaps', () => {
  it('have the defaults of the specification and can be set one by one', () => {
    expect(checkGaps({})).toEqual(defaultGaps)
    expect(checkGaps({ coinjoin: 1000, platform_payment: 1 })).toEqual({
      ...defaultGaps,
      coinjoin: 1000,
      platform_payment: 1,
    })
  })

  it('outside 1 to 1000 are refused', () => {
    const bad = fc.oneof(
      fc.integer({ max: 0 }),
      fc.integer({ min: 1001 }),
      fc.constantFrom(1.5, Number.NaN, Number.POSITIVE_INFINITY),
    )
    fc.assert(
      fc.property(fc.constantFrom(...accountTypes), bad, (type, gap) => {
        expect(() => checkGaps({ [type]: gap })).toThrow(InvalidAccountOptions)
      }),
    )
  })
})

describe('account paths', () => {
  it('use 256-bit numbers for DashPay, the two sides swapped', () => {
    const key = {
      ...accountKey('dashpay_receiving'),
      ownIdentity: new Uint8Array(32).fill(0xaa),
      contactIdentity: new Uint8Array(32).fill(0xbb),
    }
    const own = `0x${'aa'.repeat(32)}`
    const contact = `0x${'bb'.repeat(32)}`
    expect(formatPath(accountPath(key, 'testnet'))).toBe(`m/9'/1'/15'/0'/${own}/${contact}`)
    const external = accountPath({ ...key, type: 'dashpay_external' }, 'testnet')
    expect(formatPath(external)).toBe(`m/9'/1'/15'/0'/${contact}/${own}`)
  })

  it('of two accounts are never equal', () => {
    const keys = accountTypes
      .filter((type) => !type.startsWith('dashpay_'))
      .map((type) => accountKey(type, 0, 0))
    const paths = keys.map((key) => formatPath(accountPath(key, 'mainnet')))
    expect(new Set(paths).size).toBe(keys.length)
  })

  it('lead to no account key for node keys', () => {
    withRoot(new Uint8Array(64).fill(1), (root) => {
      const derive = () => deriveAccount(root, accountKey('provider_platform'), 'mainnet')
      expect(derive).toThrow(RangeError)
    })
  })
})

describe('address chains', () => {
  it('are two for BIP-44 and BIP-32 accounts, one hardened for node keys, one for the rest', () => {
    for (const type of accountTypes) {
      const expected = type.startsWith('standard_')
        ? ['external', 'internal']
        : [type === 'provider_platform' ? 'single_hardened' : 'single']
      expect(chainsOf(type)).toEqual(expected)
    }
  })
})
