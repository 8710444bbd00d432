import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { FinalTransition, Job } from '../../src/covenant/job.js'
import type { Claim, JobStore } from '../../src/covenant/store.js'
import type { Product } from './product.js'

/** How far a job of the seed is; every sixth is the same. */
export const stages = ['submitted', 'deferred', 'intended', 'ready', 'failed', 'released'] as const
export type Stage = (typeof stages)[number]

/** Files of one data directory by name. */
export type Files = ReadonlyMap<string, Buffer>

/** A directory with jobs in every state, whose ledger has every line. */
export type Seed = {
  readonly jobs: number
  /** Everything is in the database file. */
  readonly settled: Files
  /** The last fifth of the changes stands in the log alone. */
  readonly logged: Files
}

export const never: AbortSignal = new AbortController().signal
/** When what is put off is due: after the end of every trial. */
export const later = 8_000_000_000_000
const at = '2026-02-03T04:05:06Z'

export function stageOf(n: number): Stage {
  return stages[n % stages.length] ?? 'submitted'
}

/** What a job of the seed came to; undefined for one that has not ended. */
export function transitionOf(n: number): FinalTransition | undefined {
  switch (stageOf(n)) {
    case 'ready':
      return {
        state: 'ARTIFACT_READY',
        detail: `signed ${n}`,
        transactionHex: `0x02${String(n).padStart(4, '0').repeat(60)}`,
      }
    case 'failed':
    case 'released':
      return { state: 'FAILED', reason: 'POLICY_REJECTED', detail: `refused ${n}` }
    default:
      return undefined
  }
}

/** Whether the outpoint of a job is committed to the first sighash for good. */
export function holdsOutpoint(n: number): boolean {
  return stageOf(n) === 'intended' || (stageOf(n) === 'ready' && !isReleasedByHand(n))
}

/** One finished job in eleven had its outpoint freed by an operator. */
const isReleasedByHand = (n: number): boolean => stageOf(n) === 'ready' && n % 11 === 3

/** Timers that are run by hand. */
export function handTimers(): {
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

/** Makes the seed in `dir`, which it leaves as it is. */
export async function makeSeed(product: Product, dir: string, jobs: number): Promise<Seed> {
  const timers = handTimers()
  mkdirSync(dir)
  const store = await product.openSqliteJobStore(dir, { later: timers.later })
  await store.ready(never)
  const inFile = Math.floor(0.8 * jobs)
  await addJobs(product, store, 0, inFile)
  timers.run()
  await addJobs(product, store, inFile, jobs)
  // A descriptor of an open database must not be opened and closed in this process.
  const copy = `${dir}-logged`
  execFileSync('cp', ['-r', dir, copy])
  await store.close()
  return { jobs, settled: filesIn(dir), logged: filesIn(copy) }
}

function filesIn(dir: string): Files {
  const names = readdirSync(dir).filter((name) => statSync(join(dir, name)).isFile())
  return new Map(names.map((name) => [name, readFileSync(join(dir, name))]))
}

async function addJobs(product: Product, store: JobStore, from: number, to: number): Promise<void> {
  const numbers = Array.from({ length: to - from }, (_, index) => from + index)
  // A handful at a time, as clients come: one batch for all would lay the pages out too neatly.
  for (let start = 0; start < numbers.length; start += 5) {
    const some = numbers.slice(start, start + 5)
    await Promise.all(some.map((n) => store.accept(product.sampleJob(n))))
  }
  const claims = await store.claim('seed', later, numbers.length)
  const numberOf = new Map(numbers.map((n) => [product.sampleJob(n).requestId, n]))
  for (const claim of claims) {
    await moveOn(product, store, claim, numberOf.get(claim.job.requestId) ?? 0)
  }
}

async function moveOn(product: Product, store: JobStore, claim: Claim, n: number): Promise<void> {
  const { job, lease } = claim
  const stage = stageOf(n)
  if (stage === 'deferred') {
    await store.defer(lease, { detail: 'waits', nextAtMs: later, attempts: 1, at })
  }
  if (stage === 'intended' || stage === 'ready' || stage === 'released') {
    await store.intend(lease, product.sampleIntent(job))
  }
  const transition = transitionOf(n)
  if (transition !== undefined) {
    await store.settle(lease, transition, { releaseIntent: stage === 'released', at })
  }
  if (isReleasedByHand(n)) await release(store, job)
}

async function release(store: JobStore, { outpoint }: Job): Promise<void> {
  const { kind } = await store.releaseIntent(outpoint, { who: 'seed', why: 'another plan' })
  if (kind !== 'released') throw new RangeError(`seed: the intent on ${outpoint} is ${kind}`)
}
