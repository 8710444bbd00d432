import { createHash } from 'node:crypto'
import { parseGroupId, parseWalletId } from '../base/ids.js'
import type { Account, AccountKey, AccountType } from '../wallet/account.js'
import type { Changeset } from '../wallet/changeset.js'
import { type Chain, entryBytes, type Pool } from '../wallet/pool.js'

/**
 * A small wallet of made-up bytes: 2 accounts, 3 pools, 1 Platform address; the same number gives the same wallet.
 *
 * @param number 1 to 255; ids sort by it
 */
export function sampleChangeset(number: number): Changeset {
  const first = number.toString(16).padStart(2, '0')
  const accounts = [account(number, 'standard_bip44'), account(number, 'platform_payment')]
  const [bip44, payment] = accounts.map(({ path: _path, xpub: _xpub, ...key }) => key)
  if (bip44 === undefined || payment === undefined) throw new RangeError('sample: no accounts')
  return {
    walletId: parseWalletId(first + bytes(`wallet ${number}`, 31).toString('hex')),
    groupId: parseGroupId(bytes(`group ${number}`, 32).toString('hex')),
    network: 'testnet',
    birthHeight: 1000 + number,
    createdAtMs: 1_700_000_000_000 + number,
    accounts,
    pools: [
      pool(number, bip44, 'external', undefined),
      pool(number, bip44, 'internal', 0),
      pool(number, payment, 'external', 3),
    ],
    platformAddresses: [
      {
        hash160: new Uint8Array(bytes(`address ${number}`, 20)),
        accountIndex: 0,
        keyClass: 0,
        addressIndex: 3,
        balanceCredits: 2n ** 63n - 1n,
        nonce: BigInt(number),
        asOfHeight: 12n,
      },
    ],
    platformSync: { syncHeight: 12n, syncTimestampS: 1_700_000_000n, lastKnownRecentBlock: 11n },
  }
}

function account(number: number, type: AccountType): Account {
  const zeros = (): Uint8Array => new Uint8Array(32)
  const key = { type, index: 0, keyClass: 0, ownIdentity: zeros(), contactIdentity: zeros() }
  const xpub = `tpub${bytes(`${type} ${number}`, 32).toString('hex')}`
  return { ...key, path: `m/${number}'/0'`, xpub }
}

function pool(
  number: number,
  key: AccountKey,
  chain: Chain,
  highestUsed: number | undefined,
): Pool {
  const entries = new Uint8Array(bytes(`${key.type} ${chain} ${number}`, 4 * entryBytes))
  return { account: key, chain, gap: 4, highestUsed, entries }
}

/** Repeatable bytes for a name. */
function bytes(name: string, length: number): Buffer {
  return createHash('shake256', { outputLength: length }).update(name).digest()
}
