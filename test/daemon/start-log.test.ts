import { chmodSync, closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openLog } from '../../src/daemon/log.js'
import { createFieldCleaner } from '../../src/daemon/log-fields.js'
import { encodeSubmit, makeSubmit } from '../covenant/factory.js'
import { ask } from './raw-http.js'
import { adminToken, clientToken, createSite, post } from './start-process.js'

describe('the log of holdfast start', () => {
  it('is JSON lines with what an operator must know, and without tokens and bodies', async () => {
    const site = await createSite('[log]\nlevel = "trace"\n')
    const daemon = await site.start()
    const canary = 'canary-in-a-body-77aa'
    const place = '/v1/qc_v1/signer/requests'
    const input = makeSubmit({ route: 'qc_v1', routeRequestId: canary })
    await site.submit(input)
    await site.submit(makeSubmit({ certificate: true, routeRequestId: `${canary}-500` }))
    await post(site.address, place, `{"${canary}":`)
    await post(site.address, `${place}/${canary}:poll?${canary}`, 'x')
    const poll = Buffer.from(encodeSubmit({ ...input, requestId: canary })).toString()
    await post(site.address, `${place}:poll`, poll)
    const headers = [`Authorization: Bearer ${canary}`, `X-Other: ${canary}`]
    await ask(site.address, { path: place, body: canary, headers })
    await daemon.line('covenant signer request failed')
    daemon.child.kill('SIGTERM')
    await daemon.exit

    const written = daemon.stderr()
    for (const secret of [clientToken, adminToken, canary, 'Bearer']) {
      expect(written).not.toContain(secret)
    }
    const text = written.split('\n').slice(0, -1)
    for (const line of text) expect(JSON.parse(line)).toMatchObject({ pid: daemon.child.pid })
    expect(daemon.lines().find(({ msg }) => msg === 'covenant signer endpoint enabled')).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      pid: daemon.child.pid,
      ...site.address,
      ...{ auth: 'on', adminAuth: 'on', selfV1: 'on' },
      msg: 'covenant signer endpoint enabled',
    })
    expect(daemon.lines().find(({ msg }) => msg === 'job store: jobs loaded')).toMatchObject({
      ...{ jobs: '0', unfinished: 0, fenced: 0 },
    })
  })

  it('says nothing but the result with --quiet', async () => {
    const site = await createSite()
    const daemon = site.run({ args: ['--quiet', '--json'] })
    for (;;) {
      const up = await ask(site.address, { method: 'GET', path: '/healthz' }).catch(() => undefined)
      if (up?.status === 200) break
    }
    daemon.child.kill('SIGINT')
    expect((await daemon.exit).status).toBe(0)
    expect(daemon.stderr()).toBe('')
    expect(JSON.parse(daemon.stdout())).toEqual({ started: true, stoppedBy: 'SIGINT' })
  })

  it('reaches systemd as the states ready and stopping, with no variable of ours', async () => {
    const site = await createSite()
    const told = join(site.folder, 'told')
    const messenger = join(site.folder, 'systemd-notify')
    writeFileSync(messenger, `#!/bin/sh\necho "$NOTIFY_SOCKET $*" >>"${told}"\nenv >>"${told}"\n`)
    chmodSync(messenger, 0o755)
    const daemon = await site.start({
      env: {
        PATH: `${site.folder}${delimiter}${process.env.PATH ?? ''}`,
        NOTIFY_SOCKET: '@holdfast-test',
        HOLDFAST_LEDGER__WITNESS_PATH: join(site.folder, 'canary-variable'),
      },
    })
    const { host, port } = site.address
    for (;;) {
      const line = `@holdfast-test READY=1 STATUS=passive engine on ${host}:${port}\n`
      if (contentOf(told).startsWith(line)) break
      await new Promise((resolve) => setImmediate(resolve))
    }
    daemon.child.kill('SIGTERM')
    expect((await daemon.exit).status).toBe(0)
    expect(contentOf(told)).toContain('@holdfast-test STOPPING=1\n')
    expect(contentOf(told)).not.toContain('HOLDFAST')
  })
})

function contentOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

describe('a field of the log', () => {
  const clean = createFieldCleaner(['tok"en\n', ' longer-tok"en ', ''])

  it('hides configured tokens wherever they turn up, the longest first', () => {
    expect(clean.text('a tok"en b longer-tok"en')).toBe('a [hidden] b [hidden]')
    const cause = new TypeError('outer', { cause: new RangeError('with tok"en') })
    expect(clean.fields({ cause, list: [{ at: 'tok"en' }] })).toEqual({
      cause: 'TypeError: outer < RangeError: with [hidden]',
      list: [{ at: '[hidden]' }],
    })
  })

  it('hides what is named like a secret or like what a client sent', () => {
    const fields = { authToken: 'x', Authorization: 'x', body: { a: 1 }, request: {}, seed: 'x' }
    expect(new Set(Object.values(clean.fields(fields)))).toEqual(new Set(['[hidden]']))
    expect(clean.fields({ requestId: 'kcs_qc_1', auth: 'on', tokens: 3 })).toEqual({
      ...{ requestId: 'kcs_qc_1', auth: 'on', tokens: 3 },
    })
  })

  it('shows what JSON has no word for, and nothing long, deep or raw', () => {
    const ring: Record<string, unknown> = {}
    ring.ring = ring
    const shown = clean.fields({
      ...{ height: 12n, bytes: new Uint8Array(3), long: 'x'.repeat(5000), ring },
      syntax: new SyntaxError('Unexpected token in "what a client sent"'),
    })
    expect(shown).toMatchObject({ height: '12', bytes: '[3 bytes]' })
    expect(shown.syntax).toBe('SyntaxError: a text could not be parsed')
    expect(JSON.stringify(shown).length).toBeLessThan(3000)
  })

  it('is written as one line, whatever stands in it', async () => {
    const site = await createSite()
    const file = join(site.folder, 'log')
    const descriptor = openSync(file, 'a', 0o600)
    const log = openLog({ level: 'warn', secrets: ['s3cret'], descriptor })
    log.info({}, 'below the level')
    log.warn({ why: 'two\nlines', cause: new RangeError('s3cret') }, 'three s3cret\nlines')
    // The first line is written behind our back; the last one at once.
    while (readFileSync(file).length === 0) await new Promise((resolve) => setImmediate(resolve))
    log.fatal({ lost: undefined }, 'the end')
    log.flush()
    closeSync(descriptor)
    const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1)
    const byLevel = lines
      .map((line) => JSON.parse(line))
      .sort((a, b) => (a.level < b.level ? 1 : -1))
    expect(byLevel).toMatchObject([
      {
        level: 'warn',
        why: 'two\nlines',
        cause: 'RangeError: [hidden]',
        msg: 'three [hidden]\nlines',
      },
      { level: 'fatal', msg: 'the end' },
    ])
  })
})
