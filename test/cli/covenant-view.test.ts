import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Job } from '../../src/covenant/job.js'
import { openJobStore } from '../../src/store/sqlite/index.js'
import { sampleIntent, sampleJob } from '../../src/testing/sample-job.js'
import {
  accept,
  artifact,
  at,
  by,
  change,
  claimOne,
  keeping,
  withJobs,
} from '../store/sqlite/jobs-fixture.js'
import { type Finished, filesBelow, holdfast } from './command.js'

let folder = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-view-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const covenant = (...args: string[]): Finished =>
  holdfast(['covenant', ...args, '--json', '--data-dir', folder])

/** Runs a verb that must leave every byte as it is. */
function read(...args: string[]): Finished {
  const before = filesBelow(folder)
  const done = covenant(...args)
  expect(filesBelow(folder)).toEqual(before)
  return done
}

/** Three jobs: the first is signed, the second waits for its second try, the third is new. */
async function makeJobs(): Promise<readonly Job[]> {
  return withJobs(folder, async (store) => {
    const jobs: Job[] = []
    for (const number of [1, 2, 3]) {
      const job = await accept(store, sampleJob(number))
      jobs.push(job)
      if (number === 3) break
      const { lease } = await claimOne(store)
      if (number === 1) {
        await store.intend(lease, sampleIntent(job))
        await store.settle(lease, artifact, keeping)
      } else {
        const wait = { detail: 'waiting \u001b[2J', nextAtMs: 9_000_000_000_000, attempts: 1, at }
        await store.defer(lease, wait)
      }
    }
    return jobs
  })
}

describe('covenant list', () => {
  it('prints every job in the order of acceptance and changes nothing', async () => {
    const jobs = await makeJobs()
    const { status, stdout } = read('list')
    const listed = JSON.parse(stdout)
    expect(listed).toMatchObject({ next: null, quarantined: 0 })
    expect(listed.jobs.map(({ requestId, state }: Job) => [requestId, state])).toEqual([
      [jobs[0]?.requestId, 'ARTIFACT_READY'],
      [jobs[1]?.requestId, 'PENDING'],
      [jobs[2]?.requestId, 'SUBMITTED'],
    ])
    expect(listed.jobs[1]).toMatchObject({ detail: 'waiting \u001b[2J', attempts: 1, held: false })
    expect(status).toBe(0)
  })

  it('prints a page of one state, and where the next one begins', async () => {
    const jobs = await makeJobs()
    const ids = (found: Finished): unknown => [
      JSON.parse(found.stdout).jobs.map(({ requestId }: Job) => requestId),
      JSON.parse(found.stdout).next,
    ]
    expect(ids(read('list', '--state', 'SUBMITTED'))).toEqual([[jobs[2]?.requestId], null])
    const next = Number(jobs[1]?.seq)
    expect(ids(read('list', '--limit', '2'))).toEqual([
      [jobs[0]?.requestId, jobs[1]?.requestId],
      next,
    ])
    expect(ids(read('list', '--after', String(next)))).toEqual([[jobs[2]?.requestId], null])
    const byRoute = (route: string): unknown => ids(read('list', '--route', route))
    for (const route of ['qc_v1', 'self_v1'] as const) {
      const wanted = jobs.filter((job) => job.route === route).map(({ requestId }) => requestId)
      expect(byRoute(route)).toEqual([wanted, null])
    }
  })

  it('shows a terminal nothing that it would act on', async () => {
    await makeJobs()
    const { stdout } = holdfast(['covenant', 'list', '--data-dir', folder])
    expect(stdout).toContain('waiting \\u001b[2J')
    expect(stdout).not.toContain('\u001b')
  })

  it('finds nothing in a directory without jobs or without a directory, and makes nothing', () => {
    expect(JSON.parse(read('list').stdout)).toEqual({ jobs: [], next: null, quarantined: 0 })
    const none = join(folder, 'none')
    const { status, stdout } = holdfast(['covenant', 'list', '--json', '--data-dir', none])
    expect([status, JSON.parse(stdout).jobs, existsSync(none)]).toEqual([0, [], false])
  })

  it('counts the jobs that were set aside', async () => {
    const [first] = await makeJobs()
    change(folder, 'delete from job where seq = ?', first?.seq)
    const { stdout, stderr } = read('list')
    expect(JSON.parse(stdout)).toMatchObject({ quarantined: 1 })
    expect(JSON.parse(stdout).jobs).toHaveLength(2)
    expect(stderr).toContain('Set aside: 1')
  })

  it('ends with 4 while a process holds the directory that cannot be asked, and with 2 for impossible flags', async () => {
    const store = await openJobStore(folder)
    const { status, stdout } = covenant('list')
    await store.close()
    expect([JSON.parse(stdout).error.code, status]).toEqual(['DaemonUnreachable', 4])
    expect(JSON.parse(stdout).error.message).toContain(`${folder} is held by a process`)
    for (const flags of [
      ['--state', 'SIGNED'],
      ['--limit', '0'],
      ['--limit', '10001'],
      ['--after', 'x'],
      ['--route', 'qc_v2'],
    ]) {
      expect(covenant('list', ...flags).status, flags.join(' ')).toBe(2)
    }
  })
})

