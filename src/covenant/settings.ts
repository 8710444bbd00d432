/** Bounds of the covenant service, in milliseconds where not said otherwise. */
export type CovenantSettings = {
  /** How long the submit that created a job waits for the runner; default 20 000, 0 to 600 000. */
  readonly submitWaitMs: number
  /** How long one call may work before its job exists; default 300 000, 1 to 3 600 000. */
  readonly callMs: number
  /** How long one try of a job may take; default 300 000, 1 to 3 600 000. */
  readonly attemptMs: number
  /** How long a job waits for its wallet in one try; default 30 000, 1 to 3 600 000. */
  readonly walletWaitMs: number
  /** Jobs that are tried at one time; default 64, 1 to 4096. */
  readonly inFlightMax: number
  /** The first wait after a passing fault; default 1000, 1 to 3 600 000. */
  readonly retryMinMs: number
  /** The longest wait after passing faults; default 300 000, `retryMinMs` to 86 400 000. */
  readonly retryMaxMs: number
  /** How often a job's next try may be brought forward; default 1000, 0 to 3 600 000. */
  readonly nudgeEveryMs: number
  /** How long a stop lets signatures in flight go on; default 10 000, 0 to 600 000. */
  readonly stopMs: number
}

const hourMs = 3_600_000

const bounds: {
  readonly [Name in keyof CovenantSettings]: readonly [usual: number, min: number, max: number]
} = {
  submitWaitMs: [20_000, 0, 600_000],
  callMs: [300_000, 1, hourMs],
  attemptMs: [300_000, 1, hourMs],
  walletWaitMs: [30_000, 1, hourMs],
  inFlightMax: [64, 1, 4096],
  retryMinMs: [1000, 1, hourMs],
  retryMaxMs: [300_000, 1, 24 * hourMs],
  nudgeEveryMs: [1000, 0, hourMs],
  stopMs: [10_000, 0, 600_000],
}

/** Fills in what was left out. @throws RangeError for a setting out of its bounds */
export function readSettings(given: Partial<CovenantSettings>): CovenantSettings {
  const read = (name: keyof CovenantSettings): number => {
    const [usual, min, max] = bounds[name]
    const value = given[name] ?? usual
    if (Number.isInteger(value) && value >= min && value <= max) return value
    throw new RangeError(`${name}: ${value}, want a whole number from ${min} to ${max}`)
  }
  const settings: CovenantSettings = {
    submitWaitMs: read('submitWaitMs'),
    callMs: read('callMs'),
    attemptMs: read('attemptMs'),
    walletWaitMs: read('walletWaitMs'),
    inFlightMax: read('inFlightMax'),
    retryMinMs: read('retryMinMs'),
    retryMaxMs: read('retryMaxMs'),
    nudgeEveryMs: read('nudgeEveryMs'),
    stopMs: read('stopMs'),
  }
  if (settings.retryMinMs > settings.retryMaxMs) {
    throw new RangeError('retryMaxMs: smaller than retryMinMs')
  }
  return settings
}
