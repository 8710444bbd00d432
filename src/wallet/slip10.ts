import { createHmac, createPrivateKey, createPublicKey } from 'node:crypto'
import { concatBytes, sha256, wipe } from '../base/bytes.js'
import { coinType, type Network } from './network.js'

/** Ed25519 key of a platform node: public only. */
export type NodeKey = {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** First 20 bytes of the public key's SHA-256 (DIP-28). */
  readonly nodeId: Uint8Array
}

/** Node keys captured at registration: a wallet without its seed can never make another. */
export const nodeKeyCount: number = 20

const masterHmacKey = Buffer.from('ed25519 seed')
/** PKCS #8 wrapping of a raw Ed25519 private key (RFC 8410): the 32 key bytes follow. */
const pkcs8Head = Buffer.from('302e020100300506032b657004220420', 'hex')
/** Bytes that stand before the raw key in its SPKI form (RFC 8410). */
const spkiHeadBytes = 12

/**
 * The first 20 platform node keys of a seed, at `m/9'/c'/3'/4'/n'`.
 *
 * @param seed - neither kept nor changed
 */
export function nodeKeys(seed: Uint8Array, network: Network): readonly NodeKey[] {
  return Array.from({ length: nodeKeyCount }, (_, n) => {
    const privateKey = ed25519PrivateKey(seed, [9, coinType(network), 3, 4, n])
    const publicKey = ed25519PublicKey(privateKey)
    wipe(privateKey)
    return { publicKey, nodeId: sha256(publicKey).slice(0, 20) }
  })
}

/**
 * Ed25519 private key of a seed (SLIP-0010), 32 bytes; the caller wipes it.
 *
 * @param indices - each below 2^31; every level is hardened, Ed25519 has no others
 */
export function ed25519PrivateKey(seed: Uint8Array, indices: readonly number[]): Uint8Array {
  let node = createHmac('sha512', masterHmacKey).update(seed).digest()
  for (const index of indices) {
    const number = Buffer.alloc(4)
    number.writeUInt32BE(index + 2 ** 31)
    // zero(1) | key(32) | number(4, BE)
    const data = concatBytes(new Uint8Array(1), node.subarray(0, 32), number)
    const parent = node
    node = createHmac('sha512', parent.subarray(32)).update(data).digest()
    wipe(parent, data)
  }
  const key = new Uint8Array(node.subarray(0, 32))
  wipe(node)
  return key
}

/** Ed25519 public key of a private key, 32 bytes each. */
export function ed25519PublicKey(privateKey: Uint8Array): Uint8Array {
  const wrapped = Buffer.concat([pkcs8Head, privateKey])
  const key = createPrivateKey({ key: wrapped, format: 'der', type: 'pkcs8' })
  wipe(wrapped)
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
  return new Uint8Array(spki.subarray(spkiHeadBytes))
}
