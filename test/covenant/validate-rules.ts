import {
  destinationCommitmentHash,
  planCommitmentHash,
  scriptHash,
} from '../../src/covenant/digest.js'
import { planCommitmentInput } from '../../src/covenant/hashed-fields.js'
import type { MigrationPlanQuote, Request, Route, SubmitInput } from '../../src/covenant/request.js'
import { parseTrustRoots } from '../../src/covenant/trust.js'
import type { SubmitContext } from '../../src/covenant/validate.js'
import {
  draftOf,
  keys,
  type Mutable,
  makeContext,
  makeSubmit,
  pinningRoots,
  type SubmitOptions,
  signAs,
  signQuote,
  some,
} from './factory.js'

/**
 * Every rule of a submit as one way to break it, in the specification's order
 * (covenant signer specification, sections 8 to 10), and the sound requests that are broken with it.
 */

export type BaseName = 'full' | 'plain' | 'redeem' | 'renew' | 'self'

/** A sound submit that a rule's `break` may change in place. */
export type Draft = {
  input: Mutable<SubmitInput>
  route: Route
  context: Mutable<SubmitContext>
}

export type RuleRow = {
  /** What is wrong, with the ids of the behavioural cases it stands for. */
  readonly name: string
  readonly bases: readonly BaseName[]
  readonly text: string
  readonly break: (draft: Draft) => void
  /** The rule rests on policy, so that a poll does not apply it. */
  readonly submitOnly?: true
}

export const bases: Readonly<Record<BaseName, SubmitOptions>> = {
  full: { route: 'qc_v1', certificate: true, quote: true },
  plain: { route: 'qc_v1' },
  redeem: { route: 'qc_v1', action: 'REDEEM' },
  renew: { route: 'self_v1', action: 'RENEW' },
  self: { route: 'self_v1', depositorForm: 'ethereum' },
}

const made = new Map<BaseName, Draft>()

/** A fresh sound draft; `full` and `self` have their keys pinned. */
export function makeDraft(name: BaseName): Draft {
  const draft = made.get(name) ?? buildDraft(name)
  made.set(name, draft)
  return structuredClone(draft)
}

function buildDraft(name: BaseName): Draft {
  const options = bases[name]
  const input = makeSubmit(options)
  const context = makeContext(options, input)
  const pinned = name === 'full' ? { trustRoots: pinningRoots(input, options) } : {}
  return {
    input: draftOf(input),
    route: options.route ?? 'self_v1',
    context: draftOf({ ...context, ...pinned }),
  }
}

const every: readonly BaseName[] = ['full', 'plain', 'redeem', 'renew', 'self']
const migrating: readonly BaseName[] = ['full', 'plain', 'self']
const full: readonly BaseName[] = ['full']
/** Without a certificate, whose digest breaks as soon as the payload does. */
const bare: readonly BaseName[] = ['plain', 'redeem', 'renew', 'self']
const qc: readonly BaseName[] = ['plain', 'redeem']

const hexText = (name: string): string => `${name} must be a 0x-prefixed even-length hex string`
const digitText = (name: string): string => `${name} must be valid hex`
const addressText = (name: string): string => `${name} must be a 20-byte 0x-prefixed hex address`
const bytes32Text = (name: string): string => `${name} must be a 32-byte 0x-prefixed hex string`

const request = (draft: Draft): Mutable<Request> => draft.input.request
const migration = (draft: Draft) => some(request(draft).migrationDestination)
const redeem = (draft: Draft) => some(request(draft).redeemDestination)
const renew = (draft: Draft) => some(request(draft).renewDestination)
const plan = (draft: Draft) => some(request(draft).migrationTransactionPlan)
const quote = (draft: Draft) => some(request(draft).migrationPlanQuote)
const nested = (draft: Draft) => some(quote(draft).migrationTransactionPlan)
const certificate = (draft: Draft) => some(request(draft).signerApproval)
const payload = (draft: Draft) => some(request(draft).artifactApprovals).payload
const approvals = (draft: Draft) => some(some(request(draft).artifactApprovals).approvals)
const template = (draft: Draft) => request(draft).scriptTemplate as Mutable<Record<string, string>>

/** Replaces one approval's signature in both places where it stands. */
function setSignature(draft: Draft, index: number, signature: string): void {
  some(approvals(draft)[index]).signature = signature
  some(request(draft).artifactSignatures)[index] = signature
}

/** Runs the edit on a quote and signs it again, so that only the edited rule can refuse it. */
function requote(draft: Draft, edit: (quote: Mutable<MigrationPlanQuote>) => void): void {
  edit(quote(draft))
  quote(draft).signature.signature = signQuote(quote(draft))
}

const digestOfOther = `0x${'5'.repeat(64)}`

type Row = readonly [
  name: string,
  bases: readonly BaseName[],
  text: string,
  breakIt: (draft: Draft) => void,
  submitOnly?: 'submitOnly',
]

