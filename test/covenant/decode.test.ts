import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeIssue,
  decodePoll,
  decodeRequest,
  decodeSubmit,
  MalformedBody,
} from '../../src/covenant/index.js'
import { decodeMutatedBodies, decodeOrUndefined } from './mutated-bodies.js'
import { anyText, randomFrom, wireRecord, writeWire } from './request-arbitrary.js'
import { expectDecoded } from './request-oracle.js'

type Examples = { readonly examples: Record<string, { readonly request: Record<string, unknown> }> }
const { examples } = JSON.parse(
  readFileSync(new URL('../vectors/covenant_v2_worked_examples.json', import.meta.url), 'utf8'),
) as Examples

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const submit = (request: string): Uint8Array =>
  bytes(`{"routeRequestId":"r1","request":${request},"stage":"SIGNER_COORDINATION"}`)
const bodies = Object.values(examples).map(({ request }) => submit(JSON.stringify(request)))

describe('a submit body', () => {
  it('is decoded into its three fields', () => {
    const input = decodeSubmit(submit('{"facadeRequestId":"f"}'))
    expect(input).toMatchObject({ routeRequestId: 'r1', stage: 'SIGNER_COORDINATION' })
    expect(input.request.facadeRequestId).toBe('f')
  })

  it('keeps every digit of 64-bit fields, and numbers of 32-bit fields', () => {
    const { request } = decodeSubmit(
      submit(
        '{"epoch":9007199254740993,"maturityHeight":18446744073709551615,' +
          '"activeOutpoint":{"vout":4294967295},"signerApproval":{"endBlock":9007199254740995}}',
      ),
    )
    expect(request.epoch).toBe(9007199254740993n)
    expect(request.maturityHeight).toBe(18446744073709551615n)
    expect(request.activeOutpoint.vout).toBe(4294967295)
    expect(request.signerApproval?.endBlock).toBe(9007199254740995n)
  })

  it.each([
    '1.0',
    '1e3',
    '-1',
    '-0',
    '"1"',
    '18446744073709551616',
    '1'.repeat(400),
    'true',
    '[]',
    '{}',
  ])('with %s for a 64-bit field is malformed', (value) => {
    expect(() => decodeSubmit(submit(`{"epoch":${value}}`))).toThrow(MalformedBody)
  })

  it('with 2^32 for a 32-bit field is malformed', () => {
    const body = submit('{"activeOutpoint":{"vout":4294967296}}')
    expect(() => decodeSubmit(body)).toThrow('request.activeOutpoint.vout is not an integer')
  })

  it('gives the same for null as for an absent field', () => {
    const every = Object.fromEntries(
      Object.keys(examples.qc_v1_migration?.request ?? {}).map((k) => [k, null]),
    )
    const nulls = {
      ...every,
      route: 'qc_v1',
      action: null,
      signerApproval: null,
      migrationPlanQuote: null,
    }
    const absent = decodeSubmit(submit('{"route":"qc_v1"}'))
    expect(decodeSubmit(submit(JSON.stringify(nulls)))).toEqual(absent)
    expect(absent.request).toMatchObject({
      action: '',
      epoch: 0n,
      activeOutpoint: { txid: '', vout: 0, scriptHash: '' },
      artifactSignatures: null,
      artifacts: null,
      signing: { signerRequired: false, custodianRequired: false },
      scriptTemplate: { template: '', custodianPublicKey: '', beta: 0n },
    })
    expect(absent.request.migrationDestination).toBeUndefined()
    expect(decodeSubmit(bytes('null'))).toEqual(decodeSubmit(bytes('{}')))
  })

  it('tells an absent endBlock from zero, and absent artifacts from none', () => {
    const { request } = decodeSubmit(submit('{"signerApproval":{},"artifacts":{}}'))
    expect(request.signerApproval?.endBlock).toBeNull()
    expect(request.artifacts).toEqual(new Map())
    const zero = decodeSubmit(submit('{"signerApproval":{"endBlock":0}}'))
    expect(zero.request.signerApproval?.endBlock).toBe(0n)
  })

  it.each([
    ['in the envelope', '{"extra":1}'],
    ['that differs in case', '{"Stage":"x"}'],
    ['in the request', '{"request":{"extra":null}}'],
    ['deeper', '{"request":{"artifactApprovals":{"approvals":[{"rule":1}]}}}'],
    ['in an artifact', '{"request":{"artifacts":{"any":{"extra":1}}}}'],
    ['named __proto__', '{"__proto__":{"stage":"x"}}'],
    ['named constructor', '{"request":{"constructor":null}}'],
  ])('with an unknown field %s is malformed', (_, body) => {
    expect(() => decodeSubmit(bytes(body))).toThrow('unknown field')
  })

  it.each([
    '{"stage":"a","stage":"b"}',
    '{"stage":"a","stage":"a"}',
    '{"request":{"artifacts":[],"artifacts":{}}}',
    '{"request":{"artifacts":{"\\ud800":{},"\\ud801":{}}}}',
    '{"request":{"scriptTemplate":{"beta":1,"b\\u0065ta":1}}}',
  ])('that repeats a key is malformed: %s', (body) => {
    expect(() => decodeSubmit(bytes(body))).toThrow('repeats a key')
  })

  it('takes any key in artifacts, and harms no prototype by it', () => {
    const { request } = decodeSubmit(
      submit('{"artifacts":{"__proto__":{"psbtHash":"0xAA"},"constructor":null,"1":{}}}'),
    )
    expect([...(request.artifacts?.keys() ?? [])].sort()).toEqual(['1', '__proto__', 'constructor'])
    expect(request.artifacts?.get('__proto__')?.psbtHash).toBe('0xAA')
    expect(({} as Record<string, unknown>).psbtHash).toBeUndefined()
  })

  it.each([
    '',
    ' ',
    '{} {}',
    '{}null',
    '{},',
    '\ufeff{}',
    '{"stage":"a",}',
    "{'stage':'a'}",
    '[]',
    '"x"',
    '{"stage":"\t"}',
  ])('that is not exactly one object is malformed: %j', (body) => {
    expect(() => decodeSubmit(bytes(body))).toThrow(MalformedBody)
  })

  it('may be 2 MiB long with its blanks, and not a byte longer', () => {
    const most = bytes(`{}${' '.repeat(2 * 1024 * 1024 - 2)}`)
    expect(decodeSubmit(most).stage).toBe('')
    expect(() => decodeSubmit(bytes(`{}${' '.repeat(2 * 1024 * 1024 - 1)}`))).toThrow('is longer')
  })

  it('that nests deep is refused before the parser could overflow the stack', () => {
    const deep = (open: string, close: string): Uint8Array =>
      submit(`{"scriptTemplate":${open.repeat(200_000)}1${close.repeat(200_000)}}`)
    expect(() => decodeSubmit(deep('[', ']'))).toThrow('nests deeper')
    expect(() => decodeSubmit(deep('{"a":', '}'))).toThrow('nests deeper')
    expect(() => decodeSubmit(bytes('['.repeat(1_000_000)))).toThrow('nests deeper')
  })

  it('may hold any number of brackets in texts', () => {
    expect(decodeSubmit(bytes(`{"stage":"${'[{\\"'.repeat(300)}"}`)).stage).toHaveLength(900)
  })

  it('turns lone surrogates and each broken byte into U+FFFD', () => {
    expect(decodeSubmit(bytes('{"stage":"a\\ud800b\\udc00\\ud83d\\ude00"}')).stage).toBe(
      'a\ufffdb\ufffd😀',
    )
    const broken = Buffer.from('{"stage":"\xe2\x82|\xed\xa0\x80|\xff|\xc3\xa9"}', 'latin1')
    expect(decodeSubmit(broken).stage).toBe('\ufffd\ufffd|\ufffd\ufffd\ufffd|\ufffd|é')
    expect(decodeSubmit(bytes('{"stage":"\ufeffx"}')).stage).toBe('\ufeffx')
  })

  it.each([
    ['an unknown field', '"qc_v1"', '{"template":"qc_v1","extra":1}'],
    ['a field of the other route', '"self_v1"', '{"beta":1}'],
    ['a wrong type', '"self_v1"', '{"delta2":"1"}'],
    ['no object', '"self_v1"', '5'],
    ['a route that does not exist', '"other"', '{}'],
  ])('with a template that has %s leaves the verdict to validation', (_, route, template) => {
    const { request } = decodeSubmit(submit(`{"route":${route},"scriptTemplate":${template}}`))
    expect(request.scriptTemplate).toHaveProperty('invalid')
  })
})

