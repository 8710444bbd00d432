import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concatBytes, fromHex, sha256, toHex } from '../../src/base/bytes.js'
import { InvalidInput } from '../../src/covenant/invalid-input.js'
import { standardOutput } from '../../src/covenant/output-script.js'
import type { Action, Request, Route } from '../../src/covenant/request.js'
import {
  buildSpend,
  psbtHash,
  type SpendLimits,
  signedSpend,
  verifiesSpend,
  withWitness,
} from '../../src/covenant/spend.js'
import { checkSpend } from '../../src/covenant/spend-check.js'
import { parseTransaction, witnessSighash } from '../../src/covenant/transaction.js'
import { type Mutable, some, testKey } from './factory.js'
import { builtByBcoin, judgeByBcoin, judgeByBitcore, secondOpinions } from './interpreters.js'
import {
  figureKeys,
  figureRequest,
  type SpendOptions,
  signSpend,
  spendRequest,
  witnessSignature,
} from './spends.js'

const repeat = (byte: string, count: number): string => byte.repeat(count)
const outputs = {
  p2pkh: `0x76a914${repeat('b1', 20)}88ac`,
  p2sh: `0xa914${repeat('b2', 20)}87`,
  p2wpkh: `0x0014${repeat('b3', 20)}`,
  p2wsh: `0x0020${repeat('b4', 32)}`,
  p2tr: `0x5120${repeat('b5', 32)}`,
} as const

/** A hash that stands beside a script in a request. */
const hashOf = (script: string): `0x${string}` => `0x${toHex(sha256(fromHex(script.slice(2))))}`

function paying(script: string): (draft: Mutable<Request>) => void {
  return ({ redeemDestination: redeem, renewDestination: renew, migrationDestination: move }) => {
    if (redeem) Object.assign(redeem, { outputScript: script, outputScriptHash: hashOf(script) })
    if (renew) {
      Object.assign(renew, { nextCovenantScript: script, nextCovenantScriptHash: hashOf(script) })
    }
    if (move) Object.assign(move, { depositScript: script, depositScriptHash: hashOf(script) })
  }
}

function refusal(options: SpendOptions, limits?: SpendLimits): string {
  const request = spendRequest(options)
  try {
    buildSpend(request, limits)
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidInput)
    return (error as InvalidInput).message
  }
  return 'built'
}

describe('the published spends', () => {
  it('builds, signs and hashes the self_v1 figures', () => {
    const spend = buildSpend(figureRequest('self_v1'))
    expect(toHex(spend.unsignedTransaction)).toBe(
      '01000000011f1e1d1c1b1a191817161514131211100f0e0d0c0b0a090807060504030201000000000000fdffffff02703a0f00000000002200208532ec6785e391b2af968b5728d574e271c7f46658f5ed10845d9ad5b23ac6d34a010000000000002200204ae81572f06e1b88fd5ced7a1a000945432e83e1551e6f721ee9c00b8cc33260d9eb0d00',
    )
    expect(spend.txid).toBe('18a118ce075026198626e6530eaffc6a090d8b9dff6942bd129c29d64fec97e9')
    expect(toHex(spend.sighash)).toBe(
      'c77bb50e7eda54e6a0a876446423a0f4b96550112d9e9dca6c1a015b977fed5e',
    )
    const signature = signSpend(spend, figureKeys.S)
    expect(`${toHex(signature)}01`).toBe(
      '3045022100a599fa0e97d8bc648aa0df96b5fe2875acf5a0f359c89dc8cad737b5eedda70e02206b7ecdb2d3e1d938d913d2663ca52c292e597156385933839e1b5de9edf69e3601',
    )
    const transaction = signedSpend(spend, signature)
    expect(psbtHash(transaction)).toBe(
      '0xaac9079079472233274c1c72728c7998d77018e4e08cd0be3588907d940e7c01',
    )
    const { scriptPubKey, inputValueSats: valueSats } = spend
    expect(checkSpend({ transaction, scriptPubKey, valueSats }).kind).toBe('valid')
  })

  it('builds and signs the qc_v1 figures', () => {
    const spend = buildSpend(figureRequest('qc_v1'))
    expect(toHex(spend.unsignedTransaction)).toBe(
      '01000000011f1e1d1c1b1a191817161514131211100f0e0d0c0b0a090807060504030201000000000000fdffffff02bc7a1e00000000002200208532ec6785e391b2af968b5728d574e271c7f46658f5ed10845d9ad5b23ac6d34a010000000000002200204ae81572f06e1b88fd5ced7a1a000945432e83e1551e6f721ee9c00b8cc33260d9eb0d00',
    )
    expect(spend.txid).toBe('83d4dd87b43aebd85c2d8123a50764ee6ad1bd4da6142a646c72edd4f24ee205')
    expect(toHex(spend.sighash)).toBe(
      'bb305d0d4b9a779aead8171bef824fedcda503b9b944a65e38d2d5ea8cd24cf4',
    )
    expect(`${toHex(signSpend(spend, figureKeys.S))}01`).toBe(
      '30440220634e5012fa484c572fb82d2d00e5775d4ef65c4b04af7dc7deb3ace98ce173d802207e9a2c4f7c4073f9f833997a9097cc9de809ee032510597d2749596b3aa1f0e101',
    )
  })

  it('takes no signature but the wallet key over this spend, in strict DER with a low S', () => {
    const spend = buildSpend(figureRequest('self_v1'))
    const { compressed } = figureKeys.S
    const signature = signSpend(spend, figureKeys.S)
    expect(verifiesSpend(spend, signature, compressed)).toBe(true)
    expect(verifiesSpend(spend, concatBytes(signature, Uint8Array.of(1)), compressed)).toBe(false)
    expect(verifiesSpend(spend, signSpend(spend, figureKeys.D), compressed)).toBe(false)
    const other = buildSpend(figureRequest('qc_v1'))
    expect(verifiesSpend(other, signature, compressed)).toBe(false)
  })
})

