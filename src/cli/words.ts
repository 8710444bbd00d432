import { resolve, sep } from 'node:path'
import { wipe } from '../base/bytes.js'
import { errnoOf, removeFile, writeNew } from '../base/durable-file.js'
import { HoldfastError } from '../base/errors.js'
import { InvalidMnemonic, seedFromPhrase } from '../wallet/mnemonic.js'
import { Usage } from './usage.js'

/** What is wrong with a phrase, in words that do not repeat it; `undefined` when nothing is. */
export function phraseProblem(phrase: string): string | undefined {
  try {
    wipe(seedFromPhrase(phrase))
    return undefined
  } catch (error) {
    if (error instanceof InvalidMnemonic) return error.message
    throw error
  }
}

/** New words in a file of their own, for as long as the registration may still need them. */
export type WordsFile = {
  /** Removes the file again; the words belong to no wallet. */
  readonly remove: () => void
}

/**
 * Writes new words to a file (0600, durable) that must not exist yet.
 *
 * @throws WordsFileExists, WordsFileFailed, Usage when the file would stand in the data directory
 */
export function writeWords(file: string, phrase: string, dataDir: string): WordsFile {
  const path = resolve(file)
  if (path === dataDir || path.startsWith(dataDir + sep)) {
    throw new Usage('--words-out must be outside the data directory, which never holds words')
  }
  const bytes = new TextEncoder().encode(`${phrase}\n`)
  try {
    writeNew(path, bytes)
  } catch (cause) {
    throw errnoOf(cause) === 'EEXIST' ? new WordsFileExists(path) : new WordsFileFailed(path, cause)
  } finally {
    wipe(bytes)
  }
  return { remove: () => removeFile(path) }
}

/** The file for new words is there already; it is never overwritten. */
export class WordsFileExists extends HoldfastError {
  readonly code = 'WordsFileExists'
  constructor(path: string) {
    super(`${path}: exists already, want a new file for the words`, {
      retry: 'after-fix',
      remedy: 'Name another file, or register the words in this one with --words-file.',
    })
  }
}

/** The file for new words could not be written; no wallet was made. */
export class WordsFileFailed extends HoldfastError {
  readonly code = 'WordsFileFailed'
  constructor(path: string, cause: unknown) {
    super(`${path}: the words cannot be written (${errnoOf(cause) ?? 'unknown'})`, {
      retry: 'after-fix',
      remedy: 'Name a file in a directory that exists and can be written.',
      cause,
    })
  }
}
