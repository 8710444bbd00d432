import { createDirectory } from '../base/directory-guard.js'
import type { Operator } from '../covenant/store.js'
import type { Progress } from '../store/keep-core/check.js'
import {
  type ExportReport,
  exportKeepCore,
  exportWithoutQuarantined,
} from '../store/keep-core/export.js'
import { type ImportReport, importKeepCore } from '../store/keep-core/import.js'
import { openKeepCore } from '../store/keep-core/source.js'
import { openJobStore } from '../store/sqlite/index.js'

export { checkKeepCore, type Progress } from '../store/keep-core/check.js'
export type { ExportReport } from '../store/keep-core/export.js'
export type { ImportReport } from '../store/keep-core/import.js'
export type { Verdicts } from '../store/keep-core/verdicts.js'

type Watch = { readonly onProgress: (progress: Progress) => void; readonly signal: AbortSignal }

/**
 * Takes a keep-core directory over into the job store of a data directory, which is made when it is missing.
 *
 * @param options.parents make missing parents of the data directory too
 * @throws what `importKeepCore` and opening the store throw
 */
export async function importIntoDirectory(
  path: string,
  source: string,
  by: Operator,
  { parents, onProgress, signal }: Watch & { readonly parents: boolean },
): Promise<ImportReport> {
  // What can be refused is refused before anything is made.
  openKeepCore(source).close()
  const store = await openJobStore(createDirectory(path, { parents }))
  try {
    // Which keys a damaged record still names is known when the witnesses were compared.
    await store.reconcile(signal)
    return await importKeepCore({ target: store, onProgress }, source, by, signal)
  } finally {
    await store.close()
  }
}

/**
 * Writes the jobs of a data directory as a keep-core directory.
 *
 * @param options.leaveOut write the files although quarantined records have none
 * @throws what `exportKeepCore` and opening the store throw
 */
export async function exportFromDirectory(
  path: string,
  target: string,
  { leaveOut, onProgress, signal }: Watch & { readonly leaveOut: boolean },
): Promise<ExportReport> {
  const store = await openJobStore(path, { create: false })
  try {
    await store.reconcile(signal)
    const write = leaveOut ? exportWithoutQuarantined : exportKeepCore
    return await write({ source: store, onProgress }, target, signal)
  } finally {
    await store.close()
  }
}
