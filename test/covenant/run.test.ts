import { describe, expect, it } from 'vitest'
import type { Job } from '../../src/covenant/job.js'
import type { Hex, SubmitInput } from '../../src/covenant/request.js'
import { runFaultPoints } from '../../src/covenant/run.js'
import { scriptedFaults } from '../../src/testing/faults.js'
import { scriptedEngine, scriptedIntent, scriptedSpend } from '../../src/testing/scripted-engine.js'
import { scriptedSigner } from '../../src/testing/scripted-signer.js'
import { makeSubmit, type SubmitOptions, some, testHeight } from './factory.js'
import { World, wallets } from './service-world.js'

const waits = { kind: 'defer', detail: 'have 3 confirmations, need 6' } as const
const refuses = { kind: 'fail', reason: 'INVALID_INPUT', detail: 'no such output' } as const

/** Another plan for the output that the seed spends. */
function otherPlan(options: SubmitOptions = {}): SubmitInput {
  return makeSubmit({
    ...options,
    routeRequestId: 'other plan',
    edit: (draft) => {
      const plan = some(draft.migrationTransactionPlan)
      plan.destinationValueSats -= 100n
      plan.feeSats += 100n
    },
  })
}

const isFinal = (job: Job): boolean => !['SUBMITTED', 'PENDING'].includes(job.state)
const allFinal = (world: World) => async () => (await world.jobs()).every(isFinal)
const intentOf = async (world: World, { outpoint }: Job) => world.store.findIntent(outpoint)

describe('a try', () => {
  it('has its intent in the store before the signer is asked', async () => {
    const world = new World()
    const hang = world.signer.script.sign.hangNext()
    const submitted = world.submit(makeSubmit())
    await hang.begun
    const job = some((await world.jobs())[0])
    const intent = scriptedIntent(job)
    expect(await intentOf(world, job)).toEqual({ ...intent, requestId: job.requestId })
    expect(world.signer.asked).toEqual([
      { requestId: job.requestId, publicKey: job.walletKey, sighash: intent.sighash },
    ])
    hang.release()
    expect(await submitted).toMatchObject({ status: 'READY' })
  })

  it('begins only when the one before has ended, where one at a time is allowed (E10)', async () => {
    const world = new World({ settings: { inFlightMax: 1 } })
    const hang = world.engine.script.prepare.hangNext()
    const first = world.submit(makeSubmit({ seed: 1 }))
    await hang.begun
    const second = world.submit(makeSubmit({ seed: 2, signer: wallets[1] }))
    await world.quiet()
    expect(world.engine.script.prepare.calls).toBe(1)
    hang.release()
    expect((await Promise.all([first, second])).map(({ status }) => status)).toEqual([
      'READY',
      'READY',
    ])
    expect(world.engine.script.prepare.calls).toBe(2)
  })

  it.each(runFaultPoints)(
    'that fails at %s is made again, with the same sighash',
    async (point) => {
      const faults = scriptedFaults({ point, nth: 1, action: 'fatal' })
      const world = new World({ faults })
      if (point === 'run.defer.before') world.engine.script.prepare.next(waits)
      await world.accept()
      await world.until(allFinal(world))
      expect(faults.reached).toContain(point)
      const job = some((await world.jobs())[0])
      expect(job.state).toBe('ARTIFACT_READY')
      expect(new Set(world.signer.asked.map(({ sighash }) => sighash)).size).toBe(1)
      expect(await intentOf(world, job)).toMatchObject({ requestId: job.requestId })
    },
  )

  it('is not handed to a signer that does not hold the key', async () => {
    const world = new World({ signer: scriptedSigner({ secrets: [] }) })
    expect(await world.accept()).toMatchObject({
      status: 'FAILED',
      reason: 'POLICY_REJECTED',
      detail: 'wallet is not controlled by this node',
    })
    expect(world.signer.asked).toEqual([])
  })

  it('never signs a spend of another output, by another wallet, or of no 32 bytes', async () => {
    const world = new World()
    const { confirm } = world.engine.script
    const spendWith = (change: (job: Job) => object) => (job: Job) => ({
      ...scriptedSpend(job),
      ...change(job),
    })
    confirm.next(
      spendWith((job) => ({ intent: { ...scriptedIntent(job), outpoint: `${'0'.repeat(64)}:0` } })),
      spendWith(() => ({ publicKey: wallets[1].compressed })),
      spendWith((job) => ({ intent: { ...scriptedIntent(job), sighash: '0x1234' } })),
    )
    const answer = await world.accept()
    expect(answer).toMatchObject({ status: 'PENDING' })
    await world.until(() => confirm.calls === 3)
    expect(world.signer.asked).toEqual([])
    await world.until(allFinal(world))
    expect(await world.job(answer)).toMatchObject({ state: 'ARTIFACT_READY', attempts: 3 })
  })

  it('whose signature does not verify is made again', async () => {
    const world = new World()
    world.signer.script.sign.next(Uint8Array.of(1, 2, 3))
    const answer = await world.accept()
    expect(answer).toMatchObject({ status: 'PENDING', detail: 'the signature does not verify' })
    await world.until(allFinal(world))
    expect(world.signer.asked).toHaveLength(2)
  })

  it('is dropped without a trace when somebody else ended the job meanwhile', async () => {
    const faults = scriptedFaults({ point: 'run.intend.before', action: 'hang' })
    const world = new World({ faults })
    const submitted = world.submit(makeSubmit())
    await faults.hanging('run.intend.before')
    const { requestId } = some((await world.jobs())[0])
    // The first lease of the first opening.
    const lease = { requestId, owner: 'other', fencingToken: (1n << 32n) + 1n }
    const end = { state: 'FAILED', reason: 'AUTH_FAILED', detail: 'ended elsewhere' } as const
    const outcome = await world.store.settle(lease, end, {
      releaseIntent: true,
      at: '2026-01-02T03:04:06Z',
    })
    expect(outcome.kind).toBe('settled')
    faults.release('run.intend.before')
    expect(await submitted).toMatchObject({ status: 'FAILED', detail: 'ended elsewhere' })
    expect(world.signer.asked).toEqual([])
    expect(world.said.map(({ message }) => message)).toContain(
      'covenant job: somebody else holds it now',
    )
  })
})

