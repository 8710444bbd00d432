import { hash } from 'node:crypto'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { concatBytes, fromHex, sha256, toHex } from '../base/bytes.js'
import { HoldfastError } from '../base/errors.js'
import type {
  DestinationCommitmentInput,
  PlanCommitmentInput,
  SignerSetInput,
} from './hashed-fields.js'
import * as fields from './hashed-fields.js'
import { normalizeRequest } from './normalize.js'
import type {
  ApprovalDomain,
  ApprovalPayload,
  Hex,
  MigrationPlanQuote,
  Request,
} from './request.js'
import { request as requestFields } from './request-fields.js'

/** Canonical JSON of a request as it stands; normalise first for the text whose hash is its digest. */
export function canonicalRequest(request: Request): string {
  return hashedTexts.get(request) ?? requestFields.write(request)
}

// What was hashed a moment ago is stored next; writing it again would be a tenth of the work of an accept.
const hashedTexts = new WeakMap<Request, string>()

/**
 * `sha256("covenant-signer-request-v1:" | canonical JSON of the normalised request)`.
 *
 * @throws InvalidInput when the request cannot be normalised.
 */
export function requestDigest(request: Request): Hex {
  return requestTextDigest(requestFields.write(normalizeRequest(request)))
}

/** `requestDigest` of a request that is normalised and never changes again. */
export function normalizedDigest(request: Request): Hex {
  const text = requestFields.write(request)
  hashedTexts.set(request, text)
  return requestTextDigest(text)
}

function requestTextDigest(text: string): Hex {
  return sha256OfText(`covenant-signer-request-v1:${text}`)
}

/** `sha256(script)`: the hash that stands beside every script of a destination. @throws RangeError */
export function scriptHash(script: string): Hex {
  return prefixed(sha256(bytesOf(script)))
}

/** `AC_MIGRATEV1` (12) | revealer(20): what a MIGRATION puts into the deposit. @throws RangeError */
export function migrationExtraData(revealer: string): Hex {
  return prefixed(concatBytes(utf8('AC_MIGRATEV1'), wordOf(revealer, 20)))
}

/** Hash of the reservation that a destination stands for; `route` decides which fields it covers. */
export function destinationCommitmentHash(destination: DestinationCommitmentInput): Hex {
  return sha256OfText(fields.destinationCommitmentText(destination))
}

/** Hash of a transaction plan and what it spends; `planCommitmentInput` gathers its input. */
export function planCommitmentHash(input: PlanCommitmentInput): Hex {
  return sha256OfText(fields.planCommitment.write(fields.planCommitment.normalize(input)))
}

/** Text whose hash a quote issuer signs: `migration-plan-quote-v1:` and the canonical payload. */
export function planQuotePreimage(quote: MigrationPlanQuote): string {
  const payload = fields.quotePayload.write(fields.quotePayload.normalize(quote))
  return `migration-plan-quote-v1:${payload}`
}

/** `sha256(planQuotePreimage)`: the 32 bytes under the quote's Ed25519 signature. */
export function planQuoteDigest(quote: MigrationPlanQuote): Hex {
  return sha256OfText(planQuotePreimage(quote))
}

/**
 * `sha256("covenant-signer-set-v1:" | canonical JSON)`.
 *
 * @throws RegistryDataMissing when `walletId` or `membersIdsHash` is zero; RangeError unless 32 bytes.
 */
export function signerSetHash(input: SignerSetInput): Hex {
  for (const name of ['walletId', 'membersIdsHash'] as const) {
    if (wordOf(input[name], 32).every((byte) => byte === 0)) throw new RegistryDataMissing(name)
  }
  const set = fields.signerSet.write(fields.signerSet.normalize(input))
  return sha256OfText(`covenant-signer-set-v1:${set}`)
}

/** `sha256("covenant-signer-approval-certificate-v2:" | approvalDigest(32) | endBlock(8, BE))`. */
export function certificateDigest(input: {
  readonly approvalDigest: string
  /** Height of the host chain. */
  readonly endBlock: bigint
}): Hex {
  const domain = utf8('covenant-signer-approval-certificate-v2:')
  return prefixed(sha256(domain, wordOf(input.approvalDigest, 32), bigEndian(input.endBlock, 8)))
}

/** Salt of a deployment that configured none; it does not tell two such deployments apart. */
export const defaultApprovalSalt: Hex = prefixed(
  keccak(utf8('tBTC Covenant Artifact Approval Domain v2')),
)

