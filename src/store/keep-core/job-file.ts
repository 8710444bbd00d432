import { hash } from 'node:crypto'
import { keepCoreFileBytesMax } from '../../base/limits.js'
import { canonicalRequest } from '../../covenant/digest.js'
import { type Json, type JsonObject, MalformedBody } from '../../covenant/field-kinds.js'
import {
  failureReasons,
  isFinal,
  type Job,
  type JobIdentity,
  type JobProgress,
  jobStates,
  type Outpoint,
  outpointOf,
  parseRequestId,
  type RequestId,
  walletKeyOf,
} from '../../covenant/job.js'
import { parseJsonBody } from '../../covenant/json-body.js'
import { type Hex, isRoute, type Request } from '../../covenant/request.js'
import type { ImportedJob, RouteKey } from './import-target.js'
import { type JobFile, jobFile } from './job-fields.js'
import { signedIntents } from './signed-intent.js'

/** Why a file cannot stand for a job. */
export type DamageCode =
  | 'unreadable'
  | 'symlink'
  | 'tooLarge'
  | 'malformed'
  | 'emptyObject'
  | 'nameDiffers'
  | 'undecodableRequest'
  | 'digestDiffers'

/** What a file holds; a damaged one says as much as could be read. */
export type JobReading =
  | { readonly kind: 'job'; readonly job: ImportedJob }
  | ({ readonly kind: 'damaged'; readonly code: DamageCode; readonly reason: string } & Partial<{
      readonly requestId: string
      readonly key: RouteKey
      readonly outpoint: Outpoint
    }>)

type Problem = { readonly code: DamageCode; readonly reason: string }

const suffix = '.json'
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Name of a job's file. */
export function fileNameOf(id: RequestId): string {
  return `${id}${suffix}`
}

/** The request id that a file name carries, `undefined` when it carries none. */
export function idOfFileName(name: string): RequestId | undefined {
  try {
    return parseRequestId(name.slice(0, -suffix.length))
  } catch {
    // A name that no service gave: its content may still say which job it is.
    return undefined
  }
}

/** Reads the bytes of a job file that stands under this name (without its directory). */
export function readJobFile(name: string, bytes: Uint8Array): JobReading {
  let json: Json
  try {
    // The service only ever writes valid UTF-8; mending it would change a key in silence.
    strictUtf8.decode(bytes)
    json = parseJsonBody(bytes, keepCoreFileBytesMax)
  } catch (error) {
    const reason = error instanceof MalformedBody ? error.reason : 'body is not UTF-8'
    return { kind: 'damaged', code: 'malformed', reason }
  }
  const judged = judge(name, json)
  if ('identity' in judged) return { kind: 'job', job: judged }
  return { kind: 'damaged', ...judged, ...readableParts(json) }
}

