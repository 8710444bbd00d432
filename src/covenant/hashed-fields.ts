/**
 * The structures that are hashed besides the request itself. As in request-fields.ts, the order of each
 * table is the order of the keys in canonical JSON.
 */

import type { Fields, Kind } from './field-kinds.js'
import { hex, record, text, trimmedText, u32, u64 } from './field-kinds.js'
import type {
  MigrationDestination,
  MigrationPlanQuote,
  MigrationTransactionPlan,
  RedeemDestination,
  RenewDestination,
  Request,
} from './request.js'

type Identity = Pick<
  MigrationDestination,
  'reserve' | 'epoch' | 'route' | 'revealer' | 'vault' | 'network'
>
type MigrationCommitment = Identity &
  Pick<MigrationDestination, 'depositScriptHash' | 'migrationExtraData'>
type RedeemCommitment = Identity & Pick<RedeemDestination, 'outputScriptHash' | 'outputValueSats'>
type RenewCommitment = Identity &
  Pick<RenewDestination, 'nextCovenantScriptHash' | 'nextMaturityHeight' | 'outputValueSats'>

/** A destination, or as much of it as its commitment covers; `route` is the reservation's. */
export type DestinationCommitmentInput = MigrationCommitment | RedeemCommitment | RenewCommitment

/** What a plan commitment covers. */
export type PlanCommitmentInput = Omit<MigrationTransactionPlan, 'planCommitmentHash'> &
  Pick<Request, 'reserve' | 'epoch' | 'destinationCommitmentHash'> & {
    readonly activeOutpointTxid: string
    readonly activeOutpointVout: number
  }

/** A wallet's entry in the registry. */
export type SignerSetInput = {
  /** 32 bytes. */
  readonly walletId: string
  /** 65 bytes, uncompressed. */
  readonly walletPublicKey: string
  /** 32 bytes. */
  readonly membersIdsHash: string
  readonly honestThreshold: number
}

const identity: Fields<Identity> = {
  reserve: hex,
  epoch: u64,
  route: text,
  revealer: hex,
  vault: hex,
  network: trimmedText,
}
const migration: Kind<MigrationCommitment> = record<MigrationCommitment>({
  ...identity,
  depositScriptHash: hex,
  migrationExtraData: hex,
})
const redeem: Kind<RedeemCommitment> = record<RedeemCommitment>({
  ...identity,
  outputScriptHash: hex,
  outputValueSats: u64,
})
const renew: Kind<RenewCommitment> = record<RenewCommitment>({
  ...identity,
  nextCovenantScriptHash: hex,
  nextMaturityHeight: u64,
  outputValueSats: u64,
})

/** The text whose SHA-256 is the destination commitment. @throws RangeError for a destination that does not fit its route. */
export function destinationCommitmentText(destination: DestinationCommitmentInput): string {
  const { route } = destination
  if (route === 'MIGRATION' && 'depositScriptHash' in destination) {
    return migration.write(migration.normalize(destination))
  }
  if (route === 'REDEEM' && 'outputScriptHash' in destination) {
    return redeem.write(redeem.normalize(destination))
  }
  if (route === 'RENEW' && 'nextCovenantScriptHash' in destination) {
    return renew.write(renew.normalize(destination))
  }
  throw new RangeError('destination: want the fields of its route MIGRATION, REDEEM or RENEW')
}

/** Fields of the plan commitment. */
export const planCommitment: Kind<PlanCommitmentInput> = record<PlanCommitmentInput>({
  planVersion: u32,
  reserve: hex,
  epoch: u64,
  activeOutpointTxid: hex,
  activeOutpointVout: u32,
  destinationCommitmentHash: hex,
  inputValueSats: u64,
  destinationValueSats: u64,
  anchorValueSats: u64,
  feeSats: u64,
  inputSequence: u32,
  lockTime: u32,
})

/** Gathers what a plan's commitment covers: identity and outpoint of the request, values of the plan. */
export function planCommitmentInput(
  request: Pick<Request, 'reserve' | 'epoch' | 'activeOutpoint' | 'destinationCommitmentHash'>,
  plan: MigrationTransactionPlan,
): PlanCommitmentInput {
  return {
    planVersion: plan.planVersion,
    reserve: request.reserve,
    epoch: request.epoch,
    activeOutpointTxid: request.activeOutpoint.txid,
    activeOutpointVout: request.activeOutpoint.vout,
    destinationCommitmentHash: request.destinationCommitmentHash,
    inputValueSats: plan.inputValueSats,
    destinationValueSats: plan.destinationValueSats,
    anchorValueSats: plan.anchorValueSats,
    feeSats: plan.feeSats,
    inputSequence: plan.inputSequence,
    lockTime: plan.lockTime,
  }
}

type QuotePayload = Omit<
  MigrationPlanQuote,
  'migrationTransactionPlan' | 'idempotencyKey' | 'signature'
>

/** Fields of a quote that its signature covers. */
export const quotePayload: Kind<QuotePayload> = record<QuotePayload>({
  quoteVersion: u32,
  quoteId: trimmedText,
  reservationId: trimmedText,
  reserve: hex,
  epoch: u64,
  route: text,
  revealer: hex,
  vault: hex,
  network: trimmedText,
  destinationCommitmentHash: hex,
  activeOutpointTxid: hex,
  activeOutpointVout: u32,
  planCommitmentHash: hex,
  issuedAt: text,
  expiresAt: text,
  expiresInSeconds: u64,
})

/** Fields of the signer set hash. */
export const signerSet: Kind<SignerSetInput> = record<SignerSetInput>({
  walletId: hex,
  walletPublicKey: hex,
  membersIdsHash: hex,
  honestThreshold: u32,
})
