import { lstatSync } from 'node:fs'
import { checkDirectory } from '../base/directory-guard.js'
import { listSegments, type Segment } from '../store/ledger-segments.js'
import { layoutOf } from './layout.js'

/** What a data directory holds of the job store. */
export type JobFiles = {
  /** Absolute real path of the directory. */
  readonly root: string
  /** True when there is a database with something in it. */
  readonly hasDatabase: boolean
  /** Files of the ledger, in the order of their lines. */
  readonly segments: readonly Segment[]
}

/**
 * Looks for database and ledger, and changes nothing.
 *
 * @returns undefined when the directory is missing or holds neither
 * @throws what `checkDirectory` throws for a directory that is there
 */
export function findJobFiles(directory: string): JobFiles | undefined {
  if (lstatSync(directory, { throwIfNoEntry: false }) === undefined) return undefined
  const root = checkDirectory(directory)
  const found = lstatSync(layoutOf(root).jobs, { throwIfNoEntry: false })
  const hasDatabase = found !== undefined && (!found.isFile() || found.size > 0)
  const segments = listSegments(root)
  return hasDatabase || segments.length > 0 ? { root, hasDatabase, segments } : undefined
}
