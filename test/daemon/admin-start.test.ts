import { existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { holdfast } from '../cli/command.js'
import { makeSubmit } from '../covenant/factory.js'
import { call } from './admin-fixture.js'
import { ask, openRaw, requestBytes } from './raw-http.js'
import { createSite, type Site } from './start-process.js'

const get = (site: Site, path: string, headers: readonly string[] = []) =>
  call(site.admin, 'GET', path, headers, '')

const operator = (site: Site): string[] => [
  `Authorization: Bearer ${readFileSync(join(site.dataDir, 'admin-token'), 'utf8').trim()}`,
]

describe('the admin listener of holdfast start', () => {
  it('makes its token, tells the state, and shows what clients submitted', async () => {
    const site = await createSite()
    const daemon = await site.start()
    const tokenFile = join(site.dataDir, 'admin-token')
    expect(lstatSync(tokenFile).mode & 0o777).toBe(0o600)
    expect((await get(site, '/admin/v1/jobs')).status).toBe(401)
    const submitted = await site.submit(makeSubmit({ route: 'qc_v1' }))
    const { requestId } = JSON.parse(submitted.body)
    const { json } = await get(site, '/admin/v1/jobs', operator(site))
    expect(json.jobs).toMatchObject([{ requestId, state: expect.any(String) }])
    expect((await get(site, '/state')).json).toMatchObject({
      state: 'ready',
      engine: { name: 'passive', signs: false },
      gate: { bridgeCovenantFraudDefenseConfirmed: false, bridgeAddress: null },
      listeners: { compatible: site.address, admin: site.admin },
      jobs: { loaded: 1, unfinished: 1, finished: 0 },
      newKeys: true,
    })
    expect((await get(site, '/readyz')).status).toBe(200)
    const { body } = await get(site, '/metrics')
    expect(body).toMatch(/^holdfast_submit_duration_seconds_count\{.*route="qc_v1".*\} 1$/m)
    // Neither listener serves what is the other's.
    expect((await get(site, '/healthz')).status).toBe(404)
    const headers = [`Authorization: Bearer ${'canary-client-token-5b1f'}`]
    expect((await ask(site.address, { method: 'GET', path: '/livez', headers }))?.status).toBe(404)
    expect((await get(site, '/admin/v1/jobs', headers)).status).toBe(401)

    const token = readFileSync(tokenFile, 'utf8')
    daemon.child.kill('SIGTERM')
    expect(await daemon.exit).toEqual({ status: 0, signal: null })
    expect(daemon.lines().at(-1)?.msg).toBe('daemon: stopped')
    expect(daemon.stderr()).not.toContain(token.trim())
    const again = await site.start()
    expect(readFileSync(tokenFile, 'utf8')).toBe(token)
    expect((await get(site, '/state')).json.jobs).toMatchObject({ loaded: 1, unfinished: 1 })
    again.child.kill('SIGTERM')
    expect((await again.exit).status).toBe(0)
  })

  it('answers what the command line prints of the same directory', async () => {
    const site = await createSite()
    const daemon = await site.start()
    for (const route of ['qc_v1', 'self_v1'] as const) await site.submit(makeSubmit({ route }))
    const asOperator = operator(site)
    // Both jobs are put off by the passive engine; after that nothing moves.
    const list = async () => (await get(site, '/admin/v1/jobs', asOperator)).json
    let listed = await list()
    while (listed.jobs.some(({ attempts }: { attempts: number }) => attempts === 0)) {
      listed = await list()
    }
    const [{ requestId }] = listed.jobs
    const told = {
      list: listed,
      show: (await get(site, `/admin/v1/jobs/${requestId}`, asOperator)).json,
      head: (await get(site, '/admin/v1/ledger/head', asOperator)).json,
      quarantine: (await get(site, '/admin/v1/quarantine', asOperator)).json,
      wallets: (await get(site, '/admin/v1/wallets', asOperator)).json,
    }
    daemon.child.kill('SIGTERM')
    expect((await daemon.exit).status).toBe(0)
    const printed = (...words: string[]): unknown =>
      JSON.parse(holdfast([...words, '--json', '--data-dir', site.dataDir]).stdout)
    expect(told).toEqual({
      list: printed('covenant', 'list'),
      show: printed('covenant', 'show', requestId),
      head: printed('ledger', 'head'),
      quarantine: printed('quarantine', 'list'),
      wallets: printed('wallet', 'list'),
    })
  })

  it('says that it drains while a signing call holds the stop up, then ends every connection', async () => {
    const site = await createSite()
    const daemon = await site.start()
    const kept = await openRaw(site.admin)
    kept.send(requestBytes({ method: 'GET', path: '/livez', headers: ['Host: localhost'] }))
    expect((await kept.answer('GET'))?.status).toBe(200)
    // A client in the middle of its request is given five seconds.
    const slow = await openRaw(site.address)
    slow.send(requestBytes({ path: '/v1/qc_v1/signer/requests', headers: ['Content-Length: 9'] }))
    await get(site, '/livez')
    daemon.child.kill('SIGTERM')
    await daemon.line('daemon: asked to stop')
    const state = await get(site, '/state')
    expect([state.json.state, state.headers.get('connection')]).toEqual(['draining', 'close'])
    expect((await get(site, '/readyz')).status).toBe(503)
    const jobs = await get(site, '/admin/v1/jobs', operator(site))
    expect([jobs.status, jobs.json.code]).toEqual([503, 'DaemonNotReady'])
    slow.destroy()
    await kept.ended
    expect(await daemon.exit).toEqual({ status: 0, signal: null })
  })

  it('is refused by an exposed token file and by a taken port, after the lock, and can be off', async () => {
    const site = await createSite()
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(site.admin, resolve))
    const taken = site.run()
    expect((await taken.exit).status).toBe(1)
    expect(taken.stderr()).toContain(`ListenFailed: listener: cannot listen on 127.0.0.1 port`)
    expect(existsSync(join(site.dataDir, 'jobs.db'))).toBe(true)
    const env = { HOLDFAST_ADMIN__PORT: '0' }
    const off = await site.start({ env })
    expect(existsSync(join(site.dataDir, 'admin-token'))).toBe(false)
    off.child.kill('SIGTERM')
    expect((await off.exit).status).toBe(0)
    await new Promise((resolve) => other.close(resolve))
    writeFileSync(join(site.dataDir, 'admin-token'), 'x'.repeat(40), { mode: 0o644 })
    const exposed = site.run()
    expect((await exposed.exit).status).toBe(3)
    expect(exposed.stderr()).toContain('AdminTokenRefused: ')
    expect(exposed.stderr()).not.toContain('x'.repeat(40))
  })
})
