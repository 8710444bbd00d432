export { JobNotFound, KeyFenced } from './answer.js'
export { CertificateMalformed } from './certificate.js'
export { WalletRegistryUnavailable } from './covenant-wallet.js'
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
export type {
  CertificateAsk,
  CertificateSlot,
  Engine,
  Finished,
  Prepared,
  SourceHeight,
} from './engine.js'
export { MalformedBody } from './field-kinds.js'
export {
  completeHandoff,
  type HandoffBundle,
  type HandoffContext,
  type HandoffFault,
  type HandoffVerdict,
  handoffContext,
  handoffPayloadHash,
  verifyHandoff,
} from './handoff.js'
export type {
  DestinationCommitmentInput,
  PlanCommitmentInput,
  SignerSetInput,
} from './hashed-fields.js'
export { destinationCommitmentText, planCommitmentInput } from './hashed-fields.js'
export { HeightImplausible } from './height.js'
export { InvalidInput } from './invalid-input.js'
export { type IssueDeps, IssuerBusy, issueCertificate } from './issue.js'
export type {
  Artefact,
  FailureReason,
  FinalTransition,
  Job,
  JobIdentity,
  JobState,
  Outpoint,
  RequestId,
  StepResult,
} from './job.js'
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
export { type RunFaultPoint, runFaultPoints, SpendMismatch } from './run.js'
export { type Scheduler, systemScheduler } from './schedule.js'
export { witnessScript, witnessScriptHashOutput } from './script.js'
export type { ScriptFault } from './script-run.js'
export {
  type CovenantService,
  type CovenantServiceDeps,
  CovenantServiceStopped,
  type CovenantStatus,
  openCovenantService,
} from './service.js'
export type { CovenantSettings } from './settings.js'
export type { Signer } from './signer.js'
export { type SigningEngineDeps, type SigningGate, signingEngine } from './signing-engine.js'
export { buildSpend, psbtHash, type SpendLimits, signedSpend, type UnsignedSpend } from './spend.js'
export { checkSpend, type SpendFault, type SpendVerdict } from './spend-check.js'
export type { AcceptOutcome, Fence, FindOutcome, Intent, JobStore, Lease } from './store.js'
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
