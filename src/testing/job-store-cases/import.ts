import assert from 'node:assert/strict'
import type { FaultPoints } from '../../base/fault-points.js'
import type { Job } from '../../covenant/job.js'
import type { JobStore } from '../../covenant/store.js'
import type { ImportedJob, ImportTarget } from '../../store/keep-core/import-target.js'
import { scriptedFaults } from '../faults.js'
import { sampleImport, sampleReadyImport, sampleRecord } from '../sample-import.js'
import { sampleIntent, sampleJob } from '../sample-job.js'
import { accepted, by, type Cases, found, type JobStoreHarness, never, opened } from './steps.js'

const later = 8_000_000_000_000
const importId = 'import-of-a-test'
const summary = { loaded: 1, superseded: 0, quarantined: 0, verdictsSha256: 'ab' }

export type ImportingStore = JobStore & ImportTarget

/** Opens a store, also one that takes no new keys, once its witnesses were compared. */
export async function comparedStore(
  harness: JobStoreHarness,
  faults?: FaultPoints,
): Promise<ImportingStore> {
  const store = await harness.open(faults)
  await store.ready(never).catch(() => undefined)
  assert.ok('importJob' in store)
  return store as ImportingStore
}

/** Imports jobs from begin to end. */
export async function importAll(
  store: ImportingStore,
  jobs: readonly ImportedJob[],
): Promise<void> {
  await store.beginImport(importId, by)
  for (const job of jobs) await store.importJob(job)
  await store.endImport(importId, summary, by)
}

async function refusesNewKeys(store: JobStore, number = 90): Promise<void> {
  assert.equal(store.readiness().newKeys, false)
  await assert.rejects(store.accept(sampleJob(number)), { code: 'StoreNotReady' })
}

const asImported = ({ identity, progress }: ImportedJob, { seq }: Job): unknown => ({
  ...identity,
  ...progress,
  seq,
})

