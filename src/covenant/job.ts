import type { ActiveOutpoint, Hex, Request, Route, ScriptTemplate } from './request.js'

declare const brand: unique symbol
/** `kcs_qc_` or `kcs_self_` and 16 lower-case hex digits. */
export type RequestId = string & { readonly [brand]: 'RequestId' }
/** `txid:vout`, the txid as 64 lower-case hex digits in display order without 0x. */
export type Outpoint = string & { readonly [brand]: 'Outpoint' }

export const jobStates = [
  'SUBMITTED',
  'VALIDATING',
  'SIGNING',
  'PENDING',
  'ARTIFACT_READY',
  'HANDOFF_READY',
  'FAILED',
] as const
export type JobState = (typeof jobStates)[number]
/** A job in one of these states never changes again. */
export type FinalState = 'ARTIFACT_READY' | 'HANDOFF_READY' | 'FAILED'

export const failureReasons = [
  'AUTH_FAILED',
  'POLICY_REJECTED',
  'INVALID_INPUT',
  'PROVIDER_UNAVAILABLE',
  'JOB_NOT_FOUND',
  'JOB_PENDING',
  'PROVIDER_FAILED',
  'MALFORMED_ARTIFACT',
] as const
export type FailureReason = (typeof failureReasons)[number]

/** The part of a job that is fixed when it is accepted. */
export type JobIdentity = {
  readonly requestId: RequestId
  readonly route: Route
  /** Deduplicates together with `route`. */
  readonly routeRequestId: string
  readonly requestDigest: Hex
  /** The address that was pinned for the depositor when the job was accepted; '' when none was. */
  readonly depositorEthAddress: string
  /** The covenant output that this job spends. */
  readonly outpoint: Outpoint
  /** Compressed key of the signing wallet, 33 bytes, lower case. */
  readonly walletKey: string
  /** Host-chain height after which the signer approval certificate is void; undefined without one. */
  readonly endBlock: bigint | undefined
  /** RFC 3339, UTC. */
  readonly createdAt: string
  /** Normalised. */
  readonly request: Request
}

/** What a finished job hands out; fields are absent where the state has none. */
export type Artefact = {
  readonly psbtHash?: string
  readonly transactionHex?: string
  readonly handoff?: Readonly<Record<string, unknown>>
}

/** The part of a job that moves. */
export type JobProgress = Artefact & {
  readonly state: JobState
  readonly detail: string
  /** Present for FAILED alone. */
  readonly reason?: FailureReason
  readonly updatedAt: string
  readonly completedAt?: string
  readonly failedAt?: string
  /** How often the runner tried, and when it tries next (milliseconds since 1970). */
  readonly attempts: number
  readonly nextAtMs: number
  /** True for a job that was imported and waits for an operator's `resume`. */
  readonly held: boolean
}

/** One accepted request and how far it has come. */
export type Job = JobIdentity &
  JobProgress & {
    /** Sequence of the ledger line that accepted it. */
    readonly seq: bigint
  }

/** How a job ends. */
export type FinalTransition = Artefact & {
  readonly state: FinalState
  readonly detail: string
  readonly reason?: FailureReason
}

/** What a client reads of a job; the order of the fields is the order on the wire. */
export type StepResult = Artefact & {
  readonly status: 'PENDING' | 'READY' | 'FAILED'
  readonly requestId: string
  readonly detail?: string
  readonly reason?: FailureReason
}

/** @throws RangeError unless the text is a request id */
export function parseRequestId(text: string): RequestId {
  if (!/^kcs_(qc|self)_[0-9a-f]{16}$/.test(text)) {
    throw new RangeError('request id: want kcs_qc_ or kcs_self_ and 16 lower-case hex digits')
  }
  return text as RequestId
}

/** A request id of a route from 8 random bytes. */
export function requestIdOf(route: Route, random8: Uint8Array): RequestId {
  if (random8.length !== 8) throw new RangeError('request id: want 8 random bytes')
  const prefix = route === 'qc_v1' ? 'kcs_qc_' : 'kcs_self_'
  return parseRequestId(`${prefix}${Buffer.from(random8).toString('hex')}`)
}

/** @throws RangeError unless the txid is hex; its length is the validation's business */
export function outpointOf({ txid, vout }: Pick<ActiveOutpoint, 'txid' | 'vout'>): Outpoint {
  const digits = txid.toLowerCase().replace(/^0x/, '')
  if (!/^[0-9a-f]*$/.test(digits)) throw new RangeError('outpoint: want a hex txid')
  return `${digits}:${vout}` as Outpoint
}

/** The signing wallet's compressed key as the template names it; '' for a template that is no template. */
export function walletKeyOf(template: ScriptTemplate): string {
  return 'invalid' in template ? '' : template.signerPublicKey.toLowerCase()
}

export function isFinal(state: JobState): state is FinalState {
  return state === 'ARTIFACT_READY' || state === 'HANDOFF_READY' || state === 'FAILED'
}

/** Puts a final transition on a job's progress; `at` is RFC 3339, UTC. */
export function applyTransition(
  progress: JobProgress,
  transition: FinalTransition,
  at: string,
): JobProgress {
  const { attempts, held } = progress
  const ended = transition.state === 'FAILED' ? { failedAt: at } : { completedAt: at }
  return { ...transition, attempts, held, nextAtMs: 0, updatedAt: at, ...ended }
}

/** What a client is told of the job as it stands. */
export function stepResult(job: Job): StepResult {
  const { state, requestId, detail, reason, psbtHash, transactionHex, handoff } = job
  const status = state === 'FAILED' ? 'FAILED' : isFinal(state) ? 'READY' : 'PENDING'
  return {
    status,
    requestId,
    ...(detail === '' ? {} : { detail }),
    ...(status === 'FAILED' && reason !== undefined ? { reason } : {}),
    ...(psbtHash === undefined ? {} : { psbtHash }),
    ...(transactionHex === undefined ? {} : { transactionHex }),
    ...(handoff === undefined ? {} : { handoff }),
  }
}

/** RFC 3339 in UTC as the reference writes it: trailing zeros of the fraction dropped. */
export function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace(/\.?0*Z$/, 'Z')
}
