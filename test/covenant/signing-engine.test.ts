import { describe, expect, it } from 'vitest'
import { fromHex, sha256, toHex } from '../../src/base/bytes.js'
import { walletStates } from '../../src/chain/ethereum/reader.js'
import { completeHandoff, verifyHandoff } from '../../src/covenant/handoff.js'
import type { Action, Route, SubmitInput } from '../../src/covenant/request.js'
import { type SigningEngineDeps, signingEngine } from '../../src/covenant/signing-engine.js'
import { buildSpend, psbtHash, signedSpend } from '../../src/covenant/spend.js'
import { checkSpend } from '../../src/covenant/spend-check.js'
import { parseTransaction } from '../../src/covenant/transaction.js'
import { scriptedFaults } from '../../src/testing/faults.js'
import { scriptedSigner } from '../../src/testing/scripted-signer.js'
import { keys, some, testDomain } from './factory.js'
import { judgeByBcoin } from './interpreters.js'
import { changed, SigningWorld } from './signing-world.js'
import { type SpendOptions, signSpend } from './spends.js'

const renewsToWitnessScript: SpendOptions['edit'] = ({ renewDestination }) => {
  if (renewDestination === undefined) return
  const script = `0x0020${'c4'.repeat(32)}`
  renewDestination.nextCovenantScript = script
  renewDestination.nextCovenantScriptHash = `0x${toHex(sha256(fromHex(script.slice(2))))}`
}

const optionsOf = (route: Route, action: Action = 'MIGRATION'): SpendOptions => ({
  route,
  action,
  edit: renewsToWitnessScript,
})

const failed = (reason: string, detail: string): object => ({ status: 'FAILED', reason, detail })

describe('the signing engine', () => {
  const actions: readonly Action[] = ['MIGRATION', 'REDEEM', 'RENEW']

  it.each(actions)('signs a self_v1 %s that a node takes', async (action) => {
    const world = new SigningWorld()
    const input = world.fund(optionsOf('self_v1', action))
    const answer = await world.submit(input)
    expect(answer).toMatchObject({ status: 'READY', detail: 'self_v1 artifact ready' })
    const transaction = fromHex(some(answer.transactionHex).slice(2))
    const spend = buildSpend(input.request)
    const { scriptPubKey, inputValueSats: valueSats } = spend
    expect(checkSpend({ transaction, scriptPubKey, valueSats }).kind).toBe('valid')
    expect(judgeByBcoin({ transaction, scriptPubKey, valueSats })).toBe('ok')
    expect(parseTransaction(transaction).txid).toBe(spend.txid)
    expect(answer.psbtHash).toBe(psbtHash(transaction))
    expect(answer.handoff).toBeUndefined()
    expect(world.signer.asked).toHaveLength(1)
  })

  it('presigns exactly the same transaction under another detail', async () => {
    const world = new SigningWorld()
    const one = await world.submit(world.fund(optionsOf('self_v1')))
    const other = new SigningWorld()
    const presign = other.fund({ ...optionsOf('self_v1'), requestType: 'presign_self_v1' })
    const answer = await other.submit(presign)
    expect(answer).toMatchObject({ status: 'READY', detail: 'self_v1 presign artifact ready' })
    expect(answer.transactionHex).toBe(one.transactionHex)
  })

  it('hands a qc_v1 spend to its custodian, and no transaction', async () => {
    const world = new SigningWorld()
    const input = world.fund(optionsOf('qc_v1'))
    const answer = await world.submit(input)
    expect(answer).toMatchObject({
      status: 'READY',
      detail: 'qc_v1 signer handoff ready for custodian coordination',
      handoff: { signerRequestId: answer.requestId },
    })
    expect(verifyHandoff(some(answer.handoff), input.request).kind).toBe('valid')
    expect([answer.transactionHex, answer.psbtHash]).toEqual([undefined, undefined])
  })
})

