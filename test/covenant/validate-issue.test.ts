import { describe, expect, it } from 'vitest'
import { InvalidInput } from '../../src/covenant/invalid-input.js'
import type { IssueInput } from '../../src/covenant/request.js'
import { noTrustRoots } from '../../src/covenant/trust.js'
import { type IssueContext, validateIssue } from '../../src/covenant/validate-issue.js'
import {
  draftOf,
  type Mutable,
  makeIssue,
  makeSubmit,
  pinningRoots,
  type SubmitOptions,
  some,
  testDomain,
} from './factory.js'

type Draft = { input: Mutable<IssueInput>; context: Mutable<IssueContext> }

const qc: SubmitOptions = { route: 'qc_v1', depositorForm: 'ethereum' }

function makeDraft(options: SubmitOptions): Draft {
  const trustRoots = pinningRoots(makeSubmit(options), options)
  return {
    input: draftOf(makeIssue(options)),
    context: draftOf({ trustRoots, domain: testDomain }),
  }
}

function refusal({ input, context }: Draft): string | undefined {
  try {
    validateIssue(input, context)
  } catch (error) {
    if (error instanceof InvalidInput) return error.message
    throw error
  }
  return undefined
}

const payload = (d: Draft) => d.input.artifactApprovals.payload
const approvals = (d: Draft) => some(d.input.artifactApprovals.approvals)
const A = 'artifactApprovals'
const missing = (role: string) =>
  `no ${role}TrustRoots entry is configured for the requested route/reserve/network; certificate issuance requires a pinned ${role} identity`

const rows: readonly (readonly [string, string, (draft: Draft) => void])[] = [
  [
    'no wallet hash',
    'walletPublicKeyHash must be a 0x-prefixed even-length hex string',
    (d) => (d.input.walletPublicKeyHash = ''),
  ],
  [
    'a wallet hash of 32 bytes',
    'walletPublicKeyHash must be a 20-byte 0x-prefixed hex string',
    (d) => (d.input.walletPublicKeyHash = `0x${'1'.repeat(64)}`),
  ],
  ['endBlock 0 (G13)', 'endBlock is required', (d) => (d.input.endBlock = 0n)],
  ['an unknown route', 'unsupported request.route', (d) => (d.input.route = 'qc_v2')],
  [
    'approvalVersion 1',
    `${A}.payload.approvalVersion must equal 2`,
    (d) => (payload(d).approvalVersion = 1),
  ],
  [
    'a payload for another route',
    `${A}.payload.route must match route`,
    (d) => (payload(d).route = 'self_v1'),
  ],
  [
    'a payload for another template',
    `${A}.payload.scriptTemplateId must match route`,
    (d) => (payload(d).scriptTemplateId = 'self_v1'),
  ],
  [
    'a short commitment',
    `${A}.payload.destinationCommitmentHash must be a 32-byte 0x-prefixed hex string`,
    (d) => (payload(d).destinationCommitmentHash = '0x11'),
  ],
  [
    'no plan commitment',
    `${A}.payload.planCommitmentHash must be a 0x-prefixed even-length hex string`,
    (d) => (payload(d).planCommitmentHash = ''),
  ],
  [
    'one approval too few',
    `${A}.approvals must include exactly the roles required for route`,
    (d) => approvals(d).pop(),
  ],
  [
    'role S',
    `${A}.approvals[0].role is not allowed for route`,
    (d) => (some(approvals(d)[0]).role = 'S'),
  ],
  [
    'role D twice',
    `${A}.approvals[1].role duplicates role D`,
    (d) => (some(approvals(d)[1]).role = 'D'),
  ],
  [
    'no depositor pinned for this network',
    missing('depositor'),
    (d) => (some(d.context.trustRoots.depositorTrustRoots[0]).network = 'mainnet'),
  ],
  [
    'no custodian pinned at all',
    missing('custodian'),
    (d) => (d.context.trustRoots.custodianTrustRoots = []),
  ],
  [
    'an approval that is no hex',
    'request.artifactApprovals.approvals[0].signature must be valid hex',
    (d) => (some(approvals(d)[0]).signature = '0xgg'),
  ],
  [
    'an approval that is no signature of a wallet',
    'request.artifactApprovals.approvals[0].signature must be a 65-byte secp256k1 signature',
    (d) => (some(approvals(d)[0]).signature = '0x11'),
  ],
  [
    "a custodian approval with the depositor's signature",
    'request.artifactApprovals.approvals[1].signature does not verify against the required public key',
    (d) => (some(approvals(d)[1]).signature = some(approvals(d)[0]).signature),
  ],
]

describe('a call for a certificate', () => {
  it.each([qc, { route: 'qc_v1' }, {}, { depositorForm: 'ethereum' }] as SubmitOptions[])(
    'is sound with depositor and custodian pinned: %j (G12)',
    (options) => {
      expect(refusal(makeDraft(options))).toBeUndefined()
    },
  )

  it.each(rows)('is refused for %s with its exact text', (_what, text, breakIt) => {
    const draft = makeDraft(qc)
    breakIt(draft)
    expect(refusal(draft)).toBe(text)
  })

  it('lets the first broken rule win for every pair of rules', () => {
    const wrong: string[] = []
    for (const [index, [first, text, breakFirst]] of rows.entries()) {
      for (const [second, , breakSecond] of rows.slice(index + 1)) {
        const draft = makeDraft(qc)
        breakSecond(draft)
        breakFirst(draft)
        const found = refusal(draft)
        if (found !== text) wrong.push(`${first} + ${second}: ${found}`)
      }
    }
    expect(wrong).toEqual([])
  })

  it('trusts no key of the caller: without roots there is no certificate', () => {
    const draft = makeDraft({})
    draft.context.trustRoots = draftOf(noTrustRoots)
    expect(refusal(draft)).toBe(missing('depositor'))
  })

  it('is judged by the domain of this deployment', () => {
    const draft = makeDraft(qc)
    draft.context.domain = { chainId: 5n }
    expect(refusal(draft)).toContain('does not verify against the required depositor ETH address')
  })

  it('says what is missing when there are no approvals at all', () => {
    const draft = makeDraft({})
    draft.input.artifactApprovals.approvals = null
    expect(refusal(draft)).toContain('must include exactly the roles required for route')
  })
})
