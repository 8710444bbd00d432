import assert from 'node:assert/strict'
import type { RequestId } from '../../covenant/job.js'
import type { JobStore } from '../../covenant/store.js'
import { sampleIntent, sampleJob } from '../sample-job.js'
import {
  accepted,
  artifact,
  by,
  type Cases,
  claimed,
  found,
  type JobStoreHarness,
  keeping,
  opened,
} from './steps.js'

const later = 8_000_000_000_000
const [bad, good] = [sampleJob(1), sampleJob(2)]
const again = sampleJob(1, { attempt: 1 })

/** A store with two jobs, one of whose records was spoilt while it was closed. */
async function spoilt(harness: JobStoreHarness, how: 'damage' | 'lose'): Promise<JobStore> {
  const first = await opened(harness)
  await accepted(first, bad)
  await accepted(first, good)
  await first.close()
  await harness[how](bad.requestId)
  return opened(harness)
}

async function recordOf(store: JobStore, requestId: RequestId): Promise<string> {
  const records = await store.listQuarantined(10)
  const record = records.find((one) => one.requestId === requestId)
  assert.ok(record)
  return record.id
}

export const damageCases: Cases = {
  ...Object.fromEntries(
    (['damage', 'lose'] as const).map((how) => [
      `a record that did ${how === 'lose' ? 'vanish' : 'change'} closes its key and outpoint and stops nobody else`,
      async (harness: JobStoreHarness) => {
        const store = await spoilt(harness, how)
        const recordId = await recordOf(store, bad.requestId)
        const outcomes = await Promise.all([
          store.find(bad.requestId),
          store.findByRoute(bad.route, bad.routeRequestId),
          store.accept(sampleJob(1, { attempt: 1, payload: 'other' })),
          store.accept(sampleJob(3, { outpoint: 1 })),
        ])
        for (const outcome of outcomes) {
          assert.equal(outcome.kind, 'fenced')
          assert.equal(outcome.fence.recordId, recordId)
        }
        const [record, ...more] = await store.listQuarantined(10)
        assert.ok(record && more.length === 0)
        const { route, routeRequestId } = bad
        assert.deepEqual(record.blocks, {
          keys: [{ route, routeRequestId }],
          outpoints: [bad.outpoint],
          everyNewKey: false,
        })
        assert.equal(store.readiness().newKeys, true)
        assert.equal((await found(store.find(good.requestId))).requestId, good.requestId)
        await accepted(store, sampleJob(4))
        const claims = await store.claim('a runner', later, 10)
        assert.deepEqual(
          claims.map(({ job }) => job.requestId),
          [good.requestId, sampleJob(4).requestId],
        )
        await store.close()
      },
    ]),
  ),

  ...Object.fromEntries(
    (['damage', 'lose'] as const).flatMap((how) =>
      (['accept', 'heal'] as const).map((call) => [
        `a record that did ${how === 'lose' ? 'vanish' : 'change'} heals when ${call} brings the same request`,
        async (harness: JobStoreHarness) => {
          const store = await spoilt(harness, how)
          assert.equal(await store.heal(sampleJob(1, { payload: 'other' })), undefined)
          const outcome =
            call === 'heal' ? await store.heal(again) : await existing(store.accept(again))
          assert.ok(outcome)
          const { requestId, createdAt, depositorEthAddress } = outcome
          assert.deepEqual(
            [requestId, createdAt, depositorEthAddress],
            [bad.requestId, bad.createdAt, bad.depositorEthAddress],
          )
          assert.deepEqual(await found(store.find(bad.requestId)), outcome)
          assert.deepEqual(await store.listQuarantined(10), [])
          assert.equal((await store.claim('a runner', later, 10)).length, 2)
          await store.close()
          const next = await opened(harness)
          assert.deepEqual(await next.listQuarantined(10), [])
          assert.deepEqual(await found(next.findByRoute(bad.route, bad.routeRequestId)), outcome)
          await next.close()
        },
      ]),
    ),
  ),

  'a finished job that vanished heals with its result, and is not run again': async (harness) => {
    const first = await opened(harness)
    await accepted(first, bad)
    const settled = await first.settle((await claimed(first)).lease, artifact, keeping)
    assert.equal(settled.kind, 'settled')
    await first.close()
    await harness.lose(bad.requestId)
    const store = await opened(harness)
    const outcome = await existing(store.accept(again))
    assert.deepEqual(
      [outcome.state, outcome.transactionHex, outcome.completedAt],
      ['ARTIFACT_READY', artifact.transactionHex, settled.job.completedAt],
    )
    assert.deepEqual(await store.claim('a runner', later, 10), [])
    await store.close()
  },

  'the outpoint of a vanished job stays committed to its intent': async (harness) => {
    const first = await opened(harness)
    await accepted(first, bad)
    await first.intend((await claimed(first)).lease, sampleIntent(bad))
    await first.close()
    await harness.lose(bad.requestId)
    const store = await opened(harness)
    await existing(store.accept(again))
    const claim = await claimed(store)
    assert.deepEqual(claim.intent, sampleIntent(bad))
    assert.deepEqual(await store.intend(claim.lease, sampleIntent(bad, 2)), {
      kind: 'conflict',
      requestId: bad.requestId,
    })
    await store.close()
  },

  'a dry run says what would change and changes nothing': async (harness) => {
    const store = await spoilt(harness, 'lose')
    const recordId = await recordOf(store, bad.requestId)
    for (const how of [
      { kind: 'adopt', request: bad.request },
      { kind: 'retire' },
      { kind: 'release', typedKey: `${bad.route}:${bad.routeRequestId}` },
    ] as const) {
      const report = await store.resolve(recordId, how, by, true)
      assert.ok(report.dryRun && report.changes.length > 0)
      assert.equal(report.record.id, recordId)
    }
    assert.equal((await store.find(bad.requestId)).kind, 'fenced')
    assert.equal((await store.listQuarantined(10)).length, 1)
    await store.close()
  },

  'a record is adopted with the request that was accepted, and with no other': async (harness) => {
    const store = await spoilt(harness, 'lose')
    const recordId = await recordOf(store, bad.requestId)
    const other = { kind: 'adopt', request: good.request } as const
    await refusesResolution(store.resolve(recordId, other, by, false))
    await store.resolve(recordId, { kind: 'adopt', request: bad.request }, by, false)
    assert.equal((await found(store.find(bad.requestId))).createdAt, bad.createdAt)
    assert.deepEqual(await store.listQuarantined(10), [])
    await store.close()
  },

  'a retired key stays closed, also over an opening and for the same request': async (harness) => {
    const store = await spoilt(harness, 'lose')
    const recordId = await recordOf(store, bad.requestId)
    await store.resolve(recordId, { kind: 'retire' }, by, false)
    assert.equal((await store.accept(again)).kind, 'fenced')
    await store.close()
    const next = await opened(harness)
    assert.equal((await next.accept(again)).kind, 'fenced')
    assert.equal(await next.heal(again), undefined)
    assert.equal((await next.findByRoute(bad.route, bad.routeRequestId)).kind, 'fenced')
    await next.close()
  },

  ...Object.fromEntries(
    (['damage', 'lose'] as const).map((how) => [
      `a released key is usable again when its record did ${how === 'lose' ? 'vanish' : 'change'}`,
      async (harness: JobStoreHarness) => {
        const store = await spoilt(harness, how)
        const recordId = await recordOf(store, bad.requestId)
        const wrong = { kind: 'release', typedKey: bad.routeRequestId } as const
        await refusesResolution(store.resolve(recordId, wrong, by, false))
        const typedKey = `${bad.route}:${bad.routeRequestId}`
        await store.resolve(recordId, { kind: 'release', typedKey }, by, false)
        const missing = await store.findByRoute(bad.route, bad.routeRequestId)
        assert.deepEqual(missing, { kind: 'absent' })
        const job = await accepted(store, again)
        await store.close()
        const next = await opened(harness)
        assert.deepEqual(await found(next.findByRoute(bad.route, bad.routeRequestId)), job)
        assert.deepEqual(await next.listQuarantined(10), [])
        await next.close()
      },
    ]),
  ),

  'a record that is not listed cannot be resolved': async (harness) => {
    const store = await opened(harness)
    await assert.rejects(store.resolve('job-99', { kind: 'retire' }, by, false), {
      code: 'RecordNotFound',
    })
    await store.close()
  },
}

async function existing(outcome: ReturnType<JobStore['accept']>) {
  const answer = await outcome
  assert.equal(answer.kind, 'existing')
  return answer.job
}

async function refusesResolution(resolved: Promise<unknown>): Promise<void> {
  await assert.rejects(resolved, { code: 'ResolutionRefused' })
}
