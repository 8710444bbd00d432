import type { FailureReason, FinalTransition, Job } from './job.js'
import type { Hex, Request } from './request.js'
import type { Intent } from './store.js'

/** What one source says of the host chain's height in blocks. */
export type SourceHeight = { readonly source: string; readonly height: bigint }

/** What the engine makes of a job before anything is signed. */
export type Prepared =
  /** Facts are in and the spend is built: record the intent, then sign. */
  | {
      readonly kind: 'sign'
      readonly intent: Intent
      readonly publicKey: Hex
      readonly plan: unknown
    }
  /** A passing fault: try later. `detail` is what a client reads meanwhile. */
  | { readonly kind: 'defer'; readonly detail: string; readonly cause?: Error }
  /** A final fault. */
  | { readonly kind: 'fail'; readonly reason: FailureReason; readonly detail: string }

/** What became of a signature that was asked for. */
export type Finished =
  | { readonly kind: 'done'; readonly transition: FinalTransition }
  | { readonly kind: 'defer'; readonly detail: string; readonly cause?: Error }
  | { readonly kind: 'fail'; readonly reason: FailureReason; readonly detail: string }

/**
 * Turns an accepted job into a signature, in steps that the runner puts durable records between.
 *
 * @remarks Everything is cancellable. A rejected promise counts as a passing fault.
 */
export interface Engine {
  /** Reads the chain and builds the spend; changes nothing. Called outside the wallet's lock. */
  prepare(job: Job, signal: AbortSignal): Promise<Prepared>
  /** Last look before signing, inside the wallet's lock: is the wallet still live? */
  confirm(job: Job, plan: unknown, signal: AbortSignal): Promise<Prepared>
  /** Verifies the signature and assembles the artefact. */
  finish(job: Job, plan: unknown, signature: Uint8Array, signal: AbortSignal): Promise<Finished>
  /** Heights of the host chain, from every source that answers; rejects when none does. */
  readonly heights?: (signal: AbortSignal) => Promise<readonly SourceHeight[]>
  /** Judges a submit's certificate on the chain; throws InvalidInput with the wire's text. */
  readonly verifySignerApproval?: (request: Request, signal: AbortSignal) => Promise<void>
}
