/**
 * The records of a covenant signing request, as decoded and before any rule was checked.
 *
 * A field that was absent or null holds its empty value: '' for text and hex, 0 or 0n, false,
 * a record of empty values for a required object, undefined for an optional object, [] for an optional
 * list, and null where the canonical form writes null (required lists, maps and `endBlock`).
 * Text that names a choice (route, action, status, ...) stays a plain string until validation.
 */

/** Hex digits with prefix: lower case when Holdfast computed it, any case when a client sent it. */
export type Hex = `0x${string}`

/** Who signs: depositor and signer, or depositor, custodian and signer. */
export type Route = 'qc_v1' | 'self_v1'
/** What the covenant output becomes; an empty `action` acts as MIGRATION. */
export type Action = 'MIGRATION' | 'REDEEM' | 'RENEW'
/** Whose approval a signature is: depositor or custodian. */
export type Role = 'D' | 'C'

/** One covenant signing request; the order of its fields on the wire is in request-fields.ts. */
export type Request = {
  readonly facadeRequestId: string
  readonly idempotencyKey: string
  readonly requestType: string
  readonly route: string
  /** Kept as sent: '' and 'MIGRATION' mean the same and have different digests. */
  readonly action: string
  readonly strategy: string
  readonly reserve: string
  readonly epoch: bigint
  readonly maturityHeight: bigint
  readonly activeOutpoint: ActiveOutpoint
  readonly destinationCommitmentHash: string
  readonly migrationDestination?: MigrationDestination | undefined
  readonly redeemDestination?: RedeemDestination | undefined
  readonly renewDestination?: RenewDestination | undefined
  readonly migrationPlanQuote?: MigrationPlanQuote | undefined
  readonly migrationTransactionPlan?: MigrationTransactionPlan | undefined
  readonly artifactApprovals?: ArtifactApprovals | undefined
  readonly signerApproval?: SignerApproval | undefined
  readonly artifactSignatures: readonly string[] | null
  /** Keyed by recovery path name; neither keys nor values are validated. */
  readonly artifacts: ReadonlyMap<string, Artifact> | null
  readonly scriptTemplate: ScriptTemplate
  readonly signing: SigningFlags
}

/** The covenant output that is to be spent; `scriptHash` may be ''. */
export type ActiveOutpoint = {
  /** Display (reversed) byte order. */
  readonly txid: string
  readonly vout: number
  readonly scriptHash: string
}

/** What the three kinds of destination share; `route` is the reservation's: MIGRATION, REDEEM or RENEW. */
export type Reservation = {
  readonly reservationId: string
  readonly reserve: string
  readonly epoch: bigint
  readonly route: string
  readonly revealer: string
  readonly vault: string
  readonly network: string
  readonly status: string
}

/** Where a MIGRATION pays to. */
export type MigrationDestination = Reservation & {
  readonly depositScript: string
  readonly depositScriptHash: string
  readonly migrationExtraData: string
  readonly destinationCommitmentHash: string
}

/** Where a REDEEM pays to. */
export type RedeemDestination = Reservation & {
  readonly outputScript: string
  readonly outputScriptHash: string
  readonly outputValueSats: bigint
  readonly destinationCommitmentHash: string
}

/** The next covenant of a RENEW. */
export type RenewDestination = Reservation & {
  readonly nextCovenantScript: string
  readonly nextCovenantScriptHash: string
  readonly nextMaturityHeight: bigint
  readonly outputValueSats: bigint
  readonly destinationCommitmentHash: string
}

/** Values, sequence and lock time of the spend; used for every action despite its name. */
export type MigrationTransactionPlan = {
  readonly planVersion: number
  readonly planCommitmentHash: string
  readonly inputValueSats: bigint
  readonly destinationValueSats: bigint
  readonly anchorValueSats: bigint
  readonly feeSats: bigint
  readonly inputSequence: number
  readonly lockTime: number
}

/** A plan that a quote issuer signed for a limited time. */
export type MigrationPlanQuote = {
  readonly quoteId: string
  readonly quoteVersion: number
  readonly reservationId: string
  readonly reserve: string
  readonly epoch: bigint
  readonly route: string
  readonly revealer: string
  readonly vault: string
  readonly network: string
  readonly destinationCommitmentHash: string
  readonly activeOutpointTxid: string
  readonly activeOutpointVout: number
  readonly planCommitmentHash: string
  readonly migrationTransactionPlan: MigrationTransactionPlan | null
  readonly idempotencyKey: string
  readonly expiresInSeconds: bigint
  readonly issuedAt: string
  readonly expiresAt: string
  readonly signature: QuoteSignature
}

