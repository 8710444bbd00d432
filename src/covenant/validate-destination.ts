import { unreachable } from '../base/errors.js'
import { destinationCommitmentHash, migrationExtraData, scriptHash } from './digest.js'
import {
  type Action,
  actionOf,
  type MigrationDestination,
  type RedeemDestination,
  type RenewDestination,
  type Request,
} from './request.js'
import { isBlank, requireAddress, requireHex, rule, sameHex } from './validate-fields.js'

/** The one destination that belongs to a request's action. */
export type CheckedDestination =
  | { readonly action: 'MIGRATION'; readonly destination: MigrationDestination }
  | { readonly action: 'REDEEM'; readonly destination: RedeemDestination }
  | { readonly action: 'RENEW'; readonly destination: RenewDestination }

/**
 * Rule 8: the destination for the action, and none beside it (covenant signer specification, 8.1).
 *
 * @throws InvalidInput
 */
export function checkDestination(request: Request): CheckedDestination {
  const checked = pickDestination(request)
  switch (checked.action) {
    case 'MIGRATION':
      checkMigration(request, checked.destination)
      return checked
    case 'REDEEM':
      checkRedeem(request, checked.destination)
      return checked
    case 'RENEW':
      checkRenew(request, checked.destination)
      return checked
    default:
      return unreachable(checked)
  }
}

function pickDestination(request: Request): CheckedDestination {
  const { migrationDestination, redeemDestination, renewDestination } = request
  const action = actionOf(request)
  const omitted = (name: string, owner: Action, destination: object | undefined): void =>
    rule(
      destination === undefined || action === owner,
      `request.${name} must be omitted unless action is ${owner}`,
    )
  omitted('migrationDestination', 'MIGRATION', migrationDestination)
  omitted('redeemDestination', 'REDEEM', redeemDestination)
  omitted('renewDestination', 'RENEW', renewDestination)
  rule(action !== undefined, 'request.action is not supported')
  switch (action) {
    case 'MIGRATION':
      rule(migrationDestination !== undefined, 'request.migrationDestination is required')
      return { action, destination: migrationDestination }
    case 'REDEEM':
      rule(redeemDestination !== undefined, 'request.redeemDestination is required')
      return { action, destination: redeemDestination }
    case 'RENEW':
      rule(renewDestination !== undefined, 'request.renewDestination is required')
      return { action, destination: renewDestination }
    default:
      return unreachable(action)
  }
}

function checkMigration(request: Request, destination: MigrationDestination): void {
  const name = 'request.migrationDestination'
  checkReservation(destination, 'MIGRATION', name)
  requireHex(destination.depositScript, `${name}.depositScript`)
  requireHex(destination.depositScriptHash, `${name}.depositScriptHash`)
  requireHex(destination.migrationExtraData, `${name}.migrationExtraData`)
  requireHex(destination.destinationCommitmentHash, `${name}.destinationCommitmentHash`)
  checkIdentity(request, destination, name)
  rule(
    sameHex(destination.migrationExtraData, migrationExtraData(destination.revealer)),
    `${name}.migrationExtraData does not match migration revealer encoding`,
  )
  rule(
    sameHex(destination.depositScriptHash, scriptHash(destination.depositScript)),
    `${name}.depositScriptHash does not match depositScript`,
  )
  checkCommitment(destination, name)
}

function checkRedeem(request: Request, destination: RedeemDestination): void {
  const name = 'request.redeemDestination'
  checkReservation(destination, 'REDEEM', name)
  requireHex(destination.outputScript, `${name}.outputScript`)
  requireHex(destination.outputScriptHash, `${name}.outputScriptHash`)
  requireHex(destination.destinationCommitmentHash, `${name}.destinationCommitmentHash`)
  checkValueAboveZero(destination, name)
  checkIdentity(request, destination, name)
  rule(
    sameHex(destination.outputScriptHash, scriptHash(destination.outputScript)),
    `${name}.outputScriptHash does not match outputScript`,
  )
  checkCommitment(destination, name)
  checkValueOfPlan(request, destination, name)
}

function checkRenew(request: Request, destination: RenewDestination): void {
  const name = 'request.renewDestination'
  checkReservation(destination, 'RENEW', name)
  requireHex(destination.nextCovenantScript, `${name}.nextCovenantScript`)
  requireHex(destination.nextCovenantScriptHash, `${name}.nextCovenantScriptHash`)
  requireHex(destination.destinationCommitmentHash, `${name}.destinationCommitmentHash`)
  rule(
    destination.nextMaturityHeight !== 0n,
    `${name}.nextMaturityHeight must be greater than zero`,
  )
  checkValueAboveZero(destination, name)
  checkIdentity(request, destination, name)
  rule(
    sameHex(destination.nextCovenantScriptHash, scriptHash(destination.nextCovenantScript)),
    `${name}.nextCovenantScriptHash does not match nextCovenantScript`,
  )
  checkCommitment(destination, name)
  checkValueOfPlan(request, destination, name)
}

type AnyDestination = CheckedDestination['destination']
type PayingDestination = RedeemDestination | RenewDestination

function checkReservation(destination: AnyDestination, action: Action, name: string): void {
  const { route, status, reserve, revealer, vault, network } = destination
  rule(route === action, `${name}.route must be ${action}`)
  rule(
    status === 'RESERVED' || status === 'COMMITTED_TO_EPOCH',
    `${name}.status must be RESERVED or COMMITTED_TO_EPOCH`,
  )
  requireAddress(reserve, `${name}.reserve`)
  requireAddress(revealer, `${name}.revealer`)
  requireAddress(vault, `${name}.vault`)
  rule(!isBlank(network), `${name}.network is required`)
}

function checkIdentity(request: Request, destination: AnyDestination, name: string): void {
  rule(destination.epoch === request.epoch, `${name}.epoch does not match request.epoch`)
  rule(
    sameHex(destination.reserve, request.reserve),
    `${name}.reserve does not match request.reserve`,
  )
  rule(
    sameHex(destination.destinationCommitmentHash, request.destinationCommitmentHash),
    `${name}.destinationCommitmentHash does not match request.destinationCommitmentHash`,
  )
}

function checkCommitment(destination: AnyDestination, name: string): void {
  rule(
    sameHex(destination.destinationCommitmentHash, destinationCommitmentHash(destination)),
    `${name}.destinationCommitmentHash does not match canonical reservation artifact`,
  )
}

function checkValueAboveZero(destination: PayingDestination, name: string): void {
  rule(destination.outputValueSats !== 0n, `${name}.outputValueSats must be greater than zero`)
}

function checkValueOfPlan(request: Request, destination: PayingDestination, name: string): void {
  const plan = request.migrationTransactionPlan
  rule(
    plan === undefined || destination.outputValueSats === plan.destinationValueSats,
    `${name}.outputValueSats does not match request.migrationTransactionPlan.destinationValueSats`,
  )
}
