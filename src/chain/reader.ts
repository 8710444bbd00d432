/** An answer of a source that may be away; a missing answer is a value, never a zero. */
export type Reading<T> =
  | { readonly kind: 'known'; readonly value: T; readonly heightBlocks: bigint }
  | { readonly kind: 'unavailable'; readonly source: string; readonly cause: Error }

/** What Dash Platform says of one payment address. */
export type AddressFunds = {
  /** HASH160 of the public key or script, 20 bytes. */
  readonly hash160: Uint8Array
  readonly balanceCredits: bigint
  readonly nonce: bigint
}

/**
 * Reads Dash Platform.
 *
 * @remarks A source that is away answers `unavailable`; a rejected promise is a fault of the reader and
 * fails the registration that asked. Every call ends soon after its signal fires.
 */
export interface DashReader {
  /** Height of the chain's tip in blocks, used as the birth height of a new wallet. */
  tipHeight(network: string, signal: AbortSignal): Promise<Reading<bigint>>
  /** Funds of the addresses that hold any; addresses that are proven empty are left out of `value`. */
  balances(
    network: string,
    hashes: readonly Uint8Array[],
    signal: AbortSignal,
  ): Promise<Reading<readonly AddressFunds[]>>
}
