import { describe, expect, it } from 'vitest'
import { parseTrustRoots } from '../../src/covenant/trust.js'
import { scriptedEngine } from '../../src/testing/scripted-engine.js'
import {
  keys,
  makeSubmit,
  pinningRoots,
  quoteIssuer,
  type SubmitOptions,
  testHeight,
} from './factory.js'
import { refusal, World } from './service-world.js'

const waits = { kind: 'defer', detail: 'have 3 confirmations, need 6' } as const
const expired = 'signer approval certificate has expired'
const at = (height: bigint) => [{ source: 'scripted', height }]

const verifyingWorld = (): World =>
  new World({ engine: scriptedEngine({ heightBlocks: testHeight, verifies: true }) })

/** A world with one job that waits. */
async function waitingWorld(options: SubmitOptions = {}, world: World = new World()) {
  world.engine.script.prepare.always(waits)
  const input = makeSubmit(options)
  const { requestId } = await world.drive(world.submit(input))
  return { world, input, requestId }
}

/** One whose depositor signs with a wallet of another key than the template's; only the pinned address verifies it. */
function walletSigned() {
  const options: SubmitOptions = {
    depositorForm: 'ethereum',
    edit: (draft) => {
      if ('depositorPublicKey' in draft.scriptTemplate) {
        draft.scriptTemplate.depositorPublicKey = keys.other.compressed
      }
    },
  }
  const { depositorTrustRoots } = pinningRoots(makeSubmit(options), options)
  const trustRoots = parseTrustRoots({
    depositorTrustRoots: depositorTrustRoots.map((root) => ({
      ...root,
      publicKey: keys.other.compressed,
    })),
  })
  return waitingWorld(options, new World({ trustRoots }))
}

describe('a poll of a job on its way', () => {
  it('is answered at once, and submit later with what the runner made of it (E5)', async () => {
    const world = new World()
    const hang = world.engine.script.prepare.hangNext()
    const input = makeSubmit()
    const submitted = world.submit(input)
    await hang.begun
    const [job] = await world.jobs()
    const requestId = job?.requestId ?? ''
    expect(await world.poll(input, requestId)).toMatchObject({ status: 'PENDING', requestId })
    hang.release()
    const answer = await submitted
    expect(answer).toMatchObject({ status: 'READY', requestId })
    expect(await world.poll(input, requestId)).toEqual(answer)
  })

  it('never goes back to PENDING once it was READY (E6)', async () => {
    const { world, input, requestId } = await waitingWorld()
    world.engine.script.prepare.always(undefined)
    await world.until(async () => (await world.poll(input, requestId)).status === 'READY')
    world.engine.script.prepare.always(waits)
    const first = await world.poll(input, requestId)
    world.time.advance(600_000)
    await world.quiet()
    expect(await world.poll(input, requestId)).toEqual(first)
  })

  it('brings the next try forward, and the job to READY (E7)', async () => {
    const { world, input, requestId } = await waitingWorld()
    const before = await world.job({ requestId })
    expect(before.nextAtMs).toBeGreaterThan(world.time.nowMs())
    world.engine.script.prepare.always(undefined)
    world.time.advance(10)
    expect(await world.poll(input, requestId)).toMatchObject({
      status: 'PENDING',
      detail: waits.detail,
    })
    await world.quiet()
    expect(await world.poll(input, requestId)).toMatchObject({ status: 'READY' })
    const after = await world.job({ requestId })
    expect(after.updatedAt > before.updatedAt).toBe(true)
    expect(after.completedAt).toBe(after.updatedAt)
  })

  it('brings it forward at most once a second', async () => {
    const { world, input, requestId } = await waitingWorld(
      {},
      new World({ settings: { retryMinMs: 60_000 } }),
    )
    const tries = world.engine.script.prepare
    const before = tries.calls
    for (let poll = 0; poll < 30; poll++) {
      world.time.advance(100)
      await world.poll(input, requestId)
      await world.quiet()
    }
    expect(tries.calls - before).toBe(3)
  })

  it('is told when the engine finds that there is nothing to sign any more (E8)', async () => {
    const { world, input, requestId } = await waitingWorld()
    const detail = 'signer job no longer exists'
    world.engine.script.prepare.always({ kind: 'fail', reason: 'JOB_NOT_FOUND', detail })
    await world.until(async () => (await world.poll(input, requestId)).status !== 'PENDING')
    expect(await world.poll(input, requestId)).toEqual({
      status: 'FAILED',
      requestId,
      detail,
      reason: 'JOB_NOT_FOUND',
    })
    expect((await world.job({ requestId })).failedAt).toBeDefined()
  })

  it('leaves the engine alone once the job is final (E9)', async () => {
    const world = new World()
    const input = makeSubmit()
    const answer = await world.drive(world.submit(input))
    const { prepare } = world.engine.script
    for (let poll = 0; poll < 5; poll++) {
      world.time.advance(2_000)
      expect(await world.poll(input, answer.requestId)).toEqual(answer)
      await world.quiet()
    }
    expect(prepare.calls).toBe(1)
  })
})