describe('the gate', () => {
  it('lets nothing touch a key or a chain while it is closed', async () => {
    const world = new SigningWorld({ confirmed: false })
    const answer = await world.submit(world.fund())
    expect(answer).toMatchObject(
      failed(
        'POLICY_REJECTED',
        'covenant signing is off: bridgeCovenantFraudDefenseConfirmed is not set for this deployment',
      ),
    )
    expect(world.signer.asked).toEqual([])
    expect(world.signer.script.controls.calls).toBe(0)
    // The certificate was judged; nothing was read to sign.
    expect([world.bitcoin.asked.length, world.ethereum.looks]).toEqual([0, 1])
    expect(await world.store.findIntent((await world.job(answer.requestId)).outpoint)).toBe(
      undefined,
    )
  })

  it.each([undefined, '', '0x', `0x${'0'.repeat(39)}`])(
    'is not opened for the Bridge %s',
    (bridgeAddress) => {
      const { bitcoin, ethereum: wallets, signer } = new SigningWorld()
      const deps: SigningEngineDeps = {
        ...{ wallets, bitcoin, signer, domain: testDomain, honestThreshold: 51 },
        gate: { confirmed: true, bridgeAddress },
      }
      expect(() => signingEngine(deps)).toThrow('want the address of the Bridge')
    },
  )
})

describe('what is final', () => {
  const cases: readonly (readonly [
    string,
    (world: SigningWorld) => SubmitInput,
    string,
    string,
  ])[] = [
    [
      'a maturity that is a time',
      (world) =>
        changed(world.fund(), ({ scriptTemplate }) => {
          Object.assign(scriptTemplate, { delta2: 499_999_999n })
        }),
      'INVALID_INPUT',
      'must be a block height below 500000000',
    ],
    [
      'an output that the transaction lacks',
      (world) =>
        changed(world.fund(), ({ activeOutpoint }) => {
          activeOutpoint.vout = 2
        }),
      'INVALID_INPUT',
      'active outpoint output 2 does not exist: the transaction has 2',
    ],
    [
      'an output with another script',
      (world) =>
        changed(world.fund(), ({ activeOutpoint }) => {
          activeOutpoint.vout = 0
        }),
      'INVALID_INPUT',
      'active outpoint script does not match the covenant script of the request',
    ],
    [
      'an output with another value',
      (world) =>
        changed(world.fund(), ({ migrationTransactionPlan }) => {
          const plan = some(migrationTransactionPlan)
          plan.inputValueSats += 1n
          plan.feeSats += 1n
        }),
      'INVALID_INPUT',
      "active outpoint value is 1000000 sat, want the plan's 1000001 sat",
    ],
    [
      'a script hash in the order of Electrum',
      (world) => {
        const input = world.fund()
        const { scriptPubKey } = buildSpend(input.request)
        return changed(input, ({ activeOutpoint }) => {
          activeOutpoint.scriptHash = `0x${toHex(sha256(scriptPubKey).reverse())}`
        })
      },
      'INVALID_INPUT',
      'active outpoint scriptHash does not match its script',
    ],
    [
      'a fee above the cap',
      (world) => world.fund({ inputValueSats: 5_000_000n, feeSats: 1_000_001n }),
      'INVALID_INPUT',
      'feeSats must be at most 1000000',
    ],
    [
      'a RENEW to no P2WSH',
      (world) =>
        changed(world.fund(optionsOf('self_v1', 'RENEW')), ({ renewDestination }) => {
          const script = `0x0014${'c4'.repeat(20)}`
          const nextCovenantScriptHash = `0x${toHex(sha256(fromHex(script.slice(2))))}`
          Object.assign(some(renewDestination), {
            nextCovenantScript: script,
            nextCovenantScriptHash,
          })
        }),
      'INVALID_INPUT',
      'nextCovenantScript must be a P2WSH output script',
    ],
  ]
  it.each(cases)('%s', async (_, inputOf, reason, detail) => {
    const world = new SigningWorld()
    const answer = await world.submit(inputOf(world))
    expect(answer).toMatchObject({ status: 'FAILED', reason })
    expect(answer.detail).toContain(detail)
    expect(world.signer.asked).toEqual([])
  })

  it('a wallet of another node, before any chain is read', async () => {
    const world = new SigningWorld({ signer: scriptedSigner({ secrets: [] }) })
    const answer = await world.submit(world.fund())
    expect(answer).toMatchObject(failed('POLICY_REJECTED', 'wallet is not controlled by this node'))
    expect(world.bitcoin.asked).toEqual([])
  })

  it('takes a script hash in any letter case', async () => {
    const world = new SigningWorld()
    const input = world.fund()
    const hash = toHex(sha256(buildSpend(input.request).scriptPubKey)).toUpperCase()
    const named = changed(input, ({ activeOutpoint }) => {
      activeOutpoint.scriptHash = `0x${hash}`
    })
    expect(await world.submit(named)).toMatchObject({ status: 'READY' })
  })

  it.each(walletStates)('a wallet in state %s, looked at again before it signs', async (state) => {
    const world = new SigningWorld()
    const input = world.fund()
    const answer = await world.submitThen(input, () =>
      world.ethereum.setState(keys.signer.compressed, state),
    )
    if (state === 'Live') {
      expect(answer.status).toBe('READY')
      return
    }
    const detail = `wallet is in state [${state}] that is not eligible for covenant signing`
    expect(answer).toMatchObject(failed('POLICY_REJECTED', detail))
    expect(world.signer.asked).toEqual([])
  })

  it('a wallet that the Bridge does not know', async () => {
    const world = new SigningWorld()
    const answer = await world.submitThen(world.fund(), () =>
      world.ethereum.forget(keys.signer.compressed),
    )
    expect(answer).toMatchObject(failed('POLICY_REJECTED', 'wallet is not registered on chain'))
    expect(world.signer.asked).toEqual([])
  })

  it('a signature that is not the wallet key over the sighash, and it is not shown', async () => {
    const world = new SigningWorld()
    const input = world.fund()
    const foreign = signSpend(buildSpend(input.request), keys.other)
    world.signer.script.sign.next(foreign)
    const answer = await world.submit(input)
    expect(answer).toMatchObject(
      failed('MALFORMED_ARTIFACT', 'the signature does not verify against wallet key and sighash'),
    )
    expect(JSON.stringify(answer)).not.toContain(toHex(foreign))
  })
})

