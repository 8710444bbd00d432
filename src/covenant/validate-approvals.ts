import {
  type ApprovalPayload,
  type ArtifactApprovals,
  type MigrationTransactionPlan,
  type Request,
  type Role,
  type Route,
  requiredRoles,
} from './request.js'
import { checkPayloadHashes } from './validate-certificate.js'
import { requireHex, rule, sameHex } from './validate-fields.js'

/**
 * Rule 14: the form of the approvals and of their legacy copy (covenant signer specification, 8.3).
 *
 * @throws InvalidInput
 */
export function checkApprovals(
  request: Request,
  approvals: ArtifactApprovals,
  plan: MigrationTransactionPlan,
  route: Route,
): void {
  const signatures = request.artifactSignatures ?? []
  rule(signatures.length > 0, 'request.artifactSignatures must not be empty')
  for (const [index, signature] of signatures.entries()) {
    requireHex(signature, `request.artifactSignatures[${index}]`)
  }
  const { payload } = approvals
  const name = 'request.artifactApprovals'
  checkPayload(payload, route, `${name}.payload`, 'request.route')
  rule(
    sameHex(payload.destinationCommitmentHash, request.destinationCommitmentHash),
    `${name}.payload.destinationCommitmentHash must match request.destinationCommitmentHash`,
  )
  rule(
    sameHex(payload.planCommitmentHash, plan.planCommitmentHash),
    `${name}.payload.planCommitmentHash must match request.migrationTransactionPlan.planCommitmentHash`,
  )
  const byRole = checkRoles(approvals, route)
  checkLegacyCopy(request, signatures, byRole, route)
}

/**
 * The payload's own rules; submit and issue differ only in how they name the fields.
 *
 * @param routeName what the texts call the route that the payload must name.
 * @throws InvalidInput
 */
export function checkPayload(
  payload: ApprovalPayload,
  route: Route,
  name: string,
  routeName: string,
): void {
  rule(payload.approvalVersion === 2, `${name}.approvalVersion must equal 2`)
  rule(payload.route === route, `${name}.route must match ${routeName}`)
  rule(payload.scriptTemplateId === route, `${name}.scriptTemplateId must match ${routeName}`)
  checkPayloadHashes(payload, name)
}

function checkRoles(approvals: ArtifactApprovals, route: Route): ReadonlyMap<Role, string> {
  const name = 'request.artifactApprovals.approvals'
  const listed = approvals.approvals ?? []
  rule(listed.length > 0, `${name} must not be empty`)
  const required = requiredRoles(route)
  const byRole = new Map<Role, string>()
  for (const [index, { role, signature }] of listed.entries()) {
    const known = required.find((wanted) => wanted === role)
    rule(known !== undefined, `${name}[${index}].role is not allowed for ${route}`)
    rule(!byRole.has(known), `${name}[${index}].role duplicates role ${role}`)
    requireHex(signature, `${name}[${index}].signature`)
    byRole.set(known, signature)
  }
  for (const role of required) {
    rule(byRole.has(role), `${name} must include role ${role} for ${route}`)
  }
  return byRole
}

function checkLegacyCopy(
  request: Request,
  signatures: readonly string[],
  byRole: ReadonlyMap<Role, string>,
  route: Route,
): void {
  const certificate = request.signerApproval
  const derived = requiredRoles(route).flatMap((role) => byRole.get(role) ?? [])
  if (certificate !== undefined) derived.push(certificate.signature)
  const source = 'canonical approval role order derived from request.artifactApprovals'
  rule(
    signatures.length === derived.length &&
      derived.every((signature, index) => sameHex(signature, signatures[index] ?? '')),
    `request.artifactSignatures must match ${source}${
      certificate === undefined ? '' : ' and request.signerApproval'
    }`,
  )
}
