import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { replayLedger } from '../../../src/store/ledger-replay.js'
import { openJobStore, openSqliteJobStore } from '../../../src/store/sqlite/index.js'
import { scriptedFaults } from '../../../src/testing/faults.js'
import { sampleIntent, sampleJob } from '../../../src/testing/sample-job.js'
import { temporaryDirectory } from './fixture.js'
import {
  accept,
  artifact,
  at,
  by,
  change,
  claimOne,
  copyDirectory,
  keeping,
  later,
  linesOf,
  manualTimers,
  never,
  openCompared,
  query,
  withJobs,
} from './jobs-fixture.js'

describe('many accepts at a time', () => {
  it('make one job for each key, and every answer for a key names it', async () => {
    const dir = temporaryDirectory()
    const keys = 1000
    await withJobs(dir, async (store) => {
      const outcomes = await Promise.all(
        Array.from({ length: 10 * keys }, async (_, n) => {
          const outcome = await store.accept(sampleJob(n % keys, { attempt: Math.floor(n / keys) }))
          return 'job' in outcome ? ([n % keys, outcome] as const) : undefined
        }),
      )
      const ids = new Map<number, Set<string>>()
      let accepted = 0
      for (const outcome of outcomes) {
        if (outcome === undefined) throw new RangeError('an accept had no job')
        const [key, { kind, job }] = outcome
        if (kind === 'accepted') accepted += 1
        ids.set(key, (ids.get(key) ?? new Set()).add(job.requestId))
      }
      expect(accepted).toBe(keys)
      expect([...ids.values()].filter((each) => each.size !== 1)).toEqual([])
      expect(await store.list({ limit: 10_000 })).toHaveLength(keys)
    })
    const accepts = (await linesOf(dir)).filter(({ kind }) => kind === 'accept')
    expect(accepts).toHaveLength(keys)
  })
})

