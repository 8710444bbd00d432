import { join } from 'node:path'
import { equalBytes } from '../base/bytes.js'
import { isPrivateKey, publicKeyOf } from '../base/curve.js'
import { readBounded } from '../base/durable-file.js'
import { HoldfastError } from '../base/errors.js'
import { noWallet } from '../base/ids.js'
import { vaultFileBytesMax } from '../base/limits.js'
import { decodeSecretFile } from './secret-file.js'
import { describeSecret, secretFileName } from './secret-name.js'
import type { BoundSecret, BoundSecrets, SecretRef } from './vault.js'
import { requireFolder } from './vault-folder.js'

/** @throws KeyMismatch unless the secret is the private key of the public key */
export function assertKeyOf(ref: SecretRef, secret: Uint8Array, publicKey: Uint8Array): void {
  if (!isPrivateKey(secret)) throw new KeyMismatch(ref, 'it is no private key of 32 bytes')
  if (!equalBytes(publicKeyOf(secret), publicKey)) {
    throw new KeyMismatch(ref, 'its public key is another one')
  }
}

/**
 * Reads which final secrets without a wallet are bound; needs no passphrase, since public keys are no secrets.
 *
 * @remarks A binding is not sealed: one that somebody changed is found out when the secret is compared with it, and
 * costs a refusal.
 * @throws VaultMissing, VaultIoFailed, MalformedVault
 */
export function readBindings(folder: string): BoundSecrets {
  const bound: BoundSecret[] = []
  const damaged: SecretRef[] = []
  for (const { walletId, label, state } of requireFolder(folder).entries) {
    if (walletId !== noWallet || state !== 'final') continue
    const ref = { walletId, label }
    try {
      const bytes = readBounded(join(folder, secretFileName(ref)), vaultFileBytesMax)
      const { publicKey } = decodeSecretFile(bytes, describeSecret(ref))
      if (publicKey !== undefined) bound.push({ ...ref, publicKey })
    } catch {
      // What is wrong with it is said when the entry itself is read.
      damaged.push(ref)
    }
  }
  return { bound, damaged }
}

/** A secret is not the private key of the public key it is to sign for. */
export class KeyMismatch extends HoldfastError {
  readonly code = 'KeyMismatch'
  constructor(ref: SecretRef, problem: string) {
    super(`${describeSecret(ref)}: ${problem}, want the private key of the one that was named`, {
      retry: 'after-fix',
      remedy: 'Check the public key and the label; "holdfast vault list" shows both.',
    })
  }
}