describe('covenant show', () => {
  it('prints a signed job with timeline, intent, result, and text that gives its digest', async () => {
    const [job] = await makeJobs()
    if (job === undefined) throw new RangeError('no job')
    const { status, stdout } = read('show', job.requestId)
    const shown = JSON.parse(stdout)
    expect(shown).toMatchObject({
      requestId: job.requestId,
      routeRequestId: job.routeRequestId,
      requestDigest: job.requestDigest,
      intent: sampleIntent(job),
      result: {
        status: 'READY',
        requestId: job.requestId,
        transactionHex: artifact.transactionHex,
      },
    })
    const told = shown.timeline.map(({ what, seq }: Record<string, unknown>) => [what, seq])
    const seq = Number(job.seq)
    expect(told).toEqual([
      ['accept', seq],
      ['intend', seq + 1],
      ['settle', seq + 2],
    ])
    expect(status).toBe(0)
    const text = join(folder, '..', `${folder.split('/').at(-1)}.json`)
    writeFileSync(text, shown.canonicalRequest)
    const { stdout: digest } = holdfast(['covenant', 'digest', '--kind', 'request', text])
    rmSync(text)
    expect(digest.trim()).toBe(job.requestDigest)
  })

  it('prints a waiting job without intent and result, and what it waits for', async () => {
    const [, job] = await makeJobs()
    const shown = JSON.parse(read('show', job?.requestId ?? '').stdout)
    expect(shown).toMatchObject({ state: 'PENDING', intent: null, result: null })
    expect(shown.timeline.at(-1)).toEqual({ at, what: 'defer', detail: 'waiting \u001b[2J' })
  })

  it('tells who freed an outpoint, and why', async () => {
    const [job] = await makeJobs()
    if (job === undefined) throw new RangeError('no job')
    await withJobs(folder, (store) => store.releaseIntent(job.outpoint, by))
    const shown = JSON.parse(read('show', job.requestId).stdout)
    expect(shown.intent).toBe(null)
    expect(shown.timeline.at(-1)).toMatchObject({
      what: 'operate',
      detail: `release-intent by ${by.who}: ${by.why}`,
    })
  })

  it('names the record that closes a lost job, and does not know a job that never was', async () => {
    const [job] = await makeJobs()
    change(folder, 'delete from job where seq = ?', job?.seq)
    const lost = read('show', job?.requestId ?? '')
    expect(JSON.parse(lost.stdout).error).toMatchObject({ code: 'KeyFenced' })
    expect(JSON.parse(lost.stdout).error.message).toContain(`job-${job?.seq}`)
    expect(lost.status).toBe(3)
    const never = read('show', `kcs_qc_${'0'.repeat(16)}`)
    expect([JSON.parse(never.stdout).error.code, never.status]).toEqual(['JobNotFound', 1])
    expect(read('show', 'kcs_qc_1').status).toBe(2)
  })
})
