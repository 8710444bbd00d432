import { planCommitmentHash } from './digest.js'
import { planCommitmentInput } from './hashed-fields.js'
import type { MigrationTransactionPlan, Request } from './request.js'
import { requireHex, rule, sameHex } from './validate-fields.js'

const anchorSats = 330n
/** Replaceable, and still held to the lock time (BIP-125, BIP-65). */
const inputSequence = 0xfffffffd
const uint32Max = 0xffffffffn

/**
 * Rule 9: the transaction plan (covenant signer specification, 8.2).
 *
 * @returns the request's plan.
 * @throws InvalidInput
 */
export function checkPlan(request: Request): MigrationTransactionPlan {
  const plan = request.migrationTransactionPlan
  rule(plan !== undefined, 'request.migrationTransactionPlan is required')
  checkPlanValues(request, plan)
  return plan
}

/**
 * The rules of 8.2 that follow presence; a quote's nested plan is held to them in the same words.
 *
 * @throws InvalidInput
 */
export function checkPlanValues(request: Request, plan: MigrationTransactionPlan): void {
  const name = 'request.migrationTransactionPlan'
  rule(plan.planVersion === 1, `${name}.planVersion must equal 1`)
  requireHex(plan.planCommitmentHash, `${name}.planCommitmentHash`)
  rule(plan.inputValueSats > 0n, `${name}.inputValueSats must be greater than zero`)
  rule(plan.destinationValueSats > 0n, `${name}.destinationValueSats must be greater than zero`)
  rule(plan.feeSats > 0n, `${name}.feeSats must be greater than zero`)
  rule(
    plan.anchorValueSats === anchorSats,
    `${name}.anchorValueSats must equal the canonical 330 sat anchor`,
  )
  rule(plan.inputSequence === inputSequence, `${name}.inputSequence must equal 0xFFFFFFFD`)
  rule(request.maturityHeight <= uint32Max, 'request.maturityHeight must fit in uint32')
  rule(
    BigInt(plan.lockTime) === request.maturityHeight,
    `${name}.lockTime must match request.maturityHeight`,
  )
  checkSums(plan, name)
  rule(
    sameHex(plan.planCommitmentHash, planCommitmentHash(planCommitmentInput(request, plan))),
    `${name}.planCommitmentHash does not match canonical migration transaction plan`,
  )
}

function checkSums(plan: MigrationTransactionPlan, name: string): void {
  const afterDestination = plan.inputValueSats - plan.destinationValueSats
  rule(afterDestination >= 0n, `${name}.inputValueSats must cover destinationValueSats`)
  const afterAnchor = afterDestination - plan.anchorValueSats
  rule(afterAnchor >= 0n, `${name}.inputValueSats must cover anchorValueSats`)
  rule(
    afterAnchor === plan.feeSats,
    `${name} values must satisfy inputValueSats = destinationValueSats + anchorValueSats + feeSats`,
  )
}
