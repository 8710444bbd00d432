import type { Clock } from '../base/clock.js'
import type { Scheduler } from '../covenant/schedule.js'

/** A clock and timers that move only when a test moves them. */
export interface ManualTime extends Clock, Scheduler {
  /** Moves on and runs every timer that is due on the way, each at its own time. */
  advance(ms: number): void
  /** Moves on to the next timer and runs it; false when there is none. */
  step(): boolean
  /** Timers that wait. */
  readonly pending: number
}

type Timer = { readonly dueMs: number; readonly order: number; readonly run: () => void }

/** @param startMs milliseconds since 1970 */
export function manualTime(startMs: number): ManualTime {
  const timers = new Set<Timer>()
  let nowMs = startMs
  let order = 0

  function first(): Timer | undefined {
    let found: Timer | undefined
    for (const timer of timers) {
      const isEarlier = found === undefined || timer.dueMs < found.dueMs
      if (isEarlier || (timer.dueMs === found?.dueMs && timer.order < found.order)) found = timer
    }
    return found
  }

  function run(timer: Timer): void {
    timers.delete(timer)
    nowMs = Math.max(nowMs, timer.dueMs)
    timer.run()
  }

  return {
    nowMs: () => nowMs,
    after(delayMs, callback) {
      const timer = { dueMs: nowMs + Math.max(0, delayMs), order: order++, run: callback }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    advance(ms) {
      const endMs = nowMs + ms
      for (let timer = first(); timer && timer.dueMs <= endMs; timer = first()) run(timer)
      nowMs = endMs
    },
    step() {
      const timer = first()
      if (timer !== undefined) run(timer)
      return timer !== undefined
    },
    get pending() {
      return timers.size
    },
  }
}