describe('what a spend may pay to', () => {
  it('wraps the deposit script of a MIGRATION', () => {
    const spend = buildSpend(spendRequest({ edit: paying('0xaa') }))
    const [destination, anchor] = parseTransaction(spend.unsignedTransaction).outputs
    expect(toHex(some(destination).script)).toBe(`0020${toHex(sha256(Uint8Array.of(0xaa)))}`)
    expect(some(anchor)).toEqual({
      valueSats: 330n,
      script: fromHex('00204ae81572f06e1b88fd5ced7a1a000945432e83e1551e6f721ee9c00b8cc33260'),
    })
  })

  it('wants a deposit script', () => {
    expect(refusal({ edit: paying('0x') })).toContain('migrationDestination.depositScript')
  })

  const dust = { p2pkh: 546n, p2sh: 540n, p2wpkh: 294n, p2wsh: 330n, p2tr: 330n } as const
  it.each(Object.entries(outputs))('redeems to %s from its dust limit on', (kind, script) => {
    const limit = dust[kind as keyof typeof dust]
    const base = { action: 'REDEEM', edit: paying(script), feeSats: 1000n } as const
    const enough = limit + 330n + 1000n
    const spend = buildSpend(spendRequest({ ...base, inputValueSats: enough }))
    const [destination] = parseTransaction(spend.unsignedTransaction).outputs
    expect(destination).toEqual({ valueSats: limit, script: fromHex(script.slice(2)) })
    expect(standardOutput(fromHex(script.slice(2)))?.kind).toBe(kind)
    expect(refusal({ ...base, inputValueSats: enough - 1n })).toBe(
      `request.migrationTransactionPlan.destinationValueSats must be at least the dust limit of ${limit} sat`,
    )
  })

  it.each([
    ['OP_TRUE', '0x51'],
    ['OP_RETURN', `0x6a04${repeat('00', 4)}`],
    ['a bare multisig', `0x5121${figureKeys.D.compressed.slice(2)}51ae`],
    ['a bare key', `0x21${figureKeys.D.compressed.slice(2)}ac`],
    ['a short P2WSH', `0x0020${repeat('b4', 31)}`],
    ['a long P2WPKH', `0x0014${repeat('b4', 21)}`],
    ['a later witness version', `0x5220${repeat('b4', 32)}`],
    ['a P2PKH with another end', `0x76a914${repeat('b1', 20)}88ad`],
  ])('redeems to no script like %s', (_, script) => {
    expect(refusal({ action: 'REDEEM', edit: paying(script) })).toBe(
      'request.redeemDestination.outputScript must be a P2PKH, P2SH, P2WPKH, P2WSH or P2TR script',
    )
  })

  it('renews to P2WSH alone', () => {
    expect(refusal({ action: 'RENEW', edit: paying(outputs.p2wsh) })).toBe('built')
    for (const script of [outputs.p2wpkh, outputs.p2tr, '0x51']) {
      expect(refusal({ action: 'RENEW', edit: paying(script) })).toBe(
        'request.renewDestination.nextCovenantScript must be a P2WSH output script',
      )
    }
  })

  it('refuses a migration below dust, and a fee above the cap', () => {
    expect(refusal({ inputValueSats: 330n + 330n + 10n, feeSats: 10n })).toBe('built')
    expect(refusal({ inputValueSats: 330n + 329n + 10n, feeSats: 10n })).toContain(
      'dust limit of 330',
    )
    expect(refusal({ feeSats: 2000n }, { feeSatsMax: 2000n })).toBe('built')
    expect(refusal({ feeSats: 2001n }, { feeSatsMax: 2000n })).toBe(
      'request.migrationTransactionPlan.feeSats must be at most 2000',
    )
  })

  it('refuses values beyond int64', () => {
    const feeSats = 1000n
    const most = 2n ** 63n - 1n
    expect(refusal({ inputValueSats: most + 330n + feeSats, feeSats })).toBe('built')
    expect(refusal({ inputValueSats: most + 331n + feeSats, feeSats })).toBe(
      'request.migrationTransactionPlan values must fit in int64',
    )
  })

  const plan =
    (change: object) =>
    ({ migrationTransactionPlan }: Mutable<Request>) =>
      void Object.assign(some(migrationTransactionPlan), change)
  it.each([
    ['planVersion', plan({ planVersion: 2 })],
    ['anchor', plan({ anchorValueSats: 331n, feeSats: 1_669n })],
    ['0xFFFFFFFD', plan({ inputSequence: 0xffffffff })],
    ['lockTime', plan({ lockTime: 912_344 })],
    ['values must satisfy', plan({ feeSats: 1_671n })],
    [
      'scriptTemplate.template',
      (draft: Mutable<Request>) => {
        draft.scriptTemplate = { ...draft.scriptTemplate, template: 'qc_v1' } as never
      },
    ],
    [
      'unsupported request.route',
      (draft: Mutable<Request>) => {
        draft.route = 'self_v2'
      },
    ],
  ])('holds the plan to its invariants: %s', (words, edit) => {
    expect(refusal({ edit })).toContain(words)
  })
})

