import { describe, expect, it } from 'vitest'
import { StoreFailed } from '../../src/base/persistence.js'
import { InvalidInput } from '../../src/covenant/invalid-input.js'
import { normalizeRequest } from '../../src/covenant/normalize.js'
import type { Action, Route } from '../../src/covenant/request.js'
import { noTrustRoots, parseTrustRoots } from '../../src/covenant/trust.js'
import { scriptedFaults } from '../../src/testing/faults.js'
import { scriptedEngine } from '../../src/testing/scripted-engine.js'
import {
  keys,
  makeSubmit,
  pinningRoots,
  quoteIssuer,
  type SubmitOptions,
  some,
  testHeight,
} from './factory.js'
import { refusal, World } from './service-world.js'

const verifying = () => scriptedEngine({ heightBlocks: testHeight, verifies: true })
const waits = { kind: 'defer', detail: 'have 3 confirmations, need 6' } as const
const expired = 'signer approval certificate has expired'

describe('a submit that is accepted', () => {
  it.each([
    ['self_v1', /^kcs_self_[0-9a-f]{16}$/],
    ['qc_v1', /^kcs_qc_[0-9a-f]{16}$/],
  ] as const)(
    'answers PENDING with a request id of its route while %s waits (B1)',
    async (route, id) => {
      const world = new World()
      world.engine.script.prepare.always(waits)
      const answer = await world.accept({ route })
      expect(answer).toEqual({
        status: 'PENDING',
        requestId: expect.stringMatching(id),
        detail: waits.detail,
      })
    },
  )

  it('answers as it was accepted when the runner says nothing in time (B2)', async () => {
    const world = new World()
    const hang = world.engine.script.prepare.hangNext()
    const submitted = world.submit(makeSubmit())
    await hang.begun
    world.time.advance(19_999)
    await world.quiet()
    expect(world.service.status().waitingSubmits).toBe(1)
    world.time.advance(1)
    expect(await submitted).toMatchObject({
      status: 'PENDING',
      detail: 'accepted for covenant signing',
    })
  })

  it.each(['REDEEM', 'RENEW'] as const)(
    'takes %s also where quotes are asked for (B3)',
    async (action) => {
      const trustRoots = parseTrustRoots({ migrationPlanQuoteTrustRoots: [quoteIssuer] })
      const world = new World({ trustRoots })
      expect(await world.accept({ action })).toMatchObject({ status: 'READY' })
    },
  )

  it('keeps approvals and certificate, members sorted, where a verifier is there (B4)', async () => {
    const world = new World({ engine: verifying() })
    const input = makeSubmit({ route: 'qc_v1', certificate: true })
    const { request } = input
    const certificate = { ...some(request.signerApproval), activeMembers: [2, 1] }
    const answer = await world.drive(
      world.submit({ ...input, request: { ...request, signerApproval: certificate } }),
    )
    const job = await world.job(answer)
    expect(job.request.signerApproval?.activeMembers).toEqual([1, 2])
    expect(job.request.artifactApprovals?.approvals?.map(({ role }) => role)).toEqual(['D', 'C'])
    expect(job.endBlock).toBe(123_456n)
    expect(world.engine.script.verify.asked).toEqual([job.request])
  })

  it('keeps the normalised request of a body in upper case (B5)', async () => {
    const world = new World()
    const input = makeSubmit()
    const reserve = `0x${input.request.reserve.slice(2).toUpperCase()}`
    const { activeOutpoint } = input.request
    const txid = `0x${activeOutpoint.txid.slice(2).toUpperCase()}`
    const request = { ...input.request, reserve, activeOutpoint: { ...activeOutpoint, txid } }
    const job = await world.job(await world.drive(world.submit({ ...input, request })))
    expect(job.request).toEqual(normalizeRequest(input.request))
    expect(job.outpoint).toBe(`${activeOutpoint.txid.slice(2).toLowerCase()}:1`)
  })

  it.each(['self_v1', 'qc_v1'] as const)(
    'takes %s under its own roots in any case (B6)',
    async (route) => {
      const input = makeSubmit({ route })
      const { depositorTrustRoots, custodianTrustRoots } = pinningRoots(input, { route })
      const shout = <T extends { reserve: string; network: string; publicKey: string }>(
        root: T,
      ) => ({
        ...root,
        reserve: `0x${root.reserve.slice(2).toUpperCase()}`,
        network: ` ${root.network.toUpperCase()} `,
        publicKey: `0x${root.publicKey.slice(2).toUpperCase()}`,
      })
      const trustRoots = parseTrustRoots({
        depositorTrustRoots: depositorTrustRoots.map(shout),
        custodianTrustRoots: custodianTrustRoots.map(shout),
      })
      const world = new World({ trustRoots })
      expect(await world.drive(world.submit(input))).toMatchObject({ status: 'READY' })
    },
  )

  it('takes a quote by a configured issuer (B7)', async () => {
    const trustRoots = parseTrustRoots({ migrationPlanQuoteTrustRoots: [quoteIssuer] })
    const world = new World({ trustRoots })
    expect(await world.accept({ quote: true })).toMatchObject({ status: 'READY' })
  })

  it.each(['MIGRATION', 'REDEEM'] as const)(
    'pins the address of a wallet-signed %s (B8)',
    async (action) => {
      const options = { action, depositorForm: 'ethereum' } satisfies SubmitOptions
      const input = makeSubmit(options)
      const world = new World({ trustRoots: pinningRoots(input, options) })
      const job = await world.job(await world.drive(world.submit(input)))
      expect(job.depositorEthAddress).toBe(keys.depositor.ethAddress)
    },
  )

  it('keeps an endBlock above 2^32 at submit and poll (B9)', async () => {
    const world = new World({ engine: verifying() })
    const input = makeSubmit({ certificate: { endBlock: 2n ** 32n + 5n } })
    const answer = await world.drive(world.submit(input))
    expect((await world.job(answer)).endBlock).toBe(4_294_967_301n)
    expect(await world.poll(input, answer.requestId)).toEqual(answer)
  })

  it('hands out hash and transaction of a finished artefact (B10)', async () => {
    const answer = await new World().accept({ route: 'self_v1' })
    expect(answer).toEqual({
      status: 'READY',
      requestId: answer.requestId,
      detail: 'self_v1 artifact ready',
      psbtHash: expect.stringMatching(/^0x[0-9a-f]{64}$/),
      transactionHex: expect.stringMatching(/^0x[0-9a-f]+$/),
    })
  })

  it('hands out the handoff alone where a custodian follows (B11)', async () => {
    const answer = await new World().accept({ route: 'qc_v1' })
    expect(answer).toMatchObject({
      status: 'READY',
      handoff: { kind: 'qc_v1_signer_handoff_v1', signerRequestId: answer.requestId },
    })
    expect(answer).not.toHaveProperty('psbtHash')
  })
})