describe('the ledger beside the jobs', () => {
  it('has a line of everything that happened, under the sequence of its row', async () => {
    const dir = temporaryDirectory()
    await withJobs(dir, async (store) => {
      const job = await accept(store, sampleJob(1))
      const { lease } = await claimOne(store)
      await store.intend(lease, sampleIntent(job))
      await store.settle(lease, artifact, keeping)
      await store.releaseIntent(job.outpoint, by)
    })
    const kinds = (await linesOf(dir)).map(({ kind }) => kind)
    expect(kinds).toEqual(['genesis', 'accept', 'intend', 'settle', 'operate'])
    expect(query(dir, 'select seq, settle_seq from job')).toEqual([[2, 4]])
    expect(query(dir, 'select seq, job_seq, released_seq from intent')).toEqual([[3, 2, 5]])
    expect(query(dir, 'select seq, who, what from operate')).toEqual([
      [5, 'a test', 'release-intent'],
    ])
  })

  it('gets the line of an intent before the intent is answered, and synced', async () => {
    const dir = temporaryDirectory()
    const faults = scriptedFaults()
    await withJobs(
      dir,
      async (store) => {
        const job = await accept(store, sampleJob(1))
        const { lease } = await claimOne(store)
        const before = faults.reached.length
        await store.intend(lease, sampleIntent(job))
        const points = faults.reached.slice(before)
        expect(points).toEqual([
          'job.intend.begin',
          'job.intend.item:1',
          'job.intend.beforeCommit',
          'job.intend.commitError',
          'job.intend.afterCommit',
          'job.intend.append.before',
          'ledger.append.before',
          'ledger.append.after',
          'job.intend.append.after',
          'ledger.sync.before',
          'ledger.sync.after',
        ])
      },
      { faults },
    )
  })

  it('is synced within a second of the last line', async () => {
    const dir = temporaryDirectory()
    const faults = scriptedFaults()
    const timers = manualTimers()
    await withJobs(
      dir,
      async (store) => {
        await accept(store, sampleJob(1))
        expect(faults.reached.at(-1)).toBe('job.accept.append.after')
        timers.run()
        expect(faults.reached.at(-1)).toBe('ledger.sync.after')
      },
      { faults, later: timers.later },
    )
  })

  it('that takes no lines stops accepts and intends until it takes them again', async () => {
    const dir = temporaryDirectory()
    const faults = scriptedFaults([
      { point: 'ledger.append.before', nth: 2, action: 'transient' },
      { point: 'ledger.append.before', nth: 3, action: 'transient' },
    ])
    const timers = manualTimers()
    const store = await openCompared(dir, { faults, later: timers.later })
    const first = await accept(store, sampleJob(1))
    const { lease } = await claimOne(store)
    await expect(store.accept(sampleJob(2))).rejects.toMatchObject({
      code: 'StoreFailed',
      outcome: 'unknown',
    })
    await expect(store.accept(sampleJob(3))).rejects.toMatchObject({ code: 'StoreNotReady' })
    await expect(store.intend(lease, sampleIntent(first))).rejects.toMatchObject({
      code: 'StoreFailed',
      outcome: 'notWritten',
    })
    await expect(store.settle(lease, artifact, keeping)).rejects.toMatchObject({
      outcome: 'notWritten',
    })
    expect(store.readiness().newKeys).toBe(false)
    expect((await store.accept(sampleJob(2, { attempt: 1 }))).kind).toBe('existing')
    const wait = { detail: 'waits', nextAtMs: later, attempts: 1, at }
    expect((await store.defer(lease, wait)).kind).toBe('settled')

    timers.run()
    expect(store.readiness().newKeys).toBe(false)
    timers.run()
    expect(store.readiness().newKeys).toBe(true)
    await accept(store, sampleJob(3))
    await store.close()
    const accepts = (await linesOf(dir)).filter(({ kind }) => kind === 'accept')
    expect(accepts).toHaveLength(3)
    await withJobs(dir, async (again) => {
      expect(await again.listQuarantined(10)).toEqual([])
      expect(await again.list({ limit: 10 })).toHaveLength(3)
    })
  })

  it('whose sync fails stops the store', async () => {
    const dir = temporaryDirectory()
    const faults = scriptedFaults({ point: 'ledger.sync.before', action: 'transient' })
    const timers = manualTimers()
    const store = await openSqliteJobStore(dir, { faults, later: timers.later })
    await store.ready(never)
    const job = await accept(store, sampleJob(1))
    const { lease } = await claimOne(store)
    const failed = store.intend(lease, sampleIntent(job))
    await expect(failed).rejects.toMatchObject({ code: 'StoreFailed', outcome: 'unknown' })
    await expect(store.find(job.requestId)).rejects.toMatchObject({ kind: 'persisterClosed' })
    expect(store.readiness().checks.find(({ name }) => name === 'database')?.ok).toBe(false)
    await store.close()
    await withJobs(dir, async (again) => {
      expect((await claimOne(again)).intent).toEqual(sampleIntent(job))
    })
  })
})

