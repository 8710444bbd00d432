import { sha256, toHex } from '../base/bytes.js'
import { canonicalText } from './canonical.js'
import type { Hex, Request } from './request.js'
import {
  buildSpend,
  sighashAll,
  templateOf,
  type UnsignedSpend,
  verifiesSpend,
  withSighashType,
  withWitness,
} from './spend.js'
import { hexBytes, rule } from './validate-fields.js'

/** What a qc_v1 job hands to its custodian; the wire's names (engine specification, section 6). */
export type HandoffBundle = {
  readonly kind: typeof handoffKind
  readonly signerRequestId: string
  /** The payload hash. */
  readonly bundleId: Hex
  readonly destinationCommitmentHash: string
  readonly payloadHash: Hex
  /** Without witnesses. */
  readonly unsignedTransactionHex: Hex
  readonly witnessScript: Hex
  /** DER and the sighash type. */
  readonly signerSignature: Hex
  /** Pushed after the signatures and before the script. */
  readonly selectorWitnessItems: readonly string[]
  /** An empty item goes below the signatures. */
  readonly requiresDummy: boolean
  readonly sighashType: number
}

/** What a custodian needs besides the bundle and finds in the request; no hash covers it. */
export type HandoffContext = {
  /** Value of the output that is spent, in satoshis. */
  readonly inputValueSats: bigint
  readonly signerPublicKey: Hex
  readonly custodianPublicKey: Hex
}

const handoffKind = 'qc_v1_signer_handoff_v1'
const selectorWitnessItems = ['0x01', '0x'] as const
const bundleFields = 11

/** The bundle of a signed qc_v1 spend. @param signature DER without a sighash type */
export function handoffBundle(
  spend: UnsignedSpend,
  signature: Uint8Array,
  job: { readonly requestId: string; readonly destinationCommitmentHash: string },
): HandoffBundle {
  const hashed = {
    destinationCommitmentHash: job.destinationCommitmentHash,
    kind: handoffKind,
    requiresDummy: true,
    selectorWitnessItems,
    sighashType: sighashAll,
    signerSignature: prefixed(withSighashType(signature)),
    unsignedTransactionHex: prefixed(spend.unsignedTransaction),
    witnessScript: prefixed(spend.witnessScript),
  } as const
  const payloadHash = handoffPayloadHash(hashed)
  return {
    kind: handoffKind,
    signerRequestId: job.requestId,
    bundleId: payloadHash,
    destinationCommitmentHash: hashed.destinationCommitmentHash,
    payloadHash,
    unsignedTransactionHex: hashed.unsignedTransactionHex,
    witnessScript: hashed.witnessScript,
    signerSignature: hashed.signerSignature,
    selectorWitnessItems,
    requiresDummy: true,
    sighashType: sighashAll,
  }
}

/** SHA-256 of the canonical JSON of what a custodian acts on; ids and the hash itself are not covered. */
export function handoffPayloadHash(
  bundle: Omit<HandoffBundle, 'signerRequestId' | 'bundleId' | 'payloadHash'>,
): Hex {
  const text = canonicalText
  const items = bundle.selectorWitnessItems.map(text).join(',')
  const fields = [
    `"destinationCommitmentHash":${text(bundle.destinationCommitmentHash)}`,
    `"kind":${text(bundle.kind)}`,
    `"requiresDummy":${bundle.requiresDummy}`,
    `"selectorWitnessItems":[${items}]`,
    `"sighashType":${bundle.sighashType}`,
    `"signerSignature":${text(bundle.signerSignature)}`,
    `"unsignedTransactionHex":${text(bundle.unsignedTransactionHex)}`,
    `"witnessScript":${text(bundle.witnessScript)}`,
  ]
  return prefixed(sha256(new TextEncoder().encode(`{${fields.join(',')}}`)))
}

/** Why a custodian must not sign what a bundle holds. */
export type HandoffFault =
  | 'form'
  | 'payloadHash'
  | 'destination'
  | 'witnessScript'
  | 'unsignedTransaction'
  | 'signerSignature'

