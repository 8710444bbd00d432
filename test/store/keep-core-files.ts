import { createHash } from 'node:crypto'
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Job } from '../../src/covenant/job.js'
import { fileNameOf, writeJobFile } from '../../src/store/keep-core/job-file.js'
import { sampleJob } from '../../src/testing/sample-job.js'

/** A job with a small request as keep-core would hold it: pending, and accepted at 2026-01-02. */
export function keepCoreJob(number: number, changes: Partial<Job> = {}): Job {
  // The sample's end block stands in no certificate.
  const identity = { ...sampleJob(number), endBlock: undefined, ...changes }
  return {
    state: 'PENDING',
    detail: 'accepted for covenant signing',
    updatedAt: '2026-01-02T03:04:05Z',
    attempts: 0,
    nextAtMs: 0,
    held: true,
    seq: BigInt(number + 1),
    ...identity,
  }
}

/** The same with a result; its transaction is no transaction. */
export function readyJob(number: number, changes: Partial<Job> = {}): Job {
  return keepCoreJob(number, {
    state: 'ARTIFACT_READY',
    detail: 'self_v1 artifact ready',
    psbtHash: '0x01',
    transactionHex: '0x0203',
    held: false,
    completedAt: '2026-01-02T03:04:05Z',
    ...changes,
  })
}

/** The text of a job's file with some characters replaced, which must be there. */
export function fileText(job: Job, from = '', to = ''): string {
  const text = Buffer.from(writeJobFile(job)).toString()
  if (!text.includes(from)) throw new RangeError(`file: has no ${from}`)
  return text.replace(from, to)
}

/** A keep-core data directory of one test. */
export class KeepCoreDirectory {
  readonly parent: string = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-keep-core-')))
  readonly path: string = join(this.parent, 'keep')
  readonly jobs: string = join(this.path, 'covenant-signer-jobs')
  readonly legacy: string = join(this.path, 'covenant-signer', 'jobs')

  constructor() {
    mkdirSync(this.jobs, { recursive: true, mode: 0o700 })
  }

  put(job: Job): string {
    return this.putText(fileNameOf(job.requestId), fileText(job))
  }

  putLegacy(job: Job): string {
    return write(join(this.legacy, fileNameOf(job.requestId)), fileText(job))
  }

  putText(name: string, content: string | Uint8Array): string {
    return write(join(this.jobs, name), content)
  }

  remove(): void {
    rmSync(this.parent, { recursive: true, force: true })
  }
}

function write(path: string, content: string | Uint8Array): string {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
  return path
}

/** Mode, times and bytes of everything below a path. */
export function stateBelow(path: string): Record<string, string> {
  const state: Record<string, string> = {}
  const entries = readdirSync(path, { recursive: true, withFileTypes: true })
  for (const at of [path, ...entries.map((entry) => join(entry.parentPath, entry.name))]) {
    const { mode, mtimeNs, ctimeNs, ino } = lstatSync(at, { bigint: true })
    const bytes = lstatSync(at).isFile() ? readFileSync(at) : ''
    const digest = createHash('sha256').update(bytes).digest('hex')
    state[at] = `${mode} ${mtimeNs} ${ctimeNs} ${ino} ${digest}`
  }
  return state
}
