import { sign as signEd25519 } from 'node:crypto'
import { sign } from 'tiny-secp256k1'
import { fromHex, toHex } from '../src/base/bytes.js'
import { uncompressPoint } from '../src/base/curve.js'
import {
  type ApprovalDomain,
  type ApprovalPayload,
  approvalDigest,
  certificateDigest,
  destinationCommitmentHash,
  type Hex,
  type MigrationDestination,
  type MigrationPlanQuote,
  type MigrationTransactionPlan,
  migrationExtraData,
  planCommitmentHash,
  planCommitmentInput,
  planQuoteDigest,
  type QcTemplate,
  type Request,
  type Route,
  type SelfTemplate,
  type SignerApproval,
  type SubmitInput,
  scriptHash,
  signerSetHash,
  type TrustRootSettings,
  witnessScript,
  witnessScriptHashOutput,
} from '../src/covenant/index.js'
import { encodeDerSignature } from '../src/signer/der.js'
import type { DevnetWallet } from './evm-wallets.js'
import { devnetKeys, devnetSecrets, quoteIssuer } from './request-keys.js'

/** What a covenant output is locked with. */
export type CovenantTerms = {
  readonly route: Route
  /** Compressed key of the wallet that signs, 33 bytes. */
  readonly walletKey: Uint8Array
  /** Bitcoin height from which on the maturity path is open, in blocks. */
  readonly maturityHeight: number
}

/** A covenant output on the chain. */
export type Covenant = CovenantTerms & {
  readonly txid: string
  readonly vout: number
  readonly valueSats: bigint
}

export type RequestOptions = {
  readonly covenant: Covenant
  /** The wallet whose key signs the certificate. */
  readonly wallet: DevnetWallet
  /** Makes the ids; the same name is the same request. */
  readonly name: string
  readonly domain: ApprovalDomain
  /** Height of the host chain up to which the certificate is good; default 1 000 000. */
  readonly endBlock?: bigint
  /** Value that the plan says its input has; default the covenant's. */
  readonly planValueSats?: bigint
  /** Issues a plan quote at this moment, in milliseconds since 1970; left out: no quote. */
  readonly quotedAtMs?: number
}

/** Members that must sign together for a wallet of the devnet. */
export const honestThreshold = 51
const reserve: Hex = `0x${'11'.repeat(20)}`
const revealer: Hex = `0x${'22'.repeat(20)}`
const vault: Hex = `0x${'33'.repeat(20)}`
const network = 'regtest'
const epoch = 12n
/** Blocks after maturity until the depositor can spend alone, and before it until the early exit. */
const delta2 = 4320n
const beta = 144n
const feeSats = 1_670n
const anchorSats = 330n
const quoteSeconds = 86_400n

/** The script that a covenant output pays to. */
export function covenantOutput(terms: CovenantTerms): Uint8Array {
  const script = witnessScript(templateOf(terms), BigInt(terms.maturityHeight))
  return witnessScriptHashOutput(script)
}

type Listed<Name extends keyof TrustRootSettings> = NonNullable<TrustRootSettings[Name]>
/** Trust roots as settings have them. */
export type DevnetTrustRoots = {
  readonly [Name in keyof TrustRootSettings]-?: Listed<Name>
}

/** The trust roots that accept what `covenantRequest` makes for a route; quotes are then wanted from everybody. */
export function devnetTrustRoots(
  route: Route,
  options: { readonly quotes?: boolean } = {},
): DevnetTrustRoots {
  const { keyId, publicKeyPem } = quoteIssuer
  const root = (key: Uint8Array) => ({ route, reserve, network, publicKey: prefixed(key) })
  return {
    depositorTrustRoots: [root(devnetKeys.depositor)],
    custodianTrustRoots: route === 'qc_v1' ? [root(devnetKeys.custodian)] : [],
    migrationPlanQuoteTrustRoots: options.quotes ? [{ keyId, publicKeyPem }] : [],
  }
}

/** One whole MIGRATION request with real commitments, approvals, certificate and, where wanted, quote. */
export function covenantRequest(options: RequestOptions): SubmitInput {
  const { covenant, wallet, name, domain, endBlock = 1_000_000n, quotedAtMs } = options
  const { route, maturityHeight } = covenant
  const destination = destinationOf(name)
  const bare: Request = {
    facadeRequestId: `rf_${name}`,
    idempotencyKey: `idem_${name}`,
    requestType: 'reconstruct',
    route,
    action: '',
    strategy: '0x1234',
    reserve,
    epoch,
    maturityHeight: BigInt(maturityHeight),
    activeOutpoint: { txid: `0x${covenant.txid}`, vout: covenant.vout, scriptHash: '' },
    destinationCommitmentHash: destination.destinationCommitmentHash,
    migrationDestination: destination,
    artifactSignatures: null,
    artifacts: new Map(),
    scriptTemplate: templateOf(covenant),
    signing: { signerRequired: true, custodianRequired: route === 'qc_v1' },
  }
  const plan = planOf(bare, options)
  const payload: ApprovalPayload = {
    approvalVersion: 2,
    route,
    scriptTemplateId: route,
    destinationCommitmentHash: destination.destinationCommitmentHash,
    planCommitmentHash: plan.planCommitmentHash,
  }
  const digest = approvalDigest(payload, domain)
  const approvals = [
    { role: 'D', signature: signDigest(digest, devnetSecrets.depositor) },
    ...(route === 'qc_v1'
      ? [{ role: 'C', signature: signDigest(digest, devnetSecrets.custodian) }]
      : []),
  ]
  const signerApproval = certificateOf(wallet, digest, endBlock)
  const request: Request = {
    ...bare,
    migrationTransactionPlan: plan,
    artifactApprovals: { payload, approvals },
    signerApproval,
    artifactSignatures: [...approvals.map(({ signature }) => signature), signerApproval.signature],
    migrationPlanQuote:
      quotedAtMs === undefined ? undefined : quoteOf(bare, destination, plan, quotedAtMs),
  }
  return { routeRequestId: `route_${name}`, request, stage: 'SIGNER_COORDINATION' }
}

