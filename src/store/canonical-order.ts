import { type Account, type AccountKey, accountTypes } from '../wallet/account.js'
import type { PlatformAddressRow } from '../wallet/changeset.js'
import { chains, type Pool } from '../wallet/pool.js'

/** The order in which a store hands out the parts of a wallet, whatever order it keeps them in. */
export const inOrder: {
  /** By type as the specification lists them, then index, key class and identities. */
  readonly accounts: (accounts: readonly Account[]) => readonly Account[]
  /** By account, then external, internal, single, single hardened. */
  readonly pools: (pools: readonly Pool[]) => readonly Pool[]
  /** By account, key class and index. */
  readonly platformAddresses: (rows: readonly PlatformAddressRow[]) => readonly PlatformAddressRow[]
} = {
  accounts: (accounts) => [...accounts].sort(compareKeys),
  pools: (pools) =>
    [...pools].sort(
      (a, b) =>
        compareKeys(a.account, b.account) || chains.indexOf(a.chain) - chains.indexOf(b.chain),
    ),
  platformAddresses: (rows) =>
    [...rows].sort(
      (a, b) =>
        a.accountIndex - b.accountIndex ||
        a.keyClass - b.keyClass ||
        a.addressIndex - b.addressIndex ||
        Buffer.compare(a.hash160, b.hash160),
    ),
}

function compareKeys(a: AccountKey, b: AccountKey): number {
  return (
    accountTypes.indexOf(a.type) - accountTypes.indexOf(b.type) ||
    a.index - b.index ||
    a.keyClass - b.keyClass ||
    Buffer.compare(a.ownIdentity, b.ownIdentity) ||
    Buffer.compare(a.contactIdentity, b.contactIdentity)
  )
}
