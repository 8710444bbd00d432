import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Job } from '../../src/covenant/job.js'
import { type ImportReport, importKeepCore } from '../../src/store/keep-core/import.js'
import { fileNameOf } from '../../src/store/keep-core/job-file.js'
import { type ScriptedFaults, scriptedFaults } from '../../src/testing/faults.js'
import { sampleIntent } from '../../src/testing/sample-job.js'
import {
  fileText,
  KeepCoreDirectory,
  keepCoreJob,
  readyJob,
  stateBelow,
} from './keep-core-files.js'
import { contentsOf, type MemoryTarget, memoryTarget } from './keep-core-target.js'

let keep: KeepCoreDirectory
let target: MemoryTarget

beforeEach(() => {
  keep = new KeepCoreDirectory()
  target = memoryTarget()
})
afterEach(() => keep.remove())

const by = { who: 'ana', why: 'moving house' }
const run = (faults?: ScriptedFaults, into = target): Promise<ImportReport> =>
  importKeepCore({ target: into, ...(faults === undefined ? {} : { faults }) }, keep.path, by)
const failed = (number: number): Job =>
  keepCoreJob(number, {
    state: 'FAILED',
    detail: 'no',
    reason: 'POLICY_REJECTED',
    failedAt: '2026-01-02T03:04:05Z',
    held: false,
  })
const nameOf = (job: Job): string => fileNameOf(job.requestId)
const withoutSeq = (job: Job | undefined): unknown => ({ ...job, seq: undefined })
const stored = (job: Job): Job | undefined => target.jobs.get(job.requestId)

/** Two files of one key, a torn one, a damaged one and one of each state. */
function putMany(): Job[] {
  const jobs = [keepCoreJob(1), readyJob(2), failed(3), keepCoreJob(4, { state: 'SUBMITTED' })]
  for (const job of jobs) keep.put(job)
  keep.put(readyJob(5, { routeRequestId: jobs[0]?.routeRequestId ?? '', updatedAt: 'never' }))
  keep.putText(nameOf(keepCoreJob(6)), fileText(keepCoreJob(6)).slice(0, 99))
  keep.putText(nameOf(keepCoreJob(7)), fileText(keepCoreJob(7), '"PENDING"', '"PENDINF"'))
  return jobs
}