describe('what the database lost', () => {
  it('is restored from the ledger: a settlement with the release of its intent', async () => {
    const dir = temporaryDirectory()
    const job = await withJobs(dir, async (store) => {
      const accepted = await accept(store, sampleJob(1))
      const { lease } = await claimOne(store)
      await store.intend(lease, sampleIntent(accepted))
      return accepted
    })
    const copy = join(temporaryDirectory(), 'copy')
    copyDirectory(dir, copy)
    const settled = await withJobs(dir, async (store) => {
      const { lease } = await claimOne(store)
      return store.settle(lease, artifact, { releaseIntent: true, at })
    })
    rmSync(join(dir, 'jobs.db'))
    copyDirectory(join(copy, 'jobs.db'), join(dir, 'jobs.db'))
    await withJobs(dir, async (store) => {
      expect(await store.find(job.requestId)).toEqual({
        kind: 'found',
        job: settled.kind === 'settled' && settled.job,
      })
      expect(await store.claim('a runner', later, 10)).toEqual([])
      expect(await store.findIntent(job.outpoint)).toBeUndefined()
      const next = await accept(store, sampleJob(2, { outpoint: 1 }))
      const { lease } = await claimOne(store)
      expect(await store.intend(lease, sampleIntent(next, 2))).toEqual({ kind: 'recorded' })
    })
  })

  it('is restored from the ledger: an intent, and the release of one by hand', async () => {
    const dir = temporaryDirectory()
    const [one, two] = await withJobs(dir, async (store) => {
      const jobs = [await accept(store, sampleJob(1)), await accept(store, sampleJob(2))] as const
      for (const claim of await store.claim('a runner', later, 2)) {
        await store.intend(claim.lease, sampleIntent(claim.job))
        if (claim.job.requestId !== jobs[1].requestId) continue
        await store.settle(claim.lease, artifact, keeping)
        await store.releaseIntent(claim.job.outpoint, by)
      }
      return jobs
    })
    change(dir, 'delete from intent where job_seq = ?', one.seq)
    change(
      dir,
      'update intent set released_seq = null, released_digest = null where job_seq = ?',
      two.seq,
    )
    await withJobs(dir, async (store) => {
      const { lease, intent } = await claimOne(store)
      expect(intent).toEqual(sampleIntent(one))
      const conflict = { kind: 'conflict', requestId: one.requestId }
      expect(await store.intend(lease, sampleIntent(one, 2))).toEqual(conflict)
      expect(await store.findIntent(two.outpoint)).toBeUndefined()
    })
    expect(query(dir, 'select released_seq is null from intent order by seq')).toEqual([[1], [0]])
  })

  it('is restored from the ledger: the end of a job whose own row is an old one', async () => {
    const dir = temporaryDirectory()
    await withJobs(dir, (store) => accept(store, sampleJob(1)))
    const copy = join(temporaryDirectory(), 'copy')
    copyDirectory(dir, copy)
    await withJobs(dir, async (store) => {
      await store.settle((await claimOne(store)).lease, artifact, keeping)
    })
    const [old] = query(copy, 'select state, detail, updated_at, next_at_ms, digest from job')
    const columns = 'state = ?, detail = ?, updated_at = ?, next_at_ms = ?, digest = ?'
    change(dir, `update job set ${columns}, settle_seq = null`, ...(old as unknown[]))
    await withJobs(dir, async (store) => {
      const found = await store.find(sampleJob(1).requestId)
      expect(found).toMatchObject({ kind: 'found', job: { state: 'ARTIFACT_READY' } })
      expect(await store.claim('a runner', later, 10)).toEqual([])
    })
  })

  it('is restored from the ledger: a result that changed', async () => {
    const dir = temporaryDirectory()
    const job = await withJobs(dir, async (store) => {
      const accepted = await accept(store, sampleJob(1))
      await store.settle((await claimOne(store)).lease, artifact, keeping)
      return accepted
    })
    change(dir, "update result set body = replace(body, '0x02', '0x03')")
    await withJobs(dir, async (store) => {
      const found = await store.find(job.requestId)
      expect(found.kind === 'found' && found.job.transactionHex).toBe(artifact.transactionHex)
    })
    expect(query(dir, "select body like '%0x02%' from result")).toEqual([[1]])
  })

  it('a whole database, fences every key of the ledger, and each heals when it comes again', async () => {
    const dir = temporaryDirectory()
    await withJobs(dir, async (store) => {
      for (const number of [1, 2]) await accept(store, sampleJob(number))
      await store.settle((await claimOne(store)).lease, artifact, keeping)
    })
    rmSync(join(dir, 'jobs.db'))
    await withJobs(dir, async (store) => {
      expect(await store.listQuarantined(10)).toHaveLength(2)
      expect((await store.find(sampleJob(1).requestId)).kind).toBe('fenced')
      await accept(store, sampleJob(3))
      const healed = await store.accept(sampleJob(1, { attempt: 1 }))
      expect(healed).toMatchObject({
        kind: 'existing',
        job: { requestId: sampleJob(1).requestId, state: 'ARTIFACT_READY' },
      })
      expect((await store.accept(sampleJob(2))).kind).toBe('existing')
      expect(await store.listQuarantined(10)).toEqual([])
    })
  })

  it('is not put back by a request that differs from the line', async () => {
    const dir = temporaryDirectory()
    await withJobs(dir, (store) => accept(store, sampleJob(1)))
    change(dir, 'delete from job')
    await withJobs(dir, async (store) => {
      const other = { ...sampleJob(1), walletKey: `0x02${'11'.repeat(32)}` }
      expect(await store.heal(other)).toBeUndefined()
      expect((await store.accept(other)).kind).toBe('fenced')
      const again = await store.heal(sampleJob(1))
      expect(again?.walletKey).toBe(sampleJob(1).walletKey)
    })
  })

  it('is restored by hand when the request itself is still there', async () => {
    const dir = temporaryDirectory()
    await withJobs(dir, (store) => accept(store, sampleJob(1)))
    change(dir, 'delete from job')
    await withJobs(dir, async (store) => {
      const [record] = await store.listQuarantined(1)
      const restored = { kind: 'restore', from: 'ledger' } as const
      await store.resolve(record?.id ?? '', restored, by, false)
      const found = await store.find(sampleJob(1).requestId)
      expect(found.kind === 'found' && found.job.request).toEqual(sampleJob(1).request)
    })
  })

  it('a request alone, closes its key until the request comes again', async () => {
    const dir = temporaryDirectory()
    await withJobs(dir, async (store) => {
      await accept(store, sampleJob(1))
      await accept(store, sampleJob(2))
    })
    change(dir, "update request set body = body || ' ' where seq = 2")
    await withJobs(dir, async (store) => {
      const claims = await store.claim('a runner', later, 10)
      expect(claims.map(({ job }) => job.requestId)).toEqual([sampleJob(2).requestId])
      expect((await store.find(sampleJob(1).requestId)).kind).toBe('fenced')
      expect((await store.accept(sampleJob(1))).kind).toBe('existing')
      const found = await store.find(sampleJob(1).requestId)
      expect(found.kind === 'found' && found.job.request).toEqual(sampleJob(1).request)
      expect(await store.claim('a runner', later, 10)).toHaveLength(1)
    })
  })

  it('a request alone, leaves what its job waits for as it is', async () => {
    const dir = temporaryDirectory()
    await withJobs(dir, async (store) => {
      await accept(store, sampleJob(1))
      const wait = { detail: 'waits for the chain', nextAtMs: later, attempts: 7, at }
      await store.defer((await claimOne(store)).lease, wait)
    })
    change(dir, 'delete from request')
    await withJobs(dir, async (store) => {
      expect((await store.find(sampleJob(1).requestId)).kind).toBe('fenced')
      const healed = await store.heal(sampleJob(1))
      expect(healed).toMatchObject({ detail: 'waits for the chain', attempts: 7 })
      expect(store.nextDueMs()).toBe(later)
    })
  })

  it('an intent that was released, does not close the outpoint for the next one', async () => {
    for (const byHand of [true, false]) {
      const dir = temporaryDirectory()
      const two = await withJobs(dir, async (store) => {
        const one = await accept(store, sampleJob(1))
        const first = (await claimOne(store)).lease
        await store.intend(first, sampleIntent(one))
        await store.settle(first, artifact, { releaseIntent: !byHand, at })
        if (byHand) await store.releaseIntent(one.outpoint, by)
        const next = await accept(store, sampleJob(2, { outpoint: 1 }))
        await store.intend((await claimOne(store)).lease, sampleIntent(next, 2))
        return next
      })
      change(dir, 'delete from intent where released_seq is not null')
      await withJobs(dir, async (store) => {
        expect(await store.listQuarantined(10)).toEqual([])
        const held = await store.findIntent(two.outpoint)
        expect(held).toEqual({ ...sampleIntent(two, 2), requestId: two.requestId })
      })
      expect(query(dir, 'select released_seq is null from intent order by seq')).toEqual([[0], [1]])
    }
  })

  it('is found by reconciling on demand: a request that nobody reads', async () => {
    const dir = temporaryDirectory()
    await withJobs(dir, async (store) => {
      await accept(store, sampleJob(1))
      await store.settle((await claimOne(store)).lease, artifact, keeping)
    })
    change(dir, "update request set body = body || ' '")
    await withJobs(dir, async (store) => {
      expect(await store.listQuarantined(10)).toEqual([])
      expect((await store.reconcile(never)).fenced).toBe(1)
      expect(await store.listQuarantined(10)).toHaveLength(1)
    })
  })
})

