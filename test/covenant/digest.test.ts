import { createHash, createPublicKey, verify } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { ApprovalPayload, Hex, PlanCommitmentInput } from '../../src/covenant/index.js'
import {
  approvalDigest,
  approvalStructHash,
  canonicalRequest,
  certificateDigest,
  defaultApprovalSalt,
  destinationCommitmentHash,
  destinationCommitmentText,
  domainSeparator,
  migrationExtraData,
  normalizeRequest,
  planCommitmentHash,
  planCommitmentInput,
  planQuoteDigest,
  planQuotePreimage,
  RegistryDataMissing,
  requestDigest,
  scriptHash,
  signerSetHash,
} from '../../src/covenant/index.js'
import { example, readSharedVector, readVector, requestFrom, workedExamples } from './vectors.js'

const repeat = (byte: string, times: number): Hex => `0x${byte.repeat(times)}`
const sha256Hex = (text: string): string => `0x${createHash('sha256').update(text).digest('hex')}`
const zeroDomain = { chainId: 0n, salt: repeat('00', 32) }

describe('the digests of section 6', () => {
  it('script hash and migration extra data', () => {
    expect(scriptHash(`0x0014${'aa'.repeat(20)}`)).toBe(
      '0x8532ec6785e391b2af968b5728d574e271c7f46658f5ed10845d9ad5b23ac6d3',
    )
    expect(scriptHash(`0x0014${'AA'.repeat(20)}`)).toBe(scriptHash(`0x0014${'aa'.repeat(20)}`))
    expect(migrationExtraData(repeat('22', 20))).toBe(
      '0x41435f4d49475241544556312222222222222222222222222222222222222222',
    )
    expect(() => migrationExtraData('0x22')).toThrow(RangeError)
    expect(() => scriptHash('22')).toThrow(RangeError)
  })

  const identity = {
    reserve: repeat('22', 20),
    epoch: 12n,
    revealer: repeat('22', 20),
    vault: repeat('33', 20),
    network: 'regtest',
  }
  const migration = {
    ...identity,
    route: 'MIGRATION',
    depositScriptHash: scriptHash(`0x0014${'aa'.repeat(20)}`),
    migrationExtraData: migrationExtraData(identity.revealer),
  }
  const atReserve11 = { ...identity, reserve: repeat('11', 20), outputValueSats: 998_000n }
  const redeem = {
    ...atReserve11,
    route: 'REDEEM',
    outputScriptHash: scriptHash(`0x0014${'bb'.repeat(20)}`),
  }
  const renew = {
    ...atReserve11,
    route: 'RENEW',
    nextCovenantScriptHash: scriptHash(`0x0014${'cc'.repeat(20)}`),
    nextMaturityHeight: 987_654n,
  }

  it('destination commitments of the three actions', () => {
    expect(destinationCommitmentHash(migration)).toBe(
      '0x913b832b3736a29966fd53f8a733a7587b150d3dfacb1c2d54994c1d3e56cdf9',
    )
    expect(destinationCommitmentHash({ ...migration, reserve: repeat('11', 20) })).toBe(
      '0x3efc50372759413e0f1900a2340fbb947648c524e5ec3cb4cf8887ea2d7df474',
    )
    expect(destinationCommitmentHash(redeem)).toBe(
      '0xe568c1929e815ba3b32e16475ce7a1f094258fe8aec93b8a03ac09fe474d7e01',
    )
    expect(destinationCommitmentHash(renew)).toBe(
      '0x9b6fb5d7f7f3868e785e2153bc13dd523d787f37beb583851e5f4774946bfad3',
    )
  })

  it('a destination commitment covers exactly its text, with hex lower-cased and network trimmed', () => {
    const upper = {
      ...migration,
      vault: `0x${'AB'.repeat(20)}`,
      network: ' <reg&test> ',
      reservationId: 'not covered',
      status: 'not covered',
    }
    const text = destinationCommitmentText(upper)
    expect(text).toBe(
      `{"reserve":"${repeat('22', 20)}","epoch":12,"route":"MIGRATION","revealer":"${repeat('22', 20)}",` +
        `"vault":"${repeat('ab', 20)}","network":"<reg&test>",` +
        `"depositScriptHash":"${migration.depositScriptHash}","migrationExtraData":"${migration.migrationExtraData}"}`,
    )
    expect(destinationCommitmentHash(upper)).toBe(sha256Hex(text))
  })

  it('a destination that lacks the fields of its route has no commitment', () => {
    expect(() => destinationCommitmentHash({ ...migration, route: 'REDEEM' })).toThrow(RangeError)
    expect(() => destinationCommitmentHash({ ...migration, route: '' })).toThrow(RangeError)
  })

  it('plan commitments, also of mixed-case hex and of the largest values', () => {
    type PlanVector = Record<string, string | number> & { expectedPlanCommitmentHash: string }
    const vectors = readVector<PlanVector[]>('plan_commitment_vectors.json')
    expect(vectors).toHaveLength(3)
    for (const vector of vectors) {
      const text = (name: string): string => String(vector[name])
      const input: PlanCommitmentInput = {
        planVersion: Number(vector.planVersion),
        reserve: text('reserve'),
        epoch: BigInt(text('epoch')),
        activeOutpointTxid: text('activeOutpointTxid'),
        activeOutpointVout: Number(vector.activeOutpointVout),
        destinationCommitmentHash: text('destinationCommitmentHash'),
        inputValueSats: BigInt(text('inputValueSats')),
        destinationValueSats: BigInt(text('destinationValueSats')),
        anchorValueSats: BigInt(text('anchorValueSats')),
        feeSats: BigInt(text('feeSats')),
        inputSequence: Number(vector.inputSequence),
        lockTime: Number(vector.lockTime),
      }
      expect(planCommitmentHash(input)).toBe(vector.expectedPlanCommitmentHash)
    }
  })

  it('the plan commitment of the specification, and 64 bits of an amount', () => {
    const plan = {
      planVersion: 1,
      planCommitmentHash: 'not covered',
      inputValueSats: 1_000_000n,
      destinationValueSats: 998_000n,
      anchorValueSats: 330n,
      feeSats: 1_670n,
      inputSequence: 4_294_967_293,
      lockTime: 950_000,
    }
    const request = {
      reserve: repeat('22', 20),
      epoch: 12n,
      activeOutpoint: { txid: repeat('aa', 32), vout: 1, scriptHash: '' },
      destinationCommitmentHash: destinationCommitmentHash(migration),
    }
    expect(planCommitmentHash(planCommitmentInput(request, plan))).toBe(
      '0xc14b6b7c58211ceaee8f57a39c07481d9835ef959dbd6a02908312db4cf3c969',
    )
    const large = (feeSats: bigint): Hex =>
      planCommitmentHash(planCommitmentInput(request, { ...plan, feeSats }))
    expect(large(2n ** 53n)).not.toBe(large(2n ** 53n + 1n))
    expect(() => large(2n ** 64n)).toThrow(RangeError)
  })

  it('constants of the approval domain', () => {
    const { constants, domainSeparators } = workedExamples
    expect(defaultApprovalSalt).toBe(constants.defaultSalt)
    expect(defaultApprovalSalt).toBe(
      '0xb3b7ae87508f1c8bae052350611225940299ec8aecc9b9eda136d2d7e161cf4a',
    )
    expect(domainSeparator(zeroDomain)).toBe(
      '0xa0eb2feea5d12a73837024b860673bf1695be0550fa98e2938fd3a382176935b',
    )
    expect(domainSeparator({ chainId: 1n })).toBe(
      '0x527c5ca24c10ac5ea0d505bfc3601df55631d01a2802d00b923c52e24a5d7636',
    )
    for (const { chainId, salt, separator } of domainSeparators) {
      expect(domainSeparator({ chainId: BigInt(chainId), salt })).toBe(separator)
    }
    expect(() => domainSeparator({ chainId: 1n, salt: '0x00' })).toThrow(RangeError)
    expect(() => domainSeparator({ chainId: 2n ** 256n })).toThrow(RangeError)
  })

  it('approval digests of both routes, in whatever order domains are asked for', () => {
    const payload = (route: string): ApprovalPayload => ({
      approvalVersion: 2,
      route,
      scriptTemplateId: route,
      destinationCommitmentHash:
        '0x3efc50372759413e0f1900a2340fbb947648c524e5ec3cb4cf8887ea2d7df474',
      planCommitmentHash: '0xd744757915172990532076678bdd19544dc6777eb521668459cd48870cb7883f',
    })
    const digest = (route: string): Hex => approvalDigest(payload(route), zeroDomain)
    const qc = '0xc8246daca36f0116377210140056949b23c37b3de3a5c48ec8d125405a9f05fe'
    expect(digest('qc_v1')).toBe(qc)
    expect(digest('self_v1')).toBe(
      '0x063735af147351025209ba54a606b38598d67e60848d463bbd4bcfcbdf3506c7',
    )
    expect(approvalDigest(payload('qc_v1'), { chainId: 1n })).not.toBe(qc)
    expect(digest('qc_v1')).toBe(qc)
    expect(digest('other')).not.toBe(qc)
    expect(() =>
      approvalDigest({ ...payload('qc_v1'), planCommitmentHash: '0x' }, zeroDomain),
    ).toThrow(RangeError)
  })

  it('the certificate digest binds approval digest and end block', () => {
    const { approvalDigest: digest, certificateDigest: expected } = example(
      'qc_v1_migration_with_certificate',
    )
    expect(certificateDigest({ approvalDigest: digest, endBlock: 123_456n })).toBe(expected)
    expect(certificateDigest({ approvalDigest: digest, endBlock: 2n ** 32n + 123_456n })).not.toBe(
      expected,
    )
    expect(() => certificateDigest({ approvalDigest: digest, endBlock: 2n ** 64n })).toThrow(
      RangeError,
    )
  })

  it('the signer set hash is that of its text, and zero registry data is never hashed', () => {
    const set = {
      walletId: repeat('1A', 32),
      walletPublicKey: repeat('04', 65),
      membersIdsHash: repeat('2b', 32),
      honestThreshold: 51,
    }
    const text = `{"walletId":"${repeat('1a', 32)}","walletPublicKey":"${repeat('04', 65)}","membersIdsHash":"${repeat('2b', 32)}","honestThreshold":51}`
    expect(signerSetHash(set)).toBe(sha256Hex(`covenant-signer-set-v1:${text}`))
    for (const name of ['walletId', 'membersIdsHash'] as const) {
      const missing = { ...set, [name]: repeat('00', 32) }
      expect(() => signerSetHash(missing)).toThrow(RegistryDataMissing)
      expect(() => signerSetHash({ ...set, [name]: '0x' })).toThrow(RangeError)
    }
  })
})