describe('an import', () => {
  it('takes jobs over as they are, final ones with their results and unfinished ones held', async () => {
    const jobs = putMany()
    const report = await run()
    expect(report).toMatchObject({ imported: 4, present: 0, advanced: 0 })
    expect(jobs.map(stored).map(withoutSeq)).toEqual(jobs.map(withoutSeq))
    expect(target.jobs.size).toBe(4)
    expect(target.open.size).toBe(0)
    expect(target.summaries).toEqual([
      { loaded: 4, superseded: 1, quarantined: 2, verdictsSha256: report.verdictsSha256 },
    ])
  })

  it('closes the outpoints of ready jobs, also of one that was superseded, and of no others', async () => {
    const [first, ready] = putMany()
    await run()
    const outpoints = [...target.intents].map(([outpoint, { requestId }]) => [outpoint, requestId])
    expect(outpoints.sort()).toEqual(
      [
        [ready?.outpoint, ready?.requestId],
        [readyJob(5).outpoint, first?.requestId],
      ].sort(),
    )
    expect([...target.intents.values()].map((intent) => intent.unsignedTransaction)).toEqual([
      '0x',
      '0x',
    ])
  })

  it('keeps the bytes of files that were set aside, and their keys closed', async () => {
    putMany()
    const { quarantined } = await run()
    const records = [...target.records.values()]
    expect(records.map(({ id }) => id).sort()).toEqual(
      quarantined.map(({ recordId }) => recordId).sort(),
    )
    const torn = records.find(({ requestId }) => requestId === keepCoreJob(6).requestId)
    expect(torn).toMatchObject({ kind: 'file', sizeBytes: 100, blocks: { everyNewKey: true } })
    expect(Buffer.from(torn?.raw ?? []).toString()).toBe(fileText(keepCoreJob(6)).slice(0, 99))
    expect(target.takes('self_v1', 'a key that nobody used')).toBe(false)
  })

  it('repeated changes nothing, and finds the same', async () => {
    putMany()
    const first = await run()
    const before = contentsOf(target)
    const { writes } = target
    const second = await run()
    expect(contentsOf(target)).toEqual(before)
    // Only the mark that an import runs was written.
    expect(target.writes - writes).toBe(1)
    expect(second).toEqual({ ...first, imported: 0, present: 4 })
  })

  it('leaves the source as it is', async () => {
    putMany()
    keep.putText('.lock', '')
    const before = stateBelow(keep.path)
    await run()
    expect(stateBelow(keep.path)).toEqual(before)
  })

  it('refuses before it writes when keep-core runs', async () => {
    putMany()
    const holder = spawn('flock', ['-x', keep.putText('.lock', ''), 'sh', '-c', 'echo held; cat'])
    try {
      await once(holder.stdout, 'data')
      await expect(run()).rejects.toMatchObject({ code: 'KeepCoreLocked' })
      expect(target.writes).toBe(0)
    } finally {
      holder.stdin.end()
      await once(holder, 'exit')
    }
  })

  it('says how far it is, to the end', async () => {
    putMany()
    const seen: string[] = []
    const onProgress = (now: { stage: string; done: number; total: number }): void => {
      seen.push(`${now.stage} ${now.done}/${now.total}`)
    }
    await importKeepCore({ target, onProgress }, keep.path, by)
    expect(seen).toEqual([
      'reading 7/7',
      ...[1, 2, 3, 4, 5, 6].map((done) => `importing ${done}/6`),
    ])
  })

  it('ends when it is aborted, and nothing counts as new until it was carried on', async () => {
    putMany()
    const stop = new AbortController()
    const onProgress = ({ stage, done }: { stage: string; done: number }): void => {
      if (stage === 'importing' && done === 3) stop.abort()
    }
    const stopped = importKeepCore({ target, onProgress }, keep.path, by, stop.signal)
    await expect(stopped).rejects.toMatchObject({ code: 'Aborted' })
    expect(target.open.size).toBe(1)
    await run()
    expect(target.open.size).toBe(0)
  })

  it('stops when a file changes between the check and the import', async () => {
    const job = keepCoreJob(1)
    const path = keep.put(job)
    const change = (point: string): Promise<void> => {
      if (point === 'import.begin.after')
        writeFileSync(path, fileText(keepCoreJob(1, { detail: 'x' })))
      return Promise.resolve()
    }
    const faults = { reach: () => undefined, pause: change }
    await expect(importKeepCore({ target, faults }, keep.path, by)).rejects.toMatchObject({
      code: 'KeepCoreChanged',
    })
    expect(stored(job)).toBeUndefined()
    expect(target.takes('self_v1', job.routeRequestId)).toBe(false)
  })
})

