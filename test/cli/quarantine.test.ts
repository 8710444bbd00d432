import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { canonicalRequest } from '../../src/covenant/digest.js'
import type { Job } from '../../src/covenant/job.js'
import { sampleJob } from '../../src/testing/sample-job.js'
import { fileText, KeepCoreDirectory, keepCoreJob } from '../store/keep-core-files.js'
import { accept, change, withJobs } from '../store/sqlite/jobs-fixture.js'
import { type Finished, filesBelow, holdfast } from './command.js'

let folder = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-quarantine-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const quarantine = (...args: string[]): Finished =>
  holdfast(['quarantine', ...args, '--data-dir', folder])
const inJson = (...args: string[]): Record<string, never> =>
  JSON.parse(quarantine(...args, '--json').stdout)

/** Runs a verb that must leave every byte as it is. */
function read(...args: string[]): Finished {
  const before = filesBelow(folder)
  const done = quarantine(...args)
  expect(filesBelow(folder)).toEqual(before)
  return done
}

/** Words of a command as a shell reads them, without the program's name. */
function wordsOf(command: string): readonly string[] {
  const text = execFileSync('bash', ['-c', `printf '%s\\0' ${command}`], { encoding: 'utf8' })
  return text.split('\0').slice(1, -1)
}

/** The commands that an output names, in their order. */
function commandsIn({ stdout, stderr }: Finished): readonly string[] {
  return [...`${stdout}\n${stderr}`.matchAll(/^.*?\b(holdfast (?:quarantine|covenant) .*)$/gm)]
    .map(([, command = '']) => command)
    .filter((command) => !command.includes('--raw'))
}

/** A store with one whole job, and one whose row was lost. */
async function loseJob(): Promise<{ readonly lost: Job; readonly kept: Job }> {
  const jobs = await withJobs(folder, async (store) => {
    return [await accept(store, sampleJob(1)), await accept(store, sampleJob(2))] as const
  })
  change(folder, 'delete from job where seq = ?', jobs[0].seq)
  return { lost: jobs[0], kept: jobs[1] }
}

describe('a file that was cut short in a keep-core directory', () => {
  it('is settled by four commands, each named by the one before, and new keys are taken again', async () => {
    const keep = new KeepCoreDirectory()
    try {
      keep.put(keepCoreJob(1))
      keep.putText(`${keepCoreJob(2).requestId}.json`, fileText(keepCoreJob(2)).slice(0, 311))
      const imported = holdfast(['covenant', 'import', keep.path, '--yes', '--data-dir', folder])
      expect(imported.stderr).toContain('holdfast quarantine list')
    } finally {
      keep.remove()
    }
    const listed = read('list')
    expect(listed.stdout).toMatch(/^blocks: every new key$/m)
    const [show = ''] = commandsIn(listed)
    const shown = holdfast(wordsOf(show))
    const way = commandsIn(shown).find((command) => !command.includes(' FILE ')) ?? ''
    const tried = holdfast(wordsOf(way))
    expect(tried.stdout).toContain('nothing was changed')
    const [act = ''] = commandsIn(tried)
    expect(act).toBe(`${way} --yes`)
    const done = holdfast(wordsOf(act))
    expect([done.status, done.stderr]).toEqual([0, 'No record is open any more.\n'])
    const taken = await withJobs(folder, (store) => store.accept(sampleJob(9)))
    expect(taken.kind).toBe('accepted')
  })
})

