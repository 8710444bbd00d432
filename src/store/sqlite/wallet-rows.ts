import { equalBytes, fromHex, toHex } from '../../base/bytes.js'
import type { WalletId } from '../../base/ids.js'
import { type Generation, parseGeneration, parseGroupId, parseWalletId } from '../../base/ids.js'
import { type Account, type AccountKey, accountTypes } from '../../wallet/account.js'
import type { Changeset, PlatformAddressRow, PlatformSync } from '../../wallet/changeset.js'
import { networks } from '../../wallet/network.js'
import { chains, entryBytes, type Pool } from '../../wallet/pool.js'
import { rowDigest } from '../row-digest.js'
import type { Row } from './connection.js'
import type { SqlValue } from './driver.js'

const keyColumns = [
  'account_type',
  'account_index',
  'key_class',
  'own_identity',
  'contact_identity',
] as const

export type WalletTable =
  | 'wallets'
  | 'account_registrations'
  | 'address_pools'
  | 'platform_addresses'
  | 'platform_address_sync'

/** Columns of every table that holds rows of a wallet, `wallet_id` first, without the digest. */
export const walletTables: Readonly<Record<WalletTable, readonly string[]>> = {
  wallets: [
    'wallet_id',
    'network',
    'group_id',
    'generation',
    'birth_height',
    'created_at_ms',
    'account_count',
    'pool_count',
    'platform_address_count',
  ],
  account_registrations: ['wallet_id', ...keyColumns, 'path', 'xpub'],
  address_pools: ['wallet_id', ...keyColumns, 'chain', 'gap', 'highest_used', 'entries'],
  platform_addresses: [
    'wallet_id',
    'hash160',
    'account_index',
    'key_class',
    'address_index',
    'balance_credits',
    'nonce',
    'as_of_height',
  ],
  platform_address_sync: [
    'wallet_id',
    'sync_height',
    'sync_timestamp_s',
    'last_known_recent_block',
  ],
}
export const walletTableNames: readonly WalletTable[] = Object.keys(walletTables) as WalletTable[]

const build = (make: (table: WalletTable) => string): Readonly<Record<WalletTable, string>> =>
  Object.fromEntries(walletTableNames.map((name) => [name, make(name)])) as Record<
    WalletTable,
    string
  >

/** Statements by table; values in the order of `walletTables`, the digest last. */
export const insertInto: Readonly<Record<WalletTable, string>> = build((name) => {
  const columns = walletTables[name]
  const marks = columns.map(() => '?').join(', ')
  return `insert into ${name} (${columns.join(', ')}, digest) values (${marks}, ?)`
})
export const selectFrom: Readonly<Record<WalletTable, string>> = build(
  (name) => `select ${walletTables[name].join(', ')}, digest from ${name} where wallet_id = ?`,
)
export const selectAllWallets: string = `select ${walletTables.wallets.join(', ')}, digest from wallets`
export const deleteFrom: Readonly<Record<WalletTable, string>> = build(
  (name) => `delete from ${name} where wallet_id = ?`,
)

/** A row that is ready to be inserted. */
export type NewRow = { readonly table: WalletTable; readonly values: readonly SqlValue[] }

/** Every row of a wallet, its own first, then accounts, pools, Platform addresses and their sync state. */
export function encodeWallet(changeset: Changeset, generation: Generation): readonly NewRow[] {
  const id = fromHex(changeset.walletId)
  const { accounts, pools, platformAddresses, platformSync } = changeset
  return [
    sealed('wallets', [
      id,
      changeset.network,
      fromHex(changeset.groupId),
      fromHex(generation),
      BigInt(changeset.birthHeight),
      BigInt(changeset.createdAtMs),
      BigInt(accounts.length),
      BigInt(pools.length),
      BigInt(platformAddresses.length),
    ]),
    ...accounts.map((account) =>
      sealed('account_registrations', [id, ...keyValues(account), account.path, account.xpub]),
    ),
    ...pools.map((pool) =>
      sealed('address_pools', [
        id,
        ...keyValues(pool.account),
        pool.chain,
        BigInt(pool.gap),
        pool.highestUsed === undefined ? null : BigInt(pool.highestUsed),
        pool.entries,
      ]),
    ),
    ...platformAddresses.map((row) =>
      sealed('platform_addresses', [
        id,
        row.hash160,
        BigInt(row.accountIndex),
        BigInt(row.keyClass),
        BigInt(row.addressIndex),
        row.balanceCredits,
        row.nonce,
        row.asOfHeight,
      ]),
    ),
    sealed('platform_address_sync', [
      id,
      platformSync.syncHeight,
      platformSync.syncTimestampS,
      platformSync.lastKnownRecentBlock,
    ]),
  ]
}

function sealed(table: WalletTable, values: readonly SqlValue[]): NewRow {
  return { table, values: [...values, rowDigest(table, values)] }
}

