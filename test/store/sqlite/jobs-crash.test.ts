import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { JobStore } from '../../../src/covenant/store.js'
import { replayLedger } from '../../../src/store/ledger-replay.js'
import { openSqliteJobStore } from '../../../src/store/sqlite/index.js'
import { jobFaultPointNames } from '../../../src/testing/job-fault-points.js'
import { sampleImport, sampleReadyImport } from '../../../src/testing/sample-import.js'
import { sampleIntent, sampleJob } from '../../../src/testing/sample-job.js'
import { temporaryDirectory } from './fixture.js'
import {
  accept,
  artifact,
  at,
  by,
  change,
  claimOne,
  copyDirectory,
  faultsThat,
  keeping,
  later,
  manualTimers,
  never,
  withJobs,
} from './jobs-fixture.js'

/** What had been answered when a copy was taken. */
type Answered = {
  accepted: number
  intended: boolean
  settled: boolean
  imported: boolean
  resumed: boolean
  released: boolean
}
type Snapshot = Answered & { readonly point: string; readonly dir: string }

const wait = { detail: 'waits', nextAtMs: 0, attempts: 1, at }

/** The life of a job, with a copy of the directory at every point: what a kill there would leave. */
async function snapshots(dir: string, copies: string): Promise<readonly Snapshot[]> {
  const taken: Snapshot[] = []
  const answered: Answered = {
    ...{ accepted: 0, intended: false, settled: false },
    ...{ imported: false, resumed: false, released: false },
  }
  const faults = faultsThat((point) => {
    const copy = join(copies, String(taken.length))
    copyDirectory(dir, copy)
    taken.push({ ...answered, point, dir: copy })
  })
  const store = await openSqliteJobStore(dir, { faults, later: manualTimers().later })
  await store.ready(never)
  await accept(store, sampleJob(1))
  answered.accepted = 1
  await store.defer((await claimOne(store)).lease, wait)
  const { job, lease } = await claimOne(store)
  await store.intend(lease, sampleIntent(job))
  answered.intended = true
  await Promise.all([accept(store, sampleJob(2)), accept(store, sampleJob(3))])
  answered.accepted = 3
  await store.settle(lease, artifact, keeping)
  answered.settled = true
  await store.releaseIntent(job.outpoint, by)
  answered.released = true
  await store.importJob(sampleReadyImport(4))
  await store.importJob(sampleImport(5))
  answered.imported = true
  await store.resume(sampleJob(5).requestId, by)
  answered.resumed = true
  await store.close()
  return taken
}

async function examineImported(store: JobStore, { imported, resumed }: Answered): Promise<void> {
  const [ready, held] = await Promise.all([4, 5].map((n) => store.find(sampleJob(n).requestId)))
  for (const outcome of [ready, held]) expect(outcome?.kind).not.toBe('fenced')
  if (ready?.kind === 'found') {
    expect(ready.job.transactionHex).toBe(sampleReadyImport(4).progress.transactionHex)
    expect((await store.findIntent(ready.job.outpoint))?.requestId).toBe(ready.job.requestId)
  }
  if (imported) expect([ready?.kind, held?.kind]).toEqual(['found', 'found'])
  if (held?.kind === 'found' && resumed) expect(held.job.held).toBe(false)
  if (held?.kind === 'found' && held.job.held) await store.resume(held.job.requestId, by)
}

