import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { canonicalRequest } from '../../../src/covenant/digest.js'
import { verifyLedger } from '../../../src/datadir/ledger-verify.js'
import { fileNameOf } from '../../../src/store/keep-core/job-file.js'
import { openJobStore } from '../../../src/store/sqlite/index.js'
import { fileText, keepCoreJob, readyJob } from '../../store/keep-core-files.js'

/** `torn`: with a file whose key nobody knows, so that every new key stays closed at the end. */
export type World = 'whole' | 'torn'

/** A keep-core directory with a job of each kind: pending, ready, superseded, failed, changed, and a torn file. */
export function makeSource(path: string, world: World): void {
  const jobs = join(path, 'covenant-signer-jobs')
  mkdirSync(jobs, { recursive: true, mode: 0o700 })
  const put = (number: number, text: string): void =>
    writeFileSync(join(jobs, fileNameOf(keepCoreJob(number).requestId)), text)
  const failed = { state: 'FAILED', reason: 'POLICY_REJECTED', held: false } as const
  const { routeRequestId } = keepCoreJob(1)
  put(1, fileText(keepCoreJob(1)))
  put(2, fileText(readyJob(2)))
  put(3, fileText(keepCoreJob(3, { ...failed, failedAt: '2026-01-02T03:04:05Z' })))
  put(5, fileText(readyJob(5, { routeRequestId, updatedAt: 'never' })))
  if (world === 'torn') put(6, fileText(keepCoreJob(6)).slice(0, 99))
  put(7, fileText(keepCoreJob(7), '"PENDING"', '"PENDINF"'))
}

/** What a data directory holds, without sequences and times of the import. */
export type Contents = {
  /** As text, so that two of them can be compared. */
  readonly all: string
  readonly jobs: number
  readonly newKeys: boolean
  readonly runnable: number
}

/** Opens a data directory and reads everything; undefined when there is none. */
export async function contentsOf(dataDir: string): Promise<Contents | undefined> {
  if (!existsSync(join(dataDir, 'jobs.db'))) return undefined
  const store = await openJobStore(dataDir)
  try {
    await store.ready(new AbortController().signal).catch(() => undefined)
    const jobs = await store.list({ limit: 100 })
    const intents = await Promise.all(jobs.map(({ outpoint }) => store.findIntent(outpoint)))
    const superseded = await store.findIntent(readyJob(5).outpoint)
    const records = []
    for (const { id } of await store.listQuarantined(100)) {
      const detail = await store.findQuarantined(id)
      const raw = Buffer.from(detail?.raw ?? []).toString('hex')
      records.push({ ...detail, record: { ...detail?.record, foundAtMs: 0 }, raw })
    }
    const { newKeys } = store.readiness()
    const runnable = (await store.claim('the judge', 8_000_000_000_000, 100)).length
    const shown = jobs.map((job) => ({ ...job, seq: 0, request: canonicalRequest(job.request) }))
    const sorted = shown.sort((a, b) => (a.requestId < b.requestId ? -1 : 1))
    const all = { sorted, intents, superseded, records, newKeys, runnable }
    const text = JSON.stringify(all, (_, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    )
    return { all: text, jobs: jobs.length, newKeys, runnable }
  } finally {
    await store.close()
  }
}

/** Everything that must not be in what a stopped import left. */
export function halfViolations(left: Contents | undefined, whole: Contents): readonly string[] {
  if (left === undefined) return []
  const found: string[] = []
  const isUntouched = left.jobs === 0 && left.newKeys
  if (left.newKeys && !isUntouched && left.all !== whole.all) {
    found.push('half an import takes new keys')
  }
  if (left.runnable > 0) found.push('an imported job runs without being resumed')
  return found
}

/** Everything that must not be once the import was made again. */
export async function wholeViolations(dataDir: string, whole: Contents): Promise<string[]> {
  const found: string[] = []
  const { ok, checks } = await verifyLedger(dataDir)
  if (!ok) {
    const bad = checks.filter((check) => !check.ok)
    found.push(`the ledger: ${bad.map(({ name, detail }) => `${name} ${detail}`).join(', ')}`)
  }
  const again = await contentsOf(dataDir)
  if (again?.all !== whole.all) {
    found.push(`made again it is another one:\n  ${again?.all}\n  wanted:\n  ${whole.all}`)
  }
  return found
}
