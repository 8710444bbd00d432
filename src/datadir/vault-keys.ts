import { equalConstantTime, wipe } from '../base/bytes.js'
import { checkDirectory } from '../base/directory-guard.js'
import { acquireDirectory } from '../base/directory-lock.js'
import { HoldfastError } from '../base/errors.js'
import { noWallet } from '../base/ids.js'
import { readBindings } from '../vault/binding.js'
import { openFileVault } from '../vault/file.js'
import { isLabel, LabelInvalid } from '../vault/secret-name.js'
import type { BoundSecrets, Vault } from '../vault/vault.js'
import { layoutOf } from './layout.js'

/** `same` when the vault held this key under this label before. */
export type Added = 'added' | 'same'

/**
 * Puts a key that belongs to no wallet into the vault.
 *
 * @throws LabelTaken, LabelInvalid, DataDirLocked, and what `openFileVault` throws
 */
export async function addKey(
  directory: string,
  passphrase: Uint8Array,
  label: string,
  key: Uint8Array,
): Promise<Added> {
  if (!isLabel(label)) throw new LabelInvalid()
  const ref = { walletId: noWallet, label }
  return withVault(directory, passphrase, async (vault) => {
    const present = await vault.read(ref)
    try {
      if (present !== undefined) {
        if (equalConstantTime(present, key)) return 'same'
        throw new LabelTaken(label)
      }
    } finally {
      wipe(present)
    }
    await vault.put(ref, key)
    return 'added'
  })
}

/**
 * Says which public key a secret of the vault signs for.
 *
 * @param publicKey compressed, 33 bytes
 * @throws KeyMismatch, NoEntry, LabelInvalid, DataDirLocked, and what `openFileVault` throws
 */
export async function bindKey(
  directory: string,
  passphrase: Uint8Array,
  label: string,
  publicKey: Uint8Array,
): Promise<void> {
  if (!isLabel(label)) throw new LabelInvalid()
  await withVault(directory, passphrase, (vault) =>
    vault.bind({ walletId: noWallet, label }, publicKey),
  )
}

/** Which secrets sign for which keys; needs no passphrase. @throws VaultMissing */
export function listBindings(directory: string): BoundSecrets {
  return readBindings(layoutOf(checkDirectory(directory)).vault)
}

async function withVault<T>(
  directory: string,
  passphrase: Uint8Array,
  work: (vault: Vault) => Promise<T>,
): Promise<T> {
  const lock = acquireDirectory(directory)
  try {
    const vault = await openFileVault(lock.path, passphrase)
    try {
      return await work(vault)
    } finally {
      vault.close()
    }
  } finally {
    lock.release()
  }
}

/** The label names another secret already; secrets are never overwritten. */
export class LabelTaken extends HoldfastError {
  readonly code = 'LabelTaken'
  constructor(label: string) {
    super(`vault: label "${label}" names another secret, want a free one`, {
      retry: 'after-fix',
      remedy: 'Choose another label; "holdfast vault list" shows those that are taken.',
    })
  }
}
