import { neverAborted } from '../base/abort.js'
import { HoldfastError } from '../base/errors.js'
import type { WalletId } from '../base/ids.js'
import { persistenceKindOf } from '../base/persistence.js'
import type { Events } from './events.js'
import { MalformedXpub, parseXpub } from './extended-key.js'
import { type LiveWallet, type Registry, WalletNotFound } from './live.js'
import { createProvider, PlatformStateMismatch } from './provider.js'
import type { WalletQueues } from './queue.js'
import { PersisterLoad, WalletAlreadyExists, WalletQuarantined } from './register.js'
import type { Corruption, CorruptKind, ReadOutcome, WalletStore } from './store.js'

export type LoadDeps = {
  readonly store: WalletStore
  readonly registry: Registry
  readonly queues: WalletQueues
  readonly events: Events
}

export type Skipped = {
  readonly walletId: WalletId
  readonly reason: 'alreadyRegistered' | CorruptKind
  readonly detail: string
}

/** What one pass over the store brought up; one bad wallet never stops the others. */
export type LoadOutcome = {
  readonly kind: 'loaded' | 'partial' | 'noneUsable'
  readonly loaded: readonly WalletId[]
  readonly skipped: readonly Skipped[]
}

/**
 * Brings every active wallet into memory.
 *
 * @throws PersisterLoad when the storage itself cannot be read; wallets brought up by this pass are then gone again.
 * @remarks Calling it again is a no-op for wallets already there. A damaged wallet is quarantined and skipped.
 */
export async function loadAllWallets(deps: LoadDeps): Promise<LoadOutcome> {
  const loaded: LiveWallet[] = []
  const skipped: Skipped[] = []
  try {
    for (const id of await deps.store.list()) {
      const result = await deps.queues.run(id, neverAborted, () => loadOne(deps, id))
      if (result.kind === 'wallet') loaded.push(result.wallet)
      else if (result.kind === 'skipped') skipped.push(result.skipped)
    }
    for (const { walletId, corruption } of await deps.store.quarantined()) {
      if (skipped.some((skip) => skip.walletId === walletId)) continue
      skipped.push(skip(deps, walletId, corruption).skipped)
    }
    for (const id of await deps.store.lost()) {
      skipped.push(skip(deps, id, { kind: 'lost', detail: lostDetail }).skipped)
    }
  } catch (cause) {
    // Only what this pass inserted goes: a wallet registered meanwhile under one of these ids has another generation.
    for (const { stored } of loaded) deps.registry.remove(stored.walletId, stored.generation)
    throw new PersisterLoad(undefined, cause)
  }
  const damaged = skipped.filter((skip) => skip.reason !== 'alreadyRegistered')
  return {
    kind: outcomeKind(loaded.length, skipped.length, damaged.length),
    loaded: loaded.map(({ stored }) => stored.walletId),
    skipped,
  }
}

const lostDetail = 'the inventory names this wallet and the database does not hold it'

function outcomeKind(loaded: number, skipped: number, damaged: number): LoadOutcome['kind'] {
  if (damaged === 0) return 'loaded'
  return loaded === 0 && skipped === damaged ? 'noneUsable' : 'partial'
}

type OneOutcome =
  | { readonly kind: 'wallet'; readonly wallet: LiveWallet }
  | { readonly kind: 'skipped'; readonly skipped: Skipped }
  | { readonly kind: 'absent' }

async function loadOne(deps: LoadDeps, id: WalletId): Promise<OneOutcome> {
  if (deps.registry.find(id)) {
    return {
      kind: 'skipped',
      skipped: { walletId: id, reason: 'alreadyRegistered', detail: 'it is in memory already' },
    }
  }
  const outcome = await deps.store.read(id)
  // It was deleted, or set aside, since the list was read.
  if (outcome.kind === 'absent') return { kind: 'absent' }
  const built = build(outcome)
  if (built.kind === 'damaged') {
    // There are no rows of a lost wallet that could be set aside.
    const lost = built.corruption.kind === 'lost'
    return lost ? skip(deps, id, built.corruption) : quarantine(deps, id, built.corruption)
  }
  deps.registry.publish(built.wallet)
  deps.events.emit({ type: 'walletLoaded', id, generation: built.wallet.stored.generation })
  return built
}

