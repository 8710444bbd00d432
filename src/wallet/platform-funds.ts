import { toHex } from '../base/bytes.js'
import type { AddressFunds } from '../chain/reader.js'
import { type Account, accountName } from './account.js'
import type { PlatformAddressRow } from './changeset.js'
import { parseXpub } from './extended-key.js'
import type { Network } from './network.js'
import { chainKeys, entryAt, entryCount, markUsed, type Pool } from './pool.js'

const isPlatform = (pool: Pool): boolean =>
  pool.account.type === 'platform_payment' && pool.chain === 'single'

/** Every Platform payment address of the pools, by its hash in hex. */
export function platformHashes(pools: readonly Pool[]): ReadonlyMap<string, Uint8Array> {
  const hashes = new Map<string, Uint8Array>()
  for (const pool of pools.filter(isPlatform)) {
    for (let index = 0; index < entryCount(pool); index++) {
      const { hash160 } = entryAt(pool, index)
      hashes.set(toHex(hash160), hash160)
    }
  }
  return hashes
}

/**
 * Puts what a source proved into the pools: funded addresses are used, and their pools grow past them.
 *
 * @returns the new pools, and a row for every funded address
 */
export function withFunds(
  wallet: { readonly network: Network; readonly accounts: readonly Account[] },
  pools: readonly Pool[],
  funds: readonly AddressFunds[],
  asOfHeight: bigint,
): { readonly pools: readonly Pool[]; readonly rows: readonly PlatformAddressRow[] } {
  const funded = new Map(funds.map((one) => [toHex(one.hash160), one]))
  const rows: PlatformAddressRow[] = []
  const after = pools.map((before) => {
    if (!isPlatform(before)) return before
    let pool = before
    for (let index = 0; index < entryCount(before); index++) {
      const { hash160 } = entryAt(before, index)
      const found = funded.get(toHex(hash160))
      if (found === undefined) continue
      pool = markUsed(pool, index, keysOf(wallet, pool))
      const { index: accountIndex, keyClass } = pool.account
      const { balanceCredits, nonce } = found
      rows.push({
        hash160,
        accountIndex,
        keyClass,
        addressIndex: index,
        balanceCredits,
        nonce,
        asOfHeight,
      })
    }
    return pool
  })
  return { pools: after, rows }
}

function keysOf(
  { network, accounts }: { readonly network: Network; readonly accounts: readonly Account[] },
  pool: Pool,
): ReturnType<typeof chainKeys> {
  const name = accountName(pool.account)
  const account = accounts.find((one) => accountName(one) === name)
  if (account === undefined) throw new RangeError(`pool ${name}: the wallet has no such account`)
  return chainKeys(parseXpub(account.xpub, network), pool.account.type, pool.chain)
}
