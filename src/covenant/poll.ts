import { JobNotFound, KeyFenced, requireFound, requireTimely } from './answer.js'
import { requestDigest } from './digest.js'
import { type HeightGuard, heightForCertificate } from './height.js'
import { identityOf } from './identity.js'
import { InvalidInput } from './invalid-input.js'
import {
  isFinal,
  type Job,
  parseRequestId,
  type RequestId,
  type StepResult,
  stepResult,
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
  const { guard, domain } = deps
  const hostHeight = await heightForCertificate(guard, input.request.signerApproval, signal)
  const requestId = readRequestId(input.requestId)
  const found = await findOrHeal(deps, input, route, requestId)
  const depositorEthAddress = pinnedDepositor(found, input, route)
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

/**
 * The job of an id.
 *
 * @throws KeyFenced before any rule is applied: what the approvals must verify against is in the closed record
 */
async function findOrHeal(
  deps: PollDeps,
  input: PollInput,
  route: Route,
  requestId: RequestId | undefined,
): Promise<FindOutcome> {
  if (requestId === undefined) return { kind: 'absent' }
  const found = await deps.store.find(requestId)
  const fence = found.kind === 'absent' ? await fenceOfKey(deps.store, input, route) : found
  if (fence.kind !== 'fenced') return found
  const healed = await heal(deps, input, route, requestId)
  if (healed?.requestId !== requestId) throw new KeyFenced(fence.fence)
  return { kind: 'found', job: healed }
}

/** An id that is unknown may be one whose record was lost so thoroughly that only its key is still closed. */
async function fenceOfKey(
  store: JobStore,
  { routeRequestId }: PollInput,
  route: Route,
): Promise<{ readonly kind: 'fenced'; readonly fence: Fence } | { readonly kind: 'open' }> {
  const holder = await store.findByRoute(route, routeRequestId)
  return holder.kind === 'fenced' ? holder : { kind: 'open' }
}

/** Gives the store the request, so that it can rebuild a lost row whose line has the same digest. */
async function heal(
  deps: PollDeps,
  { routeRequestId, request }: PollInput,
  route: Route,
  requestId: RequestId,
): Promise<Job | undefined> {
  const healing = { requestId, route, routeRequestId, depositorEthAddress: '' }
  try {
    const normalized = normalizeRequest(request)
    return await deps.store.heal(
      identityOf({ ...healing, request: normalized, nowMs: deps.nowMs() }),
    )
  } catch (error) {
    // A request without a proper outpoint was never accepted, so it heals nothing.
    if (error instanceof RangeError) return undefined
    throw error
  }
}

/** The address that was pinned when the job was accepted; none for a job that is not the one asked for. */
function pinnedDepositor(
  found: FindOutcome,
  { routeRequestId }: PollInput,
  route: Route,
): string | undefined {
  if (found.kind !== 'found') return undefined
  const { job } = found
  if (job.route !== route || job.routeRequestId !== routeRequestId) return undefined
  return job.depositorEthAddress === '' ? undefined : job.depositorEthAddress
}
