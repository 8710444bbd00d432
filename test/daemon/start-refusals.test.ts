import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { acquireDirectory } from '../../src/base/directory-lock.js'
import { makeSubmit } from '../covenant/factory.js'
import { createSite, type Daemon, type Site } from './start-process.js'

const root = {
  route: 'qc_v1',
  reserve: `0x${'11'.repeat(20)}`,
  network: 'regtest',
  publicKey: '0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798',
}
const depositors = `[[covenantSigner.depositorTrustRoots]]\n${Object.entries(root)
  .map(([name, value]) => `${name} = "${value}"`)
  .join('\n')}\n`

/** A start that is refused: its code, its exit status, and that the lock is free afterwards. */
async function refused(site: Site, daemon: Daemon): Promise<readonly [string, number | null]> {
  const { status } = await daemon.exit
  const code = /^(\w+): /m.exec(daemon.stderr())?.[1] ?? daemon.stderr()
  if (existsSync(site.dataDir)) acquireDirectory(site.dataDir).release()
  return [code, status]
}

describe('a start that is refused', () => {
  it('is refused at once while another process holds the directory, which goes on', async () => {
    const site = await createSite()
    const first = await site.start()
    const second = site.run({ args: ['--json'] })
    expect((await second.exit).status).toBe(3)
    expect(JSON.parse(second.stdout()).error.code).toBe('DataDirLocked')
    expect((await site.submit(makeSubmit({ route: 'qc_v1' }))).status).toBe(200)
    first.child.kill('SIGTERM')
    expect((await first.exit).status).toBe(0)
  })

  it('frees the lock when the port is taken', async () => {
    const site = await createSite()
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(site.address, resolve))
    expect(await refused(site, site.run())).toEqual(['ListenFailed', 1])
    await new Promise((resolve) => other.close(resolve))
    const daemon = await site.start()
    daemon.child.kill('SIGTERM')
    expect((await daemon.exit).status).toBe(0)
  })

  it('wants an engine that verifies before trust roots count, and frees the lock', async () => {
    const site = await createSite(depositors)
    const pinned = site.run()
    expect(await refused(site, pinned)).toEqual(['ConfigRefused', 3])
    expect(pinned.stderr()).toContain(
      'covenantSigner.depositorTrustRoots: set while the engine cannot verify signer approvals.',
    )
    // The store was opened before: what the engine can do is asked after it.
    expect(readdirSync(site.dataDir)).toContain('jobs.db')
    site.configure('')
    const daemon = await site.start()
    daemon.child.kill('SIGTERM')
    expect((await daemon.exit).status).toBe(0)
  })

  it('names the file when the job store is none, and starts when that is settled', async () => {
    const site = await createSite()
    const daemon = await site.start()
    daemon.child.kill('SIGTERM')
    await daemon.exit
    const file = join(site.dataDir, 'jobs.db')
    for (const name of readdirSync(site.dataDir)) {
      if (/^(jobs|ledger)/.test(name)) rmSync(join(site.dataDir, name))
    }
    writeFileSync(file, 'no database at all '.repeat(100), { mode: 0o600 })
    const failed = site.run()
    expect(await refused(site, failed)).toEqual(['NotAJobDb', 3])
    expect(failed.stderr()).toContain(file)
    rmSync(file)
    const again = await site.start()
    again.child.kill('SIGTERM')
    expect((await again.exit).status).toBe(0)
  })

  it('makes nothing when the settings alone are refused', async () => {
    const site = await createSite('listenAddress = "0.0.0.0"\n')
    const daemon = site.run({ args: ['--covenantSigner.authToken', '', '--json'] })
    expect((await daemon.exit).status).toBe(3)
    const { error } = JSON.parse(daemon.stdout())
    expect(error.code).toBe('ConfigRefused')
    expect(error.message).toContain('covenantSigner.authToken: empty while')
    expect(existsSync(site.dataDir)).toBe(false)
  })

  it('refuses a passphrase file that others may read, and a passphrase without a vault', async () => {
    const site = await createSite()
    const file = join(site.folder, 'passphrase')
    writeFileSync(file, 'correct horse battery staple\n', { mode: 0o644 })
    site.configure(`[vault]\npassphraseFile = "${file}"\n`)
    const open = site.run()
    expect(await refused(site, open)).toEqual(['ConfigRefused', 3])
    expect(open.stderr()).toContain('mode 0644 lets others in')
    rmSync(file)
    writeFileSync(file, 'correct horse battery staple\n', { mode: 0o600 })
    expect(await refused(site, site.run())).toEqual(['VaultMissing', 1])
    expect(readdirSync(site.dataDir)).toEqual(['lock'])
  })
})
