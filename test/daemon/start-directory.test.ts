import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Config, loadConfig } from '../../src/config.js'
import { openLog } from '../../src/daemon/log.js'
import { runDaemon } from '../../src/daemon/main.js'
import { openHoldfast } from '../../src/holdfast.js'
import { freePort } from './start-process.js'

let folder = ''
let dataDir = ''
const log = openLog({ level: 'silent', secrets: [] })

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-start-directory-'))
  dataDir = join(folder, 'data')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Whether another process could lock the directory now. */
function isFree(): boolean {
  return spawnSync('flock', ['-n', join(dataDir, 'lock'), 'true']).status === 0
}

function configure(port: number, more: Readonly<Record<string, string>> = {}): Config {
  const ports = { HOLDFAST_COVENANT_SIGNER__PORT: `${port}`, HOLDFAST_ADMIN__PORT: '0' }
  const env = { HOLDFAST_DATA_DIR: dataDir, ...ports, ...more }
  return loadConfig({ env })
}

const run = (config: Config, stop: AbortSignal): Promise<void> => runDaemon({ config, log, stop })
const never = new AbortController().signal

describe('a data directory', () => {
  it('gets no job store unless one is asked for', async () => {
    const alone = await openHoldfast({ dataDir })
    expect(alone.jobs).toBeUndefined()
    await alone.close()
    expect(readdirSync(dataDir).filter((name) => /jobs|ledger/.test(name))).toEqual([])
    const witnessPath = join(folder, 'witness')
    const both = await openHoldfast({ dataDir, jobs: { witnessPath } })
    await both.jobs.ready(never)
    expect(isFree()).toBe(false)
    expect(both.wallets.list()).toEqual([])
    await both.close()
    await both.close()
    expect([isFree(), existsSync(witnessPath)]).toEqual([true, true])
    await expect(both.jobs.list({ limit: 1 })).rejects.toMatchObject({ kind: 'persisterClosed' })
  })

  it('is given back when its job store cannot be opened', async () => {
    mkdirSync(dataDir, { mode: 0o700 })
    const file = join(dataDir, 'jobs.db')
    writeFileSync(file, 'no database at all '.repeat(100), { mode: 0o600 })
    const opening = openHoldfast({ dataDir, jobs: {} })
    await expect(opening).rejects.toMatchObject({ code: 'NotAJobDb' })
    expect(isFree()).toBe(true)
    rmSync(file)
    const opened = await openHoldfast({ dataDir, jobs: {} })
    await opened.close()
  })
})

describe('a daemon', () => {
  it('gives the directory back when its port is taken, and when the engine falls short', async () => {
    const other = createServer()
    const port = await freePort()
    await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve))
    await expect(run(configure(port), never)).rejects.toMatchObject({ code: 'ListenFailed' })
    expect(isFree()).toBe(true)
    await new Promise((resolve) => other.close(resolve))
    const root = { keyId: 'k', publicKeyPem: 'p' }
    const roots = JSON.stringify([root])
    const pinned = { HOLDFAST_COVENANT_SIGNER__MIGRATION_PLAN_QUOTE_TRUST_ROOTS: roots }
    const refused = run(configure(port, pinned), never)
    await expect(refused).rejects.toMatchObject({ code: 'ConfigRefused' })
    expect(isFree()).toBe(true)
  })

  it('serves nobody when it is to stop before it has opened, and gives the directory back', async () => {
    await run(configure(await freePort()), AbortSignal.abort())
    expect([isFree(), existsSync(join(dataDir, 'jobs.db'))]).toEqual([true, true])
  })
})
