import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Outpoint } from '../../src/covenant/job.js'
import { keyPrint, outpointPrint, type Print, Prints, parsePrint } from '../../src/store/prints.js'

/** Fingerprints whose homes are few and stand around the end of the table, so that they push each other about. */
const crowded = fc
  .tuple(fc.integer({ min: 0, max: 1 }), fc.integer({ min: 1018, max: 1030 }))
  .map(([high, low]) => parsePrint(print(high, low)))
const change = fc.record({
  verb: fc.constantFrom('add', 'add', 'remove'),
  key: crowded,
  seq: fc.integer({ min: 1, max: 2 }).map(BigInt),
})

function print(high: number, low: number): string {
  return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0')
}

function sorted(seqs: readonly bigint[]): string {
  return [...seqs].sort((a, b) => Number(a - b)).join()
}

describe('the fingerprint table', () => {
  it('agrees with a map of sets after any adding and removing', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 400 }), (changes) => {
        const prints = new Prints()
        const oracle = new Map<Print, Set<bigint>>()
        for (const { verb, key, seq } of changes) {
          const held = oracle.get(key) ?? new Set()
          oracle.set(key, held)
          if (verb === 'add') {
            prints.add(key, seq)
            held.add(seq)
          } else {
            expect(prints.remove(key, seq)).toBe(held.delete(seq))
          }
        }
        expect(prints.size).toBe([...oracle.values()].reduce((sum, held) => sum + held.size, 0))
        for (const [key, held] of oracle) expect(sorted(prints.get(key))).toBe(sorted([...held]))
      }),
    )
  })

  it('grows by doubling and still finds everything, and finds nothing that was not added', () => {
    const prints = new Prints()
    const keys = Array.from({ length: 50_000 }, (_, n) => keyPrint('store', 'qc_v1', `key ${n}`))
    for (const [n, key] of keys.entries()) prints.add(key, BigInt(n + 1))
    expect(prints.size).toBe(50_000)
    expect(prints.sizeBytes).toBe(65_536 * 16)
    const wrong = keys.filter((key, n) => sorted(prints.get(key)) !== String(n + 1))
    expect(wrong).toEqual([])
    const foreign = keys.map((_, n) => keyPrint('store', 'self_v1', `key ${n}`))
    expect(foreign.filter((key) => prints.get(key).length > 0)).toEqual([])
    for (const [n, key] of keys.entries()) expect(prints.remove(key, BigInt(n + 1))).toBe(true)
    expect(keys.filter((key) => prints.get(key).length > 0)).toEqual([])
    expect(prints.size).toBe(0)
  })

  it('holds a million entries in 16 MiB', () => {
    const prints = new Prints()
    let state = 1
    const word = (): string => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return state.toString(16).padStart(8, '0')
    }
    const first = parsePrint(word() + word())
    prints.add(first, 1n)
    for (let n = 2; n <= 999_000; n += 1) prints.add(parsePrint(word() + word()), BigInt(n))
    expect(prints.size).toBe(999_000)
    expect(prints.sizeBytes).toBe(16 * 1024 * 1024)
    expect(prints.get(first)).toEqual([1n])
  })

  it('takes sequences from 1 to 2^53 - 1 only', () => {
    const prints = new Prints()
    const key = keyPrint('s', 'qc_v1', 'k')
    expect(() => prints.add(key, 0n)).toThrow(RangeError)
    expect(() => prints.add(key, 2n ** 53n)).toThrow(RangeError)
    prints.add(key, 2n ** 53n - 1n)
    expect(prints.get(key)).toEqual([2n ** 53n - 1n])
  })
})

describe('fingerprints', () => {
  it('depend on the store, on the route and on where one part ends', () => {
    const outpoint = 'k:1' as Outpoint
    const prints = [
      keyPrint('s', 'qc_v1', 'k'),
      keyPrint('t', 'qc_v1', 'k'),
      keyPrint('s', 'self_v1', 'k'),
      keyPrint('s', 'qc_v1', 'k1'),
      outpointPrint('s', outpoint),
      keyPrint('s', 'qc_v1', ''),
      keyPrint('s', 'qc_v1', '1:k'),
    ]
    expect(new Set(prints).size).toBe(prints.length)
    for (const each of prints) expect(parsePrint(each)).toBe(each)
  })
})
