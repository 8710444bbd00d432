import assert from 'node:assert/strict'
import { sampleIntent, sampleJob } from '../sample-job.js'
import {
  accepted,
  artifact,
  by,
  type Cases,
  claimed,
  failure,
  found,
  keeping,
  opened,
  settledAt,
} from './steps.js'

const later = 8_000_000_000_000
const wait = { detail: 'waiting for the chain', nextAtMs: later, attempts: 3, at: settledAt }

export const runCases: Cases = {
  'due jobs are leased once, in order, and at most as many as asked for': async (harness) => {
    const store = await opened(harness)
    const jobs = []
    for (const number of [1, 2, 3]) jobs.push(await accepted(store, sampleJob(number)))
    const first = await store.claim('one', later, 2)
    const second = await store.claim('two', later, 10)
    assert.deepEqual(
      [...first, ...second].map(({ job }) => job),
      jobs,
    )
    assert.deepEqual(await store.claim('three', later, 10), [])
    const tokens = [...first, ...second].map(({ lease }) => lease.fencingToken)
    assert.equal(new Set(tokens).size, 3)
    assert.deepEqual(
      [...first, ...second].map(({ lease }) => lease.owner),
      ['one', 'one', 'two'],
    )
    assert.equal(store.nextDueMs(), undefined)
    await store.close()
  },

  'a finished job keeps its result for ever and its lease is void': async (harness) => {
    const first = await opened(harness)
    const job = await accepted(first, sampleJob(1))
    const { lease } = await claimed(first)
    const outcome = await first.settle(lease, artifact, keeping)
    const settled = {
      ...job,
      ...artifact,
      updatedAt: settledAt,
      completedAt: settledAt,
      nextAtMs: 0,
    }
    assert.deepEqual(outcome, { kind: 'settled', job: settled })
    assert.deepEqual(await first.settle(lease, failure, keeping), { kind: 'stale' })
    assert.deepEqual(await first.defer(lease, wait), { kind: 'stale' })
    assert.deepEqual(await first.intend(lease, sampleIntent(job)), { kind: 'stale' })
    assert.deepEqual(await found(first.find(job.requestId)), settled)
    assert.deepEqual(await first.accept(sampleJob(1, { attempt: 1 })), {
      kind: 'existing',
      job: settled,
    })
    assert.deepEqual(await first.claim('a runner', later, 10), [])
    await first.close()

    const second = await opened(harness)
    assert.deepEqual(await found(second.find(job.requestId)), settled)
    assert.deepEqual(await second.list({ state: 'ARTIFACT_READY', limit: 10 }), [settled])
    assert.deepEqual(await second.claim('a runner', later, 10), [])
    await second.close()
  },

  'a failed job says why, and a hand-off is kept whole': async (harness) => {
    const store = await opened(harness)
    const job = await accepted(store, sampleJob(1))
    const failed = await store.settle((await claimed(store)).lease, failure, keeping)
    assert.equal(failed.kind, 'settled')
    const { reason, failedAt, completedAt } = failed.job
    assert.deepEqual([reason, failedAt, completedAt], ['POLICY_REJECTED', settledAt, undefined])
    await accepted(store, sampleJob(2))
    const handoff = { kind: 'qc_v1', nested: { list: [1, 'two', null] } }
    const transition = { state: 'HANDOFF_READY' as const, detail: '', handoff }
    await store.settle((await claimed(store)).lease, transition, keeping)
    await store.close()
    const again = await opened(harness)
    assert.deepEqual((await found(again.find(sampleJob(2).requestId))).handoff, handoff)
    assert.deepEqual(await found(again.find(job.requestId)), failed.job)
    await again.close()
  },

  'a job that is put back waits until its time, also over an opening': async (harness) => {
    const first = await opened(harness)
    const job = await accepted(first, sampleJob(1))
    const { lease } = await claimed(first)
    const { at, ...progress } = wait
    const waits = { ...job, state: 'PENDING' as const, ...progress, updatedAt: at }
    assert.deepEqual(await first.defer(lease, wait), { kind: 'settled', job: waits })
    assert.deepEqual(await first.claim('a runner', later - 1, 10), [])
    assert.equal(first.nextDueMs(), later)
    assert.deepEqual(await first.settle(lease, artifact, keeping), { kind: 'stale' })
    await first.close()
    const second = await opened(harness)
    assert.equal(second.nextDueMs(), later)
    const claim = await claimed(second, later)
    assert.deepEqual(claim.job, waits)
    await second.close()
  },

  'a listener hears when something is due sooner, and a nudge makes a job due': async (harness) => {
    const store = await opened(harness)
    let heard = 0
    const stop = store.onDue(() => {
      heard += 1
    })
    const { requestId } = await accepted(store, sampleJob(1))
    assert.equal(heard, 1)
    await store.defer((await claimed(store)).lease, wait)
    const afterDefer = heard
    store.nudge(requestId, 5)
    assert.equal(heard, afterDefer + 1)
    assert.equal(store.nextDueMs(), 5)
    store.nudge(requestId, 9)
    assert.equal(store.nextDueMs(), 5)
    const { lease } = await claimed(store, 5)
    store.nudge(requestId, 1)
    assert.equal(store.nextDueMs(), undefined)
    stop()
    const quiet = heard
    await store.settle(lease, artifact, keeping)
    store.nudge(requestId, 1)
    store.nudge(sampleJob(9).requestId, 1)
    assert.deepEqual([store.nextDueMs(), heard], [undefined, quiet])
    await store.close()
  },

  'an opening voids every lease, and the job is claimed anew': async (harness) => {
    const first = await opened(harness)
    const job = await accepted(first, sampleJob(1))
    const dead = (await claimed(first)).lease
    await first.close()
    const second = await opened(harness)
    assert.deepEqual(await second.settle(dead, artifact, keeping), { kind: 'stale' })
    const { lease } = await claimed(second)
    assert.ok(lease.fencingToken > dead.fencingToken)
    assert.deepEqual(await second.settle(dead, failure, keeping), { kind: 'stale' })
    assert.deepEqual(await second.intend(dead, sampleIntent(job)), { kind: 'stale' })
    assert.equal((await second.settle(lease, artifact, keeping)).kind, 'settled')
    await second.close()
  },

  'an intent is recorded once and handed out with the next claim': async (harness) => {
    const first = await opened(harness)
    const job = await accepted(first, sampleJob(1))
    const intent = sampleIntent(job)
    const claim = await claimed(first)
    assert.equal(claim.intent, undefined)
    assert.deepEqual(await first.intend(claim.lease, intent), { kind: 'recorded' })
    assert.deepEqual(await first.intend(claim.lease, intent), { kind: 'same' })
    await first.defer(claim.lease, { ...wait, nextAtMs: 0 })
    await first.close()
    const second = await opened(harness)
    assert.deepEqual((await claimed(second)).intent, intent)
    const held = { ...intent, requestId: job.requestId }
    assert.deepEqual(await second.findIntent(job.outpoint), held)
    await second.close()
  },

  'an outpoint is never committed to two transactions': async (harness) => {
    const store = await opened(harness)
    const one = await accepted(store, sampleJob(1))
    const first = (await claimed(store)).lease
    const two = await accepted(store, sampleJob(2, { outpoint: 1 }))
    const second = (await claimed(store)).lease
    assert.equal(two.outpoint, one.outpoint)
    const outcomes = await Promise.all([
      store.intend(first, sampleIntent(one, 1)),
      store.intend(second, sampleIntent(two, 2)),
    ])
    const conflict = { kind: 'conflict', requestId: one.requestId }
    assert.deepEqual(outcomes, [{ kind: 'recorded' }, conflict])
    assert.deepEqual(await store.intend(first, sampleIntent(one, 2)), conflict)
    assert.deepEqual(await store.intend(second, sampleIntent(two, 1)), { kind: 'same' })
    await store.close()
    const again = await opened(harness)
    const claims = await again.claim('a runner', later, 10)
    const lease = claims.find(({ job }) => job.requestId === two.requestId)?.lease
    assert.ok(lease)
    assert.deepEqual(await again.intend(lease, sampleIntent(two, 2)), conflict)
    await again.close()
  },

  'an intent is released with its failed job when the signer was never asked': async (harness) => {
    const store = await opened(harness)
    const one = await accepted(store, sampleJob(1))
    const { lease } = await claimed(store)
    await store.intend(lease, sampleIntent(one, 1))
    await store.settle(lease, failure, { releaseIntent: true, at: settledAt })
    assert.equal(await store.findIntent(one.outpoint), undefined)
    await store.close()
    const again = await opened(harness)
    assert.equal(await again.findIntent(one.outpoint), undefined)
    const two = await accepted(again, sampleJob(2, { outpoint: 1 }))
    const next = (await claimed(again)).lease
    assert.deepEqual(await again.intend(next, sampleIntent(two, 2)), { kind: 'recorded' })
    await again.close()
  },

  'an operator frees an outpoint of a finished job, and only that': async (harness) => {
    const store = await opened(harness)
    const one = await accepted(store, sampleJob(1))
    const { lease } = await claimed(store)
    assert.deepEqual(await store.releaseIntent(one.outpoint, by), { kind: 'absent' })
    await store.intend(lease, sampleIntent(one, 1))
    const refused = { kind: 'jobNotFinal', requestId: one.requestId }
    assert.deepEqual(await store.releaseIntent(one.outpoint, by), refused)
    await store.settle(lease, failure, keeping)
    assert.equal((await store.findIntent(one.outpoint))?.requestId, one.requestId)
    assert.deepEqual(await store.releaseIntent(one.outpoint, by), { kind: 'released' })
    assert.deepEqual(await store.releaseIntent(one.outpoint, by), { kind: 'absent' })
    await store.close()
    const again = await opened(harness)
    assert.equal(await again.findIntent(one.outpoint), undefined)
    const two = await accepted(again, sampleJob(2, { outpoint: 1 }))
    const next = (await claimed(again)).lease
    assert.deepEqual(await again.intend(next, sampleIntent(two, 2)), { kind: 'recorded' })
    await again.close()
  },
}
