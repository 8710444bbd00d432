import assert from 'node:assert/strict'
import { scriptedFaults } from '../faults.js'
import { sampleChangeset } from '../sample-changeset.js'
import { type Cases, ordinary, refuses, register, reserve } from './steps.js'

export const journalCases: Cases = {
  'a reservation is in the journal, also after the store was opened again': async (harness) => {
    const first = await harness.open()
    const { walletId, attempt } = await reserve(first, sampleChangeset(1), 'seed')
    const [row] = await first.journal()
    const { storeGeneration } = first
    assert.match(storeGeneration, /^[0-9a-f]{32}$/)
    const expected = { attempt, walletId, secretLabel: 'seed', phase: 'reserved' as const }
    assert.deepEqual(row, { ...expected, storeGeneration, ours: true, createdAtMs: 1000 })
    await first.close()

    const second = await harness.open()
    assert.equal(second.storeGeneration, storeGeneration)
    const rows = await second.journal()
    assert.deepEqual(rows, [{ ...expected, storeGeneration, ours: false, createdAtMs: 1000 }])
    assert.deepEqual(await second.status(walletId), { kind: 'absent' })
    assert.deepEqual(await second.list(), [])
    await second.close()
  },
  'a second live attempt for one wallet is refused, one for another wallet is not': async (
    harness,
  ) => {
    const store = await harness.open()
    await reserve(store, sampleChangeset(1))
    await refuses(() => reserve(store, sampleChangeset(1)), 'constraint')
    await reserve(store, sampleChangeset(2))
    assert.equal((await store.journal()).length, 2)
    await store.close()
  },
  'a dead reservation blocks nobody and is marked, not deleted': async (harness) => {
    const first = await harness.open()
    const dead = await reserve(first, sampleChangeset(1), 'seed')
    await first.close()
    const store = await harness.open()
    const { attempt } = await reserve(store, sampleChangeset(1))
    const phases = (await store.journal()).map((row) => [row.attempt, row.phase])
    assert.deepEqual(
      new Map(phases as [string, string][]),
      new Map([
        [dead.attempt as string, 'discarding'],
        [attempt as string, 'reserved'],
      ]),
    )
    await refuses(() => store.promote(dead.attempt, sampleChangeset(1), ordinary), 'constraint')
    await store.promote(attempt, sampleChangeset(1), ordinary)
    assert.deepEqual(
      (await store.journal()).map((row) => row.attempt),
      [dead.attempt],
    )
    await store.close()
  },
  'a discarded attempt is gone, and discarding it again changes nothing': async (harness) => {
    const store = await harness.open()
    const { attempt } = await reserve(store, sampleChangeset(1))
    await store.discard(attempt)
    await store.discard(attempt)
    assert.deepEqual(await store.journal(), [])
    await refuses(() => store.promote(attempt, sampleChangeset(1), ordinary), 'constraint')
    await register(store, sampleChangeset(1))
    await store.close()
  },
  'an attempt whose discard failed is marked and does not block the next one': async (harness) => {
    const point = 'discard.before'
    const store = await harness.open(scriptedFaults({ point, nth: 1, action: 'transient' }))
    const { attempt } = await reserve(store, sampleChangeset(1))
    await refuses(() => store.discard(attempt), 'transient')
    assert.deepEqual(
      (await store.journal()).map((row) => row.phase),
      ['discarding'],
    )
    await register(store, sampleChangeset(1))
    await store.discard(attempt)
    assert.deepEqual(await store.journal(), [])
    await store.close()
  },
  'marked attempts stay in the journal, oldest first, and cannot be promoted': async (harness) => {
    const store = await harness.open()
    const late = await reserve(store, sampleChangeset(1), undefined, 3000)
    const early = await reserve(store, sampleChangeset(2), undefined, 2000)
    await store.markDiscarding([late.attempt, early.attempt])
    const rows = await store.journal()
    assert.deepEqual(
      rows.map((row) => [row.attempt, row.phase]),
      [
        [early.attempt, 'discarding'],
        [late.attempt, 'discarding'],
      ],
    )
    await refuses(() => store.promote(late.attempt, sampleChangeset(1), ordinary), 'constraint')
    await store.close()
  },
}