describe('what passes', () => {
  it('too few confirmations: the job waits and is signed once', async () => {
    const world = new SigningWorld()
    const answer = await world.submit(world.fund({}, 3))
    expect(answer).toMatchObject({
      status: 'PENDING',
      detail: 'active outpoint confirmations: have 3, need 6',
    })
    world.bitcoin.tip += 3
    expect((await world.settled(answer.requestId)).state).toBe('ARTIFACT_READY')
    expect(world.signer.asked).toHaveLength(1)
  })

  it('asks for as many confirmations as it is set to, and for 6 when set to 0', async () => {
    for (const [minConfirmations, needed] of [
      [2, 2],
      [0, 6],
    ] as const) {
      const world = new SigningWorld({ engine: { minConfirmations } })
      const short = await world.submit(world.fund({}, needed - 1))
      expect(short.detail).toContain(`have ${needed - 1}, need ${needed}`)
      const deep = await world.submit(world.fund({ seed: 2 }, needed))
      expect(deep.status).toBe('READY')
    }
  })

  const methods = ['rawTransaction', 'confirmations', 'outputStatus', 'all'] as const
  const kinds = ['timeout', 'connection', 'http', 'badData'] as const
  it.each(methods.flatMap((method) => kinds.map((kind) => [method, kind] as const)))(
    'an outage of Bitcoin in %s (%s): never INVALID_INPUT',
    async (method, kind) => {
      const world = new SigningWorld()
      world.bitcoin.fail(method, kind)
      const answer = await world.submit(world.fund())
      expect(answer).toMatchObject({
        status: 'PENDING',
        detail: `Bitcoin backend is unavailable (${kind}); the job is tried again`,
      })
      world.bitcoin.restore()
      expect((await world.settled(answer.requestId)).state).toBe('ARTIFACT_READY')
      expect(world.signer.asked).toHaveLength(1)
    },
  )

  it('a source that answers with another transaction, or with none', async () => {
    const world = new SigningWorld()
    const input = world.fund()
    const { txid } = input.request.activeOutpoint
    const lie = some(world.fund({ seed: 'lie' }).request.activeOutpoint.txid)
    expect(lie).not.toBe(txid)
    const other = buildSpend(input.request).unsignedTransaction
    for (const bytes of [other, fromHex('00')]) {
      world.bitcoin.forge(txid.slice(2), bytes)
      const answer = await world.submit(input)
      expect(answer).toMatchObject({
        status: 'PENDING',
        detail: 'the Bitcoin backend answered with another transaction',
      })
    }
  })

  it('a transaction that one source lacks, until looks at three heights agree', async () => {
    const world = new SigningWorld()
    const answer = await world.submit(world.fund({}, 'absent'))
    const detail = 'active outpoint transaction was not found yet'
    expect(answer).toMatchObject({ status: 'PENDING', detail })
    expect((await world.settled(answer.requestId, 40)).detail).toBe(detail)
    world.bitcoin.tip += 1
    expect((await world.settled(answer.requestId, 40)).detail).toBe(detail)
    world.bitcoin.tip += 1
    expect(await world.settled(answer.requestId)).toMatchObject({
      state: 'FAILED',
      reason: 'INVALID_INPUT',
      detail: 'active outpoint transaction was not found',
    })
  })

  it('a transaction that shows up before it is given up', async () => {
    const world = new SigningWorld()
    const input = world.fund({}, 'absent')
    const answer = await world.submit(input)
    world.bitcoin.tip += 1
    await world.settled(answer.requestId, 40)
    world.fund({}, 6)
    expect((await world.settled(answer.requestId)).state).toBe('ARTIFACT_READY')
  })

  it('is sure at once where two sources lack the transaction', async () => {
    const world = new SigningWorld()
    world.bitcoin.sources = ['one', 'two']
    expect(await world.submit(world.fund({}, 'absent'))).toMatchObject(
      failed('INVALID_INPUT', 'active outpoint transaction was not found'),
    )
  })

  it.each(['timeout', 'rpc', 'not-synced'] as const)(
    'a host chain that cannot be read (%s)',
    async (fault) => {
      const world = new SigningWorld()
      const answer = await world.submitThen(world.fund(), () =>
        world.ethereum.fail(fault, 'wallets'),
      )
      expect(answer).toMatchObject({
        status: 'PENDING',
        detail: `the wallet's state cannot be read (${fault}); it is tried again`,
      })
      expect(world.signer.asked).toEqual([])
      world.ethereum.fail()
      expect((await world.settled(answer.requestId)).state).toBe('ARTIFACT_READY')
    },
  )

  it('a signer that does not answer', async () => {
    const world = new SigningWorld()
    world.signer.script.controls.next(new RangeError('test: the signer is away'))
    const answer = await world.submit(world.fund())
    expect(answer).toMatchObject({
      status: 'PENDING',
      detail: 'the signer could not say whether it holds the wallet; it is asked again',
    })
    expect((await world.settled(answer.requestId)).state).toBe('ARTIFACT_READY')
    expect(world.signer.asked).toHaveLength(1)
  })

  it('an earlier signing of the wallet: both are signed, one after the other', async () => {
    const world = new SigningWorld()
    const hang = world.signer.script.sign.hangNext()
    const first = world.service.submit(world.fund({ seed: 1 }), 'self_v1')
    await hang.begun
    const second = world.service.submit(world.fund({ seed: 2 }), 'self_v1')
    hang.release()
    const answers = await world.drive(Promise.all([first, second]))
    expect(answers.map(({ status }) => status)).toEqual(['READY', 'READY'])
    expect(world.signer.atOnceMax).toBe(1)
  })
})

