import { sep } from 'node:path'
import { tokenFileBytesMax } from '../base/limits.js'
import type { Environment } from './environment.js'
import { exposure, type FoundFile, type ReadFile, readFault } from './private-file.js'
import type { Problem } from './problem.js'

/** A token, or why its file gives none. */
export type TokenRead =
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'problem'; readonly problem: Problem }

/** Reads the one line of a token file, without blanks around it. */
export function readTokenFile(
  key: string,
  path: string,
  { readFile, environment }: { readonly readFile: ReadFile; readonly environment: Environment },
): TokenRead {
  const problem = (kind: Problem['kind'], wrong: string, remedy: string): TokenRead => ({
    kind: 'problem',
    problem: { key, kind, wrong: `${path}: ${wrong}`, remedy },
  })
  let found: FoundFile
  try {
    found = readFile(path, tokenFileBytesMax)
  } catch (error) {
    const wrong = readFault(error, tokenFileBytesMax)
    return problem('malformed', wrong, 'Name a file that holds the token and nothing else.')
  }
  // systemd shows the mask of its access list as group bits; it made the folder, and only for this service.
  const folder = environment.CREDENTIALS_DIRECTORY
  const isCredential = folder !== undefined && folder !== '' && path.startsWith(`${folder}${sep}`)
  const exposed = isCredential ? undefined : exposure(found, true)
  if (exposed !== undefined) {
    return problem('refused', exposed, 'Run "chmod 600" on it as its owner, root or this user.')
  }
  const token = new TextDecoder('utf-8').decode(found.bytes).trim()
  if (token === '') return problem('refused', 'empty', 'Write the token into it.')
  if (/[\p{Cc}\ufffd]/u.test(token)) {
    return problem('refused', 'not one line of text', 'Write the token alone into it, as UTF-8.')
  }
  return { kind: 'token', token }
}