/** A DER signature over 32 bytes as they are. */
export function signDigest(digest: Hex, secret: Uint8Array): Hex {
  return prefixed(encodeDerSignature(sign(fromHex(digest.slice(2)), secret)))
}

function templateOf({ route, walletKey }: CovenantTerms): SelfTemplate | QcTemplate {
  const template = {
    template: route,
    depositorPublicKey: prefixed(devnetKeys.depositor),
    signerPublicKey: prefixed(walletKey),
    delta2,
  }
  return route === 'qc_v1'
    ? { ...template, custodianPublicKey: prefixed(devnetKeys.custodian), beta }
    : template
}

function destinationOf(name: string): MigrationDestination {
  // A plain script stands for the deposit script: the spend pays to its hash.
  const depositScript: Hex = `0x0014${'aa'.repeat(20)}`
  const destination = {
    reservationId: `cmdr_${name}_12345678`,
    reserve,
    epoch,
    route: 'MIGRATION',
    revealer,
    vault,
    network,
    status: 'RESERVED',
    depositScript,
    depositScriptHash: scriptHash(depositScript),
    migrationExtraData: migrationExtraData(revealer),
  }
  return { ...destination, destinationCommitmentHash: destinationCommitmentHash(destination) }
}

function planOf(
  request: Request,
  { covenant, planValueSats = covenant.valueSats }: RequestOptions,
): MigrationTransactionPlan {
  const plan = {
    planVersion: 1,
    inputValueSats: planValueSats,
    destinationValueSats: planValueSats - anchorSats - feeSats,
    anchorValueSats: anchorSats,
    feeSats,
    inputSequence: 0xffff_fffd,
    lockTime: covenant.maturityHeight,
  }
  const input = planCommitmentInput(request, { ...plan, planCommitmentHash: '' })
  return { ...plan, planCommitmentHash: planCommitmentHash(input) }
}

function certificateOf(
  { walletId, membersIdsHash, compressedKey, secret }: DevnetWallet,
  digest: Hex,
  endBlock: bigint,
): SignerApproval {
  const walletPublicKey = prefixed(uncompressPoint(compressedKey))
  return {
    certificateVersion: 2,
    signatureAlgorithm: 'tecdsa-secp256k1',
    approvalDigest: digest,
    walletPublicKey,
    signerSetHash: signerSetHash({ walletId, walletPublicKey, membersIdsHash, honestThreshold }),
    signature: signDigest(certificateDigest({ approvalDigest: digest, endBlock }), secret),
    activeMembers: [],
    inactiveMembers: [],
    endBlock,
  }
}

function quoteOf(
  request: Request,
  destination: MigrationDestination,
  plan: MigrationTransactionPlan,
  issuedAtMs: number,
): MigrationPlanQuote {
  const signature = {
    signatureVersion: 1,
    algorithm: 'ed25519',
    keyId: quoteIssuer.keyId,
    signature: '',
  }
  const quote: MigrationPlanQuote = {
    quoteId: `cmdq_${request.facadeRequestId}`,
    quoteVersion: 1,
    reservationId: destination.reservationId,
    reserve,
    epoch,
    route: destination.route,
    revealer,
    vault,
    network,
    destinationCommitmentHash: destination.destinationCommitmentHash,
    activeOutpointTxid: request.activeOutpoint.txid,
    activeOutpointVout: request.activeOutpoint.vout,
    planCommitmentHash: plan.planCommitmentHash,
    migrationTransactionPlan: plan,
    idempotencyKey: request.idempotencyKey,
    expiresInSeconds: quoteSeconds,
    issuedAt: new Date(issuedAtMs).toISOString(),
    expiresAt: new Date(issuedAtMs + Number(quoteSeconds) * 1000).toISOString(),
    signature,
  }
  const digest = fromHex(planQuoteDigest(quote).slice(2))
  const signed = prefixed(new Uint8Array(signEd25519(null, digest, quoteIssuer.privateKey)))
  return { ...quote, signature: { ...signature, signature: signed } }
}

function prefixed(bytes: Uint8Array): Hex {
  return `0x${toHex(bytes)}`
}