const envelopeRows: readonly Row[] = [
  [
    'empty routeRequestId (C16)',
    every,
    'routeRequestId is required',
    (d) => (d.input.routeRequestId = ''),
  ],
  [
    'another stage (C16)',
    every,
    'stage must be SIGNER_COORDINATION',
    (d) => (d.input.stage = 'SIGNING'),
  ],
  [
    'no facadeRequestId',
    every,
    'request.facadeRequestId is required',
    (d) => (request(d).facadeRequestId = ''),
  ],
  [
    'facadeRequestId with a space (C15)',
    every,
    'request.facadeRequestId must match [a-zA-Z0-9_-] and be at most 255 chars',
    (d) => (request(d).facadeRequestId = 'rf 1'),
  ],
  [
    'facadeRequestId of 256 characters (C15)',
    every,
    'request.facadeRequestId must match [a-zA-Z0-9_-] and be at most 255 chars',
    (d) => (request(d).facadeRequestId = 'r'.repeat(256)),
  ],
  [
    'facadeRequestId with a line end',
    every,
    'request.facadeRequestId must match [a-zA-Z0-9_-] and be at most 255 chars',
    (d) => (request(d).facadeRequestId = 'rf_1\n'),
  ],
  [
    'empty idempotencyKey (C15)',
    every,
    'request.idempotencyKey is required',
    (d) => (request(d).idempotencyKey = ''),
  ],
  [
    'idempotencyKey with a letter outside ASCII',
    every,
    'request.idempotencyKey must match [a-zA-Z0-9_-] and be at most 255 chars',
    (d) => (request(d).idempotencyKey = 'idém'),
  ],
  [
    'route of the body other than that of the path (C16)',
    every,
    'request.route does not match endpoint route',
    (d) => (request(d).route = d.route === 'qc_v1' ? 'self_v1' : 'qc_v1'),
  ],
  [
    'presign_self_v1 on qc_v1 (C5)',
    ['full', 'plain', 'redeem'],
    'request.requestType must be reconstruct for qc_v1',
    (d) => (request(d).requestType = 'presign_self_v1'),
  ],
  [
    'unknown requestType',
    every,
    'request.requestType must be reconstruct or presign_self_v1',
    (d) => (request(d).requestType = 'presign'),
  ],
]

const hexRows: readonly Row[] = [
  ['no strategy', every, hexText('request.strategy'), (d) => (request(d).strategy = '')],
  ['strategy of no bytes', every, hexText('request.strategy'), (d) => (request(d).strategy = '0x')],
  [
    'strategy with the prefix 0X',
    every,
    hexText('request.strategy'),
    (d) => (request(d).strategy = '0X12'),
  ],
  [
    'strategy with a bad digit',
    every,
    digitText('request.strategy'),
    (d) => (request(d).strategy = '0x1g'),
  ],
  [
    'reserve of odd length',
    every,
    hexText('request.reserve'),
    (d) => (request(d).reserve = '0x123'),
  ],
  [
    'no txid',
    every,
    hexText('request.activeOutpoint.txid'),
    (d) => (request(d).activeOutpoint.txid = ''),
  ],
  [
    'scriptHash that is no hex',
    every,
    digitText('request.activeOutpoint.scriptHash'),
    (d) => (request(d).activeOutpoint.scriptHash = '0xzz'),
  ],
  [
    'no destinationCommitmentHash',
    every,
    hexText('request.destinationCommitmentHash'),
    (d) => (request(d).destinationCommitmentHash = ''),
  ],
]

const omittedRows: readonly Row[] = [
  [
    'unknown action that carries a destination',
    migrating,
    'request.migrationDestination must be omitted unless action is MIGRATION',
    (d) => (request(d).action = 'BURN'),
  ],
  [
    'REDEEM that also carries a migration destination (C13)',
    ['redeem'],
    'request.migrationDestination must be omitted unless action is MIGRATION',
    (d) =>
      (request(d).migrationDestination = makeDraft('plain').input.request.migrationDestination),
  ],
  [
    'RENEW that also carries a redeem destination',
    ['renew'],
    'request.redeemDestination must be omitted unless action is REDEEM',
    (d) => (request(d).redeemDestination = makeDraft('redeem').input.request.redeemDestination),
  ],
  [
    'MIGRATION that also carries a renew destination',
    migrating,
    'request.renewDestination must be omitted unless action is RENEW',
    (d) => (request(d).renewDestination = makeDraft('renew').input.request.renewDestination),
  ],
  [
    'unknown action',
    migrating,
    'request.action is not supported',
    (d) => {
      request(d).action = 'migration'
      request(d).migrationDestination = undefined
    },
  ],
  [
    'no migration destination (C1)',
    migrating,
    'request.migrationDestination is required',
    (d) => (request(d).migrationDestination = undefined),
  ],
  [
    'REDEEM without its destination (C13)',
    ['redeem'],
    'request.redeemDestination is required',
    (d) => (request(d).redeemDestination = undefined),
  ],
  [
    'RENEW without its destination',
    ['renew'],
    'request.renewDestination is required',
    (d) => (request(d).renewDestination = undefined),
  ],
]

type AnyDestination = ReturnType<typeof migration | typeof redeem | typeof renew>
type PayingDestination = ReturnType<typeof redeem | typeof renew>

function reservationRows(
  D: string,
  names: readonly BaseName[],
  action: string,
  of: (draft: Draft) => AnyDestination,
): readonly Row[] {
  return [
    [
      'wrong reservation route (C1)',
      names,
      `${D}.route must be ${action}`,
      (d) => (of(d).route = 'BURN'),
    ],
    [
      'status RETIRED (C1)',
      names,
      `${D}.status must be RESERVED or COMMITTED_TO_EPOCH`,
      (d) => (of(d).status = 'RETIRED'),
    ],
    ['reserve that is no hex', names, hexText(`${D}.reserve`), (d) => (of(d).reserve = '11')],
    [
      'reserve of 19 bytes',
      names,
      addressText(`${D}.reserve`),
      (d) => (of(d).reserve = `0x${'1'.repeat(38)}`),
    ],
    [
      'revealer of 21 bytes',
      names,
      addressText(`${D}.revealer`),
      (d) => (of(d).revealer = `0x${'2'.repeat(42)}`),
    ],
    [
      'vault with a bad digit',
      names,
      digitText(`${D}.vault`),
      (d) => (of(d).vault = `0x${'x'.repeat(40)}`),
    ],
    ['blank network', names, `${D}.network is required`, (d) => (of(d).network = ' \t')],
  ]
}

