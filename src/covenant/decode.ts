import type { Kind } from './field-kinds.js'
import { parseJsonBody } from './json-body.js'
import type { IssueInput, PollInput, Request, SubmitInput } from './request.js'
import { issueBody, pollBody, request, submitBody } from './request-fields.js'

/**
 * Decodes the body of a submit; no rule of validation is applied.
 *
 * @remarks Keys must be spelled exactly, and neither unknown keys (but in `artifacts`) nor repeated keys
 * are accepted at any depth. Null stands for an absent field. Integers keep all 64 bits. A
 * `scriptTemplate` that does not fit the request's route is not refused here but kept as invalid, since
 * validation has a text of its own for it.
 * @throws MalformedBody
 */
export function decodeSubmit(body: Uint8Array): SubmitInput {
  return decodeBody(submitBody, body)
}

/** Decodes the body of a poll; as `decodeSubmit`. @throws MalformedBody */
export function decodePoll(body: Uint8Array): PollInput {
  return decodeBody(pollBody, body)
}

/** Decodes the body of a call for a signer approval certificate. @throws MalformedBody */
export function decodeIssue(body: Uint8Array): IssueInput {
  return decodeBody(issueBody, body)
}

/** Decodes one request alone, such as the canonical text that a job keeps. @throws MalformedBody */
export function decodeRequest(body: Uint8Array): Request {
  return decodeBody(request, body)
}

function decodeBody<Input>(kind: Kind<Input>, body: Uint8Array): Input {
  return kind.decode(parseJsonBody(body), '', {})
}
