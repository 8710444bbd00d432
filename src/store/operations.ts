import type { Outpoint } from '../covenant/job.js'
import { parseRequestId } from '../covenant/job.js'
import { type Hex, isRoute } from '../covenant/request.js'
import type { CertificateNote, QuarantineRecord } from '../covenant/store.js'

/** What somebody did by hand to a job store, as an `operate` line names it in `what` and `subject`. */
export type Operation =
  | { readonly kind: 'restore' | 'retire' | 'release'; readonly recordId: string }
  /** `job` is set for a record of a file: the job that was made of it waits until it is resumed. */
  | { readonly kind: 'adopt'; readonly recordId: string; readonly job: bigint | undefined }
  | { readonly kind: 'release-intent'; readonly outpoint: Outpoint; readonly intent: bigint }
  | { readonly kind: 'resume'; readonly requestId: string; readonly job: bigint }
  | { readonly kind: 'reset-height'; readonly height: bigint }
  | { readonly kind: 'import-begin'; readonly importId: string }
  | { readonly kind: 'import-end'; readonly importId: string; readonly counts: string }
  | { readonly kind: 'set-aside'; readonly record: QuarantineRecord }
  | { readonly kind: 'certificate'; readonly note: CertificateNote }

/** The `subject` of an operation's line. */
export function subjectOf(operation: Operation): string {
  switch (operation.kind) {
    case 'restore':
    case 'retire':
    case 'release':
      return operation.recordId
    case 'adopt': {
      const { recordId, job } = operation
      return job === undefined ? recordId : `${recordId} job-${job}`
    }
    case 'release-intent':
      return `${operation.outpoint} intent-${operation.intent}`
    case 'resume':
      return `${operation.requestId} job-${operation.job}`
    case 'reset-height':
      return String(operation.height)
    case 'import-begin':
      return operation.importId
    case 'import-end':
      return `${operation.importId} ${operation.counts}`
    case 'set-aside': {
      const { state, ...record } = operation.record
      return JSON.stringify(record)
    }
    case 'certificate': {
      const { walletKey, approvalDigest, endBlock } = operation.note
      return `${walletKey} ${approvalDigest} ${endBlock}`
    }
  }
}

/** Reads an operation from its line; undefined for one of another version. */
export function parseOperation(what: string, subject: string): Operation | undefined {
  const [first = '', rest = ''] = split(subject)
  switch (what) {
    case 'restore':
    case 'retire':
    case 'release':
      return { kind: what, recordId: subject }
    case 'adopt':
      return { kind: what, recordId: first, job: numberIn(/^job-(\d+)$/, rest) }
    case 'release-intent': {
      const intent = numberIn(/^intent-(\d+)$/, rest)
      return intent === undefined ? undefined : { kind: what, outpoint: first as Outpoint, intent }
    }
    case 'resume': {
      const job = numberIn(/^job-(\d+)$/, rest)
      return job === undefined ? undefined : { kind: what, requestId: first, job }
    }
    case 'reset-height': {
      const height = numberIn(/^(\d+)$/, subject)
      return height === undefined ? undefined : { kind: what, height }
    }
    case 'import-begin':
      return { kind: what, importId: subject }
    case 'import-end':
      return { kind: what, importId: first, counts: rest }
    case 'set-aside': {
      const record = parseRecord(subject)
      return record && { kind: what, record }
    }
    case 'certificate': {
      const [digest = '', endBlock = ''] = split(rest)
      if (!isHex(first) || !isHex(digest) || !/^\d+$/.test(endBlock)) return undefined
      const note = { walletKey: first, approvalDigest: digest, endBlock: BigInt(endBlock) }
      return { kind: what, note }
    }
    default:
      return undefined
  }
}

function split(subject: string): readonly [string, string] {
  const at = subject.indexOf(' ')
  return at < 0 ? [subject, ''] : [subject.slice(0, at), subject.slice(at + 1)]
}

function numberIn(form: RegExp, text: string): bigint | undefined {
  const [, digits] = form.exec(text) ?? []
  return digits === undefined ? undefined : BigInt(digits)
}

function isHex(text: string): text is Hex {
  return /^0x[0-9a-f]+$/.test(text)
}

/** The line's hash vouches for the text; this only tells whether it is of this version. */
function parseRecord(subject: string): QuarantineRecord | undefined {
  try {
    const fields = JSON.parse(subject) as Partial<Omit<QuarantineRecord, 'state'>>
    const { id, kind, reason, blocks, requestId, sha256, sizeBytes, foundAtMs } = fields
    if (kind !== 'file' || typeof id !== 'string' || typeof reason !== 'string') return undefined
    if (typeof sha256 !== 'string' || !isCount(sizeBytes) || !isCount(foundAtMs)) return undefined
    if (!Array.isArray(blocks?.keys) || !Array.isArray(blocks.outpoints)) return undefined
    if (!blocks.keys.every(({ route }) => isRoute(route))) return undefined
    const known = requestId === undefined ? undefined : parseRequestId(requestId)
    const own = { id, kind, reason, requestId: known, sha256, sizeBytes, foundAtMs }
    const everyNewKey = blocks.everyNewKey !== false
    return { ...own, blocks: { ...blocks, everyNewKey }, state: 'open' }
  } catch {
    // Another program wrote it; what it means is unknown here.
    return undefined
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
