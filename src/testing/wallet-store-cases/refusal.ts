import assert from 'node:assert/strict'
import { newAttemptId } from '../../base/ids.js'
import { blobBytesMax } from '../../base/limits.js'
import type { Changeset } from '../../wallet/changeset.js'
import { entryBytes } from '../../wallet/pool.js'
import type { Corruption } from '../../wallet/store.js'
import { sampleChangeset } from '../sample-changeset.js'
import { type Cases, ordinary, refuses, reserve } from './steps.js'

const damage: Corruption = { kind: 'manifestIntegrityMismatch', detail: 'a test' }

export const refusalCases: Cases = {
  'what cannot be stored as it is, is refused before anything is written': async (harness) => {
    const store = await harness.open()
    const { attempt, walletId } = await reserve(store, sampleChangeset(1))
    for (const changeset of unstorable(sampleChangeset(1))) {
      await refuses(() => store.promote(attempt, changeset, ordinary), 'constraint')
    }
    assert.deepEqual(await store.status(walletId), { kind: 'absent' })
    await store.promote(attempt, sampleChangeset(1), ordinary)
    await store.close()
  },
  'a closed store refuses everything and can be closed again': async (harness) => {
    const store = await harness.open()
    const { walletId } = sampleChangeset(1)
    await store.close()
    await store.close()
    const calls = [
      () => store.status(walletId),
      () => reserve(store, sampleChangeset(1)),
      () => store.promote(newAttemptId(), sampleChangeset(1), ordinary),
      () => store.discard(newAttemptId()),
      () => store.markDiscarding([newAttemptId()]),
      () => store.journal(),
      () => store.list(),
      () => store.lost(),
      () => store.read(walletId),
      () => store.quarantine(walletId, damage),
      () => store.quarantined(),
    ]
    for (const call of calls) await refuses(call, 'persisterClosed')
  },
}

function unstorable(changeset: Changeset): readonly Changeset[] {
  const [pool] = changeset.pools
  const [address] = changeset.platformAddresses
  assert.ok(pool && address)
  const entries = new Uint8Array(Math.ceil((blobBytesMax + 1) / entryBytes) * entryBytes)
  const account = { ...pool.account, index: 99 }
  return [
    { ...changeset, accounts: [], pools: [], platformAddresses: [] },
    { ...changeset, birthHeight: -1 },
    { ...changeset, birthHeight: 1.5 },
    { ...changeset, pools: [{ ...pool, entries }] },
    { ...changeset, pools: [{ ...pool, entries: new Uint8Array(entryBytes - 1) }] },
    { ...changeset, pools: [{ ...pool, account }] },
    { ...changeset, platformAddresses: [{ ...address, balanceCredits: 2n ** 63n }] },
    { ...changeset, platformAddresses: [{ ...address, nonce: -1n }] },
    { ...changeset, platformAddresses: [{ ...address, hash160: new Uint8Array(21) }] },
    { ...changeset, platformAddresses: [{ ...address, accountIndex: 99 }] },
    { ...changeset, platformSync: { ...changeset.platformSync, syncHeight: 2n ** 64n } },
  ]
}
