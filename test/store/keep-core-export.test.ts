import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Job, JobState } from '../../src/covenant/job.js'
import { checkKeepCore } from '../../src/store/keep-core/check.js'
import { exportKeepCore, exportWithoutQuarantined } from '../../src/store/keep-core/export.js'
import { importKeepCore } from '../../src/store/keep-core/import.js'
import { readJobFile, writeJobFile } from '../../src/store/keep-core/job-file.js'
import { scriptedFaults } from '../../src/testing/faults.js'
import {
  fileText,
  KeepCoreDirectory,
  keepCoreJob,
  readyJob,
  stateBelow,
} from './keep-core-files.js'
import { contentsOf, type MemoryTarget, memoryTarget } from './keep-core-target.js'

let keep: KeepCoreDirectory
let store: MemoryTarget
let out = ''

beforeEach(() => {
  keep = new KeepCoreDirectory()
  store = memoryTarget()
  out = join(keep.parent, 'out')
})
afterEach(() => keep.remove())

const by = { who: 'ana', why: 'moving house' }
const hold = (...jobs: Job[]): void => {
  for (const job of jobs) store.jobs.set(job.requestId, job)
}
const written = (): Record<string, string> => {
  const folder = join(out, 'covenant-signer-jobs')
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8')
  return Object.fromEntries(readdirSync(folder).map((name) => [name, read(name)]))
}

describe('a job file', () => {
  it('has the fields in order, no white space, and <, > and & escaped as keep-core does', () => {
    const job = readyJob(1, {
      routeRequestId: 'a<b>&"\u2028\u2029\u0001\b\f/\u007f\u00fc',
      depositorEthAddress: '0xaa',
      handoff: { z: 1, a: { y: ['<', true, null], b: 'x' }, kind: '\ud800' },
    })
    const text = fileText(job)
    const { request: _, ...rest } = JSON.parse(text)
    expect(Object.keys(JSON.parse(text))).toEqual([
      ...['requestId', 'routeRequestId', 'route', 'idempotencyKey', 'facadeRequestId'],
      ...['requestDigest', 'depositorEthAddress', 'state', 'detail', 'createdAt', 'updatedAt'],
      ...['completedAt', 'request', 'psbtHash', 'transactionHex', 'handoff'],
    ])
    expect(rest).toMatchObject({ idempotencyKey: 'idempotency 1', facadeRequestId: 'facade 1 ' })
    expect(text).toContain(
      '"routeRequestId":"a\\u003cb\\u003e\\u0026\\"\\u2028\\u2029\\u0001\\b\\f/\u007f\u00fc",',
    )
    expect(text).toContain('"epoch":18446744073709551615,')
    expect(text).toMatch(
      /"handoff":\{"a":\{"b":"x","y":\["\\u003c",true,null\]\},"kind":"\ufffd","z":1\}\}$/,
    )
  })

  it('leaves out what is empty and may be, and nothing else', () => {
    const text = fileText(keepCoreJob(1, { detail: '', createdAt: '', depositorEthAddress: '' }))
    expect(Object.keys(JSON.parse(text))).toEqual([
      ...['requestId', 'routeRequestId', 'route', 'idempotencyKey', 'facadeRequestId'],
      ...['requestDigest', 'state', 'createdAt', 'updatedAt', 'request'],
    ])
  })

  it('reads back as the job that was written, whatever its texts are', () => {
    const anyText = fc.string({ unit: 'binary', maxLength: 20 })
    const job = fc.record({
      routeRequestId: fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }),
      detail: anyText,
      updatedAt: anyText,
      createdAt: anyText,
      psbtHash: fc.string({ minLength: 1 }),
      state: fc.constantFrom<JobState>('PENDING', 'SIGNING', 'ARTIFACT_READY', 'FAILED'),
      handoff: fc.dictionary(anyText, fc.oneof(anyText, fc.maxSafeNat(), fc.boolean())),
    })
    fc.assert(
      fc.property(job, (changes) => {
        const held = !['ARTIFACT_READY', 'FAILED'].includes(changes.state)
        const { seq: _, ...made } = keepCoreJob(1, { ...changes, held })
        const reading = readJobFile(`${made.requestId}.json`, writeJobFile({ ...made, seq: 1n }))
        if (reading.kind !== 'job') throw new RangeError(reading.reason)
        expect({ ...reading.job.identity, ...reading.job.progress }).toEqual(made)
      }),
    )
  })
})

