import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect } from 'vitest'
import type { FaultPoints } from '../../../src/base/fault-points.js'
import type { FinalTransition, Job, JobIdentity } from '../../../src/covenant/job.js'
import type { Claim, JobStore } from '../../../src/covenant/store.js'
import type { LedgerEntry } from '../../../src/store/ledger-entry.js'
import { replayLedger } from '../../../src/store/ledger-replay.js'
import { openSqliteJobStore } from '../../../src/store/sqlite/index.js'
import type { SqliteJobStoreOptions } from '../../../src/store/sqlite/jobs-open.js'

export const never: AbortSignal = new AbortController().signal
export const later = 8_000_000_000_000
export const by = { who: 'a test', why: 'to see what happens' } as const
export const at = '2026-02-03T04:05:06Z'
export const keeping = { releaseIntent: false, at } as const
export const artifact: FinalTransition = {
  state: 'ARTIFACT_READY',
  detail: 'signed',
  transactionHex: `0x02${'00'.repeat(300)}`,
}

/** Opens a job store and waits until its witnesses were compared, whatever came of it. */
export async function openCompared(
  dir: string,
  options: SqliteJobStoreOptions = {},
): Promise<JobStore> {
  const store = await openSqliteJobStore(dir, options)
  await store.ready(never).catch(() => undefined)
  return store
}

/** Runs a test with a store that new keys can be put into, and closes it. */
export async function withJobs<T>(
  dir: string,
  work: (store: JobStore) => Promise<T>,
  options: SqliteJobStoreOptions = {},
): Promise<T> {
  const store = await openCompared(dir, options)
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}

export async function accept(store: JobStore, identity: JobIdentity): Promise<Job> {
  const outcome = await store.accept(identity)
  if (outcome.kind !== 'accepted') throw new RangeError(`accept: ${outcome.kind}`)
  return outcome.job
}

export async function claimOne(store: JobStore): Promise<Claim> {
  const [claim] = await store.claim('a runner', later, 1)
  if (claim === undefined) throw new RangeError('claim: nothing is due')
  return claim
}

/** Changes the database behind the store's back, while it is closed. */
export function change(dir: string, sql: string, ...values: readonly unknown[]): void {
  const db = new Database(join(dir, 'jobs.db'))
  const { changes } = db.prepare(sql).run(...values)
  db.close()
  expect(changes).toBe(1)
}

/** Reads the database behind the store's back, while it is closed. */
export function query(dir: string, sql: string): unknown[] {
  const db = new Database(join(dir, 'jobs.db'), { readonly: true })
  const rows = db.prepare(sql).raw(true).all()
  db.close()
  return rows
}

/** Copies a directory in a child, so that no descriptor of a database is opened and closed in this process. */
export function copyDirectory(from: string, to: string): void {
  execFileSync('cp', ['-r', from, to])
}

/** Entries of the ledger in their order. */
export async function linesOf(dir: string): Promise<readonly LedgerEntry[]> {
  const entries: LedgerEntry[] = []
  await replayLedger(dir, (_, read) => void entries.push(read().entry))
  return entries
}

/** Fault points that call a function. */
export function faultsThat(onPoint: (point: string) => void): FaultPoints {
  return { reach: onPoint, pause: async (point) => onPoint(point) }
}

/** Timers that a test runs by hand. */
export function manualTimers(): {
  readonly later: (work: () => void, delayMs: number) => () => void
  readonly run: () => void
} {
  const waiting = new Set<() => void>()
  return {
    later(work) {
      waiting.add(work)
      return () => void waiting.delete(work)
    },
    run() {
      for (const work of [...waiting]) {
        waiting.delete(work)
        work()
      }
    },
  }
}
