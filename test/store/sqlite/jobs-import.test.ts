import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { canonicalRequest } from '../../../src/covenant/digest.js'
import { verifyLedger } from '../../../src/datadir/ledger-verify.js'
import { verifyStore } from '../../../src/datadir/store-verify.js'
import { type ImportReport, importKeepCore } from '../../../src/store/keep-core/import.js'
import { fileNameOf } from '../../../src/store/keep-core/job-file.js'
import type { SqliteJobStore } from '../../../src/store/sqlite/jobs.js'
import { openSqliteJobStore } from '../../../src/store/sqlite/jobs-open.js'
import { scriptedFaults } from '../../../src/testing/faults.js'
import { sampleRecord } from '../../../src/testing/sample-import.js'
import { sampleJob } from '../../../src/testing/sample-job.js'
import { fileText, KeepCoreDirectory, keepCoreJob, readyJob } from '../keep-core-files.js'
import { temporaryDirectory } from './fixture.js'
import {
  accept,
  by,
  change,
  copyDirectory,
  faultsThat,
  later,
  never,
  query,
} from './jobs-fixture.js'

let keep: KeepCoreDirectory

beforeEach(() => {
  keep = new KeepCoreDirectory()
})
afterEach(() => keep.remove())

const nameOf = (number: number): string => fileNameOf(keepCoreJob(number).requestId)

/** A pending job, a ready one, a superseded one, a torn file and one that is damaged in its state. */
function putFiles(): void {
  keep.put(keepCoreJob(1))
  keep.put(readyJob(2))
  keep.put(readyJob(5, { routeRequestId: keepCoreJob(1).routeRequestId, updatedAt: 'never' }))
  keep.putText(nameOf(6), fileText(keepCoreJob(6)).slice(0, 99))
  keep.putText(nameOf(7), fileText(keepCoreJob(7), '"PENDING"', '"PENDINF"'))
}

async function open(dir: string, faults = faultsThat(() => undefined)): Promise<SqliteJobStore> {
  const store = await openSqliteJobStore(dir, { faults })
  await store.ready(never).catch(() => undefined)
  return store
}

async function withStore<T>(dir: string, work: (store: SqliteJobStore) => Promise<T>): Promise<T> {
  const store = await open(dir)
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}

const importInto = (dir: string): Promise<ImportReport> =>
  withStore(dir, (target) => importKeepCore({ target }, keep.path, by))

/** All that an import leaves, without sequences and times of the import. */
function contentsOf(dir: string): Promise<unknown> {
  const intentRows = query(dir, 'select count(*) from intent where released_seq is null')
  return withStore(dir, async (store) => {
    const jobs = await store.list({ limit: 100 })
    const intents = await Promise.all(jobs.map(({ outpoint }) => store.findIntent(outpoint)))
    const records = await store.listQuarantined(100)
    const details = await Promise.all(records.map(({ id }) => store.findQuarantined(id)))
    return {
      jobs: jobs.map((job) => ({ ...job, seq: 0n, request: canonicalRequest(job.request) })),
      intents,
      intentRows,
      records: details.map((detail) => ({
        ...detail,
        record: { ...detail?.record, foundAtMs: 0 },
        raw: Buffer.from(detail?.raw ?? []).toString('hex'),
      })),
      newKeys: store.readiness().newKeys,
      claims: (await store.claim('a runner', later, 10)).length,
    }
  })
}

