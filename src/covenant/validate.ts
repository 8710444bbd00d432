import { approvalDigest } from './digest.js'
import type {
  ApprovalDomain,
  ApprovalPayload,
  ArtifactApprovals,
  Hex,
  PollInput,
  Request,
  Route,
  SubmitInput,
} from './request.js'
import { scopeOf, type TrustRoots } from './trust.js'
import { checkApprovals } from './validate-approvals.js'
import { checkCertificateForm, checkCertificateTimely } from './validate-certificate.js'
import { checkDestination } from './validate-destination.js'
import { hexBytes, requireHex, rule } from './validate-fields.js'
import { checkPlan } from './validate-plan.js'
import { checkQuoteAtPoll, checkQuoteAtSubmit } from './validate-quote.js'
import {
  type CheckedTemplate,
  checkApprovalSignatures,
  checkTrustRoots,
  signersOf,
} from './validate-signers.js'

/** What a submit is judged by besides its own content. */
export type SubmitContext = {
  readonly trustRoots: TrustRoots
  readonly domain: ApprovalDomain
  /** Whether the engine verifies signer approval certificates; its verdict is asked for after these rules. */
  readonly verifiesCertificates: boolean
  /** Height of the host chain; undefined when no source told it, which refuses every certificate. */
  readonly hostHeight: bigint | undefined
  /** Milliseconds since 1970. */
  readonly nowMs: number
}

/** What a poll is judged by: no policy that may have changed since the job was accepted. */
export type PollContext = {
  readonly domain: ApprovalDomain
  /** As in `SubmitContext`. */
  readonly hostHeight: bigint | undefined
  /** The address that the job was accepted with, when one was pinned then. */
  readonly depositorEthAddress: string | undefined
}

/**
 * Holds a submit to rules 1 to 22, in this order; the first that fails wins (covenant signer specification, 8).
 *
 * @param route the route of the path that was called.
 * @remarks Rule 23, the verifier's verdict on the normalised request, is the engine's.
 * @throws InvalidInput with the exact text of the answer.
 * @throws HostHeightUnavailable when there is a certificate and no height.
 */
export function validateSubmit(input: SubmitInput, route: Route, context: SubmitContext): void {
  const { request } = input
  const { trustRoots } = context
  const digestOf = digestOnce(context.domain)
  checkEnvelope(input)
  checkIds(request, route)
  checkHexFields(request)
  const target = checkDestination(request)
  const plan = checkPlan(request)
  if (target.action === 'MIGRATION') {
    const quoted = { request, destination: target.destination, plan }
    checkQuoteAtSubmit(quoted, trustRoots.migrationPlanQuoteTrustRoots, context.nowMs)
  }
  const approvals = requireApprovals(request)
  rule(
    !context.verifiesCertificates || request.signerApproval !== undefined,
    'request.signerApproval is required when the signer approval verifier is configured',
  )
  checkCertificate(request, approvals, digestOf)
  checkApprovals(request, approvals, plan, route)
  checkSigning(request, route)
  const template = checkTemplate(request, route)
  const scope = scopeOf(route, request.reserve, target.destination.network)
  const signers = checkTrustRoots(template, scope, trustRoots)
  const digest = hexBytes(digestOf(approvals.payload))
  checkApprovalSignatures(approvals.approvals ?? [], digest, signers)
  checkCertificateTimely(request.signerApproval, context.hostHeight)
  rule(
    request.signerApproval === undefined || context.verifiesCertificates,
    'request.signerApproval cannot be verified by this signer deployment',
  )
}

/**
 * Holds a poll to the rules that do not depend on policy: no trust roots, no verifier, no quote signature.
 *
 * @param route the route of the path that was called.
 * @throws InvalidInput with the exact text of the answer.
 * @throws HostHeightUnavailable when there is a certificate and no height.
 */
export function validatePoll(input: PollInput, route: Route, context: PollContext): void {
  const { request } = input
  const digestOf = digestOnce(context.domain)
  rule(input.requestId !== '', 'requestId is required')
  checkEnvelope(input)
  checkIds(request, route)
  checkHexFields(request)
  const target = checkDestination(request)
  const plan = checkPlan(request)
  if (target.action === 'MIGRATION') {
    checkQuoteAtPoll({ request, destination: target.destination, plan })
  }
  const approvals = requireApprovals(request)
  checkCertificate(request, approvals, digestOf)
  checkApprovals(request, approvals, plan, route)
  checkSigning(request, route)
  const signers = signersOf(checkTemplate(request, route), context.depositorEthAddress)
  const digest = hexBytes(digestOf(approvals.payload))
  checkApprovalSignatures(approvals.approvals ?? [], digest, signers)
  checkCertificateTimely(request.signerApproval, context.hostHeight)
}

