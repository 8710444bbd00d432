import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalText, sortedByUtf8, wellFormed } from '../../src/covenant/canonical.js'
import type { Request } from '../../src/covenant/index.js'
import { canonicalRequest, decodeRequest } from '../../src/covenant/index.js'
import { anyText, randomFrom, wireRecord, writeWire } from './request-arbitrary.js'
import { canonicalOf, canonicalString, expectDecoded } from './request-oracle.js'
import { example, requestFrom } from './vectors.js'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

describe('canonical text', () => {
  it('escapes what section 5 lists, and nothing else', () => {
    expect(canonicalText('"\\\n\r\t\b\f\0\x1f')).toBe('"\\"\\\\\\n\\r\\t\\b\\f\\u0000\\u001f"')
    expect(canonicalText('\u2028\u2029')).toBe('"\\u2028\\u2029"')
    expect(canonicalText('<>&/\x7f\u0080é\ufeff😀')).toBe('"<>&/\x7f\u0080é\ufeff😀"')
    expect(canonicalText('\ud800x\udc00')).toBe('"\ufffdx\ufffd"')
  })

  it('is JSON.stringify with two more escapes, for every UTF-16 unit', () => {
    for (let unit = 0; unit <= 0xffff; unit++) {
      const text = String.fromCharCode(unit)
      const expected =
        unit === 0x2028 || unit === 0x2029
          ? `"\\u${unit.toString(16)}"`
          : JSON.stringify(wellFormed(text))
      if (canonicalText(text) !== expected) expect(canonicalText(text)).toBe(expected)
    }
    expect(canonicalText('\ud7ff')).toBe('"\ud7ff"')
  })

  it('agrees with a writer that goes character by character, and reads back', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const written = canonicalText(text)
        expect(written).toBe(canonicalString(text))
        expect(JSON.parse(written)).toBe(wellFormed(text))
      }),
      { numRuns: 2000 },
    )
  })
})

it('map keys are sorted by UTF-8 bytes, not by UTF-16 units', () => {
  const map = new Map([...'\u{10000}b\uffeea'].map((key, i) => [key, i]))
  expect(sortedByUtf8(map).map(([key]) => key)).toEqual(['a', 'b', '\uffee', '\u{10000}'])
})

describe('a canonical request', () => {
  const base = (): Request => requestFrom(example('qc_v1_migration_with_certificate').request)

  it('tells absent artifacts from none, and a given action from an absent one', () => {
    expect(canonicalRequest({ ...base(), artifacts: null })).toContain('"artifacts":null,')
    expect(canonicalRequest({ ...base(), artifacts: new Map() })).toContain('"artifacts":{},')
    expect(canonicalRequest({ ...base(), artifactSignatures: null })).toContain(
      '"artifactSignatures":null,',
    )
    expect(canonicalRequest(base())).not.toContain('"action"')
    const given = canonicalRequest({ ...base(), action: 'MIGRATION' })
    expect(given).toContain('"route":"qc_v1","action":"MIGRATION","strategy"')
  })

  it('leaves empty member lists out, and writes an absent endBlock and quoted plan as null', () => {
    const { signerApproval } = base()
    if (signerApproval === undefined) throw new RangeError('no certificate')
    const bare = { ...signerApproval, activeMembers: [], inactiveMembers: [], endBlock: null }
    const quote = requestFrom({ migrationPlanQuote: {} }).migrationPlanQuote
    const text = canonicalRequest({ ...base(), signerApproval: bare, migrationPlanQuote: quote })
    expect(text).toContain(`"signature":"${signerApproval.signature}","endBlock":null}`)
    expect(text).toContain(
      '"planCommitmentHash":"","migrationTransactionPlan":null,"idempotencyKey"',
    )
  })

  it('writes 64-bit integers digit by digit, and refuses what is none', () => {
    expect(canonicalRequest({ ...base(), epoch: 2n ** 64n - 1n })).toContain(
      '"epoch":18446744073709551615,',
    )
    for (const epoch of [2n ** 64n, -1n]) {
      expect(() => canonicalRequest({ ...base(), epoch })).toThrow(RangeError)
    }
    for (const vout of [2 ** 32, 1.5, Number.NaN]) {
      const activeOutpoint = { ...base().activeOutpoint, vout }
      expect(() => canonicalRequest({ ...base(), activeOutpoint })).toThrow(RangeError)
    }
  })

  it('of any request is what the tables of section 4 say, and decodes to the same request', () => {
    fc.assert(
      fc.property(wireRecord('Request'), fc.nat(), (node, seed) => {
        const body = bytes(writeWire(node, randomFrom(seed)))
        const request = decodeRequest(body)
        if ('invalid' in request.scriptTemplate) {
          expect(() => canonicalRequest(request)).toThrow(RangeError)
          return
        }
        const text = canonicalRequest(request)
        expect(text).toBe(canonicalOf('Request', expectDecoded('Request', body) as object))
        expect(decodeRequest(bytes(text))).toEqual(request)
      }),
      { numRuns: 300 },
    )
  })
})
