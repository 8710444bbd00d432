import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createFieldCleaner } from '../../src/daemon/log-fields.js'
import { makeSubmit } from '../covenant/factory.js'
import { call } from './admin-fixture.js'
import { createSite } from './start-process.js'

describe('what the admin listener logs', () => {
  it('holds no token, no reason, no body and no header of any call', async () => {
    const site = await createSite('[log]\nlevel = "trace"\n')
    const daemon = await site.start()
    const token = readFileSync(join(site.dataDir, 'admin-token'), 'utf8').trim()
    const { requestId } = JSON.parse((await site.submit(makeSubmit({ route: 'qc_v1' }))).body)
    const canary = 'canary-of-an-operator'
    const json = 'Content-Type: application/json'
    const ask = (method: string, path: string, bearer: string, body = '') =>
      call(site.admin, method, path, [`Authorization: Bearer ${bearer}`, json], body)
    const reason = JSON.stringify({ reason: canary, who: 'ann' })
    expect((await ask('GET', '/admin/v1/jobs', canary)).status).toBe(401)
    expect((await ask('GET', `/admin/v1/${canary}`, token)).status).toBe(404)
    expect((await ask('POST', '/admin/v1/intents/release', token, canary)).status).toBe(400)
    const resume = `/admin/v1/jobs/${requestId}/resume`
    expect((await ask('POST', resume, token, reason)).status).toBe(200)
    const body = { how: 'release', typedKey: canary, reason: canary, dryRun: false }
    const resolve = '/admin/v1/quarantine/job-1/resolve'
    expect((await ask('POST', resolve, token, JSON.stringify(body))).status).toBe(404)
    const height = JSON.stringify({ height: 7, reason: canary, who: 'ann' })
    expect((await ask('POST', '/admin/v1/host-height/reset', token, height)).status).toBe(200)
    const line = await daemon.line('operator: done')
    expect(line).toMatchObject({ level: 'info', who: 'ann' })
    daemon.child.kill('SIGTERM')
    expect((await daemon.exit).status).toBe(0)
    for (const secret of [token, canary, 'Bearer']) expect(daemon.stderr()).not.toContain(secret)
  })

  it('hides every field that may bear a secret, whatever the path to it', () => {
    const clean = createFieldCleaner([])
    clean.hide('canary-late')
    const names = [
      ...['token', 'authToken', 'adminToken', 'authorization', 'cookie', 'Set-Cookie'],
      ...['passphrase', 'vaultPassphrase', 'password', 'objectPassword', 'secret', 'clientSecret'],
      ...['seed', 'walletSeed', 'mnemonic', 'phrase', 'words', 'privateKey', 'privateKeys'],
      ...['signature', 'signatures', 'depositorSignature', 'body', 'request', 'typedKey'],
    ]
    for (const name of names) {
      for (const value of ['canary', { deep: 'canary' }, ['canary'], Buffer.from('canary')]) {
        const told = JSON.stringify(clean.fields({ [name]: value, inner: { [name]: value } }))
        expect([name, told]).toEqual([name, expect.not.stringContaining('canary')])
      }
    }
    expect(clean.text('x canary-late y')).toBe('x [hidden] y')
    expect(JSON.stringify(clean.fields({ cause: new TypeError('canary-late') }))).not.toContain(
      'canary-late',
    )
  })
})
