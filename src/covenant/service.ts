import { randomBytes } from 'node:crypto'
import { neverAborted } from '../base/abort.js'
import { type Clock, systemClock } from '../base/clock.js'
import { Aborted, HoldfastError } from '../base/errors.js'
import { type FaultPoints, noFaults } from '../base/fault-points.js'
import { type Logger, silent } from '../base/log.js'
import { createBackoff, forgetOldest } from './backoff.js'
import type { Engine } from './engine.js'
import { createHeightGuard } from './height.js'
import { issueCertificate } from './issue.js'
import type { RequestId, StepResult } from './job.js'
import { createLapseWatch } from './lapse.js'
import { pollCovenant } from './poll.js'
import { createProgressBoard } from './progress.js'
import type {
  ApprovalDomain,
  IssueInput,
  PollInput,
  Route,
  SignerApproval,
  SubmitInput,
} from './request.js'
import { createRunner } from './runner.js'
import { deadline, endsWithin, type Scheduler, systemScheduler } from './schedule.js'
import { type CovenantSettings, readSettings } from './settings.js'
import type { Signer } from './signer.js'
import type { CertificateNote, JobStore, Operator, StoreReadiness } from './store.js'
import { submitCovenant } from './submit.js'
import type { TrustRoots } from './trust.js'
import { createWalletLocks } from './wallet-lock.js'

export type CovenantServiceDeps = {
  /** Stays the caller's: close it after `stop`. */
  readonly store: JobStore
  readonly engine: Engine
  readonly signer: Signer
  readonly trustRoots: TrustRoots
  readonly domain: ApprovalDomain
  readonly clock?: Clock
  readonly scheduler?: Scheduler
  /** Secure random bytes. Default: the system's. */
  readonly random?: (sizeBytes: number) => Uint8Array
  readonly faults?: FaultPoints
  readonly log?: Logger
  readonly settings?: Partial<CovenantSettings>
}

/** What the service is doing, for operators. */
export type CovenantStatus = {
  readonly state: 'idle' | 'running' | 'stopping' | 'stopped'
  /** Jobs that the runner is trying now. */
  readonly inFlight: number
  /** Wallets that are being signed with or waited for. */
  readonly walletsHeld: number
  /** Submits that have not been answered. */
  readonly waitingSubmits: number
  /** Highest host-chain height that was ever relied on. */
  readonly hostHeight: bigint | undefined
  readonly nextDueMs: number | undefined
  readonly store: StoreReadiness
}

/** Accepts covenant signing requests, has them signed, and says how far they are. */
export interface CovenantService {
  /**
   * Takes a request once; the same request again is answered with the same job.
   *
   * @param route the route of the path that was called.
   * @param signal ends the wait for the runner, never the job; the answer is then the job as it stands.
   * @throws InvalidInput (400), KeyFenced (503), and HostHeightUnavailable, StoreNotReady, StoreFailed,
   * CovenantServiceStopped or what the engine's verifier throws (500)
   */
  submit(input: SubmitInput, route: Route, signal?: AbortSignal): Promise<StepResult>
  /**
   * Says how far an accepted request is, and lets the runner try it again soon.
   *
   * @throws InvalidInput (400), JobNotFound (404), KeyFenced (503), and HostHeightUnavailable, StoreFailed,
   * CovenantServiceStopped, Aborted (500)
   */
  poll(input: PollInput, route: Route, signal?: AbortSignal): Promise<StepResult>
  /**
   * Has a wallet sign a signer approval certificate; absent when the engine cannot.
   *
   * @throws InvalidInput (400), IssuerBusy (503), and CovenantServiceStopped, HostHeightUnavailable, StoreFailed or what
   * engine and signer throw (500)
   */
  readonly issue?: (input: IssueInput, signal?: AbortSignal) => Promise<SignerApproval>
  /** Lets the runner claim jobs, as soon as the store has compared its witnesses. */
  start(): void
  /**
   * Ends waits and tries; a signature that was asked for may end. Afterwards every call is refused.
   *
   * @remarks Resolves within `stopMs` and a second. A job that did not come to its end is picked up at the next start.
   */
  stop(): Promise<void>
  /** Makes a waiting job due now, at most once a second. */
  nudge(requestId: RequestId): void
  status(): CovenantStatus
}

/**
 * Opens the covenant service over a store, an engine and a signer. Nothing runs before `start`.
 *
 * @throws RangeError for settings out of their bounds
 */
