import { HoldfastError } from '../base/errors.js'
import type { AttemptId, WalletId } from '../base/ids.js'

/** Where a secret belongs: a wallet (or `noWallet`) and a label. */
export type SecretRef = {
  readonly walletId: WalletId
  /** 1 to 40 of `a-z 0-9 . _ -`, no leading dot, without `.staged-` and `.previous-`. */
  readonly label: string
}

/** One vault file by name; never its content. */
export type SecretEntry = SecretRef & {
  readonly state: 'final' | 'staged' | 'previous'
  /** First 16 hex digits of the attempt that staged or displaced it. */
  readonly attemptTag: string | undefined
}

/** A secret and the public key that it was bound to. */
export type BoundSecret = SecretRef & {
  /** Compressed secp256k1 key, 33 bytes. */
  readonly publicKey: Uint8Array
}

/** Which secrets sign for which keys. */
export type BoundSecrets = {
  readonly bound: readonly BoundSecret[]
  /** Entries whose files cannot be read, so that nobody knows what they are bound to. */
  readonly damaged: readonly SecretRef[]
}

/** `same`: the final name already held these bytes. `displaced`: another secret was there and is now `.previous-`. */
export type FinaliseOutcome = 'moved' | 'same' | 'displaced' | 'missing'

/**
 * Keeps secrets encrypted. Everything a method did is durable when its promise resolves.
 *
 * @remarks A locked vault (no passphrase) can still list, finalise and discard by name: none of these needs a key.
 */
export interface Vault {
  readonly locked: boolean

  /** Encrypts the secret under its staged name. @throws VaultLocked */
  stage(
    ref: SecretRef,
    secret: Uint8Array,
    attempt: AttemptId,
    objectPassword?: Uint8Array,
  ): Promise<void>

  /** Moves a staged secret to its final name; overwrites nothing; safe to repeat. */
  finalise(ref: SecretRef, tag: string): Promise<FinaliseOutcome>

  /** Removes a staged secret; no-op when it is gone. */
  discardStaged(ref: SecretRef, tag: string): Promise<void>

  /**
   * Reads a final secret; the caller wipes it. `undefined` when there is none.
   *
   * @throws VaultLocked, Corruption, NeedsPassword, WrongPassword, ExpectedProtectedButUnsealed
   */
  read(ref: SecretRef, objectPassword?: Uint8Array): Promise<Uint8Array | undefined>

  /** Writes a final secret, replacing one of the same name in one step. @throws VaultLocked */
  put(ref: SecretRef, secret: Uint8Array, objectPassword?: Uint8Array): Promise<void>

  /**
   * Says beside a final secret which public key it signs for; `put` of another secret ends that.
   *
   * @param publicKey compressed secp256k1 key, 33 bytes
   * @throws VaultLocked, NoEntry, KeyMismatch when the secret is not the private key of it, NeedsPassword, Corruption
   */
  bind(ref: SecretRef, publicKey: Uint8Array): Promise<void>

  /** The bindings of final secrets that belong to no wallet, by label; also of a locked vault. */
  listBound(): Promise<BoundSecrets>

  /** Removes a final secret; no-op when there is none. */
  remove(ref: SecretRef): Promise<void>

  /** Every file by name, sorted. */
  list(): Promise<readonly SecretEntry[]>

  /** Wipes the vault key from memory. */
  close(): void
}

/** The call needs a passphrase and the vault was opened without one, or there is no vault. */
export class VaultLocked extends HoldfastError {
  readonly code = 'VaultLocked'
  constructor() {
    super('vault: locked, its passphrase was not given', {
      retry: 'after-fix',
      remedy:
        'Make a vault with "holdfast vault init" if there is none, and give its passphrase; the daemon reads it from vault.passphraseFile, vault.credential or vault.fd.',
    })
  }
}
