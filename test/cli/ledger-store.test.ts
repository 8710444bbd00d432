import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Job } from '../../src/covenant/job.js'
import { openJobStore } from '../../src/store/sqlite/index.js'
import { artifact, keeping } from '../../src/testing/job-store-cases/steps.js'
import { sampleJob } from '../../src/testing/sample-job.js'
import { accept, change, query, withJobs } from '../store/sqlite/jobs-fixture.js'
import { type Finished, filesBelow, holdfast } from './command.js'

let folder = ''
let ledger = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-verify-'))
  ledger = join(folder, 'ledger.jsonl')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const run = (...args: string[]): Finished => holdfast([...args, '--json', '--data-dir', folder])

/** Runs a verb that must leave every byte as it is. */
function read(...args: string[]): Finished {
  const before = filesBelow(folder)
  const done = run(...args)
  expect(filesBelow(folder)).toEqual(before)
  return done
}

type Check = { name: string; ok: boolean; detail: string; remedy?: string }

/** The checks of a document by their names. */
function checksOf({ stdout }: Finished): ReadonlyMap<string, Check> {
  const { checks, ok } = JSON.parse(stdout) as { checks: Check[]; ok: boolean }
  const notOk = checks.filter((check) => !check.ok)
  if (ok) expect(notOk).toEqual([])
  return new Map(checks.map((check) => [check.name, check]))
}

async function makeJobs(count = 3): Promise<readonly Job[]> {
  // A command line opens the directory with its lock, so that the lock file is there.
  const store = await openJobStore(folder)
  await store.close()
  return withJobs(folder, async (jobs) => {
    const made: Job[] = []
    for (let number = 1; number <= count; number += 1) {
      made.push(await accept(jobs, sampleJob(number)))
    }
    return made
  })
}

/** Changes one byte of line `seq`, in the middle. */
function flipInLine(seq: number): void {
  const bytes = readFileSync(ledger)
  const lines = bytes.toString('latin1').split('\n')
  const before = lines.slice(0, seq - 1).reduce((sum, line) => sum + line.length + 1, 0)
  const offset = before + Math.floor((lines[seq - 1]?.length ?? 0) / 2)
  bytes.writeUInt8((bytes[offset] ?? 0) ^ 1, offset)
  writeFileSync(ledger, bytes)
}

describe('ledger verify', () => {
  it('is content with a whole ledger, and with none', async () => {
    const empty = read('ledger', 'verify')
    expect(JSON.parse(empty.stdout)).toEqual({
      ok: true,
      checks: [{ name: 'files', ok: true, detail: 'no ledger yet' }],
    })
    await makeJobs()
    const done = read('ledger', 'verify')
    expect(JSON.parse(done.stdout).ok).toBe(true)
    expect(checksOf(done).get('lines')?.detail).toBe('1 genesis, 3 accept')
    expect([empty.status, done.status]).toEqual([0, 0])
    const none = join(folder, 'none')
    expect(holdfast(['ledger', 'verify', '--data-dir', none]).status).toBe(0)
    expect(existsSync(none)).toBe(false)
  })

  it('names the line that one flipped bit spoils, and changes nothing', async () => {
    await makeJobs()
    flipInLine(3)
    const done = read('ledger', 'verify')
    expect(done.status).toBe(3)
    expect(JSON.parse(done.stdout).ok).toBe(false)
    expect(checksOf(done).get('chain')?.detail).toMatch(
      /^unreadable: lines 3 to 3, \d+ bytes at \d+/,
    )
  })

  it('names lines that were taken out', async () => {
    await makeJobs()
    const lines = readFileSync(ledger, 'utf8').split('\n')
    writeFileSync(ledger, lines.filter((_, at) => at !== 1 && at !== 2).join('\n'))
    const done = read('ledger', 'verify')
    expect(checksOf(done).get('chain')?.detail).toContain('missing: lines 2 to 3')
    expect(done.status).toBe(3)
  })

  it('misses the ledger of a database', async () => {
    await makeJobs()
    rmSync(ledger)
    const done = read('ledger', 'verify')
    expect(checksOf(done).get('files')).toMatchObject({ ok: false, detail: 'no ledger' })
    expect(done.status).toBe(3)
  })

  it('reads beside a process that holds the directory', async () => {
    const store = await openJobStore(folder)
    await store.accept(sampleJob(1))
    const done = run('ledger', 'verify')
    await store.close()
    expect(checksOf(done).get('lock')?.detail).toContain('held by a process')
    expect([JSON.parse(done.stdout).ok, done.status]).toEqual([true, 0])
  })
})

