import { readFileSync } from 'node:fs'
import { bech32, bech32m } from '@scure/base'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fromHex, toHex } from '../../src/base/bytes.js'
import { hash160 } from '../../src/base/curve.js'
import { coreAddress } from '../../src/wallet/core-address.js'
import { derivePath256 } from '../../src/wallet/derive.js'
import { seedFromPhrase } from '../../src/wallet/mnemonic.js'
import { networks } from '../../src/wallet/network.js'
import {
  decodePlatformAddress,
  encodePlatformAddress,
  InvalidPlatformAddress,
} from '../../src/wallet/platform-address.js'

const vectors = JSON.parse(
  readFileSync(
    new URL('../vectors/wallet_platform_address_vectors_v1.json', import.meta.url),
    'utf8',
  ),
) as {
  mnemonic: string
  derivation: {
    vectors: {
      path: string
      private_key: string
      public_key: string
      hash160: string
      address: string
      network: 'mainnet'
    }[]
  }
  encoding: {
    vectors: { hash160: string; type: 'p2pkh' | 'p2sh'; mainnet: string; testnet?: string }[]
  }
  invalid: { vectors: { address: string; reason: string }[] }
}

const reasonOf = (text: string, network?: (typeof networks)[number]): string => {
  try {
    decodePlatformAddress(text, network)
  } catch (error) {
    if (error instanceof InvalidPlatformAddress) return error.reason
    throw error
  }
  return 'accepted'
}
const hashBytes = fc.uint8Array({ minLength: 20, maxLength: 20 })
const type = fc.constantFrom('p2pkh' as const, 'p2sh' as const)
const good = vectors.encoding.vectors[0]?.mainnet ?? ''
const wrap = (payload: Uint8Array, prefix = 'dash'): string =>
  bech32m.encode(prefix, bech32m.toWords(payload), 200)

describe('Platform addresses', () => {
  it.each(vectors.derivation.vectors)('of $path agree with DIP-17 and DIP-18', (vector) => {
    const seed = seedFromPhrase(vectors.mnemonic)
    const key = derivePath256({ seed, path: vector.path, network: vector.network })
    expect(toHex(key.privateKey)).toBe(vector.private_key)
    expect(toHex(key.publicKey)).toBe(vector.public_key)
    const hash = hash160(key.publicKey)
    expect(toHex(hash)).toBe(vector.hash160)
    const address = { hash160: hash, type: 'p2pkh', network: vector.network } as const
    expect(encodePlatformAddress(address)).toBe(vector.address)
  })

  it.each(vectors.encoding.vectors)('of $type $hash160 agree with DIP-18', (vector) => {
    for (const network of ['mainnet', 'testnet'] as const) {
      const text = vector[network]
      if (text === undefined) continue
      const address = { hash160: fromHex(vector.hash160), type: vector.type, network }
      expect(encodePlatformAddress(address)).toBe(text)
      expect(decodePlatformAddress(text)).toEqual(address)
    }
    expect(vector.mainnet).toBeDefined()
  })

  const expected: Record<string, string> = {
    'bech32 checksum instead of bech32m': 'bech32Checksum',
    'unknown type byte 0xb1': 'typeByte',
    'mixed case': 'mixedCase',
    'unknown prefix (early draft)': 'prefix',
    checksum: 'checksum',
  }
  it.each(vectors.invalid.vectors)('are refused for: $reason', ({ address, reason }) => {
    expect(reasonOf(address)).toBe(expected[reason])
  })

  it('survive writing and reading, on every network', () => {
    fc.assert(
      fc.property(hashBytes, type, fc.constantFrom(...networks), (hash, type, network) => {
        const text = encodePlatformAddress({ hash160: hash, type, network })
        const start = network === 'mainnet' ? 'dash1' : 'tdash1'
        expect(text.startsWith(`${start}${type === 'p2pkh' ? 'k' : 's'}`)).toBe(true)
        const family = network === 'mainnet' ? 'mainnet' : 'testnet'
        expect(decodePlatformAddress(text)).toEqual({ hash160: hash, type, network: family })
        expect(decodePlatformAddress(text.toUpperCase(), network)).toEqual({
          hash160: hash,
          type,
          network: family,
        })
      }),
    )
  })

  it('are refused after any one or two changed characters', () => {
    const letters = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l1bio'
    const change = (text: string, at: number, letter: number): string =>
      text.slice(0, at) + letters[letter] + text.slice(at + 1)
    const place = fc.record({ at: fc.nat(good.length - 1), letter: fc.nat(letters.length - 1) })
    fc.assert(
      fc.property(place, place, (a, b) => {
        const text = change(change(good, a.at, a.letter), b.at, b.letter)
        fc.pre(text !== good)
        expect(reasonOf(text)).not.toBe('accepted')
      }),
      { numRuns: 500 },
    )
  })

  it('are refused with a payload of another length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 45, size: 'max' }), (payload) => {
        fc.pre(payload.length !== 21)
        expect(reasonOf(wrap(payload))).toBe('payloadLength')
      }),
    )
  })

  it('are refused with left-over bits', () => {
    const words = bech32m.toWords(Uint8Array.of(0xb0, ...new Uint8Array(20)))
    words[words.length - 1] = 1
    expect(reasonOf(bech32m.encode('dash', words))).toBe('payloadLength')
  })

  it.each(['', '1', 'dash', 'dash1', 'tdash1', 'bc1', ' ', good.slice(5)])(
    'are refused when they are %j',
    (text) => {
      expect(reasonOf(text)).not.toBe('accepted')
    },
  )

  it('are refused for distinct reasons on the wrong network, as Core address, as bech32 (G9)', () => {
    const hash = new Uint8Array(20).fill(9)
    const bech32Text = bech32.encode('dash', bech32.toWords(Uint8Array.of(0xb0, ...hash)))
    const testnetText = encodePlatformAddress({ hash160: hash, type: 'p2pkh', network: 'testnet' })
    expect(reasonOf(good, 'testnet')).toBe('network')
    expect(reasonOf(testnetText, 'mainnet')).toBe('network')
    expect(reasonOf(testnetText, 'regtest')).toBe('accepted')
    expect(reasonOf(coreAddress(hash, 'mainnet'))).toBe('coreAddress')
    expect(reasonOf(coreAddress(hash, 'testnet'), 'testnet')).toBe('coreAddress')
    expect(reasonOf(bech32Text)).toBe('bech32Checksum')
  })

  it('of excessive length are refused before they are read', () => {
    expect(reasonOf(`dash1${'q'.repeat(1_000_000)}`)).toBe('payloadLength')
  })

  it('are not written for anything but 20 bytes and a known type', () => {
    const hash = new Uint8Array(20)
    const write = (hash160: Uint8Array, type: string): string =>
      encodePlatformAddress({ hash160, type: type as 'p2pkh', network: 'mainnet' })
    expect(() => write(new Uint8Array(19), 'p2pkh')).toThrow(RangeError)
    expect(() => write(new Uint8Array(21), 'p2pkh')).toThrow(RangeError)
    expect(() => write(hash, 'toString')).toThrow(RangeError)
  })
})