describe('an output that is committed', () => {
  it('is never signed for another transaction, and the refusal names the job that holds it', async () => {
    const world = new World()
    const first = await world.accept()
    const second = await world.drive(world.submit(otherPlan()))
    const { outpoint } = await world.job(first)
    expect(second).toMatchObject({
      status: 'FAILED',
      reason: 'POLICY_REJECTED',
      detail: `covenant output ${outpoint} is already committed to another transaction by job ${first.requestId}`,
    })
    expect(world.signer.asked.map(({ requestId }) => requestId)).toEqual([first.requestId])
    expect(await intentOf(world, await world.job(first))).toMatchObject({
      requestId: first.requestId,
    })
  })

  it('may be signed again with the same transaction by another job', async () => {
    const world = new World()
    await world.accept()
    expect(await world.accept({ routeRequestId: 'again' })).toMatchObject({ status: 'READY' })
    expect(new Set(world.signer.asked.map(({ sighash }) => sighash)).size).toBe(1)
  })

  it('is refused to its own job when the engine builds another transaction than before', async () => {
    const faults = scriptedFaults({ point: 'run.sign.before', nth: 1, action: 'fatal' })
    const world = new World({ faults })
    const answer = await world.accept()
    const sighash: Hex = `0x${'77'.repeat(32)}`
    const changed = (job: Job) => {
      const spend = scriptedSpend(job)
      return { ...spend, intent: { ...spend.intent, sighash } }
    }
    world.engine.script.prepare.always(changed)
    world.engine.script.confirm.always(changed)
    await world.until(allFinal(world))
    expect(await world.job(answer)).toMatchObject({
      state: 'FAILED',
      reason: 'POLICY_REJECTED',
      detail: expect.stringContaining('already committed to another transaction by this job'),
    })
    expect(world.signer.asked).toEqual([])
  })

  it('is free again when its job fails before the signer was asked', async () => {
    const world = new World()
    world.engine.script.confirm.next(refuses)
    const failed = await world.accept()
    expect(failed).toMatchObject({
      status: 'FAILED',
      reason: 'INVALID_INPUT',
      detail: 'no such output',
    })
    expect(await intentOf(world, await world.job(failed))).toBeUndefined()
    expect(await world.drive(world.submit(otherPlan()))).toMatchObject({ status: 'READY' })
  })

  it('stays committed when its job fails after the signer was asked', async () => {
    const world = new World()
    world.engine.script.finish.next(refuses)
    const failed = await world.accept()
    expect(failed).toMatchObject({ status: 'FAILED', reason: 'INVALID_INPUT' })
    expect(await intentOf(world, await world.job(failed))).toBeDefined()
    expect(await world.drive(world.submit(otherPlan()))).toMatchObject({
      status: 'FAILED',
      reason: 'POLICY_REJECTED',
    })
  })

  it('stays committed when an earlier try left an intent, whatever came of it', async () => {
    const faults = scriptedFaults({ point: 'run.sign.before', nth: 1, action: 'fatal' })
    const world = new World({ faults })
    const answer = await world.accept()
    world.engine.script.prepare.always(refuses)
    await world.until(allFinal(world))
    expect(world.signer.asked).toEqual([])
    expect(await intentOf(world, await world.job(answer))).toBeDefined()
  })

  it('waits behind a fence, naming the record', async () => {
    const world = new World()
    world.engine.script.prepare.always(waits)
    const first = await world.accept()
    const second = await world.drive(world.submit(otherPlan()))
    world.disk.lose((await world.job(first)).requestId)
    await world.reopen()
    world.engine.script.prepare.always(undefined)
    const [record] = await world.store.listQuarantined(1)
    await world.until(async () => (await world.job(second)).detail.includes(some(record).id))
    expect(world.signer.asked).toEqual([])
  })
})

