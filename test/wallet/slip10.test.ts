import { createHash, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { ed25519 } from '@noble/curves/ed25519.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fromHex, toHex } from '../../src/base/bytes.js'
import {
  ed25519PrivateKey,
  ed25519PublicKey,
  nodeKeyCount,
  nodeKeys,
} from '../../src/wallet/slip10.js'

const { slip10 } = JSON.parse(
  readFileSync(new URL('../vectors/wallet_hd_derivation_vectors_v1.json', import.meta.url), 'utf8'),
) as {
  slip10: { vectors: { seed: string; chain: { indices: number[]; private_key: string }[] }[] }
}

describe('Ed25519 derivation', () => {
  it.each(slip10.vectors.flatMap(({ seed, chain }) => chain.map((link) => ({ seed, ...link }))))(
    'agrees with SLIP-0010 at $indices',
    ({ seed, indices, private_key }) => {
      expect(toHex(ed25519PrivateKey(fromHex(seed), indices))).toBe(private_key)
    },
  )

  it('makes the public keys that another library makes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (key) => {
        expect(toHex(ed25519PublicKey(key))).toBe(toHex(ed25519.getPublicKey(key)))
      }),
      { numRuns: 30 },
    )
  })
})

describe('platform node keys', () => {
  const seed = new Uint8Array(64).fill(3)

  it('are 20 different ones, the n-th at index n', () => {
    const keys = nodeKeys(seed, 'mainnet')
    expect(keys).toHaveLength(20)
    expect(nodeKeyCount).toBe(20)
    expect(new Set(keys.map(({ publicKey }) => toHex(publicKey))).size).toBe(20)
    for (const [n, { publicKey, nodeId }] of keys.entries()) {
      const secret = ed25519PrivateKey(seed, [9, 5, 3, 4, n])
      expect(toHex(publicKey)).toBe(toHex(ed25519.getPublicKey(secret)))
      const digest = createHash('sha256').update(publicKey).digest('hex')
      expect(toHex(nodeId)).toBe(digest.slice(0, 40))
    }
  })

  it('differ between mainnet and the others, which share coin type 1', () => {
    expect(nodeKeys(seed, 'testnet')).not.toEqual(nodeKeys(seed, 'mainnet'))
    expect(nodeKeys(seed, 'testnet')).toEqual(nodeKeys(seed, 'regtest'))
  })

  it('leave the seed as it was', () => {
    nodeKeys(seed, 'mainnet')
    expect(seed).toEqual(new Uint8Array(64).fill(3))
  })

  it('verify what their private keys sign', () => {
    const secret = ed25519PrivateKey(seed, [9, 5, 3, 4, 0])
    const pkcs8 = Buffer.concat([fromHex('302e020100300506032b657004220420'), secret])
    const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
    const message = Buffer.from('a message')
    const spki = Buffer.concat([fromHex('302a300506032b6570032100'), ed25519PublicKey(secret)])
    const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' })
    expect(verify(null, message, publicKey, sign(null, message, key))).toBe(true)
  })
})
