import { listedMax } from '../base/limits.js'
import type { Logger } from '../base/log.js'
import { JobNotFound, KeyFenced, requireFound } from '../covenant/answer.js'
import { canonicalRequest } from '../covenant/digest.js'
import { isFinal, type Job, type Outpoint, type RequestId, stepResult } from '../covenant/job.js'
import type { JobStore, Operator, Resolution } from '../covenant/store.js'
import { requireRecord } from '../datadir/find-record.js'
import {
  jobsDocument,
  jobViewDocument,
  recordDocument,
  recordViewDocument,
  verificationDocument,
} from '../datadir/job-documents.js'
import { readTimeline } from '../datadir/job-timeline.js'
import { readLedgerHead, verifyLedger } from '../datadir/ledger-verify.js'
import { verifyOpenStore } from '../datadir/store-verify.js'
import type { JobQuery } from './admin-input.js'
import { DaemonNotReady, IntentInUse, IntentNotFound } from './admin-problem.js'
import type { DaemonStatus, Opened } from './daemon-status.js'

/** A value as it stands in an answer; what is undefined is left out. */
export type Json = Readonly<Record<string, unknown>>

/** What operators can ask for and do; every method throws DaemonNotReady before what it needs is open. */
export interface AdminOperations {
  jobs(): JobStore
  listJobs(query: JobQuery): Promise<Json>
  /** @throws JobNotFound, KeyFenced */
  showJob(id: RequestId): Promise<Json>
  /** @throws JobNotFound, KeyFenced */
  resume(id: RequestId, by: Operator, dryRun: boolean): Promise<Json>
  /** @throws IntentNotFound, IntentInUse */
  releaseIntent(outpoint: Outpoint, by: Operator, dryRun: boolean): Promise<Json>
  /** @throws RecordNotFound */
  showRecord(id: string): Promise<Json>
  listRecords(limit: number): Promise<Json>
  /** @throws RecordNotFound, ResolutionRefused */
  resolve(id: string, how: Resolution, by: Operator, options: { dryRun: boolean }): Promise<Json>
  ledgerHead(): Promise<Json>
  verifyLedger(): Promise<Json>
  verifyStore(): Promise<Json>
  resetHeight(height: bigint, by: Operator): Promise<Json>
  listWallets(): Promise<Json>
}

/**
 * Makes the operations of a daemon.
 *
 * @param stop fires when the daemon stops: long comparisons end then
 */