describe('an output that is spent', () => {
  /** Another transaction that spends the output of a submit. */
  const rival = (input: SubmitInput): Uint8Array => {
    const spend = buildSpend(input.request)
    const bytes = Uint8Array.from(spend.unsignedTransaction)
    bytes[bytes.length - 1] = 1
    return signedSpend({ ...spend, unsignedTransaction: bytes }, fromHex('3006020101020101'))
  }

  it('is final when another transaction in a block spent it, and that one is named', async () => {
    const world = new SigningWorld()
    const input = world.fund()
    const txid = world.bitcoin.add(rival(input), world.bitcoin.tip)
    expect(await world.submit(input)).toMatchObject(
      failed('INVALID_INPUT', `active outpoint is already spent by transaction ${txid}`),
    )
    expect(world.signer.asked).toEqual([])
  })

  it('is final also where the source cannot name it', async () => {
    const world = new SigningWorld()
    world.bitcoin.namesSpenders = false
    const input = world.fund()
    world.bitcoin.add(rival(input), world.bitcoin.tip)
    expect(await world.submit(input)).toMatchObject(
      failed('INVALID_INPUT', 'active outpoint is already spent by another transaction'),
    )
  })

  it('waits while the spend is in no block, and goes on when it is gone', async () => {
    const world = new SigningWorld()
    const input = world.fund()
    world.bitcoin.sources = ['one', 'two']
    const txid = world.bitcoin.add(rival(input))
    const answer = await world.submit(input)
    expect(answer).toMatchObject({
      status: 'PENDING',
      detail: `active outpoint is being spent by transaction ${txid}, which is in no block yet`,
    })
    world.bitcoin.remove(txid)
    expect((await world.settled(answer.requestId)).state).toBe('ARTIFACT_READY')
  })

  const routes: readonly (readonly [Route, boolean, boolean])[] = [
    ['self_v1', true, true],
    ['self_v1', false, true],
    ['self_v1', true, false],
    ['qc_v1', true, true],
  ]
  it.each(routes)(
    'by the very spend that a lost try recorded gives that artefact: %s, named %s, in a block %s',
    async (route, isNamed, isMined) => {
      // The signature is made and lost before anything of it is stored.
      const faults = scriptedFaults({ point: 'run.sign.after', nth: 1, action: 'fatal' })
      const world = new SigningWorld({ faults })
      const input = world.fund(optionsOf(route))
      const { requestId, status } = await world.submit(input)
      expect([status, world.signer.asked.length]).toEqual(['PENDING', 1])
      world.bitcoin.namesSpenders = isNamed
      const spend = buildSpend(input.request)
      const published = publishedSpend(route, spend)
      world.bitcoin.add(published, isMined ? world.bitcoin.tip : undefined)
      await world.reopen()
      const job = await world.settled(requestId)
      expect(world.signer.asked).toHaveLength(1)
      if (route === 'self_v1') {
        expect(job).toMatchObject({
          state: 'ARTIFACT_READY',
          transactionHex: `0x${toHex(published)}`,
          psbtHash: psbtHash(published),
        })
      } else {
        expect(job.state).toBe('HANDOFF_READY')
        expect(verifyHandoff(some(job.handoff), input.request).kind).toBe('valid')
      }
    },
  )

  function publishedSpend(route: Route, spend: ReturnType<typeof buildSpend>): Uint8Array {
    const signature = signSpend(spend, keys.signer)
    if (route === 'self_v1') return signedSpend(spend, signature)
    const signerSignature = `0x${toHex(signature)}01` as const
    return completeHandoff(spend, { signerSignature }, signSpend(spend, keys.custodian))
  }
})

describe('after a crash', () => {
  const points = [
    'run.intend.after',
    'run.sign.before',
    'run.sign.after',
    'run.verify.after',
  ] as const
  it.each(points)('at %s the same transaction is completed', async (point) => {
    const signer = scriptedSigner({ secrets: [keys.signer.secret], nonce: 'random' })
    const faults = scriptedFaults({ point, nth: 1, action: 'fatal' })
    const world = new SigningWorld({ faults, signer })
    const input = world.fund()
    const { requestId } = await world.submit(input)
    const job = await world.job(requestId)
    const intent = some(await world.store.findIntent(job.outpoint))
    await world.reopen()
    const settled = await world.settled(requestId)
    expect(settled.state).toBe('ARTIFACT_READY')
    const { stripped } = parseTransaction(fromHex(some(settled.transactionHex).slice(2)))
    expect(`0x${toHex(stripped)}`).toBe(intent.unsignedTransaction)
    expect(new Set(signer.asked.map(({ sighash }) => sighash))).toEqual(new Set([intent.sighash]))
  })
})