type DigestOf = (payload: ApprovalPayload) => Hex

/** The approval digest of the one payload of a request, worked out when it is first needed. */
function digestOnce(domain: ApprovalDomain): DigestOf {
  let digest: Hex | undefined
  return (payload) => {
    digest ??= approvalDigest(payload, domain)
    return digest
  }
}

/** Rules 1 and 2. */
function checkEnvelope(input: SubmitInput): void {
  rule(input.routeRequestId !== '', 'routeRequestId is required')
  rule(input.stage === 'SIGNER_COORDINATION', 'stage must be SIGNER_COORDINATION')
}

/** Rules 3 to 6. */
function checkIds(request: Request, route: Route): void {
  checkId(request.facadeRequestId, 'request.facadeRequestId')
  checkId(request.idempotencyKey, 'request.idempotencyKey')
  rule(request.route === route, 'request.route does not match endpoint route')
  const { requestType } = request
  rule(
    route !== 'qc_v1' || requestType !== 'presign_self_v1',
    'request.requestType must be reconstruct for qc_v1',
  )
  rule(
    requestType === 'reconstruct' || requestType === 'presign_self_v1',
    'request.requestType must be reconstruct or presign_self_v1',
  )
}

function checkId(id: string, name: string): void {
  rule(id !== '', `${name} is required`)
  rule(
    /^[a-zA-Z0-9_-]{1,255}$/.test(id),
    `${name} must match [a-zA-Z0-9_-] and be at most 255 chars`,
  )
}

/** Rule 7. */
function checkHexFields(request: Request): void {
  requireHex(request.strategy, 'request.strategy')
  requireHex(request.reserve, 'request.reserve')
  const { txid, scriptHash } = request.activeOutpoint
  requireHex(txid, 'request.activeOutpoint.txid')
  if (scriptHash !== '') requireHex(scriptHash, 'request.activeOutpoint.scriptHash')
  requireHex(request.destinationCommitmentHash, 'request.destinationCommitmentHash')
}

/** Rule 11. */
function requireApprovals(request: Request): ArtifactApprovals {
  rule(request.artifactApprovals !== undefined, 'request.artifactApprovals is required')
  return request.artifactApprovals
}

/** Rule 13. */
function checkCertificate(
  request: Request,
  approvals: ArtifactApprovals,
  digestOf: DigestOf,
): void {
  if (request.signerApproval === undefined) return
  checkCertificateForm(request.signerApproval, approvals.payload, digestOf)
}

/** Rule 15. */
function checkSigning({ signing }: Request, route: Route): void {
  const custodianRequired = route === 'qc_v1'
  rule(
    signing.signerRequired && signing.custodianRequired === custodianRequired,
    `request.signing must set signerRequired=true and custodianRequired=${custodianRequired} for ${route}`,
  )
}

/** Rules 16 to 18. */
function checkTemplate({ scriptTemplate }: Request, route: Route): CheckedTemplate {
  const name = 'request.scriptTemplate'
  const invalid = `${name} is invalid for ${route}: `
  rule(
    !('invalid' in scriptTemplate),
    `${invalid}${'invalid' in scriptTemplate ? scriptTemplate.invalid : ''}`,
  )
  rule(scriptTemplate.template === route, `${name}.template must be ${route}`)
  requireHex(scriptTemplate.depositorPublicKey, `${name}.depositorPublicKey`)
  const hasCustodian = 'custodianPublicKey' in scriptTemplate
  rule(hasCustodian === (route === 'qc_v1'), `${invalid}the fields of another route`)
  if (hasCustodian) requireHex(scriptTemplate.custodianPublicKey, `${name}.custodianPublicKey`)
  requireHex(scriptTemplate.signerPublicKey, `${name}.signerPublicKey`)
  return hasCustodian
    ? { route: 'qc_v1', template: scriptTemplate }
    : { route: 'self_v1', template: scriptTemplate }
}
