import { toHex } from '../base/bytes.js'
import type { Clock } from '../base/clock.js'
import { unreachable } from '../base/errors.js'
import type { Logger } from '../base/log.js'
import type { Backoff } from './backoff.js'
import { isFinal, type Job, timestamp } from './job.js'
import type { ProgressBoard } from './progress.js'
import { type Ending, type RunDeps, type RunFaultPoint, runJob } from './run.js'
import { deadline, endsWithin, sleep } from './schedule.js'
import type { Claim, SettleOutcome } from './store.js'

export type RunnerDeps = RunDeps & {
  readonly board: ProgressBoard
  readonly backoff: Backoff
  readonly clock: Clock
  readonly log: Logger
  readonly random: (sizeBytes: number) => Uint8Array
  readonly inFlightMax: number
  readonly attemptMs: number
  readonly stopMs: number
  readonly retryMinMs: number
  readonly retryMaxMs: number
}

/** Claims jobs that are due, tries each, and records how the try ended. */
export interface Runner {
  /** Begins when the store has compared its witnesses. */
  start(): void
  /**
   * Claims nothing more and ends what is easily begun again; a signature that was asked for may end.
   *
   * @remarks Resolves within `stopMs` and a second, whatever an engine or a signer does.
   */
  stop(): Promise<void>
  readonly inFlight: number
}

/** After a hard end the last writes may still take this long, in milliseconds. */
const lastWritesMs = 1000
/** How long the runner waits before it claims again when claiming failed or found nothing, in milliseconds. */
const claimAgainMs = 1000

/** Makes the one runner of a service. */
export function createRunner(deps: RunnerDeps): Runner {
  const { store, clock, log, scheduler } = deps
  const owner = `runner-${toHex(deps.random(8))}`
  const soon = new AbortController()
  const last = new AbortController()
  const running = new Set<Promise<void>>()
  let cancelTimer = (): void => undefined
  let stopListening = (): void => undefined
  let state: 'idle' | 'started' | 'stopped' = 'idle'
  let claiming: Promise<void> = Promise.resolve()
  let isClaiming = false
  let isAskedAgain = false

  /** Claims as long as there is room and something due, then sleeps until the next job is due. */
  async function claimDue(): Promise<void> {
    isAskedAgain = true
    if (isClaiming || state !== 'started') return
    isClaiming = true
    cancelTimer()
    try {
      while (isAskedAgain && state === 'started') {
        isAskedAgain = false
        const room = deps.inFlightMax - running.size
        if (room <= 0) break
        const claims = await store.claim(owner, clock.nowMs(), room)
        for (const claim of claims) begin(claim)
      }
      sleepUntilDue()
    } catch (cause) {
      log.warn({ cause }, 'covenant runner: jobs could not be claimed; it tries again')
      arm(claimAgainMs)
    } finally {
      isClaiming = false
    }
  }

  /** Not at once: the store may be in the middle of what made the job due. */
  const wake = (): void => {
    claiming = Promise.all([claiming, Promise.resolve().then(claimDue)]).then(() => undefined)
  }

  function arm(delayMs: number): void {
    cancelTimer()
    if (state === 'started') cancelTimer = scheduler.after(delayMs, wake)
  }

  function sleepUntilDue(): void {
    const dueMs = store.nextDueMs()
    // Without room the next ending wakes the runner.
    if (dueMs === undefined || running.size >= deps.inFlightMax) return
    const waitMs = dueMs - clock.nowMs()
    arm(waitMs > 0 ? waitMs : claimAgainMs)
  }

  function begin(claim: Claim): void {
    const attempt: Promise<void> = runAndRecord(deps, claim, soon.signal, last.signal).finally(
      () => {
        running.delete(attempt)
        wake()
      },
    )
    running.add(attempt)
  }

  async function startWhenReady(): Promise<void> {
    try {
      await store.ready(soon.signal)
    } catch (cause) {
      if (state === 'stopped') return
      // New keys are refused, for a reason that readiness tells; jobs that were accepted go on.
      log.warn({ cause }, 'covenant runner: the store takes no new keys')
    }
    if (state === 'stopped') return
    stopListening = store.onDue(wake)
    wake()
  }

  async function stop(): Promise<void> {
    state = 'stopped'
    stopListening()
    cancelTimer()
    soon.abort(new RangeError('covenant runner: it is stopped'))
    // A claim on its way may still begin jobs, only to put them back.
    const drained = claiming.then(() => Promise.allSettled(running))
    if (await endsWithin(scheduler, [drained], deps.stopMs)) return
    log.warn({ inFlight: running.size }, 'covenant runner: work in flight is abandoned')
    last.abort(new RangeError('covenant runner: it is stopped'))
    await endsWithin(scheduler, running, lastWritesMs)
  }

  let stopping: Promise<void> | undefined
  return {
    start() {
      if (state !== 'idle') return
      state = 'started'
      void startWhenReady()
    },
    stop() {
      stopping ??= stop()
      return stopping
    },
    get inFlight() {
      return running.size
    },
  }
}

