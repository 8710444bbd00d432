import { createHash, createPrivateKey, createPublicKey, sign as signEd25519 } from 'node:crypto'
import * as secp256k1 from 'tiny-secp256k1'
import { fromHex, toHex } from '../../src/base/bytes.js'
import {
  approvalDigest,
  certificateDigest,
  destinationCommitmentHash,
  migrationExtraData,
  planCommitmentHash,
  planQuoteDigest,
  scriptHash,
  signerSetHash,
} from '../../src/covenant/digest.js'
import { planCommitmentInput } from '../../src/covenant/hashed-fields.js'
import type {
  Action,
  ApprovalDomain,
  Hex,
  IssueInput,
  MigrationDestination,
  MigrationPlanQuote,
  MigrationTransactionPlan,
  RedeemDestination,
  RenewDestination,
  Request,
  Route,
  SignerApproval,
  SubmitInput,
} from '../../src/covenant/request.js'
import { ethereumAddress } from '../../src/covenant/signatures.js'
import { noTrustRoots, parseTrustRoots, type TrustRoots } from '../../src/covenant/trust.js'
import type { SubmitContext } from '../../src/covenant/validate.js'

/**
 * Makes complete, really signed covenant requests: the same options give the same bytes.
 * Every key here is a public test key.
 */

export type Mutable<T> =
  T extends ReadonlyMap<string, unknown>
    ? T
    : T extends object
      ? { -readonly [Field in keyof T]: Mutable<T[Field]> }
      : T

/** A key pair from one byte repeated 32 times. */
export type TestKey = {
  readonly secret: Uint8Array
  readonly compressed: Hex
  readonly uncompressed: Hex
  readonly ethAddress: Hex
}

export type SignatureForm = 'der' | 'compact' | 'recoverable' | 'ethereum'

export type SubmitOptions = {
  readonly route?: Route
  readonly action?: Action
  readonly requestType?: string
  /** Sets the ids and the outpoint. */
  readonly seed?: number | string
  readonly routeRequestId?: string
  readonly depositorForm?: SignatureForm
  readonly certificate?: boolean | { readonly endBlock?: bigint }
  /** MIGRATION only. */
  readonly quote?: boolean | { readonly issuedAtMs?: number; readonly expiresInSeconds?: bigint }
  readonly domain?: ApprovalDomain
  readonly signer?: TestKey
  readonly activeOutpoint?: Request['activeOutpoint']
  /** Changes fields before commitments and signatures are made, so that the result is still sound. */
  readonly edit?: (request: Mutable<Request>) => void
}

const bytes = (hex: string): Uint8Array => fromHex(hex.slice(2))
const prefixed = (raw: Uint8Array): Hex => `0x${toHex(raw)}`
const repeated = (digit: string, count: number): Hex => `0x${digit.repeat(count)}`
const sha256Hex = (text: string): Hex => `0x${createHash('sha256').update(text).digest('hex')}`

export function testKey(byte: number): TestKey {
  const secret = new Uint8Array(32).fill(byte)
  const compressed = secp256k1.pointFromScalar(secret, true)
  const uncompressed = secp256k1.pointFromScalar(secret, false)
  if (compressed === null || uncompressed === null) throw new RangeError('test key: not a scalar')
  return {
    secret,
    compressed: prefixed(compressed),
    uncompressed: prefixed(uncompressed),
    ethAddress: prefixed(ethereumAddress(uncompressed)),
  }
}

export const keys: { readonly [Name in 'depositor' | 'custodian' | 'signer' | 'other']: TestKey } =
  {
    depositor: testKey(0x11),
    signer: testKey(0x22),
    custodian: testKey(0x33),
    other: testKey(0x44),
  }

/** Chain 0 and a zero salt: the domain of the worked examples. */
export const testDomain: ApprovalDomain = { chainId: 0n, salt: repeated('0', 64) }
/** The moment that quotes are issued at and contexts stand at: 2026-01-02T03:04:05.678Z. */
export const testNowMs: number = 1_767_323_045_678
/** Host-chain height of contexts; certificates end at 123456. */
export const testHeight: bigint = 100_000n

