import { setImmediate } from 'node:timers/promises'
import { untilAborted } from '../../base/abort.js'
import type { Clock } from '../../base/clock.js'
import { isHoldfastError } from '../../base/errors.js'
import type { FaultPoints } from '../../base/fault-points.js'
import { jobBatchMax, listedMax, replayWaitMs, witnessCloseMs } from '../../base/limits.js'
import type { Logger } from '../../base/log.js'
import { StoreFailed } from '../../base/persistence.js'
import type {
  FinalTransition,
  Job,
  JobIdentity,
  JobState,
  Outpoint,
  RequestId,
} from '../../covenant/job.js'
import type { Route } from '../../covenant/request.js'
import type {
  AcceptOutcome,
  CertificateNote,
  Claim,
  FindOutcome,
  IntendOutcome,
  Intent,
  JobStore,
  Lease,
  Operator,
  QuarantineDetail,
  QuarantineRecord,
  ReconcileReport,
  ReleaseOutcome,
  Resolution,
  ResolveReport,
  ResumeOutcome,
  SettleOutcome,
  StoreReadiness,
} from '../../covenant/store.js'
import { ImportMarks } from '../import-marks.js'
import { JobFences } from '../job-fences.js'
import { JobLeases } from '../job-leases.js'
import type { Wait } from '../job-progress.js'
import { StoreNotReady } from '../job-refusals.js'
import { JobSchedule } from '../job-schedule.js'
import type {
  ImportedJob,
  ImportedRecord,
  ImportOutcome,
  ImportSummary,
  ImportTarget,
  KnownJob,
} from '../keep-core/import-target.js'
import type { Ledger } from '../ledger-port.js'
import { classify } from './classify.js'
import type { Connection } from './connection.js'
import { acceptJob } from './jobs-accept.js'
import type { JobCore } from './jobs-core.js'
import { RowCursor } from './jobs-cursor.js'
import { detailOf } from './jobs-detail.js'
import { findJob, isFence, loadJob, locateById, locateByKey } from './jobs-find.js'
import { healJob } from './jobs-heal.js'
import { beginImport, endImport, findAcceptedKey, importJob } from './jobs-import.js'
import type { JobMeta } from './jobs-meta.js'
import { operate } from './jobs-operate.js'
import { releaseByHand, unreleasedOn } from './jobs-outpoints.js'
import { resolveRecord } from './jobs-quarantine.js'
import { readinessOf } from './jobs-readiness.js'
import { judgeWitness, type ReplayOutcome, reconcileJobs } from './jobs-reconcile.js'
import { resetHeight, resumeJob } from './jobs-resume.js'
import { decodeJob, type JobRow } from './jobs-rows.js'
import { claimJobs, deferJob, intentOf, recordIntent, settleJob } from './jobs-run.js'
import { setAsideFile } from './jobs-set-aside.js'
import { sql } from './jobs-sql.js'
import { JobTables } from './jobs-tables.js'
import { JobWitness } from './jobs-witness.js'
import { type Later, WriteQueue } from './jobs-write-queue.js'

/** Rows looked at between two turns of the event loop while listing. */
const listSliceRows = 512
/** Above every sequence. */
const endless = 1n << 62n
/** Milliseconds until comparing the witnesses is tried again. */
const retryMs = 1000
/** Milliseconds between two rebuildings of the indexes, which hold everything else up. */
const reindexMs = 60_000

/** The job store on SQLite, with the ledger as its second witness. */
export class SqliteJobStore implements JobStore, ImportTarget {
  readonly #core: JobCore
  readonly #meta: JobMeta
  readonly #directory: string
  readonly #later: Later
  readonly #onClose: () => void
  readonly #stopping = new AbortController()
  #replay: 'running' | 'done' | 'failed' = 'running'
  #replayCause: unknown
  #answersEarly = false
  #comparing: Promise<unknown> = Promise.resolve()
  #fatal: unknown
  #reindexedAtMs = Number.NEGATIVE_INFINITY
  #closed: Promise<void> | undefined

