import { HoldfastError } from '../base/errors.js'
import { decodePoll, decodeRequest, decodeSubmit } from '../covenant/decode.js'
import {
  approvalDigest,
  destinationCommitmentHash,
  planCommitmentHash,
  requestDigest,
} from '../covenant/digest.js'
import { type Json, type JsonObject, MalformedBody } from '../covenant/field-kinds.js'
import {
  type DestinationCommitmentInput,
  planCommitment,
  planCommitmentInput,
} from '../covenant/hashed-fields.js'
import { InvalidInput } from '../covenant/invalid-input.js'
import { parseJsonBody } from '../covenant/json-body.js'
import {
  type Action,
  type ApprovalDomain,
  actionOf,
  type Hex,
  isRoute,
  type Request,
} from '../covenant/request.js'
import { request as requestKind } from '../covenant/request-fields.js'

/** What a digest can be made of, with what the file may hold. */
const wanted = {
  request: 'a submit body, a poll body or a request',
  approval: 'an approval payload, or a request that holds one',
  plan: 'the input of a plan commitment, or a request with a plan',
  destination: 'a destination or what its commitment covers, or a request with one',
} as const

export type DigestKind = keyof typeof wanted
export const digestKinds: readonly DigestKind[] = Object.keys(wanted) as DigestKind[] // its own keys

/** A digest, and the one that the input itself states, if it does. */
export type Digested = { readonly digest: Hex; readonly stated: string | undefined }

/**
 * The digest of a JSON text.
 *
 * @param domain of approvals; the other kinds do not look at it
 * @throws DigestInputInvalid
 * @remarks A bare payload, plan or destination must name every field that is hashed. In a body, fields that are
 * left out have their empty values, as on the wire.
 */
export function digestOf(kind: DigestKind, text: Uint8Array, domain: ApprovalDomain): Digested {
  try {
    const json = objectIn(parseJsonBody(text), 'body')
    const request = requestIn(json, text, kind)
    switch (kind) {
      case 'request':
        return { digest: requestDigest(request ?? decodeRequest(text)), stated: undefined }
      case 'approval':
        return digestApproval(json, request, domain)
      case 'plan':
        return digestPlan(json, request)
      case 'destination':
        return digestDestination(json, request)
    }
  } catch (error) {
    if (error instanceof MalformedBody) throw new DigestInputInvalid(error.reason, kind, error)
    if (error instanceof InvalidInput) throw new DigestInputInvalid(error.message, kind, error)
    throw error
  }
}

/** The request that a file is, or holds in a body. */
function requestIn(json: JsonObject, text: Uint8Array, kind: DigestKind): Request | undefined {
  if (Object.hasOwn(json, 'request')) {
    return (Object.hasOwn(json, 'requestId') ? decodePoll : decodeSubmit)(text).request
  }
  const isRequest = ['facadeRequestId', 'scriptTemplate'].some((name) => Object.hasOwn(json, name))
  return isRequest || kind === 'request' ? decodeRequest(text) : undefined
}

const payloadFields = [
  'approvalVersion',
  'route',
  'scriptTemplateId',
  'destinationCommitmentHash',
  'planCommitmentHash',
]

function digestApproval(
  json: JsonObject,
  request: Request | undefined,
  domain: ApprovalDomain,
): Digested {
  let approvals = request?.artifactApprovals
  if (request === undefined) {
    const given = Object.hasOwn(json, 'payload') ? json : { payload: json }
    requireFields(objectIn(given.payload, 'payload'), payloadFields)
    approvals = requestKind.decode({ artifactApprovals: given }, '', {}).artifactApprovals
  }
  if (approvals === undefined) throw new MalformedBody('request', 'has no artifactApprovals')
  const { payload } = approvals
  if (payload.approvalVersion !== 2) throw new MalformedBody('approvalVersion', 'is not 2')
  for (const name of ['route', 'scriptTemplateId'] as const) {
    if (!isRoute(payload[name])) throw new MalformedBody(name, 'is not qc_v1 or self_v1')
  }
  for (const name of ['destinationCommitmentHash', 'planCommitmentHash'] as const) {
    if (!/^0x[0-9a-f]{64}$/i.test(payload[name])) {
      throw new MalformedBody(name, 'is not 0x and 64 hex digits')
    }
  }
  return {
    digest: approvalDigest(payload, domain),
    stated: request?.signerApproval?.approvalDigest,
  }
}