describe('an import into a job store', () => {
  it('takes over, holds what is unfinished and closes what cannot be read', async () => {
    putFiles()
    const dir = temporaryDirectory()
    expect(await importInto(dir)).toMatchObject({ imported: 2, present: 0 })
    await withStore(dir, async (store) => {
      expect(store.readiness().newKeys).toBe(false)
      const [pending, ready] = await store.list({ limit: 10 })
      expect(pending).toMatchObject({ state: 'PENDING', held: true })
      expect(ready).toMatchObject({ state: 'ARTIFACT_READY', transactionHex: '0x0203' })
      expect((await store.findIntent(readyJob(5).outpoint))?.requestId).toBe(pending?.requestId)
      expect((await store.find(keepCoreJob(7).requestId)).kind).toBe('fenced')
      const records = await store.listQuarantined(10)
      expect(records.map(({ kind, state }) => [kind, state])).toEqual([
        ['file', 'open'],
        ['file', 'open'],
      ])
      for (const { id, blocks } of records) {
        const typedKey = blocks.everyNewKey ? id : `self_v1:${blocks.keys[0]?.routeRequestId}`
        await store.resolve(id, { kind: 'release', typedKey }, by, false)
      }
      await accept(store, sampleJob(8))
    })
    expect((await verifyStore(dir)).ok).toBe(true)
  })

  it('made twice gives what made once gave', async () => {
    putFiles()
    const [once, twice] = [temporaryDirectory(), temporaryDirectory()]
    const first = await importInto(once)
    await importInto(twice)
    expect(await importInto(twice)).toEqual({ ...first, imported: 0, present: 2 })
    expect(await contentsOf(twice)).toEqual(await contentsOf(once))
    expect((await verifyLedger(twice)).ok).toBe(true)
  })

  it('killed at any point leaves no key open, and made again ends like one that ran through', async () => {
    putFiles()
    const [dir, copies] = [temporaryDirectory(), temporaryDirectory()]
    const taken: { point: string; copy: string }[] = []
    const faults = faultsThat((point) => {
      const copy = join(copies, String(taken.length))
      copyDirectory(dir, copy)
      taken.push({ point, copy })
    })
    const target = await open(dir, faults)
    await importKeepCore({ target, faults }, keep.path, by)
    await target.close()
    const wanted = await contentsOf(dir)
    const points = new Set(taken.map(({ point }) => point))
    for (const point of [
      'import.setAside.after',
      'job.import.append.before',
      'import.end.before',
    ]) {
      expect(points).toContain(point)
    }
    let wasOpen = 0
    for (const { point, copy } of taken) {
      const before = await withStore(copy, async (store) => {
        const { newKeys } = store.readiness()
        const { kind } = await store.find(keepCoreJob(1).requestId)
        return { newKeys, kind }
      })
      if (before.newKeys) {
        wasOpen += 1
        expect(before.kind, point).toBe('absent')
      }
      await importInto(copy)
      expect(await contentsOf(copy), point).toEqual(wanted)
      expect((await verifyLedger(copy)).ok, point).toBe(true)
    }
    expect(wasOpen).toBeGreaterThan(0)
    expect(wasOpen).toBeLessThan(taken.length / 2)
  }, 120_000)
})

describe('what people did', () => {
  it('is done by the next opening when the process died behind its line', async () => {
    const dir = temporaryDirectory()
    const faults = scriptedFaults({ point: 'job.operate.append.after', action: 'fatal' })
    const store = await open(dir, faults)
    store.noteHostHeight(1000n)
    await accept(store, sampleJob(1))
    const unknown = { code: 'StoreFailed', outcome: 'unknown' }
    await expect(store.resetHostHeight(7n, by)).rejects.toMatchObject(unknown)
    await expect(store.setAside(sampleRecord('torn', 3))).rejects.toMatchObject(unknown)
    await expect(store.beginImport('import-x', by)).rejects.toMatchObject(unknown)
    await store.close()
    await withStore(dir, async (again) => {
      expect(again.hostHeight()).toBe(7n)
      expect((await again.accept(sampleJob(3))).kind).toBe('fenced')
      await expect(again.accept(sampleJob(4))).rejects.toMatchObject({ code: 'StoreNotReady' })
    })
    await withStore(dir, async (third) => expect(third.hostHeight()).toBe(7n))
  })

  it('an earlier height that was put by hand does not come back with its lost row', async () => {
    const dir = temporaryDirectory()
    await withStore(dir, async (store) => {
      await store.resetHostHeight(5n, by)
      await store.resetHostHeight(9n, by)
    })
    change(dir, "delete from operate where subject = '5'")
    await withStore(dir, async (store) => expect(store.hostHeight()).toBe(9n))
  })

  it('closes the key of a file also when its row, its line or its bytes are lost', async () => {
    const seed = temporaryDirectory()
    const record = sampleRecord('torn', 3)
    await withStore(seed, (store) => store.setAside(record))
    const spoil: readonly ((dir: string) => void)[] = [
      (dir) => change(dir, 'delete from operate'),
      (dir) => change(dir, 'delete from quarantine'),
      (dir) => {
        const path = join(dir, 'ledger.jsonl')
        const text = readFileSync(path, 'utf8')
        writeFileSync(path, text.replace('set-aside', 'set-asidE'))
      },
    ]
    for (const how of spoil) {
      const dir = join(temporaryDirectory(), 'copy')
      copyDirectory(seed, dir)
      how(dir)
      await withStore(dir, async (store) => {
        const { routeRequestId } = sampleJob(3)
        expect((await store.findByRoute('self_v1', routeRequestId)).kind).toBe('fenced')
        expect(await store.setAside(record)).toBe('present')
        const detail = await store.findQuarantined(record.id)
        expect(Buffer.from(detail?.raw ?? []).toString()).toBe('torn')
      })
    }
  })
})