function identityRows(
  D: string,
  names: readonly BaseName[],
  of: (draft: Draft) => AnyDestination,
): readonly Row[] {
  return [
    [
      'no commitment of its own',
      names,
      hexText(`${D}.destinationCommitmentHash`),
      (d) => (of(d).destinationCommitmentHash = ''),
    ],
    [
      'epoch differs (C1)',
      names,
      `${D}.epoch does not match request.epoch`,
      (d) => (of(d).epoch = 13n),
    ],
    [
      'reserve differs (C1)',
      names,
      `${D}.reserve does not match request.reserve`,
      (d) => (of(d).reserve = `0x${'4'.repeat(40)}`),
    ],
    [
      'request commitment differs (C1)',
      names,
      `${D}.destinationCommitmentHash does not match request.destinationCommitmentHash`,
      (d) => (request(d).destinationCommitmentHash = digestOfOther),
    ],
  ]
}

function commitmentRows(
  D: string,
  names: readonly BaseName[],
  of: (draft: Draft) => AnyDestination,
): readonly Row[] {
  return [
    [
      'recomputed commitment differs (C1)',
      names,
      `${D}.destinationCommitmentHash does not match canonical reservation artifact`,
      (d) => (of(d).vault = `0x${'6'.repeat(40)}`),
    ],
  ]
}

function payingRows(
  D: string,
  names: readonly BaseName[],
  of: (draft: Draft) => PayingDestination,
): readonly Row[] {
  return [
    [
      'no output value',
      names,
      `${D}.outputValueSats must be greater than zero`,
      (d) => (of(d).outputValueSats = 0n),
    ],
  ]
}

const planValueText = (D: string): string =>
  `${D}.outputValueSats does not match request.migrationTransactionPlan.destinationValueSats`

/** Changes the paid value and commits to it, so that only the plan disagrees. */
function payOneMore(draft: Draft, destination: PayingDestination): void {
  destination.outputValueSats = 998_001n
  request(draft).destinationCommitmentHash = destinationCommitmentHash(destination)
  destination.destinationCommitmentHash = request(draft).destinationCommitmentHash
}

const M = 'request.migrationDestination'
const migrationRows: readonly Row[] = [
  ...reservationRows(M, migrating, 'MIGRATION', migration),
  ['no script', migrating, hexText(`${M}.depositScript`), (d) => (migration(d).depositScript = '')],
  [
    'no script hash',
    migrating,
    hexText(`${M}.depositScriptHash`),
    (d) => (migration(d).depositScriptHash = ''),
  ],
  [
    'no extra data',
    migrating,
    hexText(`${M}.migrationExtraData`),
    (d) => (migration(d).migrationExtraData = ''),
  ],
  ...identityRows(M, migrating, migration),
  [
    'extra data differs (C1)',
    migrating,
    `${M}.migrationExtraData does not match migration revealer encoding`,
    (d) => (migration(d).migrationExtraData = `0x${'22'.repeat(32)}`),
  ],
  [
    'script hash differs (C1)',
    migrating,
    `${M}.depositScriptHash does not match depositScript`,
    (d) => (migration(d).depositScript = `0x0014${'d'.repeat(40)}`),
  ],
  ...commitmentRows(M, migrating, migration),
]

const E_REDEEM = 'request.redeemDestination'
const redeemRows: readonly Row[] = [
  ...reservationRows(E_REDEEM, ['redeem'], 'REDEEM', redeem),
  [
    'no script',
    ['redeem'],
    hexText(`${E_REDEEM}.outputScript`),
    (d) => (redeem(d).outputScript = ''),
  ],
  [
    'no script hash',
    ['redeem'],
    hexText(`${E_REDEEM}.outputScriptHash`),
    (d) => (redeem(d).outputScriptHash = ''),
  ],
  ...identityRows(E_REDEEM, ['redeem'], redeem).slice(0, 1),
  ...payingRows(E_REDEEM, ['redeem'], redeem),
  ...identityRows(E_REDEEM, ['redeem'], redeem).slice(1),
  [
    'script hash differs',
    ['redeem'],
    `${E_REDEEM}.outputScriptHash does not match outputScript`,
    (d) => (redeem(d).outputScript = `0x0014${'d'.repeat(40)}`),
  ],
  [
    'output script changed along with its hash but not the commitment (C13)',
    ['redeem'],
    `${E_REDEEM}.destinationCommitmentHash does not match canonical reservation artifact`,
    (d) => {
      redeem(d).outputScript = '0x0014'
      redeem(d).outputScriptHash = scriptHash('0x0014')
    },
  ],
  [
    'plan pays another value (C13)',
    ['redeem'],
    planValueText(E_REDEEM),
    (d) => payOneMore(d, redeem(d)),
  ],
]

