import { mkdirSync, rmdirSync, unlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { wipe } from '../base/bytes.js'
import { replaceFile, syncFolder } from '../base/durable-file.js'
import { HoldfastError } from '../base/errors.js'
import { type FileVault, FolderVault, type VaultWarning } from './folder-vault.js'
import { makeHeader, unlockHeader, WrongPassphrase } from './header.js'
import { type KdfParameters, kdfDefault, kdfWithin } from './kdf.js'
import { encodeHeader, MalformedVault, type VaultHeader } from './secret-file.js'
import { headerFileName } from './secret-name.js'
import {
  type FolderListing,
  headerCopies,
  listFolder,
  readHeaderFile,
  translateIo,
  VaultMissing,
} from './vault-folder.js'

/**
 * Makes `<dir>/vault/` with a fresh header and opens it.
 *
 * @param dir The data directory; it must exist and its lock must be held.
 * @param options.kdf Cost of the key derivation; see `KdfParameters` for default and bounds.
 * @throws VaultExists, PassphraseLength, VaultIoFailed; RangeError for a cost out of bounds.
 */
export async function createFileVault(
  dir: string,
  passphrase: Uint8Array,
  options: { readonly kdf?: KdfParameters } = {},
): Promise<FileVault> {
  const kdf = options.kdf ?? kdfDefault
  if (!kdfWithin(kdf)) throw new RangeError('vault kdf: want parameters within the bounds')
  const folder = join(dir, 'vault')
  refuseExisting(folder)
  const unlocked = await makeHeader(passphrase, kdf)
  try {
    // The derivation took a while: another call may have made the vault meanwhile.
    refuseExisting(folder)
    translateIo('vault header', () => writeFirstHeader(folder, unlocked.header))
  } catch (error) {
    wipe(unlocked.key)
    throw error
  }
  return new FolderVault(folder, unlocked, [])
}

/**
 * Opens `<dir>/vault/`.
 *
 * @param dir The data directory; its lock must be held when anything is to be changed.
 * @param passphrase Without one the vault is locked: it lists, finalises and removes by name only.
 * @throws VaultMissing, WrongPassphrase, PassphraseLength, MalformedVault, VersionUnsupported, VaultIoFailed
 */
export async function openFileVault(
  dir: string,
  passphrase: Uint8Array | undefined,
): Promise<FileVault> {
  const folder = join(dir, 'vault')
  const listing = listFolder(folder)
  if (listing === undefined || isEmpty(listing)) throw new VaultMissing()
  const found = readHeaderFile(folder)
  const own = found.kind === 'whole' ? found.header : undefined
  const warning: VaultWarning = found.kind === 'missing' ? 'headerMissing' : 'headerDamaged'
  if (passphrase === undefined) return new FolderVault(folder, undefined, own ? [] : [warning])
  if (own !== undefined) {
    const unlocked = await unlockHeader(own, passphrase)
    if (unlocked !== undefined) return new FolderVault(folder, unlocked, [])
  }
  const copies = headerCopies(folder, listing.entryNames, own)
  if (own === undefined && copies.length === 0) {
    throw found.kind === 'damaged' ? found.cause : new MalformedVault('vault header', 'no copy')
  }
  for (const copy of copies) {
    const unlocked = await unlockHeader(copy, passphrase)
    if (unlocked !== undefined) return new FolderVault(folder, unlocked, [warning])
  }
  throw new WrongPassphrase()
}

/**
 * Opens `<dir>/vault/` where there is one.
 *
 * @returns `undefined` when there is no vault and no passphrase asks for one.
 * @throws What `openFileVault` throws; VaultMissing only when a passphrase was given.
 */
export async function findFileVault(
  dir: string,
  passphrase: Uint8Array | undefined,
): Promise<FileVault | undefined> {
  const listing = listFolder(join(dir, 'vault'))
  const missing = listing === undefined || isEmpty(listing)
  return missing && passphrase === undefined ? undefined : openFileVault(dir, passphrase)
}

function isEmpty(listing: FolderListing): boolean {
  return !listing.hasHeader && listing.entries.length === 0
}

/** A folder without header and entries is what a killed creation leaves: it does not count as a vault. */
function refuseExisting(folder: string): void {
  const listing = listFolder(folder)
  if (listing !== undefined && !isEmpty(listing)) throw new VaultExists()
}

function writeFirstHeader(folder: string, header: VaultHeader): void {
  const path = join(folder, headerFileName)
  const made = listFolder(folder) === undefined
  if (made) mkdirSync(folder, { mode: 0o700 })
  try {
    syncFolder(dirname(folder))
    // Through a rename, so that a kill cannot leave half a header that looks like a damaged vault.
    replaceFile(path, encodeHeader(header))
  } catch (error) {
    // The header may stand there unsynced; a retry must not find it and answer VaultExists.
    quietly(() => unlinkSync(path))
    if (made) quietly(() => rmdirSync(folder))
    throw error
  }
}

function quietly(action: () => void): void {
  try {
    action()
  } catch {
    // Clearing up after an error that is reported itself; an empty folder does not stop the next try.
  }
}

/** There is a vault already; it is never overwritten. */
export class VaultExists extends HoldfastError {
  readonly code = 'VaultExists'
  constructor() {
    super('vault: exists already, want a data directory without one', {
      retry: 'never',
      remedy: 'Open the vault that is there, or choose another data directory.',
    })
  }
}