function judge(name: string, json: Json): ImportedJob | Problem {
  if (json === null || (isObject(json) && Object.keys(json).length === 0)) {
    return { code: 'emptyObject', reason: 'there is nothing in it' }
  }
  let file: JobFile
  try {
    file = jobFile.decode(json, '', {})
  } catch (error) {
    if (!(error instanceof MalformedBody)) throw error
    const inRequest = /^request[. [{]/.test(error.reason)
    return { code: inRequest ? 'undecodableRequest' : 'malformed', reason: error.reason }
  }
  const identity = identityOf(file)
  if ('code' in identity) return identity
  const progress = progressOf(file)
  if ('code' in progress) return progress
  if (name !== fileNameOf(identity.requestId)) {
    return { code: 'nameDiffers', reason: `it says ${identity.requestId}` }
  }
  return { identity, progress, intents: signedIntents(identity, progress) }
}

function identityOf(file: JobFile): JobIdentity | Problem {
  const malformed = (reason: string): Problem => ({ code: 'malformed', reason })
  const { route, routeRequestId, requestDigest, request } = file
  if (!isRoute(route)) return malformed('route is neither qc_v1 nor self_v1')
  if (routeRequestId === '') return malformed('routeRequestId is missing')
  const requestId = idOfFileName(`${file.requestId}${suffix}`)
  if (requestId === undefined) return malformed('requestId is missing or not in its form')
  if (!isDigest(requestDigest)) return malformed('requestDigest is not 32 bytes of hex')
  const undecodable = (reason: string): Problem => ({ code: 'undecodableRequest', reason })
  if ('invalid' in request.scriptTemplate) {
    return undecodable(`request.scriptTemplate: ${request.scriptTemplate.invalid}`)
  }
  if (request.route !== route) return undecodable('request.route is not that of the job')
  const outpoint = outpointIn(request)
  if (outpoint === undefined) return undecodable('request.activeOutpoint.txid is not hex')
  if (!digestsOf(request).includes(requestDigest)) {
    return { code: 'digestDiffers', reason: 'requestDigest is not that of the request' }
  }
  return {
    requestId,
    route,
    routeRequestId,
    requestDigest,
    depositorEthAddress: file.depositorEthAddress,
    outpoint,
    walletKey: walletKeyOf(request.scriptTemplate),
    endBlock: request.signerApproval?.endBlock ?? undefined,
    createdAt: file.createdAt,
    request,
  }
}

function isDigest(text: string): text is Hex {
  return /^0x[0-9a-f]{64}$/.test(text)
}

/** The digest of the current version, and that of the first one, which had no prefix. */
function digestsOf(request: Request): readonly Hex[] {
  const canonical = canonicalRequest(request)
  return [
    `0x${hash('sha256', `covenant-signer-request-v1:${canonical}`)}`,
    `0x${hash('sha256', canonical)}`,
  ]
}

function progressOf(file: JobFile): JobProgress | Problem {
  const { detail, updatedAt, psbtHash, transactionHex, handoff, completedAt, failedAt } = file
  const state = jobStates.find((known) => known === file.state)
  if (state === undefined) return { code: 'malformed', reason: 'state is missing or unknown' }
  const reason = failureReasons.find((known) => known === file.reason)
  if (reason === undefined && file.reason !== '') {
    return { code: 'malformed', reason: 'reason is not a known one' }
  }
  return {
    state,
    detail,
    ...(reason === undefined ? {} : { reason }),
    ...(psbtHash === '' ? {} : { psbtHash }),
    ...(transactionHex === '' ? {} : { transactionHex }),
    ...(handoff === undefined ? {} : { handoff }),
    updatedAt,
    ...(completedAt === '' ? {} : { completedAt }),
    ...(failedAt === '' ? {} : { failedAt }),
    attempts: 0,
    nextAtMs: 0,
    held: !isFinal(state),
  }
}

/** What a damaged file still says of its job. */
function readableParts(json: Json): Partial<{
  requestId: string
  key: RouteKey
  outpoint: Outpoint
}> {
  const requestId = fieldOf(json, 'requestId')
  const route = fieldOf(json, 'route')
  const routeRequestId = fieldOf(json, 'routeRequestId')
  const named = typeof route === 'string' && isRoute(route) && typeof routeRequestId === 'string'
  const outpoint = fieldOf(fieldOf(json, 'request'), 'activeOutpoint')
  const [txid, vout] = [fieldOf(outpoint, 'txid'), fieldOf(outpoint, 'vout')]
  const spent =
    typeof txid === 'string' && typeof vout === 'bigint'
      ? outpointIn({ activeOutpoint: { txid, vout: Number(vout), scriptHash: '' } })
      : undefined
  return {
    ...(typeof requestId === 'string' && requestId !== '' ? { requestId } : {}),
    ...(named && routeRequestId !== '' ? { key: { route, routeRequestId } } : {}),
    ...(spent === undefined ? {} : { outpoint: spent }),
  }
}

function fieldOf(json: Json | undefined, name: string): Json | undefined {
  if (json === undefined || !isObject(json)) return undefined
  return Object.entries(json).find(([own]) => own === name)?.[1]
}

function isObject(json: Json): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}

function outpointIn({ activeOutpoint }: Pick<Request, 'activeOutpoint'>): Outpoint | undefined {
  try {
    return outpointOf(activeOutpoint)
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

/**
 * A job as the other service writes it: compact JSON without line end, `<`, `>` and `&` escaped.
 *
 * @throws RangeError for a value that cannot stand in such a file
 */
export function writeJobFile(job: Job): Uint8Array {
  const { request, reason = '', psbtHash = '', transactionHex = '', handoff } = job
  const text = jobFile.write({
    ...job,
    idempotencyKey: request.idempotencyKey,
    facadeRequestId: request.facadeRequestId,
    reason,
    completedAt: job.completedAt ?? '',
    failedAt: job.failedAt ?? '',
    psbtHash,
    transactionHex,
    handoff,
  })
  return Buffer.from(text.replace(/[<>&]/g, escapedForHtml))
}

/** These characters stand in strings only, so that the whole text can be searched for them. */
function escapedForHtml(character: string): string {
  return `\\u00${character.charCodeAt(0).toString(16)}`
}
