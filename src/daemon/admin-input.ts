import { parse, stringify } from 'lossless-json'
import { listedMax } from '../base/limits.js'
import { decodeRequest, isRoute, type Route } from '../covenant/index.js'
import {
  type JobState,
  jobStates,
  type Outpoint,
  parseRequestId,
  type RequestId,
} from '../covenant/job.js'
import { parseJsonBody } from '../covenant/json-body.js'
import type { Operator, Resolution } from '../covenant/store.js'
import { AdminInputInvalid } from './admin-problem.js'

/** Bytes of one body. */
export const adminBodyBytesMax: number = 3 * 1024 * 1024

/** A body that its route's schema has judged; absent members are undefined. */
export type AdminBody = Readonly<Record<string, unknown>>

/** The bytes that a body's request came in. */
const bytesOfRequest = new WeakMap<object, Uint8Array>()

/** Parses the body of an admin request; no body is an empty object. @throws AdminInputInvalid */
export function parseAdminBody(bytes: Uint8Array): unknown {
  if (bytes.length === 0) return {}
  let body: unknown
  try {
    body = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  } catch {
    // The parser's own message quotes the body.
    throw new AdminInputInvalid('the body is not exactly one JSON value in UTF-8')
  }
  if (typeof body !== 'object' || body === null || !('request' in body)) return body
  const { request } = body
  if (typeof request === 'object' && request !== null) bytesOfRequest.set(request, bytes)
  return body
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

/** Who acts, and why. @throws AdminInputInvalid for a reason of blanks */
export function operatorOf(body: AdminBody): Operator {
  const who = textOf(body.who).trim() || 'admin'
  const why = textOf(body.reason).trim()
  if (why === '') throw new AdminInputInvalid('reason is blank, want why this is done')
  return { who, why }
}

/** @throws AdminInputInvalid */
export function requestIdOfPath(text: unknown): RequestId {
  try {
    return parseRequestId(textOf(text))
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new AdminInputInvalid(error.message)
  }
}

/** The schema has judged its form. */
export const outpointOfBody = (body: AdminBody): Outpoint =>
  textOf(body.outpoint).toLowerCase() as Outpoint

/** @throws AdminInputInvalid */
export function heightOf(body: AdminBody): bigint {
  const { height } = body
  if (typeof height === 'number' && Number.isSafeInteger(height)) return BigInt(height)
  return BigInt(textOf(height))
}

/** What to list; the schema has judged the texts. */
export type JobQuery = {
  readonly state: JobState | undefined
  readonly route: Route | undefined
  readonly routeRequestId: string | undefined
  readonly after: bigint | undefined
  readonly limit: number
}

/** @throws AdminInputInvalid */
export function jobQueryOf(query: AdminBody): JobQuery {
  const { routeRequestId } = query
  const state = jobStates.find((known) => known === query.state)
  const route = typeof query.route === 'string' && isRoute(query.route) ? query.route : undefined
  if (routeRequestId !== undefined && route === undefined) {
    throw new AdminInputInvalid('routeRequestId stands alone, want route beside it')
  }
  return {
    ...{ state, route },
    routeRequestId: typeof routeRequestId === 'string' ? routeRequestId : undefined,
    after: typeof query.after === 'string' ? BigInt(query.after) : undefined,
    limit: limitOf(query, 100),
  }
}

/** @throws AdminInputInvalid */
export function limitOf(query: AdminBody, usual: number): number {
  if (query.limit === undefined) return usual
  const limit = Number(query.limit)
  if (limit < 1 || limit > listedMax) {
    throw new AdminInputInvalid(`limit is out of its bounds, want 1 to ${listedMax}`)
  }
  return limit
}

/** How a record is to be resolved. @throws AdminInputInvalid, MalformedBody */
export function resolutionOf(body: AdminBody): Resolution {
  switch (body.how) {
    case 'restore':
      return { kind: 'restore', from: body.from === 'backup' ? 'backup' : 'ledger' }
    case 'adopt':
      return { kind: 'adopt', request: decodeRequest(requestBytes(body)) }
    case 'retire':
      return { kind: 'retire' }
    case 'release': {
      const { typedKey } = body
      if (typeof typedKey === 'string') return { kind: 'release', typedKey }
      throw new AdminInputInvalid('typedKey is missing, want the key that is to be usable again')
    }
    default:
      throw new AdminInputInvalid('how is none of restore, adopt, retire and release')
  }
}

/** The request to adopt, digit by digit as it was sent: as an object, or as the text of one. */
function requestBytes(body: AdminBody): Uint8Array {
  const { request } = body
  if (typeof request === 'string') return Buffer.from(request)
  const isObject = typeof request === 'object' && request !== null
  const bytes = isObject ? bytesOfRequest.get(request) : undefined
  if (bytes === undefined) {
    throw new AdminInputInvalid('request is missing, want the request that is to be adopted')
  }
  // Bounds the depth, and refuses repeated keys.
  parseJsonBody(bytes)
  const whole = parse(Buffer.from(bytes).toString('utf8'))
  const inner =
    typeof whole === 'object' && whole !== null && 'request' in whole ? whole.request : {}
  return Buffer.from(stringify(inner) ?? '{}')
}