const pkcs8 = Buffer.concat([
  Buffer.from('302e020100300506032b657004220420', 'hex'),
  Buffer.alloc(32, 0x55),
])
const quotePrivateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })

export const quoteIssuer: { readonly keyId: string; readonly publicKeyPem: string } = {
  keyId: 'test-quote-key',
  publicKeyPem: createPublicKey(quotePrivateKey).export({ type: 'spki', format: 'pem' }).toString(),
}

/** One complete request that every rule accepts, whose signatures are real. */
export function makeSubmit(options: SubmitOptions = {}): SubmitInput {
  const { seed = 1 } = options
  const request = makeUnsealed(options)
  options.edit?.(request)
  seal(request, options)
  return {
    routeRequestId: options.routeRequestId ?? `route_${seed}`,
    request,
    stage: 'SIGNER_COORDINATION',
  }
}

/** A deep copy whose fields can be set, for breaking one rule at a time. */
export function draftOf<T>(value: T): Mutable<T> {
  return structuredClone(value) as Mutable<T>
}

/** Makes every commitment, approval, certificate and quote of a request anew, from its other fields. */
export function seal(request: Mutable<Request>, options: SubmitOptions = {}): void {
  const { domain = testDomain, depositorForm = 'der', signer = keys.signer } = options
  const destination = some(
    request.migrationDestination ?? request.redeemDestination ?? request.renewDestination,
  )
  request.destinationCommitmentHash = destinationCommitmentHash(destination)
  destination.destinationCommitmentHash = request.destinationCommitmentHash
  const plan = some(request.migrationTransactionPlan)
  plan.planCommitmentHash = planCommitmentHash(planCommitmentInput(request, plan))
  const payload = {
    approvalVersion: 2,
    route: request.route,
    scriptTemplateId: request.route,
    destinationCommitmentHash: request.destinationCommitmentHash,
    planCommitmentHash: plan.planCommitmentHash,
  }
  const digest = approvalDigest(payload, domain)
  const signatures: Hex[] = [signAs(depositorForm, bytes(digest), keys.depositor.secret)]
  const approvals = [{ role: 'D', signature: some(signatures[0]) as string }]
  if (request.route === 'qc_v1') {
    const signature = signAs('der', bytes(digest), keys.custodian.secret)
    signatures.push(signature)
    approvals.push({ role: 'C', signature })
  }
  request.artifactApprovals = { payload, approvals }
  if (options.certificate) {
    const endBlock = options.certificate === true ? undefined : options.certificate.endBlock
    const certificate = makeCertificate(digest, signer, endBlock ?? 123_456n)
    signatures.push(certificate.signature as Hex)
    request.signerApproval = draftOf(certificate)
  }
  if (options.quote) {
    request.migrationPlanQuote = makeQuote(
      request,
      plan,
      options.quote === true ? {} : options.quote,
    )
  }
  request.artifactSignatures = signatures
}

/** Signs a 32-byte digest as it is: low S, RFC 6979. */
export function signAs(form: SignatureForm, digest: Uint8Array, secret: Uint8Array): Hex {
  const { signature, recoveryId } = secp256k1.signRecoverable(digest, secret)
  switch (form) {
    case 'compact':
      return prefixed(signature)
    case 'recoverable':
      return `${prefixed(signature)}0${recoveryId}`
    case 'ethereum':
      return `${prefixed(signature)}${(27 + recoveryId).toString(16)}`
    default:
      return prefixed(encodeDer(signature))
  }
}

/** Signs a quote's 32-byte digest with the test issuer's key. */
export function signQuote(quote: MigrationPlanQuote): Hex {
  return prefixed(new Uint8Array(signEd25519(null, bytes(planQuoteDigest(quote)), quotePrivateKey)))
}

/** The minimal DER encoding of r(32) | s(32). */
export function encodeDer(compact: Uint8Array): Uint8Array {
  const integer = (scalar: Uint8Array): number[] => {
    const first = scalar.findIndex((byte) => byte !== 0)
    const digits = [...scalar.subarray(first < 0 ? scalar.length - 1 : first)]
    if ((digits[0] ?? 0) >= 0x80) digits.unshift(0)
    return [0x02, digits.length, ...digits]
  }
  const body = [...integer(compact.subarray(0, 32)), ...integer(compact.subarray(32))]
  return Uint8Array.of(0x30, body.length, ...body)
}

