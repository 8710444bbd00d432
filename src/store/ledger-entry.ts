import { unreachable } from '../base/errors.js'
import {
  type FinalTransition,
  failureReasons,
  isFinal,
  jobStates,
  type Outpoint,
  parseRequestId,
  type RequestId,
} from '../covenant/job.js'
import { type Hex, isRoute, type Route } from '../covenant/request.js'
import { type Print, parsePrint } from './prints.js'

/**
 * What a ledger line says.
 *
 * @remarks `job` is the sequence of the job's accept line. `rowDigest` (64 hex digits) is the digest of what the
 * line makes final in the database: the fixed part of the job, the intent, the result. `print` and
 * `outpointPrint` are the fingerprints of prints.ts.
 */
export type LedgerEntry =
  /** First line of a ledger. */
  | { readonly kind: 'genesis'; readonly storeId: string }
  /** First line of every later segment; `previous` is the name of the segment before it. */
  | { readonly kind: 'segment'; readonly storeId: string; readonly previous: string }
  | AcceptEntry
  | IntendEntry
  | SettleEntry
  | OperateEntry
  | RepairEntry

export type LedgerKind = LedgerEntry['kind']

/** A request was taken; its key and outpoint are used from here on. */
export type AcceptEntry = {
  readonly kind: 'accept'
  readonly print: Print
  readonly outpointPrint: Print
  readonly rowDigest: string
  readonly route: Route
  readonly routeRequestId: string
  readonly requestId: RequestId
  readonly requestDigest: Hex
  readonly outpoint: Outpoint
  /** '' when no address was pinned. */
  readonly depositorEthAddress: string
  /** RFC 3339, UTC. */
  readonly createdAt: string
}

/** A signer is about to be asked for exactly this. */
export type IntendEntry = {
  readonly kind: 'intend'
  readonly job: bigint
  readonly outpointPrint: Print
  readonly rowDigest: string
  readonly requestId: RequestId
  readonly outpoint: Outpoint
  readonly sighash: Hex
  readonly unsignedTransaction: Hex
}

/** A job ended; enough to give its answer again. */
export type SettleEntry = {
  readonly kind: 'settle'
  readonly job: bigint
  readonly rowDigest: string
  readonly requestId: RequestId
  readonly transition: FinalTransition
  /** RFC 3339, UTC. */
  readonly updatedAt: string
  /** True when the job's intent was released with it. */
  readonly releasedIntent: boolean
}

/** Somebody acted by hand. */
export type OperateEntry = {
  readonly kind: 'operate'
  readonly who: string
  readonly what: string
  readonly why: string
  readonly subject: string
}

/**
 * Lines `fromSeq` to `toSeq` are lost; what could be written again follows, each line with its first sequence in
 * `again`. Lost bytes stay where they are.
 */
export type RepairEntry = {
  readonly kind: 'repair'
  /** Where the bytes stand; for people, replay goes by the other fields. */
  readonly segment: string
  readonly fromSeq: bigint
  /** `fromSeq` - 1 when there were bytes too many but no line is lost. */
  readonly toSeq: bigint
  /** SHA-256 of the unreadable bytes; of no bytes when the lines are just missing. */
  readonly foundHash: string
}

type Fields = Readonly<Record<string, unknown>>

/** Written in this order; what replay reads without parsing comes first. */
const fieldOrder: Readonly<Record<LedgerKind, readonly string[]>> = {
  genesis: ['storeId'],
  segment: ['storeId', 'previous'],
  accept: [
    ...['print', 'outpointPrint', 'rowDigest', 'route', 'routeRequestId', 'requestId'],
    ...['requestDigest', 'outpoint', 'depositorEthAddress', 'createdAt'],
  ],
  intend: [
    ...['job', 'outpointPrint', 'rowDigest', 'requestId', 'outpoint', 'sighash'],
    'unsignedTransaction',
  ],
  settle: ['job', 'rowDigest', 'requestId', 'transition', 'updatedAt', 'releasedIntent'],
  operate: ['who', 'what', 'why', 'subject'],
  repair: ['segment', 'fromSeq', 'toSeq', 'foundHash'],
}
const transitionOrder = ['state', 'detail', 'reason', 'psbtHash', 'transactionHex', 'handoff']

/**
 * The entry's fields as JSON without the braces.
 *
 * @throws RangeError for a sequence beyond 2^53 - 1; TypeError for what JSON cannot hold
 */
export function fieldsText(entry: LedgerEntry): string {
  const fields: Fields = entry
  const written = fieldOrder[entry.kind].map((name) => [name, plain(name, fields[name])] as const)
  return JSON.stringify(Object.fromEntries(written)).slice(1, -1)
}

