import { join } from 'node:path'
import { checkDirectory } from './directory-guard.js'
import { errnoOf } from './durable-file.js'
import { HoldfastError } from './errors.js'
import type { FileSystemOptions } from './file-system-type.js'
import { type HeldFile, identityAt, LockHelperFailed, lockByFlock } from './lock-file.js'
import { lockBySqlite } from './lock-file-sqlite.js'

/** The right to change one data directory; it dies with the process. */
export interface DirectoryLock {
  /** Absolute real path of the directory. */
  readonly path: string
  /** @throws DataDirLockLost when the lock file was removed or replaced, or this lock was released */
  assertHeld(): void
  /** Gives it back; the last holder in this process unlocks the directory. Safe to repeat. */
  release(): void
}

type Shared = { readonly file: HeldFile; readonly lockPath: string; holders: number }

/** Name of the lock file; it is never deleted. */
export const lockFileName: string = 'lock'
/** Times a lock file may be replaced between opening and locking it. */
const attemptsMax = 16
const held = new Map<string, Shared>()

/**
 * Checks a data directory and locks it for this process.
 *
 * @throws DataDirLocked at once when another process holds it; DataDirLockLost, LockHelperMissing,
 * LockHelperFailed; all that `checkDirectory` throws
 * @remarks One lock per directory and process, counted: every store of the directory takes it. The call is
 * synchronous and takes about 10 ms. On Linux it is flock(2), elsewhere a SQLite lock: a matter of the
 * platform, never of what is installed.
 */
export function acquireDirectory(path: string, options: FileSystemOptions = {}): DirectoryLock {
  const real = checkDirectory(path, options)
  try {
    return acquireChecked(real)
  } catch (cause) {
    const errno = errnoOf(cause)
    if (errno === undefined) throw cause
    throw new LockHelperFailed(join(real, lockFileName), `it cannot be looked at (${errno})`, cause)
  }
}

function acquireChecked(real: string): DirectoryLock {
  const directory = identityAt(real)
  if (directory === undefined) throw new DataDirLockLost(real)
  let shared = held.get(directory)
  if (shared === undefined) {
    const lockPath = join(real, lockFileName)
    shared = { file: lockFile(lockPath, real), lockPath, holders: 0 }
    held.set(directory, shared)
  } else {
    assertSame(shared, real)
  }
  shared.holders += 1
  return holder(shared, real, directory)
}

/**
 * Locks a directory only when that changes nothing: for commands that look and do not touch.
 *
 * @returns `held` when any process holds it, this one included; `absent` when it was never locked
 * @throws LockHelperMissing, LockHelperFailed, SymlinkRefused
 */
export function holdIfFree(path: string): DirectoryLock | 'held' | 'absent' {
  const directory = identityAt(path)
  const lockPath = join(path, lockFileName)
  if (directory === undefined) return 'absent'
  if (held.has(directory)) return 'held'
  if (identityAt(lockPath) === undefined) return 'absent'
  try {
    const shared = { file: lockFile(lockPath, path), lockPath, holders: 1 }
    held.set(directory, shared)
    return holder(shared, path, directory)
  } catch (error) {
    if (error instanceof DataDirLocked) return 'held'
    throw error
  }
}

function holder(shared: Shared, path: string, directory: string): DirectoryLock {
  let released = false
  return {
    path,
    assertHeld() {
      if (released) throw new DataDirLockLost(path)
      assertSame(shared, path)
    },
    release() {
      if (released) return
      released = true
      shared.holders -= 1
      if (shared.holders > 0) return
      held.delete(directory)
      shared.file.close()
    },
  }
}

function assertSame(shared: Shared, path: string): void {
  let identity: string | undefined
  try {
    identity = identityAt(shared.lockPath)
  } catch (cause) {
    // What cannot be looked at is not known to be ours: nothing is written then.
    const problem = `it cannot be looked at (${errnoOf(cause) ?? 'unknown'})`
    throw new LockHelperFailed(shared.lockPath, problem, cause)
  }
  if (identity !== shared.file.identity) throw new DataDirLockLost(path)
}

function lockFile(lockPath: string, directory: string): HeldFile {
  const lockOnce = process.platform === 'linux' ? lockByFlock : lockBySqlite
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const file = lockOnce(lockPath)
    if (file === undefined) throw new DataDirLocked(directory)
    // Somebody may have replaced the file after we opened it: then we hold a lock that nobody else sees.
    if (identityAt(lockPath) === file.identity) return file
    file.close()
  }
  throw new LockHelperFailed(lockPath, `it was replaced ${attemptsMax} times while being locked`)
}

export class DataDirLocked extends HoldfastError {
  readonly code = 'DataDirLocked'
  constructor(path: string) {
    super(`${path}: locked by another process`, {
      retry: 'safe',
      remedy: 'Stop the other Holdfast process that uses this directory, then try again.',
    })
  }
}

export class DataDirLockLost extends HoldfastError {
  readonly code = 'DataDirLockLost'
  constructor(path: string) {
    super(`${path}: the directory lock is no longer ours, want it held while anything is written`, {
      retry: 'after-fix',
      remedy: 'Stop this process, find out who removed the lock file, and start again.',
    })
  }
}