/** The roots that pin a request's own keys: the depositor's by address where it signs like a wallet. */
export function pinningRoots(input: SubmitInput, options: SubmitOptions = {}): TrustRoots {
  const { request } = input
  const destination = some(
    request.migrationDestination ?? request.redeemDestination ?? request.renewDestination,
  )
  const scope = { route: request.route, reserve: request.reserve, network: destination.network }
  const pinned = options.depositorForm === 'ethereum'
  return parseTrustRoots({
    depositorTrustRoots: [
      {
        ...scope,
        publicKey: keys.depositor.compressed,
        ...(pinned ? { ethAddress: keys.depositor.ethAddress } : {}),
      },
    ],
    custodianTrustRoots:
      request.route === 'qc_v1' ? [{ ...scope, publicKey: keys.custodian.compressed }] : [],
    migrationPlanQuoteTrustRoots: options.quote ? [quoteIssuer] : [],
  })
}

/** The context that accepts what `makeSubmit` makes of the same options; an Ethereum depositor is pinned. */
export function makeContext(options: SubmitOptions = {}, input?: SubmitInput): SubmitContext {
  const pinned = options.depositorForm === 'ethereum'
  const roots = pinned ? pinningRoots(input ?? makeSubmit(options), options) : noTrustRoots
  return {
    trustRoots: { ...roots, migrationPlanQuoteTrustRoots: options.quote ? [quoteIssuer] : [] },
    domain: options.domain ?? testDomain,
    verifiesCertificates: Boolean(options.certificate),
    hostHeight: testHeight,
    nowMs: testNowMs,
  }
}

/** A call for the certificate of the request that the same options make. */
export function makeIssue(options: SubmitOptions = {}): IssueInput {
  const { request } = makeSubmit(options)
  const destination = some(
    request.migrationDestination ?? request.redeemDestination ?? request.renewDestination,
  )
  return {
    walletPublicKeyHash: repeated('7', 40),
    route: request.route,
    reserve: request.reserve,
    network: destination.network,
    artifactApprovals: some(request.artifactApprovals),
    endBlock: 123_456n,
  }
}

/** The body of a submit, poll or issue call: JSON with all 64 bits of every integer. */
export function encodeSubmit(input: object): Uint8Array {
  return new TextEncoder().encode(toJson(input))
}

/** A test asked for a field that its request does not have. */
export class ValueMissing extends TypeError {
  override readonly name = 'ValueMissing'
}

/** The value, or a failed test. */
export function some<T>(value: T | null | undefined): T {
  if (value === undefined || value === null) throw new ValueMissing()
  return value
}

