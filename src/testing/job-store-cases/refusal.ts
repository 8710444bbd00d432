import assert from 'node:assert/strict'
import { sampleIntent, sampleJob } from '../sample-job.js'
import { artifact, by, type Cases, keeping, never, opened, refuses, settledAt } from './steps.js'

export const refusalCases: Cases = {
  'a closed store refuses everything and can be closed again': async (harness) => {
    const store = await opened(harness)
    await store.close()
    await store.close()
    const job = sampleJob(1)
    const lease = { requestId: job.requestId, owner: 'a runner', fencingToken: 1n }
    const wait = { detail: '', nextAtMs: 0, attempts: 1, at: settledAt }
    const calls: readonly (() => Promise<unknown>)[] = [
      () => store.accept(job),
      () => store.heal(job),
      () => store.find(job.requestId),
      () => store.findByRoute(job.route, job.routeRequestId),
      () => store.list({ limit: 1 }),
      () => store.claim('a runner', 0, 1),
      async () => store.nextDueMs(),
      async () => store.nudge(job.requestId, 0),
      () => store.intend(lease, sampleIntent(job)),
      () => store.settle(lease, artifact, keeping),
      () => store.defer(lease, wait),
      () => store.releaseIntent(job.outpoint, by),
      () => store.findIntent(job.outpoint),
      () => store.resume(job.requestId, by),
      () => store.listQuarantined(1),
      () => store.findQuarantined('job-1'),
      () => store.resetHostHeight(1n, by),
      () => store.resolve('job-1', { kind: 'retire' }, by, false),
      () => store.reconcile(never),
      async () => store.hostHeight(),
      async () => store.noteHostHeight(1n),
      () => store.ready(never),
    ]
    for (const call of calls) await refuses(call, 'persisterClosed')
    assert.equal(store.readiness().newKeys, false)
  },

  'comparing the witnesses of a whole store changes nothing': async (harness) => {
    const store = await opened(harness)
    await store.accept(sampleJob(1))
    const jobs = await store.list({ limit: 10 })
    const report = await store.reconcile(never)
    assert.deepEqual(
      [report.rows, report.fenced, report.linesAppended, report.indexesRebuilt],
      [1n, 0, 0, false],
    )
    assert.deepEqual(await store.list({ limit: 10 }), jobs)
    await store.close()
  },

  'a store that is whole takes new keys and says so': async (harness) => {
    const store = await opened(harness)
    const { newKeys, checks } = store.readiness()
    assert.deepEqual([newKeys, checks.filter(({ ok }) => !ok)], [true, []])
    await store.close()
  },
}