const N = 'request.renewDestination'
const renewRows: readonly Row[] = [
  ...reservationRows(N, ['renew'], 'RENEW', renew),
  [
    'no script',
    ['renew'],
    hexText(`${N}.nextCovenantScript`),
    (d) => (renew(d).nextCovenantScript = ''),
  ],
  [
    'no script hash',
    ['renew'],
    hexText(`${N}.nextCovenantScriptHash`),
    (d) => (renew(d).nextCovenantScriptHash = ''),
  ],
  ...identityRows(N, ['renew'], renew).slice(0, 1),
  [
    'no next maturity',
    ['renew'],
    `${N}.nextMaturityHeight must be greater than zero`,
    (d) => (renew(d).nextMaturityHeight = 0n),
  ],
  ...payingRows(N, ['renew'], renew),
  ...identityRows(N, ['renew'], renew).slice(1),
  [
    'script hash differs',
    ['renew'],
    `${N}.nextCovenantScriptHash does not match nextCovenantScript`,
    (d) => (renew(d).nextCovenantScript = `0x0014${'d'.repeat(40)}`),
  ],
  ...commitmentRows(N, ['renew'], renew),
  ['plan pays another value', ['renew'], planValueText(N), (d) => payOneMore(d, renew(d))],
]

const P = 'request.migrationTransactionPlan'
const planRows: readonly Row[] = [
  [
    'no plan (C2)',
    every,
    `${P} is required`,
    (d) => (request(d).migrationTransactionPlan = undefined),
  ],
  ['planVersion 0 (C2)', every, `${P}.planVersion must equal 1`, (d) => (plan(d).planVersion = 0)],
  [
    'empty plan commitment (C2)',
    every,
    hexText(`${P}.planCommitmentHash`),
    (d) => (plan(d).planCommitmentHash = ''),
  ],
  [
    'no input value (C2)',
    every,
    `${P}.inputValueSats must be greater than zero`,
    (d) => (plan(d).inputValueSats = 0n),
  ],
  [
    'no destination value (C2)',
    migrating,
    `${P}.destinationValueSats must be greater than zero`,
    (d) => (plan(d).destinationValueSats = 0n),
  ],
  ['no fee (C2)', every, `${P}.feeSats must be greater than zero`, (d) => (plan(d).feeSats = 0n)],
  [
    'anchor of 331 (C2)',
    every,
    `${P}.anchorValueSats must equal the canonical 330 sat anchor`,
    (d) => (plan(d).anchorValueSats = 331n),
  ],
  [
    'sequence 0xFFFFFFFF (C2)',
    every,
    `${P}.inputSequence must equal 0xFFFFFFFD`,
    (d) => (plan(d).inputSequence = 0xffffffff),
  ],
  [
    'maturity of 2^32 (C2)',
    every,
    'request.maturityHeight must fit in uint32',
    (d) => (request(d).maturityHeight = 2n ** 32n),
  ],
  [
    'lock time other than the maturity (C2)',
    every,
    `${P}.lockTime must match request.maturityHeight`,
    (d) => (plan(d).lockTime = 912_346),
  ],
  [
    'input below the destination (C2)',
    every,
    `${P}.inputValueSats must cover destinationValueSats`,
    (d) => (plan(d).inputValueSats = 997_999n),
  ],
  [
    'input short of the anchor (C2)',
    every,
    `${P}.inputValueSats must cover anchorValueSats`,
    (d) => (plan(d).inputValueSats = 998_329n),
  ],
  [
    'fee off by one (C2)',
    every,
    `${P} values must satisfy inputValueSats = destinationValueSats + anchorValueSats + feeSats`,
    (d) => (plan(d).feeSats = 1_671n),
  ],
  [
    'a sum that would wrap around at 64 bits',
    every,
    `${P} values must satisfy inputValueSats = destinationValueSats + anchorValueSats + feeSats`,
    (d) => (plan(d).feeSats = 2n ** 64n - 1n),
  ],
  [
    'wrong plan commitment (C2, C3)',
    every,
    `${P}.planCommitmentHash does not match canonical migration transaction plan`,
    (d) => (plan(d).planCommitmentHash = digestOfOther),
  ],
]

