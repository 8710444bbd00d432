import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sha256, toHex } from '../../src/base/bytes.js'
import { InvalidInput } from '../../src/covenant/invalid-input.js'
import type { QcTemplate, SelfTemplate } from '../../src/covenant/request.js'
import {
  pushOf,
  scriptNumber,
  witnessScript,
  witnessScriptHashOutput,
} from '../../src/covenant/script.js'
import { figureKeys } from './spends.js'

const { D, C, S } = figureKeys
const self: SelfTemplate = {
  template: 'self_v1',
  depositorPublicKey: D.compressed,
  signerPublicKey: S.compressed,
  delta2: 4320n,
}
const qc: QcTemplate = {
  ...self,
  template: 'qc_v1',
  custodianPublicKey: C.compressed,
  beta: 144n,
}
const maturity = 912_345n
const [d, c, s] = [D, C, S].map(({ compressed }) => `21${compressed.slice(2)}`)
const scriptHex = (template: SelfTemplate | QcTemplate, height: bigint): string =>
  toHex(witnessScript(template, height))

describe('covenant scripts', () => {
  it('is the published self_v1 script, byte for byte of its table', () => {
    const rows = [
      `63 52 ${d} ${s} 52 ae`,
      `67 63 03d9eb0d b1 75 ${s} ac`,
      `67 03b9fc0d b1 75 ${d} ac 68 68`,
    ]
    const script = witnessScript(self, maturity)
    expect(toHex(script)).toBe(rows.join('').replaceAll(' ', ''))
    expect(toHex(script)).toBe(
      '6352210324653eac434488002cc06bbfb7f10fe18991e35f9fe4302dbea6d2353dc0ab1c2102989c0b76cb563971fdc9bef31ec06c3560f3249d6ee9e5d83c57625596e05f6f52ae676303d9eb0db1752102989c0b76cb563971fdc9bef31ec06c3560f3249d6ee9e5d83c57625596e05f6fac6703b9fc0db175210324653eac434488002cc06bbfb7f10fe18991e35f9fe4302dbea6d2353dc0ab1cac6868',
    )
    expect(script).toHaveLength(159)
    const output = witnessScriptHashOutput(script)
    expect(toHex(output)).toBe(
      '0020c98a2b4d04838e770fcf5b178e09a9ab466d10f4a768e4608cfc8862b3a92649',
    )
    expect(toHex(sha256(output))).toBe(
      'dcb2bec280d73f58740a8b05c7581a95916877d419b5d2cc6f628ee916ed5f3d',
    )
  })

  it('is the published qc_v1 script, byte for byte of its table', () => {
    const rows = [
      `63 53 ${d} ${c} ${s} 53 ae`,
      `67 63 03d9eb0d b1 75 52 ${s} ${c} 52 ae`,
      `67 63 0349eb0d b1 75 52 ${d} ${c} 52 ae`,
      `67 03b9fc0d b1 75 ${d} ac 68 68 68`,
    ]
    const script = witnessScript(qc, maturity)
    expect(toHex(script)).toBe(rows.join('').replaceAll(' ', ''))
    expect(script).toHaveLength(309)
    const output = witnessScriptHashOutput(script)
    expect(toHex(output)).toBe(
      '0020120bc613a035ed0d78d81dad7e43064c987d387e92c76376efbaddbb30a22163',
    )
    expect(toHex(sha256(output))).toBe(
      '458758ef26a1bf72f556ba72c8575abb08570f830a478cac148068135835c9c8',
    )
  })

  it.each([
    [0n, '00'],
    [1n, '51'],
    [16n, '60'],
    [17n, '0111'],
    [127n, '017f'],
    [128n, '028000'],
    [256n, '020001'],
    [32_768n, '03008000'],
    [912_345n, '03d9eb0d'],
    [2n ** 31n - 1n, '04ffffff7f'],
    [2n ** 31n, '050000008000'],
  ])('pushes the height %s as %s', (height, hex) => {
    expect(toHex(pushOf(scriptNumber(height)))).toBe(hex)
  })

  it('writes numbers that read back as themselves, in the fewest bytes', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 2n ** 39n - 1n }), (value) => {
        const bytes = scriptNumber(value)
        const back = bytes.reduceRight((high, byte) => high * 256n + BigInt(byte), 0n)
        expect(back).toBe(value)
        expect((bytes.at(-1) ?? 0x80) < 0x80).toBe(true)
        const isShorter = bytes.at(-1) !== 0 || (bytes.at(-2) ?? 0) >= 0x80
        expect(isShorter).toBe(true)
      }),
    )
  })

  it.each([1n, 16n, 17n, 127n, 128n])('takes the maturity height %s', (height) => {
    expect(scriptHex(self, height)).toContain(
      `6763${toHex(pushOf(scriptNumber(height)))}b175${s}ac67`,
    )
  })
})

