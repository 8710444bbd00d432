import { randomBytes } from 'node:crypto'
import { sign } from 'tiny-secp256k1'
import { toHex } from '../../src/base/bytes.js'
import type { Signer } from '../../src/covenant/signer.js'
import { encodeDerSignature } from '../../src/signer/der.js'

/** How nonces are made: those of RFC 6979, or another one each time and in each process, as threshold signers do. */
export type Nonce = 'deterministic' | 'random'

/** A signer with one test key that remembers what it was asked to sign, in hex. */
export type KeySigner = Signer & { readonly sighashes: readonly string[] }

export function keySigner(secret: Uint8Array, nonce: Nonce): KeySigner {
  const sighashes: string[] = []
  return {
    sighashes,
    controls: async () => true,
    async sign(_publicKey, digest32) {
      sighashes.push(toHex(digest32))
      const entropy = nonce === 'random' ? randomBytes(32) : undefined
      return encodeDerSignature(sign(digest32, secret, entropy))
    },
  }
}