const structTypeHash = keccak(
  utf8(
    'ArtifactApproval(uint8 approvalVersion,bytes32 route,bytes32 scriptTemplateId,' +
      'bytes32 destinationCommitmentHash,bytes32 planCommitmentHash)',
  ),
)
const domainHead = concatBytes(
  keccak(utf8('EIP712Domain(string name,string version,uint256 chainId,bytes32 salt)')),
  keccak(utf8('tBTC Covenant Artifact Approval')),
  keccak(utf8('2')),
)

/**
 * What depositor and custodian sign: `keccak256(0x1901 | domainSeparator(32) | structHash(32))` (EIP-712).
 *
 * @throws RangeError unless both commitments are 32 bytes of hex, as validation makes sure.
 */
export function approvalDigest(payload: ApprovalPayload, domain: ApprovalDomain): Hex {
  const head = Uint8Array.of(0x19, 0x01)
  const separator = bytesOf(domainSeparator(domain))
  return prefixed(keccak(concatBytes(head, separator, bytesOf(approvalStructHash(payload)))))
}

/** The EIP-712 domain separator; the domain has no verifying contract. @throws RangeError */
export function domainSeparator(domain: ApprovalDomain): Hex {
  const { chainId, salt = defaultApprovalSalt } = domain
  if (latest?.chainId !== chainId || latest.salt !== salt) {
    const encoded = concatBytes(domainHead, bigEndian(chainId, 32), wordOf(salt, 32))
    latest = { chainId, salt, separator: prefixed(keccak(encoded)) }
  }
  return latest.separator
}

// A deployment has one domain, and hashing it again would be a third of the work of every digest.
let latest: (Required<ApprovalDomain> & { readonly separator: Hex }) | undefined

/** The EIP-712 struct hash of a payload, which was the whole digest in approval version 1. */
export function approvalStructHash(payload: ApprovalPayload): Hex {
  // typeHash(32) | approvalVersion(32, BE) | keccak(route)(32) | keccak(template)(32) | commitments(2 x 32)
  const encoded = concatBytes(
    structTypeHash,
    bigEndian(BigInt(payload.approvalVersion), 32),
    nameHash(payload.route),
    nameHash(payload.scriptTemplateId),
    wordOf(payload.destinationCommitmentHash, 32),
    wordOf(payload.planCommitmentHash, 32),
  )
  return prefixed(keccak(encoded))
}

const routeHashes: ReadonlyMap<string, Uint8Array> = new Map(
  ['qc_v1', 'self_v1'].map((route) => [route, keccak(utf8(route))] as const),
)

function nameHash(name: string): Uint8Array {
  return routeHashes.get(name) ?? keccak(utf8(name))
}

// Of the two implementations at hand, noble's needs no set-up; hash-wasm's is seven times as fast but
// must be instantiated asynchronously, and two or three hashes of 7 us are small beside the signatures.
function keccak(bytes: Uint8Array): Uint8Array {
  return keccak_256(bytes)
}

function sha256OfText(text: string): Hex {
  return `0x${hash('sha256', text, 'hex')}`
}

function prefixed(bytes: Uint8Array): Hex {
  return `0x${toHex(bytes)}`
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function bytesOf(hex: string): Uint8Array {
  if (!hex.startsWith('0x')) throw new RangeError('hex: want the prefix 0x')
  return fromHex(hex.slice(2))
}

function wordOf(hex: string, size: number): Uint8Array {
  const bytes = bytesOf(hex)
  if (bytes.length !== size) throw new RangeError(`hex: want ${size} bytes`)
  return bytes
}

function bigEndian(value: bigint, size: number): Uint8Array {
  if (value < 0n || value >= 1n << BigInt(8 * size)) {
    throw new RangeError(`integer: want 0 to 2^${8 * size} - 1`)
  }
  return fromHex(value.toString(16).padStart(2 * size, '0'))
}

/** The chain answered a zero where a wallet's registry entry belongs, so that no digest can be made. */
export class RegistryDataMissing extends HoldfastError {
  readonly code = 'RegistryDataMissing'
  constructor(field: 'walletId' | 'membersIdsHash') {
    super(`signer set: ${field} is zero, want the value of the wallet registry`, {
      retry: 'safe',
      remedy: 'Wait until the wallet registry can be read, then ask again.',
    })
  }
}
