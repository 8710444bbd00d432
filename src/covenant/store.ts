import type { FinalTransition, Job, JobIdentity, JobState, Outpoint, RequestId } from './job.js'
import type { Hex, Request, Route } from './request.js'

/** A key or outpoint that is closed because its record cannot be trusted. */
export type Fence = {
  /** Id of the quarantine record that closes it. */
  readonly recordId: string
  readonly reason: string
}

/** `existing` is the same request again; nothing was written. */
export type AcceptOutcome =
  | { readonly kind: 'accepted'; readonly job: Job }
  | { readonly kind: 'existing'; readonly job: Job }
  | { readonly kind: 'payloadMismatch'; readonly requestId: RequestId }
  | { readonly kind: 'fenced'; readonly fence: Fence }

/** `absent` means that both witnesses lack the key. */
export type FindOutcome =
  | { readonly kind: 'found'; readonly job: Job }
  | { readonly kind: 'absent' }
  | { readonly kind: 'fenced'; readonly fence: Fence }

/** The right to advance one job; void after a restart, and as soon as somebody else claimed it. */
export type Lease = {
  readonly requestId: RequestId
  readonly owner: string
  readonly fencingToken: bigint
}

/** Exactly what is about to be signed. An outpoint has one unreleased intent at most, for ever. */
export type Intent = {
  readonly outpoint: Outpoint
  /** 32 bytes. */
  readonly sighash: Hex
  readonly unsignedTransaction: Hex
}

export type Claim = {
  readonly job: Job
  readonly lease: Lease
  /** The intent that an earlier attempt recorded for this job. */
  readonly intent: Intent | undefined
}

/** `same` is the same sighash again, which is harmless; `conflict` names the job that holds the outpoint. */
export type IntendOutcome =
  | { readonly kind: 'recorded' }
  | { readonly kind: 'same' }
  | { readonly kind: 'conflict'; readonly requestId: RequestId }
  | { readonly kind: 'fenced'; readonly fence: Fence }
  | { readonly kind: 'stale' }

export type SettleOutcome =
  | { readonly kind: 'settled'; readonly job: Job }
  /** The lease is void; nothing was changed. */
  | { readonly kind: 'stale' }

/** Who acts on a record by hand, and why; kept in the audit trail. */
export type Operator = { readonly who: string; readonly why: string }

/** What is put on record before a wallet is asked to sign a certificate. */
export type CertificateNote = {
  /** Compressed. */
  readonly walletKey: Hex
  readonly approvalDigest: Hex
  readonly endBlock: bigint
}

/** A record that was set aside, and what it closes while it is. */
export type QuarantineRecord = {
  readonly id: string
  /** Which store or file it comes from. */
  readonly kind: 'job' | 'intent' | 'ledger' | 'file'
  readonly reason: string
  /** What is closed: route keys and outpoints; `everyNewKey` when the damaged record may hold any key. */
  readonly blocks: {
    readonly keys: readonly { readonly route: Route; readonly routeRequestId: string }[]
    readonly outpoints: readonly Outpoint[]
    readonly everyNewKey: boolean
  }
  readonly requestId: RequestId | undefined
  readonly sha256: string
  readonly sizeBytes: number
  readonly foundAtMs: number
  /** `retired` records are settled: what they close stays closed for ever, and nobody needs to act. */
  readonly state: 'open' | 'retired'
}

/** One quarantined record with all that is known of it. */
export type QuarantineDetail = {
  readonly record: QuarantineRecord
  /** The damaged bytes as they were found. */
  readonly raw: Uint8Array
  /** What could be read of them, by field. */
  readonly readable: Readonly<Record<string, string>>
  /** What the database, the ledger and the imported file each say of it. */
  readonly witnesses: readonly { readonly name: string; readonly says: string }[]
  /** What would be taken now, the recommended way first. */
  readonly ways: readonly { readonly how: Resolution['kind']; readonly effect: string }[]
}

/** There is no way to sign again. */
export type Resolution =
  | { readonly kind: 'restore'; readonly from: 'ledger' | 'backup' }
  | { readonly kind: 'adopt'; readonly request: Request }
  | { readonly kind: 'retire' }
  | { readonly kind: 'release'; readonly typedKey: string }

export type ResolveReport = {
  readonly record: QuarantineRecord
  readonly changes: readonly string[]
  readonly dryRun: boolean
}

export type ReleaseOutcome =
  | { readonly kind: 'released' }
  | { readonly kind: 'absent' }
  /** Only intents of final jobs can be released. */
  | { readonly kind: 'jobNotFinal'; readonly requestId: RequestId }

export type ResumeOutcome =
  | { readonly kind: 'resumed'; readonly job: Job }
  /** The job runs by itself, or is final. */
  | { readonly kind: 'notHeld'; readonly job: Job }
  | { readonly kind: 'absent' }
  | { readonly kind: 'fenced'; readonly fence: Fence }