async function examine(store: JobStore, answered: Answered): Promise<void> {
  const { accepted, intended, settled, released } = answered
  await examineImported(store, answered)
  expect(await store.listQuarantined(10)).toEqual([])
  const { outpoint, requestId } = sampleJob(1)
  for (const number of [1, 2, 3].slice(0, accepted)) {
    expect((await store.find(sampleJob(number).requestId)).kind).toBe('found')
  }
  const intent = await store.findIntent(outpoint)
  if (released) expect(intent).toBeUndefined()
  else if (intended && intent !== undefined)
    expect(intent.sighash).toBe(sampleIntent(sampleJob(1)).sighash)
  else if (intended) expect(settled).toBe(true)
  if (settled) {
    const found = await store.find(requestId)
    expect(found).toMatchObject({ kind: 'found', job: { state: 'ARTIFACT_READY' } })
  }
  for (const number of [1, 2, 3]) {
    const outcome = await store.accept(sampleJob(number, { attempt: 1 }))
    if (number <= accepted) expect(outcome.kind).toBe('existing')
  }
  for (const claim of await store.claim('a runner', later, 10)) {
    const number = claim.job.routeRequestId === sampleJob(1).routeRequestId ? 1 : 0
    if (number === 1 && intended) expect(claim.intent).toEqual(sampleIntent(sampleJob(1)))
    if (number === 1 && intended) {
      const other = await store.intend(claim.lease, sampleIntent(claim.job, 2))
      expect(other.kind).toBe('conflict')
    }
    expect((await store.settle(claim.lease, artifact, keeping)).kind).toBe('settled')
  }
  const jobs = await store.list({ limit: 10 })
  expect(jobs.filter(({ state }) => state !== 'ARTIFACT_READY')).toEqual([])
  const own = [1, 2, 3].map((number) => sampleJob(number).routeRequestId)
  expect(jobs.filter(({ routeRequestId }) => own.includes(routeRequestId))).toHaveLength(3)
}

describe('a process killed at any point of a job', () => {
  it('leaves a store in which every answer stays true and every job ends', async () => {
    const [dir, copies] = [temporaryDirectory(), temporaryDirectory()]
    const taken = await snapshots(dir, copies)
    const points = new Set(taken.map(({ point }) => point))
    for (const point of jobFaultPointNames) expect(points, point).toContain(point)
    for (const snapshot of taken) {
      await withJobs(snapshot.dir, async (store) => {
        expect(store.readiness().newKeys, snapshot.point).toBe(true)
        await examine(store, snapshot)
      })
      const { damaged, tornTail } = await replayLedger(snapshot.dir, () => undefined)
      expect({ damaged, tornTail }, snapshot.point).toEqual({ damaged: [], tornTail: undefined })
    }
  }, 120_000)

  it('may be killed again at every point of the opening that follows', async () => {
    const [seed, copies] = [temporaryDirectory(), temporaryDirectory()]
    await withJobs(seed, async (store) => {
      for (const number of [1, 2, 3]) await accept(store, sampleJob(number))
      const { job, lease } = await claimOne(store)
      await store.intend(lease, sampleIntent(job))
      await store.settle(lease, artifact, keeping)
    })
    // One line is unreadable, one intent and one settlement are lost, and one job with them.
    const path = join(seed, 'ledger.jsonl')
    const lines = readFileSync(path, 'utf8').split('\n')
    writeFileSync(
      path,
      lines.map((line, n) => (n === 1 ? line.replace('"at"', '"At"') : line)).join('\n'),
    )
    change(seed, 'delete from intent')
    change(seed, "update result set body = body || ' '")
    change(seed, 'delete from job where seq = 4')
    const first: string[] = []
    const snapshotsOf = async (dir: string, taken: string[]): Promise<void> => {
      const faults = faultsThat((point) => {
        if (!/^(reconcile|ledger)/.test(point)) return
        const copy = join(copies, `${first.length}-${taken.length}-${process.hrtime.bigint()}`)
        copyDirectory(dir, copy)
        taken.push(copy)
      })
      await withJobs(dir, async () => undefined, { faults, later: manualTimers().later })
    }
    const work = join(copies, 'work')
    copyDirectory(seed, work)
    await snapshotsOf(work, first)
    expect(first.length).toBeGreaterThan(5)
    const second: string[] = []
    for (const dir of first) await snapshotsOf(dir, second)
    for (const dir of [work, ...first, ...second]) {
      await withJobs(dir, async (store) => {
        expect(store.readiness().newKeys).toBe(true)
        const [record, ...more] = await store.listQuarantined(10)
        expect([record?.id, more]).toEqual(['job-4', []])
        expect(await store.find(sampleJob(1).requestId)).toMatchObject({
          kind: 'found',
          job: { state: 'ARTIFACT_READY', transactionHex: artifact.transactionHex },
        })
        expect(await store.findIntent(sampleJob(1).outpoint)).toMatchObject(
          sampleIntent(sampleJob(1)),
        )
        for (const number of [1, 2, 3]) {
          expect((await store.accept(sampleJob(number))).kind).toBe('existing')
        }
        await accept(store, sampleJob(9))
      })
    }
  }, 120_000)
})
