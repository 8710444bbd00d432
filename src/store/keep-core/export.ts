import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, realpathSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { neverAborted } from '../../base/abort.js'
import { errnoOf, syncFolder, writeNew } from '../../base/durable-file.js'
import { HoldfastError, throwIfAborted } from '../../base/errors.js'
import { type FaultPoints, noFaults } from '../../base/fault-points.js'
import { exportPageJobs, exportRecordsMax } from '../../base/limits.js'
import type { JobStore, QuarantineRecord } from '../../covenant/store.js'
import type { Progress } from './check.js'
import { fileNameOf, writeJobFile } from './job-file.js'
import { jobsDirectoryName } from './source.js'

export type ExportDeps = {
  readonly source: Pick<JobStore, 'list' | 'listQuarantined'>
  readonly faults?: FaultPoints
  readonly onProgress?: (progress: Progress) => void
}

export type ExportReport = {
  /** Where keep-core finds the files; undefined when nothing was written. */
  readonly path: string | undefined
  /** Files that were written. */
  readonly loaded: number
  /** Records whose keys no file can stand for. */
  readonly quarantined: readonly QuarantineRecord[]
}

/**
 * Writes a store's jobs as files that keep-core loads, all of them or none.
 *
 * @param directory keep-core's new data directory, or the new `covenant-signer-jobs` in it
 * @remarks The files are made beside their place and put there by one rename. While records are quarantined
 * nothing is written: keep-core would take their keys for new ones.
 * @throws ExportTargetTaken, ExportFailed, Aborted; what the store throws
 */
export async function exportKeepCore(
  deps: ExportDeps,
  directory: string,
  signal: AbortSignal = neverAborted,
): Promise<ExportReport> {
  const { source } = deps
  const quarantined = await source.listQuarantined(exportRecordsMax)
  if (quarantined.length > 0) return { path: undefined, loaded: 0, quarantined }
  return exportWhole(deps, directory, signal)
}

/** As `exportKeepCore`, but leaves the keys of quarantined records out: keep-core takes them for new ones. */
export async function exportWithoutQuarantined(
  deps: ExportDeps,
  directory: string,
  signal: AbortSignal = neverAborted,
): Promise<ExportReport> {
  const quarantined = await deps.source.listQuarantined(exportRecordsMax)
  return { ...(await exportWhole(deps, directory, signal)), quarantined }
}

async function exportWhole(
  deps: ExportDeps,
  directory: string,
  signal: AbortSignal,
): Promise<ExportReport> {
  const named = resolve(directory)
  const root = basename(named) === jobsDirectoryName ? dirname(named) : named
  const { faults = noFaults } = deps
  try {
    makeEmpty(named, root)
    const staged = join(root, `.holdfast-export-${randomBytes(8).toString('hex')}.tmp`)
    mkdirSync(staged, { mode: 0o700 })
    try {
      const loaded = await writeJobs(deps, staged, signal)
      await faults.pause('export.rename.before')
      const path = join(realpathSync(root), jobsDirectoryName)
      // An empty directory of that name is replaced; one that was filled meanwhile refuses the rename.
      renameSync(staged, path)
      await faults.pause('export.rename.after')
      syncFolder(root)
      return { path, loaded, quarantined: [] }
    } catch (error) {
      rmSync(staged, { recursive: true, force: true })
      throw error
    }
  } catch (cause) {
    if (errnoOf(cause) === 'ENOTEMPTY' || errnoOf(cause) === 'EEXIST') {
      throw new ExportTargetTaken(named)
    }
    throw errnoOf(cause) === undefined ? cause : new ExportFailed(named, cause)
  }
}

/** Makes the directory unless it is there, and drops what a stopped export left in it. */
function makeEmpty(named: string, root: string): void {
  if (mkdirSync(root, { recursive: true, mode: 0o700 }) !== undefined) syncFolder(dirname(root))
  for (const name of readdirSync(root)) {
    if (/^\.holdfast-export-[0-9a-f]{16}\.tmp$/.test(name)) {
      rmSync(join(root, name), { recursive: true })
    } else if (named === root || (name === jobsDirectoryName && readdirSync(named).length > 0)) {
      throw new ExportTargetTaken(named)
    }
  }
}

async function writeJobs(
  { source, onProgress, faults = noFaults }: ExportDeps,
  staged: string,
  signal: AbortSignal,
): Promise<number> {
  let written = 0
  for (let afterSeq = 0n; ; ) {
    // A page may be short because records among its jobs are set aside; only an empty one is the last.
    const page = await source.list({ afterSeq, limit: exportPageJobs })
    if (page.length === 0) return written
    for (const job of page) {
      writeNew(join(staged, fileNameOf(job.requestId)), writeJobFile(job))
      written += 1
      afterSeq = job.seq
      await faults.pause('export.job.after')
    }
    onProgress?.({ stage: 'exporting', done: written, total: written })
    await setImmediate()
    throwIfAborted(signal, 'export')
  }
}

/** The directory for an export holds something. */
export class ExportTargetTaken extends HoldfastError {
  readonly code = 'ExportTargetTaken'
  constructor(path: string) {
    super(`${path}: it holds something, want an empty or a new directory`, {
      retry: 'after-fix',
      remedy: 'Name a directory that does not exist yet.',
    })
  }
}

/** The files could not be written; none is left. */
export class ExportFailed extends HoldfastError {
  readonly code = 'ExportFailed'
  constructor(path: string, cause: unknown) {
    super(`${path}: the job files cannot be written`, {
      retry: 'safe',
      remedy: 'Look at the cause, make room or take another directory, then export again.',
      cause,
    })
  }
}
