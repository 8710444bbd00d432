export { decodeIssue, decodePoll, decodeRequest, decodeSubmit } from './decode.js'
export {
  approvalDigest,
  approvalStructHash,
  canonicalRequest,
  certificateDigest,
  defaultApprovalSalt,
  destinationCommitmentHash,
  domainSeparator,
  migrationExtraData,
  planCommitmentHash,
  planQuoteDigest,
  planQuotePreimage,
  RegistryDataMissing,
  requestDigest,
  scriptHash,
  signerSetHash,
} from './digest.js'
export { MalformedBody } from './field-kinds.js'
export type {
  DestinationCommitmentInput,
  PlanCommitmentInput,
  SignerSetInput,
} from './hashed-fields.js'
export { destinationCommitmentText, planCommitmentInput } from './hashed-fields.js'
export { InvalidInput } from './invalid-input.js'
export { normalizeRequest } from './normalize.js'
export type {
  Action,
  ActiveOutpoint,
  Approval,
  ApprovalDomain,
  ApprovalPayload,
  Artifact,
  ArtifactApprovals,
  Hex,
  InvalidTemplate,
  IssueInput,
  MigrationDestination,
  MigrationPlanQuote,
  MigrationTransactionPlan,
  PollInput,
  QcTemplate,
  QuoteSignature,
  RedeemDestination,
  RenewDestination,
  Request,
  Reservation,
  Role,
  Route,
  ScriptTemplate,
  SelfTemplate,
  SignerApproval,
  SigningFlags,
  SubmitInput,
} from './request.js'
export { actionOf, isRoute, requiredRoles } from './request.js'
export {
  findCustodianRoot,
  findDepositorRoot,
  noTrustRoots,
  parseTrustRoots,
  type Scope,
  scopeOf,
  TrustRootInvalid,
  type TrustRootSettings,
  type TrustRoots,
} from './trust.js'
export { type PollContext, type SubmitContext, validatePoll, validateSubmit } from './validate.js'
export { checkCertificateTimely, HostHeightUnavailable } from './validate-certificate.js'
export { type IssueContext, validateIssue } from './validate-issue.js'