describe('what the ledger lost', () => {
  it('is written again from the rows: lines that cannot be read', async () => {
    const seed = temporaryDirectory()
    await withJobs(seed, async (store) => {
      for (const number of [1, 2, 3]) await accept(store, sampleJob(number))
      const { lease, job } = await claimOne(store)
      await store.intend(lease, sampleIntent(job))
      await store.settle(lease, artifact, keeping)
      await store.releaseIntent(job.outpoint, by)
    })
    const whole = readFileSync(join(seed, 'ledger.jsonl'), 'utf8').split('\n')
    for (const at of [0, 1, 2, 4, 5, 6]) {
      const dir = join(temporaryDirectory(), 'copy')
      copyDirectory(seed, dir)
      const path = join(dir, 'ledger.jsonl')
      writeFileSync(
        path,
        whole.map((line, n) => (n === at ? line.replace('"at"', '"At"') : line)).join('\n'),
      )
      await withJobs(dir, async (store) => {
        expect(store.readiness(), `line ${at}`).toMatchObject({ newKeys: true })
        expect(await store.listQuarantined(10)).toEqual([])
        expect((await store.accept(sampleJob(1, { attempt: 1 }))).kind).toBe('existing')
        await accept(store, sampleJob(9))
        for (const number of [1, 2, 3]) {
          expect((await store.find(sampleJob(number).requestId)).kind).toBe('found')
        }
      })
      const report = await replayLedger(dir, () => undefined)
      expect(report.damaged).toEqual([])
      expect(report.repaired).toHaveLength(1)
      expect(report.repaired[0]?.rewritten).toBe(at === 0 ? 0 : 1)
      await withJobs(dir, async (store) => {
        expect(await store.listQuarantined(10)).toEqual([])
      })
    }
  })

  it('in the same place as the database, refuses every new key until somebody resolves it', async () => {
    const dir = temporaryDirectory()
    await withJobs(dir, async (store) => {
      for (const number of [1, 2, 3]) await accept(store, sampleJob(number))
    })
    const path = join(dir, 'ledger.jsonl')
    writeFileSync(path, readFileSync(path, 'utf8').replace('request \\"2\\"', 'request \\"4\\"'))
    change(dir, 'delete from job where seq = 3')
    for (const _ of ['found', 'found again after it was repaired']) {
      await withJobs(dir, async (store) => {
        expect((await store.accept(sampleJob(1))).kind).toBe('existing')
        await expect(store.accept(sampleJob(2))).rejects.toMatchObject({ code: 'StoreNotReady' })
        await expect(store.accept(sampleJob(9))).rejects.toMatchObject({ code: 'StoreNotReady' })
        await expect(store.ready(never)).rejects.toMatchObject({ code: 'StoreNotReady' })
        const [record] = await store.listQuarantined(10)
        expect(record).toMatchObject({ id: 'ledger-3-3', kind: 'ledger' })
        expect(record?.blocks.everyNewKey).toBe(true)
        const claims = await store.claim('a runner', later, 10)
        expect(claims.map(({ job }) => job.requestId)).toEqual([
          sampleJob(1).requestId,
          sampleJob(3).requestId,
        ])
      })
    }
    await withJobs(dir, async (store) => {
      const wrong = { kind: 'release', typedKey: 'yes' } as const
      await expect(store.resolve('ledger-3-3', wrong, by, false)).rejects.toMatchObject({
        code: 'ResolutionRefused',
      })
      const right = { kind: 'release', typedKey: 'ledger-3-3' } as const
      await store.resolve('ledger-3-3', right, by, false)
      await accept(store, sampleJob(9))
    })
    await withJobs(dir, async (store) => {
      expect(await store.listQuarantined(10)).toEqual([])
      await accept(store, sampleJob(10))
    })
  })

  for (const [what, cut] of [
    ['all of it', (dir: string) => rmSync(join(dir, 'ledger.jsonl'))],
    [
      'its last lines',
      (dir: string) => {
        const path = join(dir, 'ledger.jsonl')
        const lines = readFileSync(path, 'utf8').split('\n')
        writeFileSync(
          path,
          lines
            .slice(0, -2)
            .map((line) => `${line}\n`)
            .join(''),
        )
      },
    ],
  ] as const) {
    it(`and was synced once, ${what}, is written again but new keys wait for an operator`, async () => {
      const dir = temporaryDirectory()
      await withJobs(dir, async (store) => {
        for (const number of [1, 2, 3]) await accept(store, sampleJob(number))
        const { lease, job } = await claimOne(store)
        await store.intend(lease, sampleIntent(job))
        await store.settle(lease, artifact, keeping)
      })
      cut(dir)
      for (const _ of ['found', 'found again']) {
        await withJobs(dir, async (store) => {
          expect((await store.accept(sampleJob(2))).kind).toBe('existing')
          await expect(store.accept(sampleJob(9))).rejects.toMatchObject({ code: 'StoreNotReady' })
          expect(await store.listQuarantined(10)).toHaveLength(1)
        })
      }
      await withJobs(dir, async (store) => {
        const [record] = await store.listQuarantined(10)
        const id = record?.id ?? ''
        await store.resolve(id, { kind: 'release', typedKey: id }, by, false)
        await accept(store, sampleJob(9))
      })
      await withJobs(dir, async (store) => {
        expect(await store.listQuarantined(10)).toEqual([])
        await accept(store, sampleJob(10))
        const found = await store.find(sampleJob(1).requestId)
        expect(found).toMatchObject({ kind: 'found', job: { state: 'ARTIFACT_READY' } })
      })
      const { damaged } = await replayLedger(dir, () => undefined)
      expect(damaged).toEqual([])
    })
  }
})

