import type { FaultPoints } from '../base/fault-points.js'
import { attemptTag, type WalletId } from '../base/ids.js'
import type { SecretEntry, Vault } from '../vault/vault.js'
import type { Events } from './events.js'
import type { JournalRow, WalletStore } from './store.js'

/** What opening found of registrations that a dead process left behind. Ids and labels only. */
export type RecoveryReport = {
  /** Registrations that were removed: their journal row, and their staged secret where they had one. */
  readonly discarded: readonly WalletId[]
  /** Wallets whose committed secret got its final name. */
  readonly completed: readonly WalletId[]
  /** Staged secrets that belong to no known attempt; kept, since each may be the only copy. */
  readonly keptSecrets: readonly SecretEntry[]
  /** Registrations whose removal could not be finished now; the next open tries again, they block nobody. */
  readonly deferred: readonly WalletId[]
}

export type RecoverDeps = {
  readonly store: WalletStore
  readonly vault: Vault | undefined
  readonly events: Events
  readonly faults: FaultPoints
}

/**
 * Ends every registration that a dead process left half way, before any read is served.
 *
 * @remarks Needs the directory lock: then every journal row belongs to a process that is gone. Safe to repeat and
 * to die in: a staged secret goes first, its folder is synced, and only then does the journal row go. A locked
 * vault is enough. Never touches a secret under a final name, an active row or a quarantined one.
 */
export async function recoverRegistrations(deps: RecoverDeps): Promise<RecoveryReport> {
  const { store, vault, faults } = deps
  let step = 0
  const reachStep = (): Promise<void> => faults.pause(`recover.step:${++step}`)

  const rows = await store.journal()
  const staged = (await vault?.list())?.filter((entry) => entry.state === 'staged') ?? []
  const report = emptyReport()
  const unfinished = new Set<JournalRow>()

  for (const entry of staged) {
    await reachStep()
    await settleStaged(deps, entry, rows, report, unfinished)
  }
  for (const row of rows) {
    await reachStep()
    // Without a vault nobody can say what became of a staged secret: the row stays until one is there.
    if (unfinished.has(row) || (row.secretLabel !== undefined && vault === undefined)) {
      await store.markDiscarding([row.attempt])
      report.deferred.push(row.walletId)
      continue
    }
    await store.discard(row.attempt)
    report.discarded.push(row.walletId)
    deps.events.emit({ type: 'registrationRecovered', id: row.walletId, action: 'discarded' })
  }
  await reachStep()
  return report
}

type MutableReport = { [Key in keyof RecoveryReport]: RecoveryReport[Key][number][] }

const emptyReport = (): MutableReport => ({
  discarded: [],
  completed: [],
  keptSecrets: [],
  deferred: [],
})

async function settleStaged(
  deps: RecoverDeps,
  entry: SecretEntry,
  rows: readonly JournalRow[],
  report: MutableReport,
  unfinished: Set<JournalRow>,
): Promise<void> {
  const { store, events } = deps
  const vault = deps.vault as Vault // an entry came from it
  const tag = entry.attemptTag ?? ''
  const status = await store.status(entry.walletId)
  const row = rows.find((r) => r.walletId === entry.walletId && attemptTag(r.attempt) === tag)
  // A disk that refuses costs this one registration; its row or name stays and the next open tries again.
  if (status.kind === 'active' && attemptTag(status.generation) === tag) {
    try {
      await vault.finalise(entry, tag)
    } catch {
      report.deferred.push(entry.walletId)
      return
    }
    report.completed.push(entry.walletId)
    events.emit({ type: 'registrationRecovered', id: entry.walletId, action: 'completed' })
  } else if (row === undefined || row.storeGeneration !== store.storeGeneration) {
    report.keptSecrets.push(entry)
  } else {
    try {
      await vault.discardStaged(entry, tag)
    } catch {
      unfinished.add(row)
    }
  }
}