const Q = 'request.migrationPlanQuote'
const quoteRows: readonly Row[] = [
  [
    'no quote where issuers are configured (C12)',
    full,
    `${Q} is required when migrationPlanQuoteTrustRoots are configured`,
    (d) => (request(d).migrationPlanQuote = undefined),
    'submitOnly',
  ],
  [
    'a quote where no issuer is configured',
    full,
    `${Q} verification requires configured trust roots`,
    (d) => (d.context.trustRoots.migrationPlanQuoteTrustRoots = []),
    'submitOnly',
  ],
  [
    'quoteVersion 2',
    full,
    `${Q}.quoteVersion must equal 1`,
    (d) => requote(d, (q) => (q.quoteVersion = 2)),
  ],
  ['blank quoteId', full, `${Q}.quoteId is required`, (d) => requote(d, (q) => (q.quoteId = ' '))],
  [
    'no quote reservationId',
    full,
    `${Q}.reservationId is required`,
    (d) => requote(d, (q) => (q.reservationId = '')),
  ],
  [
    'no quote idempotencyKey',
    full,
    `${Q}.idempotencyKey is required`,
    (d) => requote(d, (q) => (q.idempotencyKey = '')),
  ],
  [
    'quote for REDEEM',
    full,
    `${Q}.route must be MIGRATION`,
    (d) => requote(d, (q) => (q.route = 'REDEEM')),
  ],
  [
    'quote reserve of 32 bytes',
    full,
    addressText(`${Q}.reserve`),
    (d) => requote(d, (q) => (q.reserve = digestOfOther)),
  ],
  ['no quote revealer', full, hexText(`${Q}.revealer`), (d) => (quote(d).revealer = '')],
  ['no quote vault', full, hexText(`${Q}.vault`), (d) => (quote(d).vault = '')],
  [
    'blank quote network',
    full,
    `${Q}.network is required`,
    (d) => requote(d, (q) => (q.network = ' ')),
  ],
  [
    'short quote commitment',
    full,
    bytes32Text(`${Q}.destinationCommitmentHash`),
    (d) => requote(d, (q) => (q.destinationCommitmentHash = '0x11')),
  ],
  [
    'short quote txid',
    full,
    bytes32Text(`${Q}.activeOutpointTxid`),
    (d) => requote(d, (q) => (q.activeOutpointTxid = '0x11')),
  ],
  [
    'short quote plan commitment',
    full,
    bytes32Text(`${Q}.planCommitmentHash`),
    (d) => requote(d, (q) => (q.planCommitmentHash = '0x11')),
  ],
  [
    'quote that expires at once',
    full,
    `${Q}.expiresInSeconds must be greater than zero`,
    (d) => requote(d, (q) => (q.expiresInSeconds = 0n)),
  ],
  [
    'signatureVersion 2',
    full,
    `${Q}.signature.signatureVersion must equal 1`,
    (d) => (quote(d).signature.signatureVersion = 2),
  ],
  [
    'another algorithm',
    full,
    `${Q}.signature.algorithm must equal ed25519`,
    (d) => (quote(d).signature.algorithm = 'Ed25519'),
  ],
  [
    'blank keyId',
    full,
    `${Q}.signature.keyId is required`,
    (d) => (quote(d).signature.keyId = ' '),
  ],
  [
    'quote signature that is no hex',
    full,
    hexText(`${Q}.signature.signature`),
    (d) => (quote(d).signature.signature = 'aa'),
  ],
  [
    'issuedAt without milliseconds',
    full,
    `${Q}.issuedAt must be a UTC ISO-8601 timestamp from Date.toISOString()`,
    (d) => requote(d, (q) => (q.issuedAt = '2026-01-02T03:04:05Z')),
  ],
  [
    'issuedAt on 30 February',
    full,
    `${Q}.issuedAt must be a parseable UTC ISO-8601 timestamp`,
    (d) => requote(d, (q) => (q.issuedAt = '2026-02-30T00:00:00.000Z')),
  ],
  [
    'expiresAt with an offset',
    full,
    `${Q}.expiresAt must be a UTC ISO-8601 timestamp from Date.toISOString()`,
    (d) => requote(d, (q) => (q.expiresAt = '2026-01-02T03:04:05.678+00:00')),
  ],
  [
    'expiresAt at hour 24',
    full,
    `${Q}.expiresAt must be a parseable UTC ISO-8601 timestamp`,
    (d) => requote(d, (q) => (q.expiresAt = '2026-01-02T24:00:00.000Z')),
  ],
  [
    'expiresAt not after issuedAt',
    full,
    `${Q}.expiresAt must be after ${Q}.issuedAt`,
    (d) => requote(d, (q) => (q.expiresAt = q.issuedAt)),
  ],
  [
    'expiresInSeconds off by one',
    full,
    `${Q}.expiresAt must equal ${Q}.issuedAt + expiresInSeconds`,
    (d) => requote(d, (q) => (q.expiresInSeconds = 901n)),
  ],
  [
    'quote epoch differs',
    full,
    `${Q}.epoch must match request.epoch`,
    (d) => requote(d, (q) => (q.epoch = 13n)),
  ],
  [
    'quote reserve differs',
    full,
    `${Q}.reserve must match request.reserve`,
    (d) => requote(d, (q) => (q.reserve = `0x${'9'.repeat(40)}`)),
  ],
  [
    'quote reservationId differs',
    full,
    `${Q}.reservationId must match ${M}.reservationId`,
    (d) => requote(d, (q) => (q.reservationId = 'cmdr_other')),
  ],
  [
    'quote revealer differs',
    full,
    `${Q}.revealer must match ${M}.revealer`,
    (d) => requote(d, (q) => (q.revealer = `0x${'9'.repeat(40)}`)),
  ],
  [
    'quote vault differs',
    full,
    `${Q}.vault must match ${M}.vault`,
    (d) => requote(d, (q) => (q.vault = `0x${'9'.repeat(40)}`)),
  ],
  [
    'quote network differs',
    full,
    `${Q}.network must match ${M}.network`,
    (d) => requote(d, (q) => (q.network = 'mainnet')),
  ],
  [
    'quote commitment differs',
    full,
    `${Q}.destinationCommitmentHash must match request.destinationCommitmentHash`,
    (d) => requote(d, (q) => (q.destinationCommitmentHash = digestOfOther)),
  ],
  [
    'quote txid differs',
    full,
    `${Q}.activeOutpointTxid must match request.activeOutpoint.txid`,
    (d) => requote(d, (q) => (q.activeOutpointTxid = digestOfOther)),
  ],
  [
    'quote vout differs',
    full,
    `${Q}.activeOutpointVout must match request.activeOutpoint.vout`,
    (d) => requote(d, (q) => (q.activeOutpointVout = 2)),
  ],
  [
    'quote plan commitment differs',
    full,
    `${Q}.planCommitmentHash must match ${P}.planCommitmentHash`,
    (d) => requote(d, (q) => (q.planCommitmentHash = digestOfOther)),
  ],
  [
    'quote without a plan',
    full,
    `${Q}.migrationTransactionPlan is required`,
    (d) => (quote(d).migrationTransactionPlan = null),
  ],
  [
    'quoted plan that breaks a plan rule',
    full,
    `${P}.anchorValueSats must equal the canonical 330 sat anchor`,
    (d) => (nested(d).anchorValueSats = 331n),
  ],
  [
    "quoted plan other than the request's, sound by itself",
    full,
    `${Q}.migrationTransactionPlan must match ${P}`,
    (d) => {
      nested(d).inputValueSats += 1n
      nested(d).feeSats += 1n
      const input = planCommitmentInput(request(d), nested(d))
      nested(d).planCommitmentHash = planCommitmentHash(input)
    },
  ],
  [
    'unknown quote key id',
    full,
    `${Q}.signature.keyId does not match a configured trust root`,
    (d) => (quote(d).signature.keyId = 'test-quote-key '),
    'submitOnly',
  ],
  [
    'quote root that is no PEM (I7)',
    full,
    'migrationPlanQuoteTrustRoots[0].publicKeyPem must be a PEM-encoded public key',
    (d) => {
      const [root] = d.context.trustRoots.migrationPlanQuoteTrustRoots
      some(root).publicKeyPem = 'no PEM'
    },
    'submitOnly',
  ],
  [
    'quote signed by another key',
    full,
    `${Q}.signature does not verify against the configured trust root`,
    (d) => (quote(d).signature.signature = `0x${'00'.repeat(64)}`),
    'submitOnly',
  ],
  [
    'quote expired one minute ago (C12)',
    full,
    `${Q} is expired`,
    (d) => (d.context.nowMs = Date.parse(quote(d).expiresAt) + 60_000),
    'submitOnly',
  ],
]

