import type { Generation, GroupId, WalletId } from '../base/ids.js'
import type { Account } from './account.js'
import type { Network } from './network.js'
import type { Pool } from './pool.js'

/** A Platform payment address that has, or had, funds. */
export type PlatformAddressRow = {
  readonly hash160: Uint8Array
  readonly accountIndex: number
  readonly keyClass: number
  readonly addressIndex: number
  readonly balanceCredits: bigint
  readonly nonce: bigint
  /** Block height the funds were proven at; 0 means unknown. */
  readonly asOfHeight: bigint
}

/** How far the Platform address scan of a wallet has come; 0 means never. */
export type PlatformSync = {
  readonly syncHeight: bigint
  readonly syncTimestampS: bigint
  readonly lastKnownRecentBlock: bigint
}

/** Everything one registration writes, in one transaction. Public data only. */
export type Changeset = {
  readonly walletId: WalletId
  readonly groupId: GroupId
  readonly network: Network
  /** Block height before which the wallet has no history; 0 scans from the start. */
  readonly birthHeight: number
  readonly createdAtMs: number
  readonly accounts: readonly Account[]
  readonly pools: readonly Pool[]
  readonly platformAddresses: readonly PlatformAddressRow[]
  readonly platformSync: PlatformSync
}

/** A wallet as read back, its digests checked. */
export type StoredWallet = Changeset & { readonly generation: Generation }
