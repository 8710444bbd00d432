import type { Logger } from '../base/log.js'
import { decodeIssue, decodePoll, decodeSubmit } from '../covenant/index.js'
import type { BearerCheck } from './bearer.js'
import type { Buckets } from './buckets.js'
import { findPlace, type Place, readPath, type WirePath } from './compatible-places.js'
import type { CompatibleService } from './compatible-service.js'
import {
  type Answer,
  cannotIssue,
  health,
  idMismatch,
  jsonAnswer,
  malformedBody,
  notFound,
  protocolAnswer,
  rateLimited,
  unauthorized,
  wrongMethod,
} from './wire-answer.js'
import { answerForError, describeError } from './wire-errors.js'
import { signerApprovalJson, stepResultJson } from './wire-json.js'

/** One request, its body not yet read. */
export type Call = {
  readonly method: string
  readonly target: string
  readonly authorization: string | undefined
  /** Undefined for a body that is too long or does not come whole. */
  readonly readBody: () => Promise<Uint8Array | undefined>
  /** Fires when the client is gone before it was answered. */
  readonly gone: AbortSignal
}

export type CallDeps = {
  readonly service: CompatibleService
  readonly client: BearerCheck
  readonly admin: BearerCheck
  readonly buckets: Buckets
  readonly enableSelfV1: boolean
  /** Runs a submit or an issue under the service's signal and the work limit. */
  readonly underWorkLimit: <T>(work: (signal: AbortSignal) => Promise<T>) => Promise<T>
  readonly log: Logger
}

/**
 * Answers one request; never rejects.
 *
 * The order is the contract: health, credential, place, token of the bucket, body, id, service.
 */
export async function answerCall(deps: CallDeps, call: Call): Promise<Answer> {
  const path = readPath(call.target)
  if (path === undefined) return protocolAnswer(400, 'Bad Request')
  if (call.method === 'GET' && path.text === '/healthz') return health
  const refusal = refuseCredential(deps, path, call.authorization)
  if (refusal !== undefined) return refusal
  const place = findPlace(call.method, path, deps.enableSelfV1)
  switch (place.kind) {
    case 'health':
      return health
    case 'notFound':
      return notFound
    case 'wrongMethod':
      return wrongMethod(place.allow, place.message)
    case 'submit':
    case 'issue':
      return deps.buckets.submit.take() ? serve(deps, call, place) : rateLimited
    case 'poll':
      return deps.buckets.poll.take() ? serve(deps, call, place) : rateLimited
    case 'pollPath':
      if (!deps.buckets.poll.take()) return rateLimited
      return place.requestId === undefined ? notFound : serve(deps, call, place)
  }
}

function refuseCredential(
  { client, admin }: CallDeps,
  { text }: WirePath,
  authorization: string | undefined,
): Answer | undefined {
  const check = text.startsWith('/v1/admin/') ? admin : client
  const credential = check(authorization)
  return credential === 'good' ? undefined : unauthorized(`${credential} bearer token`)
}

type Served = Extract<Place, { readonly kind: 'submit' | 'poll' | 'pollPath' | 'issue' }>

/** Reads the body and asks the service; what it throws becomes an answer, and a line of the log where it must. */
async function serve(deps: CallDeps, call: Call, place: Served): Promise<Answer> {
  const body = await call.readBody()
  if (body === undefined) return malformedBody
  try {
    return await ask(deps, call, place, body)
  } catch (error) {
    const { answer, log } = answerForError(error)
    // Nobody is there to be told that the client left.
    if (log && !call.gone.aborted) {
      const fields = { call: place.kind, status: answer.status, cause: describeError(error) }
      deps.log.warn(fields, 'covenant signer request failed')
    }
    return answer
  }
}

async function ask(
  { service, underWorkLimit }: CallDeps,
  { gone }: Call,
  place: Served,
  body: Uint8Array,
): Promise<Answer> {
  switch (place.kind) {
    case 'submit': {
      const input = decodeSubmit(body)
      const { route } = place
      const result = await underWorkLimit((signal) => service.submit(input, route, signal))
      return jsonAnswer(stepResultJson(result))
    }
    case 'poll':
      return jsonAnswer(stepResultJson(await service.poll(decodePoll(body), place.route, gone)))
    case 'pollPath': {
      const { requestId: inBody, ...input } = decodePoll(body)
      const requestId = place.requestId ?? ''
      if (inBody !== '' && inBody !== requestId) return idMismatch
      const result = await service.poll({ ...input, requestId }, place.route, gone)
      return jsonAnswer(stepResultJson(result))
    }
    default: {
      const input = decodeIssue(body)
      const { issue } = service
      if (issue === undefined) return cannotIssue
      const certificate = await underWorkLimit((signal) => issue.call(service, input, signal))
      return jsonAnswer(signerApprovalJson(certificate))
    }
  }
}
