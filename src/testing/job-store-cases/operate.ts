import assert from 'node:assert/strict'
import { sampleJob } from '../sample-job.js'
import { accepted, by, type Cases, never, opened } from './steps.js'

const bad = sampleJob(1)

export const operateCases: Cases = {
  'an operator puts the host height to a lower value, which is kept at once': async (harness) => {
    const first = await opened(harness)
    first.noteHostHeight(1000n)
    await accepted(first, sampleJob(1))
    await first.resetHostHeight(7n, by)
    assert.equal(first.hostHeight(), 7n)
    await first.close()
    const second = await opened(harness)
    assert.equal(second.hostHeight(), 7n)
    second.noteHostHeight(9n)
    await accepted(second, sampleJob(2))
    await second.close()
    const third = await opened(harness)
    assert.equal(third.hostHeight(), 9n)
    await third.close()
  },

  'a certificate is put on record before it is signed, and changes nothing else': async (
    harness,
  ) => {
    const store = await opened(harness)
    const walletKey = `0x02${'ab'.repeat(32)}` as const
    const note = {
      walletKey,
      approvalDigest: `0x${'11'.repeat(32)}`,
      endBlock: 2n ** 64n - 1n,
    } as const
    await store.recordCertificate(note, by)
    assert.deepEqual(await store.listQuarantined(1), [])
    assert.equal((await store.accept(sampleJob(1))).kind, 'accepted')
    await store.close()
    const again = await opened(harness)
    await again.ready(never)
    assert.equal((await again.find(sampleJob(1).requestId)).kind, 'found')
    assert.deepEqual(await again.listQuarantined(1), [])
    await again.close()
  },

  'a record says what was found and what can be done, each of which works': async (harness) => {
    const first = await opened(harness)
    await accepted(first, bad)
    await first.close()
    await harness.lose(bad.requestId)
    const store = await opened(harness)
    const [record] = await store.listQuarantined(1)
    assert.equal(record?.state, 'open')
    const detail = await store.findQuarantined(record.id)
    assert.ok(detail)
    assert.equal(detail.record.id, record.id)
    assert.equal(detail.record.sizeBytes, detail.raw.length)
    assert.equal(detail.readable.requestId, bad.requestId)
    assert.equal(detail.readable.routeRequestId, bad.routeRequestId)
    assert.deepEqual(
      detail.witnesses.map(({ name }) => name),
      ['database', 'ledger'],
    )
    assert.ok(detail.ways.length >= 3)
    const typedKey = `${bad.route}:${bad.routeRequestId}`
    const resolutions = {
      restore: { kind: 'restore', from: 'ledger' },
      adopt: { kind: 'adopt', request: bad.request },
      retire: { kind: 'retire' },
      release: { kind: 'release', typedKey },
    } as const
    for (const { how, effect } of detail.ways) {
      assert.ok(effect.length > 0)
      const report = await store.resolve(record.id, resolutions[how], by, true)
      assert.equal(report.dryRun, true)
    }
    assert.equal(await store.findQuarantined('job-99'), undefined)
    await store.close()
  },

  'a retired record is listed behind open ones and troubles nobody': async (harness) => {
    const first = await opened(harness)
    for (const number of [1, 2]) await accepted(first, sampleJob(number))
    await first.close()
    for (const number of [1, 2]) await harness.lose(sampleJob(number).requestId)
    const store = await opened(harness)
    const [one, two] = await store.listQuarantined(10)
    assert.ok(one && two)
    await store.resolve(one.id, { kind: 'retire' }, by, false)
    const listed = await store.listQuarantined(10)
    assert.deepEqual(
      listed.map(({ id, state }) => [id, state]),
      [
        [two.id, 'open'],
        [one.id, 'retired'],
      ],
    )
    assert.equal((await store.findQuarantined(one.id))?.record.state, 'retired')
    await store.resolve(two.id, { kind: 'retire' }, by, false)
    await store.close()
    const again = await opened(harness)
    assert.deepEqual(
      (await again.listQuarantined(10)).map(({ state }) => state),
      ['retired', 'retired'],
    )
    assert.equal(again.readiness().checks.find(({ name }) => name === 'quarantine')?.ok, true)
    await again.close()
  },
}