describe('before the witnesses were compared', () => {
  it('known jobs are answered, unknown ones wait, nothing is run and no new key is taken', async () => {
    const dir = temporaryDirectory()
    const job = await withJobs(dir, (store) => accept(store, sampleJob(1)))
    const faults = scriptedFaults({ point: 'reconcile.begin', action: 'hang' })
    const timers = manualTimers()
    const store = await openSqliteJobStore(dir, { faults, later: timers.later })
    await faults.hanging('reconcile.begin')
    expect(await store.find(job.requestId)).toEqual({ kind: 'found', job })
    expect(await store.accept(sampleJob(1, { attempt: 1 }))).toEqual({ kind: 'existing', job })
    expect(await store.accept(sampleJob(1, { payload: 'other' }))).toEqual({
      kind: 'payloadMismatch',
      requestId: job.requestId,
    })
    expect([await store.claim('a runner', later, 10), store.nextDueMs()]).toEqual([[], undefined])
    expect(store.readiness().newKeys).toBe(false)

    const late = [store.find(sampleJob(2).requestId), store.accept(sampleJob(2))]
    const refused = Promise.allSettled(late)
    await setImmediate()
    timers.run()
    for (const each of await refused) {
      expect(each).toMatchObject({ status: 'rejected', reason: { code: 'StoreNotReady' } })
    }
    const waiting = [
      store.find(sampleJob(3).requestId),
      store.findByRoute('qc_v1', 'nobody'),
      store.accept(sampleJob(2)),
    ] as const
    let heard = 0
    store.onDue(() => {
      heard += 1
    })
    faults.release('reconcile.begin')
    const kinds = (await Promise.all(waiting)).map(({ kind }) => kind)
    expect(kinds).toEqual(['absent', 'absent', 'accepted'])
    expect(heard).toBeGreaterThan(0)
    expect(await store.claim('a runner', later, 10)).toHaveLength(2)
    await store.close()
  })

  it('a comparison that failed is tried again', async () => {
    const dir = temporaryDirectory()
    await withJobs(dir, (store) => accept(store, sampleJob(1)))
    const faults = scriptedFaults({ point: 'reconcile.step:1', nth: 1, action: 'transient' })
    const timers = manualTimers()
    const store = await openSqliteJobStore(dir, { faults, later: timers.later })
    await expect(store.ready(never)).rejects.toMatchObject({ code: 'StoreNotReady' })
    await expect(store.accept(sampleJob(2))).rejects.toMatchObject({ code: 'StoreNotReady' })
    expect((await store.accept(sampleJob(1))).kind).toBe('existing')
    timers.run()
    await store.ready(never)
    await accept(store, sampleJob(2))
    expect(await store.claim('a runner', later, 10)).toHaveLength(2)
    await store.close()
  })

  it('closing ends the comparison', async () => {
    const dir = temporaryDirectory()
    await withJobs(dir, (store) => accept(store, sampleJob(1)))
    const store = await openSqliteJobStore(dir)
    await store.close()
    await expect(store.ready(never)).rejects.toMatchObject({ kind: 'persisterClosed' })
  })
})