export function openCovenantService(deps: CovenantServiceDeps): CovenantService {
  const { store, engine, signer, trustRoots, domain } = deps
  const { clock = systemClock, scheduler = systemScheduler, random = randomBytes } = deps
  const { faults = noFaults, log = silent } = deps
  const settings = readSettings(deps.settings ?? {})
  const board = createProgressBoard()
  const locks = createWalletLocks()
  const guard = createHeightGuard({ heights: engine.heights, store, clock })
  const nowMs = (): number => clock.nowMs()
  const runner = createRunner({
    ...{ store, engine, signer, guard, locks, faults, scheduler, board, clock, log, random },
    ...settings,
    lapses: createLapseWatch(guard),
    backoff: createBackoff({ ...settings, random }),
  })
  const nudge = createNudge(store, nowMs, settings.nudgeEveryMs)
  const submitDeps = {
    ...{ store, engine, guard, board, scheduler, trustRoots, domain, nowMs, random },
    submitWaitMs: settings.submitWaitMs,
  }
  const pollDeps = { store, guard, domain, nowMs, nudge }
  const stopped = new AbortController()
  const calls = new Set<Promise<unknown>>()
  let state: CovenantStatus['state'] = 'idle'

  /** Runs a call until it ends, its client leaves, its time is over or the service stops. */
  async function call<T>(
    parents: readonly AbortSignal[],
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    if (stopped.signal.aborted) throw new CovenantServiceStopped()
    const limit = deadline(scheduler, settings.callMs, [stopped.signal, ...parents])
    const answering = work(limit.signal)
    calls.add(answering)
    try {
      return await answering
    } catch (cause) {
      throw stopped.signal.aborted && cause instanceof Aborted
        ? new CovenantServiceStopped(cause)
        : cause
    } finally {
      limit.end()
      calls.delete(answering)
    }
  }

  async function stop(): Promise<void> {
    state = 'stopping'
    stopped.abort(new RangeError('covenant service: it is stopped'))
    const answered = endsWithin(scheduler, [...calls], settings.stopMs)
    await runner.stop()
    await answered
    state = 'stopped'
  }

  const { issueSignerApprovalCertificate } = engine
  const issueDeps = issueSignerApprovalCertificate && {
    ...{ engine: { issueSignerApprovalCertificate }, guard, locks, scheduler, trustRoots, domain },
    record: (note: CertificateNote) => store.recordCertificate(note, certificateRoute),
    walletWaitMs: issueWaitMs,
  }
  let stopping: Promise<void> | undefined
  return {
    ...(issueDeps && {
      issue: (input: IssueInput, signal = neverAborted) =>
        call([signal], (work) => issueCertificate(issueDeps, input, work)),
    }),
    submit: (input, route, signal = neverAborted) =>
      call([], (work) => submitCovenant(submitDeps, input, route, { work, wait: signal })),
    poll: (input, route, signal = neverAborted) =>
      call([signal], (work) => pollCovenant(pollDeps, input, route, work)),
    start() {
      if (state !== 'idle') return
      state = 'running'
      runner.start()
    },
    stop() {
      stopping ??= stop()
      return stopping
    },
    nudge,
    status: () => ({
      state,
      inFlight: runner.inFlight,
      walletsHeld: locks.size,
      waitingSubmits: board.size,
      hostHeight: store.hostHeight(),
      nextDueMs: store.nextDueMs(),
      store: store.readiness(),
    }),
  }
}

/** A call for a certificate is sent away after so long, in milliseconds; it says itself when to come back. */
const issueWaitMs = 5000

/** Who a certificate is signed for, in the audit trail. */
const certificateRoute: Operator = {
  who: 'certificate route',
  why: 'a client with the admin token asked for a signer approval certificate',
}

/** Brings jobs forward, each at most once in `everyMs`. */
function createNudge(
  store: JobStore,
  nowMs: () => number,
  everyMs: number,
): (requestId: RequestId) => void {
  const nudgedAtMs = new Map<RequestId, number>()
  return (requestId) => {
    const now = nowMs()
    const before = nudgedAtMs.get(requestId)
    if (before !== undefined && now - before < everyMs) return
    nudgedAtMs.delete(requestId)
    forgetOldest(nudgedAtMs)
    nudgedAtMs.set(requestId, now)
    store.nudge(requestId, now)
  }
}

/** The service has been stopped or is being stopped; a job that exists is picked up at the next start. */
export class CovenantServiceStopped extends HoldfastError {
  readonly code = 'CovenantServiceStopped'
  constructor(cause?: unknown) {
    super('covenant service: it is stopped', {
      retry: 'safe',
      remedy: 'Send the same request again when the service runs.',
      cause,
    })
  }
}