it('a poll body may name its request, and an issue body takes no other field', () => {
  expect(decodePoll(bytes('{"requestId":"kcs_qc_1","stage":"s"}')).requestId).toBe('kcs_qc_1')
  expect(decodePoll(bytes('{}')).requestId).toBe('')
  expect(() => decodeSubmit(bytes('{"requestId":"x"}'))).toThrow(MalformedBody)
  const issue = decodeIssue(bytes('{"walletPublicKeyHash":"0xAA","endBlock":18446744073709551615}'))
  expect(issue).toMatchObject({ walletPublicKeyHash: '0xAA', endBlock: 2n ** 64n - 1n })
  expect(issue.artifactApprovals).toMatchObject({
    approvals: null,
    payload: { approvalVersion: 0 },
  })
  expect(() => decodeIssue(bytes('{"approvalDigest":"0x00"}'))).toThrow(MalformedBody)
})

describe('compared with the oracle', () => {
  it.each([
    ['Submit', decodeOrUndefined],
    ['Poll', (body: Uint8Array): unknown => withoutReason(decodePoll(body))],
    ['Issue', decodeIssue],
  ] as const)('%s bodies in any order, spacing and escaping read the same', (record, decode) => {
    fc.assert(
      fc.property(wireRecord(record), fc.nat(), (node, seed) => {
        const body = bytes(writeWire(node, randomFrom(seed)))
        const expected = expectDecoded(record, body)
        expect(expected).toBeDefined()
        expect(decode(body)).toEqual(expected)
      }),
      { numRuns: 300 },
    )
  })

  it('bodies of arbitrary bytes are read or refused alike', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 3 }),
      fc
        .constantFrom(
          '{',
          '}',
          '"',
          ':',
          ',',
          '[',
          ']',
          '"stage"',
          '"request"',
          'null',
          '1',
          ' ',
          '\\',
        )
        .map(bytes),
      anyText.map(bytes),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const body = Buffer.concat([bytes('{"stage":"'), ...pieces])
        expect(decodeOrUndefined(body)).toEqual(expectDecoded('Submit', body))
      }),
      { numRuns: 1000 },
    )
  })

  it('texts of broken UTF-8 are read alike, byte for byte', () => {
    const edges = [
      0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1,
    ]
    const byte = fc.constantFrom(0x61, ...edges, 0xf4, 0xf5, 0xff)
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 8 }), (text) => {
        const body = Uint8Array.from([...bytes('{"stage":"'), ...text, ...bytes('"}')])
        expect(decodeOrUndefined(body)).toEqual(expectDecoded('Submit', body))
      }),
      { numRuns: 3000 },
    )
  })

  it('mutated bodies are read or refused alike', () => {
    const report = decodeMutatedBodies([...bodies, fullBody()], 2_000, 20)
    expect(report.disagreements).toEqual([])
    expect(report.accepted).toBeGreaterThan(200)
    expect(report.refused).toBeGreaterThan(500)
  })
})

function withoutReason<T extends { readonly request: { readonly scriptTemplate: object } }>(
  input: T,
): unknown {
  if (!('invalid' in input.request.scriptTemplate)) return input
  return { ...input, request: { ...input.request, scriptTemplate: { invalid: '' } } }
}

/** A request that has every optional record. */
function fullBody(): Uint8Array {
  const request = { ...examples.qc_v1_migration_with_certificate?.request }
  const destination = examples.self_v1_redeem?.request.redeemDestination
  const artifacts = { MIGRATION: { psbtHash: '0x01', transactionHex: '0xAB' }, é: {} }
  const migrationPlanQuote = {
    quoteId: 'q',
    migrationTransactionPlan: request.migrationTransactionPlan,
    signature: { keyId: 'k' },
  }
  return submit(
    JSON.stringify({ ...request, redeemDestination: destination, artifacts, migrationPlanQuote }),
  )
}

it('one request alone is decoded from the text a job keeps', () => {
  for (const { request } of Object.values(examples)) {
    const text = JSON.stringify(request)
    expect(decodeRequest(bytes(text))).toEqual(decodeSubmit(submit(text)).request)
  }
})
