import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf, isTemporaryName, readBounded } from '../base/durable-file.js'
import { HoldfastError } from '../base/errors.js'
import { vaultFileBytesMax } from '../base/limits.js'
import type { PersistenceKind } from '../base/persistence.js'
import {
  decodeHeader,
  decodeSecretFile,
  encodeHeader,
  MalformedVault,
  type VaultHeader,
} from './secret-file.js'
import { headerFileName, parseSecretFileName } from './secret-name.js'
import type { SecretEntry } from './vault.js'

/** Distinct header copies that are tried with a passphrase; each costs a whole derivation. */
const headerCandidatesMax = 4

/** The files of a vault folder by name. */
export type FolderListing = {
  readonly entries: readonly SecretEntry[]
  /** File names of `entries`, in the same order. */
  readonly entryNames: readonly string[]
  readonly hasHeader: boolean
  /** Left behind by interrupted writes; ciphertext at most. */
  readonly temporaryNames: readonly string[]
  /** Names that Holdfast would not write; they are left alone. */
  readonly foreignCount: number
}

/** Lists the folder, sorted by name; `undefined` when there is none. @throws VaultIoFailed, MalformedVault */
export function listFolder(folder: string): FolderListing | undefined {
  return translateIo('vault folder', () => {
    const found = lstatSync(folder, { throwIfNoEntry: false })
    if (found === undefined) return undefined
    if (!found.isDirectory()) throw new MalformedVault('vault folder', 'not a folder of its own')
    return sortNames(readdirSync(folder))
  })
}

/** Lists a folder that must be there: one that vanished is not an empty one. @throws VaultMissing */
export function requireFolder(folder: string): FolderListing {
  const listing = listFolder(folder)
  if (listing === undefined) throw new VaultMissing()
  return listing
}

function sortNames(names: readonly string[]): FolderListing {
  const named = names
    .flatMap((name) => {
      const entry = parseSecretFileName(name)
      return entry === undefined ? [] : [{ name, entry }]
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  const temporaryNames = names.filter(isTemporaryName)
  const hasHeader = names.includes(headerFileName)
  return {
    entries: named.map(({ entry }) => entry),
    entryNames: named.map(({ name }) => name),
    hasHeader,
    temporaryNames,
    foreignCount: names.length - named.length - temporaryNames.length - (hasHeader ? 1 : 0),
  }
}

/** What the header file turned out to be; a failing disk counts as damage, since copies may serve. */
export type HeaderFile =
  | { readonly kind: 'whole'; readonly header: VaultHeader }
  | { readonly kind: 'missing' }
  | { readonly kind: 'damaged'; readonly cause: HoldfastError }

/** Reads the header file. @throws VersionUnsupported, VaultIoFailed */
export function readHeaderFile(folder: string): HeaderFile {
  const path = join(folder, headerFileName)
  try {
    const bytes = translateIo('vault header', () => readBounded(path, vaultFileBytesMax))
    return { kind: 'whole', header: decodeHeader(bytes) }
  } catch (error) {
    if (error instanceof MalformedVault) return { kind: 'damaged', cause: error }
    if (!(error instanceof VaultIoFailed)) throw error
    if (error.errno === 'ENOENT') return { kind: 'missing' }
    if (error.errno === 'EIO' || error.errno === 'EFBIG') return { kind: 'damaged', cause: error }
    throw error
  }
}

/** The distinct headers that secret files carry, the most frequent first, without the one given. */
export function headerCopies(
  folder: string,
  entryNames: readonly string[],
  except: VaultHeader | undefined,
): readonly VaultHeader[] {
  const textOf = (header: VaultHeader): string => new TextDecoder().decode(encodeHeader(header))
  const counts = new Map<string, { readonly header: VaultHeader; count: number }>()
  for (const name of entryNames) {
    const header = headerCopy(folder, name)
    if (header === undefined) continue
    const seen = counts.get(textOf(header))
    if (seen !== undefined) seen.count += 1
    else counts.set(textOf(header), { header, count: 1 })
  }
  if (except !== undefined) counts.delete(textOf(except))
  return [...counts.values()]
    .sort((a, b) => b.count - a.count)
    .slice(0, headerCandidatesMax)
    .map(({ header }) => header)
}

function headerCopy(folder: string, name: string): VaultHeader | undefined {
  try {
    return decodeSecretFile(readBounded(join(folder, name), vaultFileBytesMax), name).header
  } catch {
    // A file that cannot be read offers no copy; its own damage is reported when the entry is read.
    return undefined
  }
}

/** Runs file calls and turns errno errors into `VaultIoFailed`; everything else passes. */
export function translateIo<T>(what: string, action: () => T): T {
  try {
    return action()
  } catch (cause) {
    const errno = errnoOf(cause)
    throw errno === undefined ? cause : new VaultIoFailed(what, errno, cause)
  }
}

const passing: ReadonlySet<string> = new Set(
  'ENOSPC EDQUOT EIO EAGAIN EBUSY EMFILE ENFILE ENOMEM ETIMEDOUT'.split(' '),
)

/**
 * The file system refused a call of the vault.
 *
 * @remarks Every call of the vault is safe to repeat once the cause is gone. `transient`: the cause may go
 * by itself (disk full, I/O error, too many open files); `fatal`: a person must change something first.
 */
export class VaultIoFailed extends HoldfastError {
  readonly code = 'VaultIoFailed'
  readonly kind: Extract<PersistenceKind, 'transient' | 'fatal'>
  /** Name of the system's error, such as `ENOSPC`. */
  readonly errno: string

  constructor(what: string, errno: string, cause: unknown) {
    const kind = passing.has(errno) ? 'transient' : 'fatal'
    super(`${what}: file system refused (${errno}), want a readable and writable vault folder`, {
      retry: kind === 'transient' ? 'safe' : 'after-fix',
      remedy:
        kind === 'transient'
          ? 'Free disk space or check the disk, then make the same call again.'
          : 'Check owner, mode and mount of the vault folder; symlinks in it are refused.',
      cause,
    })
    this.kind = kind
    this.errno = errno
  }
}

/** There is no vault in the data directory. */
export class VaultMissing extends HoldfastError {
  readonly code = 'VaultMissing'
  constructor() {
    super('vault: none here, want a vault folder with a header or secrets', {
      retry: 'after-fix',
      remedy: 'Run "holdfast vault init", or check the data directory.',
    })
  }
}
