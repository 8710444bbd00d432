import { setImmediate } from 'node:timers/promises'
import { throwIfAborted } from '../../base/errors.js'
import { StoreFailed } from '../../base/persistence.js'
import type { ReconcileReport } from '../../covenant/store.js'
import { replayLedger } from '../ledger-replay.js'
import { applyOperations } from './jobs-apply.js'
import { Comparison } from './jobs-compare.js'
import { fenceEveryKey, fenceJob, type JobCore, recordIdOf } from './jobs-core.js'
import { RowCursor } from './jobs-cursor.js'
import { judgeOrphan, judgeSuspect, mendLedger, restoreLost } from './jobs-mend.js'
import { decodeBody, type JobRow } from './jobs-rows.js'

/** What a comparison did, and the jobs that have not ended with when they are due; held ones never. */
export type ReplayOutcome = {
  readonly report: ReconcileReport
  readonly unsettled: ReadonlyMap<number, number>
}

/** Milliseconds of work between two turns of the event loop. */
const sliceMs = 8

/**
 * Compares the ledger with the rows, restores from each what the other lost, and fences what neither can vouch for.
 *
 * @param options.directory the ledger's
 * @param options.syncedSeq a line that was synced once
 * @param options.isOpening rows ahead of the ledger were left by a process that ended; false while changes go on
 * @throws Aborted, StoreFailed, LedgerForeign, Node's errno errors
 */
export async function reconcileJobs(
  core: JobCore,
  options: {
    readonly directory: string
    readonly syncedSeq: bigint
    readonly isOpening: boolean
    readonly signal: AbortSignal
  },
): Promise<ReplayOutcome> {
  const { directory, syncedSeq, isOpening, signal } = options
  await core.faults.pause('reconcile.begin')
  assertLedgerRuns(core)
  const slices = new Slices(signal)
  const until = core.ledger.head().seq
  const comparison = new Comparison(core)
  let lines = 0n
  const replay = await replayLedger(
    directory,
    (line, read) => {
      // What is appended meanwhile belongs to rows that are not looked at either.
      if (!isOpening && line.seq > until) return
      lines += 1n
      comparison.take(line, read)
    },
    { signal, sliceMs },
  )
  comparison.passBelow(isOpening ? 1n << 62n : until + 1n)
  const fencedBefore = core.fences.size
  const counts = { settlements: 0, intents: 0 }
  let step = 0
  const next = async (): Promise<void> => {
    step += 1
    core.faults.reach(`reconcile.step:${step}`)
    await slices.next()
  }
  for (const lost of comparison.lost) {
    await next()
    if (!restoreLost(core, lost, comparison)) continue
    if (lost.kind === 'settlement') counts.settlements += 1
    if (lost.kind === 'intent') counts.intents += 1
  }
  await next()
  const canMend = core.queue.takesLines() || core.ledger.state() === 'damaged'
  const mended = canMend
    ? mendLedger(core, comparison, replay, isOpening ? syncedSeq : undefined)
    : { linesAppended: 0, repairedLines: 0 }
  core.ledger.sync()
  await next()
  if (comparison.suspects.size > 0) core.connection.reopen()
  for (const [seq, line] of comparison.suspects) {
    await slices.next()
    const id = recordIdOf(seq)
    if (comparison.released.has(id) || core.released.has(id)) continue
    judgeSuspect(core, seq, line)
  }
  if (comparison.overflow) {
    fenceEveryKey(core, 'jobs-lost', 'more records are lost than can be listed')
  }
  for (const orphan of comparison.orphans.values()) {
    await slices.next()
    if (isOpening || orphan.row.seq <= until) judgeOrphan(core, orphan)
  }
  applyOperations(core, comparison)
  await next()
  const indexesRebuilt = isOpening ? false : await checkDeeply(core, slices)
  const report = {
    lines,
    rows: comparison.rows,
    linesAppended: mended.linesAppended,
    settlementsRestored: counts.settlements,
    intentsRestored: counts.intents,
    fenced: Math.max(0, core.fences.size - fencedBefore),
    repairedLines: mended.repairedLines,
    indexesRebuilt,
  }
  return { report, unsettled: comparison.unsettled }
}

/** Lines that wait in memory are in no file yet, so nothing can be said of their rows. */
function assertLedgerRuns({ ledger }: JobCore): void {
  const state = ledger.state()
  if (state === 'ok' || state === 'damaged' || (state === 'failed' && ledger.retry())) return
  const cause = new RangeError(`ledger: ${ledger.trouble()}`)
  throw new StoreFailed('job store: reconcile', 'transient', { cause })
}

/** A witness on another disk that knows more than the ledger: one of the two is an old copy. */
export function judgeWitness(core: JobCore): void {
  const state = core.ledger.witness()
  if (state.kind !== 'contradicts') return
  const { seq } = state.witnessed
  fenceEveryKey(
    core,
    `witness-${seq}`,
    `the witness knows line ${seq}, which the ledger has not so`,
  )
}

/** Reads every request, and asks both indexes for every job. */
async function checkDeeply(core: JobCore, slices: Slices): Promise<boolean> {
  const { connection, tables, witness } = core
  const page = 'select seq, body, digest from request where seq > ? order by seq limit ?'
  const row = 'select seq, body, digest from request where seq = ?'
  const bodies = new RowCursor(connection, { page, row }, decodeBody)
  let lies = false
  for (let last = 0n; ; ) {
    const [next] = connection.rows('select seq from job where seq > ? order by seq limit 1', last)
    if (typeof next?.[0] !== 'bigint' || next[0] <= last) break
    last = next[0]
    await slices.next()
    const reading = tables.job(last)
    if (reading.kind !== 'row') continue
    lies ||= !isIndexed(core, reading.row)
    if (bodies.lookUp(last)?.value !== undefined) continue
    const line = witness.accepted(last)
    if (line !== undefined) fenceJob(core, last, line, 'its request is damaged')
  }
  if (lies) tables.reindex('job')
  return lies
}

function isIndexed({ connection }: JobCore, row: JobRow): boolean {
  const { seq, route, routeRequestId, requestId } = row
  const byKey = 'select seq from job where route = ? and route_request_id = ?'
  const byId = 'select seq from job where request_id = ?'
  return (
    connection.row(byKey, route, routeRequestId)?.[0] === seq &&
    connection.row(byId, requestId)?.[0] === seq
  )
}

/** Work that gives way to the event loop now and then. */
class Slices {
  readonly #signal: AbortSignal
  #endMs = performance.now() + sliceMs

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  async next(): Promise<void> {
    if (performance.now() < this.#endMs) return
    await setImmediate()
    throwIfAborted(this.#signal, 'reconcile')
    this.#endMs = performance.now() + sliceMs
  }
}
