import { constants, copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { neverAborted } from '../base/abort.js'
import { DataDirLocked, holdIfFree } from '../base/directory-lock.js'
import { errnoOf } from '../base/durable-file.js'
import { StoreFailed } from '../base/persistence.js'
import type { JobStore } from '../covenant/store.js'
import { openSqliteJobStore } from '../store/sqlite/index.js'
import type { JobFiles } from './job-files.js'
import { databaseFiles, layoutOf } from './layout.js'

/**
 * Opens a private copy of a job store, since opening the store itself writes to it, and the ledger stays whole.
 *
 * @remarks The directory is held meanwhile, so that nobody writes what is being copied. Whatever is done to the copy
 * is gone afterwards.
 * @throws DataDirLocked, and what opening a store throws
 */
export async function withJobCopy<T>(
  files: JobFiles,
  look: (store: JobStore) => Promise<T>,
): Promise<T> {
  const lock = holdIfFree(files.root)
  if (lock === 'held') throw new DataDirLocked(files.root)
  let copy: string | undefined
  try {
    copy = mkdtempSync(join(tmpdir(), 'holdfast-jobs-'))
    copyFiles(files, copy)
    const store = await openSqliteJobStore(copy)
    try {
      // A store that takes no new keys still tells what it has.
      await store.ready(neverAborted).catch(() => undefined)
      return await look(store)
    } finally {
      await store.close()
    }
  } finally {
    if (copy !== undefined) rmSync(copy, { recursive: true, force: true })
    if (typeof lock === 'object') lock.release()
  }
}

function copyFiles({ root, segments }: JobFiles, to: string): void {
  const paths = [...databaseFiles(layoutOf(root).jobs), ...segments.map(({ path }) => path)]
  for (const path of paths) {
    try {
      copyFileSync(path, join(to, basename(path)), constants.COPYFILE_FICLONE)
    } catch (cause) {
      if (errnoOf(cause) === 'ENOENT') continue
      throw new StoreFailed('job store: copying it to read from', 'transient', { cause })
    }
  }
}