export function createAdminOperations(
  status: DaemonStatus,
  log: Logger,
  stop: AbortSignal,
): AdminOperations {
  function need<Name extends keyof Opened>(name: Name): NonNullable<Opened[Name]> {
    const { phase } = status.phase()
    const part = phase === 'draining' || phase === 'failed' ? undefined : status.opened()[name]
    if (part === undefined || part === null) throw new DaemonNotReady(phase)
    return part
  }
  const jobs = (): JobStore => need('jobs')
  const { dataDir } = status.config

  const ledger = oneAtATime(async () => verifyLedger(dataDir))
  const store = oneAtATime(() => verifyOpenStore(dataDir, jobs(), stop))

  return {
    jobs,
    async listJobs(query) {
      const found = await listed(jobs(), query)
      const quarantined = (await jobs().listQuarantined(listedMax)).length
      const next = found.length === query.limit ? found.at(-1)?.seq : undefined
      return jobsDocument({
        jobs: found,
        next: query.routeRequestId === undefined ? next : undefined,
        quarantined,
      })
    },
    async showJob(id) {
      const job = requireFound(await jobs().find(id))
      const held = await jobs().findIntent(job.outpoint)
      const timeline = await readTimeline(dataDir, job)
      return jobViewDocument({
        ...{ job, timeline },
        intent: held?.requestId === id ? held : undefined,
        result: isFinal(job.state) ? stepResult(job) : undefined,
        canonicalRequest: canonicalRequest(job.request),
      })
    },
    async resume(requestId, by, dryRun) {
      if (dryRun) {
        const { held } = requireFound(await jobs().find(requestId))
        return { requestId, outcome: held ? 'resumed' : 'notHeld', dryRun }
      }
      const outcome = await jobs().resume(requestId, by)
      if (outcome.kind === 'absent') throw new JobNotFound()
      if (outcome.kind === 'fenced') throw new KeyFenced(outcome.fence)
      tell(log, 'resume', by, { requestId, outcome: outcome.kind })
      return { requestId, outcome: outcome.kind }
    },
    async releaseIntent(outpoint, by, dryRun) {
      if (dryRun) {
        await requireReleasable(jobs(), outpoint)
        return { outpoint, outcome: 'released', dryRun }
      }
      const outcome = await jobs().releaseIntent(outpoint, by)
      if (outcome.kind === 'absent') throw new IntentNotFound(outpoint)
      if (outcome.kind === 'jobNotFinal') throw new IntentInUse(outpoint, outcome.requestId)
      tell(log, 'release-intent', by, { outpoint })
      return { outpoint, outcome: 'released' }
    },
    async listRecords(limit) {
      return { records: (await jobs().listQuarantined(limit)).map(recordDocument) }
    },
    showRecord: async (id) => recordViewDocument(await requireRecord(jobs(), id)),
    async resolve(id, how, by, { dryRun }) {
      const report = await jobs().resolve(id, how, by, dryRun)
      if (!dryRun) tell(log, `resolve: ${how.kind}`, by, { recordId: id })
      return { ...report, record: recordDocument(report.record) }
    },
    async ledgerHead() {
      jobs()
      const { seq, hash, at } = readLedgerHead(dataDir)
      return { seq: Number(seq), hash, at }
    },
    async verifyLedger() {
      jobs()
      return ledger()
    },
    verifyStore: async () => verificationDocument(await store()),
    async resetHeight(height, by) {
      const before = jobs().hostHeight()
      await jobs().resetHostHeight(height, by)
      tell(log, 'reset-host-height', by, { height, before })
      const was = before === undefined ? null : String(before)
      return { height: String(height), before: was, changed: true }
    },
    async listWallets() {
      const wallets = need('wallets')
      const { skipped } = await wallets.loadAll()
      return {
        wallets: wallets.list().map(({ id, network }) => ({
          ...{ walletId: id, network, state: 'active' },
        })),
        quarantined: skipped
          .filter(({ reason }) => reason !== 'alreadyRegistered')
          .map(({ walletId, reason, detail }) => ({ walletId, reason, detail })),
      }
    },
  }
}

async function listed(store: JobStore, query: JobQuery): Promise<readonly Job[]> {
  const { state, route, routeRequestId, after, limit } = query
  if (route !== undefined && routeRequestId !== undefined) {
    const found = await store.findByRoute(route, routeRequestId)
    if (found.kind === 'fenced') throw new KeyFenced(found.fence)
    if (found.kind === 'absent') return []
    return state === undefined || found.job.state === state ? [found.job] : []
  }
  return store.list({
    limit,
    ...(state === undefined ? {} : { state }),
    ...(route === undefined ? {} : { route }),
    ...(after === undefined ? {} : { afterSeq: after }),
  })
}

/** What releasing would find. */
async function requireReleasable(store: JobStore, outpoint: Outpoint): Promise<void> {
  const intent = await store.findIntent(outpoint)
  if (intent === undefined) throw new IntentNotFound(outpoint)
  const job = await store.find(intent.requestId)
  if (job.kind !== 'found' || !isFinal(job.job.state)) {
    throw new IntentInUse(outpoint, intent.requestId)
  }
}

/** Why somebody did it stands in the ledger. */
function tell(log: Logger, what: string, { who }: Operator, about: Json): void {
  log.info({ what, who, ...about }, 'operator: done')
}

/** Who asks while it runs gets the same answer. */
function oneAtATime<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined
  return () => {
    running ??= work().finally(() => {
      running = undefined
    })
    return running
  }
}
