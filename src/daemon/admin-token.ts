import { randomBytes } from 'node:crypto'
import { lstatSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { exposure } from '../base/directory-guard.js'
import { errnoOf, moveNew, readBounded, writeNew } from '../base/durable-file.js'
import { HoldfastError } from '../base/errors.js'
import { tokenFileBytesMax } from '../base/limits.js'

/** Bytes of a token that is made here; the file holds them as hex. */
const tokenBytes = 32

/**
 * Reads the admin token, which is made when there is no file yet: 32 random bytes as hex, mode 0600, durable.
 *
 * @throws AdminTokenRefused for a file that others can read or change, or that holds no token; what is there is never
 * overwritten
 */
export function openAdminToken(path: string): string {
  try {
    const stats = lstatSync(path, { throwIfNoEntry: false })
    if (stats === undefined) return makeToken(path)
    const exposed = exposure(stats)
    if (exposed !== undefined) {
      throw new AdminTokenRefused(path, exposed, 'Run "chmod 600" on it as its owner.')
    }
    return readToken(path, readBounded(path, tokenFileBytesMax))
  } catch (cause) {
    if (cause instanceof AdminTokenRefused) throw cause
    const remedy = 'Name a file of mode 0600 in a folder of this user under admin.tokenFile.'
    const why = `it cannot be made or read (${errnoOf(cause) ?? 'unknown'})`
    throw new AdminTokenRefused(path, why, remedy, cause)
  }
}

/** A kill in between leaves a temporary file, never half a token under the name. */
function makeToken(path: string): string {
  const token = randomBytes(tokenBytes).toString('hex')
  const temporary = join(dirname(path), `.holdfast-${randomBytes(8).toString('hex')}.tmp`)
  writeNew(temporary, Buffer.from(`${token}\n`))
  moveNew(temporary, path)
  return token
}

function readToken(path: string, bytes: Uint8Array): string {
  const token = new TextDecoder('utf-8').decode(bytes).trim()
  // What a header cannot carry could never be sent.
  if (/^[\x21-\x7e]{16,}$/.test(token)) return token
  const problem = 'it holds no token, want one line of at least 16 printable characters'
  const remedy = 'Remove the file, and the next start makes a new one.'
  throw new AdminTokenRefused(path, problem, remedy)
}

/** The file of the admin token cannot be made, or must not be used as it is. */
export class AdminTokenRefused extends HoldfastError {
  readonly code = 'AdminTokenRefused'
  constructor(path: string, problem: string, remedy: string, cause?: unknown) {
    super(`admin token ${path}: ${problem}`, { retry: 'after-fix', remedy, cause })
  }
}