describe('quarantine list', () => {
  it('prints what each record blocks, why, and what to type next; changes nothing', async () => {
    const { lost } = await loseJob()
    const { status, stdout } = read('list', '--json')
    const { records } = JSON.parse(stdout)
    expect(records).toMatchObject([
      {
        id: `job-${lost.seq}`,
        kind: 'job',
        state: 'open',
        requestId: lost.requestId,
        blocks: {
          keys: [{ route: lost.route, routeRequestId: lost.routeRequestId }],
          outpoints: [lost.outpoint],
          everyNewKey: false,
        },
      },
    ])
    expect(Object.keys(records[0]).sort()).toEqual(
      ['blocks', 'foundAt', 'id', 'kind', 'reason', 'requestId', 'sha256', 'size', 'state'].sort(),
    )
    expect(status).toBe(0)
    const text = read('list').stdout
    expect(text).toContain(lost.outpoint)
    expect(text).toMatch(
      new RegExp(`^next: +holdfast quarantine show job-${lost.seq} --data-dir `, 'm'),
    )
  })

  it('finds nothing in a directory without jobs or without a directory, and makes nothing', () => {
    expect(JSON.parse(read('list', '--json').stdout)).toEqual({ records: [] })
    const none = holdfast(['quarantine', 'list', '--json', '--data-dir', join(folder, 'none')])
    expect([none.status, JSON.parse(none.stdout)]).toEqual([0, { records: [] }])
    expect(filesBelow(folder)).toEqual({})
  })
})

describe('quarantine show', () => {
  it('prints what is known and a command for each way out', async () => {
    const { lost } = await loseJob()
    const id = `job-${lost.seq}`
    const { status, stdout } = read('show', id, '--json')
    const shown = JSON.parse(stdout)
    expect(shown).toMatchObject({ id, state: 'open', raw: {}, readable: {} })
    expect(shown.witnesses.length).toBeGreaterThan(0)
    expect(status).toBe(0)
    const commands = commandsIn(read('show', id))
    expect(commands).toHaveLength(shown.ways.length)
    for (const [index, { how }] of shown.ways.entries()) {
      expect(commands[index]).toContain(`quarantine resolve ${id} --${how}`)
    }
  })

  it('writes the bytes of a record as they were found', async () => {
    const keep = new KeepCoreDirectory()
    const torn = fileText(keepCoreJob(2)).slice(0, 311)
    keep.putText(`${keepCoreJob(2).requestId}.json`, torn)
    holdfast(['covenant', 'import', keep.path, '--yes', '--data-dir', folder])
    keep.remove()
    const { records } = JSON.parse(quarantine('list', '--json').stdout)
    expect(read('show', records[0].id, '--raw').stdout).toBe(torn)
    const { raw } = JSON.parse(read('show', records[0].id, '--json').stdout)
    expect(raw).toEqual({ hex: Buffer.from(torn).toString('hex'), text: torn })
  })

  it('does not know a record that is not there', async () => {
    await loseJob()
    const { status, stdout } = read('show', 'job-999', '--json')
    expect([status, JSON.parse(stdout).error.code]).toEqual([1, 'RecordNotFound'])
    expect(read('show', '\u001b[2J').status).toBe(2)
  })
})

