import { blobBytesMax } from '../base/limits.js'
import { type AccountKey, accountTypes } from '../wallet/account.js'
import type { Changeset, PlatformAddressRow } from '../wallet/changeset.js'
import { networks } from '../wallet/network.js'
import { chains, entryBytes, type Pool } from '../wallet/pool.js'

/** Largest amount or height that a column of 64 signed bits holds. */
const integerMax = 2n ** 63n - 1n
const indexMax = 2 ** 32 - 1

/**
 * Checks that a changeset can be stored and read back as it is.
 *
 * @throws RangeError naming the field; never its bytes
 */
export function checkChangeset(changeset: Changeset): void {
  const { walletId, groupId, accounts, pools, platformAddresses, platformSync } = changeset
  want(/^[0-9a-f]{64}$/.test(walletId), 'wallet id: want 64 lower-case hex digits')
  want(/^[0-9a-f]{64}$/.test(groupId), 'group id: want 64 lower-case hex digits')
  want(networks.includes(changeset.network), 'network: want one of the four')
  wantIndex(changeset.birthHeight, 'birth height')
  wantTime(changeset.createdAtMs, 'created at')
  want(accounts.length > 0, 'accounts: want at least one')
  for (const account of accounts) {
    checkKey(account)
    want(account.path !== '' && account.xpub !== '', 'account: want a path and a public key')
  }
  for (const pool of pools) checkPool(pool, accounts)
  for (const row of platformAddresses) checkPlatformAddress(row, accounts)
  wantInteger(platformSync.syncHeight, 'sync height')
  wantInteger(platformSync.syncTimestampS, 'sync timestamp')
  wantInteger(platformSync.lastKnownRecentBlock, 'last known block')
}

/** Whether two keys name the same account. */
export function sameAccount(a: AccountKey, b: AccountKey): boolean {
  return (
    a.type === b.type &&
    a.index === b.index &&
    a.keyClass === b.keyClass &&
    Buffer.compare(a.ownIdentity, b.ownIdentity) === 0 &&
    Buffer.compare(a.contactIdentity, b.contactIdentity) === 0
  )
}

/** Whether the pool's account is there. Node keys need none: Ed25519 has no extended public key. */
export function hasAccount(pool: Pool, accounts: readonly AccountKey[]): boolean {
  return (
    pool.chain === 'single_hardened' ||
    accounts.some((account) => sameAccount(account, pool.account))
  )
}

/** Whether this address belongs to that account. */
export function isOfAccount(row: PlatformAddressRow, key: AccountKey): boolean {
  return (
    key.type === 'platform_payment' &&
    key.index === row.accountIndex &&
    key.keyClass === row.keyClass
  )
}

function checkKey(key: AccountKey): void {
  want(accountTypes.includes(key.type), 'account type: not known')
  wantIndex(key.index, 'account index')
  wantIndex(key.keyClass, 'key class')
  want(key.ownIdentity.length === 32, 'own identity: want 32 bytes')
  want(key.contactIdentity.length === 32, 'contact identity: want 32 bytes')
}

function checkPool(pool: Pool, accounts: readonly AccountKey[]): void {
  checkKey(pool.account)
  want(chains.includes(pool.chain), 'chain: not known')
  wantIndex(pool.gap, 'gap')
  if (pool.highestUsed !== undefined) wantIndex(pool.highestUsed, 'highest used index')
  want(pool.entries.length <= blobBytesMax, `pool: want at most ${blobBytesMax} bytes of entries`)
  want(pool.entries.length % entryBytes === 0, `pool: want whole entries of ${entryBytes} bytes`)
  want(hasAccount(pool, accounts), 'pool: its account is not in the changeset')
}

function checkPlatformAddress(row: PlatformAddressRow, accounts: readonly AccountKey[]): void {
  want(row.hash160.length === 20, 'platform address: want 20 bytes')
  wantIndex(row.addressIndex, 'address index')
  want(
    accounts.some((account) => isOfAccount(row, account)),
    'platform address: its account is not in the changeset',
  )
  wantInteger(row.balanceCredits, 'balance')
  wantInteger(row.nonce, 'nonce')
  wantInteger(row.asOfHeight, 'height of a balance')
}

function wantIndex(value: number, what: string): void {
  want(Number.isInteger(value) && value >= 0 && value <= indexMax, `${what}: want 0 to 2^32 - 1`)
}

function wantTime(value: number, what: string): void {
  want(Number.isSafeInteger(value) && value >= 0, `${what}: want whole milliseconds since 1970`)
}

function wantInteger(value: bigint, what: string): void {
  want(value >= 0n && value <= integerMax, `${what}: want 0 to 2^63 - 1`)
}

function want(condition: boolean, message: string): void {
  if (!condition) throw new RangeError(message)
}
