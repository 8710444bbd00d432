import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import type { LifeConfig } from './life.mjs'

/** A data directory that a life begins with, and what the life does. */
export type Start = {
  /** As it stands in the names of points. */
  readonly name: string
  readonly op: LifeConfig['op']
  /** How the directory is made. */
  readonly made: Made
  /** Steps before this named point, and from the other one on, are the same as in another start. */
  readonly from: string | undefined
  readonly to: string | undefined
  /** Requests whose jobs are set aside until they are sent again. */
  readonly fenced: readonly string[]
}

/**
 * `nothing`: there is no directory. `warm`: jobs of other clients have come to their end. `died`: on top of that a
 * life was killed at a named point. `unsynced`: a life was killed at the sync of its first commit, so that
 * what the next life finds is not on the disk. `hurt`: a whole life, and then something changed the files.
 */
export type Made =
  | { readonly kind: 'nothing' | 'warm' | 'unsynced'; readonly harm?: undefined }
  | { readonly kind: 'died'; readonly point: string; readonly harm?: (dataDir: string) => void }
  | { readonly kind: 'hurt'; readonly harm: (dataDir: string) => void }

const resume = (name: string, made: Made, more: Partial<Start> = {}): Start => {
  const whole = { from: undefined, to: undefined, fenced: [] }
  return { ...whole, name: `resume/${name}`, op: 'resume', made, ...more }
}

/** Opening the files is the same for all that died; comparing them is not. */
const comparing = { from: 'reconcile.begin' }

const whole = { fenced: [], from: undefined, to: undefined }

export const starts: readonly Start[] = [
  { ...whole, name: 'fresh', op: 'serve', made: { kind: 'nothing' }, to: 'opened' },
  { ...whole, name: 'serve', op: 'serve', made: { kind: 'warm' }, from: 'opened' },
  { ...whole, name: 'again', op: 'serve', made: { kind: 'unsynced' }, to: 'run.sign.before' },
  resume('accepted', { kind: 'died', point: 'job.accept.afterCommit' }, comparing),
  resume('intended', { kind: 'died', point: 'job.intend.afterCommit' }, comparing),
  resume('asked', { kind: 'died', point: 'run.sign.after' }),
  resume('settled', { kind: 'died', point: 'job.settle.afterCommit' }, comparing),
  resume('torn', { kind: 'died', point: 'job.accept/ledger.append.after', harm: tearLedger }),
  resume('hurt', { kind: 'hurt', harm: hurtBoth }, { fenced: ['a-fails'] }),
  {
    ...whole,
    name: 'batch',
    op: 'batch',
    made: { kind: 'warm' },
    from: 'job.accept.item:1',
    to: 'job.accept.beforeCommit',
  },
]

/** The start of that name. @throws RangeError */
export function startOf(name: string): Start {
  const found = starts.find((start) => start.name === name)
  if (found === undefined) throw new RangeError(`start: no such image, ${name}`)
  return found
}

/** Jobs of the `batch` start: together more than the engine keeps in memory before a commit. */
export const batchJobs = 12

/** A write that was cut off. */
function tearLedger(dataDir: string): void {
  const path = join(dataDir, 'ledger.jsonl')
  truncateSync(path, readFileSync(path).length - 40)
}

/** The database loses an intent, a result and a job, the ledger another job's line. */
function hurtBoth(dataDir: string): void {
  const database = new Database(join(dataDir, 'jobs.db'))
  const change = (sql: string): void => {
    const { changes } = database.prepare(sql).run()
    if (changes !== 1) throw new Error(`hurt: ${changes} rows, want 1: ${sql}`)
  }
  const jobOf = (name: string): string =>
    `(select job.seq from job join request on request.seq = job.seq where body like '%"rf_${name}"%')`
  change(`delete from intent where job_seq = ${jobOf('a-signs')}`)
  change(`update result set body = body || ' ' where job_seq = ${jobOf('a-defers')}`)
  change(`delete from job where seq = ${jobOf('a-fails')}`)
  const [rival] = database
    .prepare(`select request_id from job where seq = ${jobOf('a-rival')}`)
    .pluck()
    .all() as string[]
  database.pragma('wal_checkpoint(truncate)')
  database.close()
  const path = join(dataDir, 'ledger.jsonl')
  const lines = readFileSync(path, 'utf8').split('\n')
  const at = lines.findIndex((line) => line.includes('"accept"') && line.includes(String(rival)))
  if (at === -1) throw new Error('hurt: the line to spoil is not there')
  lines[at] = (lines[at] ?? '').replace('"at"', '"At"')
  writeFileSync(path, lines.join('\n'))
}

export const opFile: string = fileURLToPath(new URL('op.mjs', import.meta.url))
export const workerFile: string = fileURLToPath(new URL('worker.mjs', import.meta.url))
