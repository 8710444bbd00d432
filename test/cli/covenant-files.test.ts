import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openJobStore } from '../../src/store/sqlite/index.js'
import { sampleJob } from '../../src/testing/sample-job.js'
import {
  fileText,
  KeepCoreDirectory,
  keepCoreJob,
  readyJob,
  stateBelow,
} from '../store/keep-core-files.js'
import { type Finished, holdfast } from './command.js'

let keep: KeepCoreDirectory
let dataDir = ''

beforeEach(() => {
  keep = new KeepCoreDirectory()
  dataDir = join(keep.parent, 'data')
})
afterEach(() => keep.remove())

const covenant = (...args: string[]): Finished =>
  holdfast(['covenant', ...args, '--data-dir', dataDir])
const one = keepCoreJob(1)
const nameOf = (number: number): string => `${keepCoreJob(number).requestId}.json`

describe('covenant check', () => {
  it('prints the verdicts of a healthy directory and ends with 0', () => {
    keep.put(one)
    const loser = keepCoreJob(2, {
      routeRequestId: one.routeRequestId,
      updatedAt: '1999-01-01T00:00:00Z',
    })
    keep.put(loser)
    const before = stateBelow(keep.path)
    const { status, stdout } = covenant('check', keep.path, '--json')
    expect(JSON.parse(stdout)).toEqual({
      loaded: 1,
      superseded: 1,
      quarantined: [],
      supersededFiles: [{ file: nameOf(2), by: one.requestId, rule: 'laterTime' }],
    })
    expect(status).toBe(0)
    expect(stateBelow(keep.path)).toEqual(before)
    expect(existsSync(dataDir)).toBe(false)
  })

  it('ends with 3 when a file is set aside, and says which keys stay closed', () => {
    keep.put(one)
    keep.putText(nameOf(3), fileText(keepCoreJob(3)).slice(0, -9))
    keep.putText(nameOf(4), fileText(keepCoreJob(4), '"PENDING"', '"PENDINF"'))
    const { status, stdout } = covenant('check', keep.path, '--json')
    const { loaded, quarantined } = JSON.parse(stdout)
    expect(loaded).toBe(1)
    const { routeRequestId, outpoint } = keepCoreJob(4)
    const known = {
      keys: [{ route: 'self_v1', routeRequestId }],
      outpoints: [outpoint],
      everyNewKey: false,
    }
    const torn = { keys: [], outpoints: [], everyNewKey: true }
    const said = quarantined.map(({ file, blocks }: Record<string, unknown>) => [file, blocks])
    expect(new Map(said)).toEqual(
      new Map<string, unknown>([
        [nameOf(3), torn],
        [nameOf(4), known],
      ]),
    )
    for (const { reason } of quarantined) expect(reason).toMatch(/./)
    expect(status).toBe(3)
  })

  it('tells a person what to do next, and shows names that could move a terminal as text', () => {
    keep.putText('\u001b[2Jx.json', '{')
    const { status, stdout, stderr } = covenant('check', keep.path)
    expect(stdout).toContain('\\u001b[2Jx.json\tmalformed\t')
    expect(stdout).toContain('\tevery new key')
    expect(stdout).not.toContain('\u001b')
    expect(stderr).toContain(`Next: holdfast covenant import ${keep.path} --yes`)
    expect(status).toBe(3)
  })

  it('ends with 1 when there is no such directory', () => {
    const { status, stdout } = covenant('check', join(keep.parent, 'none'), '--json')
    expect(JSON.parse(stdout).error).toMatchObject({ code: 'KeepCoreUnreadable' })
    expect(status).toBe(1)
  })
})

describe('covenant import', () => {
  it('without --yes says what it would do and makes nothing', () => {
    keep.put(one)
    const { status, stdout } = covenant('import', keep.path, '--json')
    expect(JSON.parse(stdout)).toMatchObject({ loaded: 1, quarantined: [], dryRun: true })
    expect(status).toBe(0)
    expect(existsSync(dataDir)).toBe(false)
  })

  it('with --yes takes the jobs over, once, and holds what is unfinished', async () => {
    keep.put(one)
    keep.put(readyJob(2))
    keep.putText(nameOf(4), fileText(keepCoreJob(4), '"PENDING"', '"PENDINF"'))
    const before = stateBelow(keep.path)
    const flags = ['--yes', '--reason', 'moving', '--json']
    const first = covenant('import', keep.path, ...flags)
    const report = JSON.parse(first.stdout)
    expect(report).toMatchObject({ loaded: 2, imported: 2, present: 0, dryRun: false })
    const recordId = expect.stringMatching(/^file-[0-9a-f]{16}$/)
    expect(report.quarantined).toMatchObject([{ file: nameOf(4), recordId }])
    expect(first.status).toBe(3)
    const again = JSON.parse(covenant('import', keep.path, ...flags).stdout)
    expect(again).toEqual({ ...report, imported: 0, present: 2 })
    expect(stateBelow(keep.path)).toEqual(before)
    const store = await openJobStore(dataDir)
    try {
      await store.ready(new AbortController().signal)
      const jobs = await store.list({ limit: 10 })
      expect(jobs.map(({ state, held }) => [state, held]).sort()).toEqual([
        ['ARTIFACT_READY', false],
        ['PENDING', true],
      ])
    } finally {
      await store.close()
    }
    const trail = covenant('show', one.requestId, '--json')
    expect(trail.status).toBe(0)
  })

  it('says that the data directory is in use before it changes anything', async () => {
    keep.put(one)
    const store = await openJobStore(dataDir)
    try {
      const { status, stdout } = covenant('import', keep.path, '--yes', '--json')
      expect(JSON.parse(stdout).error).toMatchObject({ code: 'DataDirLocked' })
      expect(status).not.toBe(0)
      expect(await store.list({ limit: 1 })).toEqual([])
    } finally {
      await store.close()
    }
  })
})

describe('covenant export', () => {
  it('writes what check loads, and refuses to write over it', async () => {
    const store = await openJobStore(dataDir)
    for (const number of [1, 2, 3]) await store.accept(sampleJob(number))
    await store.close()
    const out = join(keep.parent, 'out')
    const done = covenant('export', out, '--json')
    const path = join(out, 'covenant-signer-jobs')
    expect(JSON.parse(done.stdout)).toEqual({ path, loaded: 3, superseded: 0, quarantined: [] })
    expect(done.status).toBe(0)
    expect(readdirSync(path)).toHaveLength(3)
    expect(JSON.parse(covenant('check', out, '--json').stdout)).toMatchObject({
      loaded: 3,
      superseded: 0,
      quarantined: [],
    })
    const again = covenant('export', out, '--json')
    expect(JSON.parse(again.stdout).error).toMatchObject({ code: 'ExportTargetTaken' })
    expect(again.status).toBe(3)
  })
})
