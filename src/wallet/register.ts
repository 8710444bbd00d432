import { Aborted, HoldfastError, throwIfAborted } from '../base/errors.js'
import type { FaultPoints } from '../base/fault-points.js'
import {
  type AttemptId,
  attemptTag,
  type Generation,
  newAttemptId,
  type WalletId,
} from '../base/ids.js'
import { type PersistenceKind, persistenceKindOf, StoreFailed } from '../base/persistence.js'
import { type Vault, VaultLocked } from '../vault/vault.js'
import type { Changeset } from './changeset.js'
import type { Events } from './events.js'
import { finaliseSecret, secretRef, type Warning } from './finalise.js'
import type { LiveWallet, Registry } from './live.js'
import type { WalletQueues } from './queue.js'
import { type RestoreDeps, type Restored, RestoreFailed, restoreCandidate } from './restore.js'
import type { Corruption, WalletStore } from './store.js'

export type RegisterDeps = RestoreDeps & {
  readonly store: WalletStore
  readonly vault: Vault | undefined
  readonly registry: Registry
  readonly queues: WalletQueues
  readonly events: Events
  readonly faults: FaultPoints
  /** Failed attempts of this process whose removal could not be finished. */
  readonly leftovers: Leftover[]
}

/** What a failed attempt left: a journal row, and perhaps a staged secret. It blocks nobody. */
export type Leftover = {
  readonly walletId: WalletId
  readonly attempt: AttemptId
  readonly secretLabel: string | undefined
}

/** A wallet that is derived and not registered yet. */
export type Registration = {
  readonly candidate: Changeset
  /** Explicit birth height in blocks; `undefined` asks the chain. */
  readonly birthHeight: number | undefined
  /** The seed to keep in the vault, and under which label; the caller wipes it. */
  readonly secret:
    | {
        readonly seed: Uint8Array
        readonly label: string
        readonly objectPassword?: Uint8Array
      }
    | undefined
  readonly replaceQuarantined: boolean
}

export type Registered = { readonly wallet: LiveWallet; readonly warnings: readonly Warning[] }

/** How far a registration has come; decides what its failure is called and what must be undone. */
type Phase = 'reserve' | 'secret' | 'restore' | 'promote'

/**
 * Registers a wallet all or nothing: afterwards it is durable and in memory, or nothing of it exists.
 *
 * Reads top to bottom as the protocol: refuse, reserve, stage the secret, restore, promote (the commit point),
 * publish, finalise the secret. Before the commit every failure rolls back, after it everything rolls forward.
 *
 * @throws WalletAlreadyExists, WalletQuarantined, VaultLocked, PersisterLoad, PersisterReserve, SecretStage,
 * RestoreFailed, PersisterPromote, PromoteOutcomeUnknown, Aborted, QueueFull
 * @remarks A process that dies at any instruction leaves a journal row and perhaps a staged secret; the next open
 * removes both, or finishes the secret when the commit was reached.
 */
export function registerWallet(
  deps: RegisterDeps,
  registration: Registration,
  signal: AbortSignal,
): Promise<Registered> {
  const { walletId } = registration.candidate
  return deps.queues.run(walletId, signal, async () => {
    await refuseExisting(deps, registration)
    const attempt = newAttemptId()
    const { restored, generation } = await commit(deps, registration, attempt, signal)
    return rollForward(deps, registration, restored, generation)
  })
}

async function refuseExisting(deps: RegisterDeps, registration: Registration): Promise<void> {
  const { walletId } = registration.candidate
  if (deps.registry.find(walletId)) throw new WalletAlreadyExists(walletId, 'memory')
  if (registration.secret && deps.vault?.locked !== false) throw new VaultLocked()
  const status = await deps.store.status(walletId).catch((cause: unknown) => {
    throw new PersisterLoad(walletId, cause)
  })
  if (status.kind === 'active') throw new WalletAlreadyExists(walletId, 'storage')
  if (status.kind === 'quarantined' && !registration.replaceQuarantined) {
    throw new WalletQuarantined(walletId, status.corruption)
  }
}

