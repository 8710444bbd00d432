import assert from 'node:assert/strict'
import type { PersistenceKind } from '../../base/persistence.js'
import { type FaultAction, scriptedFaults } from '../faults.js'
import { sampleChangeset } from '../sample-changeset.js'
import {
  type Cases,
  ordinary,
  refuses,
  register,
  reserve,
  type WalletStoreHarness,
} from './steps.js'

type Kind = FaultAction & PersistenceKind
type Body = Cases[string]

/** Rows of the sample: its own, 2 accounts, 3 pools, 1 Platform address, its sync state. */
const sampleRows = 8
const beforeCommit: readonly string[] = [
  'promote.begin',
  ...Array.from({ length: sampleRows }, (_, at) => `promote.row:${at + 1}`),
  'promote.beforeCommit',
]
const afterCommit = ['promote.commitError', 'promote.afterCommit'] as const
const kinds = ['transient', 'constraint', 'fatal'] as const

/** Every point of a promote, failed in every way. */
export const faultCases: Cases = {
  ...Object.fromEntries(
    beforeCommit.flatMap((point) =>
      kinds.map((kind): [string, Body] => [
        `a ${kind} failure at ${point} leaves nothing, and the retry succeeds`,
        (harness) => leavesNothing(harness, point, kind),
      ]),
    ),
  ),
  ...Object.fromEntries(
    afterCommit.flatMap((point) =>
      kinds.map((kind): [string, Body] => [
        `a ${kind} failure at ${point} is settled: the wallet is there`,
        (harness) => isSettled(harness, point, kind),
      ]),
    ),
  ),
  'a promote that hangs before it begins holds nothing, and ends well once released': async (
    harness,
  ) => {
    const faults = scriptedFaults({ point: 'promote.begin', nth: 1, action: 'hang' })
    const store = await harness.open(faults)
    const { attempt } = await reserve(store, sampleChangeset(1))
    const promoted = store.promote(attempt, sampleChangeset(1), ordinary)
    await faults.hanging('promote.begin')
    assert.deepEqual(await store.list(), [])
    await register(store, sampleChangeset(2))
    faults.release('promote.begin')
    await promoted
    assert.equal((await store.list()).length, 2)
    await store.close()
  },
}

async function leavesNothing(
  harness: WalletStoreHarness,
  point: string,
  kind: Kind,
): Promise<void> {
  const store = await harness.open(scriptedFaults({ point, nth: 1, action: kind }))
  const changeset = sampleChangeset(1)
  const { attempt } = await reserve(store, changeset)
  await refuses(() => store.promote(attempt, changeset, ordinary), kind)
  await store.discard(attempt)
  assert.deepEqual(await store.journal(), [])
  assert.deepEqual(await store.list(), [])
  assert.deepEqual(await store.lost(), [])
  assert.deepEqual(await store.status(changeset.walletId), { kind: 'absent' })
  assert.deepEqual(await store.read(changeset.walletId), { kind: 'absent' })
  const generation = await register(store, changeset)
  const outcome = await store.read(changeset.walletId)
  assert.deepEqual(outcome, { kind: 'wallet', wallet: { ...changeset, generation } })
  await store.close()
}

async function isSettled(harness: WalletStoreHarness, point: string, kind: Kind): Promise<void> {
  const store = await harness.open(scriptedFaults({ point, nth: 1, action: kind }))
  const changeset = sampleChangeset(1)
  const generation = await register(store, changeset)
  const expected = { kind: 'wallet' as const, wallet: { ...changeset, generation } }
  assert.deepEqual(await store.read(changeset.walletId), expected)
  assert.deepEqual(await store.journal(), [])
  await register(store, sampleChangeset(2))
  await store.close()
  const again = await harness.open()
  assert.deepEqual(await again.read(changeset.walletId), expected)
  assert.deepEqual(await again.lost(), [])
  await again.close()
}