/** The Ed25519 signature of a quote and the key it names. */
export type QuoteSignature = {
  readonly signatureVersion: number
  readonly algorithm: string
  readonly keyId: string
  readonly signature: string
}

/** The approval payload and who signed its digest. */
export type ArtifactApprovals = {
  readonly payload: ApprovalPayload
  readonly approvals: readonly Approval[] | null
}

/** What depositor and custodian sign as EIP-712 typed data. */
export type ApprovalPayload = {
  readonly approvalVersion: number
  readonly route: string
  readonly scriptTemplateId: string
  readonly destinationCommitmentHash: string
  readonly planCommitmentHash: string
}

/** One signature over the approval digest; `role` is 'D' or 'C' once validated. */
export type Approval = {
  readonly role: string
  readonly signature: string
}

/** The signer approval certificate: the wallet's own signature over approval digest and `endBlock`. */
export type SignerApproval = {
  readonly certificateVersion: number
  readonly signatureAlgorithm: string
  readonly approvalDigest: string
  /** 65 bytes, uncompressed. */
  readonly walletPublicKey: string
  readonly signerSetHash: string
  readonly signature: string
  readonly activeMembers: readonly number[]
  readonly inactiveMembers: readonly number[]
  /** Height of the host chain, never of Bitcoin; null when absent. */
  readonly endBlock: bigint | null
}

/** What a client knows of an earlier artifact of one recovery path. */
export type Artifact = {
  readonly psbtHash: string
  readonly destinationCommitmentHash: string
  readonly transactionHex: string
  readonly transactionId: string
}

/** The template of a self_v1 covenant; `template` is '' or wrong until validated. */
export type SelfTemplate = {
  readonly template: string
  readonly depositorPublicKey: string
  readonly signerPublicKey: string
  readonly delta2: bigint
}

/** The template of a qc_v1 covenant; `template` is '' or wrong until validated. */
export type QcTemplate = {
  readonly template: string
  readonly depositorPublicKey: string
  readonly custodianPublicKey: string
  readonly signerPublicKey: string
  readonly beta: bigint
  readonly delta2: bigint
}

/**
 * A template that does not decode for the request's route: validation reports it at its turn,
 * as `request.scriptTemplate is invalid for ROUTE: ` and this reason.
 */
export type InvalidTemplate = { readonly invalid: string }

/** Read by the request's `route`: SelfTemplate for self_v1, QcTemplate for qc_v1, else invalid. */
export type ScriptTemplate = SelfTemplate | QcTemplate | InvalidTemplate

/** Who must sign; fixed per route. */
export type SigningFlags = {
  readonly signerRequired: boolean
  readonly custodianRequired: boolean
}

/** Body of a submit. */
export type SubmitInput = {
  readonly routeRequestId: string
  readonly request: Request
  readonly stage: string
}

/** Body of a poll; `requestId` may be '' when the path names it. */
export type PollInput = SubmitInput & {
  readonly requestId: string
}

/** Body of a call that asks for a signer approval certificate; `endBlock` is 0n when absent. */
export type IssueInput = {
  readonly walletPublicKeyHash: string
  readonly route: string
  readonly reserve: string
  readonly network: string
  readonly artifactApprovals: ArtifactApprovals
  readonly endBlock: bigint
}

/** The EIP-712 domain of approvals; without `salt` the default salt stands. */
export type ApprovalDomain = {
  readonly chainId: bigint
  /** 32 bytes. */
  readonly salt?: Hex | undefined
}

/** The roles whose approval a route needs, in canonical order. */
export function requiredRoles(route: Route): readonly Role[] {
  return route === 'qc_v1' ? ['D', 'C'] : ['D']
}

/** True for the two routes that exist. */
export function isRoute(text: string): text is Route {
  return text === 'qc_v1' || text === 'self_v1'
}

/** The action a request asks for, or undefined when there is no such action. */
export function actionOf(request: Pick<Request, 'action'>): Action | undefined {
  const { action } = request
  if (action === '') return 'MIGRATION'
  return action === 'MIGRATION' || action === 'REDEEM' || action === 'RENEW' ? action : undefined
}
