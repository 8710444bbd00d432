import { spawnSync } from 'node:child_process'
import { closeSync, constants, fstatSync, lstatSync, openSync } from 'node:fs'
import { SymlinkRefused } from './directory-guard.js'
import { errnoOf } from './durable-file.js'
import { HoldfastError } from './errors.js'
import { lockHelperTimeoutMs } from './limits.js'

/** A file that is locked exclusively for this process until it is closed. */
export type HeldFile = {
  /** `device:inode` of the locked file. */
  readonly identity: string
  close(): void
}

/**
 * Locks a file with flock(2), making it (0600) when it is missing.
 *
 * @returns `undefined` when somebody else holds the lock
 * @throws LockHelperMissing, LockHelperFailed, SymlinkRefused
 * @remarks flock(1) locks the open file that it shares with us and exits; the lock stays with our descriptor.
 */
export function lockByFlock(path: string): HeldFile | undefined {
  const descriptor = openLockFile(path)
  try {
    if (flock(descriptor, path)) {
      const locked = identityOf(descriptor)
      assertExclusive(path, locked)
      return { identity: locked, close: () => closeSync(descriptor) }
    }
  } catch (error) {
    closeSync(descriptor)
    throw error
  }
  closeSync(descriptor)
  return undefined
}

/** `device:inode` of what stands at a path, `undefined` when nothing does. */
export function identityAt(path: string): string | undefined {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  return stats === undefined ? undefined : `${stats.dev}:${stats.ino}`
}

function identityOf(descriptor: number): string {
  const stats = fstatSync(descriptor, { bigint: true })
  return `${stats.dev}:${stats.ino}`
}

/** Locking a second descriptor must fail, or else what ran as flock(1) only pretends, or the file system does. */
function assertExclusive(path: string, locked: string): void {
  const second = openLockFile(path)
  try {
    // A file that was replaced meanwhile proves nothing; the caller compares the path once more.
    if (identityOf(second) !== locked || !flock(second, path)) return
  } finally {
    closeSync(second)
  }
  throw new LockHelperFailed(path, 'flock(1) reported success but the file is not locked')
}

function openLockFile(path: string): number {
  const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants
  let descriptor: number
  try {
    // Node adds O_CLOEXEC: no child inherits the descriptor unless it is handed over by name.
    descriptor = openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600)
  } catch (cause) {
    if (errnoOf(cause) === 'ELOOP') throw new SymlinkRefused(path)
    throw new LockHelperFailed(path, 'it cannot be opened', cause)
  }
  if (fstatSync(descriptor).isFile()) return descriptor
  closeSync(descriptor)
  throw new LockHelperFailed(path, 'it is not a regular file')
}

function flock(descriptor: number, path: string): boolean {
  const { error, status, signal } = spawnSync('flock', ['-x', '-n', '3'], {
    stdio: ['ignore', 'ignore', 'ignore', descriptor],
    timeout: lockHelperTimeoutMs,
    killSignal: 'SIGKILL',
  })
  if (errnoOf(error) === 'ENOENT') throw new LockHelperMissing()
  if (error !== undefined) throw new LockHelperFailed(path, 'flock(1) did not finish', error)
  if (status === 0) return true
  if (status === 1) return false
  throw new LockHelperFailed(path, `flock(1) ended with ${signal ?? `status ${status}`}`)
}

export class LockHelperMissing extends HoldfastError {
  readonly code = 'LockHelperMissing'
  constructor() {
    super('flock(1): not found, it is needed to lock the data directory', {
      retry: 'after-fix',
      remedy: 'Install the package that has flock (util-linux) and make sure it is on the PATH.',
    })
  }
}

export class LockHelperFailed extends HoldfastError {
  readonly code = 'LockHelperFailed'
  constructor(path: string, problem: string, cause?: unknown) {
    super(`${path}: ${problem}`, {
      retry: 'after-fix',
      remedy: 'Run "holdfast doctor" and look at the file system and at flock(1).',
      cause,
    })
  }
}