describe('ledger head', () => {
  it('prints the last line', async () => {
    const zeros = '0'.repeat(64)
    expect(JSON.parse(read('ledger', 'head').stdout)).toEqual({ seq: 0, hash: zeros })
    await makeJobs()
    const last = JSON.parse(readFileSync(ledger, 'utf8').trim().split('\n').at(-1) ?? '')
    const { seq, hash, at } = last
    const done = read('ledger', 'head')
    expect(JSON.parse(done.stdout)).toEqual({ seq, hash, at })
    expect([seq, done.status]).toEqual([4, 0])
  })

  it('prints the last good line and ends with 3 when lines behind it are damaged', async () => {
    await makeJobs()
    flipInLine(4)
    const { status, stdout, stderr } = read('ledger', 'head')
    expect([JSON.parse(stdout).seq, status]).toEqual([3, 3])
    expect(stderr).toContain('Unreadable lines behind it: 1')
  })
})

describe('store verify', () => {
  it('makes nothing where there is no job store', () => {
    const done = read('store', 'verify')
    expect(JSON.parse(done.stdout)).toMatchObject({ ok: true, report: null, fenced: [] })
    const none = join(folder, 'none')
    expect(holdfast(['store', 'verify', '--data-dir', none]).status).toBe(0)
    expect([done.status, existsSync(none)]).toEqual([0, false])
  })

  it('is content with a whole store', async () => {
    await makeJobs()
    const done = run('store', 'verify')
    expect(JSON.parse(done.stdout)).toMatchObject({
      ok: true,
      newKeys: true,
      report: { lines: 4, rows: 3, fenced: 0 },
      fenced: [],
    })
    expect([...checksOf(done).keys()]).toEqual([
      ...['pages', 'ledgerFiles', 'ledgerChain', 'ledgerLines', 'ledgerStore'],
      ...['mended', 'database', 'ledger', 'replay', 'quarantine', 'witness'],
    ])
    expect(done.status).toBe(0)
  })

  it('names a result that opening the store had to restore, once', async () => {
    await makeJobs(1)
    await withJobs(folder, async (store) => {
      const [claim] = await store.claim('a test', Date.now() + 1000, 1)
      if (claim === undefined) throw new RangeError('want a claim')
      await store.settle(claim.lease, artifact, keeping)
    })
    change(folder, 'delete from result')
    const done = run('store', 'verify')
    expect(checksOf(done).get('mended')).toMatchObject({ ok: false, detail: '1 results restored' })
    expect([JSON.parse(done.stdout).fenced, done.status]).toEqual([[], 3])
    expect(run('store', 'verify').status).toBe(0)
  })

  it('names a deleted row, what it closes and the remedy, until the client sends it again', async () => {
    const [, job] = await makeJobs()
    change(folder, 'delete from job where seq = ?', job?.seq)
    const done = run('store', 'verify')
    const { ok, fenced } = JSON.parse(done.stdout)
    expect(fenced).toEqual([
      expect.objectContaining({
        id: `job-${job?.seq}`,
        kind: 'job',
        requestId: job?.requestId,
        blocks: {
          keys: [{ route: job?.route, routeRequestId: job?.routeRequestId }],
          outpoints: [job?.outpoint],
          everyNewKey: false,
        },
        remedy: expect.stringContaining('send the same request again'),
      }),
    ])
    expect([ok, done.status]).toEqual([false, 3])
    await withJobs(folder, (store) => store.accept(sampleJob(2)))
    expect(run('store', 'verify').status).toBe(0)
  })

  it('names a row that was changed behind the digest of its own', async () => {
    const [job] = await makeJobs()
    change(folder, 'update job set outpoint = ? where seq = ?', `${'0'.repeat(64)}:0`, job?.seq)
    const done = run('store', 'verify')
    expect(JSON.parse(done.stdout).fenced).toMatchObject([{ id: `job-${job?.seq}` }])
    expect(done.status).toBe(3)
  })

  it('names a line that a flipped bit spoilt, and has it written again', async () => {
    await makeJobs()
    flipInLine(3)
    const done = run('store', 'verify')
    expect(checksOf(done).get('ledgerChain')).toMatchObject({
      ok: false,
      detail: expect.stringContaining('lines 3 to 3'),
    })
    expect([JSON.parse(done.stdout).fenced, done.status]).toEqual([[], 3])
    expect(run('store', 'verify').status).toBe(0)
    expect(run('ledger', 'verify').status).toBe(0)
  })

  it('does not begin a new database beside an old ledger', async () => {
    await makeJobs()
    rmSync(join(folder, 'jobs.db'))
    const done = read('store', 'verify')
    expect(checksOf(done).get('jobs')).toMatchObject({ ok: false })
    expect(done.status).toBe(3)
  })

  it('refuses every new key when the ledger is gone', async () => {
    await makeJobs()
    truncateSync(ledger)
    const done = run('store', 'verify')
    expect(JSON.parse(done.stdout)).toMatchObject({ ok: false, newKeys: false })
    expect(done.status).toBe(3)
    expect(query(folder, 'select count(*) from job')).toEqual([[3]])
  })

  it('ends with 4 while a process holds the directory that cannot be asked', async () => {
    const store = await openJobStore(folder)
    const { status, stdout } = run('store', 'verify')
    await store.close()
    expect([JSON.parse(stdout).error.code, status]).toEqual(['DaemonUnreachable', 4])
  })
})
