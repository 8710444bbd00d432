import { concatBytes, fromHex, toHex } from '../base/bytes.js'
import { hash160, isCompressedPoint, uncompressPoint } from '../base/curve.js'
import { HoldfastError } from '../base/errors.js'
import {
  type WalletChainData,
  WalletNotFound,
  type WalletReader,
} from '../chain/ethereum/reader.js'
import { requireLive, requireRegistered } from './covenant-wallet.js'
import { approvalDigest, certificateDigest, signerSetHash } from './digest.js'
import type { CertificateAsk, CertificateSlot } from './engine.js'
import { InvalidInput } from './invalid-input.js'
import { requestIdOf } from './job.js'
import type { ApprovalDomain, Hex, Request, SignerApproval } from './request.js'
import { within } from './schedule.js'
import { checkCertificateSignature } from './signatures.js'
import type { Signer } from './signer.js'
import { templateOf } from './spend.js'
import { hexBytes, rule, sameHex } from './validate-fields.js'

export type CertificateDeps = {
  readonly wallets: WalletReader
  readonly domain: ApprovalDomain
  /** Members that must sign together; the live network has 51. */
  readonly honestThreshold: number
}

const name = 'request.signerApproval'
const version = 2
const algorithm = 'tecdsa-secp256k1'

/**
 * Judges a signer approval certificate on the chain (engine specification, 7.2; the state before the registry).
 *
 * Whether it has expired is the service's matter.
 *
 * @throws InvalidInput when it is refused; WalletRegistryUnavailable, RegistryDataMissing or ChainUnavailable while it
 * cannot be judged
 */
export async function verifyApproval(
  deps: CertificateDeps,
  request: Request,
  signal: AbortSignal,
): Promise<void> {
  const { signerApproval: certificate, artifactApprovals: approvals } = request
  rule(certificate !== undefined, `${name} is required`)
  rule(approvals !== undefined, `request.artifactApprovals is required when ${name} is present`)
  const digest = approvalDigest(approvals.payload, deps.domain)
  rule(
    sameHex(certificate.approvalDigest, digest),
    `${name}.approvalDigest must match the canonical artifactApprovals payload digest`,
  )
  const signerKey = signerKeyOf(request)
  const walletPublicKey = prefixed(uncompressPoint(signerKey))
  rule(
    sameHex(certificate.walletPublicKey, walletPublicKey),
    `${name}.walletPublicKey must match request.scriptTemplate.signerPublicKey`,
  )
  const wallet = await findWallet(deps.wallets, hash160(signerKey), signal)
  rule(wallet !== undefined, `${name}.walletPublicKey must resolve to a registered on-chain wallet`)
  requireLive(wallet, `${name}.walletPublicKey`)
  checkSigned(certificate, signerSetOf(deps, wallet, walletPublicKey), digest)
}

/** The compressed key of the wallet that a request names. @throws InvalidInput */
export function signerKeyOf(request: Request): Uint8Array {
  const { signerPublicKey } = templateOf(request)
  const key = /^0x[0-9a-fA-F]{66}$/.test(signerPublicKey)
    ? hexBytes(signerPublicKey)
    : new Uint8Array()
  rule(
    isCompressedPoint(key),
    'request.scriptTemplate.signerPublicKey must be a compressed secp256k1 public key',
  )
  return key
}

/** A wallet of the Bridge; undefined when the Bridge answered and knows none. @throws ChainUnavailable */
export async function findWallet(
  wallets: WalletReader,
  pkh20: Uint8Array,
  signal: AbortSignal,
): Promise<WalletChainData | undefined> {
  try {
    return await wallets.getWallet(pkh20, signal)
  } catch (error) {
    if (error instanceof WalletNotFound) return undefined
    throw error
  }
}

function signerSetOf(deps: CertificateDeps, wallet: WalletChainData, walletPublicKey: Hex): Hex {
  const { membersIdsHash } = requireRegistered(wallet)
  const { honestThreshold } = deps
  return signerSetHash({
    walletId: wallet.walletId,
    walletPublicKey,
    membersIdsHash,
    honestThreshold,
  })
}

