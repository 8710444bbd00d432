import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { Job } from '../../src/covenant/job.js'
import { createSite, freePort, type Site } from '../daemon/start-process.js'
import { fileText, KeepCoreDirectory, keepCoreJob, readyJob } from '../store/keep-core-files.js'
import { type Finished, holdfast } from './command.js'

const ready = readyJob(1)
const held = keepCoreJob(2)

type Listed = {
  readonly jobs: readonly Job[]
  readonly records: readonly { readonly id: string }[]
}

/** Every command is a process of its own. */
const patienceMs = 120_000

/** A data directory with a finished job, a held one, and a file that was cut short; its daemon runs. */
async function runningSite(): Promise<Site> {
  const site = await createSite()
  const keep = new KeepCoreDirectory()
  try {
    keep.put(ready)
    keep.put(held)
    keep.putText(`${keepCoreJob(3).requestId}.json`, fileText(keepCoreJob(3)).slice(0, 311))
    const done = holdfast(['covenant', 'import', keep.path, '--yes', '--data-dir', site.dataDir])
    expect(done.status).toBe(3)
  } finally {
    keep.remove()
  }
  await site.start()
  return site
}

it(
  'reads a directory and settles a record through the daemon that holds it',
  async () => {
    const site = await runningSite()
    const run = (...args: string[]): Finished => holdfast([...args, '--config', site.config])
    const json = (...args: string[]): Listed => JSON.parse(run(...args, '--json').stdout)
    const { jobs } = json('covenant', 'list')
    expect(jobs.map(({ requestId, held }) => [requestId, held])).toEqual([
      [ready.requestId, false],
      [held.requestId, true],
    ])
    expect(json('covenant', 'list', '--state', 'PENDING').jobs).toHaveLength(1)
    expect(json('covenant', 'show', ready.requestId)).toMatchObject({ requestId: ready.requestId })
    const { id = '' } = json('quarantine', 'list').records[0] ?? {}
    expect(json('quarantine', 'show', id)).toMatchObject({
      id,
      raw: {},
      ways: [{ how: 'adopt' }, { how: 'retire' }, { how: 'release' }],
    })
    const never = run('covenant', 'show', `kcs_qc_${'0'.repeat(16)}`, '--json')
    expect([never.status, JSON.parse(never.stdout).error.code]).toEqual([1, 'JobNotFound'])

    const notReady = run('status', '--json')
    expect([notReady.status, JSON.parse(notReady.stdout).state]).toEqual([3, 'notReady'])

    const way = ['quarantine', 'resolve', id, '--release']
    const untyped = run(...way, '--json')
    expect([untyped.status, JSON.parse(untyped.stdout).error.code]).toEqual([
      3,
      'ResolutionRefused',
    ])
    const dry = json(...way, '--key', id)
    expect(dry).toMatchObject({ record: { id }, dryRun: true })
    const refused = run(...way.slice(0, 3), '--restore', 'ledger', '--json')
    expect(refused.status).toBe(3)
    expect(json('quarantine', 'list').records).toHaveLength(1)
    const hint = run(...way, '--key', id).stderr
    expect(hint).toContain(`--config ${site.config} --yes`)
    const done = json(...way, '--key', id, '--reason', 'torn', '--yes')
    expect(done).toEqual({ ...dry, dryRun: false })
    expect(json('quarantine', 'list').records).toEqual([])
    const state = run('status', '--json')
    expect([state.status, JSON.parse(state.stdout).state]).toEqual([0, 'ready'])
  },
  patienceMs,
)

it(
  'lets jobs run, frees outpoints and compares witnesses through the daemon',
  async () => {
    const site = await runningSite()
    const run = (...args: string[]): Finished => holdfast([...args, '--config', site.config])
    const json = (...args: string[]): Listed => JSON.parse(run(...args, '--json').stdout)
    const resume = ['covenant', 'resume', held.requestId, '--reason', 'go']
    expect(json(...resume, '--dry-run')).toMatchObject({ outcome: 'resumed', dryRun: true })
    expect(json(...resume)).toMatchObject({ outcome: 'resumed', dryRun: false })
    expect(json(...resume)).toMatchObject({ outcome: 'notHeld' })
    const free = run(
      'covenant',
      'release-intent',
      `${'ab'.repeat(32)}:0`,
      '--reason',
      'x',
      '--json',
    )
    expect([free.status, JSON.parse(free.stdout).error.code]).toEqual([1, 'IntentNotFound'])
    expect(json('covenant', 'host-height', '--reset', '7', '--reason', 'x')).toMatchObject({
      ...{ height: '7', changed: true },
    })
    expect(json('store', 'verify')).toMatchObject({ newKeys: false, fenced: [{ kind: 'file' }] })
    expect(json('ledger', 'verify')).toMatchObject({ ok: true })
    expect(json('ledger', 'head')).toMatchObject({ hash: expect.stringMatching(/^[0-9a-f]{64}$/) })
    expect(json('wallet', 'list')).toEqual({ wallets: [], quarantined: [] })
  },
  patienceMs,
)

it(
  'gives the same documents without a daemon and through one',
  async () => {
    const site = await createSite()
    const keep = new KeepCoreDirectory()
    keep.put(ready)
    keep.putText(`${keepCoreJob(3).requestId}.json`, fileText(keepCoreJob(3)).slice(0, 311))
    holdfast(['covenant', 'import', keep.path, '--yes', '--data-dir', site.dataDir])
    keep.remove()
    const outputs = (): readonly string[] => {
      const run = (...args: string[]): string => {
        return holdfast([...args, '--json', '--config', site.config]).stdout
      }
      const { records } = JSON.parse(run('quarantine', 'list'))
      return [
        run('covenant', 'list'),
        run('covenant', 'show', ready.requestId),
        JSON.stringify(records),
        run('quarantine', 'show', records[0].id),
        run('quarantine', 'resolve', records[0].id, '--release', '--key', records[0].id),
        run('quarantine', 'resolve', records[0].id, '--retire'),
      ]
    }
    const before = outputs()
    await site.start()
    const through = outputs()
    expect(through.map((text) => JSON.parse(text))).toEqual(before.map((text) => JSON.parse(text)))
  },
  patienceMs,
)

it(
  'ends with 4 when the daemon that holds the directory cannot be asked',
  async () => {
    const site = await runningSite()
    const ended = (...more: string[]): unknown => {
      const { status, stdout } = holdfast(['quarantine', 'list', '--json', ...more])
      return [status, JSON.parse(stdout).error?.code]
    }
    expect(ended('--config', site.config)).toEqual([0, undefined])
    const elsewhere = join(site.folder, 'elsewhere.toml')
    const port = await freePort()
    writeFileSync(elsewhere, `dataDir = "${site.dataDir}"\n[admin]\nport = ${port}\n`, {
      mode: 0o600,
    })
    expect(ended('--config', elsewhere)).toEqual([4, 'DaemonUnreachable'])
    writeFileSync(join(site.dataDir, 'admin-token'), `${'x'.repeat(32)}\n`)
    expect(ended('--config', site.config)).toEqual([3, 'AdminTokenWanted'])
    rmSync(join(site.dataDir, 'admin-token'))
    expect(ended('--config', site.config)).toEqual([4, 'DaemonUnreachable'])
    const head = holdfast(['ledger', 'head', '--json', '--config', site.config])
    expect([head.status, JSON.parse(head.stdout).seq > 0]).toEqual([0, true])
  },
  patienceMs,
)
