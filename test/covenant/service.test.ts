import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { FaultPoints } from '../../src/base/fault-points.js'
import { isFinal } from '../../src/covenant/job.js'
import type { Route, SubmitInput } from '../../src/covenant/request.js'
import { openCovenantService } from '../../src/covenant/service.js'
import { noTrustRoots } from '../../src/covenant/trust.js'
import { memoryJobStore } from '../../src/store/memory-jobs.js'
import { openJobStore } from '../../src/store/sqlite/index.js'
import { scriptedFaults } from '../../src/testing/faults.js'
import { scriptedEngine } from '../../src/testing/scripted-engine.js'
import { scriptedSigner } from '../../src/testing/scripted-signer.js'
import { makeSubmit, some, testDomain } from './factory.js'
import { pollOf, refusal, World, wallets } from './service-world.js'

const waits = { kind: 'defer', detail: 'have 3 confirmations, need 6' } as const
const allFinal = (world: World) => async () =>
  (await world.jobs()).every(({ state }) => isFinal(state))

describe('a stop', () => {
  it('of an idle service ends at once and leaves no timer', async () => {
    const world = new World()
    await world.accept()
    await world.service.stop()
    expect(world.service.status()).toMatchObject({ state: 'stopped', inFlight: 0 })
    expect(world.time.pending).toBe(0)
    await world.service.stop()
  })

  it('refuses every later call', async () => {
    const world = new World()
    const input = makeSubmit()
    const { requestId } = await world.drive(world.submit(input))
    await world.service.stop()
    const stopped = { code: 'CovenantServiceStopped', retry: 'safe' }
    expect(await refusal(world.submit(input))).toMatchObject(stopped)
    expect(await refusal(world.poll(input, requestId))).toMatchObject(stopped)
  })

  it('answers a waiting submit, and puts its job back as it was, due at once', async () => {
    const world = new World()
    const hang = world.engine.script.prepare.hangNext()
    const submitted = world.submit(makeSubmit())
    await hang.begun
    const stopping = world.service.stop()
    const answer = await submitted
    await stopping
    expect(answer).toMatchObject({ status: 'PENDING', detail: 'accepted for covenant signing' })
    expect(await world.job(answer)).toMatchObject({
      detail: 'accepted for covenant signing',
      attempts: 0,
      nextAtMs: world.time.nowMs(),
    })
    world.service = world.openService()
    await world.until(allFinal(world))
    expect((await world.job(answer)).state).toBe('ARTIFACT_READY')
  })

  it('lets a signature in flight end, and keeps it', async () => {
    const world = new World()
    const hang = world.signer.script.sign.hangNext()
    const submitted = world.submit(makeSubmit())
    await hang.begun
    const stopping = world.service.stop()
    const { requestId } = await submitted
    world.time.advance(9_999)
    await world.quiet()
    expect(world.service.status()).toMatchObject({ state: 'stopping', inFlight: 1 })
    hang.release()
    await stopping
    expect((await world.job({ requestId })).state).toBe('ARTIFACT_READY')
    expect(world.signer.asked).toHaveLength(1)
  })

  it('is over in time also when engine and signer hear nothing', async () => {
    const world = new World()
    const signing = world.signer.script.sign.hangNext({ deaf: true })
    const first = world.submit(makeSubmit({ seed: 1 }))
    await signing.begun
    const preparing = world.engine.script.prepare.hangNext({ deaf: true })
    const second = world.submit(makeSubmit({ seed: 2 }))
    await preparing.begun
    const startedMs = world.time.nowMs()
    await world.drive(world.service.stop())
    expect(world.time.nowMs() - startedMs).toBeLessThanOrEqual(11_000)
    await Promise.all([first, second])
    expect((await world.jobs()).map(({ state }) => state)).toEqual(['PENDING', 'PENDING'])
    // The next service signs exactly what was recorded.
    world.service = world.openService()
    await world.until(allFinal(world))
    expect(new Set(world.signer.asked.map(({ sighash }) => sighash)).size).toBe(2)
  })

  it('is over in time also when the store takes nothing any more', async () => {
    const storeFaults = scriptedFaults({ point: 'job.settle.beforeCommit', action: 'transient' })
    const world = new World({ storeFaults })
    const submitted = world.submit(makeSubmit())
    await world.quiet()
    await world.drive(world.service.stop())
    expect(await submitted).toMatchObject({ status: 'PENDING' })
  })

  it('ends a submit that is still being judged', async () => {
    const engine = scriptedEngine({ heightBlocks: 100_000n, verifies: true })
    const world = new World({ engine })
    const hang = engine.script.verify.hangNext({ deaf: true })
    const submitted = world.submit(makeSubmit({ certificate: true }))
    await hang.begun
    const refused = refusal(submitted)
    await world.service.stop()
    expect(await refused).toMatchObject({ code: 'CovenantServiceStopped' })
    expect(await world.jobs()).toEqual([])
  })
})

