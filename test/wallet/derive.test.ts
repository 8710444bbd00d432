import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import { createBase58check } from '@scure/base'
import { HDKey } from '@scure/bip32'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fromHex, sha256, toHex } from '../../src/base/bytes.js'
import { hash160 } from '../../src/base/curve.js'
import { deriveAccount } from '../../src/wallet/accounts.js'
import { coreAddress } from '../../src/wallet/core-address.js'
import {
  derivePath256,
  deriveWallet,
  groupIdOf,
  walletIdOf,
  withRoot,
} from '../../src/wallet/derive.js'
import { encodeXpub, MalformedXpub, parseXpub } from '../../src/wallet/extended-key.js'
import {
  childKeys,
  derivePrivate,
  derivePublic,
  InvalidSeed,
  masterNode,
  neuter,
} from '../../src/wallet/hd.js'
import { networks } from '../../src/wallet/network.js'
import { formatPath, InvalidPath, normal, parsePath } from '../../src/wallet/paths.js'

const read = (name: string) =>
  JSON.parse(readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8'))
const hd = read('wallet_hd_derivation_vectors_v1.json') as {
  bip32: {
    vectors: { name: string; seed: string; chain: { path: string; xpub: string; xprv: string }[] }[]
  }
  bip44_dash: { seed: string; vectors: { path: string; xpub?: string; public_key?: string }[] }
  dip14: {
    vectors: {
      name: string
      mnemonic: string
      seed: string
      path: string
      private_key: string
      ext_pub: string
      ext_priv: string
    }[]
  }
}
const idVectors = read('wallet_id_and_account_vectors_v1.json') as {
  wallet_ids: {
    mnemonic: string
    seed: string
    ids: { mainnet: string; testnet: string; group: string }
  }[]
  accounts: {
    vectors: {
      what: string
      path: string
      network: 'mainnet' | 'testnet'
      public_key: string
      xpub?: string
      core_address?: string
    }[]
  }
}
const firstWallet = idVectors.wallet_ids[0]
if (firstWallet === undefined) throw new Error('the vectors name no wallet')
const { mnemonic: phrase } = firstWallet
const base58 = (body: Uint8Array): string => createBase58check(sha256).encode(body)
const seed = (): Uint8Array => fromHex(firstWallet.seed)

describe('derivation by path', () => {
  it.each(
    hd.bip32.vectors.flatMap(({ name, seed, chain }) =>
      chain.map((link) => ({ name, seed, ...link })),
    ),
  )('agrees with $name at $path', ({ seed, path, xpub, xprv }) => {
    const key = derivePath256({ seed: fromHex(seed), path, network: 'mainnet' })
    expect(key.extendedPublic).toBe(xpub)
    expect(key.extendedPrivate).toBe(xprv)
  })

  it.each(hd.bip44_dash.vectors)('agrees with dashcore at $path', (vector) => {
    const input = { seed: fromHex(hd.bip44_dash.seed), path: vector.path } as const
    const key = derivePath256({ ...input, network: 'mainnet' })
    if (vector.xpub !== undefined) expect(key.extendedPublic).toBe(vector.xpub)
    if (vector.public_key !== undefined) expect(toHex(key.publicKey)).toBe(vector.public_key)
    expect(vector.xpub ?? vector.public_key).toBeDefined()
  })

  it.each(hd.dip14.vectors)('agrees with $name', (vector) => {
    const { path } = vector
    const key = derivePath256({ seed: fromHex(vector.seed), path, network: 'testnet' })
    expect(toHex(key.privateKey)).toBe(vector.private_key)
    expect(key.extendedPublic).toBe(vector.ext_pub)
    expect(key.extendedPrivate).toBe(vector.ext_priv)
  })

  it.each(idVectors.accounts.vectors)('agrees with the figures of $what on $network', (vector) => {
    const { path, network } = vector
    const key = derivePath256({ seed: seed(), path, network })
    expect(toHex(key.publicKey)).toBe(vector.public_key)
    if (vector.xpub !== undefined) expect(key.extendedPublic).toBe(vector.xpub)
    if (vector.core_address !== undefined) {
      expect(coreAddress(hash160(key.publicKey), network)).toBe(vector.core_address)
    }
  })

  const level = fc.tuple(fc.nat(2 ** 31 - 1), fc.boolean())
  it('agrees with another library on any path, texts included', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 16, maxLength: 64, size: 'max' }),
        fc.array(level, { maxLength: 6 }),
        (seed, levels) => {
          const path = ['m', ...levels.map(([n, h]) => `${n}${h ? "'" : ''}`)].join('/')
          const expected = HDKey.fromMasterSeed(seed).derive(path)
          const key = derivePath256({ seed, path, network: 'mainnet' })
          expect(key.extendedPublic).toBe(expected.publicExtendedKey)
          expect(key.extendedPrivate).toBe(expected.privateExtendedKey)
          expect(key.privateKey).toEqual(expected.privateKey)
          expect(key.publicKey).toEqual(expected.publicKey)
        },
      ),
      { numRuns: 40 },
    )
  })

  it('writes test network texts for every network but mainnet', () => {
    const tprv = { private: 0x04358394, public: 0x043587cf }
    const expected = HDKey.fromMasterSeed(seed(), tprv).derive("m/44'/1'/0'")
    for (const network of ['testnet', 'devnet', 'regtest'] as const) {
      const key = derivePath256({ seed: seed(), path: "m/44'/1'/0'", network })
      expect(key.extendedPublic).toBe(expected.publicExtendedKey)
      expect(key.extendedPrivate).toBe(expected.privateExtendedKey)
    }
  })

  it.each([0, 15, 65])('refuses a seed of %i bytes', (size) => {
    const input = { seed: new Uint8Array(size), path: 'm', network: 'mainnet' } as const
    expect(() => derivePath256(input)).toThrow(InvalidSeed)
  })

  it('leaves the seed as it was', () => {
    const given = seed()
    derivePath256({ seed: given, path: "m/0'/1", network: 'mainnet' })
    expect(given).toEqual(seed())
  })
})

