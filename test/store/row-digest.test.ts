import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type DigestValue, rowDigest } from '../../src/store/row-digest.js'

const value: fc.Arbitrary<DigestValue> = fc.oneof(
  fc.constant(null),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.string({ unit: 'binary' }),
  fc.uint8Array({ maxLength: 64 }),
)
const row = fc.record({
  table: fc.string({ unit: 'grapheme-ascii', maxLength: 12 }),
  columns: fc.array(value, { maxLength: 6 }),
})
const hex = (table: string, columns: readonly DigestValue[]): string =>
  Buffer.from(rowDigest(table, columns)).toString('hex')

describe('the digest of a row', () => {
  it('is a known value', () => {
    // Checked against sha256sum over the bytes written out by hand.
    const columns = [null, 1n, 'ab', new Uint8Array([0xff])]
    expect(hex('t', columns)).toBe(
      '15c7b0662d59d8215866a2619eeeb3b4133b85baaf7e6e3f05024cae0768f160',
    )
  })

  it('is the same for the same row, also after rows of other sizes', () => {
    fc.assert(
      fc.property(row, row, (a, b) => {
        const first = hex(a.table, a.columns)
        hex(b.table, [...b.columns, new Uint8Array(20_000)])
        expect(hex(a.table, a.columns)).toBe(first)
      }),
    )
  })

  it('differs for rows that differ in table, number, type, order or content of columns', () => {
    const text = (one: { table: string; columns: readonly DigestValue[] }): string =>
      JSON.stringify([one.table, ...one.columns.map(describeValue)])
    fc.assert(
      fc.property(row, row, (a, b) => {
        expect(hex(a.table, a.columns) === hex(b.table, b.columns)).toBe(text(a) === text(b))
      }),
    )
    const pairs: [readonly DigestValue[], readonly DigestValue[]][] = [
      [
        ['a', 'b'],
        ['ab', ''],
      ],
      [[null], []],
      [['1'], [1n]],
      [['a'], [new Uint8Array([0x61])]],
      [[''], [null]],
      [
        [1n, 2n],
        [2n, 1n],
      ],
    ]
    for (const [a, b] of pairs) expect(hex('t', a)).not.toBe(hex('t', b))
  })
})

function describeValue(one: DigestValue): string {
  if (one instanceof Uint8Array) return `blob ${Buffer.from(one).toString('hex')}`
  if (typeof one === 'string') return `text ${Buffer.from(one).toString('hex')}`
  return `${typeof one} ${one}`
}
