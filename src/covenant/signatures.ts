import { type KeyObject, verify as verifyEd25519 } from 'node:crypto'
import { keccak_256 } from '@noble/hashes/sha3.js'
import * as secp256k1 from 'tiny-secp256k1'
import { equalBytes } from '../base/bytes.js'
import { isLowS, parseDerSignature, scalarsInRange } from './der.js'

const compactBytes = 64
const recoverableBytes = 65
const compressedKeyBytes = 33
const uncompressedKeyBytes = 65
/** First bytes of compressed and uncompressed keys; hybrid keys (06, 07) are refused. */
const keyPrefixes: ReadonlySet<number> = new Set([0x02, 0x03, 0x04])
/** What a wallet may append to r | s, and the parity that each value names. */
const parities: ReadonlyMap<number, 0 | 1> = new Map([
  [0, 0],
  [1, 1],
  [27, 0],
  [28, 1],
])

/** What was found of a signature that has to belong to a script key. */
export type ScriptKeyVerdict = 'valid' | 'unparseable' | 'highS' | 'mismatch'

/** What was found of a signature that has to recover to an Ethereum address. */
export type EthereumVerdict =
  | 'valid'
  | 'wrongLength'
  | 'highS'
  | 'badRecoveryId'
  | 'unrecoverable'
  | 'mismatch'

/**
 * Checks an ECDSA signature by a script key over a digest as it is (covenant signer specification, 7).
 *
 * @param signature 64 bytes r | s; or 65 bytes whose last byte is 0, 1, 27 or 28 and is ignored; else strict DER.
 * @param digest 32 bytes.
 * @param publicKey 33-byte compressed point; any other bytes are a `mismatch`.
 * @remarks The form is picked by length, so a 64- or 65-byte DER signature is read as r | s.
 */
export function checkScriptKeySignature(
  signature: Uint8Array,
  digest: Uint8Array,
  publicKey: Uint8Array,
): ScriptKeyVerdict {
  const compact = readCompact(signature) ?? parseDerSignature(signature)
  return checkCompact(compact, digest, publicKey, compressedKeyBytes)
}

/**
 * Checks a wallet's signature over a certificate digest: strict DER and low S only.
 *
 * @param digest 32 bytes.
 * @param publicKey 65-byte uncompressed point; any other key is a `mismatch`.
 */
export function checkCertificateSignature(
  signature: Uint8Array,
  digest: Uint8Array,
  publicKey: Uint8Array,
): ScriptKeyVerdict {
  return checkCompact(parseDerSignature(signature), digest, publicKey, uncompressedKeyBytes)
}

/**
 * Checks that a 65-byte r | s | v signature over a digest recovers to an address.
 *
 * @param digest 32 bytes.
 * @param address 20 bytes.
 */
export function checkEthereumSignature(
  signature: Uint8Array,
  digest: Uint8Array,
  address: Uint8Array,
): EthereumVerdict {
  if (signature.length !== recoverableBytes) return 'wrongLength'
  const compact = signature.subarray(0, compactBytes)
  if (!isLowS(compact)) return 'highS'
  const parity = parities.get(signature[compactBytes] ?? -1)
  if (parity === undefined) return 'badRecoveryId'
  const publicKey = recoverKey(compact, digest, parity)
  if (publicKey === undefined) return 'unrecoverable'
  return equalBytes(ethereumAddress(publicKey), address) ? 'valid' : 'mismatch'
}

/**
 * True when an Ed25519 signature over the 32 hash bytes verifies (RFC 8032, without cofactor).
 *
 * @throws TypeError when the key is not Ed25519.
 */
export function verifyQuoteSignature(
  signature: Uint8Array,
  hash: Uint8Array,
  publicKey: KeyObject,
): boolean {
  if (publicKey.asymmetricKeyType !== 'ed25519') throw new TypeError('quote key: want Ed25519')
  return verifyEd25519(null, hash, publicKey, signature)
}

/** Address of a 65-byte uncompressed key: the last 20 bytes of keccak256(x | y). */
export function ethereumAddress(uncompressed: Uint8Array): Uint8Array {
  return keccak_256(uncompressed.subarray(1)).subarray(12)
}

function readCompact(signature: Uint8Array): Uint8Array | undefined {
  if (signature.length === compactBytes) return signature
  const last = signature.length === recoverableBytes ? signature[compactBytes] : undefined
  return last !== undefined && parities.has(last) ? signature.subarray(0, compactBytes) : undefined
}

function checkCompact(
  compact: Uint8Array | undefined,
  digest: Uint8Array,
  publicKey: Uint8Array,
  keyBytes: number,
): ScriptKeyVerdict {
  if (compact === undefined) return 'unparseable'
  if (!isLowS(compact)) return 'highS'
  const wellFormed = publicKey.length === keyBytes && keyPrefixes.has(publicKey[0] ?? -1)
  if (!wellFormed || !scalarsInRange(compact)) return 'mismatch'
  try {
    return secp256k1.verify(digest, publicKey, compact, true) ? 'valid' : 'mismatch'
  } catch (error) {
    // The library throws for a key off the curve, under which nothing verifies; all else is not ours.
    if (secp256k1.isPoint(publicKey)) throw error
    return 'mismatch'
  }
}

function recoverKey(
  compact: Uint8Array,
  digest: Uint8Array,
  parity: 0 | 1,
): Uint8Array | undefined {
  if (!scalarsInRange(compact) || !secp256k1.isXOnlyPoint(compact.subarray(0, 32))) return undefined
  return secp256k1.recover(digest, compact, parity, false) ?? undefined
}