describe('public derivation', () => {
  const wide = fc.bigInt({ min: 2n ** 32n, max: 2n ** 256n - 1n })
  const index = fc.oneof(
    fc.nat(2 ** 31 - 1).map((n) => BigInt(n)),
    wide,
  )

  it('reaches the same nodes as private derivation, 256-bit numbers included', () => {
    fc.assert(
      fc.property(fc.array(index, { minLength: 1, maxLength: 3 }), (indices) => {
        const path = indices.map((n) => normal(n))
        withRoot(seed(), (root) => {
          const secret = neuter(derivePrivate(root, path))
          expect(derivePublic(neuter(root), path)).toEqual(secret)
        })
      }),
      { numRuns: 30 },
    )
  })

  it('of addresses agrees with another library', () => {
    const account = HDKey.fromMasterSeed(seed()).derive("m/9'/5'/17'/0'/0'")
    const oracle = HDKey.fromExtendedKey(account.publicExtendedKey)
    const keyAt = childKeys(parseXpub(account.publicExtendedKey, 'mainnet'))
    fc.assert(
      fc.property(fc.nat(2 ** 31 - 1), (n) => {
        expect(keyAt(n)).toEqual(oracle.deriveChild(n).publicKey)
      }),
      { numRuns: 40 },
    )
    for (const bad of [-1, 2 ** 31, 0.5, Number.NaN]) expect(() => keyAt(bad)).toThrow(RangeError)
  })

  it('of a hardened child is a programming error', () => {
    withRoot(seed(), (root) => {
      expect(() => derivePublic(neuter(root), parsePath("m/0'"))).toThrow(RangeError)
    })
  })

  it('ends at level 255', () => {
    const deep = parsePath(`m${'/0'.repeat(255)}`)
    const last = derivePublic(withRoot(seed(), neuter), deep)
    expect(last.depth).toBe(255)
    expect(() => derivePublic(last, [normal(0)])).toThrow(InvalidPath)
  })
})

