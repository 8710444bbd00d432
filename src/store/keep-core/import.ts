import { hash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { neverAborted } from '../../base/abort.js'
import { type Clock, systemClock } from '../../base/clock.js'
import { HoldfastError, throwIfAborted, unreachable } from '../../base/errors.js'
import { type FaultPoints, noFaults } from '../../base/fault-points.js'
import type { Intent, Operator } from '../../covenant/store.js'
import { checkSource, type Progress, printOf, readBytes } from './check.js'
import type { ImportedJob, ImportedRecord, ImportTarget } from './import-target.js'
import { readJobFile } from './job-file.js'
import { openKeepCore } from './source.js'
import type { LoadedFile, QuarantineCode, QuarantinedFile, Verdicts } from './verdicts.js'

export type ImportDeps = {
  readonly target: ImportTarget
  readonly clock?: Clock
  readonly faults?: FaultPoints
  readonly onProgress?: (progress: Progress) => void
}

/** `conflict`: the store says something else of its key. `fenced`: the store has closed its key. */
export type ImportQuarantineCode = QuarantineCode | 'conflict' | 'fenced'

/** A file that was set aside. */
export type SetAsideFile = Omit<QuarantinedFile, 'code'> & {
  readonly code: ImportQuarantineCode
  /** Id of the record that the store keeps of it. */
  readonly recordId: string
}

/** What an import did; the verdicts are those of a check, and what the store added to them. */
export type ImportReport = Pick<Verdicts, 'superseded'> & {
  /** Files whose jobs the store has now. */
  readonly loaded: readonly LoadedFile[]
  readonly quarantined: readonly SetAsideFile[]
  /** Jobs that are new in the store. */
  readonly imported: number
  /** Jobs that it had. */
  readonly present: number
  /** Jobs that it held unfinished and that are final now. */
  readonly advanced: number
  /** SHA-256 over the verdict of every file; the store's audit trail has it too. */
  readonly verdictsSha256: string
}

type Counts = { imported: number; present: number; advanced: number }

/**
 * Takes the jobs of a keep-core directory over into a store; the directory itself stays as it is.
 *
 * @remarks Every new key is closed from the first write to the last, so that an import that was stopped anywhere
 * cannot pass for a whole one. Running it again carries on, and once more changes nothing.
 * @throws KeepCoreLocked, KeepCoreUnreadable, KeepCoreChanged, Aborted; what the target throws
 */
export async function importKeepCore(
  deps: ImportDeps,
  directory: string,
  by: Operator,
  signal: AbortSignal = neverAborted,
): Promise<ImportReport> {
  const { target, faults = noFaults, onProgress } = deps
  const source = openKeepCore(directory)
  try {
    const findKey = target.findKey.bind(target)
    const progress = onProgress === undefined ? {} : { onProgress }
    const verdicts = await checkSource(source, { findKey, signal, ...progress })
    const importId = `import-${shortHash(source.directory)}`
    await faults.pause('import.begin.before')
    await target.beginImport(importId, by)
    await faults.pause('import.begin.after')
    const { quarantined, ...counts } = await writeVerdicts(deps, verdicts, signal)
    source.assertFree()
    const refused = new Set(quarantined.map(({ file }) => file))
    const loaded = verdicts.loaded.filter(({ file }) => !refused.has(file))
    const report = { loaded, superseded: verdicts.superseded, quarantined, ...counts }
    const verdictsSha256 = printOfVerdicts(report)
    await faults.pause('import.end.before')
    await target.endImport(importId, { ...sizesOf(report), verdictsSha256 }, by)
    await faults.pause('import.end.after')
    return { ...report, verdictsSha256 }
  } finally {
    source.close()
  }
}

/** Sets damaged files aside first, then takes the jobs over one by one. */
async function writeVerdicts(
  deps: ImportDeps,
  { loaded, superseded, quarantined }: Verdicts,
  signal: AbortSignal,
): Promise<Counts & { readonly quarantined: readonly SetAsideFile[] }> {
  const { target, clock = systemClock, faults = noFaults, onProgress } = deps
  const total = quarantined.length + loaded.length
  let done = 0
  const step = async (): Promise<void> => {
    done += 1
    onProgress?.({ stage: 'importing', done, total })
    await setImmediate()
    throwIfAborted(signal, 'import')
  }
  const counts: Counts = { imported: 0, present: 0, advanced: 0 }
  const kept: SetAsideFile[] = []
  for (const file of quarantined) {
    kept.push(await keepRecord(target, clock, file))
    await faults.pause('import.setAside.after')
    await step()
  }
  const losers = byWinner(superseded)
  for (const file of loaded) {
    const job = readAgain(file)
    const lost = (losers.get(file.requestId) ?? []).flatMap((loser) => readAgain(loser).intents)
    const refused = await takeOver(target, file, withIntents(job, lost), counts)
    await faults.pause('import.job.after')
    // What has a fence has a record.
    if (refused?.code === 'fenced') kept.push(refused)
    else if (refused !== undefined) kept.push(await keepRecord(target, clock, refused))
    await step()
  }
  return { ...counts, quarantined: kept.sort((a, b) => (a.file < b.file ? -1 : 1)) }
}

function byWinner(superseded: Verdicts['superseded']): ReadonlyMap<string, LoadedFile[]> {
  const losers = new Map<string, LoadedFile[]>()
  for (const file of superseded) {
    const known = losers.get(file.by)
    if (known === undefined) losers.set(file.by, [file])
    else known.push(file)
  }
  return losers
}

/** What superseded jobs signed stays signed: the job that took their key keeps their outpoints closed. */
function withIntents(job: ImportedJob, more: readonly Intent[]): ImportedJob {
  const intents = [...job.intents]
  for (const intent of more) {
    const { outpoint, sighash } = intent
    if (intents.some((one) => one.outpoint === outpoint && one.sighash === sighash)) continue
    intents.push(intent)
  }
  return { ...job, intents }
}

/** Hands one job to the store; answers why the store would not have it. */
async function takeOver(
  target: ImportTarget,
  file: LoadedFile,
  job: ImportedJob,
  counts: Counts,
): Promise<SetAsideFile | undefined> {
  const outcome = await target.importJob(job)
  switch (outcome.kind) {
    case 'imported':
    case 'present':
    case 'advanced':
      counts[outcome.kind] += 1
      return undefined
    case 'conflict': {
      const reason = `the store has ${outcome.requestId} for it: ${outcome.reason}`
      return refusal(file, job, 'conflict', reason)
    }
    case 'fenced': {
      const { recordId, reason } = outcome.fence
      return { ...refusal(file, job, 'fenced', `closed by ${recordId}: ${reason}`), recordId }
    }
    default:
      return unreachable(outcome)
  }
}

function refusal(
  { file, name, path, legacy, requestId, key, sha256 }: LoadedFile,
  { identity }: ImportedJob,
  code: 'conflict' | 'fenced',
  reason: string,
): SetAsideFile {
  const blocks = { keys: [key], outpoints: [identity.outpoint], everyNewKey: false }
  const where = { file, name, path, legacy }
  return { ...where, code, reason, blocks, requestId, sha256, sizeBytes: 0, recordId: '' }
}

/** Writes the record of a file that was set aside; the same file has the same record in every import. */
async function keepRecord(
  target: ImportTarget,
  clock: Clock,
  file: Omit<SetAsideFile, 'recordId'>,
): Promise<SetAsideFile> {
  const { code, reason, blocks, requestId, sha256, sizeBytes } = file
  const bytes = readBytes(file.path)
  if (printOf(bytes) !== sha256) throw new KeepCoreChanged(file.path)
  const raw = bytes instanceof Uint8Array ? bytes : new Uint8Array()
  const record: ImportedRecord = {
    id: `file-${shortHash(`${file.file}\0${sha256}\0${code}`)}`,
    kind: 'file',
    reason: `${file.file}: ${reason}`,
    blocks,
    requestId,
    sha256,
    sizeBytes: bytes instanceof Uint8Array ? bytes.length : sizeBytes,
    foundAtMs: clock.nowMs(),
    state: 'open',
    raw,
  }
  await target.setAside(record)
  return { ...file, sizeBytes: record.sizeBytes, recordId: record.id }
}

function readAgain({ name, path, sha256 }: LoadedFile): ImportedJob {
  const bytes = readBytes(path)
  const reading =
    bytes instanceof Uint8Array && printOf(bytes) === sha256 ? readJobFile(name, bytes) : undefined
  if (reading?.kind !== 'job') throw new KeepCoreChanged(path)
  return reading.job
}

function sizesOf(
  report: {
    readonly [Name in 'loaded' | 'superseded' | 'quarantined']: readonly unknown[]
  },
): { loaded: number; superseded: number; quarantined: number } {
  const { loaded, superseded, quarantined } = report
  return {
    loaded: loaded.length,
    superseded: superseded.length,
    quarantined: quarantined.length,
  }
}

/** SHA-256 over one line per file. */
function printOfVerdicts(
  report: Pick<ImportReport, 'loaded' | 'superseded' | 'quarantined'>,
): string {
  const lines = [
    ...report.loaded.map(({ file, sha256 }) => `${file}\t${sha256}\tloaded`),
    ...report.superseded.map(({ file, sha256, by }) => `${file}\t${sha256}\tsuperseded ${by}`),
    ...report.quarantined.map(({ file, sha256, code }) => `${file}\t${sha256}\t${code}`),
  ]
  return hash('sha256', lines.sort().join('\n'))
}

function shortHash(text: string): string {
  return hash('sha256', text).slice(0, 16)
}

/** A file of the directory is not what it was when it was checked. */
export class KeepCoreChanged extends HoldfastError {
  readonly code = 'KeepCoreChanged'
  constructor(path: string) {
    super(`${path}: it changed while it was read, want a directory that nobody writes to`, {
      retry: 'safe',
      remedy: 'Find out what writes there and stop it, then run the import again.',
    })
  }
}