const S = 'request.signerApproval'
const A = 'request.artifactApprovals'
const certificateRows: readonly Row[] = [
  [
    'no approvals (C4)',
    every,
    `${A} is required`,
    (d) => (request(d).artifactApprovals = undefined),
  ],
  [
    'no certificate where a verifier is configured (C7)',
    full,
    `${S} is required when the signer approval verifier is configured`,
    (d) => {
      request(d).signerApproval = undefined
      request(d).artifactSignatures = approvals(d).map(({ signature }) => signature)
    },
    'submitOnly',
  ],
  [
    'certificateVersion 1 (C6)',
    full,
    `${S}.certificateVersion must equal 2`,
    (d) => (certificate(d).certificateVersion = 1),
  ],
  [
    'another signatureAlgorithm',
    full,
    `${S}.signatureAlgorithm must equal tecdsa-secp256k1`,
    (d) => (certificate(d).signatureAlgorithm = 'ecdsa'),
  ],
  [
    'approvalDigest of 31 bytes',
    full,
    bytes32Text(`${S}.approvalDigest`),
    (d) => (certificate(d).approvalDigest = `0x${'1'.repeat(62)}`),
  ],
  [
    'no walletPublicKey',
    full,
    hexText(`${S}.walletPublicKey`),
    (d) => (certificate(d).walletPublicKey = ''),
  ],
  [
    'compressed walletPublicKey',
    full,
    `${S}.walletPublicKey must be a 65-byte uncompressed secp256k1 public key`,
    (d) => (certificate(d).walletPublicKey = keys.signer.compressed),
  ],
  [
    'walletPublicKey with another first byte',
    full,
    `${S}.walletPublicKey must be a 65-byte uncompressed secp256k1 public key`,
    (d) => (certificate(d).walletPublicKey = `0x06${keys.signer.uncompressed.slice(4)}`),
  ],
  [
    'short signerSetHash',
    full,
    bytes32Text(`${S}.signerSetHash`),
    (d) => (certificate(d).signerSetHash = '0x11'),
  ],
  [
    'no certificate signature',
    full,
    hexText(`${S}.signature`),
    (d) => (certificate(d).signature = ''),
  ],
  [
    'certificate for another digest (C8)',
    full,
    `${S}.approvalDigest must match the canonical artifactApprovals payload digest`,
    (d) => (certificate(d).approvalDigest = digestOfOther),
  ],
  [
    'active member 0',
    full,
    `${S}.activeMembers[1] must be greater than zero`,
    (d) => (certificate(d).activeMembers = [1, 0]),
  ],
  [
    'active member twice',
    full,
    `${S}.activeMembers[2] duplicates member 7`,
    (d) => (certificate(d).activeMembers = [7, 1, 7]),
  ],
  [
    'inactive member 0',
    full,
    `${S}.inactiveMembers[0] must be greater than zero`,
    (d) => (certificate(d).inactiveMembers = [0]),
  ],
  [
    'inactive member twice',
    full,
    `${S}.inactiveMembers[1] duplicates member 9`,
    (d) => (certificate(d).inactiveMembers = [9, 9]),
  ],
  [
    'a member both active and inactive',
    full,
    `${S}.activeMembers and ${S}.inactiveMembers must not overlap`,
    (d) => (certificate(d).inactiveMembers = [3, 2]),
  ],
  [
    'certificate without endBlock (C9)',
    full,
    `${S}.endBlock is required`,
    (d) => (certificate(d).endBlock = null),
  ],
]