/** One try of one job, from its claim to what is recorded of it. Never rejects. */
async function runAndRecord(
  deps: RunnerDeps,
  claim: Claim,
  stopSoon: AbortSignal,
  stopLast: AbortSignal,
): Promise<void> {
  const soon = deadline(deps.scheduler, deps.attemptMs, [stopSoon])
  const last = deadline(deps.scheduler, deps.attemptMs, [stopLast])
  const ending = await runJob(deps, claim, { soon: soon.signal, last: last.signal })
  soon.end()
  last.end()
  logEnding(deps, claim, ending)
  const job = ending.kind === 'stale' ? undefined : await record(deps, claim, ending, stopSoon)
  if (job !== undefined && isFinal(job.state)) {
    deps.backoff.forget(job.requestId)
    deps.lapses.forget(job.requestId)
  }
  deps.board.announce(claim.job.requestId, job)
}

/**
 * Records how a try ended, again and again until the store takes it: a lease that nobody ends would leave the job to
 * nobody until the next start.
 *
 * @returns the job as it was recorded; undefined when somebody else holds it, or when the service was stopped first
 */
async function record(
  deps: RunnerDeps,
  claim: Claim,
  ending: Exclude<Ending, { kind: 'stale' }>,
  stop: AbortSignal,
): Promise<Job | undefined> {
  const { log, scheduler } = deps
  const { requestId } = claim.job
  const write =
    ending.kind === 'settle' ? settling(deps, claim, ending) : deferring(deps, claim, ending, stop)
  for (let delayMs = deps.retryMinMs; ; delayMs = Math.min(2 * delayMs, deps.retryMaxMs)) {
    try {
      const outcome = await write()
      if (outcome.kind === 'settled') return outcome.job
      log.warn({ requestId }, 'covenant job: the lease was void, nothing was recorded')
      return undefined
    } catch (cause) {
      log.warn({ requestId, cause }, 'covenant job: how a try ended could not be recorded')
    }
    // A stopped service leaves the job as it stands; the next start picks it up.
    if (stop.aborted) return undefined
    await sleep(scheduler, delayMs, [stop])
  }
}

type Write = () => Promise<SettleOutcome>

function settling(
  { store, faults, clock }: RunnerDeps,
  { lease }: Claim,
  { transition, releaseIntent }: Extract<Ending, { kind: 'settle' }>,
): Write {
  const at = timestamp(clock.nowMs())
  return async () => {
    await faults.pause('run.settle.before' satisfies RunFaultPoint)
    const outcome = await store.settle(lease, transition, { releaseIntent, at })
    await faults.pause('run.settle.after' satisfies RunFaultPoint)
    return outcome
  }
}

/** A job whose try was cut short by the end of the service goes back as it was, due at once. */
function deferring(
  { store, faults, clock, backoff }: RunnerDeps,
  { job, lease }: Claim,
  { step, detail }: Extract<Ending, { kind: 'defer' }>,
  stop: AbortSignal,
): Write {
  const nowMs = clock.nowMs()
  const at = timestamp(nowMs)
  const wait = stop.aborted
    ? { detail: job.detail, attempts: job.attempts, nextAtMs: nowMs, at }
    : {
        detail,
        attempts: job.attempts + 1,
        nextAtMs: nowMs + backoff.nextDelayMs(job.requestId, step),
        at,
      }
  return async () => {
    await faults.pause('run.defer.before' satisfies RunFaultPoint)
    return store.defer(lease, wait)
  }
}

function logEnding({ log }: RunnerDeps, { job }: Claim, ending: Ending): void {
  const { requestId } = job
  switch (ending.kind) {
    case 'settle': {
      const { state, reason } = ending.transition
      log.info({ requestId, state, reason }, 'covenant job: it has come to its end')
      return
    }
    case 'defer': {
      const { step, detail, cause } = ending
      log.warn({ requestId, step, detail, cause }, 'covenant job: it has to wait')
      return
    }
    case 'stale':
      log.warn({ requestId }, 'covenant job: somebody else holds it now')
      return
    default:
      unreachable(ending)
  }
}
