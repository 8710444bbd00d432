import { untilAborted } from '../base/abort.js'

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
  const links = parents.map((parent) => follow(parent, () => own.abort(parent.reason)))
  return {
    signal: own.signal,
    expired: () => isOver,
    end() {
      cancel()
      for (const unlink of links) unlink()
    },
  }
}

const followers = new WeakMap<AbortSignal, Set<() => void>>()

/** One listener for all who follow a signal: thousands of calls follow the service's, and leaving must be quick. */
function follow(signal: AbortSignal, run: () => void): () => void {
  if (signal.aborted) {
    run()
    return () => undefined
  }
  const own = followers.get(signal) ?? new Set()
  if (!followers.has(signal)) {
    followers.set(signal, own)
    const tellAll = (): void => {
      for (const one of own) one()
    }
    signal.addEventListener('abort', tellAll, { once: true })
  }
  own.add(run)
  return () => void own.delete(run)
}

/**
 * Waits for work that has begun, or for the signal; the outcome of work that nobody waits for is dropped.
 *
 * @throws Aborted
 */
export function within<T>(work: Promise<T>, signal: AbortSignal, what: string): Promise<T> {
  work.catch(() => undefined)
  return untilAborted(work, signal, what)
}

/** Whether everything has ended, well or badly, before the time was over. */
export async function endsWithin(
  scheduler: Scheduler,
  work: Iterable<Promise<unknown>>,
  limitMs: number,
): Promise<boolean> {
  const limit = deadline(scheduler, limitMs, [])
  const ended = Promise.allSettled(work).then(() => true)
  return Promise.race([ended, fired(limit.signal).then(() => false)]).finally(limit.end)
}

/** Resolves when the time is over or a parent fires. */
export async function sleep(
  scheduler: Scheduler,
  delayMs: number,
  parents: readonly AbortSignal[],
): Promise<void> {
  const limit = deadline(scheduler, delayMs, parents)
  await fired(limit.signal)
  limit.end()
}

function fired(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