describe('a restart', () => {
  it('picks up what a dead process left at any step, without a client, and signs one sighash', async () => {
    const points = [
      'run.prepare',
      'run.intend.before',
      'run.intend.after',
      'run.sign.before',
    ] as const
    for (const point of [...points, 'run.sign.after', 'run.verify.after', 'run.settle.before']) {
      const faults = scriptedFaults({ point, nth: 1, action: 'hang' })
      const world = new World({ faults })
      const submitted = world.submit(makeSubmit())
      await faults.hanging(point)
      submitted.catch(() => undefined)
      await world.reopen()
      await world.until(allFinal(world))
      expect((await world.jobs()).map(({ state }) => state)).toEqual(['ARTIFACT_READY'])
      expect(new Set(world.signer.asked.map(({ sighash }) => sighash)).size).toBe(1)
    }
  })

  it('hands out the same result again', async () => {
    const world = new World()
    const input = makeSubmit()
    const answer = await world.drive(world.submit(input))
    await world.service.stop()
    await world.reopen()
    expect(await world.submit(input)).toEqual(answer)
    expect(await world.poll(input, answer.requestId)).toEqual(answer)
  })
})

describe('the runner', () => {
  it('does not begin before it is started, and only once', async () => {
    const world = new World({ paused: true, settings: { submitWaitMs: 0 } })
    const input = makeSubmit()
    const { requestId } = await world.submit(input)
    await world.quiet()
    expect(world.engine.script.prepare.calls).toBe(0)
    world.service.start()
    world.service.start()
    await world.quiet()
    expect(await world.poll(input, requestId)).toMatchObject({ status: 'READY' })
    expect(world.engine.script.prepare.calls).toBe(1)
  })

  it('asks a store that is out of order again, once a second, and can still be stopped', async () => {
    const world = new World({ paused: true })
    await world.store.close()
    world.service.start()
    const asked = () =>
      world.said.filter(({ message }) => message.includes('could not be claimed')).length
    await world.quiet()
    expect(asked()).toBe(1)
    for (let second = 1; second <= 5; second++) {
      world.time.advance(1000)
      await world.quiet()
      expect(asked()).toBe(1 + second)
    }
    await world.service.stop()
    expect(world.time.pending).toBe(0)
  })

  it('goes on while an operator nudges', async () => {
    const world = new World()
    world.engine.script.prepare.always(waits)
    const { requestId } = await world.accept()
    world.engine.script.prepare.always(undefined)
    world.service.nudge((await world.job({ requestId })).requestId)
    await world.quiet()
    expect((await world.job({ requestId })).state).toBe('ARTIFACT_READY')
  })

  it('works with the clock and the timers of the system', async () => {
    const service = openCovenantService({
      store: memoryJobStore(),
      engine: scriptedEngine(),
      signer: scriptedSigner({ secrets: [wallets[0].secret], nonce: 'random' }),
      trustRoots: noTrustRoots,
      domain: testDomain,
    })
    service.start()
    const input = makeSubmit()
    const answer = await service.submit(input, 'self_v1')
    expect(answer).toMatchObject({ status: 'READY' })
    expect(await service.poll(pollOf(input, answer.requestId), 'self_v1')).toEqual(answer)
    await service.stop()
  })

  it.each([
    [{ submitWaitMs: -1 }],
    [{ inFlightMax: 0 }],
    [{ inFlightMax: 1.5 }],
    [{ retryMinMs: 400_000 }],
    [{ stopMs: Number.NaN }],
  ])('refuses settings out of their bounds: %o', (settings) => {
    expect(() => new World({ settings })).toThrow(RangeError)
  })
})

/** Numbers from 0 to 1 that one seed repeats (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** 190 jobs with outputs of their own, and 10 that want another transaction for the outputs of the first ten. */
const crowd: readonly SubmitInput[] = Array.from({ length: 200 }, (_, at) => {
  const isRival = at >= 190
  const seed = isRival ? at - 190 : at
  return makeSubmit({
    seed,
    routeRequestId: `job ${at}`,
    route: seed % 3 === 0 ? 'qc_v1' : 'self_v1',
    signer: some(wallets[seed % wallets.length]),
    ...(isRival
      ? {
          edit: (draft) => {
            const plan = some(draft.migrationTransactionPlan)
            plan.destinationValueSats -= 100n
            plan.feeSats += 100n
          },
        }
      : {}),
  })
})

