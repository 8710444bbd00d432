import { createPublicKey, type KeyObject } from 'node:crypto'
import { planQuoteDigest } from './digest.js'
import { InvalidInput } from './invalid-input.js'
import type {
  MigrationDestination,
  MigrationPlanQuote,
  MigrationTransactionPlan,
  Request,
} from './request.js'
import { verifyQuoteSignature } from './signatures.js'
import type { QuoteRoot } from './trust.js'
import {
  hexBytes,
  isBlank,
  requireAddress,
  requireBytes32,
  requireHex,
  rule,
  sameHex,
} from './validate-fields.js'
import { checkPlanValues } from './validate-plan.js'

const name = 'request.migrationPlanQuote'

/** What a quote has to agree with. */
export type QuotedRequest = {
  readonly request: Request
  readonly destination: MigrationDestination
  readonly plan: MigrationTransactionPlan
}

/**
 * Rule 10 at submit: where issuers are configured, a quote by one of them that is still fresh
 * (covenant signer specification, 9).
 *
 * @param nowMs milliseconds since 1970; a quote is good up to and with its last millisecond.
 * @throws InvalidInput
 */
export function checkQuoteAtSubmit(
  quoted: QuotedRequest,
  roots: readonly QuoteRoot[],
  nowMs: number,
): void {
  const quote = quoted.request.migrationPlanQuote
  if (quote === undefined) {
    rule(roots.length === 0, `${name} is required when migrationPlanQuoteTrustRoots are configured`)
    return
  }
  rule(roots.length > 0, `${name} verification requires configured trust roots`)
  checkQuoteForm(quoted, quote)
  checkQuoteSignature(quote, roots)
  rule(Date.parse(quote.expiresAt) >= nowMs, `${name} is expired`)
}

/**
 * Rule 10 at poll: a quote that was sent agrees with its request; who signed it and when it ends was settled at submit.
 *
 * @throws InvalidInput
 */
export function checkQuoteAtPoll(quoted: QuotedRequest): void {
  const quote = quoted.request.migrationPlanQuote
  if (quote !== undefined) checkQuoteForm(quoted, quote)
}

function checkQuoteForm(quoted: QuotedRequest, quote: MigrationPlanQuote): void {
  checkQuoteFields(quote)
  checkQuoteTimes(quote)
  checkAgreement(quoted, quote)
  checkNestedPlan(quoted, quote)
}

function checkQuoteFields(quote: MigrationPlanQuote): void {
  rule(quote.quoteVersion === 1, `${name}.quoteVersion must equal 1`)
  rule(!isBlank(quote.quoteId), `${name}.quoteId is required`)
  rule(!isBlank(quote.reservationId), `${name}.reservationId is required`)
  rule(!isBlank(quote.idempotencyKey), `${name}.idempotencyKey is required`)
  rule(quote.route === 'MIGRATION', `${name}.route must be MIGRATION`)
  requireAddress(quote.reserve, `${name}.reserve`)
  requireAddress(quote.revealer, `${name}.revealer`)
  requireAddress(quote.vault, `${name}.vault`)
  rule(!isBlank(quote.network), `${name}.network is required`)
  requireBytes32(quote.destinationCommitmentHash, `${name}.destinationCommitmentHash`)
  requireBytes32(quote.activeOutpointTxid, `${name}.activeOutpointTxid`)
  requireBytes32(quote.planCommitmentHash, `${name}.planCommitmentHash`)
  rule(quote.expiresInSeconds > 0n, `${name}.expiresInSeconds must be greater than zero`)
  const { signatureVersion, algorithm, keyId, signature } = quote.signature
  rule(signatureVersion === 1, `${name}.signature.signatureVersion must equal 1`)
  rule(algorithm === 'ed25519', `${name}.signature.algorithm must equal ed25519`)
  rule(!isBlank(keyId), `${name}.signature.keyId is required`)
  requireHex(signature, `${name}.signature.signature`)
}

function checkQuoteTimes(quote: MigrationPlanQuote): void {
  const issuedAtMs = parseTime(quote.issuedAt, `${name}.issuedAt`)
  const expiresAtMs = parseTime(quote.expiresAt, `${name}.expiresAt`)
  rule(expiresAtMs > issuedAtMs, `${name}.expiresAt must be after ${name}.issuedAt`)
  rule(
    BigInt(expiresAtMs - issuedAtMs) === quote.expiresInSeconds * 1000n,
    `${name}.expiresAt must equal ${name}.issuedAt + expiresInSeconds`,
  )
}

