import { describe, expect, it } from 'vitest'
import { trustRootsMax } from '../../src/base/limits.js'
import {
  findCustodianRoot,
  findDepositorRoot,
  parseTrustRoots,
  type ScopedRootSetting,
  scopeOf,
  type TrustRootSettings,
} from '../../src/covenant/trust.js'
import { keys, quoteIssuer } from './factory.js'

const root: ScopedRootSetting = {
  route: 'qc_v1',
  reserve: `0x${'aB'.repeat(20)}`,
  network: ' RegTest ',
  publicKey: keys.depositor.compressed.toUpperCase().replace('X', 'x'),
}
const address = keys.depositor.ethAddress

const parseDepositors = (...list: ScopedRootSetting[]) =>
  parseTrustRoots({ depositorTrustRoots: list })

describe('trust roots', () => {
  it('are stored in lower case, trimmed, and found under any spelling of their scope', () => {
    const roots = parseTrustRoots({ depositorTrustRoots: [root], custodianTrustRoots: [root] })
    const stored = {
      route: 'qc_v1',
      reserve: root.reserve.toLowerCase(),
      network: 'regtest',
      publicKey: keys.depositor.compressed,
    }
    expect(roots.depositorTrustRoots).toEqual([stored])
    const scope = scopeOf('qc_v1', root.reserve.toUpperCase().replace('X', 'x'), '\tREGTEST')
    expect(findDepositorRoot(roots, scope)).toEqual(stored)
    expect(findCustodianRoot(roots, scope)).toEqual(stored)
  })

  it('are not found under another route, reserve or network', () => {
    const roots = parseTrustRoots({ depositorTrustRoots: [root], custodianTrustRoots: [root] })
    const { reserve, network } = root
    const others = [
      scopeOf('self_v1', reserve, network),
      scopeOf('qc_v1', `${reserve}00`, network),
      scopeOf('qc_v1', reserve, 'regtest2'),
    ]
    for (const scope of others) {
      expect(findDepositorRoot(roots, scope)).toBeUndefined()
      expect(findCustodianRoot(roots, scope)).toBeUndefined()
    }
  })

  it('keep an Ethereum address with or without prefix, in any case; an empty one is none', () => {
    const pinned = (ethAddress: string) =>
      parseDepositors({ ...root, ethAddress }).depositorTrustRoots[0]?.ethAddress
    expect(pinned(address.toUpperCase().replace('X', 'x'))).toBe(address)
    expect(pinned(address.slice(2))).toBe(address)
    expect(pinned('')).toBeUndefined()
  })

  it('trim the key ids of quote issuers', () => {
    const list = [{ ...quoteIssuer, keyId: ` ${quoteIssuer.keyId}\n` }]
    const roots = parseTrustRoots({ migrationPlanQuoteTrustRoots: list })
    expect(roots.migrationPlanQuoteTrustRoots[0]?.keyId).toBe(quoteIssuer.keyId)
  })

  const name = 'depositorTrustRoots[0]'
  const refused: readonly (readonly [string, TrustRootSettings, string])[] = [
    ['an unknown route', { depositorTrustRoots: [{ ...root, route: 'qc_v2' }] }, `${name}.route`],
    [
      'a reserve that is no hex',
      { depositorTrustRoots: [{ ...root, reserve: 'ab' }] },
      `${name}.reserve`,
    ],
    ['a blank network', { depositorTrustRoots: [{ ...root, network: ' ' }] }, `${name}.network`],
    [
      'a key that is no point (I5)',
      { depositorTrustRoots: [{ ...root, publicKey: `0x02${'ff'.repeat(32)}` }] },
      `${name}.publicKey`,
    ],
    [
      'an uncompressed key (I5)',
      { depositorTrustRoots: [{ ...root, publicKey: keys.depositor.uncompressed }] },
      `${name}.publicKey`,
    ],
    [
      'an address of 19 bytes',
      { depositorTrustRoots: [{ ...root, ethAddress: address.slice(0, -2) }] },
      `${name}.ethAddress`,
    ],
    [
      'a zero address (I5)',
      { depositorTrustRoots: [{ ...root, ethAddress: `0x${'0'.repeat(40)}` }] },
      `${name}.ethAddress: zero`,
    ],
    [
      'a repeated depositor scope (I5)',
      {
        depositorTrustRoots: [
          root,
          { ...root, network: 'regtest', publicKey: keys.other.compressed },
        ],
      },
      'depositorTrustRoots[1]: repeats',
    ],
    [
      'a repeated custodian scope (I5)',
      { custodianTrustRoots: [root, { ...root, reserve: root.reserve.toLowerCase() }] },
      'custodianTrustRoots[1]: repeats',
    ],
    [
      'a blank quote key id',
      { migrationPlanQuoteTrustRoots: [{ keyId: ' ', publicKeyPem: '' }] },
      'migrationPlanQuoteTrustRoots[0].keyId',
    ],
    [
      'more depositors than the limit',
      { depositorTrustRoots: new Array(trustRootsMax + 1).fill(root) },
      'depositorTrustRoots: holds 4097 entries',
    ],
    [
      'more entries than the limit',
      { migrationPlanQuoteTrustRoots: new Array(trustRootsMax + 1).fill(quoteIssuer) },
      'holds 4097 entries',
    ],
  ]
  it.each(refused)('refuse %s', (_what, settings, text) => {
    expect(() => parseTrustRoots(settings)).toThrow(text)
  })

  it('refuse an address for some networks of a reserve only, on the same route', () => {
    const pinned = { ...root, ethAddress: address }
    const elsewhere = { ...root, network: 'mainnet' }
    const mixed = 'set for some networks only'
    expect(() => parseDepositors(pinned, elsewhere)).toThrow(mixed)
    expect(() => parseDepositors(elsewhere, pinned)).toThrow(mixed)
    expect(() => parseDepositors(pinned, { ...elsewhere, ethAddress: address })).not.toThrow()
    expect(() => parseDepositors(pinned, { ...elsewhere, route: 'self_v1' })).not.toThrow()
    expect(() => parseDepositors(pinned, { ...elsewhere, reserve: '0x11' })).not.toThrow()
  })

  it('name no key in what they say', () => {
    const bad = { ...root, publicKey: `0x02${'ff'.repeat(32)}` }
    expect(() => parseDepositors(bad)).not.toThrow('ffff')
    expect(() => parseDepositors(bad)).toThrow('a compressed secp256k1 public key')
  })
})