/** A world in which everything goes wrong now and then. */
function troubledWorld(random: () => number): World {
  const hits = (share: number): boolean => random() < share
  const strike = (point: string): void => {
    if (hits(0.02)) throw new RangeError(`struck at ${point}`)
  }
  const faults: FaultPoints = { reach: strike, pause: async (point) => strike(point) }
  const signer = scriptedSigner({ secrets: wallets.map(({ secret }) => secret), nonce: 'random' })
  const world = new World({ faults, storeFaults: faults, signer })
  const trouble = (): Error | typeof waits | undefined => {
    if (hits(0.1)) return new RangeError('out of order')
    return hits(0.1) ? waits : undefined
  }
  const { prepare, confirm, finish } = world.engine.script
  for (const step of [prepare, confirm, finish]) step.always(trouble)
  const { sign } = signer.script
  sign.always(() => {
    if (hits(0.1)) return new RangeError('signer is busy')
    return hits(0.05) ? Uint8Array.of(0x30) : undefined
  })
  return world
}

describe('over SQLite and its ledger', () => {
  it('brings jobs in trouble to their end across restarts, each output signed for once', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'holdfast-service-'))
    try {
      const random = randomFrom(7)
      const trouble = () => (random() < 0.3 ? new RangeError('out of order') : undefined)
      const engine = scriptedEngine()
      const signer = scriptedSigner({
        secrets: wallets.map(({ secret }) => secret),
        nonce: 'random',
      })
      engine.script.prepare.always(trouble)
      engine.script.finish.always(trouble)
      signer.script.sign.always(trouble)
      const inputs = [...crowd.slice(0, 30), ...crowd.slice(190)]
      const outpoints = new Map<string, string>()
      for (let opening = 0; ; opening++) {
        const store = await openJobStore(join(dir, 'data'))
        const service = openCovenantService({
          ...{ store, engine, signer, trustRoots: noTrustRoots, domain: testDomain },
          settings: { retryMinMs: 1, retryMaxMs: 5 },
        })
        service.start()
        const submits = inputs.map((input) => service.submit(input, input.request.route as Route))
        // The first two are stopped in the middle.
        const answers = await Promise.all(opening < 2 ? submits.slice(0, 5) : submits)
        let jobs = await store.list({ limit: 1000 })
        while (opening === 2 && !jobs.every(({ state }) => isFinal(state))) {
          await new Promise((resolve) => setImmediate(resolve))
          jobs = await store.list({ limit: 1000 })
        }
        await Promise.all([service.stop(), Promise.allSettled(submits)])
        await store.close()
        for (const { requestId, outpoint } of jobs) outpoints.set(requestId, outpoint)
        if (opening < 2) continue
        expect(new Set(answers.map(({ requestId }) => requestId)).size).toBe(inputs.length)
        expect(jobs).toHaveLength(inputs.length)
        expect(jobs.filter(({ state }) => state === 'FAILED')).toHaveLength(10)
        break
      }
      const asked = signer.asked.map((one) => `${outpoints.get(one.requestId)} ${one.sighash}`)
      expect(new Set(asked).size).toBe(30)
      expect(signer.atOnceMax).toBe(1)
    } finally {
      rmSync(dir, { recursive: true, force: true })
    }
  })
})

describe('a crowd of jobs in trouble', () => {
  it('comes to its end: one sighash for an output, one signing at a time for a wallet', async () => {
    const seeds = fc.integer({ min: 1, max: 2 ** 31 })
    const property = fc.asyncProperty(
      seeds,
      fc.integer({ min: 0, max: 40 }),
      async (seed, pause) => {
        const world = troubledWorld(randomFrom(seed))
        const submitAll = () =>
          world.drive(Promise.allSettled(crowd.map((input) => world.submit(input))))
        const first = submitAll()
        // Stopped in the middle, and begun again over the same store; what was refused meanwhile is sent again.
        for (let turns = 0; turns < pause; turns++) await world.quiet()
        await world.drive(world.service.stop())
        await first
        world.service = world.openService()
        for (let round = 0; (await world.jobs()).length < crowd.length && round < 20; round++) {
          await submitAll()
        }
        await world.drive(world.service.stop())
        await world.reopen()
        await world.until(allFinal(world))

        const jobs = await world.jobs()
        expect(jobs).toHaveLength(crowd.length)
        const rivals = jobs.filter(({ state }) => state === 'FAILED')
        expect(rivals).toHaveLength(10)
        expect(rivals.every(({ reason }) => reason === 'POLICY_REJECTED')).toBe(true)
        expect(world.signer.atOnceMax).toBe(1)
        const outpoints = new Map(jobs.map(({ requestId, outpoint }) => [requestId, outpoint]))
        const committed = new Set(
          world.signer.asked.map(
            ({ requestId, sighash }) => `${outpoints.get(requestId)} ${sighash}`,
          ),
        )
        expect(committed.size).toBe(190)
        await world.service.stop()
      },
    )
    await fc.assert(property, { numRuns: 10 })
  }, 120_000)
})
