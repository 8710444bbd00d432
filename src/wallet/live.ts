import { HoldfastError } from '../base/errors.js'
import type { Generation, WalletId } from '../base/ids.js'
import type { StoredWallet } from './changeset.js'
import type { AddressProvider } from './provider.js'

/** A registered wallet in memory: what is stored, and its Platform addresses. No keys. */
export type LiveWallet = {
  readonly stored: StoredWallet
  readonly provider: AddressProvider
}

/** The wallets that are reachable. Entries leave by generation, never by id alone. */
export type Registry = {
  readonly publish: (wallet: LiveWallet) => void
  readonly find: (id: WalletId) => LiveWallet | undefined
  /** Removes the wallet only while it still is this generation; answers whether it did. */
  readonly remove: (id: WalletId, generation: Generation) => boolean
  /** Sorted by id. */
  readonly list: () => readonly LiveWallet[]
}

export function createRegistry(): Registry {
  const wallets = new Map<WalletId, LiveWallet>()
  return {
    publish(wallet) {
      wallets.set(wallet.stored.walletId, wallet)
    },
    find: (id) => wallets.get(id),
    remove(id, generation) {
      if (wallets.get(id)?.stored.generation !== generation) return false
      return wallets.delete(id)
    },
    list: () =>
      [...wallets.values()].sort((a, b) => (a.stored.walletId < b.stored.walletId ? -1 : 1)),
  }
}

export class WalletNotFound extends HoldfastError {
  readonly code = 'WalletNotFound'
  readonly walletId: WalletId
  constructor(walletId: WalletId) {
    super(`wallet ${walletId}: not found`, {
      retry: 'after-fix',
      remedy: 'Check the id with "holdfast wallet list", or register the wallet.',
    })
    this.walletId = walletId
  }
}

/** The handle belongs to a wallet that was unloaded or replaced. */
export class StaleGeneration extends HoldfastError {
  readonly code = 'StaleGeneration'
  readonly walletId: WalletId
  constructor(walletId: WalletId) {
    super(`wallet ${walletId}: this handle belongs to an earlier generation of the wallet`, {
      retry: 'never',
      remedy: 'Take a new handle with get(id) and decide again.',
    })
    this.walletId = walletId
  }
}
