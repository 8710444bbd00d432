import assert from 'node:assert/strict'
import type { FaultPoints } from '../../base/fault-points.js'
import type { Changeset } from '../../wallet/changeset.js'
import type { Corruption, WalletStore } from '../../wallet/store.js'
import { scriptedFaults } from '../faults.js'
import { sampleChangeset } from '../sample-changeset.js'
import {
  type Cases,
  ordinary,
  refuses,
  register,
  replacing,
  reserve,
  type WalletStoreHarness,
} from './steps.js'

const damage: Corruption = { kind: 'manifestIntegrityMismatch', detail: 'a test' }

export const damageCases: Cases = {
  'a damaged wallet is reported, can be set aside and replaced, and the others do not notice':
    async (harness) => {
      const [bad, good] = [sampleChangeset(1), sampleChangeset(2)]
      const store = await withDamaged(harness, bad, good)
      const outcome = await store.read(bad.walletId)
      assert.equal(outcome.kind, 'damaged')
      await store.quarantine(bad.walletId, damage)
      await store.quarantine(bad.walletId, { ...damage, detail: 'said again' })
      assert.deepEqual(await store.list(), [good.walletId])
      assert.equal((await store.read(good.walletId)).kind, 'wallet')
      const status = { kind: 'quarantined' as const, corruption: damage }
      assert.deepEqual(await store.status(bad.walletId), status)
      const [aside] = await store.quarantined()
      assert.equal(aside?.walletId, bad.walletId)
      assert.deepEqual(aside?.corruption, damage)

      const { attempt } = await reserve(store, bad)
      await refuses(() => store.promote(attempt, bad, ordinary), 'constraint')
      const generation = await store.promote(attempt, bad, replacing)
      assert.deepEqual(await store.quarantined(), [])
      const healed = { kind: 'wallet' as const, wallet: { ...bad, generation } }
      assert.deepEqual(await store.read(bad.walletId), healed)
      await store.close()

      const again = await harness.open()
      assert.deepEqual(await again.read(bad.walletId), healed)
      assert.deepEqual(await again.lost(), [])
      await again.close()
    },
  'a replacement that fails leaves the quarantined wallet as it was': async (harness) => {
    const bad = sampleChangeset(1)
    const faults = scriptedFaults({
      point: 'promote.beforeCommit',
      nth: 1,
      action: 'transient',
    })
    const store = await withDamaged(harness, bad, sampleChangeset(2), faults)
    await store.quarantine(bad.walletId, damage)
    const { attempt } = await reserve(store, bad)
    await refuses(() => store.promote(attempt, bad, replacing), 'transient')
    await store.discard(attempt)
    assert.equal((await store.status(bad.walletId)).kind, 'quarantined')
    assert.equal((await store.read(bad.walletId)).kind, 'damaged')
    await register(store, bad, replacing)
    assert.equal((await store.status(bad.walletId)).kind, 'active')
    await store.close()
  },
  'a wallet that vanished is reported as lost, and may be registered again': async (harness) => {
    const first = await harness.open()
    const changeset = sampleChangeset(1)
    await register(first, changeset)
    await first.close()
    await harness.lose(changeset.walletId)
    const store = await harness.open()
    assert.deepEqual(await store.lost(), [changeset.walletId])
    assert.deepEqual(await store.list(), [])
    assert.deepEqual(await store.status(changeset.walletId), { kind: 'absent' })
    const outcome = await store.read(changeset.walletId)
    assert.equal(outcome.kind === 'damaged' && outcome.corruption.kind, 'lost')
    await store.quarantine(changeset.walletId, { kind: 'lost', detail: 'nothing to set aside' })
    assert.deepEqual(await store.lost(), [changeset.walletId])
    await register(store, changeset)
    assert.deepEqual(await store.lost(), [])
    assert.equal((await store.read(changeset.walletId)).kind, 'wallet')
    await store.close()
  },
}

async function withDamaged(
  harness: WalletStoreHarness,
  bad: Changeset,
  good: Changeset,
  faults?: FaultPoints,
): Promise<WalletStore> {
  const first = await harness.open()
  await register(first, bad)
  await register(first, good)
  await first.close()
  await harness.damage(bad.walletId)
  return harness.open(faults)
}