/** Milliseconds since 1970 of a time as `Date.prototype.toISOString` writes it. */
function parseTime(text: string, field: string): number {
  rule(
    /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/.test(text),
    `${field} must be a UTC ISO-8601 timestamp from Date.toISOString()`,
  )
  const ms = Date.parse(text)
  // 24:00 and 30 February parse, but come back as another time.
  const real = !Number.isNaN(ms) && new Date(ms).toISOString() === text
  rule(real, `${field} must be a parseable UTC ISO-8601 timestamp`)
  return ms
}

function checkAgreement(quoted: QuotedRequest, quote: MigrationPlanQuote): void {
  const { request, destination, plan } = quoted
  const mustMatch = (holds: boolean, field: string, other: string): void =>
    rule(holds, `${name}.${field} must match request.${other}`)
  const ofDestination = (holds: boolean, field: string): void =>
    mustMatch(holds, field, `migrationDestination.${field}`)
  mustMatch(quote.epoch === request.epoch, 'epoch', 'epoch')
  mustMatch(sameHex(quote.reserve, request.reserve), 'reserve', 'reserve')
  ofDestination(quote.reservationId === destination.reservationId, 'reservationId')
  ofDestination(sameHex(quote.revealer, destination.revealer), 'revealer')
  ofDestination(sameHex(quote.vault, destination.vault), 'vault')
  ofDestination(quote.network.trim() === destination.network.trim(), 'network')
  const commitment = quote.destinationCommitmentHash
  const field = 'destinationCommitmentHash'
  mustMatch(sameHex(commitment, request.destinationCommitmentHash), field, field)
  ofDestination(sameHex(commitment, destination.destinationCommitmentHash), field)
  mustMatch(
    sameHex(quote.activeOutpointTxid, request.activeOutpoint.txid),
    'activeOutpointTxid',
    'activeOutpoint.txid',
  )
  mustMatch(
    quote.activeOutpointVout === request.activeOutpoint.vout,
    'activeOutpointVout',
    'activeOutpoint.vout',
  )
  mustMatch(
    sameHex(quote.planCommitmentHash, plan.planCommitmentHash),
    'planCommitmentHash',
    'migrationTransactionPlan.planCommitmentHash',
  )
}

function checkNestedPlan({ request, plan }: QuotedRequest, quote: MigrationPlanQuote): void {
  const nested = quote.migrationTransactionPlan
  rule(nested !== null, `${name}.migrationTransactionPlan is required`)
  checkPlanValues(request, nested)
  rule(
    samePlan(nested, plan),
    `${name}.migrationTransactionPlan must match request.migrationTransactionPlan`,
  )
}

function samePlan(a: MigrationTransactionPlan, b: MigrationTransactionPlan): boolean {
  return (
    a.planVersion === b.planVersion &&
    sameHex(a.planCommitmentHash, b.planCommitmentHash) &&
    a.inputValueSats === b.inputValueSats &&
    a.destinationValueSats === b.destinationValueSats &&
    a.anchorValueSats === b.anchorValueSats &&
    a.feeSats === b.feeSats &&
    a.inputSequence === b.inputSequence &&
    a.lockTime === b.lockTime
  )
}

function checkQuoteSignature(quote: MigrationPlanQuote, roots: readonly QuoteRoot[]): void {
  const { keyId, signature } = quote.signature
  const index = roots.findIndex((root) => root.keyId === keyId)
  const root = roots[index]
  rule(root !== undefined, `${name}.signature.keyId does not match a configured trust root`)
  const key = readQuoteKey(root.publicKeyPem, index)
  rule(
    verifyQuoteSignature(hexBytes(signature), hexBytes(planQuoteDigest(quote)), key),
    `${name}.signature does not verify against the configured trust root`,
  )
}

const pemPattern = /^-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/=\s]+-----END PUBLIC KEY-----$/

function readQuoteKey(configured: string, index: number): KeyObject {
  const field = `migrationPlanQuoteTrustRoots[${index}].publicKeyPem`
  const pem = configured.replaceAll('\\n', '\n').replaceAll('\r\n', '\n').trim()
  rule(pemPattern.test(pem), `${field} must be a PEM-encoded public key`)
  const key = importKey(pem, field)
  rule(key.asymmetricKeyType === 'ed25519', `${field} must be a PEM-encoded Ed25519 public key`)
  return key
}

function importKey(pem: string, field: string): KeyObject {
  try {
    return createPublicKey(pem)
  } catch (cause) {
    throw new InvalidInput(`${field} must be a PEM-encoded public key`, cause)
  }
}
