import assert from 'node:assert/strict'
import { newAttemptId } from '../../base/ids.js'
import { sampleChangeset } from '../sample-changeset.js'
import { type Cases, ordinary, refuses, register, replacing, reserve } from './steps.js'

export const promoteCases: Cases = {
  'a promoted wallet reads back equal, also after the store was opened again': async (harness) => {
    const first = await harness.open()
    const changeset = sampleChangeset(1)
    const generation = await register(first, changeset)
    const expected = { kind: 'wallet' as const, wallet: { ...changeset, generation } }
    assert.deepEqual(await first.read(changeset.walletId), expected)
    assert.deepEqual(await first.journal(), [])
    await first.close()

    const second = await harness.open()
    assert.deepEqual(await second.read(changeset.walletId), expected)
    assert.deepEqual(await second.status(changeset.walletId), { kind: 'active', generation })
    assert.deepEqual(await second.list(), [changeset.walletId])
    assert.deepEqual(await second.lost(), [])
    await second.close()
  },
  'the parts of a wallet come in one order, however they were handed in': async (harness) => {
    const store = await harness.open()
    const changeset = sampleChangeset(1)
    const generation = await register(store, {
      ...changeset,
      accounts: [...changeset.accounts].reverse(),
      pools: [...changeset.pools].reverse(),
    })
    const outcome = await store.read(changeset.walletId)
    assert.deepEqual(outcome, { kind: 'wallet', wallet: { ...changeset, generation } })
    await store.close()
  },
  'two wallets do not mix': async (harness) => {
    const store = await harness.open()
    const [one, two] = [sampleChangeset(1), sampleChangeset(2)]
    const generations = [await register(store, two), await register(store, one)]
    assert.deepEqual(await store.list(), [one.walletId, two.walletId])
    for (const [changeset, generation] of [
      [two, generations[0]] as const,
      [one, generations[1]] as const,
    ]) {
      const outcome = await store.read(changeset.walletId)
      assert.deepEqual(outcome, { kind: 'wallet', wallet: { ...changeset, generation } })
    }
    await store.close()
  },
  'what a caller does to its changeset, or to what it read, changes nothing stored': async (
    harness,
  ) => {
    const store = await harness.open()
    const changeset = sampleChangeset(1)
    const handedIn = sampleChangeset(1)
    const generation = await register(store, handedIn)
    for (const pool of handedIn.pools) pool.entries.fill(0xee)
    const read = await store.read(changeset.walletId)
    assert.equal(read.kind, 'wallet')
    for (const pool of read.wallet.pools) pool.entries.fill(0xdd)
    const outcome = await store.read(changeset.walletId)
    assert.deepEqual(outcome, { kind: 'wallet', wallet: { ...changeset, generation } })
    await store.close()
  },
  'a wallet that is there is never written over': async (harness) => {
    const store = await harness.open()
    const changeset = sampleChangeset(1)
    const generation = await register(store, changeset)
    for (const options of [ordinary, replacing]) {
      const { attempt } = await reserve(store, changeset)
      const other = { ...changeset, birthHeight: 7 }
      await refuses(() => store.promote(attempt, other, options), 'constraint')
      await store.discard(attempt)
    }
    const outcome = await store.read(changeset.walletId)
    assert.deepEqual(outcome, { kind: 'wallet', wallet: { ...changeset, generation } })
    await store.close()
  },
  'a promote without its own reservation is refused': async (harness) => {
    const store = await harness.open()
    await refuses(() => store.promote(newAttemptId(), sampleChangeset(1), ordinary), 'constraint')
    const { attempt } = await reserve(store, sampleChangeset(2))
    await refuses(() => store.promote(attempt, sampleChangeset(1), ordinary), 'constraint')
    assert.deepEqual(await store.list(), [])
    await store.close()
  },
}