describe.each(Object.entries(workedExamples.examples))('worked example %s', (name, expected) => {
  const request = normalizeRequest(requestFrom(expected.request))
  const payload = request.artifactApprovals?.payload

  it('has its canonical text and request digest', () => {
    expect(canonicalRequest(request)).toBe(expected.canonicalRequestJson)
    expect(requestDigest(request)).toBe(expected.requestDigest)
    const prefixed = `covenant-signer-request-v1:${expected.canonicalRequestJson}`
    expect(requestDigest(request)).toBe(sha256Hex(prefixed))
    expect(requestDigest(request)).not.toBe(sha256Hex(expected.canonicalRequestJson))
  })

  it('has its commitments', () => {
    const { migrationDestination, redeemDestination, renewDestination } = request
    const destination = migrationDestination ?? redeemDestination ?? renewDestination
    const plan = request.migrationTransactionPlan
    if (destination === undefined || plan === undefined)
      throw new RangeError('no destination or plan')
    expect(destinationCommitmentHash(destination)).toBe(request.destinationCommitmentHash)
    expect(planCommitmentHash(planCommitmentInput(request, plan))).toBe(plan.planCommitmentHash)
  })

  it('has its struct hash and approval digest', () => {
    if (payload === undefined) throw new RangeError('no approvals')
    const domain = name.includes('mainnet') ? { chainId: 1n } : zeroDomain
    expect(approvalStructHash(payload)).toBe(expected.structHash)
    expect(approvalDigest(payload, domain)).toBe(expected.approvalDigest)
  })
})

