import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { systemClock } from '../../src/base/clock.js'
import { loadConfig } from '../../src/config.js'
import type { Job } from '../../src/covenant/job.js'
import { createDaemonStatus } from '../../src/daemon/daemon-status.js'
import { createReadiness, type Finding } from '../../src/daemon/readiness.js'
import { sampleJob } from '../../src/testing/sample-job.js'
import { accept, change, withJobs } from '../store/sqlite/jobs-fixture.js'
import { type AdminSite, openAdminSite, openBareAdmin } from './admin-fixture.js'

const verbose = async (site: AdminSite) => {
  const { status, json } = await site.get('/readyz?verbose', [])
  const checks = json.checks as readonly Finding[]
  const failing = checks.filter(({ ok }) => !ok)
  for (const { name, remedy } of failing)
    expect([name, remedy]).toEqual([name, expect.stringMatching(/\.$/)])
  return { status, said: json.status, checks, failing: failing.map(({ name }) => name) }
}

const withLostJob = async (): Promise<AdminSite & { readonly id: string }> => {
  let lost: Job | undefined
  const site = await openAdminSite(async (dataDir) => {
    await withJobs(dataDir, async (store) => {
      // Their requests alone tell all that their lines have.
      for (const number of [1, 3]) lost = await accept(store, sampleJob(number))
    })
    change(dataDir, 'delete from job where seq = ?', lost?.seq)
  })
  return { ...site, id: `job-${lost?.seq}` }
}

