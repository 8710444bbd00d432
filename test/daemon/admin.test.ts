import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { canonicalRequest } from '../../src/covenant/digest.js'
import type { Job } from '../../src/covenant/job.js'
import type { JobStore } from '../../src/covenant/store.js'
import { jobDocument } from '../../src/datadir/job-documents.js'
import { sampleIntent, sampleJob } from '../../src/testing/sample-job.js'
import {
  accept,
  artifact,
  change,
  claimOne,
  keeping,
  withJobs,
} from '../store/sqlite/jobs-fixture.js'
import { openAdminSite } from './admin-fixture.js'
import { openRaw, requestBytes } from './raw-http.js'

/** Three jobs; the first is signed. */
async function makeJobs(store: JobStore): Promise<readonly Job[]> {
  const jobs = []
  for (const number of [1, 2, 3]) jobs.push(await accept(store, sampleJob(number)))
  const { lease, job } = await claimOne(store)
  await store.intend(lease, sampleIntent(job))
  await store.settle(lease, artifact, keeping)
  return jobs
}

const problem = (status: number, code: string): object => ({
  ...{ status, code, type: `urn:holdfast:error:${code}` },
  title: expect.stringMatching(/./),
  detail: expect.stringMatching(/./),
  remedy: expect.stringMatching(/\.$/),
  retryable: expect.any(Boolean),
  retry: expect.stringMatching(/^(safe|after-fix|never)$/),
})

/** Every route behind the token. */
const behindToken = [
  ['GET', '/admin/v1/jobs'],
  ['GET', '/admin/v1/jobs/{requestId}'],
  ['POST', '/admin/v1/jobs/{requestId}/resume'],
  ['POST', '/admin/v1/intents/release'],
  ['GET', '/admin/v1/quarantine'],
  ['GET', '/admin/v1/quarantine/{id}'],
  ['POST', '/admin/v1/quarantine/{id}/resolve'],
  ['GET', '/admin/v1/ledger/head'],
  ['POST', '/admin/v1/ledger/verify'],
  ['POST', '/admin/v1/store/verify'],
  ['POST', '/admin/v1/host-height/reset'],
  ['GET', '/admin/v1/wallets'],
] as const
const open = [
  ['GET', '/livez'],
  ['GET', '/readyz'],
  ['GET', '/state'],
  ['GET', '/metrics'],
  ['GET', '/openapi.json'],
] as const

describe('the description of the admin listener', () => {
  it('names exactly the routes that there are, in OpenAPI 3.1, with every reference met', async () => {
    const { get } = await openAdminSite()
    const { json, status } = await get('/openapi.json', [])
    expect([status, json.openapi]).toEqual([200, '3.1.0'])
    const described = Object.entries(json.paths as Record<string, object>).flatMap(
      ([path, operations]) => Object.keys(operations).map((name) => `${name} ${path}`),
    )
    const wanted = [...open, ...behindToken].map(
      ([method, path]) => `${method.toLowerCase()} ${path}`,
    )
    expect(described.sort()).toEqual(wanted.sort())
    const ids = Object.values(json.paths as Record<string, Record<string, { operationId: string }>>)
      .flatMap((operations) => Object.values(operations))
      .map(({ operationId }) => operationId)
    expect(new Set(ids).size).toBe(ids.length)
    const names = [...JSON.stringify(json).matchAll(/"#\/components\/schemas\/(\w+)"/g)]
    expect(names.length).toBeGreaterThan(20)
    for (const [, name = ''] of names) expect(json.components.schemas).toHaveProperty(name)
  })

  it('is true: every described route is there, and others are not', async () => {
    const site = await openAdminSite()
    for (const [method, path] of behindToken) {
      const at = path.replace('{requestId}', `kcs_qc_${'0'.repeat(16)}`).replace('{id}', 'none')
      const answer = method === 'GET' ? await site.get(at) : await site.post(at, {})
      expect(answer.json?.code, path).not.toBe('AdminRouteUnknown')
    }
    for (const path of ['/', '/admin', '/admin/v1', '/admin/v1/nothing', '/healthz', '/console']) {
      const answer = await site.get(path)
      expect([path, answer.status, answer.json.code]).toEqual([path, 404, 'AdminRouteUnknown'])
    }
    expect((await site.post('/admin/v1/jobs', {})).status).toBe(404)
  })
})