function keyValues(key: AccountKey): readonly SqlValue[] {
  return [key.type, BigInt(key.index), BigInt(key.keyClass), key.ownIdentity, key.contactIdentity]
}

/** Whether the last value of a row is the digest of the others. */
export function isIntact(table: string, row: Row): boolean {
  const digest = row.at(-1)
  if (!(digest instanceof Uint8Array)) return false
  // A flipped type makes a float of an integer; no column holds one.
  if (row.some((value) => typeof value === 'number')) return false
  return equalBytes(digest, rowDigest(table, row.slice(0, -1)))
}

/** The decoded row, or nothing when a value is not of its type: one bad row must not stop the others. */
export function decodeOrSkip<T>(row: Row, decode: (row: Row) => T): T[] {
  try {
    return [decode(row)]
  } catch (error) {
    if (error instanceof RangeError) return []
    throw error
  }
}

/** What a wallet's own row says. */
export type WalletRow = Pick<
  Changeset,
  'walletId' | 'network' | 'groupId' | 'birthHeight' | 'createdAtMs'
> & {
  readonly generation: Generation
  readonly accountCount: number
  readonly poolCount: number
  readonly platformAddressCount: number
  /** 64 hex digits. */
  readonly digest: string
}

/** @throws RangeError when a value is not of its type; so do all decoders below. */
export function decodeWallet(row: Row): WalletRow {
  const [id, network, groupId, generation, birth, created, accounts, pools, addresses, digest] = row
  return {
    walletId: walletIdOf(id),
    network: memberOf(networks, network, 'network'),
    groupId: parseGroupId(toHex(bytesOf(groupId, 32))),
    generation: parseGeneration(toHex(bytesOf(generation, 16))),
    birthHeight: numberOf(birth),
    createdAtMs: numberOf(created),
    accountCount: numberOf(accounts),
    poolCount: numberOf(pools),
    platformAddressCount: numberOf(addresses),
    digest: toHex(bytesOf(digest, 32)),
  }
}

export function walletIdOf(value: SqlValue | undefined): WalletId {
  return parseWalletId(toHex(bytesOf(value, 32)))
}

export function decodeAccount(row: Row): Account {
  return { ...keyOf(row), path: textOf(row[6]), xpub: textOf(row[7]) }
}

export function decodePool(row: Row): Pool {
  const entries = bytesOf(row[9])
  if (entries.length % entryBytes !== 0) throw new RangeError('pool: a torn entry')
  const highestUsed = row[8]
  return {
    account: keyOf(row),
    chain: memberOf(chains, row[6], 'chain'),
    gap: numberOf(row[7]),
    highestUsed: highestUsed === null ? undefined : numberOf(highestUsed),
    entries,
  }
}

export function decodePlatformAddress(row: Row): PlatformAddressRow {
  return {
    hash160: bytesOf(row[1], 20),
    accountIndex: numberOf(row[2]),
    keyClass: numberOf(row[3]),
    addressIndex: numberOf(row[4]),
    balanceCredits: amountOf(row[5]),
    nonce: amountOf(row[6]),
    asOfHeight: amountOf(row[7]),
  }
}

export function decodePlatformSync(row: Row): PlatformSync {
  return {
    syncHeight: amountOf(row[1]),
    syncTimestampS: amountOf(row[2]),
    lastKnownRecentBlock: amountOf(row[3]),
  }
}

function keyOf(row: Row): AccountKey {
  return {
    type: memberOf(accountTypes, row[1], 'account type'),
    index: numberOf(row[2]),
    keyClass: numberOf(row[3]),
    ownIdentity: bytesOf(row[4], 32),
    contactIdentity: bytesOf(row[5], 32),
  }
}

export function textOf(value: SqlValue | undefined): string {
  if (typeof value !== 'string') throw new RangeError('column: want text')
  return value
}

/** A view on the driver's own copy, as a plain byte array. */
export function bytesOf(value: SqlValue | undefined, length?: number): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new RangeError('column: want bytes')
  if (length !== undefined && value.length !== length) {
    throw new RangeError(`column: want ${length} bytes`)
  }
  return new Uint8Array(value.buffer, value.byteOffset, value.length)
}

export function numberOf(value: SqlValue | undefined): number {
  const number = Number(amountOf(value))
  if (!Number.isSafeInteger(number)) throw new RangeError('column: number too large')
  return number
}

function amountOf(value: SqlValue | undefined): bigint {
  if (typeof value !== 'bigint') throw new RangeError('column: want an integer')
  if (value < 0n) throw new RangeError('column: want no negative number')
  return value
}

function memberOf<T extends string>(
  list: readonly T[],
  value: SqlValue | undefined,
  what: string,
): T {
  const member = list.find((one) => one === value)
  if (member === undefined) throw new RangeError(`column: ${what} is not known`)
  return member
}