describe('extended public keys', () => {
  const xpubOf = (path: string): string =>
    derivePath256({ seed: seed(), path, network: 'mainnet' }).extendedPublic
  const texts = [
    xpubOf('m'),
    xpubOf("m/44'/5'/0'"),
    xpubOf('m/3'),
    xpubOf(`m/0x${'ab'.repeat(32)}'`),
  ]

  it.each(texts)('survive reading and writing', (text) => {
    expect(encodeXpub(parseXpub(text, 'mainnet'), 'mainnet')).toBe(text)
  })

  it.each(texts)('of mainnet are refused elsewhere', (text) => {
    for (const network of ['testnet', 'devnet', 'regtest'] as const) {
      expect(() => parseXpub(text, network)).toThrow(MalformedXpub)
    }
  })

  it('are refused after any change of a character', () => {
    const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0OIl '
    fc.assert(
      fc.property(fc.constantFrom(...texts), fc.nat(), fc.nat(), (text, place, letter) => {
        const at = place % text.length
        const changed = text.slice(0, at) + alphabet[letter % alphabet.length] + text.slice(at + 1)
        fc.pre(changed !== text)
        expect(() => parseXpub(changed, 'mainnet')).toThrow(MalformedXpub)
      }),
    )
  })

  it('are refused with bytes that no node has, though the checksum is right', () => {
    const [root, account, , wideNode] = texts.map((text) => parseXpub(text, 'mainnet'))
    if (!root || !account || !wideNode) throw new Error('no nodes')
    const off = Uint8Array.of(2, ...new Uint8Array(31), 5)
    for (const node of [
      { ...account, publicKey: off },
      { ...account, publicKey: account.publicKey.slice(1) },
      { ...account, depth: 0 },
      { ...root, child: normal(1) },
      { ...root, parentFingerprint: account.parentFingerprint },
      { ...wideNode, depth: 0 },
    ]) {
      expect(() => parseXpub(encodeXpub(node, 'mainnet'), 'mainnet')).toThrow(MalformedXpub)
    }
  })

  it('are refused as 256-bit ones with a small number or an unknown mark', () => {
    const decoded = HDKey.fromExtendedKey(texts[0] ?? '')
    expect(decoded.depth).toBe(0)
    for (const [flag, number] of [
      [2, 'ab'.repeat(32)],
      [0, `${'00'.repeat(31)}01`],
    ] as const) {
      const body = Buffer.concat([
        fromHex('0eecefc5'),
        Uint8Array.of(1),
        fromHex('01020304'),
        Uint8Array.of(flag),
        fromHex(number),
        new Uint8Array(32),
        withRoot(seed(), neuter).publicKey,
      ])
      expect(() => parseXpub(base58(body), 'mainnet')).toThrow(/256-bit/)
    }
  })

  it('never repeat a private key that was pasted by mistake', () => {
    const { extendedPrivate } = derivePath256({ seed: seed(), path: 'm', network: 'mainnet' })
    for (const text of [extendedPrivate, `${extendedPrivate} `, extendedPrivate.repeat(9)]) {
      try {
        parseXpub(text, 'mainnet')
        expect.unreachable()
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedXpub)
        expect(inspect(error, { depth: 9 })).not.toContain(extendedPrivate.slice(8, 20))
      }
    }
  })
})

describe('paths', () => {
  it.each([
    '',
    'x/0',
    'm/',
    'm//0',
    "44'/0",
    'm/-1',
    'm/1.5',
    'm/00',
    'm/0h',
    "m/0''",
    'm/ 0',
    'm/2147483648',
    'm/4294967296',
    `m/0x${'ab'.repeat(31)}`,
    `m/0x${'00'.repeat(28)}80000000`,
    `m${'/0'.repeat(256)}`,
  ])('are refused when they are like %s', (text) => {
    expect(() => parsePath(text)).toThrow(InvalidPath)
  })
})

describe('paths that can be read', () => {
  const index = fc.oneof(
    fc.nat(2 ** 31 - 1).map((n) => BigInt(n)),
    fc.bigInt({ min: 2n ** 32n, max: 2n ** 256n - 1n }),
  )

  it('are written as they were read', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ index, hardened: fc.boolean() }), { maxLength: 9 }),
        (path) => {
          expect(parsePath(formatPath(path))).toEqual(path)
        },
      ),
    )
  })

  it('may write a small number in 256 bits, and mean the same key', () => {
    const long = derivePath256({
      seed: seed(),
      path: `m/0x${'7'.padStart(64, '0')}'`,
      network: 'mainnet',
    })
    expect(long).toEqual(derivePath256({ seed: seed(), path: "m/7'", network: 'mainnet' }))
  })
})

