import { InvalidInput } from './invalid-input.js'
import type { Approval, Request } from './request.js'
import { actionOf, isRoute, requiredRoles } from './request.js'
import { request as requestKind } from './request-fields.js'

/**
 * The request as it is hashed and stored: hex lower-cased, ids and networks trimmed, members sorted,
 * approvals in role order, `artifactSignatures` derived from them, and no quote unless the action is
 * MIGRATION (covenant signer specification, section 11).
 *
 * @returns A copy; the request itself is not changed. Normalising twice changes nothing more.
 * @throws InvalidInput when the derived parts cannot be made, with the text validation has for it.
 */
export function normalizeRequest(request: Request): Request {
  if ('invalid' in request.scriptTemplate) {
    const { invalid } = request.scriptTemplate
    throw new InvalidInput(`request.scriptTemplate is invalid for ${request.route}: ${invalid}`)
  }
  const fields = requestKind.normalize(request)
  return {
    ...fields,
    migrationPlanQuote: actionOf(fields) === 'MIGRATION' ? fields.migrationPlanQuote : undefined,
    ...(fields.artifactApprovals === undefined ? {} : orderApprovals(fields)),
  }
}

/** Approvals as exactly the required roles, and the signature list that follows from them. */
function orderApprovals(
  request: Request,
): Pick<Request, 'artifactApprovals' | 'artifactSignatures'> {
  const { artifactApprovals, migrationTransactionPlan, signerApproval, route } = request
  if (artifactApprovals === undefined || migrationTransactionPlan === undefined) {
    throw new InvalidInput(
      'request.migrationTransactionPlan is required when request.artifactApprovals is present',
    )
  }
  const approvals = approvalsByRole(artifactApprovals.approvals ?? [], route)
  const signatures = approvals.map(({ signature }) => signature)
  return {
    artifactApprovals: { ...artifactApprovals, approvals },
    artifactSignatures:
      signerApproval === undefined ? signatures : [...signatures, signerApproval.signature],
  }
}

function approvalsByRole(approvals: readonly Approval[], route: string): readonly Approval[] {
  const subject = 'request.artifactApprovals.approvals'
  if (!isRoute(route)) throw new InvalidInput('request.route does not match endpoint route')
  const roles = requiredRoles(route)
  const byRole = new Map<string, Approval>()
  for (const [i, approval] of approvals.entries()) {
    const { role } = approval
    if (!roles.some((required) => required === role)) {
      throw new InvalidInput(`${subject}[${i}].role is not allowed for ${route}`)
    }
    if (byRole.has(role)) throw new InvalidInput(`${subject}[${i}].role duplicates role ${role}`)
    byRole.set(role, approval)
  }
  return roles.map((role) => {
    const approval = byRole.get(role)
    if (approval === undefined) {
      throw new InvalidInput(`${subject} must include role ${role} for ${route}`)
    }
    return approval
  })
}
