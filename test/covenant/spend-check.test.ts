import { describe, expect, it } from 'vitest'
import { concatBytes, fromHex, toHex } from '../../src/base/bytes.js'
import { parseDerSignature } from '../../src/covenant/der.js'
import { op, pushOf, scriptNumber, witnessScriptHashOutput } from '../../src/covenant/script.js'
import { buildSpend, withWitness } from '../../src/covenant/spend.js'
import { checkSpend, type SpendFault } from '../../src/covenant/spend-check.js'
import { parseTransaction, witnessSighash } from '../../src/covenant/transaction.js'
import { encodeDer, some, type TestKey } from './factory.js'
import { judgeByBcoin, judgeByBitcore } from './interpreters.js'
import { figureKeys, figureRequest, witnessSignature } from './spends.js'

const { D, C, S } = figureKeys
const empty = new Uint8Array()
const one = Uint8Array.of(1)
const maturity = 912_345
const delta2 = 4320
const beta = 144
const order = 2n ** 256n - 0x14551231950b75fc4402da1732fc9bebfn

type Sign = (key: TestKey) => Uint8Array
type Case = {
  readonly route: 'self_v1' | 'qc_v1'
  readonly lockTime?: number
  readonly sequence?: number
  /** What signatures are made for, where it is not the output's value. */
  readonly signedSats?: bigint
  readonly stack: (sign: Sign) => readonly Uint8Array[]
  /** The script that the witness shows and the output pays to. */
  readonly script?: Uint8Array
}

/** One spend of a covenant, with lock time and sequence set after it was built. */
function made({ route, lockTime = maturity, sequence, signedSats, stack, script }: Case): {
  readonly transaction: Uint8Array
  readonly scriptPubKey: Uint8Array
  readonly valueSats: bigint
} {
  const spend = buildSpend(figureRequest(route))
  const witnessScript = script ?? spend.witnessScript
  const bytes = Uint8Array.from(spend.unsignedTransaction)
  const view = new DataView(bytes.buffer)
  view.setUint32(bytes.length - 4, lockTime, true)
  // version(4) | count(1) | txid(32) | vout(4) | script(1) | sequence(4)
  if (sequence !== undefined) view.setUint32(42, sequence, true)
  const valueSats = spend.inputValueSats
  const unsigned = parseTransaction(bytes)
  const sighash = witnessSighash(unsigned, 0, witnessScript, signedSats ?? valueSats)
  const items = stack((key) => witnessSignature({ sighash }, key))
  const transaction = withWitness({ unsignedTransaction: bytes }, [...items, witnessScript])
  return { transaction, scriptPubKey: witnessScriptHashOutput(witnessScript), valueSats }
}

/** The same signature with S replaced by order - S: sound, and refused by policy. */
function highS(signature: Uint8Array): Uint8Array {
  const compact = some(parseDerSignature(signature.subarray(0, -1)))
  const s = order - BigInt(`0x${toHex(compact.subarray(32))}`)
  const high = fromHex(s.toString(16).padStart(64, '0'))
  return concatBytes(encodeDer(concatBytes(compact.subarray(0, 32), high)), one)
}

/** The R of a DER signature with a zero byte too many: the same number in another encoding. */
function paddedDer(signature: Uint8Array): Uint8Array {
  const [, size = 0, tag = 0, rSize = 0] = signature
  return concatBytes(Uint8Array.of(0x30, size + 1, tag, rSize + 1, 0), signature.subarray(4))
}

const self = (change: Partial<Case> = {}): Case => ({
  route: 'self_v1',
  stack: (sign) => [sign(S), one, empty],
  ...change,
})
const qc = (change: Partial<Case> = {}): Case => ({
  route: 'qc_v1',
  stack: (sign) => [empty, sign(S), sign(C), one, empty],
  ...change,
})
const asMaturity = (signature: (sign: Sign) => Uint8Array): Case =>
  self({ stack: (sign) => [signature(sign), one, empty] })

