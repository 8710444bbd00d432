import assert from 'node:assert/strict'
import { sampleJob } from '../sample-job.js'
import { accepted, type Cases, found, opened } from './steps.js'

export const acceptCases: Cases = {
  'a job is found as it was accepted, also after the store was opened again': async (harness) => {
    const first = await opened(harness)
    const identity = sampleJob(1)
    const job = await accepted(first, identity)
    const { seq, nextAtMs, ...rest } = job
    assert.ok(seq > 0n && nextAtMs > 0)
    assert.deepEqual(rest, {
      ...identity,
      state: 'SUBMITTED',
      detail: 'accepted for covenant signing',
      updatedAt: identity.createdAt,
      attempts: 0,
      held: false,
    })
    assert.deepEqual(await found(first.find(identity.requestId)), job)
    await first.close()

    const second = await opened(harness)
    assert.deepEqual(await found(second.find(identity.requestId)), job)
    assert.deepEqual(await found(second.findByRoute('self_v1', identity.routeRequestId)), job)
    assert.deepEqual(await second.list({ limit: 10 }), [job])
    await second.close()
  },

  'the same request again is the job that exists, and its own id is forgotten': async (harness) => {
    const store = await opened(harness)
    const job = await accepted(store, sampleJob(1))
    const again = sampleJob(1, { attempt: 1 })
    assert.deepEqual(await store.accept(again), { kind: 'existing', job })
    assert.deepEqual(await store.find(again.requestId), { kind: 'absent' })
    await store.close()
    const second = await harness.open()
    assert.deepEqual(await second.accept(again), { kind: 'existing', job })
    await second.close()
  },

  'another request under the same key is refused and names the job': async (harness) => {
    const store = await opened(harness)
    const { requestId } = await accepted(store, sampleJob(1))
    const outcome = await store.accept(sampleJob(1, { attempt: 1, payload: 'other' }))
    assert.deepEqual(outcome, { kind: 'payloadMismatch', requestId })
    await store.close()
  },

  'the same key on another route is another key': async (harness) => {
    const store = await opened(harness)
    await accepted(store, sampleJob(1))
    const { routeRequestId } = sampleJob(1)
    assert.deepEqual(await store.findByRoute('qc_v1', routeRequestId), { kind: 'absent' })
    await accepted(store, { ...sampleJob(2), routeRequestId, route: 'qc_v1' })
    assert.equal((await store.list({ limit: 10 })).length, 2)
    await store.close()
  },

  'of many accepts of one key at a time one is taken, and all name the same job': async (
    harness,
  ) => {
    const store = await opened(harness)
    const attempts = Array.from({ length: 20 }, (_, attempt) => sampleJob(1, { attempt }))
    const outcomes = await Promise.all(attempts.map((job) => store.accept(job)))
    const jobs = outcomes.map((outcome) => ('job' in outcome ? outcome.job.requestId : undefined))
    assert.deepEqual(new Set(jobs).size, 1)
    assert.equal(outcomes.filter(({ kind }) => kind === 'accepted').length, 1)
    assert.equal(outcomes.filter(({ kind }) => kind === 'existing').length, 19)
    assert.equal((await store.list({ limit: 100 })).length, 1)
    await store.close()
  },

  'accepts of one key with different requests at a time agree on one winner': async (harness) => {
    const store = await opened(harness)
    const outcomes = await Promise.all(
      ['a', 'b', 'c'].map((payload, attempt) => store.accept(sampleJob(1, { attempt, payload }))),
    )
    const [winner, ...others] = outcomes
    assert.equal(winner?.kind, 'accepted')
    const { requestId } = winner.job
    for (const outcome of others) assert.deepEqual(outcome, { kind: 'payloadMismatch', requestId })
    await store.close()
  },

  'jobs are listed in the order they were accepted, in pages and by state': async (harness) => {
    const store = await opened(harness)
    const jobs = await Promise.all([3, 1, 2].map((number) => accepted(store, sampleJob(number))))
    assert.deepEqual(await store.list({ limit: 2 }), jobs.slice(0, 2))
    const afterSeq = jobs[1]?.seq ?? 0n
    assert.deepEqual(await store.list({ afterSeq, limit: 2 }), jobs.slice(2))
    assert.deepEqual(await store.list({ state: 'SUBMITTED', limit: 10 }), jobs)
    assert.deepEqual(await store.list({ state: 'FAILED', limit: 10 }), [])
    await store.close()
  },

  'what was never accepted is absent': async (harness) => {
    const store = await opened(harness)
    const { requestId, routeRequestId } = sampleJob(1)
    assert.deepEqual(await store.find(requestId), { kind: 'absent' })
    assert.deepEqual(await store.findByRoute('self_v1', routeRequestId), { kind: 'absent' })
    assert.equal(await store.heal(sampleJob(1)), undefined)
    assert.deepEqual(await store.listQuarantined(10), [])
    await store.close()
  },

  'the highest host height is kept with the next commit': async (harness) => {
    const first = await opened(harness)
    assert.equal(first.hostHeight(), undefined)
    first.noteHostHeight(2n ** 60n)
    first.noteHostHeight(7n)
    assert.equal(first.hostHeight(), 2n ** 60n)
    await accepted(first, sampleJob(1))
    await first.close()
    const second = await opened(harness)
    assert.equal(second.hostHeight(), 2n ** 60n)
    await second.close()
  },
}
