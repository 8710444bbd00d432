import { approvalDigest } from './digest.js'
import {
  type Approval,
  type ApprovalDomain,
  type IssueInput,
  isRoute,
  type Route,
  requiredRoles,
} from './request.js'
import { findCustodianRoot, findDepositorRoot, scopeOf, type TrustRoots } from './trust.js'
import { checkPayload } from './validate-approvals.js'
import { hexBytes, requireHex, rule, sizeBytes } from './validate-fields.js'
import { checkApprovalSignatures, type Signers } from './validate-signers.js'

/** What a call for a certificate is judged by besides its own content. */
export type IssueContext = {
  readonly trustRoots: TrustRoots
  readonly domain: ApprovalDomain
}

/**
 * Holds a call for a signer approval certificate to the rules before the engine (covenant signer specification, 10.4).
 *
 * @remarks Depositor and custodian must be pinned: the caller names no key and gives no digest. The digest to
 * certify is `approvalDigest` of the payload, in the same domain.
 * @throws InvalidInput with the exact text of the answer.
 */
export function validateIssue(input: IssueInput, context: IssueContext): void {
  requireHex(input.walletPublicKeyHash, 'walletPublicKeyHash')
  rule(
    sizeBytes(input.walletPublicKeyHash) === 20,
    'walletPublicKeyHash must be a 20-byte 0x-prefixed hex string',
  )
  rule(input.endBlock !== 0n, 'endBlock is required')
  const { route, artifactApprovals } = input
  rule(isRoute(route), 'unsupported request.route')
  const approvals = artifactApprovals.approvals ?? []
  checkPayload(artifactApprovals.payload, route, 'artifactApprovals.payload', 'route')
  checkExactRoles(approvals, route)
  const signers = pinnedSigners(input, route, context.trustRoots)
  const digest = hexBytes(approvalDigest(artifactApprovals.payload, context.domain))
  checkApprovalSignatures(approvals, digest, signers)
}

function checkExactRoles(approvals: readonly Approval[], route: Route): void {
  const name = 'artifactApprovals.approvals'
  const required = requiredRoles(route)
  rule(
    approvals.length === required.length,
    `${name} must include exactly the roles required for route`,
  )
  const seen = new Set<string>()
  for (const [index, { role }] of approvals.entries()) {
    rule(
      required.some((wanted) => wanted === role),
      `${name}[${index}].role is not allowed for route`,
    )
    rule(!seen.has(role), `${name}[${index}].role duplicates role ${role}`)
    seen.add(role)
  }
}

function pinnedSigners(input: IssueInput, route: Route, roots: TrustRoots): Signers {
  const scope = scopeOf(route, input.reserve, input.network)
  const depositor = findDepositorRoot(roots, scope)
  rule(depositor !== undefined, missingRoot('depositor'))
  const custodian = route === 'qc_v1' ? findCustodianRoot(roots, scope) : undefined
  rule(route !== 'qc_v1' || custodian !== undefined, missingRoot('custodian'))
  return {
    depositor:
      depositor.ethAddress === undefined
        ? { kind: 'scriptKey', publicKey: depositor.publicKey }
        : { kind: 'ethereum', address: depositor.ethAddress },
    custodianPublicKey: custodian?.publicKey,
  }
}

function missingRoot(role: 'depositor' | 'custodian'): string {
  const missing = `no ${role}TrustRoots entry is configured for the requested route/reserve/network`
  return `${missing}; certificate issuance requires a pinned ${role} identity`
}