  constructor(options: {
    readonly connection: Connection
    readonly ledger: Ledger
    readonly meta: JobMeta
    readonly directory: string
    readonly faults: FaultPoints
    readonly clock: Clock
    readonly logger: Logger
    readonly later: Later
    readonly onClose: () => void
  }) {
    const { connection, ledger, meta, faults, clock, logger, later } = options
    this.#meta = meta
    this.#directory = options.directory
    this.#later = later
    this.#onClose = options.onClose
    const tables = new JobTables(connection)
    const queue = new WriteQueue({
      connection,
      ledger,
      faults,
      logger,
      later,
      extras: meta,
      reindex: () => this.#reindex(),
      onFatal: (cause) => this.#fail(cause),
    })
    const store = this
    this.#core = {
      connection,
      tables,
      ledger,
      witness: new JobWitness(meta.storeId, ledger),
      fences: new JobFences(),
      schedule: new JobSchedule(),
      leases: new JobLeases(meta.opening),
      queue,
      replay: {
        get done() {
          return store.#replay === 'done'
        },
        get answersEarly() {
          return store.#answersEarly
        },
        wait: () => this.#whenCompared(),
      },
      accepting: new Map(),
      intending: new Map(),
      retired: new Set(),
      released: new Set(),
      setAside: new Set(),
      imports: new ImportMarks(),
      applied: new Set(),
      meta,
      faults,
      clock,
      logger,
    }
  }

  /** Begins to compare the witnesses; returns at once. */
  start(): void {
    this.#answersEarly = this.#hasNoFiles()
    this.#compare(this.#stopping.signal).catch((cause: unknown) => {
      const { logger } = this.#core
      if (this.#stopping.signal.aborted) return
      logger.warn({ cause }, 'job store: the witnesses could not be compared')
      // Whoever waited was told; the disk may have room again in a while.
      if (this.#core.connection.usable) this.#later(() => this.#startAgain(), retryMs)
    })
  }

  /** Whether no file was ever set aside, whose key a whole job may have. */
  #hasNoFiles(): boolean {
    try {
      return this.#core.connection.row(sql.selectSetAside) === undefined
    } catch {
      // The comparison finds out what is the matter; until then nothing is answered.
      return false
    }
  }

  #startAgain(): void {
    if (this.#replay === 'failed' && this.#closed === undefined) this.start()
  }

  #compare(signal: AbortSignal): Promise<ReconcileReport> {
    const compared = this.#comparing
      // The comparison before has told its own caller how it went.
      .catch(() => undefined)
      .then(() => this.#compareNow(signal))
    this.#comparing = compared
    return compared
  }

  /** What the opening mended, until somebody asks for a report. */
  #mendedAtOpening: ReconcileReport | undefined

  async #compareNow(signal: AbortSignal): Promise<ReconcileReport> {
    const isOpening = this.#replay !== 'done'
    if (isOpening) this.#replay = 'running'
    try {
      const outcome = await reconcileJobs(this.#core, {
        directory: this.#directory,
        syncedSeq: this.#meta.syncedAtOpening,
        isOpening,
        signal,
      })
      if (isOpening) {
        await this.#compareHeads()
        this.#opened(outcome)
        this.#mendedAtOpening = outcome.report
        return outcome.report
      }
      const mended = this.#mendedAtOpening
      this.#mendedAtOpening = undefined
      return mended === undefined ? outcome.report : withMended(outcome.report, mended)
    } catch (cause) {
      if (isOpening) {
        this.#replay = 'failed'
        this.#replayCause = cause
      }
      throw failureOf('reconcile', cause)
    }
  }

  /** Waits a bounded time for the ledger's witness: a disk that hangs holds up nobody. */
  async #compareHeads(): Promise<void> {
    const { ledger } = this.#core
    let stop = (): void => undefined
    const timeUp = new Promise<void>((resolve) => {
      stop = this.#later(resolve, witnessCloseMs)
    })
    const compared = ledger.witnessCompared().then(() => judgeWitness(this.#core))
    await Promise.race([compared, timeUp])
    stop()
  }

  #opened({ report, unsettled }: ReplayOutcome): void {
    this.#replay = 'done'
    const counts = { jobs: report.rows, unfinished: unsettled.size, fenced: this.#core.fences.size }
    this.#core.logger.info(counts, 'job store: jobs loaded')
    for (const [seq, dueMs] of unsettled) {
      if (Number.isFinite(dueMs)) this.#core.schedule.set(BigInt(seq), dueMs)
    }
  }

  /** @throws StoreNotReady when the comparison takes too long or failed */
  async #whenCompared(): Promise<void> {
    if (this.#replay === 'done') return
    let stop = (): void => undefined
    const timeUp = new Promise<'late'>((resolve) => {
      stop = this.#later(() => resolve('late'), replayWaitMs)
    })
    const compared = this.#comparing.then(
      () => 'done' as const,
      () => 'failed' as const,
    )
    const outcome = await Promise.race([compared, timeUp])
    stop()
    this.#usable('wait')
    if (outcome === 'done') return
    if (outcome === 'late') throw comparing()
    throw this.#notCompared()
  }

  #notCompared(): StoreNotReady {
    const remedy = 'Look at the cause, then reconcile the store or start again.'
    return new StoreNotReady('the ledger could not be compared', remedy, this.#replayCause)
  }

  accept(job: JobIdentity): Promise<AcceptOutcome> {
    return this.#call('accept', async () => {
      await this.#core.faults.pause('job.accept.begin')
      return acceptJob(this.#core, job)
    })
  }

  heal(job: JobIdentity): Promise<Job | undefined> {
    return this.#call('heal', async () => {
      await this.#whenCompared()
      return healJob(this.#core, job)
    })
  }

  find(id: RequestId): Promise<FindOutcome> {
    const { tables } = this.#core
    return this.#call('find', () =>
      findJob(
        this.#core,
        () => tables.jobById(id),
        () => locateById(this.#core, id),
      ),
    )
  }

  findByRoute(route: Route, routeRequestId: string): Promise<FindOutcome> {
    const { tables } = this.#core
    return this.#call('findByRoute', () =>
      findJob(
        this.#core,
        () => tables.jobByKey(route, routeRequestId),
        () => locateByKey(this.#core, route, routeRequestId),
      ),
    )
  }

  list(query: {
    readonly state?: JobState
    readonly route?: Route
    readonly afterSeq?: bigint
    readonly limit: number
  }): Promise<readonly Job[]> {
    return this.#call('list', async () => {
      const { connection, fences } = this.#core
      const { state, route, afterSeq, limit } = query
      const isMeant = (row: JobRow): boolean =>
        (state === undefined || row.state === state) && (route === undefined || row.route === route)
      const statements = { page: sql.selectJobsAfter, row: sql.selectJob }
      const rows = new RowCursor(connection, statements, decodeJob, afterSeq)
      const found: Job[] = []
      for (let looked = 1; found.length < Math.min(limit, listedMax); looked += 1) {
        const next = rows.nextBelow(endless)
        if (next === undefined) break
        const row = next.value
        // A damaged row is no job; comparing the witnesses has set it aside or will.
        if (row !== undefined && isMeant(row)) {
          const job = fences.byRequestId(row.requestId) ?? loadJob(this.#core, row)
          if (!isFence(job)) found.push(job)
        }
        if (looked % listSliceRows > 0) continue
        await setImmediate()
        this.#usable('list')
      }
      return found
    })
  }

  claim(owner: string, nowMs: number, limit: number): Promise<readonly Claim[]> {
    return this.#call('claim', async () => {
      if (this.#replay !== 'done') return []
      return claimJobs(this.#core, owner, nowMs, Math.min(limit, jobBatchMax))
    })
  }

  nextDueMs(): number | undefined {
    this.#usable('nextDueMs')
    return this.#core.schedule.nextDueMs()
  }

  onDue(listener: () => void): () => void {
    return this.#core.schedule.onDue(listener)
  }

  nudge(id: RequestId, nowMs: number): void {
    this.#usable('nudge')
    for (const seq of this.#core.witness.jobsById(id)) this.#core.schedule.hasten(seq, nowMs)
  }

  intend(lease: Lease, intent: Intent): Promise<IntendOutcome> {
    return this.#call('intend', async () => {
      await this.#core.faults.pause('job.intend.begin')
      return recordIntent(this.#core, lease, intent)
    })
  }

  settle(
    lease: Lease,
    transition: FinalTransition,
    options: { readonly releaseIntent: boolean; readonly at: string },
  ): Promise<SettleOutcome> {
    return this.#call('settle', async () => {
      await this.#core.faults.pause('job.settle.begin')
      return this.#core.queue.add('settle', (seq) =>
        settleJob(this.#core, seq, lease, transition, options),
      )
    })
  }

  defer(lease: Lease, wait: Wait): Promise<SettleOutcome> {
    return this.#call('defer', async () => {
      await this.#core.faults.pause('job.defer.begin')
      return this.#core.queue.add('defer', () => deferJob(this.#core, lease, wait))
    })
  }

  releaseIntent(outpoint: Outpoint, by: Operator): Promise<ReleaseOutcome> {
    return this.#call('releaseIntent', async () => {
      await this.#whenCompared()
      return releaseByHand(this.#core, outpoint, by)
    })
  }

  findIntent(
    outpoint: Outpoint,
  ): Promise<(Intent & { readonly requestId: RequestId }) | undefined> {
    return this.#call('findIntent', async () => {
      await this.#whenCompared()
      const row = unreleasedOn(this.#core, outpoint)
      if (row === undefined) return undefined
      const job = this.#core.tables.job(row.jobSeq)
      const line = job.kind === 'row' ? job.row : this.#core.witness.accepted(row.jobSeq)
      if (line === undefined) return undefined
      return { ...intentOf(row), requestId: line.requestId }
    })
  }

  resume(id: RequestId, by: Operator): Promise<ResumeOutcome> {
    return this.#call('resume', async () => {
      await this.#whenCompared()
      return resumeJob(this.#core, id, by)
    })
  }

  listQuarantined(limit: number): Promise<readonly QuarantineRecord[]> {
    return this.#call('listQuarantined', async () =>
      this.#core.fences.list(Math.min(limit, listedMax)),
    )
  }

  findQuarantined(recordId: string): Promise<QuarantineDetail | undefined> {
    return this.#call('findQuarantined', async () => {
      await this.#whenCompared()
      return detailOf(this.#core, recordId)
    })
  }

  resolve(
    recordId: string,
    how: Resolution,
    by: Operator,
    dryRun: boolean,
  ): Promise<ResolveReport> {
    return this.#call('resolve', async () => {
      await this.#whenCompared()
      return resolveRecord(this.#core, recordId, how, by, dryRun)
    })
  }

  reconcile(signal: AbortSignal): Promise<ReconcileReport> {
    return this.#call('reconcile', () =>
      this.#compare(AbortSignal.any([signal, this.#stopping.signal])),
    )
  }

  hostHeight(): bigint | undefined {
    this.#usable('hostHeight')
    return this.#meta.hostHeight
  }

  noteHostHeight(height: bigint): void {
    this.#usable('noteHostHeight')
    this.#meta.noteHostHeight(height)
  }

  resetHostHeight(height: bigint, by: Operator): Promise<void> {
    return this.#call('resetHostHeight', async () => {
      await this.#whenCompared()
      resetHeight(this.#core, height, by)
    })
  }

  recordCertificate(note: CertificateNote, by: Operator): Promise<void> {
    return this.#call('recordCertificate', async () => {
      await this.#whenCompared()
      operate(this.#core, by, { kind: 'certificate', note }, () => undefined)
    })
  }

  findKey(id: RequestId): Promise<KnownJob | undefined> {
    return this.#call('findKey', async () => {
      await this.#whenCompared()
      return findAcceptedKey(this.#core, id)
    })
  }

  beginImport(importId: string, by: Operator): Promise<void> {
    return this.#call('beginImport', async () => {
      await this.#whenCompared()
      beginImport(this.#core, importId, by)
    })
  }

  importJob(job: ImportedJob): Promise<ImportOutcome> {
    return this.#call('importJob', async () => {
      await this.#whenCompared()
      await this.#core.faults.pause('job.import.begin')
      return importJob(this.#core, job)
    })
  }

  setAside(record: ImportedRecord): Promise<'recorded' | 'present'> {
    return this.#call('setAside', async () => {
      await this.#whenCompared()
      return setAsideFile(this.#core, record)
    })
  }

  endImport(importId: string, summary: ImportSummary, by: Operator): Promise<void> {
    return this.#call('endImport', async () => {
      await this.#whenCompared()
      endImport(this.#core, importId, summary, by)
    })
  }

  readiness(): StoreReadiness {
    const isOpen = this.#closed === undefined && this.#core.connection.usable
    return readinessOf(this.#core, {
      isOpen,
      fatal: this.#fatal,
      replay: this.#replay,
      replayCause: this.#replayCause,
    })
  }

  async ready(signal: AbortSignal): Promise<void> {
    this.#usable('ready')
    const compared = this.#comparing.catch(() => undefined)
    if (this.#replay !== 'done') await untilAborted(compared, signal, 'job store: ready')
    this.#usable('ready')
    if (this.#replay === 'failed') throw this.#notCompared()
    const { newKeys, checks } = this.readiness()
    const failed = checks.find(({ ok }) => !ok)
    if (!newKeys) throw new StoreNotReady(failed?.detail ?? 'not ready', failed?.remedy ?? '')
  }

  close(): Promise<void> {
    this.#closed ??= this.#closeOnce()
    return this.#closed
  }

  async #closeOnce(): Promise<void> {
    const { connection, queue, ledger, logger } = this.#core
    this.#stopping.abort()
    // It ends at its next look at the signal; what it did until then is durable and begins anew next time.
    await this.#comparing.catch(() => undefined)
    try {
      queue.close()
      if (connection.usable) this.#meta.writeLast(connection, ledger)
    } catch (cause) {
      // Everything that was answered is durable already.
      logger.warn({ cause }, 'job store: the last rows were not written')
    } finally {
      connection.close()
      try {
        await ledger.close()
      } catch (cause) {
        logger.warn({ cause }, 'job store: the ledger was not synced at its end')
      } finally {
        this.#onClose()
      }
    }
  }

  /** What seems damaged while writing is an index, most of the time. */
  #reindex(): void {
    const { clock, tables } = this.#core
    if (clock.nowMs() - this.#reindexedAtMs < reindexMs) return
    this.#reindexedAtMs = clock.nowMs()
    tables.reindex('intent')
    tables.reindex('job')
  }

  #fail(cause: unknown): void {
    this.#fatal ??= cause
    this.#core.connection.fail()
  }

  #usable(what: string): void {
    if (this.#closed !== undefined || !this.#core.connection.usable) {
      const options = this.#fatal === undefined ? {} : { cause: this.#fatal }
      throw new StoreFailed(`job store: ${what}`, 'persisterClosed', options)
    }
  }

  async #call<T>(what: string, work: () => Promise<T>): Promise<T> {
    this.#usable(what)
    try {
      return await work()
    } catch (cause) {
      throw failureOf(what, cause)
    }
  }
}

function failureOf(what: string, cause: unknown): unknown {
  if (isHoldfastError(cause) || cause instanceof TypeError || cause instanceof RangeError) {
    return cause
  }
  return new StoreFailed(`job store: ${what}`, classify(cause), { cause })
}

function comparing(): StoreNotReady {
  return new StoreNotReady(
    'the ledger is still being compared with the database',
    'Wait a moment and make the same call again.',
  )
}

/** The later report with what the opening had mended before: otherwise nobody would ever be told. */
function withMended(report: ReconcileReport, before: ReconcileReport): ReconcileReport {
  return {
    ...report,
    linesAppended: report.linesAppended + before.linesAppended,
    settlementsRestored: report.settlementsRestored + before.settlementsRestored,
    intentsRestored: report.intentsRestored + before.intentsRestored,
    repairedLines: report.repairedLines + before.repairedLines,
    indexesRebuilt: report.indexesRebuilt || before.indexesRebuilt,
  }
}