const planFields = [
  ...['planVersion', 'reserve', 'epoch', 'activeOutpointTxid', 'activeOutpointVout'],
  ...['destinationCommitmentHash', 'inputValueSats', 'destinationValueSats', 'anchorValueSats'],
  ...['feeSats', 'inputSequence', 'lockTime'],
]

function digestPlan(json: JsonObject, request: Request | undefined): Digested {
  if (request === undefined) {
    requireFields(json, planFields)
    const input = planCommitment.decode(json, '', {})
    requireHex(input, ['reserve', 'activeOutpointTxid', 'destinationCommitmentHash'])
    return { digest: planCommitmentHash(input), stated: undefined }
  }
  const { migrationTransactionPlan: plan } = request
  if (plan === undefined) throw new MalformedBody('request', 'has no migrationTransactionPlan')
  const input = planCommitmentInput(request, plan)
  requireHex(input, ['reserve', 'activeOutpointTxid', 'destinationCommitmentHash'])
  return { digest: planCommitmentHash(input), stated: plan.planCommitmentHash }
}

/** Where a request keeps the destination of an action, and the hashed fields that only this one has. */
const destinations = {
  MIGRATION: { field: 'migrationDestination', own: ['depositScriptHash', 'migrationExtraData'] },
  REDEEM: { field: 'redeemDestination', own: ['outputScriptHash', 'outputValueSats'] },
  RENEW: {
    field: 'renewDestination',
    own: ['nextCovenantScriptHash', 'nextMaturityHeight', 'outputValueSats'],
  },
} as const satisfies Readonly<Record<Action, unknown>>
const identityFields = ['reserve', 'epoch', 'route', 'revealer', 'vault', 'network']

function digestDestination(json: JsonObject, request: Request | undefined): Digested {
  const action = request === undefined ? json.route : actionOf(request)
  if (action !== 'MIGRATION' && action !== 'REDEEM' && action !== 'RENEW') {
    const name = request === undefined ? 'route' : 'request.action'
    throw new MalformedBody(name, 'is not MIGRATION, REDEEM or RENEW')
  }
  const { field, own } = destinations[action]
  if (request === undefined) requireFields(json, [...identityFields, ...own])
  const holder = request ?? requestKind.decode({ [field]: json }, '', {})
  const destination = holder[field]
  if (destination === undefined) throw new MalformedBody('request', `has no ${field}`)
  if (destination.route !== action) throw new MalformedBody(`${field}.route`, `is not ${action}`)
  const scripts = own.filter((name) => name.endsWith('Hash') || name.endsWith('Data'))
  requireHex(destination, ['reserve', 'revealer', 'vault', ...scripts])
  const input: DestinationCommitmentInput = destination
  return {
    digest: destinationCommitmentHash(input),
    stated: destination.destinationCommitmentHash,
  }
}

function objectIn(json: Json | undefined, name: string): JsonObject {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new MalformedBody(name === 'body' ? '' : name, 'is not an object')
  }
  // Array.isArray does not narrow readonly arrays away.
  return json as JsonObject
}

function requireFields(json: JsonObject, names: readonly string[]): void {
  const missing = names.filter((name) => !Object.hasOwn(json, name) || json[name] === null)
  if (missing.length > 0) throw new MalformedBody('', `lacks ${missing.join(', ')}`)
}

function requireHex(holder: Readonly<Record<string, unknown>>, names: readonly string[]): void {
  for (const name of names) {
    const value = holder[name]
    if (typeof value === 'string' && /^0x(?:[0-9a-f]{2})+$/i.test(value)) continue
    throw new MalformedBody(name, 'is not 0x and hex digits')
  }
}

/** A file is not what a digest of this kind is made of. */
export class DigestInputInvalid extends HoldfastError {
  readonly code = 'DigestInputInvalid'
  constructor(problem: string, kind: DigestKind, cause: unknown) {
    super(`digest input: ${problem}, want ${wanted[kind]}`, {
      retry: 'after-fix',
      remedy: 'Correct the file, or choose the --kind that it is.',
      cause,
    })
  }
}