describe('an index that lies', () => {
  it('lets no second job in, and is rebuilt', async () => {
    const dir = temporaryDirectory()
    await withJobs(dir, async (store) => {
      for (const number of [1, 2, 3]) await accept(store, sampleJob(number))
    })
    const path = join(dir, 'jobs.db')
    const bytes = readFileSync(path)
    const key = Buffer.from(sampleJob(2).routeRequestId)
    let flipped = 0
    for (let at = bytes.indexOf(key); at !== -1; at = bytes.indexOf(key, at + 1)) {
      // 0x0a begins a leaf of an index.
      if (bytes[at - (at % 4096)] !== 0x0a) continue
      bytes[at + 15] = 0x7a
      flipped += 1
    }
    expect(flipped).toBe(1)
    writeFileSync(path, bytes)
    await withJobs(dir, async (store) => {
      const outcome = await store.accept(sampleJob(2, { attempt: 1 }))
      expect(outcome).toMatchObject({
        kind: 'existing',
        job: { requestId: sampleJob(2).requestId },
      })
      await accept(store, sampleJob(4))
      const report = await store.reconcile(never)
      expect(report).toMatchObject({ indexesRebuilt: true, fenced: 0 })
      expect((await store.reconcile(never)).indexesRebuilt).toBe(false)
    })
    expect(query(dir, 'pragma integrity_check')).toEqual([['ok']])
    expect(query(dir, 'select count(*) from job')).toEqual([[4]])
  })
})