describe('an export', () => {
  it('writes files that a check loads, into a new directory', async () => {
    hold(keepCoreJob(1), readyJob(2))
    const report = await exportKeepCore({ source: store }, out)
    const path = join(out, 'covenant-signer-jobs')
    expect(report).toEqual({ path, loaded: 2, quarantined: [] })
    expect(readdirSync(out)).toEqual(['covenant-signer-jobs'])
    expect(statSync(path).mode & 0o777).toBe(0o700)
    for (const name of readdirSync(path))
      expect(statSync(join(path, name)).mode & 0o777).toBe(0o600)
    const verdicts = await checkKeepCore(out)
    expect(verdicts.loaded).toHaveLength(2)
    expect([verdicts.superseded, verdicts.quarantined]).toEqual([[], []])
  })

  it('imported again is the same store, and exported again the same files', async () => {
    const numbers = Array.from({ length: 300 }, (_, at) => at)
    hold(...numbers.map((at) => (at % 3 === 0 ? readyJob(at) : keepCoreJob(at))))
    await exportKeepCore({ source: store }, out)
    const first = written()
    expect(Object.keys(first)).toHaveLength(300)
    const other = memoryTarget()
    await importKeepCore({ target: other }, out, by)
    const jobs = (target: MemoryTarget) => (contentsOf(target) as { jobs: unknown }).jobs
    expect(jobs(other)).toEqual(jobs(store))
    out = join(keep.parent, 'again')
    await exportKeepCore({ source: other }, out)
    expect(written()).toEqual(first)
  })

  it('takes an empty directory, also as the jobs directory itself', async () => {
    hold(keepCoreJob(1))
    mkdirSync(out)
    await exportKeepCore({ source: store }, out)
    const jobs = join(keep.parent, 'other', 'covenant-signer-jobs')
    mkdirSync(jobs, { recursive: true })
    expect(await exportKeepCore({ source: store }, jobs)).toMatchObject({ path: jobs, loaded: 1 })
    expect(readdirSync(jobs)).toEqual(Object.keys(written()))
  })

  it('refuses a directory that holds something, and leaves it as it is', async () => {
    hold(keepCoreJob(1))
    keep.put(keepCoreJob(9))
    writeFileSync(join(keep.parent, 'file'), '')
    const before = stateBelow(keep.parent)
    for (const taken of [keep.path, keep.jobs, keep.parent]) {
      await expect(exportKeepCore({ source: store }, taken)).rejects.toMatchObject({
        code: 'ExportTargetTaken',
      })
    }
    expect(stateBelow(keep.parent)).toEqual(before)
  })

  it('writes nothing while a record is quarantined, unless it is left out on purpose', async () => {
    keep.put(keepCoreJob(1))
    keep.putText('torn.json', '{')
    await importKeepCore({ target: store }, keep.path, by)
    const refused = await exportKeepCore({ source: store }, out)
    expect(refused).toMatchObject({ path: undefined, loaded: 0, quarantined: [{ kind: 'file' }] })
    expect(readdirSync(keep.parent)).toEqual(['keep'])
    const partial = await exportWithoutQuarantined({ source: store }, out)
    expect(partial).toMatchObject({ loaded: 1, quarantined: [{ kind: 'file' }] })
    expect(Object.keys(written())).toHaveLength(1)
  })

  it('that fails anywhere leaves no jobs directory, and repeated writes the whole', async () => {
    hold(keepCoreJob(1), keepCoreJob(2), keepCoreJob(3))
    const through = scriptedFaults()
    await exportKeepCore({ source: store, faults: through }, join(keep.parent, 'through'))
    for (const [at, point] of through.reached.entries()) {
      if (point === 'export.rename.after') continue
      out = join(keep.parent, `out ${at}`)
      const nth = through.reached.slice(0, at + 1).filter((name) => name === point).length
      const faults = scriptedFaults({ point, nth, action: 'fatal' })
      await expect(exportKeepCore({ source: store, faults }, out)).rejects.toThrow('fault injected')
      expect(readdirSync(out)).toEqual([])
      // What a killed process leaves behind.
      mkdirSync(join(out, '.holdfast-export-0123456789abcdef.tmp', 'x'), { recursive: true })
      await exportKeepCore({ source: store }, out)
      expect(Object.keys(written())).toHaveLength(3)
      expect(readdirSync(out)).toEqual(['covenant-signer-jobs'])
    }
  })
})
