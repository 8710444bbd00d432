import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRateBucket } from '../../src/base/rate-bucket.js'

function bucketAt(capacity: number, refillMs: number) {
  let now = 1_700_000_000_000
  const bucket = createRateBucket({ capacity, refillMs }, { nowMs: () => now })
  return {
    take: () => bucket.take(),
    advance: (ms: number) => {
      now += ms
    },
  }
}

describe('rate bucket', () => {
  it('is full at first and gives one token back each time', () => {
    const { take, advance } = bucketAt(3, 100)
    expect([take(), take(), take(), take()]).toEqual([true, true, true, false])
    advance(99)
    expect(take()).toBe(false)
    advance(1)
    expect([take(), take()]).toEqual([true, false])
    advance(10_000)
    expect([take(), take(), take(), take()]).toEqual([true, true, true, false])
  })

  it('does what a counter of fractional tokens does', () => {
    const steps = fc.array(fc.nat({ max: 400 }), { maxLength: 60 })
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 200 }),
        steps,
        (capacity, refillMs, waits) => {
          const { take, advance } = bucketAt(capacity, refillMs)
          let milliTokens = capacity * refillMs
          for (const wait of waits) {
            advance(wait)
            milliTokens = Math.min(capacity * refillMs, milliTokens + wait)
            const expected = milliTokens >= refillMs
            if (expected) milliTokens -= refillMs
            expect(take()).toBe(expected)
          }
        },
      ),
    )
  })

  it('is usable again after its clock was set back, within the time that an empty one needs', () => {
    const { take, advance } = bucketAt(2, 100)
    expect([take(), take()]).toEqual([true, true])
    advance(-3_600_000)
    expect(take()).toBe(false)
    advance(100)
    expect([take(), take()]).toEqual([true, false])
  })

  it('refuses bounds that make no sense', () => {
    for (const capacity of [0, 1.5, Number.NaN, 1_000_001]) {
      expect(() => bucketAt(capacity, 1)).toThrow(RangeError)
    }
    for (const refillMs of [0, -1, Number.POSITIVE_INFINITY]) {
      expect(() => bucketAt(1, refillMs)).toThrow(RangeError)
    }
  })
})