describe('limits of covenant scripts', () => {
  const refused = (template: SelfTemplate | QcTemplate, height: bigint): string => {
    try {
      witnessScript(template, height)
    } catch (error) {
      expect(error).toBeInstanceOf(InvalidInput)
      return (error as InvalidInput).message
    }
    return 'taken'
  }
  const last = 499_999_999n

  it('refuses the maturity height 0', () => {
    expect(refused(self, 0n)).toBe('request.maturityHeight must be greater than zero')
    expect(refused(self, -1n)).toBe('request.maturityHeight must be greater than zero')
  })

  it('takes the last height that is no time, and refuses the first time', () => {
    const late = 'request.maturityHeight plus request.scriptTemplate.delta2 must be a block height'
    expect(refused({ ...self, delta2: 0n }, last)).toBe('taken')
    expect(refused({ ...self, delta2: 0n }, last + 1n)).toContain(late)
    expect(refused({ ...self, delta2: 10n }, last - 10n)).toBe('taken')
    expect(refused({ ...self, delta2: 11n }, last - 10n)).toContain(late)
    expect(refused({ ...qc, delta2: 11n }, last - 10n)).toContain(late)
  })

  it.each([2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 64n - 1n])(
    'refuses %s as maturity height and as delta2',
    (value) => {
      expect(refused(self, value)).toContain('must be a block height below 500000000')
      expect(refused({ ...self, delta2: value }, 1n)).toContain('must be a block height')
    },
  )

  it('wants beta below the maturity height', () => {
    expect(refused({ ...qc, beta: 9n }, 10n)).toBe('taken')
    expect(refused({ ...qc, beta: 10n }, 10n)).toBe(
      'request.scriptTemplate.beta must be less than request.maturityHeight',
    )
    expect(refused({ ...qc, beta: 2n ** 32n }, 10n)).toContain('beta must be less than')
  })

  it('refuses keys that stand twice, in any letter case', () => {
    const loud = `0x${D.compressed.slice(2).toUpperCase()}` as const
    expect(refused({ ...self, signerPublicKey: loud }, maturity)).toBe(
      'request.scriptTemplate.signerPublicKey must differ from request.scriptTemplate.depositorPublicKey',
    )
    expect(refused({ ...qc, custodianPublicKey: loud }, maturity)).toContain('must differ')
    expect(refused({ ...qc, custodianPublicKey: S.compressed }, maturity)).toContain('must differ')
    expect(refused({ ...qc, signerPublicKey: D.compressed }, maturity)).toContain('must differ')
  })

  it.each([
    ['uncompressed', D.uncompressed],
    ['off the curve', `0x02${'ff'.repeat(32)}`],
    ['without prefix', D.compressed.slice(2)],
    ['empty', ''],
  ])('refuses a key that is %s', (_, key) => {
    expect(refused({ ...self, depositorPublicKey: key }, maturity)).toBe(
      'request.scriptTemplate.depositorPublicKey must be a compressed secp256k1 public key',
    )
  })
})