/** @throws RangeError unless these are the fields of an entry of that kind */
export function parseEntry(kind: LedgerKind, fields: Fields): LedgerEntry {
  switch (kind) {
    case 'genesis':
      return { kind, storeId: text(fields, 'storeId') }
    case 'segment':
      return { kind, storeId: text(fields, 'storeId'), previous: text(fields, 'previous') }
    case 'accept':
      return parseAccept(fields)
    case 'intend':
      return {
        kind,
        job: sequence(fields, 'job'),
        outpointPrint: parsePrint(text(fields, 'outpointPrint')),
        rowDigest: text(fields, 'rowDigest', digits64),
        requestId: parseRequestId(text(fields, 'requestId')),
        outpoint: text(fields, 'outpoint', outpointForm) as Outpoint,
        sighash: text(fields, 'sighash', hex32) as Hex,
        unsignedTransaction: text(fields, 'unsignedTransaction', hexForm) as Hex,
      }
    case 'settle':
      return {
        kind,
        job: sequence(fields, 'job'),
        rowDigest: text(fields, 'rowDigest', digits64),
        requestId: parseRequestId(text(fields, 'requestId')),
        transition: parseTransition(record(fields, 'transition')),
        updatedAt: text(fields, 'updatedAt'),
        releasedIntent: truth(fields, 'releasedIntent'),
      }
    case 'operate': {
      const [who, what] = [text(fields, 'who'), text(fields, 'what')]
      return { kind, who, what, why: text(fields, 'why'), subject: text(fields, 'subject') }
    }
    case 'repair': {
      const [segment, foundHash] = [text(fields, 'segment'), text(fields, 'foundHash', digits64)]
      const [fromSeq, toSeq] = [sequence(fields, 'fromSeq'), sequence(fields, 'toSeq')]
      return { kind, segment, fromSeq, toSeq, foundHash }
    }
    default:
      return unreachable(kind)
  }
}

function parseAccept(fields: Fields): AcceptEntry {
  const route = text(fields, 'route')
  if (!isRoute(route)) throw new RangeError('route: want qc_v1 or self_v1')
  return {
    kind: 'accept',
    print: parsePrint(text(fields, 'print')),
    outpointPrint: parsePrint(text(fields, 'outpointPrint')),
    rowDigest: text(fields, 'rowDigest', digits64),
    route,
    routeRequestId: text(fields, 'routeRequestId'),
    requestId: parseRequestId(text(fields, 'requestId')),
    requestDigest: text(fields, 'requestDigest', hex32) as Hex,
    outpoint: text(fields, 'outpoint', outpointForm) as Outpoint,
    depositorEthAddress: text(fields, 'depositorEthAddress'),
    createdAt: text(fields, 'createdAt'),
  }
}

function parseTransition(fields: Fields): FinalTransition {
  const state = jobStates.find((known) => known === fields.state)
  if (state === undefined || !isFinal(state)) throw new RangeError('state: want a final one')
  const reason = failureReasons.find((known) => known === fields.reason)
  if (reason !== fields.reason) throw new RangeError('reason: not a known one')
  const optional = (name: string): boolean => fields[name] !== undefined
  return {
    state,
    detail: text(fields, 'detail'),
    ...(reason === undefined ? {} : { reason }),
    ...(optional('psbtHash') ? { psbtHash: text(fields, 'psbtHash') } : {}),
    ...(optional('transactionHex') ? { transactionHex: text(fields, 'transactionHex') } : {}),
    ...(optional('handoff') ? { handoff: record(fields, 'handoff') } : {}),
  }
}

const digits64 = /^[0-9a-f]{64}$/
const hex32 = /^0x[0-9a-f]{64}$/
const hexForm = /^0x(?:[0-9a-f]{2})*$/
const outpointForm = /^[0-9a-f]*:\d+$/

function plain(name: string, value: unknown): unknown {
  if (name === 'transition') {
    const transition = value as Fields
    return Object.fromEntries(transitionOrder.map((field) => [field, transition[field]]))
  }
  if (typeof value !== 'bigint') return value
  if (value > BigInt(Number.MAX_SAFE_INTEGER))
    throw new RangeError(`${name}: want at most 2^53 - 1`)
  return Number(value)
}

function text(fields: Fields, name: string, form?: RegExp): string {
  const value = fields[name]
  if (typeof value === 'string' && (form === undefined || form.test(value))) return value
  throw new RangeError(`${name}: not in its form`)
}

function sequence(fields: Fields, name: string): bigint {
  const value = fields[name]
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return BigInt(value)
  throw new RangeError(`${name}: want a whole number`)
}

function truth(fields: Fields, name: string): boolean {
  const value = fields[name]
  if (typeof value === 'boolean') return value
  throw new RangeError(`${name}: want true or false`)
}

function record(fields: Fields, name: string): Fields {
  const value = fields[name]
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields
  throw new RangeError(`${name}: want an object`)
}
