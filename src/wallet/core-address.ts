import { createBase58check } from '@scure/base'
import { concatBytes, sha256 } from '../base/bytes.js'
import { HoldfastError } from '../base/errors.js'
import type { Network } from './network.js'

const base58check = createBase58check(sha256)
const hashBytes = 20
/** Longer than any Core address; base58 takes quadratic time, so the text is bounded before it is read. */
const textMax = 64

/** Version bytes of Dash Core addresses; `testnet` stands for every network but mainnet. */
const versions = [
  { version: 76, type: 'p2pkh', network: 'mainnet' },
  { version: 16, type: 'p2sh', network: 'mainnet' },
  { version: 140, type: 'p2pkh', network: 'testnet' },
  { version: 19, type: 'p2sh', network: 'testnet' },
] as const

/** What a Core address says. */
export type CoreAddress = {
  /** HASH160 of the public key or script, 20 bytes. */
  readonly hash160: Uint8Array
  readonly type: 'p2pkh' | 'p2sh'
  /** `testnet` stands for every network but mainnet. */
  readonly network: 'mainnet' | 'testnet'
}

/**
 * Dash Core address of a public key (P2PKH), `X…` on mainnet and `y…` elsewhere.
 *
 * @throws RangeError unless the hash has 20 bytes
 */
export function coreAddress(hash160: Uint8Array, network: Network): string {
  if (hash160.length !== hashBytes) throw new RangeError('hash160: want 20 bytes')
  const version = network === 'mainnet' ? 76 : 140
  return base58check.encode(concatBytes(Uint8Array.of(version), hash160))
}

/**
 * Reads a Dash Core address.
 *
 * @param network - when given, an address of another network is refused
 * @throws InvalidCoreAddress, with reason `platformAddress` where a Platform address was given
 */
export function decodeCoreAddress(text: string, network?: Network): CoreAddress {
  if (/^t?dash1/i.test(text)) throw new InvalidCoreAddress('platformAddress')
  const payload = text.length <= textMax ? decodeBase58check(text) : undefined
  if (payload === undefined) throw new InvalidCoreAddress('checksum')
  if (payload.length !== hashBytes + 1) throw new InvalidCoreAddress('payloadLength')
  const known = versions.find((one) => one.version === payload[0])
  if (known === undefined) throw new InvalidCoreAddress('version')
  if (network !== undefined && (network === 'mainnet') !== (known.network === 'mainnet')) {
    throw new InvalidCoreAddress('network')
  }
  return { hash160: payload.slice(1), type: known.type, network: known.network }
}

/** True for the text of a Dash Core address of any network. */
export function isCoreAddress(text: string): boolean {
  const payload = text.length <= textMax ? decodeBase58check(text) : undefined
  return payload?.length === hashBytes + 1 && versions.some(({ version }) => version === payload[0])
}

function decodeBase58check(text: string): Uint8Array | undefined {
  try {
    return base58check.decode(text)
  } catch {
    // Every cause means the same to callers: the text is not base58 with a right checksum.
    return undefined
  }
}

const reasons = {
  platformAddress: 'is a Platform address, want a Core one',
  checksum: 'is not base58 with a right checksum',
  payloadLength: 'does not hold 20 bytes of hash',
  version: 'is of another coin',
  network: 'belongs to another network',
} as const

/** A text that is not a Core address of the wanted network. */
export class InvalidCoreAddress extends HoldfastError {
  readonly code = 'InvalidCoreAddress'
  readonly reason: keyof typeof reasons
  constructor(reason: keyof typeof reasons) {
    super(`Core address: ${reasons[reason]}`, {
      retry: 'after-fix',
      remedy: 'Copy the address again, and check the network.',
    })
    this.reason = reason
  }
}
