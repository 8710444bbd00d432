import { secp256k1 } from '@noble/curves/secp256k1.js'
import { ripemd160 } from '@noble/hashes/legacy.js'
import { sha256 } from '@noble/hashes/sha2.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toHex } from '../../src/base/bytes.js'
import {
  addTweakToPoint,
  addTweakToScalar,
  hash160,
  isCompressedPoint,
  isPrivateKey,
  publicKeyOf,
  uncompressPoint,
} from '../../src/base/curve.js'

const { Point } = secp256k1
const order = Point.Fn.ORDER
const bytesOf = (value: bigint): Uint8Array =>
  new Uint8Array(Buffer.from(value.toString(16).padStart(64, '0'), 'hex'))
const scalar = fc.bigInt({ min: 1n, max: order - 1n })
const numRuns = 60

describe('curve', () => {
  it('makes the public keys that another library makes', () => {
    fc.assert(
      fc.property(scalar, (key) => {
        const point = publicKeyOf(bytesOf(key))
        expect(toHex(point)).toBe(toHex(secp256k1.getPublicKey(bytesOf(key), true)))
        expect(toHex(uncompressPoint(point))).toBe(
          toHex(secp256k1.getPublicKey(bytesOf(key), false)),
        )
        expect(toHex(uncompressPoint(uncompressPoint(point)))).toBe(toHex(uncompressPoint(point)))
      }),
      { numRuns },
    )
  })

  it('adds a tweak to a point and to its private key alike, as another library does', () => {
    fc.assert(
      fc.property(scalar, scalar, (key, tweak) => {
        fc.pre((key + tweak) % order !== 0n)
        const sum = addTweakToPoint(uncompressPoint(publicKeyOf(bytesOf(key))), bytesOf(tweak))
        const scalarSum = addTweakToScalar(bytesOf(key), bytesOf(tweak))
        const expected = Point.BASE.multiply((key + tweak) % order).toBytes(true)
        expect(toHex(sum ?? new Uint8Array())).toBe(toHex(expected))
        expect(toHex(scalarSum ?? new Uint8Array())).toBe(toHex(bytesOf((key + tweak) % order)))
      }),
      { numRuns },
    )
  })

  it('adds a point to itself', () => {
    const doubled = addTweakToPoint(uncompressPoint(publicKeyOf(bytesOf(7n))), bytesOf(7n))
    expect(doubled).toEqual(publicKeyOf(bytesOf(14n)))
  })

  it('leaves point and private key as they are when the tweak is zero', () => {
    const key = bytesOf(5n)
    expect(addTweakToPoint(uncompressPoint(publicKeyOf(key)), bytesOf(0n))).toEqual(
      publicKeyOf(key),
    )
    const sum = addTweakToScalar(key, bytesOf(0n))
    expect(sum).toEqual(key)
    expect(sum).not.toBe(key)
  })

  it.each([
    ['the curve order', order],
    ['the curve order and one', order + 1n],
    ['the largest number', 2n ** 256n - 1n],
  ])('has no sum for a tweak of %s', (_, tweak) => {
    const key = bytesOf(9n)
    expect(addTweakToPoint(uncompressPoint(publicKeyOf(key)), bytesOf(tweak))).toBeUndefined()
    expect(addTweakToScalar(key, bytesOf(tweak))).toBeUndefined()
  })

  it('has no sum where the sum is zero', () => {
    const key = bytesOf(9n)
    const opposite = bytesOf(order - 9n)
    expect(addTweakToPoint(uncompressPoint(publicKeyOf(key)), opposite)).toBeUndefined()
    expect(addTweakToScalar(key, opposite)).toBeUndefined()
  })

  it('knows private keys and points from other bytes', () => {
    expect(isPrivateKey(bytesOf(1n))).toBe(true)
    expect(isPrivateKey(bytesOf(order - 1n))).toBe(true)
    for (const bad of [bytesOf(0n), bytesOf(order), new Uint8Array(31), new Uint8Array(33)]) {
      expect(isPrivateKey(bad)).toBe(false)
      expect(() => publicKeyOf(bad)).toThrow(RangeError)
    }
    const point = publicKeyOf(bytesOf(3n))
    expect(isCompressedPoint(point)).toBe(true)
    expect(isCompressedPoint(uncompressPoint(point))).toBe(false)
    expect(isCompressedPoint(Uint8Array.of(4, ...point.slice(1)))).toBe(false)
    // No point of the curve has 5 as its first coordinate.
    expect(isCompressedPoint(Uint8Array.of(2, ...bytesOf(5n)))).toBe(false)
    expect(() => uncompressPoint(Uint8Array.of(2, ...bytesOf(5n)))).toThrow(RangeError)
  })

  it('hashes with SHA-256 and then RIPEMD-160', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100, size: 'max' }), (bytes) => {
        expect(hash160(bytes)).toEqual(ripemd160(sha256(bytes)))
      }),
    )
    // The public key of private key 1, as every Bitcoin explorer shows it.
    expect(toHex(hash160(publicKeyOf(bytesOf(1n))))).toBe(
      '751e76e8199196d454941c45d1b3a323f1433bd6',
    )
  })
})
