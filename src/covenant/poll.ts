import { answerFor, JobNotFound, KeyFenced, requireFound, requireTimely } from './answer.js'
import { requestDigest } from './digest.js'
import { type HeightGuard, heightForCertificate } from './height.js'
import { InvalidInput } from './invalid-input.js'
import {
  isFinal,
  type Job,
  outpointOf,
  parseRequestId,
  type RequestId,
  type StepResult,
  stepResult,
  timestamp,
  walletKeyOf,
} from './job.js'
import { normalizeRequest } from './normalize.js'
import type { ApprovalDomain, PollInput, Route } from './request.js'
import type { Fence, FindOutcome, JobStore } from './store.js'
import { validatePoll } from './validate.js'

export type PollDeps = {
  readonly store: JobStore
  readonly guard: HeightGuard
  readonly domain: ApprovalDomain
  readonly nowMs: () => number
  /** Brings a waiting job's next try forward. */
  readonly nudge: (requestId: RequestId) => void
}

/**
 * Answers with the job that a request was accepted as, at once, and lets the runner try it again soon.
 *
 * @remarks Depends on no policy that may have changed since: no trust roots, no verifier, no quote signature. Only the
 * approval domain and the certificate's end still count.
 * @throws InvalidInput, HostHeightUnavailable, JobNotFound, KeyFenced, StoreFailed, Aborted
 */
export async function pollCovenant(
  deps: PollDeps,
  input: PollInput,
  route: Route,
  signal: AbortSignal,
): Promise<StepResult> {
  const { store, guard, domain } = deps
  const hostHeight = await heightForCertificate(guard, input.request.signerApproval, signal)
  const requestId = readRequestId(input.requestId)
  const found = await findOrHeal(deps, input, route, requestId)
  const depositorEthAddress = pinnedAddress(found, input, route)
  validatePoll(input, route, { domain, hostHeight, depositorEthAddress })
  const job = requireFound(found)
  if (job.route !== route) throw new JobNotFound()
  if (job.routeRequestId !== input.routeRequestId) {
    throw new InvalidInput('routeRequestId does not match stored job')
  }
  // That this job holds its key needs no look: the store has one job for a key.
  await requireTimely(guard, job.request.signerApproval, signal)
  if (requestDigest(input.request) !== job.requestDigest) {
    throw new InvalidInput('request does not match stored job payload')
  }
  if (!isFinal(job.state)) deps.nudge(job.requestId)
  return stepResult(job)
}

/** Undefined for a text that cannot be a request id, which is an id that nobody has. */
function readRequestId(text: string): RequestId | undefined {
  try {
    return parseRequestId(text)
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}
