import type { FaultPoints } from '../base/fault-points.js'
import { type AttemptId, attemptTag, type Generation, type WalletId } from '../base/ids.js'
import type { SecretRef, Vault } from '../vault/vault.js'

/** Something a finished registration wants its caller to know; the wallet itself is registered. */
export type Warning =
  /** The secret still has its staged name; the next open, or the next unlock of the vault, moves it. */
  | 'secretPendingFinalise'
  /** Another secret had the label; it was kept under a `.previous-` name. */
  | 'secretDisplaced'

/** Gives a staged secret its final name after the commit; a failure is a warning, never an undo. */
export async function finaliseSecret(
  vault: Vault,
  faults: FaultPoints,
  ref: SecretRef,
  attempt: AttemptId | Generation,
): Promise<Warning | undefined> {
  try {
    await faults.pause('secret.finalise.before')
    const outcome = await vault.finalise(ref, attemptTag(attempt))
    await faults.pause('secret.finalise.after')
    return outcome === 'displaced' ? 'secretDisplaced' : undefined
  } catch {
    // The wallet is committed: the staged secret stays and recovery gives it its name.
    return 'secretPendingFinalise'
  }
}

/** Where the seed of a wallet is kept. */
export const secretRef = (walletId: WalletId, label: string): SecretRef => ({ walletId, label })