describe('every path of both covenants', () => {
  const paths: readonly (readonly [string, Case])[] = [
    ['self_v1 cooperative', self({ stack: (sign) => [empty, sign(D), sign(S), one] })],
    [
      'self_v1 cooperative, before maturity',
      self({ lockTime: 0, stack: (sign) => [empty, sign(D), sign(S), one] }),
    ],
    ['self_v1 maturity', self()],
    ['self_v1 maturity, long after', self({ lockTime: 499_999_999 })],
    [
      'self_v1 last resort',
      self({ lockTime: maturity + delta2, stack: (sign) => [sign(D), empty, empty] }),
    ],
    ['qc_v1 cooperative', qc({ stack: (sign) => [empty, sign(D), sign(C), sign(S), one] })],
    ['qc_v1 maturity', qc()],
    [
      'qc_v1 early exit',
      qc({
        lockTime: maturity - beta,
        stack: (sign) => [empty, sign(D), sign(C), one, empty, empty],
      }),
    ],
    [
      'qc_v1 last resort',
      qc({ lockTime: maturity + delta2, stack: (sign) => [sign(D), empty, empty, empty] }),
    ],
  ]
  it.each(paths)('%s is taken by ours and by both interpreters', (_, path) => {
    const spend = made(path)
    expect([judgeByBcoin(spend), judgeByBitcore(spend)]).toEqual(['ok', 'ok'])
    expect(checkSpend(spend).kind).toBe('valid')
  })
})

