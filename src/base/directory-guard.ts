import {
  accessSync,
  type BigIntStats,
  constants,
  lstatSync,
  mkdirSync,
  opendirSync,
  realpathSync,
  type Stats,
  statSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { errnoOf, syncFolder } from './durable-file.js'
import { HoldfastError } from './errors.js'
import { type FileSystemOptions, refusedFileSystem } from './file-system-type.js'

/** Entries looked at in a data directory before it counts as not ours. */
const entriesMax = 10_000

/**
 * Checks that a directory can be trusted with custody state, and changes nothing.
 *
 * @returns the absolute path with every symbolic link above it resolved
 * @throws DataDirMissing, SymlinkRefused, InsecureDataDir, InsecureParentDir, UnsupportedFileSystem, NotWritable
 * @remarks On Windows modes and owners mean nothing and are left to the profile's access list. File system
 * types are known on Linux only.
 */
export function checkDirectory(path: string, options: FileSystemOptions = {}): string {
  const named = resolve(path)
  return translated(named, () => checkNow(named, options))
}

function checkNow(named: string, options: FileSystemOptions): string {
  const stats = look(named)
  if (stats === undefined) throw new DataDirMissing(named)
  if (stats.isSymbolicLink()) throw new SymlinkRefused(named)
  if (!stats.isDirectory()) throw new InsecureDataDir(named, 'not a directory')
  checkOwnership(named, stats)
  const real = realpathSync(named)
  checkAncestors(named, real)
  checkFileSystem(real, options)
  checkWritable(real, stats)
  checkEntries(real)
  return real
}

/**
 * Makes the directory (0700, durable) unless it is there, then checks it.
 *
 * @param options.parents make missing parents too; meant for the default location only
 * @returns what `checkDirectory` answers
 * @throws DataDirMissing when the parent is missing; all that `checkDirectory` throws
 */
export function createDirectory(
  path: string,
  options: FileSystemOptions & { readonly parents?: boolean } = {},
): string {
  const named = resolve(path)
  return translated(named, () => createNow(named, options))
}

function createNow(
  named: string,
  options: FileSystemOptions & { readonly parents?: boolean },
): string {
  const parent = dirname(named)
  if (look(named) === undefined) {
    if (statSync(parent, { throwIfNoEntry: false }) === undefined) {
      if (options.parents !== true || parent === named) throw new DataDirMissing(parent)
      createParent(parent, options)
    }
    const realParent = realpathSync(parent)
    checkAncestors(named, join(realParent, 'x'))
    checkFileSystem(realParent, options)
    makeDirectory(named)
  }
  const real = checkDirectory(named, options)
  syncParent(dirname(real))
  return real
}

/** A system call may fail anywhere here: a disk that cannot be asked is no place for custody state. */
function translated<T>(path: string, action: () => T): T {
  try {
    return action()
  } catch (cause) {
    const errno = errnoOf(cause)
    if (errno === undefined) throw cause
    throw new NotWritable(path, `it cannot be looked at (${errno})`, cause)
  }
}

function look(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch (cause) {
    throw new NotWritable(path, 'it cannot be looked at', cause)
  }
}

function createParent(path: string, options: FileSystemOptions): void {
  const parent = dirname(path)
  if (statSync(parent, { throwIfNoEntry: false }) === undefined) {
    if (parent === path) throw new DataDirMissing(path)
    createParent(parent, options)
  }
  checkAncestors(path, join(realpathSync(parent), 'x'))
  makeDirectory(path)
  syncParent(parent)
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (cause) {
    // Another process made it first: the check that follows decides whether it is good.
    if (errnoOf(cause) === 'EEXIST') return
    throw new NotWritable(dirname(path), 'a directory cannot be made in it', cause)
  }
}

function syncParent(path: string): void {
  try {
    syncFolder(path)
  } catch (cause) {
    const code = errnoOf(cause)
    // A parent that may be passed but not read, or not written at all, holds no change of ours.
    if (code === 'EACCES' || code === 'EROFS') return
    throw new NotWritable(path, 'a sync of it failed', cause)
  }
}

/** What is wrong with a file's or directory's mode or owner, `undefined` when nothing is. */
export function exposure(stats: Stats | BigIntStats): string | undefined {
  const user = process.geteuid?.()
  if (user === undefined) return undefined
  const mode = Number(stats.mode) & 0o777
  if ((mode & 0o077) !== 0) return `mode ${mode.toString(8).padStart(4, '0')} lets others in`
  if (Number(stats.uid) !== user) return `it belongs to user ${stats.uid}, not to user ${user}`
  return undefined
}

function checkOwnership(path: string, stats: Stats): void {
  const problem = exposure(stats)
  if (problem !== undefined) throw new InsecureDataDir(path, problem)
}

function checkAncestors(named: string, real: string): void {
  if (process.platform === 'win32') return
  for (const path of new Set([...ancestors(named), ...ancestors(real)])) {
    const mode = statSync(path).mode
    if ((mode & 0o022) !== 0 && (mode & 0o1000) === 0) throw new InsecureParentDir(path)
  }
}

function ancestors(path: string): string[] {
  const found: string[] = []
  for (let at = dirname(path); at !== found.at(-1); at = dirname(at)) found.push(at)
  return found
}

function checkFileSystem(path: string, options: FileSystemOptions): void {
  const name = refusedFileSystem(path, options)
  if (name !== undefined) throw new UnsupportedFileSystem(path, name)
}

function checkWritable(path: string, stats: Stats): void {
  const owned = process.platform === 'win32' || (stats.mode & 0o700) === 0o700
  if (!owned) throw new NotWritable(path, 'its owner may not read, write and enter it')
  try {
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (cause) {
    const why = errnoOf(cause) === 'EROFS' ? 'its file system is read-only' : 'it cannot be written'
    throw new NotWritable(path, why, cause)
  }
}

function checkEntries(path: string): void {
  const directory = opendirSync(path)
  try {
    let seen = 0
    for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
      if (entry.isSymbolicLink()) throw new SymlinkRefused(join(path, entry.name))
      seen += 1
      if (seen > entriesMax) {
        throw new InsecureDataDir(path, `more than ${entriesMax} entries, not one of ours`)
      }
    }
  } finally {
    directory.closeSync()
  }
}

abstract class DirectoryRefused extends HoldfastError {
  readonly path: string

  constructor(path: string, problem: string, remedy: string, cause?: unknown) {
    super(`${path}: ${problem}`, { retry: 'after-fix', remedy, cause })
    this.path = path
  }
}

export class DataDirMissing extends DirectoryRefused {
  readonly code = 'DataDirMissing'
  constructor(path: string) {
    super(path, 'no such directory', 'Create it with mode 0700, or name another one.')
  }
}

export class SymlinkRefused extends DirectoryRefused {
  readonly code = 'SymlinkRefused'
  constructor(path: string) {
    super(
      path,
      'a symbolic link, want the real file or directory',
      'Name the real directory, or put the real file in place of the link.',
    )
  }
}

export class InsecureDataDir extends DirectoryRefused {
  readonly code = 'InsecureDataDir'
  constructor(path: string, problem: string) {
    super(
      path,
      `${problem}, want a directory of ours with mode 0700`,
      'Find out who could have changed it, then run chmod 0700 and chown on it.',
    )
  }
}

export class InsecureParentDir extends DirectoryRefused {
  readonly code = 'InsecureParentDir'
  constructor(path: string) {
    super(
      path,
      'others may write here without the sticky bit and so replace the data directory',
      'Take the write permission of group and others away from it, or move the data directory.',
    )
  }
}

export class UnsupportedFileSystem extends DirectoryRefused {
  readonly code = 'UnsupportedFileSystem'
  constructor(path: string, name: string) {
    super(
      path,
      `file system ${name} does not keep the promises of flock and fsync, want a local one`,
      'Put the data directory on a local disk.',
    )
  }
}

export class NotWritable extends DirectoryRefused {
  readonly code = 'NotWritable'
  constructor(path: string, problem: string, cause?: unknown) {
    super(path, problem, 'Make it writable for this user, or name another one.', cause)
  }
}