/** Everything up to and with the commit point. */
async function commit(
  deps: RegisterDeps,
  registration: Registration,
  attempt: AttemptId,
  signal: AbortSignal,
): Promise<{ restored: Restored; generation: Generation }> {
  const { store, vault, faults } = deps
  const { candidate, secret, birthHeight, replaceQuarantined } = registration
  const { walletId } = candidate
  let phase: Phase = 'reserve'
  try {
    await faults.pause('reserve.before')
    await store.reserve({
      walletId,
      attempt,
      createdAtMs: candidate.createdAtMs,
      ...(secret ? { secretLabel: secret.label } : {}),
    })
    await faults.pause('reserve.after')
    phase = 'secret'
    if (secret && vault) {
      await faults.pause('secret.stage.before')
      const ref = secretRef(walletId, secret.label)
      await vault.stage(ref, secret.seed, attempt, secret.objectPassword)
      await faults.pause('secret.stage.after')
    }
    phase = 'restore'
    const restored = await restoreCandidate(deps, candidate, birthHeight, signal)
    throwIfAborted(signal, `wallet ${walletId}`)
    phase = 'promote'
    const generation = await store.promote(attempt, restored.changeset, { replaceQuarantined })
    return { restored, generation }
  } catch (cause) {
    if (phase === 'promote' && cause instanceof StoreFailed && cause.outcome === 'unknown') {
      throw new PromoteOutcomeUnknown(walletId, cause)
    }
    const cleanup = await rollBack(deps, registration, attempt)
    throw failureOf(phase, walletId, cleanup, cause)
  }
}

/** Removes what this attempt made, and only that: its staged secret first, then its journal row. */
async function rollBack(
  deps: RegisterDeps,
  registration: Registration,
  attempt: AttemptId,
): Promise<'done' | 'deferred'> {
  const left: Leftover = {
    walletId: registration.candidate.walletId,
    attempt,
    secretLabel: registration.secret?.label,
  }
  try {
    await removeAttempt(deps, left)
    return 'done'
  } catch {
    // The journal row outlives this failure; the next open, or the next registration of the id, ends the attempt.
    deps.leftovers.push(left)
    await deps.store.markDiscarding([attempt]).catch(() => undefined)
    return 'deferred'
  }
}

async function removeAttempt(deps: RegisterDeps, left: Leftover): Promise<void> {
  if (left.secretLabel !== undefined && deps.vault) {
    const ref = secretRef(left.walletId, left.secretLabel)
    await deps.vault.discardStaged(ref, attemptTag(left.attempt))
  }
  await deps.store.discard(left.attempt)
}

/** Tries again to end earlier failed attempts for the id; what fails again waits for the next open. */
async function removeLeftovers(deps: RegisterDeps, walletId: WalletId): Promise<void> {
  for (const left of deps.leftovers.filter((one) => one.walletId === walletId)) {
    try {
      await removeAttempt(deps, left)
      deps.leftovers.splice(deps.leftovers.indexOf(left), 1)
    } catch {
      // Nothing is lost: the journal row is still there for recovery.
    }
  }
}

async function rollForward(
  deps: RegisterDeps,
  registration: Registration,
  restored: Restored,
  generation: Generation,
): Promise<Registered> {
  const { vault, faults, registry, events } = deps
  const { walletId } = registration.candidate
  const stored = { ...restored.changeset, generation }
  const wallet: LiveWallet = { stored, provider: restored.provider }
  registry.publish(wallet)
  // The commit is done: a fault from here on must not turn success into an error.
  await faults.pause('publish.after').catch(() => undefined)
  events.emit({ type: 'walletRegistered', id: walletId, generation })
  const warning =
    registration.secret && vault
      ? await finaliseSecret(
          vault,
          faults,
          secretRef(walletId, registration.secret.label),
          generation,
        )
      : undefined
  await removeLeftovers(deps, walletId)
  return { wallet, warnings: warning === undefined ? [] : [warning] }
}

function failureOf(
  phase: Phase,
  walletId: WalletId,
  cleanup: 'done' | 'deferred',
  cause: unknown,
): HoldfastError {
  if (cause instanceof Aborted) return Object.assign(cause, { cleanup })
  switch (phase) {
    case 'reserve':
      return new PersisterReserve(walletId, cleanup, cause)
    case 'secret':
      return new SecretStage(walletId, cleanup, cause)
    case 'restore':
      return new RestoreFailed(walletId, cleanup, cause)
    case 'promote':
      return new PersisterPromote(walletId, cleanup, cause)
  }
}

