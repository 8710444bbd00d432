import type { Clock } from '../base/clock.js'
import { createRateBucket, type RateBucket, type RateBucketSettings } from '../base/rate-bucket.js'

/** The rate of submits and issues, and that of polls; each is shared by both routes. */
export type BucketSettings = {
  /** Default: 5 at once, one more every 12 seconds. */
  readonly submit?: RateBucketSettings
  /** Default: 60 at once, one more every second. */
  readonly poll?: RateBucketSettings
}

export type Buckets = { readonly submit: RateBucket; readonly poll: RateBucket }

/** @throws RangeError for settings out of their bounds */
export function createBuckets(settings: BucketSettings, clock: Clock): Buckets {
  const { submit = { capacity: 5, refillMs: 12_000 } } = settings
  const { poll = { capacity: 60, refillMs: 1000 } } = settings
  return { submit: createRateBucket(submit, clock), poll: createRateBucket(poll, clock) }
}