describe('a submit that is refused', () => {
  const nothingHappened = async (world: World): Promise<void> => {
    expect(await world.jobs()).toEqual([])
    expect(world.engine.script.prepare.calls).toBe(0)
  }

  it('needs a verifier for a certificate, and a certificate for a verifier (C7)', async () => {
    const without = new World()
    expect(await refusal(without.accept({ certificate: true }))).toMatchObject({
      code: 'InvalidInput',
      message: 'request.signerApproval cannot be verified by this signer deployment',
    })
    const withOne = new World({ engine: verifying() })
    expect(await refusal(withOne.accept())).toMatchObject({
      code: 'InvalidInput',
      message: 'request.signerApproval is required when the signer approval verifier is configured',
    })
    await nothingHappened(without)
    await nothingHappened(withOne)
  })

  it('does not ask for the height of a certificate without an end (C9)', async () => {
    const world = new World({ engine: verifying() })
    const input = makeSubmit({ certificate: true })
    const signerApproval = { ...some(input.request.signerApproval), endBlock: null }
    const request = { ...input.request, signerApproval }
    const error = await refusal(world.submit({ ...input, request }))
    expect(error).toMatchObject({ message: 'request.signerApproval.endBlock is required' })
    expect(world.engine.script.heights.calls).toBe(0)
  })

  it('is expired one block after the end, and no job is created (C10)', async () => {
    const world = new World({ engine: verifying() })
    const error = await refusal(world.accept({ certificate: { endBlock: testHeight - 1n } }))
    expect(error).toMatchObject({ code: 'InvalidInput', message: expired })
    await nothingHappened(world)
  })

  it('is expired when the certificate lapses while the verifier looks at it', async () => {
    const engine = verifying()
    const world = new World({ engine })
    engine.script.heights.next([{ source: 'scripted', height: 100_050n }])
    engine.script.heights.always([{ source: 'scripted', height: 100_051n }])
    const error = await refusal(world.accept({ certificate: { endBlock: 100_050n } }))
    expect(error).toMatchObject({ message: expired })
    await nothingHappened(world)
  })

  it('passes on the text of the verifier', async () => {
    const engine = verifying()
    const world = new World({ engine })
    engine.script.verify.always(new InvalidInput('request.signerApproval is invalid: no quorum'))
    expect(await refusal(world.accept({ certificate: true }))).toMatchObject({
      code: 'InvalidInput',
      message: 'request.signerApproval is invalid: no quorum',
    })
    await nothingHappened(world)
  })

  it('fails with the cause when no source tells the height, and accepts nothing (D1)', async () => {
    const world = new World({ engine: verifying() })
    const cause = new RangeError('node is down')
    world.engine.script.heights.always(cause)
    const error = await refusal(world.accept({ certificate: true }))
    expect(error).toMatchObject({ code: 'HostHeightUnavailable', retry: 'safe', cause })
    await nothingHappened(world)
  })

  it('says that no height is available where there is no provider (D2)', async () => {
    const world = new World({ engine: scriptedEngine({ verifies: true }) })
    const error = await refusal(world.accept({ certificate: true }))
    expect(error).toMatchObject({ code: 'HostHeightUnavailable' })
    expect(error.message).toContain('no current block height is available')
    await nothingHappened(world)
  })

  it('leaves no key behind when it cannot be saved, and the same request is new again (D4)', async () => {
    const storeFaults = scriptedFaults({
      point: 'job.accept.beforeCommit',
      nth: 1,
      action: 'transient',
    })
    const world = new World({ storeFaults })
    const input = makeSubmit()
    const error = await refusal(world.submit(input))
    expect(error).toBeInstanceOf(StoreFailed)
    expect(error).toMatchObject({ outcome: 'notWritten', retry: 'safe' })
    expect(await world.store.findByRoute('self_v1', input.routeRequestId)).toEqual({
      kind: 'absent',
    })
    expect(await world.drive(world.submit(input))).toMatchObject({ status: 'READY' })
  })
})

