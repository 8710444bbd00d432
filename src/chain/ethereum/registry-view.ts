import { keccak_256 } from '@noble/hashes/sha3.js'
import { concatBytes, fromHex, toHex } from '../../base/bytes.js'
import { hash160 } from '../../base/curve.js'
import type { RegistryEntry } from './contracts.js'
import type { Hex32, RegistryView } from './reader.js'

/**
 * Judges a registry entry against the Bridge's record of the same wallet (engine specification, 8.4).
 *
 * @param pkh HASH160 that the wallet was asked for, lower-case hex without 0x
 * @returns `absent` for an entry of zeros; never `unavailable`
 */
export function viewOf(entry: RegistryEntry, walletId: Hex32, pkh: string): RegistryView {
  const { membersIdsHash, x, y } = entry
  if (isZero(membersIdsHash) && isZero(x) && isZero(y)) return { status: 'absent' }
  const [xBytes, yBytes] = [fromHex(x.slice(2)), fromHex(y.slice(2))]
  const keyId = toHex(keccak_256(concatBytes(xBytes, yBytes)))
  if (`0x${keyId}` !== walletId) {
    return inconsistent(`the registry's key has wallet id 0x${keyId}, the Bridge says ${walletId}`)
  }
  const isOdd = ((yBytes.at(-1) ?? 0) & 1) === 1
  const keyHash = toHex(hash160(concatBytes(Uint8Array.of(isOdd ? 3 : 2), xBytes)))
  if (keyHash !== pkh) {
    return inconsistent(`the registry's key has hash ${keyHash}, want ${pkh}`)
  }
  if (isZero(membersIdsHash)) return inconsistent('the registry has a key and no members hash')
  return { status: 'available', membersIdsHash, publicKey: `0x${x.slice(2)}${y.slice(2)}` }
}

const isZero = (word: Hex32): boolean => /^0x0+$/.test(word)

const inconsistent = (detail: string): RegistryView => ({ status: 'inconsistent', detail })