/** What the failures of one registration step have in common. */
abstract class StepFailed extends HoldfastError {
  readonly kind: PersistenceKind
  readonly walletId: WalletId | undefined
  /** `deferred`: the next open finishes removing what is left; it blocks no retry. */
  readonly cleanup: 'done' | 'deferred'
  constructor(
    walletId: WalletId | undefined,
    what: string,
    cleanup: 'done' | 'deferred',
    cause: unknown,
  ) {
    const kind = persistenceKindOf(cause) ?? 'fatal'
    super(
      `${walletId === undefined ? 'wallets' : `wallet ${walletId}`}: ${what} failed (${kind})`,
      {
        retry: kind === 'transient' ? 'safe' : 'after-fix',
        remedy:
          kind === 'transient'
            ? 'Free disk space or wait, then make the same call again.'
            : 'Look at the cause and run "holdfast doctor" before trying again.',
        cause,
      },
    )
    this.walletId = walletId
    this.kind = kind
    this.cleanup = cleanup
  }
}

/** What is stored could not be read; nothing was begun. */
export class PersisterLoad extends StepFailed {
  readonly code = 'PersisterLoad'
  readonly phase = 'load'
  constructor(walletId: WalletId | undefined, cause: unknown) {
    super(walletId, 'reading what is stored', 'done', cause)
  }
}

/** The claim on the wallet id could not be written. */
export class PersisterReserve extends StepFailed {
  readonly code = 'PersisterReserve'
  readonly phase = 'reserve'
  constructor(walletId: WalletId, cleanup: 'done' | 'deferred', cause: unknown) {
    super(walletId, 'claiming its id', cleanup, cause)
  }
}

/** The secret could not be written to the vault. */
export class SecretStage extends StepFailed {
  readonly code = 'SecretStage'
  readonly phase = 'secret'
  constructor(walletId: WalletId, cleanup: 'done' | 'deferred', cause: unknown) {
    super(walletId, 'writing its secret to the vault', cleanup, cause)
  }
}

/** The one commit did not happen. */
export class PersisterPromote extends StepFailed {
  readonly code = 'PersisterPromote'
  readonly phase = 'promote'
  constructor(walletId: WalletId, cleanup: 'done' | 'deferred', cause: unknown) {
    super(walletId, 'writing its rows', cleanup, cause)
  }
}

/** The commit returned an error and the state could not be read back; only the next open can tell. */
export class PromoteOutcomeUnknown extends HoldfastError {
  readonly code = 'PromoteOutcomeUnknown'
  readonly phase = 'promote'
  readonly walletId: WalletId
  constructor(walletId: WalletId, cause: unknown) {
    super(`wallet ${walletId}: it is not known whether the commit happened`, {
      retry: 'never',
      remedy:
        'Stop this process and open the data directory again: recovery decides, then list the wallets.',
      cause,
    })
    this.walletId = walletId
  }
}

/** The wallet is registered already: in this process (`memory`) or on disk (`storage`). */
export class WalletAlreadyExists extends HoldfastError {
  readonly code = 'WalletAlreadyExists'
  readonly walletId: WalletId
  readonly where: 'memory' | 'storage'
  constructor(walletId: WalletId, where: 'memory' | 'storage') {
    super(`wallet ${walletId}: already registered (${where})`, {
      retry: 'never',
      remedy:
        where === 'memory'
          ? 'Use the wallet: get(id) returns its handle.'
          : 'Use the wallet: load(id) or "holdfast wallet show" brings it up.',
    })
    this.walletId = walletId
    this.where = where
  }
}

/** Rows of this wallet exist and are damaged. */
export class WalletQuarantined extends HoldfastError {
  readonly code = 'WalletQuarantined'
  readonly walletId: WalletId
  readonly corruption: Corruption
  constructor(walletId: WalletId, corruption: Corruption) {
    super(`wallet ${walletId}: its stored rows are damaged (${corruption.kind}) and set aside`, {
      retry: 'after-fix',
      remedy:
        'Register it again from its words with replaceQuarantined ("wallet create --replace-quarantined").',
    })
    this.walletId = walletId
    this.corruption = corruption
  }
}
