import { isCompressedPoint } from '../base/curve.js'
import { unreachable } from '../base/errors.js'
import { InvalidInput } from './invalid-input.js'
import type { Approval, QcTemplate, Route, SelfTemplate } from './request.js'
import {
  checkEthereumSignature,
  checkScriptKeySignature,
  type EthereumVerdict,
  type ScriptKeyVerdict,
} from './signatures.js'
import { findCustodianRoot, findDepositorRoot, type Scope, type TrustRoots } from './trust.js'
import { hexBytes, requireHex, rule, sameHex } from './validate-fields.js'

/** Who signs one approval; key and address in checked hex. */
type Signer =
  | { readonly kind: 'scriptKey'; readonly publicKey: string }
  | { readonly kind: 'ethereum'; readonly address: string }

/** Whose signatures a request's approvals must be. */
export type Signers = {
  readonly depositor: Signer
  /** Only qc_v1 has one. */
  readonly custodianPublicKey: string | undefined
}

/** A template that was checked against its route. */
export type CheckedTemplate =
  | { readonly route: 'self_v1'; readonly template: SelfTemplate }
  | { readonly route: 'qc_v1'; readonly template: QcTemplate }

const templateName = 'request.scriptTemplate'

/**
 * Rule 19: the template's keys are those an operator pinned, where any are pinned (covenant signer specification, 8.4).
 *
 * @returns whom rule 20 has to believe: a pinned Ethereum address goes before the script key.
 * @throws InvalidInput
 */
export function checkTrustRoots(
  checked: CheckedTemplate,
  scope: Scope,
  roots: TrustRoots,
): Signers {
  const { depositorPublicKey } = checked.template
  const depositor = findDepositorRoot(roots, scope)
  if (roots.depositorTrustRoots.length > 0) {
    requireRoot(depositor, depositorPublicKey, 'depositor', scope.route)
  }
  if (checked.route === 'qc_v1' && roots.custodianTrustRoots.length > 0) {
    const custodian = findCustodianRoot(roots, scope)
    requireRoot(custodian, checked.template.custodianPublicKey, 'custodian', scope.route)
  }
  return signersOf(checked, depositor?.ethAddress)
}

/** The template's own keys, or the Ethereum address that stands for the depositor. */
export function signersOf(checked: CheckedTemplate, ethAddress: string | undefined): Signers {
  const { template } = checked
  return {
    depositor:
      ethAddress === undefined
        ? { kind: 'scriptKey', publicKey: template.depositorPublicKey }
        : { kind: 'ethereum', address: ethAddress },
    custodianPublicKey: checked.route === 'qc_v1' ? checked.template.custodianPublicKey : undefined,
  }
}

/**
 * Rule 20: every approval is signed by whom its role names (covenant signer specification, 7), in list order.
 *
 * @param digest the 32-byte approval digest.
 * @throws InvalidInput
 */
export function checkApprovalSignatures(
  approvals: readonly Approval[],
  digest: Uint8Array,
  signers: Signers,
): void {
  const refusal = findRefusal(approvals, digest, signers)
  if (refusal === undefined) return
  // Keys come before signatures in what is reported. A signature that verifies has proved its key to be
  // a point, so the keys need a look of their own, which costs a tenth of a signature, only here.
  const { depositor, custodianPublicKey } = signers
  if (depositor.kind === 'scriptKey') requirePoint(depositor.publicKey, 'depositorPublicKey')
  if (custodianPublicKey !== undefined) requirePoint(custodianPublicKey, 'custodianPublicKey')
  throw new InvalidInput(refusal)
}

/** The text for the first approval that is not its signer's. */
function findRefusal(
  approvals: readonly Approval[],
  digest: Uint8Array,
  signers: Signers,
): string | undefined {
  for (const [index, { role, signature }] of approvals.entries()) {
    const name = `request.artifactApprovals.approvals[${index}]`
    const signer = signerOf(role, signers)
    if (signer === 'unknown') return `${name}.role is not a recognized role`
    if (signer === undefined) {
      return 'request.artifactApprovals.approvals includes unexpected custodian role'
    }
    requireHex(signature, `${name}.signature`)
    const problem = problemOf(hexBytes(signature), digest, signer)
    if (problem !== undefined) return `${name}.signature ${problem}`
  }
  return undefined
}

function signerOf(role: string, signers: Signers): Signer | 'unknown' | undefined {
  if (role === 'D') return signers.depositor
  if (role !== 'C') return 'unknown'
  const publicKey = signers.custodianPublicKey
  return publicKey === undefined ? undefined : { kind: 'scriptKey', publicKey }
}

function problemOf(signature: Uint8Array, digest: Uint8Array, signer: Signer): string | undefined {
  return signer.kind === 'ethereum'
    ? ethereumProblem(checkEthereumSignature(signature, digest, hexBytes(signer.address)))
    : scriptKeyProblem(checkScriptKeySignature(signature, digest, hexBytes(signer.publicKey)))
}

function requirePoint(publicKey: string, field: string): void {
  rule(
    isCompressedPoint(hexBytes(publicKey)),
    `${templateName}.${field} must be a compressed secp256k1 public key`,
  )
}

function requireRoot(
  root: { readonly publicKey: string } | undefined,
  publicKey: string,
  role: 'depositor' | 'custodian',
  route: Route,
): void {
  const name = `${templateName}.${role}PublicKey`
  const list = `${role}TrustRoots`
  rule(root !== undefined, `${name} requires a matching configured ${list} entry for ${route}`)
  rule(
    sameHex(root.publicKey, publicKey),
    `${name} must match the configured ${list} publicKey for ${route}`,
  )
}

function scriptKeyProblem(verdict: ScriptKeyVerdict): string | undefined {
  switch (verdict) {
    case 'valid':
      return undefined
    case 'unparseable':
      return 'must be a DER or 64/65-byte secp256k1 signature'
    case 'highS':
      return 'must be a low-S secp256k1 signature'
    case 'mismatch':
      return 'does not verify against the required public key'
    default:
      return unreachable(verdict)
  }
}

function ethereumProblem(verdict: EthereumVerdict): string | undefined {
  switch (verdict) {
    case 'valid':
      return undefined
    case 'wrongLength':
      return 'must be a 65-byte secp256k1 signature'
    case 'highS':
      return 'must be a low-S secp256k1 signature'
    case 'badRecoveryId':
      return 'has an invalid recovery id'
    case 'unrecoverable':
      return 'does not recover to a valid public key'
    case 'mismatch':
      return 'does not verify against the required depositor ETH address'
    default:
      return unreachable(verdict)
  }
}
