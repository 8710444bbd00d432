import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Claim, JobStore } from '../../src/covenant/store.js'
import { openSqliteJobStore } from '../../src/store/sqlite/jobs-open.js'
import { sampleIntent, sampleJob } from '../../src/testing/sample-job.js'
import { handTimers, later, never } from './seed-store.js'

const at = '2026-02-03T04:05:06Z'
const failed = { state: 'FAILED', reason: 'POLICY_REJECTED', detail: 'refused' } as const
let dir = ''

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-intents-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

async function claimsOf(store: JobStore, count: number): Promise<readonly Claim[]> {
  for (let n = 0; n < count; n += 1) await store.accept(sampleJob(n))
  return store.claim('a runner', later, count)
}

/** Puts the entries of the index on the intents' jobs in the wrong order, as a changed cell of its page does. */
function makeIndexLie(): void {
  const path = join(dir, 'jobs.db')
  const define = (sql: string): void => {
    const database = new Database(path)
    database.unsafeMode(true)
    database.pragma('writable_schema = on')
    database.prepare("update sqlite_schema set sql = ? where name = 'intent_of_job'").run(sql)
    database.close()
  }
  const read = new Database(path)
  const sql = read
    .prepare("select sql from sqlite_schema where name = 'intent_of_job'")
    .pluck()
    .get() as string
  read.close()
  define(sql.replace('(job_seq)', '(job_seq desc)'))
  const lying = new Database(path)
  lying.exec('reindex intent_of_job')
  lying.close()
  define(sql)
}

describe('an intent', () => {
  it('is not released in place of another one when an index leads to the wrong row', async () => {
    const store = await openSqliteJobStore(dir)
    await store.ready(never)
    const [first, second] = await claimsOf(store, 2)
    if (first === undefined || second === undefined) throw new RangeError('want two claims')
    await store.intend(first.lease, sampleIntent(first.job))
    await store.intend(second.lease, sampleIntent(second.job))
    await store.settle(second.lease, failed, { releaseIntent: true, at })
    await store.close()
    makeIndexLie()
    const again = await openSqliteJobStore(dir)
    await again.ready(never)
    expect(await again.findIntent(first.job.outpoint)).toMatchObject(sampleIntent(first.job))
    expect(await again.findIntent(second.job.outpoint)).toBeUndefined()
    await again.close()
  })

  it('that is recorded already is answered only when its line is on the disk', async () => {
    const timers = handTimers()
    const reached: string[] = []
    let refuses = false
    const reach = (point: string): void => {
      reached.push(point)
      if (refuses && point === 'ledger.append.before') throw new Error('no space')
    }
    const faults = { reach, pause: async (point: string) => reach(point) }
    const store = await openSqliteJobStore(dir, { faults, later: timers.later })
    await store.ready(never)
    const [claim] = await claimsOf(store, 1)
    if (claim === undefined) throw new RangeError('want a claim')
    refuses = true
    await expect(store.intend(claim.lease, sampleIntent(claim.job))).rejects.toThrow(/unknown/)
    refuses = false
    // The line that waited is written, but nobody has synced it yet.
    timers.run()
    reached.length = 0
    const outcome = await store.intend(claim.lease, sampleIntent(claim.job))
    expect(outcome).toEqual({ kind: 'same' })
    expect(reached).toContain('ledger.sync.after')
    await store.close()
  })
})
