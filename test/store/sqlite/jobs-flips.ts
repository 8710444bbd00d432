import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { JobIdentity } from '../../../src/covenant/job.js'
import type { JobStore } from '../../../src/covenant/store.js'
import { openSqliteJobStore } from '../../../src/store/sqlite/index.js'
import { sampleIntent, sampleJob } from '../../../src/testing/sample-job.js'
import {
  accept,
  artifact,
  at,
  claimOne,
  copyDirectory,
  later,
  manualTimers,
  never,
} from './jobs-fixture.js'

/** Jobs of the seed by number: every third has an intent and ended, the next has an intent and waits. */
export const jobsMax = 24
const hasIntent = (n: number): boolean => n % 3 !== 2
const hasEnded = (n: number): boolean => n % 3 === 0

/** The file in which a bit is flipped. */
export type FlipTarget = 'jobs.db' | 'jobs.db-wal' | 'ledger.jsonl'

/** A directory whose ledger has every line; its log is full when it is copied before the store is closed. */
export async function makeSeed(dir: string, copy: string, target: FlipTarget): Promise<void> {
  const store = await openSqliteJobStore(dir, { later: manualTimers().later })
  await store.ready(never)
  for (let n = 0; n < jobsMax; n += 1) {
    const job = await accept(store, sampleJob(n))
    if (!hasIntent(n)) {
      await store.defer((await claimOne(store)).lease, wait)
      continue
    }
    const { lease } = await claimOne(store)
    await store.intend(lease, sampleIntent(job))
    if (hasEnded(n)) await store.settle(lease, artifact, { releaseIntent: false, at })
    else await store.defer(lease, wait)
  }
  if (target === 'jobs.db-wal') copyDirectory(dir, copy)
  await store.close()
  if (target !== 'jobs.db-wal') copyDirectory(dir, copy)
}

const wait = { detail: 'waits', nextAtMs: later, attempts: 1, at }

export type FlipReport = {
  readonly offset: number
  readonly bit: number
  /** The store could not be opened at all, or closed itself. */
  readonly stopped: boolean
  /** Keys that were answered as closed before they healed, and after. */
  readonly fenced: number
  readonly unhealed: number
  readonly refusesNewKeys: boolean
  /** What must never happen, in words. */
  readonly violations: readonly string[]
}

/** Flips one bit of a copy of the seed, opens it and asks everything that must hold. */
export async function flipOnce(
  seed: string,
  dir: string,
  target: FlipTarget,
  random: () => number,
): Promise<FlipReport> {
  copyDirectory(seed, dir)
  const path = join(dir, target)
  const bytes = readFileSync(path)
  const offset = Math.floor(random() * bytes.length)
  const bit = Math.floor(random() * 8)
  bytes[offset] = (bytes[offset] ?? 0) ^ (1 << bit)
  writeFileSync(path, bytes)
  try {
    return { offset, bit, ...(await examine(dir)) }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

type Findings = Omit<FlipReport, 'offset' | 'bit'>

async function examine(dir: string): Promise<Findings> {
  let store: JobStore
  try {
    store = await openSqliteJobStore(dir, { later: manualTimers().later })
  } catch {
    return { stopped: true, fenced: 0, unhealed: 0, refusesNewKeys: true, violations: [] }
  }
  const violations: string[] = []
  const note = (text: string): void => void violations.push(text)
  try {
    for (const n of [3, 4, 5]) await look(store, n, note)
    await store.ready(never).catch(() => undefined)
    let fenced = 0
    for (let n = 0; n < jobsMax; n += 1) fenced += await look(store, n, note)
    const { newKeys } = store.readiness()
    await trySecondSighashes(store, note)
    let unhealed = 0
    for (let n = 0; n < jobsMax; n += 1) unhealed += await resubmit(store, n, note)
    for (let n = 0; n < jobsMax; n += 1) await look(store, n, note)
    const stopped = !store.readiness().checks.some(({ name, ok }) => name === 'database' && ok)
    return { stopped, fenced, unhealed, refusesNewKeys: !newKeys, violations }
  } finally {
    await store.close()
  }
}

/** Answers whether the job is closed. */
async function look(store: JobStore, n: number, note: (text: string) => void): Promise<number> {
  const { requestId, route, routeRequestId } = sampleJob(n)
  let fenced = 0
  for (const call of [
    () => store.find(requestId),
    () => store.findByRoute(route, routeRequestId),
  ]) {
    const outcome = await call().catch(() => undefined)
    if (outcome === undefined || outcome.kind === 'fenced') fenced = 1
    else if (outcome.kind === 'absent') note(`job ${n} is answered as absent`)
    else {
      const { job } = outcome
      if (job.requestId !== requestId) note(`job ${n} is answered as another one`)
      if (job.request.idempotencyKey !== `idempotency ${n}`) note(`job ${n} has another request`)
      const ended = job.transactionHex === artifact.transactionHex
      // Before the ledger was replayed a lost settlement may still be unknown.
      if (hasEnded(n) && !ended && (await isCompared(store))) note(`job ${n} lost its result`)
      if (!hasEnded(n) && ended) note(`job ${n} has a result`)
    }
  }
  return fenced
}

async function isCompared(store: JobStore): Promise<boolean> {
  return store.readiness().checks.some(({ name, ok }) => name === 'replay' && ok)
}

/** Other jobs want the same outpoints for another transaction. */
async function trySecondSighashes(store: JobStore, note: (text: string) => void): Promise<void> {
  for (let n = 0; n < jobsMax; n += 1) {
    const rival = sampleJob(1000 + n, { outpoint: n })
    const outcome = await store.accept(rival).catch(() => undefined)
    if (outcome?.kind !== 'accepted') continue
    const claims = await store.claim('a runner', Date.now() + 1000, 100).catch(() => [])
    for (const { job, lease } of claims) {
      const number = Number(job.request.idempotencyKey.slice('idempotency '.length)) % 1000
      const answer = await store.intend(lease, sampleIntent(job, 2)).catch(() => undefined)
      if (!hasIntent(number)) continue
      if (answer?.kind === 'recorded') note(`outpoint ${number} has two sighashes`)
      if (answer?.kind === 'same') note(`outpoint ${number} was committed to something else`)
    }
  }
}

/** Answers whether the job stays closed although its request came again. */
async function resubmit(store: JobStore, n: number, note: (text: string) => void): Promise<number> {
  const again: JobIdentity = sampleJob(n, { attempt: 1 })
  const outcome = await store.accept(again).catch(() => undefined)
  if (outcome === undefined || outcome.kind === 'fenced') return 1
  if (outcome.kind === 'accepted') note(`job ${n} was accepted a second time`)
  if (outcome.kind === 'payloadMismatch') note(`job ${n} has another digest`)
  if (outcome.kind === 'existing' && outcome.job.requestId !== sampleJob(n).requestId) {
    note(`job ${n} has another id`)
  }
  return 0
}

/** Numbers from 0 to 1 that the same seed makes again (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