const approvalRows: readonly Row[] = [
  [
    'no artifactSignatures (C4)',
    every,
    'request.artifactSignatures must not be empty',
    (d) => (request(d).artifactSignatures = null),
  ],
  [
    'an artifact signature that is no hex',
    every,
    hexText('request.artifactSignatures[0]'),
    (d) => (some(request(d).artifactSignatures)[0] = '0x0'),
  ],
  [
    'approvalVersion 1 (C6)',
    bare,
    `${A}.payload.approvalVersion must equal 2`,
    (d) => (payload(d).approvalVersion = 1),
  ],
  [
    'payload for another route',
    bare,
    `${A}.payload.route must match request.route`,
    (d) => (payload(d).route = 'any'),
  ],
  [
    'payload for another template',
    bare,
    `${A}.payload.scriptTemplateId must match request.route`,
    (d) => (payload(d).scriptTemplateId = 'any'),
  ],
  [
    'short payload commitment',
    bare,
    bytes32Text(`${A}.payload.destinationCommitmentHash`),
    (d) => (payload(d).destinationCommitmentHash = '0x11'),
  ],
  [
    'payload plan commitment that is no hex',
    bare,
    digitText(`${A}.payload.planCommitmentHash`),
    (d) => (payload(d).planCommitmentHash = '0xgg'),
  ],
  [
    'payload commitment differs',
    bare,
    `${A}.payload.destinationCommitmentHash must match request.destinationCommitmentHash`,
    (d) => (payload(d).destinationCommitmentHash = digestOfOther),
  ],
  [
    'payload plan hash differs (C4)',
    bare,
    `${A}.payload.planCommitmentHash must match ${P}.planCommitmentHash`,
    (d) => (payload(d).planCommitmentHash = digestOfOther),
  ],
  [
    'an empty list of approvals',
    every,
    `${A}.approvals must not be empty`,
    (d) => (some(request(d).artifactApprovals).approvals = null),
  ],
  [
    'role S (C4)',
    every,
    `${A}.approvals[0].role is not allowed for `,
    (d) => (some(approvals(d)[0]).role = 'S'),
  ],
  [
    'approval signature that is no hex',
    every,
    hexText(`${A}.approvals[0].signature`),
    (d) => (some(approvals(d)[0]).signature = ''),
  ],
  [
    'self_v1 with C (C4)',
    ['self', 'renew'],
    `${A}.approvals[1].role is not allowed for self_v1`,
    (d) => approvals(d).splice(1, 9, { role: 'C', signature: '0x11' }),
  ],
  [
    'role D twice',
    ['full', 'plain', 'redeem'],
    `${A}.approvals[1].role duplicates role D`,
    (d) => approvals(d).splice(1, 9, { role: 'D', signature: '0x11' }),
  ],
  [
    'qc_v1 without C (C4)',
    ['full', 'plain', 'redeem'],
    `${A}.approvals must include role C for qc_v1`,
    (d) => approvals(d).splice(1),
  ],
  [
    'qc_v1 without D',
    ['full', 'plain', 'redeem'],
    `${A}.approvals must include role D for qc_v1`,
    (d) => approvals(d).splice(0, 1),
  ],
  [
    'artifactSignatures swapped (C4)',
    qc,
    'request.artifactSignatures must match canonical approval role order derived from request.artifactApprovals',
    (d) => some(request(d).artifactSignatures).reverse(),
  ],
  [
    'artifactSignatures without that of the certificate',
    full,
    'request.artifactSignatures must match canonical approval role order derived from request.artifactApprovals and request.signerApproval',
    (d) => some(request(d).artifactSignatures).pop(),
  ],
]

const T = 'request.scriptTemplate'
const templateRows: readonly Row[] = [
  [
    'no signer required (C17)',
    ['self', 'renew'],
    'request.signing must set signerRequired=true and custodianRequired=false for self_v1',
    (d) => (request(d).signing.signerRequired = false),
  ],
  [
    'custodian not required on qc_v1 (C17)',
    ['full', 'plain', 'redeem'],
    'request.signing must set signerRequired=true and custodianRequired=true for qc_v1',
    (d) => (request(d).signing.custodianRequired = false),
  ],
  [
    'template that did not decode (C17)',
    every,
    `${T} is invalid for `,
    (d) => (request(d).scriptTemplate = { invalid: 'unknown field' }),
  ],
  [
    'template named for another route (C17)',
    every,
    `${T}.template must be `,
    (d) => (template(d).template = d.route === 'qc_v1' ? 'self_v1' : 'qc_v1'),
  ],
  [
    'no depositorPublicKey',
    every,
    hexText(`${T}.depositorPublicKey`),
    (d) => (template(d).depositorPublicKey = ''),
  ],
  [
    'custodianPublicKey with a bad digit',
    ['full', 'plain', 'redeem'],
    digitText(`${T}.custodianPublicKey`),
    (d) => (template(d).custodianPublicKey = '0xgg'),
  ],
  [
    'no signerPublicKey',
    every,
    hexText(`${T}.signerPublicKey`),
    (d) => (template(d).signerPublicKey = ''),
  ],
]

const otherReserveRoots = parseTrustRoots({
  depositorTrustRoots: ['self_v1', 'qc_v1'].map((route) => ({
    route,
    reserve: '0x99',
    network: 'regtest',
    publicKey: keys.depositor.compressed,
  })),
})
const otherCustodianRoots = parseTrustRoots({
  custodianTrustRoots: [
    { route: 'qc_v1', reserve: '0x99', network: 'regtest', publicKey: keys.custodian.compressed },
  ],
})