describe('one wallet', () => {
  it('signs one at a time, in the order of the jobs, while others go on', async () => {
    const world = new World()
    const hang = world.signer.script.sign.hangNext()
    const inputs = [0, 0, 0, 0, 1, 1].map((wallet, seed) =>
      makeSubmit({ seed, signer: some(wallets[wallet]) }),
    )
    const submitted = inputs.map((input) => world.submit(input))
    await hang.begun
    await world.quiet()
    expect(world.signer.asked.map(({ publicKey }) => publicKey)).toEqual([
      wallets[0].compressed,
      wallets[1].compressed,
      wallets[1].compressed,
    ])
    hang.release()
    const answers = await Promise.all(submitted)
    expect(answers.every(({ status }) => status === 'READY')).toBe(true)
    const order = world.signer.asked.filter(({ publicKey }) => publicKey === wallets[0].compressed)
    expect(order.map(({ requestId }) => requestId)).toEqual(
      answers.slice(0, 4).map(({ requestId }) => requestId),
    )
    expect(world.signer.atOnceMax).toBe(1)
  })

  it('stays closed while a signer that hears nothing may still be signing', async () => {
    const world = new World({ settings: { attemptMs: 60_000, retryMinMs: 1000, retryMaxMs: 1000 } })
    const hang = world.signer.script.sign.hangNext({ deaf: true })
    const stuck = world.submit(makeSubmit({ seed: 1 }))
    await hang.begun
    world.time.advance(60_000)
    expect(await stuck).toMatchObject({ status: 'PENDING' })
    await world.quiet()
    expect((await world.jobs())[0]?.detail).toBe(
      'the signer gave no signature yet; it is asked again',
    )
    const behind = await world.accept({ seed: 2 })
    expect(behind).toMatchObject({ detail: 'waiting for an earlier signing of this wallet' })
    expect(await world.accept({ seed: 3, signer: wallets[1] })).toMatchObject({ status: 'READY' })
    expect(world.signer.asked).toHaveLength(2)
    hang.release()
    await world.until(allFinal(world))
    expect(world.signer.atOnceMax).toBe(1)
    expect((await world.jobs()).every(({ state }) => state === 'ARTIFACT_READY')).toBe(true)
  })

  it('makes room for other wallets when a job has waited long enough', async () => {
    const world = new World({ settings: { inFlightMax: 2, walletWaitMs: 5000 } })
    const hang = world.signer.script.sign.hangNext()
    const first = world.submit(makeSubmit({ seed: 1 }))
    await hang.begun
    const waiting = world.submit(makeSubmit({ seed: 2 }))
    const other = world.submit(makeSubmit({ seed: 3, signer: wallets[1] }))
    await world.quiet()
    world.time.advance(5000)
    expect(await waiting).toMatchObject({ detail: 'waiting for an earlier signing of this wallet' })
    expect(await other).toMatchObject({ status: 'READY' })
    hang.release()
    expect(await first).toMatchObject({ status: 'READY' })
    await world.until(allFinal(world))
  })
})