describe('a poll and the job it names', () => {
  it('may be spelled in another hex case and approval order (F1)', async () => {
    const { world, input, requestId } = await waitingWorld({ route: 'qc_v1' })
    const { artifactApprovals, strategy } = input.request
    const approvals = [...(artifactApprovals?.approvals ?? [])].reverse()
    expect(approvals.map(({ role }) => role)).toEqual(['C', 'D'])
    const request = {
      ...input.request,
      strategy: `0x${strategy.slice(2).toUpperCase()}`,
      ...(artifactApprovals && { artifactApprovals: { ...artifactApprovals, approvals } }),
    }
    expect(await world.poll({ ...input, request }, requestId)).toMatchObject({ status: 'PENDING' })
  })

  it('must carry the payload, the key and the route of the job (F2)', async () => {
    const { world, input, requestId } = await waitingWorld()
    const changed = makeSubmit({
      edit: (draft) => {
        draft.facadeRequestId = 'other'
      },
    })
    expect(await refusal(world.poll(changed, requestId))).toMatchObject({
      code: 'InvalidInput',
      message: 'request does not match stored job payload',
    })
    expect(await refusal(world.poll({ ...input, routeRequestId: 'r9' }, requestId))).toMatchObject({
      code: 'InvalidInput',
      message: 'routeRequestId does not match stored job',
    })
    const unknown = ['kcs_self_0000000000000000', 'kcs_self_', '../../etc', 'x'.repeat(100_000)]
    for (const id of unknown) {
      expect(await refusal(world.poll(input, id))).toMatchObject({
        code: 'JobNotFound',
        message: 'covenant signer job not found',
      })
    }
    const other = makeSubmit({ route: 'qc_v1' })
    expect(await refusal(world.poll(other, requestId))).toMatchObject({ code: 'JobNotFound' })
    expect(await refusal(world.poll(input, ''))).toMatchObject({ message: 'requestId is required' })
  })

  it('depends neither on the quote’s end nor on its issuer (F3)', async () => {
    const trustRoots = parseTrustRoots({ migrationPlanQuoteTrustRoots: [quoteIssuer] })
    const { world, input, requestId } = await waitingWorld(
      { quote: true },
      new World({ trustRoots }),
    )
    world.time.advance(3_600_000)
    await world.quiet()
    expect(await world.poll(input, requestId)).toMatchObject({ status: 'PENDING' })
    await world.service.stop()
    world.service = world.openService({ trustRoots: parseTrustRoots({}) })
    expect(await world.poll(input, requestId)).toMatchObject({ status: 'PENDING' })
  })

  it('is held against the address that was pinned then, whatever is pinned now (F4)', async () => {
    const { world, input, requestId } = await walletSigned()
    await world.service.stop()
    world.engine.script.prepare.always(undefined)
    world.service = world.openService({ trustRoots: parseTrustRoots({}) })
    await world.until(async () => (await world.poll(input, requestId)).status === 'READY')
    // The job's address is what counts: for a key without one the same signature is a stranger's.
    expect(await refusal(world.poll(input, 'kcs_self_0000000000000000'))).toMatchObject({
      code: 'InvalidInput',
      message: expect.stringContaining('does not verify against the required public key'),
    })
  })
})