const trustRows: readonly Row[] = [
  [
    'depositor roots without this scope (C11)',
    every,
    `${T}.depositorPublicKey requires a matching configured depositorTrustRoots entry for `,
    (d) =>
      (d.context.trustRoots.depositorTrustRoots = draftOf(otherReserveRoots.depositorTrustRoots)),
    'submitOnly',
  ],
  [
    'depositor key other than the pinned one (C11)',
    ['full', 'self'],
    `${T}.depositorPublicKey must match the configured depositorTrustRoots publicKey for `,
    (d) => {
      some(d.context.trustRoots.depositorTrustRoots[0]).publicKey = keys.other.compressed
    },
    'submitOnly',
  ],
  [
    'custodian roots without this scope (C11)',
    ['full', 'plain', 'redeem'],
    `${T}.custodianPublicKey requires a matching configured custodianTrustRoots entry for qc_v1`,
    (d) =>
      (d.context.trustRoots.custodianTrustRoots = draftOf(otherCustodianRoots.custodianTrustRoots)),
    'submitOnly',
  ],
  [
    'custodian key other than the pinned one (C11)',
    full,
    `${T}.custodianPublicKey must match the configured custodianTrustRoots publicKey for qc_v1`,
    (d) => {
      some(d.context.trustRoots.custodianTrustRoots[0]).publicKey = keys.other.compressed
    },
    'submitOnly',
  ],
]

const foreign = signAs('der', new Uint8Array(32).fill(9), keys.other.secret)

const signatureRows: readonly Row[] = [
  [
    'depositor key that is no point',
    ['plain', 'redeem', 'renew'],
    `${T}.depositorPublicKey must be a compressed secp256k1 public key`,
    (d) => (template(d).depositorPublicKey = '0x02'),
  ],
  [
    'custodian key that is uncompressed',
    qc,
    `${T}.custodianPublicKey must be a compressed secp256k1 public key`,
    (d) => (template(d).custodianPublicKey = keys.custodian.uncompressed),
  ],
  [
    'depositor approval that is no signature',
    ['full', 'plain', 'redeem', 'renew'],
    `${A}.approvals[0].signature must be a DER or 64/65-byte secp256k1 signature`,
    (d) => setSignature(d, 0, '0x3006020100020100'),
  ],
  [
    'depositor approval with a high S',
    ['full', 'plain', 'redeem', 'renew'],
    `${A}.approvals[0].signature must be a low-S secp256k1 signature`,
    (d) => setSignature(d, 0, `0x${'11'.repeat(32)}${'ff'.repeat(32)}`),
  ],
  [
    'D signed by another key (C4)',
    ['full', 'plain', 'redeem', 'renew'],
    `${A}.approvals[0].signature does not verify against the required public key`,
    (d) => setSignature(d, 0, foreign),
  ],
  [
    'wallet-signed approval of 64 bytes',
    ['self'],
    `${A}.approvals[0].signature must be a 65-byte secp256k1 signature`,
    (d) => setSignature(d, 0, `0x${'11'.repeat(64)}`),
  ],
  [
    'wallet-signed approval with a high S',
    ['self'],
    `${A}.approvals[0].signature must be a low-S secp256k1 signature`,
    (d) => setSignature(d, 0, `0x${'11'.repeat(32)}${'ff'.repeat(32)}05`),
  ],
  [
    'wallet-signed approval with recovery id 29',
    ['self'],
    `${A}.approvals[0].signature has an invalid recovery id`,
    (d) => setSignature(d, 0, `0x${'00'.repeat(64)}1d`),
  ],
  [
    'wallet-signed approval that recovers to nothing',
    ['self'],
    `${A}.approvals[0].signature does not recover to a valid public key`,
    (d) => setSignature(d, 0, `0x${'00'.repeat(64)}1b`),
  ],
  [
    'pinned address different from the signing wallet (C14)',
    ['self'],
    `${A}.approvals[0].signature does not verify against the required depositor ETH address`,
    (d) =>
      setSignature(d, 0, signAs('ethereum', new Uint8Array(32).fill(9), keys.depositor.secret)),
  ],
  [
    "C carrying D's signature (C4)",
    ['full', 'plain', 'redeem'],
    `${A}.approvals[1].signature does not verify against the required public key`,
    (d) => setSignature(d, 1, some(approvals(d)[0]).signature),
  ],
]

const lastRows: readonly Row[] = [
  [
    'certificate that has expired (C10)',
    full,
    'signer approval certificate has expired',
    (d) => (d.context.hostHeight = 123_457n),
  ],
  [
    'certificate without a verifier (C7)',
    full,
    `${S} cannot be verified by this signer deployment`,
    (d) => (d.context.verifiesCertificates = false),
    'submitOnly',
  ],
]

/** Rows in the order in which their rules are applied. Texts that end with a blank stand for their beginning. */
export const ruleRows: readonly RuleRow[] = [
  ...envelopeRows,
  ...hexRows,
  ...omittedRows,
  ...migrationRows,
  ...redeemRows,
  ...renewRows,
  ...planRows,
  ...quoteRows,
  ...certificateRows,
  ...approvalRows,
  ...templateRows,
  ...trustRows,
  ...signatureRows,
  ...lastRows,
].map(([name, names, text, breakIt, submitOnly]) => ({
  name,
  bases: names,
  text,
  break: breakIt,
  ...(submitOnly === undefined ? {} : { submitOnly: true as const }),
}))

/** Pairs of which the later break takes away what the earlier one needs: nothing is to be learnt from them. */
export const mootPairs: ReadonlySet<string> = new Set([
  'unknown action that carries a destination + unknown action',
  'unknown action that carries a destination + no migration destination (C1)',
  'plan pays another value + no plan (C2)',
  'plan pays another value (C13) + no plan (C2)',
  'no quote where issuers are configured (C12) + a quote where no issuer is configured',
  'no certificate where a verifier is configured (C7) + certificate without a verifier (C7)',
  'role D twice + qc_v1 without D',
  'qc_v1 without C (C4) + qc_v1 without D',
  "artifactSignatures swapped (C4) + C carrying D's signature (C4)",
])
