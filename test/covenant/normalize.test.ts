import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Approval, Request, SignerApproval } from '../../src/covenant/index.js'
import {
  canonicalRequest,
  decodeRequest,
  InvalidInput,
  normalizeRequest,
  requestDigest,
} from '../../src/covenant/index.js'
import { randomFrom, wireRecord, writeWire } from './request-arbitrary.js'
import { fieldsOf } from './request-oracle.js'
import { example, requestFrom } from './vectors.js'

const base = (name = 'qc_v1_migration_with_certificate'): Request =>
  requestFrom(example(name).request)

function approvalsOf(request: Request): readonly Approval[] {
  return request.artifactApprovals?.approvals ?? []
}

function withApprovals(request: Request, approvals: readonly Approval[]): Request {
  if (request.artifactApprovals === undefined) throw new RangeError('no approvals')
  return { ...request, artifactApprovals: { ...request.artifactApprovals, approvals } }
}

function withCertificate(request: Request, change: Partial<SignerApproval>): Request {
  if (request.signerApproval === undefined) throw new RangeError('no certificate')
  return { ...request, signerApproval: { ...request.signerApproval, ...change } }
}

describe('a normalised request', () => {
  it('is the same for upper and lower case hex, in every field', () => {
    const text = canonicalRequest(base())
    const upper = text.replace(
      /"0x([0-9a-f]+)"/g,
      (_, digits: string) => `"0x${digits.toUpperCase()}"`,
    )
    expect(upper).not.toBe(text)
    const request = decodeRequest(new TextEncoder().encode(upper))
    expect(normalizeRequest(request)).toEqual(normalizeRequest(base()))
    expect(requestDigest(request)).toBe(requestDigest(base()))
  })

  it('holds approvals in role order whatever order they came in', () => {
    const swapped = withApprovals(base(), [...approvalsOf(base())].reverse())
    expect(approvalsOf(swapped)[0]?.role).toBe('C')
    expect(approvalsOf(normalizeRequest(swapped)).map(({ role }) => role)).toEqual(['D', 'C'])
    expect(requestDigest(swapped)).toBe(requestDigest(base()))
  })

  it('holds members in ascending order of number, and no empty list', () => {
    const shuffled = withCertificate(base(), { activeMembers: [10, 9, 1], inactiveMembers: [] })
    expect(normalizeRequest(shuffled).signerApproval?.activeMembers).toEqual([1, 9, 10])
    expect(canonicalRequest(normalizeRequest(shuffled))).not.toContain('inactiveMembers')
    const sorted = withCertificate(base(), { activeMembers: [1, 9, 10], inactiveMembers: [] })
    expect(requestDigest(shuffled)).toBe(requestDigest(sorted))
  })

  it('derives the signature list from approvals and certificate', () => {
    const { artifactSignatures, signerApproval } = normalizeRequest({
      ...base(),
      artifactSignatures: ['0x00'],
    })
    const signatures = approvalsOf(base()).map(({ signature }) => signature)
    expect(artifactSignatures).toEqual([...signatures, signerApproval?.signature])
    const { artifactSignatures: without } = normalizeRequest({
      ...base(),
      signerApproval: undefined,
    })
    expect(without).toEqual(signatures)
  })

  it('keeps requestType, action and ids as sent', () => {
    const presign = { ...base('self_v1_migration'), requestType: 'presign_self_v1' }
    expect(requestDigest(presign)).not.toBe(requestDigest(base('self_v1_migration')))
    const sent = { ...base(), facadeRequestId: ' <A>&\u2028 ', action: 'MIGRATION' }
    expect(normalizeRequest(sent)).toMatchObject({
      facadeRequestId: ' <A>&\u2028 ',
      action: 'MIGRATION',
    })
    expect(canonicalRequest(normalizeRequest(sent))).toContain(
      '{"facadeRequestId":" <A>&\\u2028 ",',
    )
    expect(requestDigest(sent)).toBe(requestDigest(normalizeRequest(sent)))
    expect(requestDigest({ ...base(), action: 'MIGRATION' })).not.toBe(requestDigest(base()))
  })

  it('keeps absent artifacts absent, and lower-cases records but not their names', () => {
    expect(normalizeRequest({ ...base(), artifacts: null }).artifacts).toBeNull()
    const artifact = {
      psbtHash: '0xAB',
      destinationCommitmentHash: '0xCD',
      transactionHex: '',
      transactionId: '0xEF',
    }
    const { artifacts } = normalizeRequest({
      ...base(),
      artifacts: new Map([['MiGration', artifact]]),
    })
    expect(artifacts?.get('MiGration')).toEqual({
      ...artifact,
      psbtHash: '0xab',
      destinationCommitmentHash: '0xcd',
      transactionId: '0xef',
    })
    expect(canonicalRequest({ ...base(), artifacts })).toContain(
      '"artifacts":{"MiGration":{"psbtHash":"0xab","destinationCommitmentHash":"0xcd","transactionId":"0xef"}}',
    )
  })

  it('trims the texts of destination and quote that section 11 names, and drops the quote of another action', () => {
    const quote = {
      quoteId: ' q ',
      reservationId: ' r ',
      network: '\tregtest\n',
      idempotencyKey: ' i ',
      reserve: '0xAA',
      issuedAt: ' kept ',
      signature: { keyId: ' k ', algorithm: ' kept ', signature: '0xAA' },
      migrationTransactionPlan: { planCommitmentHash: '0xAA' },
    }
    const request = requestFrom({
      ...example('self_v1_migration').request,
      migrationPlanQuote: quote,
    })
    expect(normalizeRequest(request).migrationPlanQuote).toMatchObject({
      quoteId: 'q',
      reservationId: 'r',
      network: 'regtest',
      idempotencyKey: 'i',
      reserve: '0xaa',
      issuedAt: ' kept ',
      signature: { keyId: 'k', algorithm: ' kept ', signature: '0xaa' },
      migrationTransactionPlan: { planCommitmentHash: '0xaa' },
    })
    const redeem = requestFrom({ ...example('self_v1_redeem').request, migrationPlanQuote: quote })
    expect(normalizeRequest(redeem).migrationPlanQuote).toBeUndefined()
    expect(requestDigest(redeem)).toBe(example('self_v1_redeem').requestDigest)
    const { migrationDestination } = base()
    if (migrationDestination === undefined) throw new RangeError('no destination')
    const padded = { ...migrationDestination, network: ' regtest ', reservationId: ' x ' }
    const normal = normalizeRequest({ ...base(), migrationDestination: padded })
    expect(normal.migrationDestination).toMatchObject({ network: 'regtest', reservationId: 'x' })
  })

  it('cannot be made from approvals without plan, or from the wrong roles', () => {
    const refuses = (request: Request, text: string): void => {
      expect(() => requestDigest(request)).toThrow(InvalidInput)
      expect(() => requestDigest(request)).toThrow(text)
    }
    refuses(
      { ...base(), migrationTransactionPlan: undefined },
      'request.migrationTransactionPlan is required when request.artifactApprovals is present',
    )
    const [d, c] = approvalsOf(base()) as [Approval, Approval]
    const name = 'request.artifactApprovals.approvals'
    refuses(withApprovals(base(), [d]), `${name} must include role C for qc_v1`)
    refuses(withApprovals(base(), [c, d, d]), `${name}[2].role duplicates role D`)
    refuses(
      withApprovals(base('self_v1_migration'), [d, c]),
      `${name}[1].role is not allowed for self_v1`,
    )
    refuses(
      { ...base(), scriptTemplate: { invalid: 'why' } },
      'request.scriptTemplate is invalid for qc_v1: why',
    )
  })

  it('of any request lower-cases and trims exactly the fields of the tables, and is stable', () => {
    fc.assert(
      fc.property(wireRecord('Request'), fc.nat(), (node, seed) => {
        const decoded = decodeRequest(new TextEncoder().encode(writeWire(node, randomFrom(seed))))
        if ('invalid' in decoded.scriptTemplate) return
        // Approvals of random roles cannot be normalised; they have tests of their own above.
        const request = { ...decoded, artifactApprovals: undefined }
        const normal = normalizeRequest(request)
        const expected = normalOf('Request', request) as Request
        const keepsQuote = request.action === '' || request.action === 'MIGRATION'
        expect(normal).toEqual(
          keepsQuote ? expected : { ...expected, migrationPlanQuote: undefined },
        )
        expect(normalizeRequest(normal)).toEqual(normal)
      }),
      { numRuns: 300 },
    )
  })
})

/** Normal form by the oracle's tables: h lower-cased, t trimmed, member lists sorted. */
function normalOf(record: string, value: object): object {
  const values = new Map<string, unknown>(Object.entries(value))
  return Object.fromEntries(
    fieldsOf(record).map(({ name, type }) => [name, normalField(type, values.get(name))]),
  )
}

function normalField(type: string, value: unknown): unknown {
  if (typeof value === 'string') {
    return type === 'h' ? value.toLowerCase() : type === 't' ? value.trim() : value
  }
  if (type === '[u32]' && Array.isArray(value))
    return [...(value as number[])].sort((a, b) => a - b)
  if (Array.isArray(value)) return value.map((item) => normalField(type.slice(1, -1), item))
  if (value instanceof Map) {
    const entries = [...(value as Map<string, unknown>)]
    return new Map(entries.map(([key, item]) => [key, normalField(type.slice(1, -1), item)]))
  }
  if (typeof value !== 'object' || value === null) return value
  const template = 'custodianPublicKey' in value ? 'qc_v1' : 'self_v1'
  return normalOf(type === 'Template' ? template : type, value)
}
