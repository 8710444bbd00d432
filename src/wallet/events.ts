import type { Generation, WalletId } from '../base/ids.js'
import type { Logger } from '../base/log.js'
import type { PersistenceKind } from '../base/persistence.js'

/** What a wallet manager tells its listeners; in order for each wallet. */
export type WalletEvent =
  /** The wallet is durable and reachable: a listener may call `get(id)`. Once per registration. */
  | { readonly type: 'walletRegistered'; readonly id: WalletId; readonly generation: Generation }
  | { readonly type: 'walletLoaded'; readonly id: WalletId; readonly generation: Generation }
  | { readonly type: 'walletSkippedOnLoad'; readonly id: WalletId; readonly reason: string }
  | { readonly type: 'walletUnloaded'; readonly id: WalletId; readonly generation: Generation }
  | { readonly type: 'walletQuarantined'; readonly id: WalletId; readonly reason: string }
  | {
      readonly type: 'registrationRecovered'
      readonly id: WalletId
      readonly action: 'discarded' | 'completed'
    }
  | {
      readonly type: 'persistenceError'
      readonly id: WalletId
      readonly kind: PersistenceKind
      readonly phase: string
    }

export type WalletListener = (event: WalletEvent) => void

/** Delivers events at once and in order; a listener that throws is logged and affects nobody else. */
export type Events = {
  readonly emit: (event: WalletEvent) => void
  /** Returns the function that removes the listener. */
  readonly on: (listener: WalletListener) => () => void
}

export function createEvents(log: Logger): Events {
  const listeners = new Set<WalletListener>()
  return {
    emit(event) {
      for (const listener of [...listeners]) {
        try {
          listener(event)
        } catch (error) {
          log.warn({ event: event.type, id: event.id, error }, 'a wallet event listener threw')
        }
      }
    },
    on(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
