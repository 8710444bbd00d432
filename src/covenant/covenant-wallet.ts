import { HoldfastError, unreachable } from '../base/errors.js'
import type { WalletChainData, WalletState } from '../chain/ethereum/reader.js'
import type { Hex } from './request.js'
import { rule } from './validate-fields.js'

/** The one state of a wallet in which covenants are signed and certificates hold. */
const signingState: WalletState = 'Live'

export function isSigningState(state: WalletState): boolean {
  return state === signingState
}

/**
 * Refuses a wallet that is closing, moving its funds or gone: a state is in no hash, so it is looked at on every use.
 *
 * @param name field that names the wallet
 * @throws InvalidInput
 */
export function requireLive({ state }: WalletChainData, name: string): void {
  rule(
    isSigningState(state),
    `${name} resolves to a wallet in state [${state}] that is not eligible for covenant signing`,
  )
}

/**
 * What the registry holds of a live wallet.
 *
 * @remarks Call `requireLive` first: closing a wallet deletes its entry, which is no outage.
 * @throws WalletRegistryUnavailable when nothing can be told of it: fails closed (engine specification, 8.5)
 */
export function requireRegistered(wallet: WalletChainData): {
  readonly membersIdsHash: Hex
  /** X and Y, 64 bytes. */
  readonly publicKey: Hex
} {
  const { registry } = wallet
  switch (registry.status) {
    case 'available':
      return registry
    case 'unavailable':
      throw new WalletRegistryUnavailable(wallet, `unavailable: ${registry.cause}`)
    case 'absent':
      throw new WalletRegistryUnavailable(
        wallet,
        'inconsistent: it holds no such wallet, and the Bridge says it is Live',
      )
    case 'inconsistent':
      throw new WalletRegistryUnavailable(wallet, `inconsistent: ${registry.detail}`)
    default:
      return unreachable(registry)
  }
}

/** The wallet registry tells nothing of a wallet that can be relied on; nothing is verified or issued without it. */
export class WalletRegistryUnavailable extends HoldfastError {
  readonly code = 'WalletRegistryUnavailable'
  constructor(
    { walletId, registryAddress }: Pick<WalletChainData, 'walletId' | 'registryAddress'>,
    problem: string,
  ) {
    super(`wallet registry ${problem}, wallet ${walletId}, registry ${registryAddress}`, {
      retry: 'safe',
      remedy:
        'Check that the Ethereum endpoints can read the named registry; the call can be repeated.',
    })
  }
}
