import { randomBytes } from 'node:crypto'
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js'
import { encode } from 'cborg'

/** XChaCha20-Poly1305 output: the last 16 bytes of the ciphertext are the tag. */
export type Sealed = { readonly nonce: Uint8Array; readonly ciphertext: Uint8Array }

/** Bytes of a nonce. */
export const nonceBytes: number = 24
/** Bytes that sealing adds to a plaintext. */
export const tagBytes: number = 16

/** What the sealed bytes are bound to: a domain text and its fields, as one CBOR array. */
export function boundTo(
  domain: string,
  ...fields: readonly (Uint8Array | string | number | readonly number[])[]
): Uint8Array {
  return encode([domain, ...fields])
}

/** Encrypts under a fresh random nonce. */
export function seal(key: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Sealed {
  const nonce = new Uint8Array(randomBytes(nonceBytes))
  return { nonce, ciphertext: xchacha20poly1305(key, nonce, aad).encrypt(plaintext) }
}

/** Decrypts, or answers `undefined` when key, bytes or binding do not match. */
export function unseal(key: Uint8Array, sealed: Sealed, aad: Uint8Array): Uint8Array | undefined {
  try {
    return xchacha20poly1305(key, sealed.nonce, aad).decrypt(sealed.ciphertext)
  } catch {
    // The cipher says nothing beyond "the tag does not match"; what that means is the caller's knowledge.
    return undefined
  }
}
