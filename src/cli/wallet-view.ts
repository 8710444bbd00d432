import type { WalletHandle } from '../wallet/handle.js'
import { renderTable } from './output.js'

/** The part of a wallet that every command prints. */
export function summaryOf(wallet: WalletHandle): {
  walletId: string
  groupId: string
  network: string
  generation: string
  accounts: readonly { type: string; path: string; xpub: string }[]
} {
  return {
    walletId: wallet.id,
    groupId: wallet.groupId,
    network: wallet.network,
    generation: wallet.generation,
    accounts: wallet.accounts.map(({ type, path, xpub }) => ({ type, path, xpub })),
  }
}

/** The accounts of a wallet as text for people; a terminal is too narrow for extended public keys. */
export async function renderAccounts(
  accounts: readonly { type: string; path: string; xpub: string }[],
): Promise<string> {
  const narrow = process.stdout.isTTY === true
  const table = await renderTable({
    columns: narrow ? ['account', 'path'] : ['account', 'path', 'extended public key'],
    rows: accounts.map(({ type, path, xpub }) => (narrow ? [type, path] : [type, path, xpub])),
  })
  return narrow
    ? `${table}\nExtended public keys: add --json to "wallet show" or "wallet derive".`
    : table
}