describe('what is behind the token', () => {
  it('opens to nobody without it, also for reads, unknown paths and odd spellings', async () => {
    const { get, post } = await openAdminSite()
    for (const [method, path] of [...behindToken, ['GET', '/admin/v1/nothing']] as const) {
      for (const headers of [[], ['Authorization: Bearer wrong'], ['Authorization: Basic x']]) {
        const answer = method === 'GET' ? await get(path, headers) : await post(path, {}, headers)
        expect([path, answer.status]).toEqual([path, 401])
        expect(answer.json).toEqual(problem(401, 'AdminTokenWanted'))
        expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="holdfast admin"')
        expect(answer.headers.get('content-type')).toContain('application/problem+json')
      }
    }
    for (const path of [
      '/%61dmin/v1/jobs',
      '/admin/v1/jobs/',
      '//admin/v1/jobs',
      '/ADMIN/v1/jobs',
    ]) {
      expect([401, 404], path).toContain((await get(path, [])).status)
    }
  })

  it('is 503 before the stores are open and once they are given up', async () => {
    const { get, listener, status } = await openAdminSite()
    status.enter('draining')
    await listener.giveUp()
    const answer = await get('/admin/v1/jobs')
    expect([answer.status, answer.json]).toEqual([503, problem(503, 'DaemonNotReady')])
    expect(answer.json.retryable).toBe(true)
    expect((await get('/livez', [])).status).toBe(200)
    expect((await get('/state', [])).json).toMatchObject({ state: 'draining' })
    expect((await get('/readyz', [])).status).toBe(503)
  })

  it('refuses bodies that are large, broken, of another type or of another shape, and quotes none', async () => {
    const { get, post, address } = await openAdminSite()
    const path = '/admin/v1/intents/release'
    const canary = 'canary-in-a-body'
    const outpoint = `${'a'.repeat(64)}:0`
    const refused = async (body: unknown, status = 400): Promise<void> => {
      const answer = await post(path, body)
      expect([answer.status, answer.json]).toEqual([status, problem(status, 'AdminInputInvalid')])
      expect(answer.body).not.toContain(canary)
    }
    await refused(`{"${canary}`)
    await refused(canary)
    await refused('[]')
    await refused('null')
    await refused({ outpoint, reason: '' })
    await refused({ outpoint, reason: ' ' })
    await refused({ outpoint: canary, reason: 'x' })
    await refused({ outpoint, reason: 'x', [canary]: 1 })
    await refused({ outpoint, reason: 1 })
    await refused({ outpoint, reason: 'x', dryRun: 'yes' })
    await refused({ outpoint, reason: `${'x'.repeat(3 * 1024 * 1024)}${canary}` }, 413)
    const text = await openRaw(address)
    const headers = ['Host: localhost', `Authorization: Bearer ${'x'.repeat(5)}`]
    text.send(requestBytes({ path, headers: [...headers, 'Content-Type: text/plain'], body: 'x' }))
    expect((await text.answer())?.status).toBe(401)
    text.destroy()
    for (const query of ['state=X', 'limit=0', 'limit=10001', 'limit=x', 'after=-1', 'other=1']) {
      expect([query, (await get(`/admin/v1/jobs?${query}`)).status]).toEqual([query, 400])
    }
    expect((await get('/admin/v1/jobs?routeRequestId=x')).status).toBe(400)
    expect((await get('/admin/v1/jobs/kcs_qc_1')).status).toBe(400)
  })

  it('answers on loopback to loopback names only, with headers that browsers obey', async () => {
    const { get } = await openAdminSite()
    for (const host of ['localhost', 'localhost:9703', '127.0.0.1', '[::1]:9703', '127.9.9.9:1']) {
      expect((await get('/livez', [`Host: ${host}`])).status, host).toBe(200)
    }
    for (const host of ['evil.example', '127.0.0.1.evil.example', '10.0.0.1', 'localhost.', '']) {
      const answer = await get('/state', [`Host: ${host}`])
      expect([host, answer.status, answer.json.code]).toEqual([host, 400, 'AdminInputInvalid'])
    }
    const { headers } = await get('/state', ['Origin: http://evil.example'])
    expect([...headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([])
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(headers.get('cache-control')).toBe('no-store')
  })
})

describe('jobs on the admin listener', () => {
  it('are listed as the command line lists them, by page, state, route and key', async () => {
    const { get, store } = await openAdminSite()
    const jobs = await makeJobs(store)
    const { json } = await get('/admin/v1/jobs')
    const found = await store.list({ limit: 10 })
    expect(json).toEqual({
      jobs: JSON.parse(JSON.stringify(found.map(jobDocument))),
      next: null,
      quarantined: 0,
    })
    const ids = async (query: string): Promise<unknown> => {
      const answer = await get(`/admin/v1/jobs?${query}`)
      return [answer.json.jobs.map(({ requestId }: Job) => requestId), answer.json.next]
    }
    const [first, second, third] = jobs.map(({ requestId }) => requestId)
    expect(await ids('state=ARTIFACT_READY')).toEqual([[first], null])
    expect(await ids('limit=2')).toEqual([[first, second], Number(jobs[1]?.seq)])
    expect(await ids(`after=${jobs[1]?.seq}`)).toEqual([[third], null])
    const { route = '', routeRequestId = '' } = jobs[1] ?? {}
    const key = `route=${route}&routeRequestId=${encodeURIComponent(routeRequestId)}`
    expect(await ids(key)).toEqual([[second], null])
    expect(await ids(`${key}nobody`)).toEqual([[], null])
    const ofRoute = found.filter((job) => job.route === route).map(({ requestId }) => requestId)
    expect(await ids(`route=${route}`)).toEqual([ofRoute, null])
  })

  it('are shown one by one with timeline, intent, result and request', async () => {
    const { get, store } = await openAdminSite()
    const [job] = await makeJobs(store)
    const { json, status } = await get(`/admin/v1/jobs/${job?.requestId}`)
    expect(status).toBe(200)
    expect(json).toMatchObject({
      requestId: job?.requestId,
      requestDigest: job?.requestDigest,
      intent: job && sampleIntent(job),
      result: { status: 'READY', transactionHex: artifact.transactionHex },
      canonicalRequest: expect.stringMatching(/^\{/),
    })
    expect(json.timeline.map(({ what }: { what: string }) => what)).toEqual([
      ...['accept', 'intend', 'settle'],
    ])
    const absent = await get(`/admin/v1/jobs/kcs_qc_${'0'.repeat(16)}`)
    expect([absent.status, absent.json]).toEqual([404, problem(404, 'JobNotFound')])
  })

  it('are not resumed unless they are held, and a dry run changes nothing', async () => {
    const { get, post, store } = await openAdminSite()
    const [, job] = await makeJobs(store)
    const path = `/admin/v1/jobs/${job?.requestId}/resume`
    const before = (await get('/admin/v1/ledger/head')).json
    const dry = await post(path, { reason: 'why', dryRun: true })
    expect(dry.json).toEqual({ requestId: job?.requestId, outcome: 'notHeld', dryRun: true })
    expect((await get('/admin/v1/ledger/head')).json).toEqual(before)
    const done = await post(path, { reason: 'why' })
    expect([done.status, done.json]).toEqual([
      200,
      { requestId: job?.requestId, outcome: 'notHeld' },
    ])
    const absent = await post(`/admin/v1/jobs/kcs_qc_${'0'.repeat(16)}/resume`, { reason: 'why' })
    expect([absent.status, absent.json.code]).toEqual([404, 'JobNotFound'])
  })

  it('give up the outpoint of an ended job only, with who and why in the ledger', async () => {
    const { get, post, store, logged } = await openAdminSite()
    const [job, second] = await makeJobs(store)
    const { outpoint = '' } = job ?? {}
    const path = '/admin/v1/intents/release'
    const waiting = await claimOne(store)
    await store.intend(waiting.lease, sampleIntent(waiting.job))
    const used = await post(path, { outpoint: waiting.job.outpoint, reason: 'why', dryRun: true })
    expect([used.status, used.json]).toEqual([409, problem(409, 'IntentInUse')])
    expect((await post(path, { outpoint: waiting.job.outpoint, reason: 'why' })).status).toBe(409)
    expect(used.json.detail).toContain(second?.requestId)
    const dry = await post(path, { outpoint, reason: 'why', dryRun: true })
    expect(dry.json).toEqual({ outpoint, outcome: 'released', dryRun: true })
    const done = await post(path, { outpoint, reason: 'canary-reason', who: 'ann' })
    expect([done.status, done.json]).toEqual([200, { outpoint, outcome: 'released' }])
    const { json } = await get(`/admin/v1/jobs/${job?.requestId}`)
    expect(json.intent).toBe(null)
    expect(json.timeline.at(-1)).toMatchObject({
      what: 'operate',
      detail: expect.stringContaining('by ann: canary-reason'),
    })
    expect(logged).toContainEqual({
      fields: { what: 'release-intent', who: 'ann', outpoint },
      message: 'operator: done',
    })
    const again = await post(path, { outpoint, reason: 'why' })
    expect([again.status, again.json]).toEqual([404, problem(404, 'IntentNotFound')])
  })
})

describe('quarantine on the admin listener', () => {
  const openWithLostJob = async () => {
    let lost: Job | undefined
    const site = await openAdminSite(async (dataDir) => {
      await withJobs(dataDir, async (store) => {
        // Their requests alone tell all that their lines have.
        for (const number of [1, 3]) lost = await accept(store, sampleJob(number))
      })
      change(dataDir, 'delete from job where seq = ?', lost?.seq)
    })
    if (lost === undefined) throw new TypeError('no job')
    return { ...site, lost, id: `job-${lost.seq}` }
  }

  it('is listed and shown, and a fenced key is a 503 that names its record', async () => {
    const { get, lost, id } = await openWithLostJob()
    const { json } = await get('/admin/v1/quarantine')
    expect(json.records).toHaveLength(1)
    expect(json.records[0]).toMatchObject({
      ...{ id, kind: 'job', state: 'open' },
      blocks: { keys: [{ route: lost.route, routeRequestId: lost.routeRequestId }] },
      foundAt: expect.stringMatching(/^\d{4}-.*Z$/),
      size: expect.any(Number),
    })
    const shown = await get(`/admin/v1/quarantine/${id}`)
    expect(shown.json).toMatchObject({ id, raw: { hex: expect.any(String) } })
    expect(shown.json.ways.length).toBeGreaterThan(0)
    const fenced = await get(`/admin/v1/jobs/${lost.requestId}`)
    expect([fenced.status, fenced.json]).toEqual([503, problem(503, 'KeyFenced')])
    expect(fenced.json.detail).toContain(id)
    const absent = await get('/admin/v1/quarantine/job-999')
    expect([absent.status, absent.json]).toEqual([404, problem(404, 'RecordNotFound')])
  })

  it('ends by adopting the request with every digit, after a dry run that changes nothing', async () => {
    const { get, post, lost, id } = await openWithLostJob()
    const path = `/admin/v1/quarantine/${id}/resolve`
    const text = canonicalRequest(lost.request)
    const body = (dryRun: boolean): string =>
      `{"how":"adopt","reason":"why","dryRun":${dryRun},"request":${text}}`
    const dry = await post(path, body(true))
    expect([dry.status, dry.json.dryRun]).toEqual([200, true])
    expect((await get('/admin/v1/quarantine')).json.records).toHaveLength(1)
    const done = await post(path, body(false))
    expect(done.json).toMatchObject({ record: { id }, dryRun: false })
    expect((await get('/admin/v1/quarantine')).json.records).toEqual([])
    expect((await get(`/admin/v1/jobs/${lost.requestId}`)).json.canonicalRequest).toBe(text)
  })

  it('refuses what the rules refuse with 409 and what cannot be meant with 400', async () => {
    const { post, id } = await openWithLostJob()
    const path = `/admin/v1/quarantine/${id}/resolve`
    const common = { reason: 'why', dryRun: false }
    const wrong = await post(path, { how: 'release', typedKey: 'another', ...common })
    expect([wrong.status, wrong.json]).toEqual([409, problem(409, 'ResolutionRefused')])
    expect((await post(path, { how: 'restore', from: 'backup', ...common })).status).toBe(409)
    for (const body of [
      { how: 'release', ...common },
      { how: 'adopt', ...common },
      { how: 'adopt', request: '{"', ...common },
      { how: 'sign', ...common },
      { how: 'retire', reason: 'why' },
    ]) {
      expect([body.how, (await post(path, body)).status]).toEqual([body.how, 400])
    }
    const unknown = await post('/admin/v1/quarantine/job-999/resolve', { how: 'retire', ...common })
    expect([unknown.status, unknown.json.code]).toEqual([404, 'RecordNotFound'])
  })
})

describe('the stores on the admin listener', () => {
  it('are verified while they are open, with the answers of the command line', async () => {
    const { get, post, store } = await openAdminSite()
    await makeJobs(store)
    const head = await get('/admin/v1/ledger/head')
    expect(head.json).toEqual({
      ...{ seq: expect.any(Number), hash: expect.stringMatching(/^[0-9a-f]{64}$/) },
      at: expect.any(String),
    })
    const ledger = await post('/admin/v1/ledger/verify', '')
    expect(ledger.json).toMatchObject({ ok: true })
    expect(ledger.json.checks.map(({ name }: { name: string }) => name)).toContain('chain')
    const found = await post('/admin/v1/store/verify', {})
    expect([found.status, found.json]).toMatchObject([200, { ok: true, newKeys: true, fenced: [] }])
    expect(found.json.report).toMatchObject({ rows: 3, fenced: 0 })
    // The store still has its locks and goes on.
    await accept(store, sampleJob(9))
    expect((await get('/admin/v1/jobs')).json.jobs).toHaveLength(4)
  })

  it('take another host-chain height, also a lower one', async () => {
    const { get, post, store } = await openAdminSite()
    const path = '/admin/v1/host-height/reset'
    let before: string | null = null
    for (const height of [5000, '40']) {
      const answer = await post(path, { height, reason: 'a fork', who: 'ann' })
      expect([answer.status, answer.json]).toEqual([
        200,
        { height: `${height}`, before, changed: true },
      ])
      expect(store.hostHeight()).toBe(BigInt(height))
      before = `${height}`
    }
    for (const height of [-1, 1.5, 'x', null]) {
      expect((await post(path, { height, reason: 'x' })).status).toBe(400)
    }
    expect((await get('/state', [])).json.hostHeight).toBe(40)
  })

  it('list wallets twice alike', async () => {
    const { get } = await openAdminSite()
    for (let count = 0; count < 2; count += 1) {
      expect((await get('/admin/v1/wallets')).json).toEqual({ wallets: [], quarantined: [] })
    }
  })
})

describe('metrics', () => {
  it('count jobs and their ends, name keep-core figures, and hold no ids', async () => {
    const { get, store } = await openAdminSite()
    const jobs = await makeJobs(store)
    await store.accept(sampleJob(1))
    const { body, status, headers } = await get('/metrics', [])
    expect([status, headers.get('content-type')]).toEqual([
      200,
      'text/plain; version=0.0.4; charset=utf-8',
    ])
    const value = (name: string): number | undefined => {
      const line = body.split('\n').find((text) => text.startsWith(`${name} `))
      return line === undefined ? undefined : Number(line.split(' ').at(-1))
    }
    expect(value('holdfast_jobs{state="unfinished"}')).toBe(2)
    expect(value('holdfast_jobs{state="finished"}')).toBe(1)
    const route = jobs[0]?.route
    expect(value(`holdfast_jobs_total{route="${route}",result="succeeded"}`)).toBe(1)
    expect(value('holdfast_duplicate_submits_total{outcome="replayed"}')).toBe(1)
    expect(value('holdfast_load_records{outcome="loaded"}')).toBe(0)
    expect(value('holdfast_ledger_head_seq')).toBeGreaterThan(4)
    expect(value('holdfast_ready')).toBe(1)
    expect(value('eth_connectivity')).toBe(0)
    expect(value('btc_connectivity')).toBe(0)
    expect(value('client_info{client="holdfast",version="1.2.3"}')).toBe(1)
    for (const { requestId, routeRequestId, walletKey } of jobs) {
      for (const id of [requestId, routeRequestId, walletKey]) expect(body).not.toContain(id)
    }
  })
})

describe('a request to the admin listener', () => {
  it('is dropped when its bytes are no request, and the listener goes on', async () => {
    const { get, address } = await openAdminSite()
    const raw = await openRaw(address)
    raw.send(randomBytes(2000))
    await raw.ended
    raw.destroy()
    expect((await get('/livez', [])).status).toBe(200)
    expect((await get('/%zz', [])).json.code).toBe('AdminInputInvalid')
  })
})
