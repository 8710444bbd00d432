import type { Generation, GroupId, WalletId } from '../base/ids.js'
import type { Reading } from '../chain/reader.js'
import { type Account, accountName } from './account.js'
import { coreAddress } from './core-address.js'
import type { Warning } from './finalise.js'
import type { LiveWallet } from './live.js'
import type { Network } from './network.js'
import { encodePlatformAddress } from './platform-address.js'
import { entryAt, entryCount, entryPath, nextUnused, type Pool, type PoolEntry } from './pool.js'

/** An address to receive on. */
export type WalletAddress = {
  readonly address: string
  /** Full derivation path. */
  readonly path: string
  readonly index: number
}

/** `platform`: DIP-17 payment account 0. `core`: BIP-44 account 0, external chain. */
export type AddressKind = 'platform' | 'core'

/** A registered wallet as its user sees it: a value that names one generation, with reads on it. Holds no keys. */
export type WalletHandle = {
  readonly id: WalletId
  readonly groupId: GroupId
  readonly network: Network
  readonly generation: Generation
  readonly birthHeight: number
  readonly accounts: readonly Account[]
  /** What the registration that returned this handle wants to be known; empty otherwise. */
  readonly warnings: readonly Warning[]
  /** First address of the kind that was never used; `undefined` when the wallet has no such account. */
  readonly nextAddress: (kind: AddressKind) => WalletAddress | undefined
  /** Every address the pool of the kind holds, by index. */
  readonly addresses: (kind: AddressKind) => readonly WalletAddress[]
  /** Sum of what Dash Platform proved, in credits, or `unavailable` while nothing was read. */
  readonly platformBalance: () => Reading<bigint>
}

export function handleOf(wallet: LiveWallet, warnings: readonly Warning[] = []): WalletHandle {
  const { stored, provider } = wallet
  return {
    id: stored.walletId,
    groupId: stored.groupId,
    network: stored.network,
    generation: stored.generation,
    birthHeight: stored.birthHeight,
    accounts: stored.accounts,
    warnings,
    nextAddress(kind) {
      const pool = poolOf(wallet, kind)
      const entry = pool === undefined ? undefined : nextUnused(pool)
      return pool && entry ? addressAt(wallet, kind, pool, entry) : undefined
    },
    addresses(kind) {
      const pool = poolOf(wallet, kind)
      if (pool === undefined) return []
      return Array.from({ length: entryCount(pool) }, (_, index) =>
        addressAt(wallet, kind, pool, entryAt(pool, index)),
      )
    },
    platformBalance: () => provider.balance(),
  }
}

function poolOf({ stored }: LiveWallet, kind: AddressKind): Pool | undefined {
  const [type, chain] =
    kind === 'platform' ? ['platform_payment', 'single'] : ['standard_bip44', 'external']
  return stored.pools.find(
    ({ account, chain: c }) =>
      account.type === type && account.index === 0 && account.keyClass === 0 && c === chain,
  )
}

function addressAt(
  { stored }: LiveWallet,
  kind: AddressKind,
  pool: Pool,
  { index, hash160 }: PoolEntry,
): WalletAddress {
  const { network, accounts } = stored
  const name = accountName(pool.account)
  const account = accounts.find((one) => accountName(one) === name)
  if (account === undefined) throw new RangeError(`pool ${name}: the wallet has no such account`)
  const address =
    kind === 'platform'
      ? encodePlatformAddress({ hash160, type: 'p2pkh', network })
      : coreAddress(hash160, network)
  return { address, path: entryPath(account.path, pool, index), index }
}
