import type { AttemptId, Generation, WalletId } from '../base/ids.js'
import type { Changeset, StoredWallet } from './changeset.js'

/** Why the rows of one wallet cannot be used. */
export type CorruptKind =
  | 'missingManifest'
  | 'malformedXpub'
  | 'snapshotIdentityMismatch'
  | 'decodeError'
  | 'manifestIntegrityMismatch'
  | 'platformStateMismatch'
  /** The inventory names a wallet that the database has lost. */
  | 'lost'

export type Corruption = { readonly kind: CorruptKind; readonly detail: string }

/** What the store knows of one id. A `lost` wallet may be registered again like an absent one. */
export type WalletStatus =
  | { readonly kind: 'absent' }
  | { readonly kind: 'active'; readonly generation: Generation }
  | { readonly kind: 'quarantined'; readonly corruption: Corruption }

export type ReadOutcome =
  | { readonly kind: 'wallet'; readonly wallet: StoredWallet }
  | { readonly kind: 'damaged'; readonly corruption: Corruption }
  | { readonly kind: 'absent' }

/** A registration that was begun and not promoted. */
export type JournalRow = {
  readonly attempt: AttemptId
  readonly walletId: WalletId
  /** Base label of the secret this attempt stages, if it stages one. */
  readonly secretLabel: string | undefined
  readonly phase: 'reserved' | 'discarding'
  /** The store's generation when the row was written; differs after a restore from a backup. */
  readonly storeGeneration: string
  /** True when this opening of the store wrote the row. */
  readonly ours: boolean
  readonly createdAtMs: number
}

export type QuarantinedWallet = {
  readonly walletId: WalletId
  readonly corruption: Corruption
  readonly foundAtMs: number
}

/** Every method rejects with `StoreFailed` when storage fails, and says there whether anything was kept. */
export interface WalletStore {
  /** 32 hex digits, made at creation and again by every restore. */
  readonly storeGeneration: string

  status(id: WalletId): Promise<WalletStatus>

  /**
   * Claims the id for one attempt; durable on return.
   *
   * @remarks A `reserved` row that an earlier attempt left behind is marked `discarding`, never deleted. Two
   * live attempts for one id are a bug of the caller and fail as `constraint`.
   */
  reserve(claim: {
    readonly walletId: WalletId
    readonly attempt: AttemptId
    readonly secretLabel?: string
    readonly createdAtMs: number
  }): Promise<void>

  /**
   * Writes every row of the wallet and removes this attempt's journal row, in one durable transaction.
   *
   * @remarks After a commit whose outcome is unclear the store reads back on a fresh handle before it answers:
   * it resolves when the wallet is there, and rejects with `outcome: 'notWritten'` only when that is proven.
   * With `replaceQuarantined` the old rows go in the same transaction.
   */
  promote(
    attempt: AttemptId,
    changeset: Changeset,
    options: { readonly replaceQuarantined: boolean },
  ): Promise<Generation>

  /** Ends an attempt that was not promoted; durable on return; no-op when its row is gone. */
  discard(attempt: AttemptId): Promise<void>

  /** Marks the rows so that they block nobody and recovery takes them up again. */
  markDiscarding(attempts: readonly AttemptId[]): Promise<void>

  /** Every registration that was begun and not promoted, oldest first. */
  journal(): Promise<readonly JournalRow[]>

  /** Ids of active wallets, sorted, from one read transaction; quarantined ones are left out. */
  list(): Promise<readonly WalletId[]>

  /** Ids that the inventory names and the database has lost, sorted. */
  lost(): Promise<readonly WalletId[]>

  /** Reads and checks one wallet. Damage is reported only when a fresh handle saw it too. */
  read(id: WalletId): Promise<ReadOutcome>

  /** Sets a damaged wallet aside: its rows stay as they are and are exported; its id needs `replaceQuarantined`. */
  quarantine(id: WalletId, corruption: Corruption): Promise<void>

  quarantined(): Promise<readonly QuarantinedWallet[]>

  close(): Promise<void>
}
