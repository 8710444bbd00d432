/**
 * The fields of every record of a request. The order of each table is the order of the keys in
 * canonical JSON; the same tables decode bodies and normalise requests.
 */

import type { Fields, Kind } from './field-kinds.js'
import {
  flag,
  hex,
  list,
  MalformedBody,
  map,
  optional,
  orLeftOut,
  orNull,
  record,
  text,
  trimmedText,
  u32,
  u64,
} from './field-kinds.js'
import type {
  ApprovalPayload,
  ArtifactApprovals,
  IssueInput,
  MigrationDestination,
  MigrationPlanQuote,
  MigrationTransactionPlan,
  PollInput,
  QcTemplate,
  RedeemDestination,
  RenewDestination,
  Request,
  Reservation,
  ScriptTemplate,
  SelfTemplate,
  SignerApproval,
  SubmitInput,
} from './request.js'

const reservation: Fields<Reservation> = {
  reservationId: orLeftOut(trimmedText),
  reserve: hex,
  epoch: u64,
  route: text,
  revealer: hex,
  vault: hex,
  network: trimmedText,
  status: text,
}

const migrationDestination: Kind<MigrationDestination> = record<MigrationDestination>({
  ...reservation,
  depositScript: hex,
  depositScriptHash: hex,
  migrationExtraData: hex,
  destinationCommitmentHash: hex,
})

const redeemDestination: Kind<RedeemDestination> = record<RedeemDestination>({
  ...reservation,
  outputScript: hex,
  outputScriptHash: hex,
  outputValueSats: u64,
  destinationCommitmentHash: hex,
})

const renewDestination: Kind<RenewDestination> = record<RenewDestination>({
  ...reservation,
  nextCovenantScript: hex,
  nextCovenantScriptHash: hex,
  nextMaturityHeight: u64,
  outputValueSats: u64,
  destinationCommitmentHash: hex,
})

const migrationTransactionPlan: Kind<MigrationTransactionPlan> = record<MigrationTransactionPlan>({
  planVersion: u32,
  planCommitmentHash: hex,
  inputValueSats: u64,
  destinationValueSats: u64,
  anchorValueSats: u64,
  feeSats: u64,
  inputSequence: u32,
  lockTime: u32,
})

const migrationPlanQuote: Kind<MigrationPlanQuote> = record<MigrationPlanQuote>({
  quoteId: trimmedText,
  quoteVersion: u32,
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
  migrationTransactionPlan: orNull(migrationTransactionPlan),
  idempotencyKey: trimmedText,
  expiresInSeconds: u64,
  issuedAt: text,
  expiresAt: text,
  signature: record({ signatureVersion: u32, algorithm: text, keyId: trimmedText, signature: hex }),
})

const approvalPayload: Kind<ApprovalPayload> = record<ApprovalPayload>({
  approvalVersion: u32,
  route: text,
  scriptTemplateId: text,
  destinationCommitmentHash: hex,
  planCommitmentHash: hex,
})

const artifactApprovals: Kind<ArtifactApprovals> = record<ArtifactApprovals>({
  payload: approvalPayload,
  approvals: orNull(list(record({ role: text, signature: hex }))),
})

/** Member numbers, sorted when normalised; an empty list is left out. */
const members: Kind<readonly number[]> = {
  ...list(u32),
  normalize: (numbers) => [...numbers].sort((a, b) => a - b),
  leavesOut: (numbers) => numbers.length === 0,
}

/** The signer approval certificate. */
export const signerApproval: Kind<SignerApproval> = record<SignerApproval>({
  certificateVersion: u32,
  signatureAlgorithm: text,
  approvalDigest: hex,
  walletPublicKey: hex,
  signerSetHash: hex,
  signature: hex,
  activeMembers: members,
  inactiveMembers: members,
  endBlock: orNull(u64),
})

const artifact = record({
  psbtHash: hex,
  destinationCommitmentHash: hex,
  transactionHex: orLeftOut(hex),
  transactionId: orLeftOut(hex),
})

const selfTemplate: Kind<SelfTemplate> = record<SelfTemplate>({
  template: text,
  depositorPublicKey: hex,
  signerPublicKey: hex,
  delta2: u64,
})

const qcTemplate: Kind<QcTemplate> = record<QcTemplate>({
  template: text,
  depositorPublicKey: hex,
  custodianPublicKey: hex,
  signerPublicKey: hex,
  beta: u64,
  delta2: u64,
})

/** The request's route decides which fields the template has; one that does not fit is kept as invalid. */
const scriptTemplate: Kind<ScriptTemplate> = {
  decode: (json, path, { route }) => {
    if (route !== 'self_v1' && route !== 'qc_v1') return { invalid: 'no such route' }
    try {
      return (route === 'qc_v1' ? qcTemplate : selfTemplate).decode(json, path, {})
    } catch (error) {
      // Many rules come before this one, so that it must wait for its turn in validation.
      if (error instanceof MalformedBody) return { invalid: error.reason }
      throw error
    }
  },
  write: (value) => {
    if ('invalid' in value) throw new RangeError('scriptTemplate: want a template that was decoded')
    return 'custodianPublicKey' in value ? qcTemplate.write(value) : selfTemplate.write(value)
  },
  normalize: (value) => {
    if ('invalid' in value) return value
    return 'custodianPublicKey' in value
      ? qcTemplate.normalize(value)
      : selfTemplate.normalize(value)
  },
}

/** A covenant signing request. */
export const request: Kind<Request> = record<Request>({
  facadeRequestId: text,
  idempotencyKey: text,
  requestType: text,
  route: text,
  action: orLeftOut(text),
  strategy: hex,
  reserve: hex,
  epoch: u64,
  maturityHeight: u64,
  activeOutpoint: record({ txid: hex, vout: u32, scriptHash: orLeftOut(hex) }),
  destinationCommitmentHash: hex,
  migrationDestination: optional(migrationDestination),
  redeemDestination: optional(redeemDestination),
  renewDestination: optional(renewDestination),
  migrationPlanQuote: optional(migrationPlanQuote),
  migrationTransactionPlan: optional(migrationTransactionPlan),
  artifactApprovals: optional(artifactApprovals),
  signerApproval: optional(signerApproval),
  artifactSignatures: orNull(list(hex)),
  artifacts: orNull(map(artifact)),
  scriptTemplate,
  signing: record({ signerRequired: flag, custodianRequired: flag }),
})

const envelope: Fields<SubmitInput> = { routeRequestId: text, request, stage: text }

/** Body of a submit. */
export const submitBody: Kind<SubmitInput> = record<SubmitInput>(envelope)
/** Body of a poll. */
export const pollBody: Kind<PollInput> = record<PollInput>({ ...envelope, requestId: text })
/** Body of a call that asks for a certificate. */
export const issueBody: Kind<IssueInput> = record<IssueInput>({
  walletPublicKeyHash: hex,
  route: text,
  reserve: hex,
  network: trimmedText,
  artifactApprovals,
  endBlock: u64,
})
