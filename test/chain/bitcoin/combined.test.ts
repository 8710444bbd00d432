import { describe, expect, test } from 'vitest'
import { neverAborted } from '../../../src/base/abort.js'
import { bitcoinReader } from '../../../src/chain/bitcoin/combined.js'
import { BitcoinUnavailable } from '../../../src/chain/bitcoin/fault.js'
import type {
  CheckedBitcoinReader,
  Lookup,
  OutputStatus,
} from '../../../src/chain/bitcoin/reader.js'

type Answer = 'away' | 'missing' | OutputStatus['kind']
const txid = 'cd'.repeat(32)
const by = 'ef'.repeat(32)
const raw = Uint8Array.of(1, 2, 3)

/** A source that answers every question in one way, and counts them. */
function source(name: string, answer: Answer): CheckedBitcoinReader & { asked: number } {
  const tell = async <T>(value: T): Promise<Lookup<T>> => {
    reader.asked += 1
    if (answer === 'missing') return { kind: 'notFound', sources: [name] }
    if (answer !== 'away') return { kind: 'found', value, sources: [name] }
    const error = new BitcoinUnavailable(name, 'timeout', 'no answer')
    return { kind: 'unavailable', causes: [{ source: name, kind: 'timeout', error }] }
  }
  const status: OutputStatus =
    answer === 'spent' || answer === 'spentInMempool' ? { kind: answer, by } : { kind: 'unspent' }
  const reader = {
    asked: 0,
    rawTransaction: () => tell(raw),
    confirmations: () => tell(6),
    outputStatus: () => tell(status),
    tipHeight: () => tell(100),
    check: async () => [{ source: name, ok: answer !== 'away', detail: '', remedy: undefined }],
    close: async () => undefined,
  }
  return reader
}

function sources(answers: readonly Answer[]): (CheckedBitcoinReader & { asked: number })[] {
  return answers.map((answer, index) => source('ABCD'.charAt(index), answer))
}

describe('bitcoinReader', () => {
  test.each<{ answers: Answer[]; kind: string; says: string[]; asked: number }>([
    { answers: ['unspent', 'missing'], kind: 'found', says: ['A'], asked: 1 },
    { answers: ['away', 'unspent'], kind: 'found', says: ['B'], asked: 2 },
    { answers: ['missing', 'unspent'], kind: 'found', says: ['B'], asked: 2 },
    { answers: ['missing'], kind: 'notFound', says: ['A'], asked: 1 },
    { answers: ['missing', 'missing', 'unspent'], kind: 'notFound', says: ['A', 'B'], asked: 2 },
    { answers: ['missing', 'away', 'missing'], kind: 'notFound', says: ['A', 'C'], asked: 3 },
    { answers: ['missing', 'away', 'unspent'], kind: 'found', says: ['C'], asked: 3 },
    { answers: ['away', 'missing'], kind: 'notFound', says: ['B'], asked: 2 },
    { answers: ['away', 'away'], kind: 'unavailable', says: ['A', 'B'], asked: 2 },
  ])('finds a transaction: $answers is $kind by $says', async ({ answers, kind, says, asked }) => {
    for (const method of ['rawTransaction', 'confirmations'] as const) {
      const each = sources(answers)
      const answer = await bitcoinReader(each)[method](txid, neverAborted)
      expect(answer.kind).toBe(kind)
      expect(sayers(answer)).toEqual(says)
      expect(each.reduce((sum, one) => sum + one.asked, 0)).toBe(asked)
    }
  })

  test.each<{ answers: Answer[]; is: string; says: string[]; asked: number }>([
    { answers: ['unspent', 'spent'], is: 'unspent', says: ['A'], asked: 1 },
    { answers: ['away', 'unspent', 'spent'], is: 'unspent', says: ['B'], asked: 2 },
    { answers: ['missing', 'unspent', 'spent'], is: 'unspent', says: ['B'], asked: 2 },
    { answers: ['spent'], is: 'spent', says: ['A'], asked: 1 },
    { answers: ['spent', 'spent', 'unspent'], is: 'spent', says: ['A', 'B'], asked: 2 },
    { answers: ['spent', 'away', 'spent'], is: 'spent', says: ['A', 'C'], asked: 3 },
    { answers: ['spent', 'away'], is: 'spent', says: ['A'], asked: 2 },
    { answers: ['spent', 'missing'], is: 'spent', says: ['A'], asked: 2 },
    { answers: ['spent', 'unspent'], is: 'unavailable', says: ['B'], asked: 2 },
    { answers: ['spent', 'unspent', 'unspent'], is: 'unspent', says: ['B', 'C'], asked: 3 },
    { answers: ['spent', 'unspent', 'spent'], is: 'spent', says: ['A', 'C'], asked: 3 },
    { answers: ['spentInMempool', 'spent'], is: 'spentInMempool', says: ['A', 'B'], asked: 2 },
    { answers: ['spentInMempool', 'unspent'], is: 'spentInMempool', says: ['A'], asked: 2 },
    {
      answers: ['spentInMempool', 'unspent', 'unspent'],
      is: 'unspent',
      says: ['B', 'C'],
      asked: 3,
    },
    { answers: ['spent', 'spentInMempool', 'spent'], is: 'spent', says: ['A', 'C'], asked: 3 },
    { answers: ['spent', 'spentInMempool', 'unspent'], is: 'unavailable', says: ['C'], asked: 3 },
    { answers: ['missing', 'missing', 'spent'], is: 'notFound', says: ['A', 'B'], asked: 2 },
    { answers: ['missing', 'spent', 'missing'], is: 'spent', says: ['B'], asked: 3 },
    { answers: ['away', 'away'], is: 'unavailable', says: ['A', 'B'], asked: 2 },
  ])('judges an output: $answers is $is by $says', async ({ answers, is, says, asked }) => {
    const each = sources(answers)
    const answer = await bitcoinReader(each).outputStatus(txid, 0, neverAborted)
    expect(answer.kind === 'found' ? answer.value.kind : answer.kind).toBe(is)
    expect(sayers(answer)).toEqual(says)
    expect(each.reduce((sum, one) => sum + one.asked, 0)).toBe(asked)
  })

  test('asks nobody else once its caller has gone', async () => {
    const each = sources(['away', 'unspent'])
    const abort = new AbortController()
    const reader = bitcoinReader(each)
    const waiting = reader.tipHeight(abort.signal)
    abort.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'Aborted' })
    expect(each.map(({ asked }) => asked)).toEqual([1, 0])
  })

  test('checks every source', async () => {
    const checks = await bitcoinReader(sources(['away', 'unspent'])).check(neverAborted)
    expect(checks.map(({ source: name, ok }) => [name, ok])).toEqual([
      ['A', false],
      ['B', true],
    ])
  })

  test('closes every source, also when one cannot be closed', async () => {
    const closed: string[] = []
    const broken = { ...source('A', 'away'), close: () => Promise.reject(new Error('stuck')) }
    const whole = { ...source('B', 'away'), close: async () => void closed.push('B') }
    await expect(bitcoinReader([broken, whole]).close()).rejects.toThrow(/not all could be closed/)
    expect(closed).toEqual(['B'])
  })

  test('wants 1 to 8 sources', () => {
    expect(() => bitcoinReader([])).toThrow(RangeError)
    expect(() => bitcoinReader(Array.from({ length: 9 }, () => source('A', 'away')))).toThrow(
      RangeError,
    )
  })
})

function sayers(answer: Lookup<unknown>): readonly string[] {
  return answer.kind === 'unavailable' ? answer.causes.map((cause) => cause.source) : answer.sources
}