describe('a file that was set aside', () => {
  it('is adopted with a mended request, and its job waits, also when it heals', async () => {
    const dir = temporaryDirectory()
    keep.putText(nameOf(7), fileText(keepCoreJob(7), '"PENDING"', '"PENDINF"'))
    await importInto(dir)
    const { request, requestId } = keepCoreJob(7)
    await withStore(dir, async (store) => {
      const [record] = await store.listQuarantined(1)
      const id = record?.id ?? ''
      const detail = await store.findQuarantined(id)
      expect(detail?.ways.map(({ how }) => how)).toEqual(['adopt', 'retire', 'release'])
      expect(detail?.readable).toMatchObject({ requestId, state: 'PENDINF' })
      const other = { kind: 'adopt', request: keepCoreJob(8).request } as const
      await expect(store.resolve(id, other, by, false)).rejects.toMatchObject({
        code: 'ResolutionRefused',
      })
      const how = { kind: 'adopt', request } as const
      const dry = await store.resolve(id, how, by, true)
      expect((await store.find(requestId)).kind).toBe('fenced')
      expect((await store.resolve(id, how, by, false)).changes).toEqual(dry.changes)
      expect(await store.find(requestId)).toMatchObject({ kind: 'found', job: { held: true } })
    })
    change(dir, 'delete from job')
    await withStore(dir, async (store) => {
      expect((await store.find(requestId)).kind).toBe('fenced')
      expect((await store.heal(sampleJobOf(7)))?.held).toBe(true)
      expect(await store.claim('a runner', later, 10)).toEqual([])
      expect((await store.resume(requestId, by)).kind).toBe('resumed')
      expect(await store.claim('a runner', later, 10)).toHaveLength(1)
    })
    expect((await verifyStore(dir)).ok).toBe(true)
  })

  it('that says it was signed keeps its outpoint closed when it is adopted', async () => {
    const dir = temporaryDirectory()
    keep.putText(nameOf(7), fileText(readyJob(7)).slice(0, -1))
    await importInto(dir)
    const { request, outpoint, requestId } = readyJob(7)
    await withStore(dir, async (store) => {
      const [record] = await store.listQuarantined(1)
      await store.resolve(record?.id ?? '', { kind: 'adopt', request }, by, false)
      expect(await store.findIntent(outpoint)).toMatchObject({
        requestId,
        unsignedTransaction: '0x',
      })
    })
  })

  it('that was cut off is retired under the key that its bytes say, which stays closed', async () => {
    const dir = temporaryDirectory()
    const text = fileText(keepCoreJob(7))
    keep.putText(nameOf(7), text.slice(0, text.indexOf('"request":') + 40))
    await importInto(dir)
    const { route, routeRequestId } = keepCoreJob(7)
    await withStore(dir, async (store) => {
      const [record] = await store.listQuarantined(1)
      expect(record?.blocks.everyNewKey).toBe(true)
      const { changes } = await store.resolve(record?.id ?? '', { kind: 'retire' }, by, false)
      expect(changes).toContain(`closed: ${route}:${routeRequestId}`)
    })
    await withStore(dir, async (store) => {
      expect((await store.accept(sampleJob(7))).kind).toBe('fenced')
      expect((await store.findByRoute(route, routeRequestId)).kind).toBe('fenced')
      await accept(store, sampleJob(8))
    })
  })

  it('stays retired over openings, and troubles neither readiness nor verify', async () => {
    const dir = temporaryDirectory()
    keep.putText(nameOf(7), fileText(keepCoreJob(7), '"PENDING"', '"PENDINF"'))
    await importInto(dir)
    expect((await verifyStore(dir)).ok).toBe(false)
    await withStore(dir, async (store) => {
      const [record] = await store.listQuarantined(1)
      await store.resolve(record?.id ?? '', { kind: 'retire' }, by, false)
    })
    const { ok, fenced } = await verifyStore(dir)
    expect(ok).toBe(true)
    expect(fenced).toMatchObject([{ state: 'retired', remedy: '' }])
    await withStore(dir, async (store) => {
      expect((await store.accept(sampleJob(7))).kind).toBe('fenced')
      await accept(store, sampleJob(8))
    })
  })
})

function sampleJobOf(number: number) {
  const { requestId, ...job } = keepCoreJob(number)
  return { ...job, requestId }
}
