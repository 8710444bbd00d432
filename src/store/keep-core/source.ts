import { lstatSync, opendirSync, realpathSync, type Stats, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { errnoOf } from '../../base/durable-file.js'
import { HoldfastError } from '../../base/errors.js'
import { keepCoreFilesMax } from '../../base/limits.js'
import { type HeldFile, identityAt, lockByFlock } from '../../base/lock-file.js'

/** Name of the directory that keep-core keeps its jobs in. */
export const jobsDirectoryName: string = 'covenant-signer-jobs'
/** Where earlier revisions kept them; keep-core moves these files at its start. */
const legacyDirectoryName = join('covenant-signer', 'jobs')
const lockName = '.lock'

/** One job file of a source. */
export type SourceFile = {
  /** Name that reports use: the bare one, with its directory in front for a legacy file. */
  readonly file: string
  /** Without directory. */
  readonly name: string
  readonly path: string
  readonly legacy: boolean
}

/** A keep-core directory that nobody else runs on while this is open; nothing in it is ever changed. */
export interface KeepCoreSource {
  /** Real path of the directory that was named. */
  readonly directory: string
  /** Its job files, sorted by `file`. @throws KeepCoreUnreadable */
  list(): readonly SourceFile[]
  /** @throws KeepCoreLocked when a keep-core started meanwhile */
  assertFree(): void
  /** Frees the lock. Safe to repeat. */
  close(): void
}

type Place = {
  readonly path: string
  readonly legacy: boolean
  readonly lock: HeldFile | undefined
}

/**
 * Opens a keep-core data directory, or the jobs directory in it, for reading.
 *
 * @throws KeepCoreUnreadable, KeepCoreLocked; LockHelperMissing, LockHelperFailed, SymlinkRefused
 * @remarks keep-core's own lock file is locked where there is one, and never made.
 */
export function openKeepCore(directory: string): KeepCoreSource {
  const { real, places: found } = findPlaces(directory)
  const places: Place[] = []
  const close = (): void => {
    for (const { lock } of places.splice(0)) lock?.close()
  }
  try {
    for (const place of found) places.push({ ...place, lock: lockPlace(place.path) })
  } catch (error) {
    close()
    throw error
  }
  return {
    directory: real,
    list: () => {
      const files = places.flatMap(listPlace)
      return files.sort((a, b) => (a.file < b.file ? -1 : 1))
    },
    assertFree() {
      for (const { path, lock } of places) {
        const at = join(path, lockName)
        if (identityAt(at) !== lock?.identity) throw new KeepCoreLocked(at)
      }
    },
    close,
  }
}

function findPlaces(directory: string): {
  readonly real: string
  readonly places: readonly Omit<Place, 'lock'>[]
} {
  let real: string
  try {
    real = realpathSync(directory)
  } catch (cause) {
    throw new KeepCoreUnreadable(directory, 'it cannot be found', cause)
  }
  if (!isDirectory(real)) throw new KeepCoreUnreadable(directory, 'it is not a directory')
  const inside = placesBelow(real)
  if (inside.length > 0) return { real, places: inside }
  // The jobs directory itself: what its keep-core would still move there belongs to it.
  const named = basename(real) === jobsDirectoryName
  const legacy = named ? placesBelow(dirname(real)).filter((place) => place.legacy) : []
  return { real, places: [{ path: real, legacy: false }, ...legacy] }
}

function placesBelow(root: string): readonly Omit<Place, 'lock'>[] {
  const flat = { path: join(root, jobsDirectoryName), legacy: false }
  const legacy = { path: join(root, legacyDirectoryName), legacy: true }
  return [flat, legacy].filter(({ path }) => isDirectory(path))
}

function isDirectory(path: string): boolean {
  let found: Stats | undefined
  try {
    found = statSync(path, { throwIfNoEntry: false })
    // A dangling link is there, and what it should lead to may hold jobs.
    if (found === undefined && lstatSync(path, { throwIfNoEntry: false }) === undefined)
      return false
  } catch (cause) {
    if (errnoOf(cause) === 'ENOTDIR') return false
    throw new KeepCoreUnreadable(path, 'it cannot be looked at', cause)
  }
  if (found?.isDirectory() === true) return true
  throw new KeepCoreUnreadable(path, 'it is not a directory')
}

function lockPlace(path: string): HeldFile | undefined {
  const at = join(path, lockName)
  // Locking would make the file, and the source stays as it is.
  if (identityAt(at) === undefined) return undefined
  const lock = lockByFlock(at)
  if (lock === undefined) throw new KeepCoreLocked(at)
  return lock
}

function listPlace({ path, legacy }: Place): SourceFile[] {
  const files: SourceFile[] = []
  try {
    const directory = opendirSync(path)
    try {
      for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
        const { name } = entry
        if (!name.endsWith('.json')) continue
        const file = legacy ? join(legacyDirectoryName, name) : name
        files.push({ file, name, path: join(path, name), legacy })
        if (files.length > keepCoreFilesMax) break
      }
    } finally {
      directory.closeSync()
    }
  } catch (cause) {
    throw new KeepCoreUnreadable(path, 'it cannot be listed', cause)
  }
  if (files.length <= keepCoreFilesMax) return files
  throw new KeepCoreUnreadable(path, `it has more than ${keepCoreFilesMax} job files`)
}

/** A keep-core runs on the directory. */
export class KeepCoreLocked extends HoldfastError {
  readonly code = 'KeepCoreLocked'
  constructor(lockPath: string) {
    super(`${lockPath}: the lock is held, want no keep-core running on this directory`, {
      retry: 'safe',
      remedy: 'Stop the keep-core that uses this directory, then try again.',
    })
  }
}

/** There is no keep-core directory that can be read as a whole. */
export class KeepCoreUnreadable extends HoldfastError {
  readonly code = 'KeepCoreUnreadable'
  constructor(path: string, problem: string, cause?: unknown) {
    super(`${path}: ${problem}, want a keep-core data directory or the jobs directory in it`, {
      retry: 'after-fix',
      remedy: 'Name the directory that holds covenant-signer-jobs, and make sure it can be read.',
      cause,
    })
  }
}
