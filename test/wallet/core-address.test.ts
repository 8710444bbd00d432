import { createBase58check } from '@scure/base'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sha256 } from '../../src/base/bytes.js'
import {
  coreAddress,
  decodeCoreAddress,
  InvalidCoreAddress,
  isCoreAddress,
} from '../../src/wallet/core-address.js'
import { networks } from '../../src/wallet/network.js'
import { encodePlatformAddress } from '../../src/wallet/platform-address.js'

const base58check = createBase58check(sha256)
const reasonOf = (text: string, network?: (typeof networks)[number]): string => {
  try {
    decodeCoreAddress(text, network)
  } catch (error) {
    if (error instanceof InvalidCoreAddress) return error.reason
    throw error
  }
  return 'accepted'
}
const hashBytes = fc.uint8Array({ minLength: 20, maxLength: 20 })

describe('Core addresses', () => {
  it('survive writing and reading, X on mainnet and y elsewhere', () => {
    fc.assert(
      fc.property(hashBytes, fc.constantFrom(...networks), (hash, network) => {
        const text = coreAddress(hash, network)
        expect(text[0]).toBe(network === 'mainnet' ? 'X' : 'y')
        expect(decodeCoreAddress(text, network)).toEqual({
          hash160: hash,
          type: 'p2pkh',
          network: network === 'mainnet' ? 'mainnet' : 'testnet',
        })
        expect(isCoreAddress(text)).toBe(true)
      }),
    )
  })

  it.each([
    [16, 'mainnet'],
    [19, 'testnet'],
  ] as const)('of scripts have version %i on %s', (version, network) => {
    const text = base58check.encode(Uint8Array.of(version, ...new Uint8Array(20)))
    expect(decodeCoreAddress(text)).toMatchObject({ type: 'p2sh', network })
  })

  it('are refused after any changed character', () => {
    const letters = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0OIl'
    const text = coreAddress(new Uint8Array(20).fill(5), 'mainnet')
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.nat(letters.length - 1), (at, letter) => {
        const changed = text.slice(0, at) + letters[letter] + text.slice(at + 1)
        fc.pre(changed !== text)
        expect(reasonOf(changed)).toBe('checksum')
        expect(isCoreAddress(changed)).toBe(false)
      }),
    )
  })

  it('are refused for distinct reasons', () => {
    const hash = new Uint8Array(20).fill(5)
    const platform = encodePlatformAddress({ hash160: hash, type: 'p2pkh', network: 'mainnet' })
    expect(reasonOf(platform)).toBe('platformAddress')
    expect(reasonOf(platform.toUpperCase())).toBe('platformAddress')
    expect(reasonOf(base58check.encode(Uint8Array.of(0, ...hash)))).toBe('version')
    expect(reasonOf(base58check.encode(Uint8Array.of(76, ...hash, 1)))).toBe('payloadLength')
    expect(reasonOf(coreAddress(hash, 'mainnet'), 'testnet')).toBe('network')
    expect(reasonOf(coreAddress(hash, 'testnet'), 'mainnet')).toBe('network')
    expect(reasonOf(coreAddress(hash, 'devnet'), 'regtest')).toBe('accepted')
    expect(reasonOf('')).toBe('checksum')
    expect(reasonOf('X'.repeat(1_000_000))).toBe('checksum')
  })

  it('are not written for anything but 20 bytes', () => {
    expect(() => coreAddress(new Uint8Array(21), 'mainnet')).toThrow(RangeError)
  })
})