describe('a store in trouble', () => {
  it.each(['settle', 'defer'] as const)('is asked again until it takes the %s', async (what) => {
    const point = `job.${what}.beforeCommit`
    const storeFaults = scriptedFaults([
      { point, nth: 1, action: 'transient' },
      { point, nth: 2, action: 'transient' },
    ])
    const world = new World({ storeFaults })
    if (what === 'defer') world.engine.script.prepare.next(waits)
    const answer = await world.accept()
    expect(answer).toMatchObject({ status: what === 'settle' ? 'READY' : 'PENDING' })
    await world.until(allFinal(world))
    // The signature that was made is the one that is kept.
    expect(world.signer.asked).toHaveLength(1)
  })

  it('that settled and failed to say so is believed', async () => {
    const storeFaults = scriptedFaults({
      point: 'job.settle.append.before',
      nth: 1,
      action: 'transient',
    })
    const world = new World({ storeFaults })
    expect(await world.accept()).toMatchObject({ status: 'READY' })
    expect(world.signer.asked).toHaveLength(1)
  })

  it('that cannot record an intent keeps the signer from being asked', async () => {
    const storeFaults = scriptedFaults({
      point: 'job.intend.beforeCommit',
      nth: 1,
      action: 'transient',
    })
    const world = new World({ storeFaults })
    expect(await world.accept()).toMatchObject({
      status: 'PENDING',
      detail: 'the signing could not be recorded yet; it is tried again',
    })
    expect(world.signer.asked).toEqual([])
    await world.until(allFinal(world))
    expect(world.signer.asked).toHaveLength(1)
  })
})

