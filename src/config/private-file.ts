import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'

/** A file as it was found. */
export type FoundFile = {
  readonly bytes: Uint8Array
  /** Permission bits. */
  readonly mode: number
  /** User id of the owner. */
  readonly ownerId: number
}

/**
 * Reads a small regular file whole.
 *
 * @throws an error whose `code` says why, such as `ENOENT`, `EFBIG` for a larger one, `EISDIR` for what is no file
 */
export type ReadFile = (path: string, sizeBytesMax: number) => FoundFile

/** `ReadFile` on this machine. */
export const readRegularFile: ReadFile = (path, sizeBytesMax) => {
  // Opening a pipe must not wait for a writer.
  const descriptor = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  try {
    const stats = fstatSync(descriptor)
    if (!stats.isFile()) throw fileError('EISDIR', 'no regular file')
    const bytes = new Uint8Array(Math.min(stats.size, sizeBytesMax) + 1)
    let size = 0
    for (;;) {
      const read = readSync(descriptor, bytes, size, bytes.length - size, size)
      size += read
      if (size === bytes.length) throw fileError('EFBIG', `larger than ${sizeBytesMax} bytes`)
      if (read === 0) break
    }
    return { bytes: bytes.subarray(0, size), mode: stats.mode & 0o777, ownerId: stats.uid }
  } finally {
    closeSync(descriptor)
  }
}

/** Why a read failed, in words: `not found`, `larger than ...`, or the code of the system. */
export function readFault(error: unknown, sizeBytesMax: number): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
  if (code === 'ENOENT') return 'not found'
  if (code === 'EFBIG') return `larger than ${sizeBytesMax} bytes`
  if (code === 'EISDIR') return 'not a regular file'
  return `cannot be read (${code})`
}

/**
 * Whether others could have changed a file, or read it where it is private; `undefined` when all is well.
 *
 * @remarks On Windows modes and owners mean nothing and are left to the profile's access list.
 */
export function exposure({ mode, ownerId }: FoundFile, isPrivate: boolean): string | undefined {
  const own = process.getuid?.()
  if (own === undefined) return undefined
  if (ownerId !== own && ownerId !== 0) return `owned by user ${ownerId}, want this user or root`
  const octal = mode.toString(8).padStart(4, '0')
  if ((mode & 0o022) !== 0) return `mode ${octal}: others can change it`
  if (isPrivate && (mode & 0o077) !== 0) return `mode ${octal}: others can read its secrets`
  return undefined
}

function fileError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}