describe('spends that nodes do not take', () => {
  const early = self({ lockTime: maturity, stack: (sign) => [sign(D), empty, empty] })
  const mutants: readonly (readonly [string, SpendFault, string, Case])[] = [
    ['another key', 'nullFail', 'NULLFAIL', asMaturity((sign) => sign(D))],
    ['another amount signed', 'nullFail', 'NULLFAIL', self({ signedSats: 1_000_001n })],
    [
      'selectors swapped',
      'stackShort',
      'INVALID_STACK_OPERATION',
      self({ stack: (sign) => [sign(S), empty, one] }),
    ],
    [
      'selector 02',
      'minimalIf',
      'MINIMALIF',
      self({ stack: (sign) => [sign(S), Uint8Array.of(2), empty] }),
    ],
    [
      'selector 0100',
      'minimalIf',
      'MINIMALIF',
      self({ stack: (sign) => [sign(S), Uint8Array.of(1, 0), empty] }),
    ],
    [
      'selector 00',
      'minimalIf',
      'MINIMALIF',
      self({ stack: (sign) => [sign(S), one, Uint8Array.of(0)] }),
    ],
    ['high S', 'highS', 'SIG_HIGH_S', asMaturity((sign) => highS(sign(S)))],
    ['padded R', 'signatureEncoding', 'SIG_DER', asMaturity((sign) => paddedDer(sign(S)))],
    [
      'no sighash type',
      'signatureEncoding',
      'SIG_DER',
      asMaturity((sign) => sign(S).subarray(0, -1)),
    ],
    [
      'sighash type 0',
      'sighashType',
      'SIG_HASHTYPE',
      asMaturity((sign) => concatBytes(sign(S).subarray(0, -1), Uint8Array.of(0))),
    ],
    ['an empty signature', 'evaluatesFalse', 'EVAL_FALSE', asMaturity(() => empty)],
    [
      'lock time M-1',
      'lockTimeUnsatisfied',
      'UNSATISFIED_LOCKTIME',
      self({ lockTime: maturity - 1 }),
    ],
    [
      'a lock time that is a time',
      'lockTimeUnsatisfied',
      'UNSATISFIED_LOCKTIME',
      self({ lockTime: 500_000_000 }),
    ],
    [
      'a final sequence',
      'lockTimeUnsatisfied',
      'UNSATISFIED_LOCKTIME',
      self({ sequence: 0xffffffff }),
    ],
    ['last resort at M', 'lockTimeUnsatisfied', 'UNSATISFIED_LOCKTIME', early],
    [
      'last resort at M+delta2-1',
      'lockTimeUnsatisfied',
      'UNSATISFIED_LOCKTIME',
      { ...early, lockTime: maturity + delta2 - 1 },
    ],
    [
      'an item too many',
      'cleanStack',
      'EVAL_FALSE',
      self({ stack: (sign) => [one, sign(S), one, empty] }),
    ],
    [
      'cooperative with the keys in another order',
      'nullFail',
      'NULLFAIL',
      self({ stack: (sign) => [empty, sign(S), sign(D), one] }),
    ],
    [
      'cooperative with one signature twice',
      'nullFail',
      'NULLFAIL',
      self({ stack: (sign) => [empty, sign(D), sign(D), one] }),
    ],
    [
      'qc_v1 signatures swapped',
      'nullFail',
      'NULLFAIL',
      qc({ stack: (sign) => [empty, sign(C), sign(S), one, empty] }),
    ],
    [
      'qc_v1 without the custodian',
      'evaluatesFalse',
      'EVAL_FALSE',
      qc({ stack: () => [empty, empty, empty, one, empty] }),
    ],
    [
      'qc_v1 dummy that is not empty',
      'nullDummy',
      'SIG_NULLDUMMY',
      qc({ stack: (sign) => [one, sign(S), sign(C), one, empty] }),
    ],
    [
      'qc_v1 without a dummy',
      'stackShort',
      'INVALID_STACK_OPERATION',
      qc({ stack: (sign) => [sign(S), sign(C), one, empty] }),
    ],
    [
      'qc_v1 maturity at M-beta',
      'lockTimeUnsatisfied',
      'UNSATISFIED_LOCKTIME',
      qc({ lockTime: maturity - beta }),
    ],
    [
      'qc_v1 early exit at M-beta-1',
      'lockTimeUnsatisfied',
      'UNSATISFIED_LOCKTIME',
      qc({
        lockTime: maturity - beta - 1,
        stack: (sign) => [empty, sign(D), sign(C), one, empty, empty],
      }),
    ],
    [
      'qc_v1 early exit by signer and custodian',
      'nullFail',
      'NULLFAIL',
      qc({ stack: (sign) => [empty, sign(S), sign(C), one, empty, empty] }),
    ],
  ]
  it.each(mutants)('refuses %s: %s, as both interpreters do', (_, reason, code, mutant) => {
    const spend = made(mutant)
    expect(checkSpend(spend)).toEqual({ kind: 'refused', reason })
    expect(judgeByBcoin(spend)).toBe(code)
    // This one checks no clean stack; see interpreters.ts.
    if (reason !== 'cleanStack') expect(judgeByBitcore(spend)).not.toBe('ok')
  })

  it('refuses a spend whose every single bit is flipped, unless both interpreters take it', () => {
    const spend = made(self())
    const { length } = spend.transaction
    // Witness bits, every fourth one: the interpreters take milliseconds for each.
    for (let bit = 8 * (length - 240); bit < 8 * length; bit += 4) {
      const transaction = Uint8Array.from(spend.transaction)
      transaction[bit >> 3] = (transaction[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      const ours = checkSpend({ ...spend, transaction })
      if (ours.kind === 'valid') expect(judgeByBcoin({ ...spend, transaction })).toBe('ok')
      const isLockTime = bit >= 8 * (length - 4)
      if (!isLockTime) expect(ours.kind).toBe('refused')
    }
  })
})

describe('scripts beside the covenants', () => {
  const key = pushOf(fromHex(S.compressed.slice(2)))
  const reason = (script: Uint8Array, stack: Case['stack'], lockTime = maturity): string => {
    const verdict = checkSpend(made(self({ script, stack, lockTime })))
    return verdict.kind === 'valid' ? 'valid' : verdict.reason
  }
  const byKey = concatBytes(key, Uint8Array.of(op.checkSig))
  const signed: Case['stack'] = (sign) => [sign(S)]

  it('runs what is made of known opcodes', () => {
    expect(reason(byKey, signed)).toBe('valid')
  })

  it.each([0x61, 0x76, 0x69, 0x87, 0xa9, 0xad, 0xb2, 0x50, 0x4c, 0x4f, 0xff])(
    'refuses the opcode %i that no covenant has',
    (code) => {
      expect(reason(concatBytes(byKey, Uint8Array.of(code)), signed)).toBe('foreignOpcode')
    },
  )

  it.each([
    ['an open IF', concatBytes(Uint8Array.of(0x51, op.if), byKey), 'unbalancedConditional'],
    ['a lone ELSE', Uint8Array.of(op.else), 'unbalancedConditional'],
    ['a lone ENDIF', Uint8Array.of(op.endif), 'unbalancedConditional'],
    ['a push that is cut off', Uint8Array.of(0x02, 0x01), 'pushSize'],
    ['a push that is too long for its value', Uint8Array.of(0x01, 0x05), 'minimalPush'],
    [
      'a height with a zero byte too many',
      concatBytes(fromHex('04d9eb0d00'), Uint8Array.of(op.checkLockTime, op.drop), byKey),
      'minimalNumber',
    ],
    [
      'a negative height',
      concatBytes(fromHex('0181'), Uint8Array.of(op.checkLockTime, op.drop), byKey),
      'lockTimeUnsatisfied',
    ],
    [
      'a height of 6 bytes',
      concatBytes(fromHex('06010203040506'), Uint8Array.of(op.checkLockTime, op.drop), byKey),
      'minimalNumber',
    ],
    [
      'an uncompressed key',
      concatBytes(pushOf(fromHex(S.uncompressed.slice(2))), Uint8Array.of(op.checkSig)),
      'publicKey',
    ],
  ])('refuses %s', (_, script, wanted) => {
    const spend = made(self({ script, stack: signed }))
    expect(reason(script, signed)).toBe(wanted)
    expect(judgeByBcoin(spend)).not.toBe('ok')
  })

  it.each([1, 16, 17, 128, 0x7fffffff, 0x80000000, 500_000_000])(
    'reads the lock time operand %i as both interpreters do',
    (height) => {
      const operand = pushOf(scriptNumber(BigInt(height)))
      const script = concatBytes(operand, Uint8Array.of(op.checkLockTime, op.drop), byKey)
      for (const lockTime of [height - 1, height, height + 1, 499_999_999]) {
        const spend = made(self({ script, stack: signed, lockTime }))
        const isTaken = judgeByBcoin(spend) === 'ok'
        expect(judgeByBitcore(spend) === 'ok').toBe(isTaken)
        expect(checkSpend(spend).kind === 'valid').toBe(isTaken)
      }
    },
  )
})

describe('spends that are no spend of the covenant', () => {
  it.each([
    ['no transaction', 'malformedTransaction', () => fromHex('00')],
    ['bytes after its end', 'malformedTransaction', (raw: Uint8Array) => concatBytes(raw, one)],
    ['no witness', 'witnessMissing', (raw: Uint8Array) => parseTransaction(raw).stripped],
    [
      'two inputs',
      'inputCount',
      (raw: Uint8Array) => {
        const { stripped } = parseTransaction(raw)
        const input = stripped.subarray(5, 46)
        const head = concatBytes(stripped.subarray(0, 4), Uint8Array.of(2), input, input)
        return concatBytes(head, stripped.subarray(46))
      },
    ],
    [
      'an input script',
      'scriptSigPresent',
      (raw: Uint8Array) => {
        const { stripped } = parseTransaction(raw)
        return concatBytes(stripped.subarray(0, 41), fromHex('0151'), stripped.subarray(42))
      },
    ],
  ])('refuses %s: %s', (_, reason, change) => {
    const spend = made(self())
    const transaction = change(spend.transaction)
    expect(checkSpend({ ...spend, transaction })).toEqual({ kind: 'refused', reason })
  })

  it('refuses another covenant, and another value', () => {
    const spend = made(self())
    const { scriptPubKey } = made(qc())
    expect(checkSpend({ ...spend, scriptPubKey })).toEqual({
      kind: 'refused',
      reason: 'otherScript',
    })
    expect(checkSpend({ ...spend, valueSats: spend.valueSats + 1n })).toEqual({
      kind: 'refused',
      reason: 'nullFail',
    })
  })

  it('refuses witness items that nodes do not relay', () => {
    const long = made(self({ stack: (sign) => [new Uint8Array(81), sign(S), one, empty] }))
    expect(checkSpend(long)).toEqual({ kind: 'refused', reason: 'witnessItems' })
  })
})
