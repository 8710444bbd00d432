import { fromHex } from '../../base/bytes.js'
import type { WalletId } from '../../base/ids.js'
import type { Corruption, CorruptKind, ReadOutcome } from '../../wallet/store.js'
import { inOrder } from '../canonical-order.js'
import { hasAccount, isOfAccount } from '../check-changeset.js'
import type { Connection, Row } from './connection.js'
import type { Inventory } from './inventory.js'
import {
  decodeAccount,
  decodePlatformAddress,
  decodePlatformSync,
  decodePool,
  decodeWallet,
  isIntact,
  selectFrom,
  type WalletRow,
  type WalletTable,
} from './wallet-rows.js'

/**
 * Reads one wallet and believes nothing: every digest, every count, every value and the inventory must agree.
 *
 * @throws the driver's errors
 */
export function readWallet(
  connection: Connection,
  inventory: Inventory,
  id: WalletId,
): ReadOutcome {
  const key = fromHex(id)
  const own = connection.row(selectFrom.wallets, key)
  if (own === undefined) return { kind: 'absent' }
  try {
    const select = (table: WalletTable): readonly Row[] =>
      intact(table, connection.rows(selectFrom[table], key))
    const wallet = decodeOwn(own, id, inventory)
    const accounts = select('account_registrations').map(decodeAccount)
    const pools = select('address_pools').map(decodePool)
    const platformAddresses = select('platform_addresses').map(decodePlatformAddress)
    const [sync, ...more] = select('platform_address_sync').map(decodePlatformSync)
    if (accounts.length === 0) throw new Damage('missingManifest', 'it has no account rows')
    count('account', accounts.length, wallet.accountCount)
    count('pool', pools.length, wallet.poolCount)
    count('Platform address', platformAddresses.length, wallet.platformAddressCount)
    count('sync state', more.length + (sync === undefined ? 0 : 1), 1)
    if (sync === undefined) throw new Damage('manifestIntegrityMismatch', 'no sync state')
    if (!pools.every((pool) => hasAccount(pool, accounts))) {
      throw new Damage('snapshotIdentityMismatch', 'a pool names an account that is not there')
    }
    if (!platformAddresses.every((row) => accounts.some((one) => isOfAccount(row, one)))) {
      throw new Damage('platformStateMismatch', 'an address names an account that is not there')
    }
    return {
      kind: 'wallet',
      wallet: {
        walletId: wallet.walletId,
        groupId: wallet.groupId,
        network: wallet.network,
        generation: wallet.generation,
        birthHeight: wallet.birthHeight,
        createdAtMs: wallet.createdAtMs,
        accounts: inOrder.accounts(accounts),
        pools: inOrder.pools(pools),
        platformAddresses: inOrder.platformAddresses(platformAddresses),
        platformSync: sync,
      },
    }
  } catch (error) {
    return { kind: 'damaged', corruption: corruptionOf(error) }
  }
}

function decodeOwn(row: Row, id: WalletId, inventory: Inventory): WalletRow {
  intact('wallets', [row])
  const wallet = decodeWallet(row)
  if (wallet.walletId !== id) {
    throw new Damage('snapshotIdentityMismatch', 'its own row names another wallet')
  }
  const verdict = inventory.judge(wallet)
  if (verdict === 'superseded') {
    throw new Damage('manifestIntegrityMismatch', 'an older state of it came back')
  }
  if (verdict === 'changed') {
    throw new Damage('manifestIntegrityMismatch', 'its row differs from the inventory')
  }
  return wallet
}

function intact(table: WalletTable, rows: readonly Row[]): readonly Row[] {
  const bad = rows.find((row) => !isIntact(table, row))
  if (bad === undefined) return rows
  const problem = bad.at(-1) === null ? 'no digest' : 'a digest that does not fit'
  throw new Damage('manifestIntegrityMismatch', `a row of ${table} has ${problem}`)
}

function count(what: string, found: number, expected: number): void {
  if (found === expected) return
  const detail = `${found} ${what} rows, want ${expected}`
  throw new Damage('manifestIntegrityMismatch', detail)
}

/** Turns what a reading stumbled over into an answer. */
function corruptionOf(error: unknown): Corruption {
  if (error instanceof Damage) return { kind: error.kind, detail: error.message }
  // Decoders throw RangeError; a storage error is not an answer about the wallet.
  if (error instanceof RangeError) return { kind: 'decodeError', detail: error.message }
  throw error
}

class Damage extends Error {
  readonly kind: CorruptKind
  constructor(kind: CorruptKind, detail: string) {
    super(detail)
    this.kind = kind
  }
}
