import { lstatSync } from 'node:fs'
import { checkDirectory, createDirectory } from '../base/directory-guard.js'
import { acquireDirectory } from '../base/directory-lock.js'
import { createFileVault } from '../vault/file.js'
import { isLabel, LabelInvalid } from '../vault/secret-name.js'
import type { SecretEntry } from '../vault/vault.js'
import { listFolder, VaultMissing } from '../vault/vault-folder.js'
import { layoutOf } from './layout.js'

/**
 * Makes the vault of a data directory, and the directory when it is missing.
 *
 * @param options.parents make missing parents of the directory too
 * @returns the vault's folder
 * @throws VaultExists, PassphraseLength, DataDirLocked, and what `createDirectory` throws
 */
export async function initVault(
  directory: string,
  passphrase: Uint8Array,
  options: { readonly parents: boolean },
): Promise<string> {
  const root = createDirectory(directory, options)
  const lock = acquireDirectory(root)
  try {
    const vault = await createFileVault(root, passphrase)
    vault.close()
    return layoutOf(root).vault
  } finally {
    lock.release()
  }
}

/** What the vault holds, by name; empty when there is no vault. Changes nothing and needs no passphrase. */
export function listVault(directory: string): readonly SecretEntry[] {
  return listFolder(layoutOf(checkDirectory(directory)).vault)?.entries ?? []
}

/**
 * Tells early, and without writing, that a secret could not be kept under this label.
 *
 * @throws VaultMissing, LabelInvalid
 */
export function requireVault(directory: string, label: string): void {
  if (!isLabel(label)) throw new LabelInvalid()
  const present = lstatSync(directory, { throwIfNoEntry: false }) !== undefined
  const listing = present ? listFolder(layoutOf(directory).vault) : undefined
  const empty = listing === undefined || (!listing.hasHeader && listing.entries.length === 0)
  if (empty) throw new VaultMissing()
}