describe('an engine in trouble', () => {
  it('leaves the job waiting with a readable detail, and it ends by itself later (D3)', async () => {
    const world = new World()
    world.engine.script.prepare.next(new RangeError('socket hang up: 10.0.0.7'))
    const input = makeSubmit()
    const answer = await world.drive(world.submit(input))
    expect(answer).toEqual({
      status: 'PENDING',
      requestId: answer.requestId,
      detail: 'the covenant could not be prepared yet; it is tried again',
    })
    await world.until(async () => (await world.job(answer)).state === 'ARTIFACT_READY')
    expect((await world.job(answer)).attempts).toBe(1)
    expect(
      world.said.some(({ fields }) => String(fields['cause']).includes('socket hang up')),
    ).toBe(true)
  })
})

describe('the same key again', () => {
  it('is answered with the same job, and the engine works once (E1)', async () => {
    const world = new World()
    const input = makeSubmit()
    const first = await world.drive(world.submit(input))
    expect(await world.submit(input)).toEqual(first)
    expect(world.engine.script.prepare.calls).toBe(1)
    expect(world.signer.asked).toHaveLength(1)
    expect(await world.jobs()).toHaveLength(1)
  })

  it('is refused with another payload (E2)', async () => {
    const world = new World()
    await world.accept({ routeRequestId: 'r1' })
    const error = await refusal(
      world.accept({
        routeRequestId: 'r1',
        edit: (draft) => {
          draft.facadeRequestId = 'other'
        },
      }),
    )
    expect(error).toMatchObject({
      code: 'InvalidInput',
      message: 'routeRequestId already exists with a different request payload',
    })
    expect(await world.jobs()).toHaveLength(1)
  })

  it('is another job on the other route (E3)', async () => {
    const world = new World()
    const routes: readonly Route[] = ['qc_v1', 'self_v1']
    const answers = []
    for (const route of routes) {
      answers.push(await world.accept({ route, routeRequestId: 'r1', seed: route }))
    }
    expect(answers.map(({ status }) => status)).toEqual(['READY', 'READY'])
    expect(new Set(answers.map(({ requestId }) => requestId)).size).toBe(2)
  })

  it('is answered at once while the first waits for the engine (E4)', async () => {
    const world = new World()
    const hang = world.engine.script.prepare.hangNext()
    const input = makeSubmit()
    const first = world.submit(input)
    await hang.begun
    const second = await world.submit(input)
    expect(second).toMatchObject({ status: 'PENDING', detail: 'accepted for covenant signing' })
    hang.release()
    expect(await first).toMatchObject({ status: 'READY', requestId: second.requestId })
  })

  it('makes one job of many submits at one time', async () => {
    const world = new World()
    const input = makeSubmit()
    const answers = await world.drive(
      Promise.all(Array.from({ length: 100 }, () => world.submit(input))),
    )
    expect(new Set(answers.map(({ requestId }) => requestId)).size).toBe(1)
    expect(world.signer.asked).toHaveLength(1)
  })

  it('is not shown a result whose certificate has lapsed', async () => {
    const world = new World({ engine: verifying() })
    const input = makeSubmit({ certificate: { endBlock: 100_050n } })
    expect(await world.drive(world.submit(input))).toMatchObject({ status: 'READY' })
    // Past the rules with the last good height, past the end when the stored job is looked at.
    world.engine.script.heights.next(
      [{ source: 'scripted', height: 100_050n }],
      [{ source: 'scripted', height: 100_050n }],
      [{ source: 'scripted', height: 100_051n }],
    )
    expect(await refusal(world.submit(input))).toMatchObject({
      code: 'InvalidInput',
      message: expired,
    })
  })
})