describe('a certificate', () => {
  const expired = 'signer approval certificate has expired'
  const certificate = { endBlock: testHeight + 5n }
  const verifyingWorld = (): World => {
    const world = new World({
      engine: scriptedEngine({ heightBlocks: testHeight, verifies: true }),
    })
    world.engine.script.prepare.next(waits)
    return world
  }
  const at = (...heights: readonly bigint[]) =>
    heights.map((height, n) => ({ source: n === 0 ? 'scripted' : `source ${n}`, height }))
  const tries = (world: World, count: number) => () => world.engine.script.prepare.calls >= count

  it('that lapsed fails its job after two readings a block apart, and nothing is signed', async () => {
    const world = verifyingWorld()
    const { heights, prepare } = world.engine.script
    const answer = await world.accept({ certificate })
    heights.always(at(testHeight + 6n))
    await world.until(tries(world, prepare.calls + 3))
    // However often the same block says so.
    expect(await world.job(answer)).toMatchObject({ state: 'PENDING', detail: expired })
    heights.always(at(testHeight + 7n))
    await world.until(allFinal(world))
    const job = await world.job(answer)
    expect(job).toMatchObject({ state: 'FAILED', reason: 'AUTH_FAILED', detail: expired })
    expect(world.signer.asked).toEqual([])
    expect(await intentOf(world, job)).toBeUndefined()
  })

  it('lapses by two sources where there are two', async () => {
    const world = verifyingWorld()
    const { heights, prepare } = world.engine.script
    heights.always(at(testHeight, testHeight))
    const answer = await world.accept({ certificate })
    for (let ahead = 6n; ahead < 10n; ahead++) {
      heights.always(at(testHeight + ahead, testHeight))
      await world.until(tries(world, prepare.calls + 1))
    }
    expect((await world.job(answer)).state).toBe('PENDING')
    heights.always(at(testHeight + 10n, testHeight + 6n))
    await world.until(allFinal(world))
    expect(await world.job(answer)).toMatchObject({ state: 'FAILED', reason: 'AUTH_FAILED' })
  })

  it('that one source ends with a height that cannot be is neither failed nor signed for', async () => {
    const world = verifyingWorld()
    const { heights, prepare } = world.engine.script
    const answer = await world.accept({ certificate: true })
    heights.always(at(testHeight, 10n ** 15n))
    await world.until(tries(world, prepare.calls + 4))
    expect(await world.job(answer)).toMatchObject({
      state: 'PENDING',
      detail: 'the host chain height could not be judged yet; it is tried again',
    })
    expect(world.signer.asked).toEqual([])
    heights.always(at(testHeight, testHeight))
    await world.until(allFinal(world))
    expect((await world.job(answer)).state).toBe('ARTIFACT_READY')
  })

  it('that lapses during the signature keeps the result from being stored or shown', async () => {
    const world = verifyingWorld()
    const { heights, prepare } = world.engine.script
    prepare.always(undefined)
    const hang = world.signer.script.sign.hangNext()
    const answer = await world.accept({ certificate })
    await world.until(() => world.signer.asked.length > 0)
    heights.always(at(testHeight + 6n))
    hang.release()
    await world.until(async () => (await world.job(answer)).detail === expired)
    const job = await world.job(answer)
    expect(job).not.toHaveProperty('transactionHex')
    heights.always(at(testHeight + 7n))
    await world.until(allFinal(world))
    expect(await world.job(answer)).toMatchObject({ state: 'FAILED', reason: 'AUTH_FAILED' })
    expect(await world.job(answer)).not.toHaveProperty('transactionHex')
    expect(world.signer.asked).toHaveLength(1)
    expect(await intentOf(world, job)).toBeDefined()
  })

  it('whose height cannot be read is waited for', async () => {
    const world = verifyingWorld()
    const answer = await world.accept({ certificate })
    world.engine.script.heights.always(new RangeError('all sources are down'))
    await world.until(async () => (await world.job(answer)).attempts >= 3)
    expect(world.signer.asked).toEqual([])
    world.engine.script.heights.always(undefined)
    await world.until(allFinal(world))
    expect((await world.job(answer)).state).toBe('ARTIFACT_READY')
  })
})

describe('waiting', () => {
  /** Milliseconds between the tries of a job. */
  async function gaps(world: World, count: number): Promise<readonly number[]> {
    const { prepare } = world.engine.script
    const times: number[] = []
    for (let seen = prepare.calls; times.length <= count; seen = prepare.calls) {
      await world.until(() => prepare.calls > seen)
      times.push(world.time.nowMs())
    }
    return times.slice(1).map((time, at) => time - (times[at] ?? 0))
  }

  it('grows from a second to five minutes, never in step', async () => {
    const world = new World()
    world.engine.script.prepare.always(waits)
    await world.accept()
    const found = await gaps(world, 14)
    expect(Math.min(...found)).toBeGreaterThanOrEqual(1000)
    expect(Math.max(...found)).toBeLessThanOrEqual(300_000)
    expect(found.slice(10).every((gap) => gap >= 150_000)).toBe(true)
    expect(found.slice(0, 2).every((gap) => gap <= 8000)).toBe(true)
    expect(new Set(found.slice(10)).size).toBeGreaterThan(1)
  })

  it('begins anew when the job gets further', async () => {
    const world = new World()
    const { prepare, confirm } = world.engine.script
    prepare.always(waits)
    await world.accept()
    await gaps(world, 10)
    prepare.always(undefined)
    confirm.always(waits)
    const before = confirm.calls
    await world.until(() => confirm.calls > before)
    expect((await gaps(world, 1))[0]).toBeLessThanOrEqual(4000)
  })
})
