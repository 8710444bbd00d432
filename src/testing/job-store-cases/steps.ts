import assert from 'node:assert/strict'
import type { FaultPoints } from '../../base/fault-points.js'
import { type PersistenceKind, StoreFailed } from '../../base/persistence.js'
import type { FinalTransition, Job, JobIdentity, RequestId } from '../../covenant/job.js'
import type { Claim, FindOutcome, JobStore } from '../../covenant/store.js'

/** What a job store must offer to be put to the test. */
export interface JobStoreHarness {
  /** Opens the storage; called again only after the store it answered before was closed. */
  open(faults?: FaultPoints): Promise<JobStore>
  /** Changes something in the stored record of a job behind the store's back; called while it is closed. */
  damage(id: RequestId): Promise<void>
  /** Removes the stored record of a job behind the store's back; called while it is closed. */
  lose(id: RequestId): Promise<void>
  dispose(): Promise<void>
}

export type Body = (harness: JobStoreHarness) => Promise<void>
export type Cases = Readonly<Record<string, Body>>

export const by = { who: 'a test', why: 'to see what happens' } as const
export const settledAt = '2026-02-03T04:05:06Z'
export const keeping: { readonly releaseIntent: boolean; readonly at: string } = {
  releaseIntent: false,
  at: settledAt,
}
export const never: AbortSignal = new AbortController().signal

export const artifact: FinalTransition = {
  state: 'ARTIFACT_READY',
  detail: 'signed',
  psbtHash: `0x${'ab'.repeat(32)}`,
  transactionHex: '0x020000',
}
export const failure: FinalTransition = {
  state: 'FAILED',
  detail: 'the outpoint is spent',
  reason: 'POLICY_REJECTED',
}

/** Opens and waits until new keys are taken. */
export async function opened(harness: JobStoreHarness, faults?: FaultPoints): Promise<JobStore> {
  const store = await harness.open(faults)
  await store.ready(never)
  return store
}

/** Opens, also a store that takes no new keys, and waits until the witnesses were compared. */
export async function accepted(store: JobStore, identity: JobIdentity): Promise<Job> {
  const outcome = await store.accept(identity)
  assert.equal(outcome.kind, 'accepted')
  return outcome.job
}

export async function found(outcome: Promise<FindOutcome>): Promise<Job> {
  const answer = await outcome
  assert.equal(answer.kind, 'found')
  return answer.job
}

/** Claims the one job that is due. */
export async function claimed(store: JobStore, nowMs: number = Date.now() + 1000): Promise<Claim> {
  const [claim, ...more] = await store.claim('a runner', nowMs, 10)
  assert.ok(claim !== undefined && more.length === 0)
  return claim
}

export async function refuses(call: () => Promise<unknown>, kind: PersistenceKind): Promise<void> {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof StoreFailed, String(error))
    assert.deepEqual([error.kind, error.outcome], [kind, 'notWritten'])
    return true
  })
}