describe('wallets', () => {
  it.each(idVectors.wallet_ids)('have the published ids', ({ mnemonic, seed, ids }) => {
    for (const network of ['mainnet', 'testnet'] as const) {
      for (const source of [{ phrase: mnemonic }, { seed: fromHex(seed) }]) {
        const wallet = deriveWallet({ ...source, network })
        expect(wallet.walletId).toBe(ids[network])
        expect(wallet.groupId).toBe(ids.group)
      }
    }
  })

  it('of one phrase have four different ids on four networks (A1)', () => {
    const all = networks.map((network) => deriveWallet({ phrase, network }).walletId)
    expect(new Set(all).size).toBe(4)
  })

  it('derived twice are equal (A2)', () => {
    for (const network of networks) {
      expect(deriveWallet({ phrase, network })).toEqual(deriveWallet({ phrase, network }))
    }
  })

  it('of one phrase share a group id that is no wallet id (A3)', () => {
    const all = networks.map((network) => deriveWallet({ phrase, network }))
    const groups = new Set(all.map(({ groupId }) => groupId))
    expect(groups.size).toBe(1)
    for (const { walletId } of all) expect(groups.has(walletId as never)).toBe(false)
  })

  it('list their default accounts in the specification’s order', () => {
    const { accounts } = deriveWallet({ phrase, network: 'mainnet' })
    expect(accounts.map(({ type, path }) => [type, path])).toEqual([
      ['standard_bip44', "m/44'/5'/0'"],
      ['standard_bip32', "m/0'"],
      ['coinjoin', "m/9'/5'/4'/0'"],
      ['identity_registration', "m/9'/5'/5'/1'"],
      ['identity_topup_unbound', "m/9'/5'/5'/2'"],
      ['identity_invitation', "m/9'/5'/5'/3'"],
      ['provider_voting', "m/9'/5'/3'/1'"],
      ['provider_owner', "m/9'/5'/3'/2'"],
      ['platform_payment', "m/9'/5'/17'/0'/0'"],
    ])
    for (const { path, xpub } of accounts) {
      expect(xpub).toBe(HDKey.fromMasterSeed(seed()).derive(path).publicExtendedKey)
    }
    for (const vector of idVectors.accounts.vectors.filter((one) => one.xpub !== undefined)) {
      expect(accounts.find(({ path }) => path === vector.path)?.xpub).toBe(vector.xpub)
    }
  })

  it('derive at coin type 1 on every network but mainnet', () => {
    for (const network of ['testnet', 'devnet', 'regtest'] as const) {
      const paths = deriveWallet({ phrase, network }).accounts.map(({ path }) => path)
      expect(paths[0]).toBe("m/44'/1'/0'")
      expect(paths.at(-1)).toBe("m/9'/1'/17'/0'/0'")
    }
  })

  it('leave the caller’s seed as it was', () => {
    const given = seed()
    deriveWallet({ seed: given, network: 'mainnet' })
    expect(given).toEqual(seed())
  })

  it('read a seed that is a view into a larger or shared buffer', () => {
    const expected = deriveWallet({ seed: seed(), network: 'testnet' })
    const large = new Uint8Array(200).fill(0xee)
    large.set(seed(), 77)
    const shared = new Uint8Array(new SharedArrayBuffer(100), 13, 64)
    shared.set(seed())
    for (const view of [large.subarray(77, 141), shared, Buffer.from(seed())]) {
      expect(deriveWallet({ seed: view, network: 'testnet' })).toEqual(expected)
    }
  })

  it.each([0, 16, 32, 63, 65, 128])('refuse a seed of %i bytes', (size) => {
    const input = { seed: new Uint8Array(size), network: 'testnet' } as const
    expect(() => deriveWallet(input)).toThrow(InvalidSeed)
  })

  it('refuse a seed that is a text and an unknown network', () => {
    const text = 'x'.repeat(64) as unknown as Uint8Array
    expect(() => deriveWallet({ seed: text, network: 'testnet' })).toThrow(InvalidSeed)
    expect(() => masterNode(text)).toThrow(InvalidSeed)
    expect(() => deriveWallet({ phrase, network: 'main' as never })).toThrow(
      /InvalidNetwork|not known/,
    )
  })

  it('forget the root key when the work is done, also after a failure', () => {
    let kept = new Uint8Array()
    const ids = withRoot(seed(), (root) => {
      kept = root.privateKey as Uint8Array<ArrayBuffer>
      expect(kept.some((byte) => byte !== 0)).toBe(true)
      return [walletIdOf(root, 'mainnet'), groupIdOf(root)]
    })
    expect(ids).toEqual([firstWallet.ids.mainnet, firstWallet.ids.group])
    expect(kept).toEqual(new Uint8Array(32))
    const failing = (): never =>
      withRoot(seed(), (root) => {
        kept = root.privateKey as Uint8Array<ArrayBuffer>
        throw new RangeError('stop')
      })
    expect(failing).toThrow('stop')
    expect(kept).toEqual(new Uint8Array(32))
  })

  it('keep nothing private in an account', () => {
    withRoot(seed(), (root) => {
      const { account, node } = deriveAccount(
        root,
        {
          type: 'standard_bip44',
          index: 0,
          keyClass: 0,
          ownIdentity: new Uint8Array(32),
          contactIdentity: new Uint8Array(32),
        },
        'mainnet',
      )
      expect(Object.keys(node)).not.toContain('privateKey')
      expect(Object.keys(account).sort()).toEqual(
        ['contactIdentity', 'index', 'keyClass', 'ownIdentity', 'path', 'type', 'xpub'].sort(),
      )
    })
  })
})
