import { HoldfastError } from '../base/errors.js'
import { InvalidInput } from './invalid-input.js'
import type { ApprovalPayload, Hex, SignerApproval } from './request.js'
import {
  hexBytes,
  requireBytes32,
  requireHex,
  rule,
  sameHex,
  sizeBytes,
} from './validate-fields.js'

const name = 'request.signerApproval'

/**
 * Rule 13: the form of a certificate (covenant signer specification, 10.1). Its signature is the verifier's matter.
 *
 * @param digestOf the approval digest of this request's payload; asked for once, after the payload's hashes were checked.
 * @throws InvalidInput
 */
export function checkCertificateForm(
  certificate: SignerApproval,
  payload: ApprovalPayload,
  digestOf: (payload: ApprovalPayload) => Hex,
): void {
  rule(certificate.certificateVersion === 2, `${name}.certificateVersion must equal 2`)
  rule(
    certificate.signatureAlgorithm === 'tecdsa-secp256k1',
    `${name}.signatureAlgorithm must equal tecdsa-secp256k1`,
  )
  requireBytes32(certificate.approvalDigest, `${name}.approvalDigest`)
  requireHex(certificate.walletPublicKey, `${name}.walletPublicKey`)
  rule(
    sizeBytes(certificate.walletPublicKey) === 65 &&
      hexBytes(certificate.walletPublicKey)[0] === 0x04,
    `${name}.walletPublicKey must be a 65-byte uncompressed secp256k1 public key`,
  )
  requireBytes32(certificate.signerSetHash, `${name}.signerSetHash`)
  requireHex(certificate.signature, `${name}.signature`)
  checkPayloadHashes(payload, 'request.artifactApprovals.payload')
  rule(
    sameHex(certificate.approvalDigest, digestOf(payload)),
    `${name}.approvalDigest must match the canonical artifactApprovals payload digest`,
  )
  const active = checkMembers(certificate.activeMembers, `${name}.activeMembers`)
  checkMembers(certificate.inactiveMembers, `${name}.inactiveMembers`)
  rule(
    !certificate.inactiveMembers.some((member) => active.has(member)),
    `${name}.activeMembers and ${name}.inactiveMembers must not overlap`,
  )
  rule(certificate.endBlock !== null, `${name}.endBlock is required`)
}

/** The two hashes of an approval payload are 32 bytes each; no digest exists otherwise. @throws InvalidInput */
export function checkPayloadHashes(payload: ApprovalPayload, payloadName: string): void {
  requireBytes32(payload.destinationCommitmentHash, `${payloadName}.destinationCommitmentHash`)
  requireBytes32(payload.planCommitmentHash, `${payloadName}.planCommitmentHash`)
}

/**
 * Rule 21: a certificate is good up to and with its `endBlock`, a height of the host chain.
 *
 * @throws HostHeightUnavailable when the height is not known: no certificate is good for ever.
 * @throws InvalidInput when it has expired, or never said when it ends.
 */
export function checkCertificateTimely(
  certificate: SignerApproval | undefined,
  hostHeight: bigint | undefined,
): void {
  if (certificate === undefined) return
  const expired = 'signer approval certificate has expired'
  const { endBlock } = certificate
  if (endBlock === null) throw new InvalidInput(expired)
  if (hostHeight === undefined) throw new HostHeightUnavailable()
  rule(hostHeight <= endBlock, expired)
}

function checkMembers(members: readonly number[], listName: string): ReadonlySet<number> {
  const seen = new Set<number>()
  for (const [index, member] of members.entries()) {
    rule(member > 0, `${listName}[${index}] must be greater than zero`)
    rule(!seen.has(member), `${listName}[${index}] duplicates member ${member}`)
    seen.add(member)
  }
  return seen
}

/** A certificate's expiry cannot be judged, because no source tells the host chain's height. */
export class HostHeightUnavailable extends HoldfastError {
  readonly code = 'HostHeightUnavailable'
  constructor(cause?: unknown) {
    super(
      'signer approval certificate: no current block height is available, want the host chain',
      {
        retry: 'safe',
        remedy: 'Restore a source of the host chain and make the same call again.',
        cause,
      },
    )
  }
}
