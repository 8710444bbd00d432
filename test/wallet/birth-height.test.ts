import { describe, expect, it } from 'vitest'
import {
  InvalidBirthHeight,
  noCheckpoints,
  resolveBirthHeight,
} from '../../src/wallet/birth-height.js'

const checkpoints = [100, 900, 500]

describe('the birth height', () => {
  it('given by the caller wins, and 0 stays 0 (B5)', () => {
    expect(resolveBirthHeight({ explicit: 0, tip: 700n, checkpoints })).toBe(0)
    expect(resolveBirthHeight({ explicit: 42, tip: 700n, checkpoints })).toBe(42)
  })

  it('is else the tip when something is synced', () => {
    expect(resolveBirthHeight({ tip: 700n, checkpoints })).toBe(700)
  })

  it('is else the latest checkpoint (B5)', () => {
    expect(resolveBirthHeight({ tip: 0n, checkpoints })).toBe(900)
    expect(resolveBirthHeight({ checkpoints })).toBe(900)
  })

  it('is else 0', () => {
    expect(resolveBirthHeight({ tip: 0n, checkpoints: noCheckpoints.mainnet })).toBe(0)
    expect(resolveBirthHeight({})).toBe(0)
  })

  it('is never anything but a block height', () => {
    for (const explicit of [-1, 0.5, Number.NaN, 2 ** 32]) {
      expect(() => resolveBirthHeight({ explicit })).toThrow(InvalidBirthHeight)
    }
    expect(() => resolveBirthHeight({ tip: 2n ** 32n })).toThrow(InvalidBirthHeight)
    expect(resolveBirthHeight({ explicit: 2 ** 32 - 1 })).toBe(2 ** 32 - 1)
  })
})