type LegacyVectors = {
  readonly vectors: Record<
    string,
    {
      readonly canonicalSubmitRequest: unknown
      readonly expectedApprovalDigest: string
      readonly expectedRequestDigest: string
    }
  >
}
const legacy = readSharedVector<LegacyVectors>('covenant_recovery_approval_vectors_v1.json')

describe.runIf(legacy !== undefined)('the version 1 vectors', () => {
  it.each(Object.entries(legacy?.vectors ?? {}))(
    '%s: bare struct hash, digest without prefix',
    (_, vector) => {
      const request = normalizeRequest(requestFrom(vector.canonicalSubmitRequest))
      const payload = request.artifactApprovals?.payload
      expect(payload && approvalStructHash(payload)).toBe(vector.expectedApprovalDigest)
      expect(sha256Hex(canonicalRequest(request))).toBe(vector.expectedRequestDigest)
    },
  )
})

type QuoteVectors = {
  readonly trustRoot: { readonly publicKeyPem: string }
  readonly vectors: Record<
    string,
    {
      readonly unsignedQuote: object
      readonly expectedPayload: string
      readonly expectedPreimage: string
      readonly expectedHash: string
      readonly expectedSignature: string
    }
  >
}
const quotes = readSharedVector<QuoteVectors>('migration_plan_quote_signing_vectors_v1.json')

describe.runIf(quotes !== undefined)('the plan quote vectors', () => {
  it.each(Object.entries(quotes?.vectors ?? {}))(
    '%s: preimage, hash and signature',
    (_, vector) => {
      const quote = requestFrom({ migrationPlanQuote: vector.unsignedQuote }).migrationPlanQuote
      if (quote === undefined) throw new RangeError('no quote')
      expect(planQuotePreimage(quote)).toBe(vector.expectedPreimage)
      expect(planQuotePreimage(quote)).toBe(`migration-plan-quote-v1:${vector.expectedPayload}`)
      const hash = planQuoteDigest(quote)
      expect(hash).toBe(vector.expectedHash)
      const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.slice(2), 'hex'))
      const key = createPublicKey(quotes?.trustRoot.publicKeyPem ?? '')
      expect(verify(null, bytes(hash), key, bytes(vector.expectedSignature))).toBe(true)
    },
  )
})
