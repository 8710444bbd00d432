import type { FailureReason, FinalTransition, Job } from './job.js'
import type { Hex, Request, SignerApproval } from './request.js'
import type { Intent } from './store.js'
import type { Extend } from './wallet-lock.js'

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
  /** Nothing is left to sign: the spend that an earlier try recorded has come to light, signed. */
  | { readonly kind: 'done'; readonly transition: FinalTransition }
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
  /**
   * Reads the chain and builds the spend; changes nothing. Called outside the wallet's lock.
   *
   * @param earlier the intent that an earlier try recorded for this job
   */
  prepare(job: Job, signal: AbortSignal, earlier?: Intent): Promise<Prepared>
  /** Last look before signing, inside the wallet's lock: is the wallet still live? */
  confirm(job: Job, plan: unknown, signal: AbortSignal): Promise<Prepared>
  /** Verifies the signature and assembles the artefact. */
  finish(job: Job, plan: unknown, signature: Uint8Array, signal: AbortSignal): Promise<Finished>
  /** Heights of the host chain, from every source that answers; rejects when none does. */
  readonly heights?: (signal: AbortSignal) => Promise<readonly SourceHeight[]>
  /** Judges a submit's certificate on the chain; throws InvalidInput with the wire's text. */
  readonly verifySignerApproval?: (request: Request, signal: AbortSignal) => Promise<void>
  /**
   * Has a wallet sign a certificate; throws InvalidInput with the wire's text.
   *
   * @remarks Nothing is signed outside of `slot.alone`.
   */
  readonly issueSignerApprovalCertificate?: (
    ask: CertificateAsk,
    slot: CertificateSlot,
    signal: AbortSignal,
  ) => Promise<SignerApproval>
}

/** What a certificate is asked for. */
export type CertificateAsk = {
  /** HASH160 of the compressed wallet key, 20 bytes. */
  readonly walletPublicKeyHash: Uint8Array
  /** 32 bytes, derived from the approvals and never taken from a caller. */
  readonly approvalDigest: Hex
  /** Last height of the host chain that the certificate is good at. */
  readonly endBlock: bigint
}

/** What the service gives an engine that signs a certificate. */
export interface CertificateSlot {
  /** The highest height of the host chain that any source claims. @throws HostHeightUnavailable */
  heightBlocks(signal: AbortSignal): Promise<bigint>
  /**
   * Runs a signing while no other one of the wallet goes on, and only once it is on record.
   *
   * @throws IssuerBusy when the wallet is being signed with
   */
  alone<T>(walletKey: Hex, work: (extend: Extend) => Promise<T>): Promise<T>
}