describe('a client that leaves', () => {
  it('changes nothing for its job', async () => {
    const world = new World()
    const hang = world.engine.script.prepare.hangNext()
    const client = new AbortController()
    const submitted = world.submit(makeSubmit(), client.signal)
    await hang.begun
    client.abort()
    const answer = await submitted
    expect(answer).toMatchObject({ status: 'PENDING', detail: 'accepted for covenant signing' })
    hang.release()
    await world.quiet()
    expect((await world.job(answer)).state).toBe('ARTIFACT_READY')
  })

  it('has its request accepted also when it left before', async () => {
    const world = new World()
    const answer = await world.submit(makeSubmit(), AbortSignal.abort())
    await world.quiet()
    expect((await world.job(answer)).state).toBe('ARTIFACT_READY')
  })
})

describe('a fenced key', () => {
  const fencedWorld = async (action: Action = 'MIGRATION') => {
    const world = new World()
    world.engine.script.prepare.always(waits)
    const input = makeSubmit({ action })
    const { requestId } = await world.drive(world.submit(input))
    const job = await world.job({ requestId })
    world.disk.lose(job.requestId)
    await world.reopen()
    return { world, input, requestId }
  }

  it('heals when its lost request is sent again, and its job comes to its end', async () => {
    const { world, input, requestId } = await fencedWorld()
    world.engine.script.prepare.always(undefined)
    expect(await world.drive(world.submit(input))).toMatchObject({ status: 'PENDING', requestId })
    await world.until(async () => (await world.job({ requestId })).state === 'ARTIFACT_READY')
  })

  it('is refused with the name of the record while the request is another one', async () => {
    const { world, input } = await fencedWorld()
    const other = makeSubmit({ routeRequestId: input.routeRequestId, seed: 'other' })
    const error = await refusal(world.submit(other))
    const [record] = await world.store.listQuarantined(1)
    expect(error).toMatchObject({
      code: 'KeyFenced',
      retry: 'after-fix',
      recordId: some(record).id,
    })
    expect(error.message).toContain(some(record).id)
    expect(world.service.status().store.checks).toContainEqual(
      expect.objectContaining({ name: 'quarantine', ok: false }),
    )
  })
})

it('answers without waiting where no wait is wanted', async () => {
  const world = new World({ paused: true, settings: { submitWaitMs: 0 }, trustRoots: noTrustRoots })
  expect(await world.submit(makeSubmit())).toMatchObject({
    status: 'PENDING',
    detail: 'accepted for covenant signing',
  })
  expect(world.time.pending).toBe(0)
})