describe('a page that cannot be read', () => {
  it('costs the jobs on it alone', async () => {
    const dir = temporaryDirectory()
    const numbers = Array.from({ length: 60 }, (_, number) => number)
    await withJobs(dir, async (store) => {
      for (const number of numbers) await accept(store, sampleJob(number))
    })
    const path = join(dir, 'jobs.db')
    const bytes = readFileSync(path)
    // 0x0d begins a leaf of a table, and the index has the id as well.
    const page = Array.from({ length: bytes.length / 4096 }, (_, at) => 4096 * at).find(
      (at) => bytes[at] === 0x0d && bytes.subarray(at, at + 4096).includes(sampleJob(30).requestId),
    )
    if (page === undefined) throw new RangeError('no page has the job')
    const hit = numbers.filter((number) =>
      bytes.subarray(page, page + 4096).includes(sampleJob(number).requestId),
    )
    expect(hit.length).toBeLessThan(20)
    bytes[page] = 0
    writeFileSync(path, bytes)
    await withJobs(dir, async (store) => {
      const records = await store.listQuarantined(100)
      expect(records).toHaveLength(hit.length)
      for (const number of numbers) {
        const found = await store.find(sampleJob(number).requestId)
        expect(found.kind).toBe(hit.includes(number) ? 'fenced' : 'found')
        const again = await store.accept(sampleJob(number, { attempt: 1 }))
        expect(again.kind).toBe(hit.includes(number) ? 'fenced' : 'existing')
      }
      await accept(store, sampleJob(100))
      const listed = await store.list({ limit: 100 })
      expect(listed).toHaveLength(numbers.length - hit.length + 1)
      expect(await store.claim('a runner', later, 100)).toHaveLength(listed.length)
    })
  })
})

