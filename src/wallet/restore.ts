import { untilAborted } from '../base/abort.js'
import { HoldfastError, type Retry } from '../base/errors.js'
import type { FaultPoints } from '../base/fault-points.js'
import { persistenceKindOf } from '../base/persistence.js'
import type { DashReader } from '../chain/reader.js'
import { type Checkpoints, resolveBirthHeight } from './birth-height.js'
import type { Changeset, PlatformAddressRow } from './changeset.js'
import { platformHashes, withFunds } from './platform-funds.js'
import type { Pool } from './pool.js'
import { type AddressProvider, createProvider } from './provider.js'

export type RestoreDeps = {
  readonly dash: DashReader
  readonly checkpoints: Checkpoints
  readonly faults: FaultPoints
}

/** A candidate that has everything it needs to be promoted. Nothing of it is stored or visible yet. */
export type Restored = { readonly changeset: Changeset; readonly provider: AddressProvider }

/**
 * The restore phase of a registration, on the private candidate: birth height, funds, address provider.
 *
 * @param birthHeight explicit height in blocks; 0 scans from the start; `undefined` asks the chain's tip
 * @remarks A source that is away costs only what it would have told: the wallet then starts unsynced.
 */
export async function restoreCandidate(
  deps: RestoreDeps,
  candidate: Changeset,
  birthHeight: number | undefined,
  signal: AbortSignal,
): Promise<Restored> {
  const what = `wallet ${candidate.walletId}`
  const { dash, faults } = deps
  await untilAborted(faults.pause('restore.read'), signal, what)
  const height = await readBirthHeight(deps, candidate, birthHeight, signal)
  const funded = await readFunds(dash, { ...candidate, birthHeight: height }, signal)
  await untilAborted(faults.pause('restore.provider'), signal, what)
  return { changeset: funded, provider: createProvider(funded) }
}

async function readBirthHeight(
  deps: RestoreDeps,
  candidate: Changeset,
  explicit: number | undefined,
  signal: AbortSignal,
): Promise<number> {
  if (explicit !== undefined) return explicit
  const { network, walletId } = candidate
  const tip = await untilAborted(deps.dash.tipHeight(network, signal), signal, `wallet ${walletId}`)
  return resolveBirthHeight({
    checkpoints: deps.checkpoints[network],
    tip: tip.kind === 'known' ? tip.value : undefined,
  })
}

/** Rounds of "ask, mark used, extend, ask for the new addresses" before the rest is left to the first sync. */
const roundsMax = 50

async function readFunds(
  dash: DashReader,
  candidate: Changeset,
  signal: AbortSignal,
): Promise<Changeset> {
  const rows: PlatformAddressRow[] = []
  let pools: readonly Pool[] = candidate.pools
  let heightBlocks = 0n
  const asked = new Set<string>()
  for (let round = 0; round < roundsMax; round++) {
    const open = [...platformHashes(pools)].filter(([hex]) => !asked.has(hex))
    if (open.length === 0) break
    for (const [hex] of open) asked.add(hex)
    const reading = await untilAborted(
      dash.balances(
        candidate.network,
        open.map(([, hash160]) => hash160),
        signal,
      ),
      signal,
      `wallet ${candidate.walletId}`,
    )
    // Without an answer the wallet starts unsynced; half an answer is not kept either.
    if (reading.kind === 'unavailable') return candidate
    heightBlocks = reading.heightBlocks
    const step = withFunds(candidate, pools, reading.value, heightBlocks)
    rows.push(...step.rows)
    pools = step.pools
  }
  return {
    ...candidate,
    pools,
    platformAddresses: rows,
    platformSync: { ...candidate.platformSync, syncHeight: heightBlocks },
  }
}

/** The restore phase failed and everything was undone. */
export class RestoreFailed extends HoldfastError {
  readonly code = 'RestoreFailed'
  readonly phase = 'restore'
  readonly walletId: string
  readonly cleanup: 'done' | 'deferred'
  constructor(walletId: string, cleanup: 'done' | 'deferred', cause: unknown) {
    super(`wallet ${walletId}: restoring it failed, nothing of it was kept`, {
      retry: retryOf(cause),
      remedy: 'Look at the cause; the same call can be made again once it is gone.',
      cause,
    })
    this.walletId = walletId
    this.cleanup = cleanup
  }
}

function retryOf(cause: unknown): Retry {
  if (cause instanceof HoldfastError) return cause.retry
  const kind = persistenceKindOf(cause)
  return kind === undefined || kind === 'transient' ? 'safe' : 'after-fix'
}
