import { describe, expect, it } from 'vitest'
import type { SubmitInput } from '../../src/covenant/index.js'
import { encodeSubmit, makeSubmit } from '../covenant/factory.js'
import { ask, openRaw, requestBytes } from './raw-http.js'
import { adminToken, clientToken, createSite, post } from './start-process.js'

const idIn = (body: string): string => /"requestId":"([^"]*)"/.exec(body)?.[1] ?? ''
const pending = (id: string): string =>
  `{"status":"PENDING","requestId":"${id}","detail":"accepted for covenant signing"}\n`

function pollBody(input: SubmitInput, requestId?: string): string {
  return Buffer.from(encodeSubmit({ ...input, requestId })).toString()
}

describe('holdfast start', () => {
  it('serves the covenant signer over the durable store, and says that nothing is signed', async () => {
    const site = await createSite()
    const daemon = await site.start()
    const { address } = site
    const passive = await daemon.line('passive engine: requests are accepted, nothing is signed')
    expect(passive).toMatchObject({ level: 'warn', engine: 'passive' })

    const health = await ask(address, { method: 'GET', path: '/healthz' })
    expect([health?.status, health?.body]).toEqual([200, '{"status":"ok"}'])
    const noToken = await ask(address, { path: '/v1/qc_v1/signer/requests', body: '{}' })
    expect([noToken?.status, noToken?.body]).toEqual([401, 'missing bearer token\n'])
    const asAdmin = [`Authorization: Bearer ${adminToken}`]
    const wrong = await ask(address, { path: '/v1/qc_v1/signer/requests', headers: asAdmin })
    expect([wrong?.status, wrong?.body]).toEqual([401, 'invalid bearer token\n'])

    for (const route of ['self_v1', 'qc_v1'] as const) {
      const input = makeSubmit({ route })
      const [first, second] = await Promise.all([site.submit(input), site.submit(input)])
      const id = idIn(first.body)
      expect(id).toMatch(route === 'qc_v1' ? /^kcs_qc_[0-9a-f]{16}$/ : /^kcs_self_[0-9a-f]{16}$/)
      expect([first.status, first.body, second.body]).toEqual([200, pending(id), pending(id)])

      const place = `/v1/${route}/signer/requests`
      for (let count = 0; count < 3; count += 1) {
        const polled = await post(address, `${place}:poll`, pollBody(input, id))
        expect([polled.status, polled.body]).toEqual([200, pending(id)])
      }
      const byPath = await post(address, `${place}/${id}:poll`, pollBody(input))
      expect(byPath.body).toBe(pending(id))
      const request = { ...input.request, facadeRequestId: 'another' }
      const other = await site.submit({ ...input, request })
      expect([other.status, other.body]).toEqual([
        400,
        'routeRequestId already exists with a different request payload\n',
      ])
      const unknown = idIn(first.body).replace(/.{16}$/, '0'.repeat(16))
      expect((await post(address, `${place}/${unknown}:poll`, pollBody(input))).status).toBe(404)
    }

    // Each job was looked at when it came and once more for the first poll, and then not for half an hour.
    const waits = daemon.lines().filter(({ msg }) => msg === 'covenant job: it has to wait')
    expect(waits.length).toBeLessThanOrEqual(4)
    daemon.child.kill('SIGTERM')
    expect(await daemon.exit).toEqual({ status: 0, signal: null })
  })

  it('refuses certificates, whose end nobody can judge, and logs why', async () => {
    const site = await createSite()
    const daemon = await site.start()
    const answer = await site.submit(makeSubmit({ certificate: true }))
    expect([answer.status, answer.body]).toEqual([500, 'internal server error\n'])
    const line = await daemon.line('covenant signer request failed')
    expect(line).toMatchObject({ level: 'warn', call: 'submit', status: 500 })
    expect(line.cause).toMatch(/^HostHeightUnavailable: .* < EnginePassive: /)
    const next = await site.submit(makeSubmit({ certificate: false }))
    expect(next.status).toBe(200)
  })

  it('answers with the same request ids after kill -9, also for what was on its way', async () => {
    const site = await createSite()
    const inputs = Array.from({ length: 80 }, (_, seed) => makeSubmit({ seed, route: 'qc_v1' }))
    const known = new Map<SubmitInput, string>()
    let daemon = await site.start()
    for (let round = 0; round < 2; round += 1) {
      const some = inputs.slice(round * 40, round * 40 + 40)
      let acknowledged = 0
      const sending = some.map(async (input) => {
        const answer = await site.submit(input).catch(() => undefined)
        if (answer === undefined) return
        known.set(input, idIn(answer.body))
        acknowledged += 1
        if (acknowledged === 10 + round) daemon.child.kill('SIGKILL')
      })
      await Promise.all(sending)
      expect((await daemon.exit).signal).toBe('SIGKILL')
      daemon = await site.start()
      const loaded = Number((await daemon.line('job store: jobs loaded')).jobs)
      expect(loaded).toBeGreaterThanOrEqual(known.size)
      expect(loaded).toBeLessThanOrEqual(round * 40 + 40)
      for (const [input, id] of known) expect((await site.submit(input)).body).toBe(pending(id))
      // What nobody was told of is accepted now, or was: one id for each in either case.
      for (const input of some) known.set(input, idIn((await site.submit(input)).body))
    }
    expect(new Set(known.values()).size).toBe(inputs.length)
    daemon.child.kill('SIGTERM')
    expect((await daemon.exit).status).toBe(0)
  }, 90_000)

  it.each(['SIGINT', 'SIGTERM'] as const)('stops at %s, and frees port and lock', async (name) => {
    const site = await createSite()
    const daemon = await site.start()
    const input = makeSubmit({ route: 'qc_v1' })
    const { body } = await site.submit(input)
    // One connection is idle, one is in the middle of a request that never ends.
    const idle = await openRaw(site.address)
    idle.send(requestBytes({ method: 'GET', path: '/healthz' }))
    expect((await idle.answer('GET'))?.status).toBe(200)
    const slow = await openRaw(site.address)
    const headers = [`Authorization: Bearer ${clientToken}`, 'Content-Length: 1000']
    slow.send(requestBytes({ path: '/v1/qc_v1/signer/requests', headers, body: '{' }))
    const beganMs = performance.now()
    daemon.child.kill(name)
    await idle.ended
    expect(await daemon.exit).toEqual({ status: 0, signal: null })
    expect(performance.now() - beganMs).toBeLessThan(15_000)
    expect(daemon.stdout()).toBe(`stopped by ${name}\n`)
    expect(daemon.lines().at(-1)?.msg).toBe('daemon: stopped')
    await expect(openRaw(site.address)).rejects.toThrow(/ECONNREFUSED/)
    slow.destroy()
    idle.destroy()
    const again = await site.start()
    expect((await site.submit(input)).body).toBe(body)
    again.child.kill('SIGTERM')
    expect((await again.exit).status).toBe(0)
  })

  it('ends at once when it is asked a second time', async () => {
    const site = await createSite()
    const daemon = await site.start()
    const slow = await openRaw(site.address)
    slow.send('POST /v1/qc_v1/signer/requests HTTP/1.1\r\nHost: x\r\nContent-Le')
    const kept = await openRaw(site.address)
    kept.send(requestBytes({ method: 'GET', path: '/healthz' }))
    await kept.answer('GET')
    daemon.child.kill('SIGTERM')
    await daemon.line('daemon: asked to stop')
    daemon.child.kill('SIGTERM')
    expect(await daemon.exit).toEqual({ status: 1, signal: null })
    expect(daemon.lines().at(-1)).toMatchObject({ level: 'fatal', signal: 'SIGTERM' })
    slow.destroy()
    kept.destroy()
  })
})