/** Rows 9 to 11: what the certificate says, its form, and the wallet's signature over it. */
function checkSigned(certificate: SignerApproval, expectedSet: Hex, digest: Hex): void {
  const must = (holds: boolean, reason: string): void =>
    rule(holds, `${name} is invalid: ${reason}`)
  const { endBlock } = certificate
  must(certificate.certificateVersion === version, `certificateVersion must equal ${version}`)
  must(certificate.signatureAlgorithm === algorithm, `signatureAlgorithm must equal ${algorithm}`)
  must(
    sameHex(certificate.signerSetHash, expectedSet),
    'signerSetHash does not match the signer set of the wallet',
  )
  if (endBlock === null) throw new InvalidInput(`${name} is invalid: endBlock is required`)
  must(
    /^0x([0-9a-fA-F]{2})+$/.test(certificate.signature),
    'signature must be a 0x-prefixed hex string',
  )
  const verdict = checkCertificateSignature(
    hexBytes(certificate.signature),
    hexBytes(certificateDigest({ approvalDigest: digest, endBlock })),
    hexBytes(certificate.walletPublicKey),
  )
  must(verdict !== 'unparseable', 'signature must be a strict DER ECDSA signature')
  must(verdict !== 'highS', 'signature must have a low S')
  must(verdict === 'valid', 'signature does not verify against the wallet public key')
}

/**
 * Has a wallet sign a certificate (engine specification, 7.3).
 *
 * @throws InvalidInput, IssuerBusy, CertificateMalformed, and what `verifyApproval` throws of the chain
 */
export async function signCertificate(
  deps: CertificateDeps & { readonly signer: Signer },
  ask: CertificateAsk,
  slot: CertificateSlot,
  signal: AbortSignal,
): Promise<SignerApproval> {
  const { approvalDigest: digest, endBlock } = ask
  rule(
    /^0x[0-9a-fA-F]{64}$/.test(digest),
    'approvalDigest must be a 32-byte 0x-prefixed hex string',
  )
  const { key, wallet } = await resolveWallet(deps, ask.walletPublicKeyHash, signal)
  const walletPublicKey = prefixed(uncompressPoint(hexBytes(key)))
  const signerSet = signerSetOf(deps, wallet, walletPublicKey)
  const now = await slot.heightBlocks(signal)
  rule(
    endBlock > now,
    `endBlock [${endBlock}] must be greater than the current host-chain block [${now}]`,
  )
  const signedDigest = hexBytes(certificateDigest({ approvalDigest: digest, endBlock }))
  // The signer's port wants an id to name what it signs for; a certificate belongs to no job.
  const requestId = requestIdOf('qc_v1', signedDigest.subarray(0, 8))
  const signature = await slot.alone(key, (extend) =>
    within(extend(deps.signer.sign(key, signedDigest, { requestId }, signal)), signal, 'sign'),
  )
  const verdict = checkCertificateSignature(signature, signedDigest, hexBytes(walletPublicKey))
  if (verdict !== 'valid') throw new CertificateMalformed(verdict)
  const after = await slot.heightBlocks(signal)
  rule(after <= endBlock, `endBlock [${endBlock}] passed while the certificate was being signed`)
  return {
    certificateVersion: version,
    signatureAlgorithm: algorithm,
    approvalDigest: digest,
    walletPublicKey,
    signerSetHash: signerSet,
    signature: prefixed(signature),
    activeMembers: [],
    inactiveMembers: [],
    endBlock,
  }
}

const hashName = 'walletPublicKeyHash'

/** The live wallet of a key hash and its compressed key, when this node holds it. */
async function resolveWallet(
  { wallets, signer }: Pick<CertificateDeps, 'wallets'> & { readonly signer: Signer },
  pkh20: Uint8Array,
  signal: AbortSignal,
): Promise<{ readonly key: Hex; readonly wallet: WalletChainData }> {
  const held = await signer.findKey?.(pkh20, signal)
  rule(
    signer.findKey === undefined || held !== undefined,
    `${hashName} does not resolve to a wallet controlled by this node`,
  )
  const wallet = await findWallet(wallets, pkh20, signal)
  rule(wallet !== undefined, `${hashName} must resolve to a registered on-chain wallet`)
  requireLive(wallet, hashName)
  const key = held ?? compressed(requireRegistered(wallet).publicKey)
  rule(await signer.controls(key, signal), 'wallet is not controlled by this node')
  return { key, wallet }
}

/** The 33-byte form of X and Y. */
function compressed(publicKey: Hex): Hex {
  const point = fromHex(publicKey.slice(2))
  const parity = (point.at(-1) ?? 0) & 1
  return prefixed(concatBytes(Uint8Array.of(0x02 + parity), point.subarray(0, 32)))
}

function prefixed(bytes: Uint8Array): Hex {
  return `0x${toHex(bytes)}`
}

/** The signer answered with what is no signature of the wallet; it is not handed out. */
export class CertificateMalformed extends HoldfastError {
  readonly code = 'CertificateMalformed'
  constructor(verdict: string) {
    super(`signer approval certificate: the signature is ${verdict}, want the wallet's own`, {
      retry: 'after-fix',
      remedy: 'Check that the signer holds the key of this wallet and answers in DER with a low S.',
    })
  }
}
