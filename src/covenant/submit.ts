import { unreachable } from '../base/errors.js'
import { answerFor, KeyFenced, requireFound, requireTimely } from './answer.js'
import type { Engine } from './engine.js'
import { type HeightGuard, heightForCertificate } from './height.js'
import { identityOf } from './identity.js'
import { InvalidInput } from './invalid-input.js'
import { type Job, type JobIdentity, requestIdOf, type StepResult } from './job.js'
import { normalizeRequest } from './normalize.js'
import type { ProgressBoard, Watch } from './progress.js'
import type { ApprovalDomain, Request, Route, SubmitInput } from './request.js'
import { deadline, type Scheduler, within } from './schedule.js'
import type { JobStore } from './store.js'
import { findDepositorRoot, scopeOf, type TrustRoots } from './trust.js'
import { validateSubmit } from './validate.js'

export type SubmitDeps = {
  readonly store: JobStore
  readonly engine: Pick<Engine, 'verifySignerApproval'>
  readonly guard: HeightGuard
  readonly board: ProgressBoard
  readonly scheduler: Scheduler
  readonly trustRoots: TrustRoots
  readonly domain: ApprovalDomain
  readonly nowMs: () => number
  readonly random: (sizeBytes: number) => Uint8Array
  readonly submitWaitMs: number
}

/** Whose patience ends what: the service's stops the work, the client's only the wait for the runner. */
export type SubmitSignals = { readonly work: AbortSignal; readonly wait: AbortSignal }

/**
 * Takes a request once and answers with its job as it stands.
 *
 * Reads top to bottom as the protocol: judge, accept durably, wait for the runner, answer. Only the submit that
 * created the job waits; the same request again is answered at once.
 *
 * @throws InvalidInput, HostHeightUnavailable, KeyFenced, JobNotFound, StoreNotReady, StoreFailed, Aborted
 */
export async function submitCovenant(
  deps: SubmitDeps,
  input: SubmitInput,
  route: Route,
  signals: SubmitSignals,
): Promise<StepResult> {
  const { store, guard, board } = deps
  const identity = await judge(deps, input, route, signals.work)
  // From before the job exists, so that no news of it can be missed.
  const watch = board.watch(identity.requestId)
  try {
    const accepted = await store.accept(identity)
    switch (accepted.kind) {
      case 'accepted': {
        const job = await waitForRunner(deps, accepted.job, watch, signals)
        return await answerFor(guard, job, signals.work)
      }
      case 'existing':
        return await answerFor(guard, accepted.job, signals.work)
      case 'payloadMismatch':
        throw new InvalidInput('routeRequestId already exists with a different request payload')
      case 'fenced':
        throw new KeyFenced(accepted.fence)
      default:
        return unreachable(accepted)
    }
  } finally {
    watch.end()
  }
}

/** Step 0 and every rule, the verifier's verdict on the normalised request, and the certificate once more. */
async function judge(
  deps: SubmitDeps,
  input: SubmitInput,
  route: Route,
  signal: AbortSignal,
): Promise<JobIdentity> {
  const { engine, guard, trustRoots, domain } = deps
  const { signerApproval } = input.request
  const hostHeight = await heightForCertificate(guard, signerApproval, signal)
  const verifiesCertificates = engine.verifySignerApproval !== undefined
  const nowMs = deps.nowMs()
  validateSubmit(input, route, { trustRoots, domain, verifiesCertificates, hostHeight, nowMs })
  const request = normalizeRequest(input.request)
  if (signerApproval !== undefined) {
    const verdict = engine.verifySignerApproval?.(request, signal)
    if (verdict !== undefined) await within(verdict, signal, 'certificate')
    // The verifier may have taken its time.
    await requireTimely(guard, signerApproval, signal)
  }
  return identityOf({
    requestId: requestIdOf(route, deps.random(8)),
    route,
    routeRequestId: input.routeRequestId,
    depositorEthAddress: pinnedDepositor(trustRoots, route, request),
    request,
    nowMs,
  })
}

/** The address that is pinned for the request's scope today; polls will hold the request against it for ever. */
function pinnedDepositor(roots: TrustRoots, route: Route, request: Request): string {
  const { migrationDestination, redeemDestination, renewDestination } = request
  const destination = migrationDestination ?? redeemDestination ?? renewDestination
  if (destination === undefined) return ''
  const scope = scopeOf(route, request.reserve, destination.network)
  return findDepositorRoot(roots, scope)?.ethAddress ?? ''
}

/** The job when the runner has settled or deferred it, or as it stands when nobody waits any longer. */
async function waitForRunner(
  deps: SubmitDeps,
  accepted: Job,
  watch: Watch,
  signals: SubmitSignals,
): Promise<Job> {
  const { store, scheduler, submitWaitMs } = deps
  if (submitWaitMs === 0) return accepted
  const limit = deadline(scheduler, submitWaitMs, [signals.work, signals.wait])
  const moved = await watch.until(limit.signal).finally(limit.end)
  return moved ?? requireFound(await store.find(accepted.requestId))
}