function build(
  outcome: Exclude<ReadOutcome, { kind: 'absent' }>,
):
  | { readonly kind: 'wallet'; readonly wallet: LiveWallet }
  | { readonly kind: 'damaged'; readonly corruption: Corruption } {
  if (outcome.kind === 'damaged') return outcome
  const { wallet } = outcome
  try {
    for (const { xpub } of wallet.accounts) parseXpub(xpub, wallet.network)
    return { kind: 'wallet', wallet: { stored: wallet, provider: createProvider(wallet) } }
  } catch (error) {
    const kind = corruptKindOf(error)
    if (kind === undefined) throw error
    return { kind: 'damaged', corruption: { kind, detail: (error as Error).message } }
  }
}

function corruptKindOf(error: unknown): CorruptKind | undefined {
  if (error instanceof MalformedXpub) return 'malformedXpub'
  return error instanceof PlatformStateMismatch ? 'platformStateMismatch' : undefined
}

async function quarantine(
  deps: LoadDeps,
  id: WalletId,
  corruption: Corruption,
): Promise<OneOutcome> {
  try {
    await deps.store.quarantine(id, corruption)
    deps.events.emit({ type: 'walletQuarantined', id, reason: corruption.kind })
  } catch (error) {
    // The wallet is skipped all the same; it will be set aside at the next load that can write.
    const kind = persistenceKindOf(error) ?? 'fatal'
    deps.events.emit({ type: 'persistenceError', id, kind, phase: 'quarantine' })
  }
  return skip(deps, id, corruption)
}

function skip(
  deps: LoadDeps,
  walletId: WalletId,
  corruption: Corruption,
): Extract<OneOutcome, { kind: 'skipped' }> {
  deps.events.emit({ type: 'walletSkippedOnLoad', id: walletId, reason: corruption.kind })
  return {
    kind: 'skipped',
    skipped: { walletId, reason: corruption.kind, detail: corruption.detail },
  }
}

/**
 * Brings one wallet into memory; the way on from `WalletAlreadyExists` with `where: 'storage'`.
 *
 * @throws WalletNotFound, WalletQuarantined, WalletLost, PersisterLoad
 */
export function loadWallet(deps: LoadDeps, id: WalletId, signal: AbortSignal): Promise<LiveWallet> {
  return deps.queues.run(id, signal, async () => {
    const present = deps.registry.find(id)
    if (present) return present
    const result = await loadOne(deps, id).catch((cause: unknown) => {
      throw new PersisterLoad(id, cause)
    })
    if (result.kind === 'wallet') return result.wallet
    if (result.kind === 'skipped') throw quarantinedAs(id, result.skipped)
    const status = await deps.store.status(id).catch((cause: unknown) => {
      throw new PersisterLoad(id, cause)
    })
    if (status.kind === 'quarantined') throw new WalletQuarantined(id, status.corruption)
    throw new WalletNotFound(id)
  })
}

function quarantinedAs(id: WalletId, { reason, detail }: Skipped): HoldfastError {
  if (reason === 'alreadyRegistered') return new WalletAlreadyExists(id, 'memory')
  if (reason === 'lost') return new WalletLost(id)
  return new WalletQuarantined(id, { kind: reason, detail })
}

/** The inventory names the wallet and the database does not hold it any more. */
export class WalletLost extends HoldfastError {
  readonly code = 'WalletLost'
  readonly walletId: WalletId
  constructor(walletId: WalletId) {
    super(`wallet ${walletId}: the database has lost it`, {
      retry: 'after-fix',
      remedy: 'Check the disk, then register the wallet again from its words.',
    })
    this.walletId = walletId
  }
}
