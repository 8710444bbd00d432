import type { Clock } from './clock.js'

export type RateBucketSettings = {
  /** Tokens that a full bucket holds; 1 to 1 000 000. */
  readonly capacity: number
  /** Milliseconds until one token is back; 1 to 86 400 000. */
  readonly refillMs: number
}

/** Lets so many calls through at once, and later one each time a token is back. */
export interface RateBucket {
  /** Spends a token; false when there is none. */
  take(): boolean
}

/**
 * Opens a full bucket.
 *
 * @throws RangeError for settings out of their bounds
 */
export function createRateBucket(settings: RateBucketSettings, clock: Clock): RateBucket {
  const capacity = wholeNumber('capacity', settings.capacity, 1_000_000)
  const refillMs = wholeNumber('refillMs', settings.refillMs, 86_400_000)
  const emptyMs = capacity * refillMs
  let fullAtMs = clock.nowMs()
  return {
    take() {
      const nowMs = clock.nowMs()
      // A clock that was set back must not keep the bucket empty for longer than it takes to fill.
      fullAtMs = Math.min(Math.max(fullAtMs, nowMs), nowMs + emptyMs)
      if (fullAtMs + refillMs > nowMs + emptyMs) return false
      fullAtMs += refillMs
      return true
    },
  }
}

function wholeNumber(name: string, value: number, max: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= max) return value
  throw new RangeError(`rate bucket: ${name} is ${value}, want a whole number from 1 to ${max}`)
}
