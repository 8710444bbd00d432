import { HoldfastError } from '../base/errors.js'
import type { WalletId } from '../base/ids.js'
import { deriveAccount } from './accounts.js'
import type { StoredWallet } from './changeset.js'
import { walletIdOf, withRoot } from './derive.js'

/**
 * Checks that a seed belongs to a stored wallet: it derives the wallet's id, or, for ids made before ids were
 * scoped to a network, the extended key of its BIP-44 account 0.
 *
 * @throws SeedMismatch
 */
export function matchSeed(wallet: StoredWallet, seed: Uint8Array): void {
  const { walletId, network, accounts } = wallet
  const first = accounts.find(({ type, index }) => type === 'standard_bip44' && index === 0)
  const matches = withRoot(
    seed,
    (root) =>
      walletIdOf(root, network) === walletId ||
      (first !== undefined && deriveAccount(root, first, network).account.xpub === first.xpub),
  )
  if (!matches) throw new SeedMismatch(walletId)
}

/** The seed is not the one this wallet was made from; the wallet is untouched. */
export class SeedMismatch extends HoldfastError {
  readonly code = 'SeedMismatch'
  readonly walletId: WalletId
  constructor(walletId: WalletId) {
    super(`wallet ${walletId}: the seed belongs to another wallet or another network`, {
      retry: 'after-fix',
      remedy:
        'Check words, passphrase and network; "holdfast wallet derive" shows the id they make.',
    })
    this.walletId = walletId
  }
}
