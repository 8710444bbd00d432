import { canonicalText, sortedByUtf8 } from '../../covenant/canonical.js'
import {
  type Json,
  type Kind,
  MalformedBody,
  optional,
  orLeftOut,
  record,
  text,
} from '../../covenant/field-kinds.js'
import type { Request } from '../../covenant/request.js'
import { request } from '../../covenant/request-fields.js'

/** Any JSON object, as a result may carry one. */
export type AnyObject = Readonly<Record<string, unknown>>

/** A job file as it is spelled; empty values for absent fields. The order of the fields is that of the file. */
export type JobFile = {
  readonly requestId: string
  readonly routeRequestId: string
  readonly route: string
  readonly idempotencyKey: string
  readonly facadeRequestId: string
  readonly requestDigest: string
  readonly depositorEthAddress: string
  readonly state: string
  readonly detail: string
  readonly reason: string
  readonly createdAt: string
  readonly updatedAt: string
  readonly completedAt: string
  readonly failedAt: string
  readonly request: Request
  readonly psbtHash: string
  readonly transactionHex: string
  readonly handoff: AnyObject | undefined
}

/** Keys are sorted at every depth; numbers are whole ones up to 2^53 - 1. */
const anyObject: Kind<AnyObject> = {
  decode: (json, path) => {
    if (typeof json !== 'object' || json === null || Array.isArray(json)) {
      throw new MalformedBody(path, 'is not an object')
    }
    return objectOf(json, path)
  },
  write: writeAny,
  normalize: (value) => value,
}

function objectOf(json: object, path: string): AnyObject {
  const entries: [string, Json][] = Object.entries(json)
  return Object.fromEntries(entries.map(([name, value]) => [name, plainOf(value, path)]))
}

function plainOf(json: Json, path: string): unknown {
  if (typeof json === 'bigint' || typeof json === 'number') {
    const value = Number(json)
    // The parser gives NaN for every number that has a sign, a fraction or an exponent.
    if (!Number.isSafeInteger(value)) throw new MalformedBody(path, 'has a number that is refused')
    return value
  }
  if (typeof json !== 'object' || json === null) return json
  return Array.isArray(json) ? json.map((item: Json) => plainOf(item, path)) : objectOf(json, path)
}

function writeAny(value: unknown): string {
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return String(value)
  if (typeof value === 'string') return canonicalText(value)
  if (Array.isArray(value)) return `[${value.map(writeAny).join(',')}]`
  if (typeof value !== 'object') throw new RangeError('handoff: want JSON with whole numbers only')
  const entries = sortedByUtf8(new Map(Object.entries<unknown>({ ...value })))
  return `{${entries.map(([key, one]) => `${canonicalText(key)}:${writeAny(one)}`).join(',')}}`
}

/** Decodes and writes job files (covenant signer specification, section 4). */
export const jobFile: Kind<JobFile> = record<JobFile>({
  requestId: text,
  routeRequestId: text,
  route: text,
  idempotencyKey: text,
  facadeRequestId: text,
  requestDigest: text,
  depositorEthAddress: orLeftOut(text),
  state: text,
  detail: orLeftOut(text),
  reason: orLeftOut(text),
  createdAt: text,
  updatedAt: text,
  completedAt: orLeftOut(text),
  failedAt: orLeftOut(text),
  request,
  psbtHash: orLeftOut(text),
  transactionHex: orLeftOut(text),
  handoff: optional(anyObject),
})
