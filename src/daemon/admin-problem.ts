import { HoldfastError, isHoldfastError, type Retry } from '../base/errors.js'

/** An error as RFC 9457 tells it, with what a person or a program can do next. */
export type Problem = {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  /** Title of a section of docs/ERRORS.md. */
  readonly code: string
  /** Whether the same call may be made again as it stands. */
  readonly retryable: boolean
  readonly retry: Retry
  readonly remedy: string
}

export const problemType = 'application/problem+json; charset=utf-8'

const titles: Readonly<Record<number, string>> = {
  400: 'Bad input',
  401: 'Admin token wanted',
  404: 'Not found',
  409: 'Refused by a rule',
  413: 'Body too large',
  500: 'Failed',
  503: 'Unavailable',
}

/** Statuses of the errors that are not a 500. */
const statuses: ReadonlyMap<string, number> = new Map([
  ['AdminInputInvalid', 400],
  ['InvalidInput', 400],
  ['MalformedBody', 400],
  ['AdminTokenWanted', 401],
  ['AdminRouteUnknown', 404],
  ['IntentNotFound', 404],
  ['JobNotFound', 404],
  ['RecordNotFound', 404],
  ['WalletNotFound', 404],
  ['IntentInUse', 409],
  ['ResolutionRefused', 409],
  ['LedgerForeign', 409],
  ['CovenantServiceStopped', 503],
  ['DaemonNotReady', 503],
  ['KeyFenced', 503],
  ['StoreNotReady', 503],
  ['HostHeightUnavailable', 503],
])

/** What a client of the admin listener is told of an error; `log` when its cause belongs in the log. */
export function problemOf(error: unknown): { readonly problem: Problem; readonly log: boolean } {
  const { code, message, retry, remedy } = isHoldfastError(error) ? error : unexpected
  const known = statusOf(error, code)
  const status = known ?? 500
  const problem: Problem = {
    type: `urn:holdfast:error:${code}`,
    title: titles[status] ?? 'Failed',
    status,
    detail: message,
    code,
    retryable: retry === 'safe',
    retry,
    remedy,
  }
  return { problem, log: known === undefined }
}

function statusOf(error: unknown, code: string): number | undefined {
  if (error instanceof AdminInputInvalid && error.isTooLarge) return 413
  return statuses.get(code)
}

/** Errors that are not Holdfast's own may quote anything, so that nothing of them is told. */
const unexpected = {
  code: 'Unexpected',
  message: 'an error that nobody expected',
  retry: 'never',
  remedy: 'Look at the log; it is a bug.',
} as const

/** What the framework or the runtime refuses, as an error of ours. */
export function translated(error: unknown): unknown {
  if (isHoldfastError(error) || typeof error !== 'object' || error === null) return error
  const code = 'code' in error ? String(error.code) : ''
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new AdminInputInvalid('the body is too large, want at most 1 MiB', { isTooLarge: true })
  }
  if (code === 'FST_ERR_VALIDATION' || ('validation' in error && Array.isArray(error.validation))) {
    // Its message names places and rules, never a value.
    return new AdminInputInvalid(error instanceof Error ? error.message : 'it breaks the schema')
  }
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return new AdminInputInvalid('the body is of another type, want application/json')
  }
  if (/^FST_ERR_(CTP|BAD_URL|ASYNC_CONSTRAINT|MAX_PARAM)/.test(code)) {
    return new AdminInputInvalid('the request cannot be read')
  }
  return error
}

/** A request to the admin listener that cannot be read or breaks its schema; nothing was done. */
export class AdminInputInvalid extends HoldfastError {
  readonly code = 'AdminInputInvalid'
  readonly isTooLarge: boolean
  constructor(problem: string, { isTooLarge = false }: { readonly isTooLarge?: boolean } = {}) {
    super(`admin request: ${problem}`, {
      retry: 'after-fix',
      remedy: 'Compare the request with /openapi.json.',
    })
    this.isTooLarge = isTooLarge
  }
}

/** A call below /admin without the admin token, or with another one. */
export class AdminTokenWanted extends HoldfastError {
  readonly code = 'AdminTokenWanted'
  constructor(problem: 'missing' | 'invalid') {
    super(`admin request: ${problem} bearer token`, {
      retry: 'after-fix',
      remedy: 'Send "Authorization: Bearer " and what the file admin.tokenFile holds.',
    })
  }
}

/** The admin listener has nothing under this path and method. */
export class AdminRouteUnknown extends HoldfastError {
  readonly code = 'AdminRouteUnknown'
  constructor() {
    super('admin request: nothing is here', {
      retry: 'after-fix',
      remedy: 'Look at /openapi.json for what there is.',
    })
  }
}

/** The daemon has not opened what the call needs, or is closing it. */
export class DaemonNotReady extends HoldfastError {
  readonly code = 'DaemonNotReady'
  constructor(phase: string) {
    super(`daemon: it is ${phase}, want it to serve`, {
      retry: 'safe',
      remedy: 'Look at /state, and call again when it says ready or degraded.',
    })
  }
}

/** Nothing holds the outpoint. */
export class IntentNotFound extends HoldfastError {
  readonly code = 'IntentNotFound'
  constructor(outpoint: string) {
    super(`intent: nothing was recorded for ${outpoint}, or it was released`, {
      retry: 'after-fix',
      remedy: 'Compare the outpoint with the job it belongs to.',
    })
  }
}

/** The job that holds the outpoint has not ended. */
export class IntentInUse extends HoldfastError {
  readonly code = 'IntentInUse'
  constructor(outpoint: string, requestId: string) {
    super(`intent: ${outpoint} is held by ${requestId}, which has not ended`, {
      retry: 'after-fix',
      remedy: 'Wait until that job has ended; only the outpoint of an ended job can be released.',
    })
  }
}
