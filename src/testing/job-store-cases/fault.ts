import assert from 'node:assert/strict'
import { type FaultAction, scriptedFaults } from '../faults.js'
import { sampleIntent, sampleJob } from '../sample-job.js'
import {
  accepted,
  artifact,
  type Body,
  type Cases,
  claimed,
  found,
  keeping,
  opened,
  refuses,
  settledAt,
} from './steps.js'

const kinds = ['transient', 'fatal'] as const
type Kind = FaultAction & (typeof kinds)[number]
const before = ['begin', 'item:1', 'beforeCommit']
const after = ['commitError', 'afterCommit']
const later = 8_000_000_000_000
const wait = { detail: 'waiting', nextAtMs: 0, attempts: 1, at: settledAt }

export const faultCases: Cases = {
  ...each(before, (point, kind) => [
    `a ${kind} failure at job.accept.${point} leaves nothing, and the retry succeeds`,
    async (harness) => {
      const faults = scriptedFaults({ point: `job.accept.${point}`, nth: 1, action: kind })
      const store = await opened(harness, faults)
      await refuses(() => store.accept(sampleJob(1)), kind)
      assert.deepEqual(await store.find(sampleJob(1).requestId), { kind: 'absent' })
      await accepted(store, sampleJob(1, { attempt: 1 }))
      await store.close()
    },
  ]),

  ...each(after, (point, kind) => [
    `a ${kind} failure at job.accept.${point} is settled: the job is there`,
    async (harness) => {
      const faults = scriptedFaults({ point: `job.accept.${point}`, nth: 1, action: kind })
      const store = await opened(harness, faults)
      const job = await accepted(store, sampleJob(1))
      await accepted(store, sampleJob(2))
      await store.close()
      const again = await opened(harness)
      assert.deepEqual(await found(again.find(job.requestId)), job)
      assert.deepEqual(await again.listQuarantined(10), [])
      await again.close()
    },
  ]),

  ...each(['append.before', 'append.after'], (point, kind) => [
    `a ${kind} failure at job.accept.${point} rejects, and the same submit finds the job later`,
    async (harness) => {
      const faults = scriptedFaults({ point: `job.accept.${point}`, nth: 1, action: kind })
      const store = await opened(harness, faults)
      await assert.rejects(store.accept(sampleJob(1)), { code: 'StoreFailed', outcome: 'unknown' })
      await store.close()
      const again = await opened(harness)
      const outcome = await again.accept(sampleJob(1, { attempt: 1 }))
      assert.equal(outcome.kind, 'existing')
      assert.equal(outcome.job.requestId, sampleJob(1).requestId)
      assert.deepEqual(await again.listQuarantined(10), [])
      await again.close()
    },
  ]),

  ...each(before, (point, kind) => [
    `a ${kind} failure at job.intend.${point} records nothing`,
    async (harness) => {
      const faults = scriptedFaults({ point: `job.intend.${point}`, nth: 1, action: kind })
      const store = await opened(harness, faults)
      const job = await accepted(store, sampleJob(1))
      const { lease } = await claimed(store)
      await refuses(() => store.intend(lease, sampleIntent(job, 1)), kind)
      assert.equal(await store.findIntent(job.outpoint), undefined)
      assert.deepEqual(await store.intend(lease, sampleIntent(job, 2)), { kind: 'recorded' })
      await store.close()
    },
  ]),

  ...each(after, (point, kind) => [
    `a ${kind} failure at job.intend.${point} is settled: the intent is there`,
    async (harness) => {
      const faults = scriptedFaults({ point: `job.intend.${point}`, nth: 1, action: kind })
      const store = await opened(harness, faults)
      const job = await accepted(store, sampleJob(1))
      const { lease } = await claimed(store)
      assert.deepEqual(await store.intend(lease, sampleIntent(job, 1)), { kind: 'recorded' })
      const conflict = { kind: 'conflict', requestId: job.requestId }
      assert.deepEqual(await store.intend(lease, sampleIntent(job, 2)), conflict)
      await store.close()
    },
  ]),

  ...each(['append.before', 'append.after'], (point, kind) => [
    `a ${kind} failure at job.intend.${point} keeps the outpoint for that sighash`,
    async (harness) => {
      const faults = scriptedFaults({ point: `job.intend.${point}`, nth: 1, action: kind })
      const store = await opened(harness, faults)
      const job = await accepted(store, sampleJob(1))
      const { lease } = await claimed(store)
      const failed = store.intend(lease, sampleIntent(job, 1))
      await assert.rejects(failed, { code: 'StoreFailed', outcome: 'unknown' })
      await store.close()
      const again = await opened(harness)
      const claim = await claimed(again)
      assert.deepEqual(claim.intent, sampleIntent(job, 1))
      assert.deepEqual(await again.intend(claim.lease, sampleIntent(job, 2)), {
        kind: 'conflict',
        requestId: job.requestId,
      })
      await again.close()
    },
  ]),

  ...each(before, (point, kind) => [
    `a ${kind} failure at job.settle.${point} or job.defer.${point} leaves the lease as it was`,
    async (harness) => {
      const faults = scriptedFaults([
        { point: `job.settle.${point}`, nth: 1, action: kind },
        { point: `job.defer.${point}`, nth: 1, action: kind },
      ])
      const store = await opened(harness, faults)
      const job = await accepted(store, sampleJob(1))
      const { lease } = await claimed(store)
      await refuses(() => store.defer(lease, wait), kind)
      await refuses(() => store.settle(lease, artifact, keeping), kind)
      assert.equal((await found(store.find(job.requestId))).state, 'SUBMITTED')
      assert.equal((await store.settle(lease, artifact, keeping)).kind, 'settled')
      await store.close()
    },
  ]),

  ...each(after, (point, kind) => [
    `a ${kind} failure at job.settle.${point} or job.defer.${point} is settled`,
    async (harness) => {
      const faults = scriptedFaults([
        { point: `job.settle.${point}`, nth: 1, action: kind },
        { point: `job.defer.${point}`, nth: 1, action: kind },
      ])
      const store = await opened(harness, faults)
      const job = await accepted(store, sampleJob(1))
      const waits = await store.defer((await claimed(store)).lease, wait)
      assert.equal(waits.kind, 'settled')
      assert.equal(waits.job.attempts, 1)
      const settled = await store.settle((await claimed(store)).lease, artifact, keeping)
      assert.equal(settled.kind, 'settled')
      await store.close()
      const again = await opened(harness)
      assert.deepEqual(await found(again.find(job.requestId)), settled.job)
      assert.deepEqual(await again.claim('a runner', later, 10), [])
      await again.close()
    },
  ]),

  ...each(['append.before', 'append.after'], (point, kind) => [
    `a ${kind} failure at job.settle.${point} rejects, and the job has ended all the same`,
    async (harness) => {
      const faults = scriptedFaults({ point: `job.settle.${point}`, nth: 1, action: kind })
      const store = await opened(harness, faults)
      const job = await accepted(store, sampleJob(1))
      const { lease } = await claimed(store)
      const failed = store.settle(lease, artifact, keeping)
      await assert.rejects(failed, { code: 'StoreFailed', outcome: 'unknown' })
      await store.close()
      const again = await opened(harness)
      assert.equal((await found(again.find(job.requestId))).state, 'ARTIFACT_READY')
      assert.deepEqual(await again.claim('a runner', later, 10), [])
      assert.deepEqual(await again.listQuarantined(10), [])
      await again.close()
    },
  ]),

  'one accept of a batch that fails does not sink its neighbours': async (harness) => {
    const faults = scriptedFaults({ point: 'job.accept.item:2', nth: 1, action: 'transient' })
    const store = await opened(harness, faults)
    const outcomes = await Promise.allSettled(
      [1, 2, 3].map((number) => store.accept(sampleJob(number))),
    )
    const failed = outcomes.filter(({ status }) => status === 'rejected').length
    const jobs = await store.list({ limit: 10 })
    assert.equal(jobs.length, 3 - failed)
    assert.ok(failed <= 1)
    await store.close()
    const again = await opened(harness)
    assert.deepEqual(await again.list({ limit: 10 }), jobs)
    await again.close()
  },
}

function each(
  points: readonly string[],
  make: (point: string, kind: Kind) => readonly [string, Body],
): Cases {
  return Object.fromEntries(points.flatMap((point) => kinds.map((kind) => make(point, kind))))
}
