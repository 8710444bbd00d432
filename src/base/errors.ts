/** Whether the same call may be made again as it stands. */
export type Retry = 'safe' | 'after-fix' | 'never'

/** What every error says besides its message. */
export type ErrorDetails = {
  readonly retry: Retry
  /** What a person can do next, one sentence. */
  readonly remedy: string
  readonly cause?: unknown
}

/**
 * Base of everything Holdfast throws on purpose; branch on `code`, never on `message`.
 *
 * @remarks Messages and remedies never hold key material, recovery words, passphrases or row bytes.
 */
export abstract class HoldfastError extends Error {
  /** Stable name of the failure; its section in docs/ERRORS.md has the same title. */
  abstract readonly code: string
  readonly retry: Retry
  readonly remedy: string

  constructor(message: string, details: ErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.retry = details.retry
    this.remedy = details.remedy
  }

  override get name(): string {
    return this.code
  }
}

/** True for every error that Holdfast throws on purpose. */
export function isHoldfastError(error: unknown): error is HoldfastError {
  return error instanceof HoldfastError
}

/** The `default` of an exhaustive switch: a new member of a union breaks the build here. */
export function unreachable(value: never): never {
  throw new RangeError(`unreachable: ${String(value)}`)
}

/** A caller's signal fired before the commit point; nothing was kept. */
export class Aborted extends HoldfastError {
  readonly code = 'Aborted'
  constructor(what: string, cause?: unknown) {
    super(`${what}: aborted by the caller before it was committed`, {
      retry: 'safe',
      remedy: 'Nothing was kept; make the same call again when you want it.',
      cause,
    })
  }
}

/** Throws `Aborted` when the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted) throw new Aborted(what, signal.reason)
}
