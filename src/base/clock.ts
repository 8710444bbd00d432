/** Where time comes from; tests hand in their own. */
export interface Clock {
  /** Milliseconds since 1970-01-01 UTC. */
  nowMs(): number
}

export const systemClock: Clock = { nowMs: () => Date.now() }