describe('a job store in its directory', () => {
  it('holds the lock until it is closed', async () => {
    const dir = join(temporaryDirectory(), 'data')
    const store = await openJobStore(dir)
    await expect(openJobStore(dir)).rejects.toMatchObject({ code: 'AlreadyOpen' })
    await store.close()
    const again = await openJobStore(dir)
    await again.close()
  })

  it('refuses a ledger of another store', async () => {
    const [one, two] = [temporaryDirectory(), temporaryDirectory()]
    for (const dir of [one, two]) await withJobs(dir, (store) => accept(store, sampleJob(1)))
    copyDirectory(join(one, 'ledger.jsonl'), join(two, 'ledger.jsonl'))
    await expect(openSqliteJobStore(two)).rejects.toMatchObject({ code: 'LedgerForeign' })
    await withJobs(one, async (store) => expect(await store.listQuarantined(1)).toEqual([]))
  })

  it('takes no new keys when the witness on another disk knows more than the ledger', async () => {
    const dir = temporaryDirectory()
    const witnessPath = join(temporaryDirectory(), 'head')
    await withJobs(dir, (store) => accept(store, sampleJob(1)), { witnessPath })
    const copy = join(temporaryDirectory(), 'copy')
    copyDirectory(dir, copy)
    await withJobs(dir, (store) => accept(store, sampleJob(2)), { witnessPath })
    // The whole directory goes back in time.
    await withJobs(
      copy,
      async (store) => {
        await expect(store.accept(sampleJob(3))).rejects.toMatchObject({ code: 'StoreNotReady' })
        const [record] = await store.listQuarantined(1)
        const id = record?.id ?? ''
        expect(id).toBe('witness-3')
        await store.resolve(id, { kind: 'release', typedKey: id }, by, false)
        await accept(store, sampleJob(3))
      },
      { witnessPath },
    )
    await withJobs(copy, (store) => accept(store, sampleJob(4)), { witnessPath })
  })

  it('keeps a record of what was taken out', async () => {
    const dir = temporaryDirectory()
    await withJobs(dir, (store) => accept(store, sampleJob(1)))
    change(dir, "update job set detail = 'changed'")
    await withJobs(dir, async (store) => {
      const { route, routeRequestId } = sampleJob(1)
      const how = { kind: 'release', typedKey: `${route}:${routeRequestId}` } as const
      await store.resolve('job-2', how, by, false)
    })
    expect(query(dir, 'select id from quarantine')).toEqual([['job-2']])
    const operates = (await linesOf(dir)).filter(({ kind }) => kind === 'operate')
    expect(operates).toMatchObject([{ ...by, what: 'release', subject: 'job-2' }])
  })
})