export const importCases: Cases = {
  'imported jobs are kept as they are, also over an opening': async (harness) => {
    const first = await comparedStore(harness)
    const jobs = [sampleImport(1), sampleReadyImport(2)]
    const failed = { state: 'FAILED', reason: 'POLICY_REJECTED', detail: 'no' } as const
    jobs.push(sampleImport(3, { ...failed, failedAt: '2026-01-03T00:00:00Z' }))
    await importAll(first, jobs)
    await first.close()
    const store = await comparedStore(harness)
    for (const job of jobs) {
      const { requestId, route, routeRequestId, outpoint } = job.identity
      const known = await found(store.find(requestId))
      assert.deepEqual(known, asImported(job, known))
      assert.deepEqual(await found(store.findByRoute(route, routeRequestId)), known)
      assert.deepEqual(await store.findKey(requestId), { key: { route, routeRequestId }, outpoint })
    }
    assert.equal(await store.findKey(sampleJob(9).requestId), undefined)
    assert.deepEqual(await store.listQuarantined(10), [])
    assert.deepEqual(await store.list({ route: 'qc_v1', limit: 10 }), [])
    assert.equal((await store.list({ route: 'self_v1', limit: 10 })).length, 3)
    await accepted(store, sampleJob(4))
    await store.close()
  },

  'an imported job waits until it is resumed, and then runs, also over an opening': async (
    harness,
  ) => {
    const first = await comparedStore(harness)
    const { requestId } = sampleJob(1)
    await importAll(first, [sampleImport(1), sampleReadyImport(2)])
    assert.equal(first.nextDueMs(), undefined)
    first.nudge(requestId, 1)
    assert.deepEqual(await first.claim('a runner', later, 10), [])
    await first.close()
    const second = await comparedStore(harness)
    assert.deepEqual(await second.claim('a runner', later, 10), [])
    const outcome = await second.resume(requestId, by)
    assert.equal(outcome.kind, 'resumed')
    assert.equal(outcome.job.held, false)
    assert.equal((await second.resume(requestId, by)).kind, 'notHeld')
    assert.equal((await second.resume(sampleJob(2).requestId, by)).kind, 'notHeld')
    assert.equal((await second.resume(sampleJob(9).requestId, by)).kind, 'absent')
    await second.close()
    const third = await comparedStore(harness)
    const [claim] = await third.claim('a runner', later, 10)
    assert.equal(claim?.job.requestId, requestId)
    await third.close()
  },

  'an imported job that vanished heals, and still waits': async (harness) => {
    const first = await comparedStore(harness)
    await importAll(first, [sampleImport(1)])
    await first.close()
    await harness.lose(sampleJob(1).requestId)
    const store = await comparedStore(harness)
    const outcome = await store.accept(sampleJob(1, { attempt: 1 }))
    assert.equal(outcome.kind, 'existing')
    assert.equal(outcome.job.held, true)
    assert.deepEqual(await store.claim('a runner', later, 10), [])
    await store.close()
  },

  'no new key is taken between begin and end of an import, also over an opening': async (
    harness,
  ) => {
    const first = await comparedStore(harness)
    await accepted(first, sampleJob(7))
    await first.beginImport(importId, by)
    await first.beginImport(importId, by)
    await refusesNewKeys(first)
    assert.equal((await first.accept(sampleJob(7, { attempt: 1 }))).kind, 'existing')
    await first.close()
    const second = await comparedStore(harness)
    await refusesNewKeys(second)
    assert.deepEqual(await second.importJob(sampleImport(1)), { kind: 'imported' })
    await second.endImport(importId, summary, by)
    await second.endImport(importId, summary, by)
    assert.equal(second.readiness().newKeys, true)
    await accepted(second, sampleJob(90))
    await second.close()
    const third = await opened(harness)
    assert.deepEqual(await third.listQuarantined(10), [])
    await third.close()
  },

  'an import that is given up by hand lets new keys in, and can be begun again': async (
    harness,
  ) => {
    const first = await comparedStore(harness)
    await first.beginImport(importId, by)
    await assert.rejects(first.resolve(importId, { kind: 'retire' }, by, false), {
      code: 'ResolutionRefused',
    })
    await first.resolve(importId, { kind: 'release', typedKey: importId }, by, false)
    await accepted(first, sampleJob(90))
    await first.close()
    const second = await comparedStore(harness)
    assert.equal(second.readiness().newKeys, true)
    await second.beginImport(importId, by)
    await refusesNewKeys(second, 91)
    await second.close()
    const third = await comparedStore(harness)
    await refusesNewKeys(third, 91)
    await third.close()
  },

  'a job is imported once; what differs from the store is a conflict': async (harness) => {
    const store = await comparedStore(harness)
    await importAll(store, [sampleImport(1)])
    assert.deepEqual(await store.importJob(sampleImport(1)), { kind: 'present' })
    assert.deepEqual(await store.importJob(sampleReadyImport(1)), { kind: 'advanced' })
    const { requestId, outpoint } = sampleJob(1)
    const ended = await found(store.find(requestId))
    assert.deepEqual([ended.state, ended.held], ['ARTIFACT_READY', false])
    assert.equal((await store.findIntent(outpoint))?.sighash, sampleIntent(ended).sighash)
    assert.deepEqual(await store.importJob(sampleReadyImport(1)), { kind: 'present' })
    assert.deepEqual(await store.importJob(sampleImport(1)), { kind: 'present' })
    const other = await store.importJob(sampleReadyImport(1, '0x04'))
    assert.equal(other.kind, 'conflict')
    assert.equal(other.requestId, requestId)
    const running = await store.importJob({
      ...sampleImport(1),
      identity: sampleJob(1, { attempt: 1 }),
    })
    assert.equal(running.kind, 'conflict')
    await store.close()
    const again = await comparedStore(harness)
    assert.deepEqual(await found(again.find(requestId)), ended)
    assert.deepEqual(await again.listQuarantined(10), [])
    await again.close()
  },

  'the outpoint of an imported result stays committed to what was signed': async (harness) => {
    const store = await comparedStore(harness)
    await importAll(store, [sampleReadyImport(1)])
    await accepted(store, sampleJob(2, { outpoint: 1 }))
    const [claim] = await store.claim('a runner', later, 10)
    assert.ok(claim)
    assert.deepEqual(await store.intend(claim.lease, sampleIntent(claim.job, 2)), {
      kind: 'conflict',
      requestId: sampleJob(1).requestId,
    })
    await store.close()
  },

  'a file that was set aside closes its key, keeps its bytes, and ends by release': async (
    harness,
  ) => {
    const first = await comparedStore(harness)
    const record = sampleRecord('a torn file', 1)
    assert.equal(await first.setAside(record), 'recorded')
    assert.equal(await first.setAside(record), 'present')
    await first.close()
    const store = await comparedStore(harness)
    assert.equal(await store.setAside(record), 'present')
    const fenced = { recordId: record.id, reason: record.reason }
    assert.deepEqual(await store.accept(sampleJob(1)), { kind: 'fenced', fence: fenced })
    assert.deepEqual(await store.importJob(sampleImport(1)), { kind: 'fenced', fence: fenced })
    assert.equal((await store.accept(sampleJob(3, { outpoint: 1 }))).kind, 'fenced')
    await accepted(store, sampleJob(4))
    const detail = await store.findQuarantined(record.id)
    assert.deepEqual(Buffer.from(detail?.raw ?? []), Buffer.from(record.raw))
    const { raw, ...own } = record
    assert.deepEqual(detail?.record, own)
    const { route, routeRequestId } = sampleJob(1)
    const typedKey = `${route}:${routeRequestId}`
    await assert.rejects(store.resolve(record.id, { kind: 'release', typedKey: 'x' }, by, false), {
      code: 'ResolutionRefused',
    })
    await store.resolve(record.id, { kind: 'release', typedKey }, by, false)
    assert.deepEqual(await store.importJob(sampleImport(1)), { kind: 'imported' })
    await store.close()
    const again = await comparedStore(harness)
    assert.deepEqual(await again.listQuarantined(10), [])
    assert.equal(await again.setAside(record), 'present')
    assert.deepEqual(await again.listQuarantined(10), [])
    await again.close()
  },

  'a file whose key nobody knows closes every new key until it is released by its id': async (
    harness,
  ) => {
    const first = await comparedStore(harness)
    await importAll(first, [sampleImport(1)])
    const record = sampleRecord('{')
    await first.setAside(record)
    await refusesNewKeys(first)
    await first.close()
    const store = await comparedStore(harness)
    await refusesNewKeys(store)
    assert.equal((await found(store.find(sampleJob(1).requestId))).held, true)
    await assert.rejects(store.resolve(record.id, { kind: 'retire' }, by, false), {
      code: 'ResolutionRefused',
    })
    const detail = await store.findQuarantined(record.id)
    assert.deepEqual(
      detail?.ways.map(({ how }) => how).filter((how) => how !== 'retire'),
      ['release'],
    )
    await store.resolve(record.id, { kind: 'release', typedKey: record.id }, by, false)
    await accepted(store, sampleJob(90))
    await store.close()
  },

  'a file that nobody could read is retired once the store knows the key of its id': async (
    harness,
  ) => {
    const first = await comparedStore(harness)
    await importAll(first, [sampleImport(1)])
    const record = { ...sampleRecord('{'), requestId: sampleJob(1).requestId }
    await first.setAside(record)
    await first.resolve(record.id, { kind: 'retire' }, by, false)
    await accepted(first, sampleJob(90))
    await first.close()
    const store = await opened(harness)
    const { route, routeRequestId, requestId } = sampleJob(1)
    assert.equal((await store.findByRoute(route, routeRequestId)).kind, 'fenced')
    assert.equal((await store.resume(requestId, by)).kind, 'fenced')
    const [retired, ...more] = await store.listQuarantined(10)
    assert.deepEqual([retired?.id, retired?.state, more], [record.id, 'retired', []])
    await store.close()
  },

  'two files may close one key, and it is open when both are released': async (harness) => {
    const store = await comparedStore(harness)
    const records = [sampleRecord('one', 1), sampleRecord('two', 1)]
    for (const record of records) await store.setAside(record)
    const { route, routeRequestId } = sampleJob(1)
    const how = { kind: 'release', typedKey: `${route}:${routeRequestId}` } as const
    for (const { id } of records) {
      assert.equal((await store.accept(sampleJob(1))).kind, 'fenced')
      await store.resolve(id, how, by, false)
    }
    await accepted(store, sampleJob(1))
    await store.close()
  },

  'a job whose key a file closes does not run until that is resolved': async (harness) => {
    const first = await comparedStore(harness)
    await accepted(first, sampleJob(1))
    const record = sampleRecord('another result', 1)
    await first.setAside(record)
    assert.deepEqual(await first.claim('a runner', later, 10), [])
    await first.close()
    const store = await comparedStore(harness)
    assert.deepEqual(await store.claim('a runner', later, 10), [])
    assert.equal((await store.accept(sampleJob(1, { attempt: 1 }))).kind, 'fenced')
    const { route, routeRequestId } = sampleJob(1)
    const typedKey = `${route}:${routeRequestId}`
    await store.resolve(record.id, { kind: 'release', typedKey }, by, false)
    const [claim] = await store.claim('a runner', later, 10)
    assert.equal(claim?.job.requestId, sampleJob(1).requestId)
    await store.close()
  },

  ...Object.fromEntries(
    ['begin', 'item:1', 'beforeCommit'].map((point) => [
      `a failure at job.import.${point} imports nothing, and the retry succeeds`,
      async (harness: JobStoreHarness) => {
        const faults = scriptedFaults({ point: `job.import.${point}`, nth: 1, action: 'transient' })
        const store = await comparedStore(harness, faults)
        await assert.rejects(store.importJob(sampleReadyImport(1)), {
          code: 'StoreFailed',
          outcome: 'notWritten',
        })
        assert.equal((await store.find(sampleJob(1).requestId)).kind, 'absent')
        assert.deepEqual(await store.importJob(sampleReadyImport(1)), { kind: 'imported' })
        await store.close()
      },
    ]),
  ),

  ...Object.fromEntries(
    ['commitError', 'afterCommit', 'append.before', 'append.after'].map((point) => [
      `after a failure at job.import.${point} the job is there once, with its intent`,
      async (harness: JobStoreHarness) => {
        const faults = scriptedFaults({ point: `job.import.${point}`, nth: 1, action: 'transient' })
        const first = await comparedStore(harness, faults)
        await first.importJob(sampleReadyImport(1)).catch(() => undefined)
        await first.close()
        const store = await comparedStore(harness)
        assert.deepEqual(await store.importJob(sampleReadyImport(1)), { kind: 'present' })
        const { requestId, outpoint } = sampleJob(1)
        const job = await found(store.find(requestId))
        assert.deepEqual(job, asImported(sampleReadyImport(1), job))
        assert.equal((await store.findIntent(outpoint))?.requestId, requestId)
        assert.deepEqual(await store.listQuarantined(10), [])
        await store.close()
      },
    ]),
  ),
}