describe('spends of random covenants', () => {
  const runs = Number(process.env.HOLDFAST_TEMPLATES ?? 300)
  const actions: readonly Action[] = ['MIGRATION', 'REDEEM', 'RENEW']

  it(`are the same in two other libraries, and both interpreters take them (${runs} of them)`, () => {
    const random = fc.record({
      route: fc.constantFrom<Route>('self_v1', 'qc_v1'),
      action: fc.constantFrom(...actions),
      keyBytes: fc.uniqueArray(fc.integer({ min: 1, max: 250 }), { minLength: 3, maxLength: 3 }),
      maturityHeight: fc.oneof(
        fc.constantFrom(1n, 16n, 17n, 127n, 128n, 255n, 256n, 32_767n, 32_768n, 8_388_608n),
        fc.bigInt({ min: 1n, max: 499_000_000n }),
      ),
      delta2: fc.bigInt({ min: 0n, max: 999_999n }),
      betaShare: fc.integer({ min: 0, max: 999 }),
      destinationValueSats: fc.bigInt({ min: 546n, max: 2_100_000_000_000_000n }),
      feeSats: fc.bigInt({ min: 1n, max: 1_000_000n }),
      vout: fc.integer({ min: 0, max: 0xffffffff }),
      txid: fc.uint8Array({ minLength: 32, maxLength: 32 }),
      script: fc.constantFrom(...Object.values(outputs)),
    })
    const check = fc.property(random, (drawn) => {
      const { route, action, maturityHeight, vout, destinationValueSats, feeSats } = drawn
      const [D, C, S] = drawn.keyBytes.map(testKey)
      const keys = { D: some(D), C: some(C), S: some(S) }
      const txid = toHex(drawn.txid)
      const script = action === 'RENEW' ? outputs.p2wsh : drawn.script
      const inputValueSats = destinationValueSats + feeSats + 330n
      const request = spendRequest({
        ...{ route, action, keys, maturityHeight, inputValueSats, feeSats },
        delta2: drawn.delta2,
        beta: (maturityHeight * BigInt(drawn.betaShare)) / 1000n,
        activeOutpoint: { txid: `0x${txid}`, vout, scriptHash: '' },
        edit: paying(script),
      })
      const spend = buildSpend(request)
      const raw = fromHex(script.slice(2))
      const destination = action === 'MIGRATION' ? concatBytes(fromHex('0020'), sha256(raw)) : raw
      const lockTime = Number(maturityHeight)
      const unsigned = toHex(spend.unsignedTransaction)
      expect(unsigned).toBe(
        builtByBcoin({ txid, vout, destination, destinationValueSats, lockTime }),
      )
      const ours = { txid: spend.txid, sighash: toHex(spend.sighash) }
      const opinions = secondOpinions(
        spend.unsignedTransaction,
        spend.witnessScript,
        inputValueSats,
      )
      expect(opinions).toEqual([ours, ours])
      const parsed = parseTransaction(spend.unsignedTransaction)
      const again = witnessSighash(parsed, 0, spend.witnessScript, inputValueSats)
      expect(toHex(again)).toBe(ours.sighash)
      const empty = new Uint8Array()
      const one = Uint8Array.of(1)
      const transaction =
        route === 'self_v1'
          ? signedSpend(spend, signSpend(spend, keys.S))
          : withWitness(spend, [
              empty,
              witnessSignature(spend, keys.S),
              witnessSignature(spend, keys.C),
              ...[one, empty, spend.witnessScript],
            ])
      const judged = { transaction, scriptPubKey: spend.scriptPubKey, valueSats: inputValueSats }
      expect(checkSpend(judged).kind).toBe('valid')
      expect([judgeByBcoin(judged), judgeByBitcore(judged)]).toEqual(['ok', 'ok'])
    })
    fc.assert(check, { numRuns: runs })
  }, 3_600_000)
})