describe('readiness', () => {
  it('is ready over whole stores, and lists every check', async () => {
    const site = await openAdminSite()
    const { status, said, checks, failing } = await verbose(site)
    expect([status, said, failing]).toEqual([200, 'ready', []])
    expect(checks.map(({ name }) => name).sort()).toEqual(
      [
        ...['compatible', 'daemon', 'database', 'databaseFile', 'disk', 'engine', 'inventory'],
        ...['ledger', 'ledgerFile', 'lock', 'quarantine', 'replay', 'runner', 'witness'],
      ].sort(),
    )
    const plain = await site.get('/readyz', [])
    expect([plain.status, plain.json]).toEqual([200, { status: 'ready' }])
  })

  it('is degraded while a record is open, and ready again once it is retired', async () => {
    const site = await withLostJob()
    const before = await verbose(site)
    expect([before.status, before.said, before.failing]).toEqual([200, 'degraded', ['quarantine']])
    const inventory = before.checks.find(({ name }) => name === 'inventory')?.detail
    expect(inventory).toMatch(/expected 2 = loaded 1 \+ superseded 0 \+ quarantined 1; fenced 1/)
    expect((await site.get('/state', [])).json.state).toBe('degraded')
    const body = { how: 'retire', reason: 'it is lost', dryRun: false }
    expect((await site.post(`/admin/v1/quarantine/${site.id}/resolve`, body)).status).toBe(200)
    const after = await verbose(site)
    expect([after.status, after.said]).toEqual([200, 'ready'])
  })

  it('is not ready once the ledger, the database or the lock is gone from its place', async () => {
    for (const [file, name] of [
      ['ledger.jsonl', 'ledgerFile'],
      ['jobs.db', 'databaseFile'],
      ['lock', 'lock'],
    ] as const) {
      const site = await openAdminSite()
      expect((await verbose(site)).said).toBe('ready')
      const path = join(site.dataDir, file)
      renameSync(path, `${path}.away`)
      const gone = await verbose(site)
      expect([gone.status, gone.failing]).toEqual([503, [name]])
      if (name !== 'ledgerFile') {
        writeFileSync(path, '')
        expect((await verbose(site)).failing).toEqual([name])
        rmSync(path)
      }
      renameSync(`${path}.away`, path)
      expect((await verbose(site)).said).toBe('ready')
    }
  })

  it('is not there before anything is open, and the state says how far the daemon is', async () => {
    const status = createDaemonStatus(loadConfig({ env: {} }), systemClock)
    const { get } = await openBareAdmin(status)
    expect((await get('/state')).json).toMatchObject({
      state: 'starting',
      jobs: null,
      engine: null,
    })
    expect((await get('/livez')).status).toBe(200)
    const ready = await get('/readyz?verbose')
    expect(ready.status).toBe(503)
    const failing = (ready.json.checks as readonly Finding[]).filter(({ ok }) => !ok)
    expect(failing.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['daemon', 'database', 'compatible', 'runner', 'engine']),
    )
    const jobs = await get('/admin/v1/jobs')
    expect([jobs.status, jobs.json.code, jobs.json.retryable]).toEqual([
      503,
      'DaemonNotReady',
      true,
    ])
    expect((await get('/metrics')).body).toMatch(/^holdfast_ready 0$/m)
  })

  it('follows what the daemon goes through', async () => {
    const site = await openAdminSite()
    for (const phase of ['loading', 'failed', 'draining'] as const) {
      site.status.enter(phase)
      const { status, failing } = await verbose(site)
      expect([phase, status, failing]).toEqual([phase, 503, ['daemon']])
      expect((await site.get('/state', [])).json.state).toBe(phase)
    }
  })

  it('takes in what chain sources say, also for the metrics', async () => {
    const site = await openAdminSite()
    const good = { name: 'bitcoin:1', ok: true, detail: 'at 800000', remedy: '' }
    const bad = { name: 'ethereum:1', ok: false, detail: 'away', remedy: 'Look at the node.' }
    site.status.add({ checks: async () => [good, bad] })
    expect(await verbose(site)).toMatchObject({ status: 503, failing: ['ethereum:1'] })
    const { body } = await site.get('/metrics', [])
    expect(body).toMatch(/^btc_connectivity 1$/m)
    expect(body).toMatch(/^eth_connectivity 0$/m)
  })

  it('is only degraded by a chain source that is away while another one answers', async () => {
    const site = await openAdminSite()
    const good = { name: 'bitcoin:1', ok: true, detail: 'at 800000', remedy: '' }
    const bad = { name: 'bitcoin:2', ok: false, detail: 'away', remedy: 'Look at the node.' }
    site.status.add({ checks: async () => [good, bad] })
    const seen = await verbose(site)
    expect(seen).toMatchObject({ status: 200, said: 'degraded', failing: ['bitcoin:2'] })
  })

  it('says that jobs fail while the fraud defence is not confirmed', async () => {
    const site = await openAdminSite()
    site.status.add({ engine: { name: 'signing', signs: false, wallets: 1 } })
    const seen = await verbose(site)
    expect(seen).toMatchObject({ status: 200, said: 'degraded', failing: ['engine'] })
    expect(seen.checks.find(({ name }) => name === 'engine')?.detail).toContain('POLICY_REJECTED')
  })

  it('answers within two seconds when a source hangs, which is asked once until it answers', async () => {
    const site = await openAdminSite()
    let asked = 0
    site.status.add({
      checks: () => {
        asked += 1
        return new Promise(() => undefined)
      },
    })
    const beganMs = performance.now()
    const first = await verbose(site)
    const second = await verbose(site)
    expect(performance.now() - beganMs).toBeLessThan(4000)
    expect([first.status, first.failing, second.failing]).toEqual([503, ['chain'], ['chain']])
    expect(asked).toBe(1)
  })

  it('shows a disk that takes no write', async () => {
    const site = await openAdminSite()
    // The probe's name taken by a folder is a write that fails.
    const path = join(site.dataDir, '.holdfast-0000000000000000.tmp')
    mkdirSync(path)
    expect(await verbose(site)).toMatchObject({ status: 503, failing: ['disk'] })
    rmSync(path, { recursive: true })
    expect(await verbose(site)).toMatchObject({ status: 200, failing: [] })
  })

  it('tells of clients that hold the listener up', async () => {
    const site = await openAdminSite()
    const address = { host: '127.0.0.1', port: 1 }
    const busy = { connections: 3, requests: 1, slowestMs: 3_600_000 }
    site.status.add({ compatible: { address, load: () => busy } })
    const slow = await verbose(site)
    expect([slow.status, slow.said, slow.failing]).toEqual([200, 'degraded', ['compatible']])
    const full = { connections: 4096, requests: 0, slowestMs: 0 }
    site.status.add({ compatible: { address, load: () => full } })
    expect((await verbose(site)).failing).toEqual(['compatible'])
  })
})

describe('a readiness report', () => {
  it('is kept for a moment, and made once for all who ask at the same time', async () => {
    let nowMs = 1000
    let looks = 0
    const look = async () => {
      looks += 1
      return [{ name: 'x', ok: true, detail: '', remedy: '' }]
    }
    const source = { name: 'x', remedy: 'Wait.', look }
    const readiness = createReadiness([source], { nowMs: () => nowMs })
    await Promise.all([readiness.read(), readiness.read()])
    nowMs += 999
    await readiness.read()
    expect(looks).toBe(1)
    nowMs += 1
    await readiness.read()
    expect(looks).toBe(2)
  })

  it('names a source that throws, with its remedy', async () => {
    const look = () => {
      throw new RangeError('broken')
    }
    const source = { name: 'x', remedy: 'Mend it.', look }
    const { status, checks } = await createReadiness([source], { nowMs: () => 0 }).read()
    expect([status, checks]).toEqual([
      'notReady',
      [{ name: 'x', ok: false, detail: 'broken', remedy: 'Mend it.' }],
    ])
  })
})