describe('quarantine resolve', () => {
  it('changes nothing without --yes, and says which command does it', async () => {
    const { lost } = await loseJob()
    const id = `job-${lost.seq}`
    const { status, stdout, stderr } = read('resolve', id, '--retire', '--reason', "it's lost")
    expect(status).toBe(0)
    expect(stdout).toContain('nothing was changed')
    expect(stderr).toBe(
      `To do it: holdfast quarantine resolve ${id} --retire --reason 'it'\\''s lost' --data-dir ${folder} --yes\n`,
    )
    expect(JSON.parse(read('resolve', id, '--retire', '--json').stdout)).toMatchObject({
      record: { id },
      dryRun: true,
    })
  })

  it('retires a record for ever, with who and why in the ledger', async () => {
    const { lost } = await loseJob()
    const id = `job-${lost.seq}`
    const done = inJson('resolve', id, '--retire', '--reason', 'why not', '--yes')
    expect(done).toMatchObject({ record: { id }, dryRun: false })
    expect(inJson('list').records).toMatchObject([{ id, state: 'retired' }])
    const { fenced } = JSON.parse(
      holdfast(['store', 'verify', '--json', '--data-dir', folder]).stdout,
    )
    expect(fenced).toMatchObject([{ id, state: 'retired' }])
    const text = execFileSync('cat', [join(folder, 'ledger.jsonl')], { encoding: 'utf8' })
    expect(text).toContain('why not')
  })

  it('adopts the request from a file of its own, from a body, and from a keep-core file', async () => {
    const { lost } = await loseJob()
    const id = `job-${lost.seq}`
    const request = canonicalRequest(lost.request)
    const file = join(folder, 'adopt', 'request.json')
    mkdirSync(join(folder, 'adopt'))
    const bodies = [
      request,
      `{"routeRequestId":"x","stage":"x","request":${request}}`,
      `{"requestId":"${lost.requestId}","state":"PENDING","request":${request}}`,
    ]
    for (const body of bodies) {
      writeFileSync(file, body)
      expect(read('resolve', id, '--adopt', file).status).toBe(0)
    }
    const done = inJson('resolve', id, '--adopt', file, '--reason', 'mended', '--yes')
    expect(done).toMatchObject({ dryRun: false })
    const { stdout } = holdfast([
      ...['covenant', 'show', lost.requestId, '--json', '--data-dir', folder],
    ])
    expect(JSON.parse(stdout).requestDigest).toBe(lost.requestDigest)
    expect(inJson('list')).toEqual({ records: [] })
  })

  it('releases a key only when it was typed out', async () => {
    const { lost } = await loseJob()
    const id = `job-${lost.seq}`
    const other = read('resolve', id, '--release', '--key', 'qc_v1:other', '--json')
    expect([other.status, JSON.parse(other.stdout).error.code]).toEqual([3, 'ResolutionRefused'])
    const key = `${lost.route}:${lost.routeRequestId}`
    const { status } = quarantine(
      ...['resolve', id, '--release', '--key', key, '--reason', 'x', '--yes'],
    )
    expect([status, inJson('list')]).toEqual([0, { records: [] }])
  })

  it('refuses command lines that ask for nothing, for two ways, or for no reason', async () => {
    const { lost } = await loseJob()
    const id = `job-${lost.seq}`
    for (const flags of [
      [],
      ['--retire', '--release'],
      ['--retire', '--yes'],
      ['--retire', '--key', 'x'],
      ['--restore', 'memory'],
      ['--adopt', join(folder, 'none.json')],
      ['--adopt', join(folder, 'ledger.jsonl')],
    ]) {
      expect(read('resolve', id, ...flags).status, flags.join(' ')).toBe(2)
    }
  })
})

describe('covenant resume and release-intent', () => {
  it('let a held job run once, and leave everything as it is in a dry run', async () => {
    const keep = new KeepCoreDirectory()
    const held = keepCoreJob(1)
    keep.put(held)
    holdfast(['covenant', 'import', keep.path, '--yes', '--data-dir', folder])
    keep.remove()
    const listed = holdfast(['covenant', 'list', '--data-dir', folder])
    const [command = ''] = commandsIn(listed)
    const before = filesBelow(folder)
    const tried = holdfast([...wordsOf(command), '--dry-run', '--json'])
    expect(JSON.parse(tried.stdout)).toEqual({
      ...{ requestId: held.requestId, outcome: 'resumed', dryRun: true },
    })
    expect(filesBelow(folder)).toEqual(before)
    const outcomes = [1, 2].map(
      () => JSON.parse(holdfast([...wordsOf(command), '--json']).stdout).outcome,
    )
    expect(outcomes).toEqual(['resumed', 'notHeld'])
    const never = holdfast([
      ...['covenant', 'resume', `kcs_qc_${'0'.repeat(16)}`, '--reason', 'x', '--json'],
      ...['--data-dir', folder],
    ])
    expect([never.status, JSON.parse(never.stdout).error.code]).toEqual([1, 'JobNotFound'])
  })

  it('refuse an outpoint that nothing was recorded for', async () => {
    const { kept } = await loseJob()
    const done = holdfast([
      ...['covenant', 'release-intent', kept.outpoint, '--reason', 'x', '--json'],
      ...['--data-dir', folder],
    ])
    expect([done.status, JSON.parse(done.stdout).error.code]).toEqual([1, 'IntentNotFound'])
  })
})
