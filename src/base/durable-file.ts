import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'

/*
 * Every function here is synchronous and writes at explicit positions (pwrite), so that the system calls
 * are ours alone and come in the order of the code. All of them throw Node's errno errors; callers translate.
 */

/**
 * Creates a file that must not exist yet: mode 0600, content and name durable on return.
 *
 * @remarks On any failure the file is unlinked again before the error is rethrown.
 * @throws EEXIST when the name is taken, also by a symlink.
 */
export function writeNew(path: string, bytes: Uint8Array): void {
  createSynced(path, bytes)
  try {
    syncFolder(dirname(path))
  } catch (error) {
    unlinkQuietly(path)
    throw error
  }
}

/**
 * Puts these bytes under the name in one step, whatever was there before.
 *
 * @remarks A reader sees the old file or the new one. When only the last sync of the folder fails, the new
 * file may already stand there: the call is safe to repeat. A kill may leave a file of `isTemporaryName`.
 */
export function replaceFile(path: string, bytes: Uint8Array): void {
  const temporary = join(dirname(path), `.holdfast-${randomBytes(8).toString('hex')}.tmp`)
  createSynced(temporary, bytes)
  try {
    renameSync(temporary, path)
  } catch (error) {
    unlinkQuietly(temporary)
    throw error
  }
  syncFolder(dirname(path))
}

/** True for the names that an interrupted `replaceFile` leaves behind; such files may be removed. */
export function isTemporaryName(name: string): boolean {
  return /^\.holdfast-[0-9a-f]{16}\.tmp$/.test(name)
}

/**
 * Renames onto a free name and makes that durable.
 *
 * @remarks `rename` overwrites silently, so the name is looked at first; whoever shares the folder must hold
 * the same lock as the caller.
 * @throws EEXIST when the target is taken, ENOENT when the source is missing.
 */
export function moveNew(from: string, to: string): void {
  if (lstatSync(to, { throwIfNoEntry: false }) !== undefined) throw refusal('EEXIST', 'rename', to)
  renameSync(from, to)
  syncFolder(dirname(to))
  if (dirname(from) !== dirname(to)) syncFolder(dirname(from))
}

/**
 * Removes a file durably; no-op when it is gone.
 *
 * @remarks The folder is synced in both cases: an earlier call may have been stopped between unlink and sync.
 */
export function removeFile(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
  syncFolder(dirname(path))
}

/** Makes the names in a folder durable. */
export function syncFolder(path: string): void {
  // Windows has no such call; its file system journals names by itself.
  if (process.platform === 'win32') return
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/**
 * Reads a whole regular file.
 *
 * @param maxBytes Largest size that is read at all.
 * @throws ELOOP for a symlink, EINVAL for anything else that is no regular file, EFBIG above the bound.
 */
export function readBounded(path: string, maxBytes: number): Uint8Array {
  // Without O_NONBLOCK the open of a named pipe would wait for a writer for ever.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const fd = openSync(path, flags)
  try {
    const found = fstatSync(fd)
    if (!found.isFile()) throw refusal('EINVAL', 'read', path)
    if (found.size > maxBytes) throw refusal('EFBIG', 'read', path)
    const bytes = new Uint8Array(found.size)
    let at = 0
    while (at < bytes.length) {
      const count = readSync(fd, bytes, at, bytes.length - at, at)
      if (count === 0) break
      at += count
    }
    return bytes.subarray(0, at)
  } finally {
    closeSync(fd)
  }
}

/** The errno name (`ENOSPC`, ...) of an error that came from a system call. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('syscall' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

function createSynced(path: string, bytes: Uint8Array): void {
  const fd = openSync(path, 'wx', 0o600)
  try {
    try {
      writeAll(fd, bytes, path)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    unlinkQuietly(path)
    throw error
  }
}

function writeAll(fd: number, bytes: Uint8Array, path: string): void {
  let at = 0
  while (at < bytes.length) {
    const count = writeSync(fd, bytes, at, bytes.length - at, at)
    if (count === 0) throw refusal('EIO', 'write', path)
    at += count
  }
}

function unlinkQuietly(path: string): void {
  try {
    removeFile(path)
  } catch {
    // The error that led here is the one the caller needs; a file that stays is found again by its name.
  }
}

function refusal(code: string, syscall: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: refused, ${syscall} '${path}'`), { code, syscall, path })
}
