import type { Clock } from '../../base/clock.js'
import { warnedWalletsMax } from '../../base/limits.js'
import type { Logger } from '../../base/log.js'
import type { WalletChainData } from './reader.js'

/** Milliseconds between two warnings of one wallet. */
const warnEveryMs = 60_000

/** States in which a wallet has no registry entry any more. */
const goneStates: readonly string[] = ['Closed', 'Terminated']

/** Warns of wallets whose registry entry is away or wrong, once a minute and wallet. */
export function walletWarnings(
  log: Logger,
  clock: Clock,
): (wallet: WalletChainData, source: string) => void {
  const warned = new Map<string, { readonly atMs: number; readonly unsaid: number }>()
  return (wallet, source) => {
    const problem = problemOf(wallet)
    if (problem === undefined) return
    const { walletId, registryAddress, state } = wallet
    const last = warned.get(walletId)
    const sinceMs = last === undefined ? warnEveryMs : clock.nowMs() - last.atMs
    if (last !== undefined && sinceMs >= 0 && sinceMs < warnEveryMs) {
      warned.set(walletId, { ...last, unsaid: last.unsaid + 1 })
      return
    }
    // Set anew at the end: the first entry is the one that was warned of longest ago.
    warned.delete(walletId)
    const [oldest] = warned.keys()
    if (warned.size >= warnedWalletsMax && oldest !== undefined) warned.delete(oldest)
    warned.set(walletId, { atMs: clock.nowMs(), unsaid: 0 })
    const fields = { walletId, registryAddress, state, source, unsaid: last?.unsaid ?? 0 }
    log.warn({ ...fields, ...problem.fields }, problem.message)
  }
}

type Problem = {
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

function problemOf({ registry, state }: WalletChainData): Problem | undefined {
  switch (registry.status) {
    case 'available':
      return undefined
    case 'absent':
      return goneStates.includes(state)
        ? undefined
        : { message: 'the wallet registry has no entry of a wallet in use', fields: {} }
    case 'inconsistent':
      return {
        message: 'Bridge and wallet registry contradict each other',
        fields: { detail: registry.detail },
      }
    case 'unavailable':
      return {
        message: `wallet registry unavailable: ${registry.cause}`,
        fields: { cause: registry.cause, detail: registry.detail },
      }
  }
}
