import type { SignerApproval } from '../covenant/index.js'
import type { StepResult } from '../covenant/job.js'

/** An answer to submit or poll, its keys in the order of the contract; empty fields are left out. */
export function stepResultJson(result: StepResult): string {
  const { status, requestId, detail, reason, psbtHash, transactionHex, handoff } = result
  const hasHandoff = handoff !== undefined && Object.keys(handoff).length > 0
  return objectJson([
    ['status', text(status)],
    ['requestId', text(requestId)],
    ['detail', textOrNothing(detail)],
    ['reason', textOrNothing(reason)],
    ['psbtHash', textOrNothing(psbtHash)],
    ['transactionHex', textOrNothing(transactionHex)],
    ['handoff', hasHandoff ? sortedJson(handoff) : undefined],
  ])
}

/** A certificate, its keys in the order of the contract; empty member lists are left out. */
export function signerApprovalJson(certificate: SignerApproval): string {
  const { certificateVersion, signatureAlgorithm, approvalDigest } = certificate
  const { walletPublicKey, signerSetHash, signature, endBlock } = certificate
  const members = (list: readonly number[]): string | undefined =>
    list.length === 0 ? undefined : sortedJson(list)
  return objectJson([
    ['certificateVersion', certificateVersion.toString()],
    ['signatureAlgorithm', text(signatureAlgorithm)],
    ['approvalDigest', text(approvalDigest)],
    ['walletPublicKey', text(walletPublicKey)],
    ['signerSetHash', text(signerSetHash)],
    ['signature', text(signature)],
    ['activeMembers', members(certificate.activeMembers)],
    ['inactiveMembers', members(certificate.inactiveMembers)],
    ['endBlock', endBlock === null ? 'null' : endBlock.toString()],
  ])
}

function objectJson(
  fields: readonly (readonly [name: string, json: string | undefined])[],
): string {
  const present = fields.filter(([, json]) => json !== undefined)
  return `{${present.map(([name, json]) => `${text(name)}:${json}`).join(',')}}`
}

/**
 * Any value as JSON, keys of objects in the order of their UTF-8 bytes.
 *
 * @throws RangeError for what JSON has no word for
 */
export function sortedJson(value: unknown): string {
  if (value === null) return 'null'
  if (typeof value === 'string') return text(value)
  if (typeof value === 'bigint' || typeof value === 'boolean') return value.toString()
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(sortedJson).join(',')}]`
  if (typeof value !== 'object') throw new RangeError(`JSON: ${typeof value} cannot be written`)
  const entries = Object.entries(value).filter(([, field]) => field !== undefined)
  entries.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  return objectJson(entries.map(([name, field]) => [name, sortedJson(field)]))
}

const textOrNothing = (value: string | undefined): string | undefined =>
  value === undefined || value === '' ? undefined : text(value)

/** A string as the reference's encoder writes it: angle brackets, ampersands and U+2028, U+2029 escaped. */
function text(value: string): string {
  return JSON.stringify(value.replace(/\p{Surrogate}/gu, '\ufffd')).replace(
    /[<>&\u2028\u2029]/g,
    (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