/** What comparing the two witnesses found and did. */
export type ReconcileReport = {
  readonly lines: bigint
  readonly rows: bigint
  readonly linesAppended: number
  readonly settlementsRestored: number
  readonly intentsRestored: number
  readonly fenced: number
  readonly repairedLines: number
  readonly indexesRebuilt: boolean
}

/** Whether the store takes new keys now, and if not, why and what to do. */
export type StoreReadiness = {
  readonly newKeys: boolean
  readonly checks: readonly {
    readonly name: 'database' | 'ledger' | 'replay' | 'quarantine' | 'witness'
    readonly ok: boolean
    readonly detail: string
    readonly remedy: string
  }[]
}

/**
 * Keeps accepted jobs, what was signed for them, and a second witness of both.
 *
 * @remarks A key or outpoint is new only when both witnesses lack it. Every method rejects with `StoreFailed` when
 * storage fails and says there whether anything was kept.
 */
export interface JobStore {
  /**
   * Takes a request once; durable in the database and written to the ledger when it resolves.
   *
   * @remarks A new key waits (bounded) until the ledger was replayed. A lost row whose ledger line has the same
   * digests is rebuilt from the request and answered as `existing`.
   * @throws StoreNotReady when new keys are refused now
   */
  accept(job: JobIdentity): Promise<AcceptOutcome>

  /** Rebuilds the lost row of a fenced key from a resent request; `undefined` when there is nothing to heal. */
  heal(job: JobIdentity): Promise<Job | undefined>

  find(id: RequestId): Promise<FindOutcome>
  findByRoute(route: Route, routeRequestId: string): Promise<FindOutcome>

  /** In the order they were accepted, after `afterSeq`. */
  list(query: {
    readonly state?: JobState
    readonly route?: Route
    readonly afterSeq?: bigint
    readonly limit: number
  }): Promise<readonly Job[]>

  /** Leases jobs that are due, at most `limit`; jobs already leased and held ones are left out. */
  claim(owner: string, nowMs: number, limit: number): Promise<readonly Claim[]>

  /** When the next unleased job is due; `undefined` when none is waiting. */
  nextDueMs(): number | undefined

  /**
   * Calls the listener when a job became due earlier than `nextDueMs` said. Returns how to stop.
   *
   * @remarks It may be called inside a commit: the listener only notes it and claims later.
   */
  onDue(listener: () => void): () => void

  /** Makes a waiting job due now; no-op for a leased, held or final one. */
  nudge(id: RequestId, nowMs: number): void

  /** Records what is about to be signed; in the database and synced in the ledger when it resolves. */
  intend(lease: Lease, intent: Intent): Promise<IntendOutcome>

  /**
   * Ends a job. Durable in the database and written to the ledger when it resolves.
   *
   * @param options.releaseIntent the signer was provably never asked: the outpoint is free again
   */
  settle(
    lease: Lease,
    transition: FinalTransition,
    options: { readonly releaseIntent: boolean; readonly at: string },
  ): Promise<SettleOutcome>

  /** Puts a job back to wait, with what it waits for. Ends the lease. */
  defer(
    lease: Lease,
    wait: {
      readonly detail: string
      readonly nextAtMs: number
      readonly attempts: number
      readonly at: string
    },
  ): Promise<SettleOutcome>

  /** Frees an outpoint by hand; written and synced as an `operate` line first. */
  releaseIntent(outpoint: Outpoint, by: Operator): Promise<ReleaseOutcome>

  /** The unreleased intent on an outpoint. */
  findIntent(outpoint: Outpoint): Promise<(Intent & { readonly requestId: RequestId }) | undefined>

  /** Lets an imported job run; written and synced as an `operate` line first. */
  resume(id: RequestId, by: Operator): Promise<ResumeOutcome>

  /** Open records first, each kind in the order it was found. */
  listQuarantined(limit: number): Promise<readonly QuarantineRecord[]>
  findQuarantined(recordId: string): Promise<QuarantineDetail | undefined>

  /** Ends the quarantine of a record; with `dryRun` it only says what would change. */
  resolve(recordId: string, how: Resolution, by: Operator, dryRun: boolean): Promise<ResolveReport>

  /** Puts a certificate that is about to be signed on record: an `operate` line, synced. */
  recordCertificate(note: CertificateNote, by: Operator): Promise<void>

  /** Replays the ledger against the database; also runs by itself at open. */
  reconcile(signal: AbortSignal): Promise<ReconcileReport>

  /** Highest host-chain height that was ever relied on. */
  hostHeight(): bigint | undefined
  /** Raises it; durable with the next commit. */
  noteHostHeight(height: bigint): void
  /** Puts it to a value by hand, also a lower one; written and synced as an `operate` line first. */
  resetHostHeight(height: bigint, by: Operator): Promise<void>

  readiness(): StoreReadiness

  /** Resolves when the ledger was replayed and new keys are taken, or rejects with why they are not. */
  ready(signal: AbortSignal): Promise<void>

  close(): Promise<void>
}
