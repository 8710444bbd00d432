import { toHex } from '../base/bytes.js'
import type { Reading } from '../chain/reader.js'
import { accountName } from './account.js'
import type { Changeset, PlatformAddressRow } from './changeset.js'
import { entryAt, entryCount } from './pool.js'

type AccountAddresses = {
  readonly accountIndex: number
  readonly keyClass: number
  readonly hashOfIndex: Map<number, string>
  readonly indexOfHash: Map<string, number>
}

/** The Platform payment addresses of one wallet, and the funds last proven for them. */
export type AddressProvider = {
  /** Every address known, as 20-byte hashes in hex, with its account and index. */
  readonly find: (hash160Hex: string) => { accountIndex: number; addressIndex: number } | undefined
  readonly size: number
  /** Sum of what was proven, in credits; `unavailable` while nothing was ever read. */
  readonly balance: () => Reading<bigint>
}

/**
 * Builds the provider from the pools of a wallet and the rows it was stored with; no network.
 *
 * @throws PlatformStateMismatch when a row names an account the wallet does not have.
 * @see DIP-17
 */
export function createProvider(
  wallet: Pick<Changeset, 'walletId' | 'pools' | 'platformAddresses' | 'platformSync'>,
): AddressProvider {
  const accounts = new Map<string, AccountAddresses>()
  for (const pool of wallet.pools) {
    if (pool.account.type !== 'platform_payment') continue
    accounts.set(accountName(pool.account), {
      accountIndex: pool.account.index,
      keyClass: pool.account.keyClass,
      hashOfIndex: new Map(),
      indexOfHash: new Map(),
    })
  }
  const found = placeRows(wallet.platformAddresses, accounts)
  // The live pool goes on top; persisted entries outside its window stay.
  for (const pool of wallet.pools) {
    const account = accounts.get(accountName(pool.account))
    if (account === undefined) continue
    for (let index = 0; index < entryCount(pool); index++) {
      place(account, index, toHex(entryAt(pool, index).hash160))
    }
  }
  return {
    find(hash) {
      for (const { accountIndex, indexOfHash } of accounts.values()) {
        const addressIndex = indexOfHash.get(hash)
        if (addressIndex !== undefined) return { accountIndex, addressIndex }
      }
      return undefined
    },
    get size() {
      return [...accounts.values()].reduce((sum, { indexOfHash }) => sum + indexOfHash.size, 0)
    },
    balance: () => balanceOf(found, wallet.platformSync.syncHeight),
  }
}

function place(account: AccountAddresses, index: number, hash: string): void {
  const before = account.hashOfIndex.get(index)
  if (before !== undefined) account.indexOfHash.delete(before)
  account.hashOfIndex.set(index, hash)
  account.indexOfHash.set(hash, index)
}

const isFunded = (row: PlatformAddressRow): boolean => row.balanceCredits > 0n || row.nonce > 0n

/** Reads rows in a fixed order, so the result does not depend on how storage returns them. */
function placeRows(
  rows: readonly PlatformAddressRow[],
  accounts: ReadonlyMap<string, AccountAddresses>,
): readonly PlatformAddressRow[] {
  const winners = new Map<string, PlatformAddressRow>()
  for (const row of [...rows].sort(byPlaceThenHeight)) {
    const account = [...accounts.values()].find(
      (a) => a.accountIndex === row.accountIndex && a.keyClass === row.keyClass,
    )
    if (account === undefined) throw new PlatformStateMismatch(row.accountIndex)
    const slot = `${row.keyClass}/${row.accountIndex}/${row.addressIndex}`
    // An empty row never takes an index from another one; between funded rows the later one wins.
    if (winners.has(slot) && !isFunded(row)) continue
    winners.set(slot, row)
    place(account, row.addressIndex, toHex(row.hash160))
  }
  return [...winners.values()]
}

function byPlaceThenHeight(a: PlatformAddressRow, b: PlatformAddressRow): number {
  return (
    a.accountIndex - b.accountIndex ||
    a.addressIndex - b.addressIndex ||
    Number(a.asOfHeight - b.asOfHeight) ||
    Buffer.compare(a.hash160, b.hash160)
  )
}

function balanceOf(rows: readonly PlatformAddressRow[], syncHeight: bigint): Reading<bigint> {
  if (rows.length === 0 && syncHeight === 0n) {
    return {
      kind: 'unavailable',
      source: 'dash',
      cause: new Error('dash: the balance of this wallet was never read'),
    }
  }
  return {
    kind: 'known',
    value: rows.reduce((sum, row) => sum + row.balanceCredits, 0n),
    heightBlocks: rows.reduce(
      (height, row) => (row.asOfHeight > height ? row.asOfHeight : height),
      syncHeight,
    ),
  }
}

/** A stored address names an account that the wallet does not have; the wallet is unusable, not the store. */
export class PlatformStateMismatch extends RangeError {
  constructor(accountIndex: number) {
    super(`platform addresses: account ${accountIndex} is not one of the wallet's`)
  }
}