describe('a poll with a certificate', () => {
  it('is fine up to and with the end, and refused one block later (F5)', async () => {
    const { world, input, requestId } = await waitingWorld(
      { certificate: { endBlock: testHeight + 50n } },
      verifyingWorld(),
    )
    const { heights } = world.engine.script
    for (const height of [testHeight, testHeight + 50n]) {
      heights.always(at(height))
      expect(await world.poll(input, requestId)).toMatchObject({ status: 'PENDING' })
    }
    heights.always(at(testHeight + 51n))
    expect(await refusal(world.poll(input, requestId))).toMatchObject({
      code: 'InvalidInput',
      message: expired,
    })
  })

  it('is refused a result that was fine when it was stored', async () => {
    const world = verifyingWorld()
    const input = makeSubmit({ certificate: { endBlock: testHeight + 50n } })
    const { requestId } = await world.drive(world.submit(input))
    expect(await world.poll(input, requestId)).toMatchObject({ status: 'READY' })
    world.engine.script.heights.always(at(testHeight + 51n))
    expect(await refusal(world.poll(input, requestId))).toMatchObject({ message: expired })
  })

  it('is refused when the end comes between the rules and the job', async () => {
    const { world, input, requestId } = await waitingWorld(
      { certificate: { endBlock: testHeight + 50n } },
      verifyingWorld(),
    )
    world.engine.script.heights.next(at(testHeight + 50n), at(testHeight + 51n))
    expect(await refusal(world.poll(input, requestId))).toMatchObject({ message: expired })
  })

  it('is told that it lapsed also after a rise that time does not explain, where all agree', async () => {
    const { world, input, requestId } = await waitingWorld({ certificate: true }, verifyingWorld())
    world.engine.script.heights.always(at(123_457n))
    expect(await refusal(world.poll(input, requestId))).toMatchObject({ message: expired })
    expect(world.store.hostHeight()).toBeLessThan(testHeight + 200n)
  })

  it('is not judged while one of two sources claims what cannot be', async () => {
    const { world, input, requestId } = await waitingWorld({ certificate: true }, verifyingWorld())
    world.engine.script.heights.always([
      { source: 'honest', height: testHeight + 1n },
      { source: 'mistaken', height: 10n ** 12n },
    ])
    const error = await refusal(world.poll(input, requestId))
    expect(error).toMatchObject({ code: 'HostHeightUnavailable', retry: 'safe' })
    expect(String(error.cause)).toContain('mistaken claims 1000000000000')
    world.engine.script.heights.always(at(testHeight + 1n))
    expect(await world.poll(input, requestId)).toMatchObject({ status: 'PENDING' })
  })

  it('fails with the cause when the height fails, and is refused without a provider (F6)', async () => {
    const { world, input, requestId } = await waitingWorld({ certificate: true }, verifyingWorld())
    const cause = new RangeError('node is down')
    world.engine.script.heights.always(cause)
    expect(await refusal(world.poll(input, requestId))).toMatchObject({
      code: 'HostHeightUnavailable',
      cause,
    })
    await world.service.stop()
    world.service = world.openService({ engine: scriptedEngine() })
    expect(await refusal(world.poll(input, requestId))).toMatchObject({
      code: 'HostHeightUnavailable',
    })
  })

  it('ends with its client’s patience when a source hangs', async () => {
    const { world, input, requestId } = await waitingWorld({ certificate: true }, verifyingWorld())
    const hang = world.engine.script.heights.hangNext({ deaf: true })
    const client = new AbortController()
    const polled = world.service.poll({ ...input, requestId }, 'self_v1', client.signal)
    await hang.begun
    client.abort()
    expect(await refusal(polled)).toMatchObject({ code: 'Aborted' })
  })
})

describe('a poll of a fenced key', () => {
  const fenced = async (how: 'lose' | 'damage') => {
    const made = await waitingWorld()
    const job = await made.world.job(made)
    made.world.disk[how](job.requestId)
    await made.world.reopen({ paused: true })
    return made
  }

  it.each(['lose', 'damage'] as const)('heals it with the request (%s)', async (how) => {
    const { world, input, requestId } = await fenced(how)
    expect(await world.poll(input, requestId)).toMatchObject({ status: 'PENDING', requestId })
    expect(await world.store.listQuarantined(10)).toEqual([])
  })

  it('heals a wallet-signed one, whose address is pinned nowhere any more', async () => {
    const { world, input, requestId } = await walletSigned()
    world.disk.lose((await world.job({ requestId })).requestId)
    await world.reopen({ trustRoots: parseTrustRoots({}) })
    expect(await world.poll(input, requestId)).toMatchObject({ status: 'PENDING', requestId })
  })

  it('is refused with the name of the record, never with 404, for another request', async () => {
    const { world, input, requestId } = await fenced('lose')
    const [record] = await world.store.listQuarantined(1)
    const other = makeSubmit({ routeRequestId: input.routeRequestId, seed: 'other' })
    for (const [asked, id] of [
      [other, requestId],
      [other, 'kcs_self_0000000000000000'],
    ] as const) {
      const error = await refusal(world.poll(asked, id))
      expect(error).toMatchObject({ code: 'KeyFenced', recordId: record?.id })
      expect(error.message).toContain(record?.id)
    }
    expect(await world.store.listQuarantined(10)).toHaveLength(1)
  })

  it('survives a request that could never have been accepted', async () => {
    const { world, input, requestId } = await fenced('lose')
    const activeOutpoint = { ...input.request.activeOutpoint, txid: 'not hex' }
    const request = { ...input.request, activeOutpoint }
    expect(await refusal(world.poll({ ...input, request }, requestId))).toMatchObject({
      code: 'KeyFenced',
    })
  })
})
