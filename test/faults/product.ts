import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { replayLedger } from '../../src/store/ledger-replay.js'
import type { openSqliteJobStore } from '../../src/store/sqlite/jobs-open.js'
import type { sampleIntent, sampleJob } from '../../src/testing/sample-job.js'

/** What a trial needs of the product, so that a build that is broken on purpose can stand in for it. */
export type Product = {
  readonly openSqliteJobStore: typeof openSqliteJobStore
  readonly replayLedger: typeof replayLedger
  readonly sampleJob: typeof sampleJob
  readonly sampleIntent: typeof sampleIntent
}

/** The product that was built into a folder. */
export async function loadProduct(dist: string): Promise<Product> {
  const load = (file: string): Promise<Product> => import(pathToFileURL(join(dist, file)).href)
  const { openSqliteJobStore } = await load('store/sqlite/jobs-open.js')
  const { replayLedger } = await load('store/ledger-replay.js')
  const { sampleIntent, sampleJob } = await load('testing/sample-job.js')
  return { openSqliteJobStore, replayLedger, sampleIntent, sampleJob }
}

/** Numbers from 0 up to 1 that the same seed makes again (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
