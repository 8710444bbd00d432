import type { RequestId } from './job.js'
import type { Hex } from './request.js'

export type { Hex } from './request.js'

/**
 * Signs for wallets; local or remote, quick or slow, with or without deterministic nonces.
 *
 * @remarks Called only after the intent is durable in both witnesses. A rejected promise says nothing about whether
 * a signature exists somewhere.
 */
export interface Signer {
  /** Whether this signer holds the key. */
  controls(publicKey: Hex, signal: AbortSignal): Promise<boolean>
  /**
   * The compressed key of this signer that has a HASH160 of 20 bytes; undefined when it holds none.
   *
   * @remarks A signer that cannot tell leaves it out.
   */
  readonly findKey?: (pkh20: Uint8Array, signal: AbortSignal) => Promise<Hex | undefined>
  /** @returns a DER signature with low S over exactly these 32 bytes */
  sign(
    publicKey: Hex,
    digest32: Uint8Array,
    context: { readonly requestId: RequestId },
    signal: AbortSignal,
  ): Promise<Uint8Array>
}
