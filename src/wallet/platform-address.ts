import { bech32, bech32m } from '@scure/base'
import { concatBytes } from '../base/bytes.js'
import { HoldfastError } from '../base/errors.js'
import { isCoreAddress } from './core-address.js'
import type { Network } from './network.js'

/** What a Platform address says (DIP-18). */
export type PlatformAddress = {
  /** HASH160 of the public key or script, 20 bytes. */
  readonly hash160: Uint8Array
  readonly type: 'p2pkh' | 'p2sh'
  /** `testnet` stands for every network whose addresses start with `tdash`. */
  readonly network: 'mainnet' | 'testnet'
}

const typeBytes = { p2pkh: 0xb0, p2sh: 0x80 } as const
const hashBytes = 20
/** Longest text of bech32 (BIP-173). */
const textMax = 90

const prefixOf = (network: Network): 'dash' | 'tdash' => (network === 'mainnet' ? 'dash' : 'tdash')

/**
 * Text of a Platform address: bech32m over `type(1) | hash160(20)`, `dash1…` or `tdash1…` (DIP-18).
 *
 * @throws RangeError unless the hash has 20 bytes and the type is known
 */
export function encodePlatformAddress(address: {
  readonly hash160: Uint8Array
  readonly type: 'p2pkh' | 'p2sh'
  readonly network: Network
}): string {
  const { hash160, type, network } = address
  if (hash160.length !== hashBytes) throw new RangeError('hash160: want 20 bytes')
  if (!Object.hasOwn(typeBytes, type)) throw new RangeError('type: want p2pkh or p2sh')
  const payload = concatBytes(Uint8Array.of(typeBytes[type]), hash160)
  return bech32m.encode(prefixOf(network), bech32m.toWords(payload))
}

/**
 * Reads a Platform address (DIP-18); text in capitals throughout is read as lower case.
 *
 * @param network - when given, an address of another network is refused
 * @throws InvalidPlatformAddress
 */
export function decodePlatformAddress(text: string, network?: Network): PlatformAddress {
  const lower = checkLetterCase(text)
  const prefix = lower.slice(0, Math.max(0, lower.lastIndexOf('1')))
  if (prefix !== 'dash' && prefix !== 'tdash') throw new InvalidPlatformAddress('prefix')
  const payload = decodePayload(lower)
  if (payload.length !== hashBytes + 1) throw new InvalidPlatformAddress('payloadLength')
  const type = typeOf(payload[0])
  if (network !== undefined && prefix !== prefixOf(network)) {
    throw new InvalidPlatformAddress('network')
  }
  return { hash160: payload.slice(1), type, network: prefix === 'dash' ? 'mainnet' : 'testnet' }
}

function checkLetterCase(text: string): string {
  if (text.length > textMax) throw new InvalidPlatformAddress('payloadLength')
  // Core addresses mix letter cases, so they are told apart first.
  if (isCoreAddress(text)) throw new InvalidPlatformAddress('coreAddress')
  const lower = text.toLowerCase()
  if (text !== lower && text !== text.toUpperCase()) throw new InvalidPlatformAddress('mixedCase')
  return lower
}

function decodePayload(text: string): Uint8Array {
  const decoded = bech32m.decodeUnsafe(text)
  if (decoded === undefined) {
    const isOldChecksum = bech32.decodeUnsafe(text) !== undefined
    throw new InvalidPlatformAddress(isOldChecksum ? 'bech32Checksum' : 'checksum')
  }
  const payload = bech32m.fromWordsUnsafe(decoded.words)
  // Refuses left-over bits too, so that a payload has one text only.
  if (payload === undefined) throw new InvalidPlatformAddress('payloadLength')
  return Uint8Array.from(payload)
}

function typeOf(byte: number | undefined): 'p2pkh' | 'p2sh' {
  if (byte === typeBytes.p2pkh) return 'p2pkh'
  if (byte === typeBytes.p2sh) return 'p2sh'
  throw new InvalidPlatformAddress('typeByte')
}

const reasons = {
  coreAddress: 'is a Core address, want a Platform one',
  mixedCase: 'mixes capitals and small letters',
  prefix: 'does not start with dash1 or tdash1',
  checksum: 'has a wrong checksum or a character that bech32m does not know',
  bech32Checksum: 'has a bech32 checksum, want bech32m',
  payloadLength: 'does not hold 21 bytes',
  typeByte: 'has an unknown type byte, want 0xb0 or 0x80',
  network: 'belongs to another network',
} as const

/** A text that is not a Platform address of the wanted network. */
export class InvalidPlatformAddress extends HoldfastError {
  readonly code = 'InvalidPlatformAddress'
  readonly reason: keyof typeof reasons
  constructor(reason: keyof typeof reasons) {
    super(`Platform address: ${reasons[reason]}`, {
      retry: 'after-fix',
      remedy: 'Copy the address again, and check the network.',
    })
    this.reason = reason
  }
}
