import assert from 'node:assert/strict'
import type { FaultPoints } from '../../base/fault-points.js'
import { type AttemptId, newAttemptId, type WalletId } from '../../base/ids.js'
import { type PersistenceKind, StoreFailed } from '../../base/persistence.js'
import type { Changeset } from '../../wallet/changeset.js'
import type { WalletStore } from '../../wallet/store.js'

/** What a store must offer to be put to the test. */
export interface WalletStoreHarness {
  /** Opens the storage; called again only after the store it answered before was closed. */
  open(faults?: FaultPoints): Promise<WalletStore>
  /** Changes something in the stored rows of a wallet behind the store's back; called while it is closed. */
  damage(id: WalletId): Promise<void>
  /** Removes the stored rows of a wallet behind the store's back; called while it is closed. */
  lose(id: WalletId): Promise<void>
  dispose(): Promise<void>
}

/** Cases by name: a plain sentence about behaviour. */
export type Cases = Readonly<Record<string, (harness: WalletStoreHarness) => Promise<void>>>

export const ordinary: { readonly replaceQuarantined: boolean } = { replaceQuarantined: false }
export const replacing: { readonly replaceQuarantined: boolean } = { replaceQuarantined: true }

export async function reserve(
  store: WalletStore,
  { walletId }: Changeset,
  secretLabel?: string,
  createdAtMs = 1000,
): Promise<{ walletId: WalletId; attempt: AttemptId }> {
  const attempt = newAttemptId()
  const label = secretLabel === undefined ? {} : { secretLabel }
  await store.reserve({ walletId, attempt, createdAtMs, ...label })
  return { walletId, attempt }
}

export async function register(
  store: WalletStore,
  changeset: Changeset,
  options: { readonly replaceQuarantined: boolean } = ordinary,
): Promise<string> {
  const { attempt } = await reserve(store, changeset)
  const generation = await store.promote(attempt, changeset, options)
  assert.equal(generation as string, attempt as string)
  return generation
}

export async function refuses(call: () => Promise<unknown>, kind: PersistenceKind): Promise<void> {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof StoreFailed, String(error))
    assert.deepEqual([error.kind, error.outcome], [kind, 'notWritten'])
    return true
  })
}