function toJson(value: unknown): string {
  if (typeof value === 'bigint') return value.toString()
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(toJson).join(',')}]`
  const entries = value instanceof Map ? [...value] : Object.entries(value)
  const fields = entries.filter(([, field]) => field !== undefined)
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${toJson(field)}`).join(',')}}`
}

function makeUnsealed(options: SubmitOptions): Mutable<Request> {
  const { route = 'self_v1', action = 'MIGRATION', requestType = 'reconstruct', seed = 1 } = options
  const custodianRequired = route === 'qc_v1'
  const plan: MigrationTransactionPlan = {
    planVersion: 1,
    planCommitmentHash: '',
    inputValueSats: 1_000_000n,
    destinationValueSats: 998_000n,
    anchorValueSats: 330n,
    feeSats: 1_670n,
    inputSequence: 0xfffffffd,
    lockTime: 912_345,
  }
  const template = {
    template: route,
    depositorPublicKey: keys.depositor.compressed,
    signerPublicKey: (options.signer ?? keys.signer).compressed,
    delta2: 4320n,
  }
  const request: Request = {
    facadeRequestId: `rf_${seed}`,
    idempotencyKey: `idem_${seed}`,
    requestType,
    route,
    action: action === 'MIGRATION' ? '' : action,
    strategy: '0x1234',
    reserve: repeated('1', 40),
    epoch: 12n,
    maturityHeight: 912_345n,
    activeOutpoint: options.activeOutpoint ?? {
      txid: sha256Hex(`outpoint ${seed}`),
      vout: 1,
      scriptHash: sha256Hex(`script ${seed}`),
    },
    destinationCommitmentHash: '',
    ...makeDestination(action, plan.destinationValueSats),
    migrationTransactionPlan: plan,
    artifactSignatures: null,
    artifacts: new Map(),
    scriptTemplate: custodianRequired
      ? { ...template, custodianPublicKey: keys.custodian.compressed, beta: 144n }
      : template,
    signing: { signerRequired: true, custodianRequired },
  }
  return draftOf(request)
}

type Destinations = Pick<Request, 'migrationDestination' | 'redeemDestination' | 'renewDestination'>

function makeDestination(action: Action, outputValueSats: bigint): Destinations {
  const revealer = repeated('2', 40)
  const reservation = {
    reservationId: { MIGRATION: 'cmdr', REDEEM: 'crdr', RENEW: 'crnr' }[action].concat('_12345678'),
    reserve: repeated('1', 40),
    epoch: 12n,
    route: action,
    revealer,
    vault: repeated('3', 40),
    network: 'regtest',
    status: 'RESERVED',
    destinationCommitmentHash: '',
  }
  const script = `0x0014${{ MIGRATION: 'a', REDEEM: 'b', RENEW: 'c' }[action].repeat(40)}`
  const hash = scriptHash(script)
  const migration: MigrationDestination = {
    ...reservation,
    depositScript: script,
    depositScriptHash: hash,
    migrationExtraData: migrationExtraData(revealer),
  }
  const redeem: RedeemDestination = {
    ...reservation,
    outputScript: script,
    outputScriptHash: hash,
    outputValueSats,
  }
  const renew: RenewDestination = {
    ...reservation,
    nextCovenantScript: script,
    nextCovenantScriptHash: hash,
    nextMaturityHeight: 987_654n,
    outputValueSats,
  }
  return {
    MIGRATION: { migrationDestination: migration },
    REDEEM: { redeemDestination: redeem },
    RENEW: { renewDestination: renew },
  }[action]
}

function makeCertificate(digest: Hex, signer: TestKey, endBlock: bigint): SignerApproval {
  const signed = bytes(certificateDigest({ approvalDigest: digest, endBlock }))
  return {
    certificateVersion: 2,
    signatureAlgorithm: 'tecdsa-secp256k1',
    approvalDigest: digest,
    walletPublicKey: signer.uncompressed,
    signerSetHash: signerSetHash({
      walletId: repeated('1', 64),
      walletPublicKey: signer.uncompressed,
      membersIdsHash: repeated('2', 64),
      honestThreshold: 51,
    }),
    signature: signAs('der', signed, signer.secret),
    activeMembers: [1, 2],
    inactiveMembers: [3, 4],
    endBlock,
  }
}

function makeQuote(
  request: Request,
  plan: MigrationTransactionPlan,
  options: { readonly issuedAtMs?: number; readonly expiresInSeconds?: bigint },
): MigrationPlanQuote {
  const { issuedAtMs = testNowMs, expiresInSeconds = 900n } = options
  const destination = some(request.migrationDestination)
  const unsigned = {
    quoteId: `cmdq_${request.facadeRequestId}`,
    quoteVersion: 1,
    reservationId: destination.reservationId,
    reserve: request.reserve,
    epoch: request.epoch,
    route: 'MIGRATION',
    revealer: destination.revealer,
    vault: destination.vault,
    network: destination.network,
    destinationCommitmentHash: request.destinationCommitmentHash,
    activeOutpointTxid: request.activeOutpoint.txid,
    activeOutpointVout: request.activeOutpoint.vout,
    planCommitmentHash: plan.planCommitmentHash,
    migrationTransactionPlan: { ...plan },
    idempotencyKey: request.idempotencyKey,
    expiresInSeconds,
    issuedAt: new Date(issuedAtMs).toISOString(),
    expiresAt: new Date(issuedAtMs + Number(expiresInSeconds) * 1000).toISOString(),
    signature: {
      signatureVersion: 1,
      algorithm: 'ed25519',
      keyId: quoteIssuer.keyId,
      signature: '',
    },
  }
  return { ...unsigned, signature: { ...unsigned.signature, signature: signQuote(unsigned) } }
}
