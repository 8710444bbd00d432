import { hash } from 'node:crypto'
import { lstatSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { neverAborted } from '../../base/abort.js'
import { errnoOf, readBounded } from '../../base/durable-file.js'
import { throwIfAborted } from '../../base/errors.js'
import { keepCoreFileBytesMax } from '../../base/limits.js'
import type { RequestId } from '../../covenant/job.js'
import type { KnownJob } from './import-target.js'
import { parseInstant } from './instant.js'
import { type DamageCode, idOfFileName, readJobFile } from './job-file.js'
import { type KeepCoreSource, openKeepCore, type SourceFile } from './source.js'
import { judgeFiles, type ReadFile, type Verdicts } from './verdicts.js'

/** How far a walk over files is; `reading` comes before `importing`. */
export type Progress = {
  readonly stage: 'reading' | 'importing' | 'exporting'
  readonly done: number
  readonly total: number
}

export type CheckOptions = {
  /** What is known of a request id from elsewhere, for files that do not say their key. */
  readonly findKey?: (id: RequestId) => Promise<KnownJob | undefined>
  readonly onProgress?: (progress: Progress) => void
  readonly signal?: AbortSignal
}

/** Files that are read before others get their turn. */
const sliceFiles = 64

/**
 * Reads a keep-core directory and says what each of its job files stands for; nothing is changed.
 *
 * @param directory keep-core's data directory, or the jobs directory in it
 * @throws KeepCoreLocked, KeepCoreUnreadable, Aborted; LockHelperMissing, LockHelperFailed, SymlinkRefused
 */
export async function checkKeepCore(
  directory: string,
  options: CheckOptions = {},
): Promise<Verdicts> {
  const source = openKeepCore(directory)
  try {
    return await checkSource(source, options)
  } finally {
    source.close()
  }
}

/** As `checkKeepCore`, for a directory that is open. */
export async function checkSource(
  source: KeepCoreSource,
  { findKey, onProgress, signal = neverAborted }: CheckOptions,
): Promise<Verdicts> {
  const files = source.list()
  const read: ReadFile[] = []
  for (const [at, file] of files.entries()) {
    read.push(readFile(file))
    if ((at + 1) % sliceFiles !== 0 && at + 1 !== files.length) continue
    onProgress?.({ stage: 'reading', done: at + 1, total: files.length })
    await setImmediate()
    throwIfAborted(signal, 'check')
  }
  const witnessed = new Map<RequestId, KnownJob>()
  for (const { nameId, content } of read) {
    const silent = content.kind === 'damaged' && nameId !== undefined
    const known = silent ? await findKey?.(nameId) : undefined
    if (silent && known !== undefined) witnessed.set(nameId, known)
  }
  source.assertFree()
  return judgeFiles(read, witnessed)
}

/** The bytes of a file, or why there are none. */
export function readBytes(
  path: string,
): Uint8Array | { readonly code: DamageCode; readonly reason: string } {
  try {
    return readBounded(path, keepCoreFileBytesMax)
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === undefined) throw error
    if (errno === 'ELOOP') return { code: 'symlink', reason: 'it is a symbolic link' }
    if (errno === 'EFBIG') {
      return { code: 'tooLarge', reason: `it is larger than ${keepCoreFileBytesMax} bytes` }
    }
    const reason = errno === 'EINVAL' ? 'it is not a regular file' : `it cannot be read: ${errno}`
    return { code: 'unreadable', reason }
  }
}

/** SHA-256 of bytes as 64 hex digits; of no bytes for a file that could not be read. */
export function printOf(bytes: ReturnType<typeof readBytes>): string {
  return hash('sha256', bytes instanceof Uint8Array ? bytes : new Uint8Array())
}

function readFile(file: SourceFile): ReadFile {
  const bytes = readBytes(file.path)
  const known = { ...file, sha256: printOf(bytes), nameId: idOfFileName(file.name) }
  if (!(bytes instanceof Uint8Array)) {
    const sizeBytes = sizeOf(file.path)
    return { ...known, sizeBytes, content: { kind: 'damaged', ...bytes } }
  }
  const reading = readJobFile(file.name, bytes)
  const sizeBytes = bytes.length
  if (reading.kind === 'damaged') return { ...known, sizeBytes, content: reading }
  const { identity, progress } = reading.job
  const { requestId, route, routeRequestId, outpoint } = identity
  const updatedAtNs = parseInstant(progress.updatedAt)
  const key = { route, routeRequestId }
  return { ...known, sizeBytes, content: { kind: 'job', requestId, key, outpoint, updatedAtNs } }
}

function sizeOf(path: string): number {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.size ?? 0
  } catch {
    // A size is for people only; the file is set aside for what could not be read.
    return 0
  }
}
