import type { AccountKey } from './account.js'

/** `single_hardened` pools hold Ed25519 keys that only the seed can extend. */
export const chains = ['external', 'internal', 'single', 'single_hardened'] as const
export type Chain = (typeof chains)[number]

/** Bytes of one packed entry. */
export const entryBytes = 58
/** First byte of an entry. */
export const entryStates = { available: 0, reserved: 1, used: 2 } as const

/**
 * One chain of addresses of one account, packed: entry `n` belongs to index `n`.
 *
 * An entry is
 * state(1) | reservedAtS(4, BE) | hash160(20) | publicKey(33)
 * An Ed25519 key fills the public key's field with one zero byte and 32 key bytes; its hash160 field holds the
 * node id (first 20 bytes of SHA-256).
 */
export type Pool = {
  readonly account: AccountKey
  readonly chain: Chain
  /** Unused entries kept past the highest used index. */
  readonly gap: number
  /** Highest index seen in use; it only grows. */
  readonly highestUsed: number | undefined
  readonly entries: Uint8Array
}
