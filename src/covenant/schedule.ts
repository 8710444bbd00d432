import { forgetOldest } from './lapse.js'
import type { RequestId } from './job.js'

/** Where timers come from; tests hand in their own, so that nothing has to sleep. */
export interface Scheduler {
  /** Calls `run` once, `delayMs` from now. Returns how to cancel it. */
  after(delayMs: number, run: () => void): () => void
}

/** The longest delay that a timer of the runtime takes, in milliseconds. */
const timerMsMax = 2 ** 31 - 1

/** Timers of the runtime; a longer delay than they take is cut short. */
export const systemScheduler: Scheduler = {
  after(delayMs, run) {
    const timer = setTimeout(run, Math.min(delayMs, timerMsMax))
    return () => clearTimeout(timer)
  },
}

/** A signal that fires with the first of its parents, or when its time is over. */
export type Deadline = {
  readonly signal: AbortSignal
  /** True when it was the time that ended it. */
  readonly expired: () => boolean
  /** Lets go of parents and timer. */
  readonly end: () => void
}

/** @param limitMs milliseconds from now */
export function deadline(
  scheduler: Scheduler,
  limitMs: number,
  parents: readonly AbortSignal[],
): Deadline {
  const own = new AbortController()
  let isOver = false
  const cancel = scheduler.after(limitMs, () => {
    isOver = true
    own.abort(new RangeError(`time limit: ${limitMs} ms are over`))
  })
  const links = parents.map((parent) => {
    const follow = (): void => own.abort(parent.reason)
    if (parent.aborted) follow()
    else parent.addEventListener('abort', follow, { once: true })
    return () => parent.removeEventListener('abort', follow)
  })
  return {
    signal: own.signal,
    expired: () => isOver,
    end() {
      cancel()
      for (const unlink of links) unlink()
    },
  }
}

/** How long a job waits after each try that did not end it. */
export interface Backoff {
  /**
   * Counts a try that ended at a step.
   *
   * @returns milliseconds to wait: doubling from the smallest to the largest, with up to half taken off at random
   * @remarks Begins anew when the job ends at another step than before, and with every process.
   */
  nextDelayMs(requestId: RequestId, step: string): number
  forget(requestId: RequestId): void
}

export function createBackoff(settings: {
  readonly retryMinMs: number
  readonly retryMaxMs: number
  readonly random: (sizeBytes: number) => Uint8Array
}): Backoff {
  const tries = new Map<RequestId, { readonly step: string; readonly count: number }>()
  return {
    nextDelayMs(requestId, step) {
      const before = tries.get(requestId)
      const count = before?.step === step ? before.count + 1 : 1
      if (before === undefined) forgetOldest(tries)
      tries.set(requestId, { step, count })
      return delayOf(count, settings)
    },
    forget: (requestId) => void tries.delete(requestId),
  }
}

function delayOf(count: number, settings: Parameters<typeof createBackoff>[0]): number {
  const { retryMinMs, retryMaxMs, random } = settings
  const fullMs = Math.min(retryMaxMs, retryMinMs * 2 ** Math.min(count, 32))
  const [high = 0, low = 0] = random(2)
  const share = (high * 256 + low) / 65_536
  return Math.max(retryMinMs, Math.round(fullMs * (1 - share / 2)))
}