export type HandoffVerdict =
  | {
      readonly kind: 'valid'
      readonly bundle: HandoffBundle
      /** The spend that the request stands for; the custodian signs its sighash as it is. */
      readonly spend: UnsignedSpend
      readonly context: HandoffContext
    }
  | { readonly kind: 'refused'; readonly reason: HandoffFault }

/**
 * Judges a handoff bundle for a custodian, who holds the request that it answers: hash, script, transaction and sighash
 * are made anew from the request and its input value, and the signer's signature is verified.
 *
 * @param bundle as it came over the wire
 * @throws InvalidInput when the request itself stands for no qc_v1 spend
 */
export function verifyHandoff(
  bundle: Readonly<Record<string, unknown>>,
  request: Request,
): HandoffVerdict {
  const context = handoffContext(request)
  const spend = buildSpend(request)
  if (!isBundle(bundle)) return refused('form')
  const { payloadHash, bundleId } = bundle
  if (payloadHash !== handoffPayloadHash(bundle) || bundleId !== payloadHash) {
    return refused('payloadHash')
  }
  const commitment = request.destinationCommitmentHash.toLowerCase()
  if (bundle.destinationCommitmentHash !== commitment) return refused('destination')
  if (bundle.witnessScript !== prefixed(spend.witnessScript)) return refused('witnessScript')
  if (bundle.unsignedTransactionHex !== prefixed(spend.unsignedTransaction)) {
    return refused('unsignedTransaction')
  }
  const signature = hexBytes(bundle.signerSignature)
  const isSigned =
    signature.at(-1) === sighashAll &&
    verifiesSpend(spend, signature.subarray(0, -1), context.signerPublicKey)
  return isSigned ? { kind: 'valid', bundle, spend, context } : refused('signerSignature')
}

/** What a bundle leaves out. @throws InvalidInput unless the request is one of qc_v1 */
export function handoffContext(request: Request): HandoffContext {
  const template = templateOf(request)
  rule('custodianPublicKey' in template, 'request.route must be qc_v1')
  const plan = request.migrationTransactionPlan
  rule(plan !== undefined, 'request.migrationTransactionPlan is required')
  return {
    inputValueSats: plan.inputValueSats,
    signerPublicKey: template.signerPublicKey.toLowerCase() as Hex,
    custodianPublicKey: template.custodianPublicKey.toLowerCase() as Hex,
  }
}

/**
 * The finished qc_v1 transaction: empty, signer, custodian, `01`, empty, script.
 *
 * @param custodianSignature DER without a sighash type
 */
export function completeHandoff(
  spend: UnsignedSpend,
  bundle: Pick<HandoffBundle, 'signerSignature'>,
  custodianSignature: Uint8Array,
): Uint8Array {
  return withWitness(spend, [
    new Uint8Array(),
    hexBytes(bundle.signerSignature),
    withSighashType(custodianSignature),
    Uint8Array.of(1),
    new Uint8Array(),
    spend.witnessScript,
  ])
}

/** True when the fields are those of a bundle and nothing else stands beside them. */
function isBundle(value: Readonly<Record<string, unknown>>): value is HandoffBundle {
  const { selectorWitnessItems: items } = value
  const texts = ['signerRequestId', 'bundleId', 'payloadHash', 'destinationCommitmentHash']
  const hexes = ['unsignedTransactionHex', 'witnessScript', 'signerSignature']
  return (
    Object.keys(value).length === bundleFields &&
    value.kind === handoffKind &&
    value.requiresDummy === true &&
    value.sighashType === sighashAll &&
    Array.isArray(items) &&
    items.length === selectorWitnessItems.length &&
    selectorWitnessItems.every((item, at) => items[at] === item) &&
    texts.every((field) => typeof value[field] === 'string') &&
    hexes.every((field) => isHexText(value[field]))
  )
}

function isHexText(value: unknown): boolean {
  return typeof value === 'string' && /^0x([0-9a-f]{2})+$/.test(value)
}

function refused(reason: HandoffFault): HandoffVerdict {
  return { kind: 'refused', reason }
}

function prefixed(bytes: Uint8Array): Hex {
  return `0x${toHex(bytes)}`
}
