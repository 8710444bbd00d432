import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  failureReasons,
  type Outpoint,
  parseRequestId,
  type RequestId,
} from '../../src/covenant/job.js'
import type { Hex } from '../../src/covenant/request.js'
import type { LedgerEntry } from '../../src/store/ledger-entry.js'
import { decodeLine, encodeLine, zeroHash } from '../../src/store/ledger-line.js'
import { parsePrint } from '../../src/store/prints.js'
import { accept, mixed } from './ledger-fixture.js'

const at = '2026-11-21T12:00:00.005Z'

function digits(length: number): fc.Arbitrary<string> {
  const digit = fc.constantFrom(...'0123456789abcdef')
  return fc.string({ unit: digit, minLength: length, maxLength: length })
}

const text = fc.string({ unit: 'binary', maxLength: 40 })
const hash = digits(64)
const print = digits(16).map(parsePrint)
const seq = fc.bigInt({ min: 1n, max: 999_999_999_999n })
const hex32 = hash.map((value) => `0x${value}` as Hex)
const requestId: fc.Arbitrary<RequestId> = digits(16).map((d) => parseRequestId(`kcs_self_${d}`))
const outpoint = fc.tuple(hash, fc.nat()).map(([txid, vout]) => `${txid}:${vout}` as Outpoint)

const transition = fc.record(
  {
    state: fc.constantFrom('ARTIFACT_READY', 'HANDOFF_READY', 'FAILED'),
    detail: text,
    reason: fc.constantFrom(...failureReasons),
    psbtHash: hex32,
    transactionHex: hex32,
    handoff: fc.dictionary(text, fc.jsonValue({ maxDepth: 3 })),
  },
  { requiredKeys: ['state', 'detail'] },
)

const entry: fc.Arbitrary<LedgerEntry> = fc.oneof(
  fc.record({ kind: fc.constant('genesis'), storeId: text }),
  fc.record({ kind: fc.constant('segment'), storeId: text, previous: text }),
  fc.record({
    ...{ kind: fc.constant('accept'), print, outpointPrint: print, rowDigest: hash },
    ...{ route: fc.constantFrom('qc_v1', 'self_v1'), routeRequestId: text, requestId },
    ...{ requestDigest: hex32, outpoint, depositorEthAddress: text, createdAt: text },
  }),
  fc.record({
    ...{ kind: fc.constant('intend'), job: seq, outpointPrint: print, rowDigest: hash },
    ...{ requestId, outpoint, sighash: hex32, unsignedTransaction: hex32 },
  }),
  fc.record({
    ...{ kind: fc.constant('settle'), job: seq, rowDigest: hash, requestId, transition },
    ...{ updatedAt: text, releasedIntent: fc.boolean() },
  }),
  fc.record({ kind: fc.constant('operate'), who: text, what: text, why: text, subject: text }),
  fc.record({
    ...{ kind: fc.constant('repair'), segment: text },
    ...{ fromSeq: seq, toSeq: seq, foundHash: hash },
  }),
) as fc.Arbitrary<LedgerEntry>

const place = fc.record({ seq, again: seq, prev: hash }, { requiredKeys: ['seq', 'prev'] })

describe('a ledger line', () => {
  it('reads back as it was written, whatever the texts hold', () => {
    fc.assert(
      fc.property(place, entry, (where, what) => {
        const { bytes, hash } = encodeLine({ ...where, at }, what)
        const line = { ...where, at, entry: what, hash }
        expect(bytes.indexOf(0x0a)).toBe(bytes.length - 1)
        // JSON has no minus zero and no undefined.
        const plain = JSON.parse(JSON.stringify(what, bigints)) as unknown
        const decoded = decodeLine(bytes)
        if (decoded.kind === 'damaged') throw new Error(decoded.reason)
        expect({ ...decoded.line, entry: undefined }).toEqual({ ...line, entry: undefined })
        expect(JSON.parse(JSON.stringify(decoded.line.entry, bigints))).toEqual(plain)
      }),
      { numRuns: 500 },
    )
  })

  it('has exactly this form, and its hash is that of the bytes before it', () => {
    const { bytes, hash } = encodeLine({ seq: 7n, at, again: 3n, prev: zeroHash }, accept(1))
    const body =
      `{"v":1,"seq":7,"at":"${at}","kind":"accept","again":3,"print":"${accept(1).print}",` +
      `"outpointPrint":"${accept(1).outpointPrint}","rowDigest":"${'b'.repeat(64)}",` +
      '"route":"qc_v1","routeRequestId":"route-1","requestId":"kcs_qc_0000000000000001",' +
      `"requestDigest":"0x${'c'.repeat(64)}","outpoint":"${'0'.repeat(63)}1:1",` +
      `"depositorEthAddress":"0x${'d'.repeat(40)}","createdAt":"2026-11-21T12:00:00.123456789Z",` +
      `"prev":"${zeroHash}"`
    expect(hash).toBe(createHash('sha256').update(body).digest('hex'))
    expect(bytes.toString()).toBe(`${body},"hash":"${hash}"}\n`)
  })

  it('is damaged when any one bit is another', () => {
    for (const what of mixed) {
      const { bytes } = encodeLine({ seq: 12n, at, prev: zeroHash }, what)
      for (let offset = 0; offset < bytes.length; offset += 1) {
        const flipped = Buffer.from(bytes)
        flipped[offset] = (flipped[offset] ?? 0) ^ (1 << (offset % 8))
        expect(decodeLine(flipped).kind, `offset ${offset}`).toBe('damaged')
      }
    }
  })

  it('is damaged when cut anywhere or followed by anything', () => {
    const { bytes } = encodeLine({ seq: 12n, at, prev: zeroHash }, accept(3))
    for (let length = 0; length < bytes.length; length += 1) {
      expect(decodeLine(bytes.subarray(0, length)).kind).toBe('damaged')
    }
    expect(decodeLine(Buffer.concat([bytes, bytes])).kind).toBe('damaged')
    expect(decodeLine(bytes).kind).toBe('line')
  })

  it('is damaged when its hash is good but its form is not ours', () => {
    const { bytes } = encodeLine({ seq: 12n, at, prev: zeroHash }, accept(3))
    const other = (from: string, to: string): Buffer => {
      const body = bytes.toString().replace(from, to).split(',"hash":"')[0] ?? ''
      const hash = createHash('sha256').update(body).digest('hex')
      return Buffer.from(`${body},"hash":"${hash}"}\n`)
    }
    expect(decodeLine(other('x', 'x')).kind).toBe('line')
    for (const [from, to] of [
      ['"v":1', '"v":2'],
      ['"seq":12', '"seq":012'],
      ['"route":"qc_v1"', '"route":"qc_v2"'],
      ['"route":"qc_v1",', ''],
      ['"route":"qc_v1",', '"route":"qc_v1","more":1,'],
      ['"route":"qc_v1"', '"route": "qc_v1"'],
      ['"route":"qc_v1"', '"route":"qc\\u005fv1"'],
      ['kcs_qc_', 'kcs_xx_'],
    ] as const) {
      expect(decodeLine(other(from, to)).kind, to).toBe('damaged')
    }
  })

  it('is refused when it would be too long or its sequence too large', () => {
    const long = { ...accept(1), routeRequestId: 'x'.repeat(9 * 1024 * 1024) }
    expect(() => encodeLine({ seq: 1n, at, prev: zeroHash }, long)).toThrow(RangeError)
    const far = { seq: 1_000_000_000_000n, at, prev: zeroHash }
    expect(() => encodeLine(far, accept(1))).toThrow(RangeError)
  })
})

function bigints(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}