describe('an import into a store that has jobs', () => {
  it('ends a held job that keep-core ended meanwhile', async () => {
    const job = keepCoreJob(1)
    keep.put(job)
    await run()
    keep.put(readyJob(1, { updatedAt: '2026-01-02T03:05:00Z' }))
    expect(await run()).toMatchObject({ imported: 0, present: 0, advanced: 1 })
    expect(stored(job)).toMatchObject({
      state: 'ARTIFACT_READY',
      held: false,
      transactionHex: '0x0203',
    })
    expect(target.intents.get(job.outpoint)?.requestId).toBe(job.requestId)
  })

  it('leaves a job that ended here when the file is behind', async () => {
    const job = readyJob(1)
    keep.put(job)
    await run()
    keep.put(keepCoreJob(1))
    expect(await run()).toMatchObject({ present: 1 })
    expect(stored(job)?.state).toBe('ARTIFACT_READY')
  })

  it.each([
    [
      'another request under its key',
      keepCoreJob(1),
      keepCoreJob(2, { routeRequestId: keepCoreJob(1).routeRequestId }),
    ],
    ['another result', readyJob(1), readyJob(1, { transactionHex: '0x04' })],
    ['a result of a job that was resumed here', keepCoreJob(1, { held: false }), readyJob(1)],
  ])('closes the key of %s', async (_, here, there) => {
    target.jobs.set(here.requestId, here)
    keep.put(there)
    const first = await run()
    expect(first.quarantined).toMatchObject([
      {
        code: 'conflict',
        blocks: { keys: [{ routeRequestId: there.routeRequestId }], outpoints: [there.outpoint] },
      },
    ])
    expect(first.loaded).toEqual([])
    expect(target.jobs.get(here.requestId)).toBe(here)
    expect(await run()).toEqual(first)
    expect(target.records.size).toBe(1)
  })

  it('closes only the key of a torn file whose id the store knows', async () => {
    const job = keepCoreJob(1)
    keep.put(job)
    await run()
    keep.putText(nameOf(job), '{')
    const first = await run()
    expect(first.quarantined).toMatchObject([
      {
        code: 'malformed',
        blocks: { keys: [{ routeRequestId: job.routeRequestId }], everyNewKey: false },
      },
    ])
    expect(target.takes('self_v1', 'a key that nobody used')).toBe(true)
    expect(await run()).toEqual(first)
  })

  it('says which record closes the key of a file that was mended', async () => {
    const job = keepCoreJob(1)
    keep.putText(nameOf(job), '{')
    const [record] = (await run()).quarantined
    keep.put(job)
    expect((await run()).quarantined).toMatchObject([
      { code: 'fenced', recordId: record?.recordId },
    ])
  })

  it('keeps the first intent of an outpoint that two jobs signed for', async () => {
    const here = readyJob(1)
    target.intents.set(here.outpoint, { ...sampleIntent(here), requestId: here.requestId })
    const intent = target.intents.get(here.outpoint)
    keep.put(here)
    await run()
    expect(target.intents.get(here.outpoint)).toBe(intent)
  })
})

describe('an import that is stopped', () => {
  it('between any two steps leaves no key open, and carried on ends like one that ran through', async () => {
    const jobs = putMany()
    const whole = memoryTarget()
    const through = scriptedFaults()
    await run(through, whole)
    const wanted = contentsOf(whole)
    expect(through.reached).toHaveLength(10)
    for (const [at, point] of through.reached.entries()) {
      const nth = through.reached.slice(0, at + 1).filter((name) => name === point).length
      target = memoryTarget()
      const faults = scriptedFaults({ point, nth, action: 'fatal' })
      await expect(run(faults)).rejects.toThrow('fault injected')
      const begun = point !== 'import.begin.before'
      for (const { route, routeRequestId } of begun ? jobs : []) {
        expect(target.takes(route, routeRequestId)).toBe(false)
      }
      expect(target.takes('self_v1', 'a key that nobody used')).toBe(!begun)
      await run()
      expect(contentsOf(target)).toEqual(wanted)
    }
  })

  it('many times in a row comes to the same end', async () => {
    putMany()
    const whole = memoryTarget()
    const points = scriptedFaults()
    await run(points, whole)
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(points.reached.length - 1), { maxLength: 6 }),
        async (cuts) => {
          target = memoryTarget()
          for (const cut of cuts) {
            let left = cut
            const pause = (): Promise<void> => {
              left -= 1
              return left < 0 ? Promise.reject(new RangeError('cut')) : Promise.resolve()
            }
            const faults = { reach: () => undefined, pause }
            await expect(importKeepCore({ target, faults }, keep.path, by)).rejects.toThrow('cut')
          }
          await run()
          expect(contentsOf(target)).toEqual(contentsOf(whole))
        },
      ),
      { numRuns: 25 },
    )
  })

  it('does not count another directory as its end', async () => {
    putMany()
    const faults = scriptedFaults({ point: 'import.job.after', action: 'fatal' })
    await expect(run(faults)).rejects.toThrow('fault injected')
    const other = new KeepCoreDirectory()
    try {
      await importKeepCore({ target }, other.path, by)
    } finally {
      other.remove()
    }
    expect(target.open.size).toBe(1)
    rmSync(join(keep.jobs, nameOf(keepCoreJob(6))))
    await run()
    expect(target.open.size).toBe(0)
  })
})
