import { type Clock, systemClock } from '../base/clock.js'
import { throwIfAborted } from '../base/errors.js'
import { type FaultPoints, noFaults } from '../base/fault-points.js'
import { persistenceKindOf, StoreFailed } from '../base/persistence.js'
import { canonicalRequest } from '../covenant/digest.js'
import {
  applyTransition,
  type FinalTransition,
  isFinal,
  type Job,
  type JobIdentity,
  type JobState,
  type Outpoint,
  type RequestId,
} from '../covenant/job.js'
import type { Request, Route } from '../covenant/request.js'
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
} from '../covenant/store.js'
import { JobFences, keyText, rawSummary } from './job-fences.js'
import { JobLeases } from './job-leases.js'
import { initialProgress, type Wait, waiting } from './job-progress.js'
import { RecordNotFound, ResolutionRefused, StoreNotReady } from './job-refusals.js'
import { JobSchedule } from './job-schedule.js'
import type {
  ImportedJob,
  ImportedRecord,
  ImportOutcome,
  ImportSummary,
  ImportTarget,
  KnownJob,
} from './keep-core/import-target.js'
import {
  type ImportContents,
  importContents,
  importRecord,
  judgeMemoryImport,
  keepIntents,
  memoryDetail,
  resolveFile,
} from './memory-imports.js'

type RecordedIntent = Intent & { readonly requestId: RequestId }

type Contents = {
  readonly jobs: Map<RequestId, Job>
  readonly keys: Map<string, RequestId>
  /** In the order they were accepted. */
  readonly order: Map<bigint, RequestId>
  readonly intents: Map<Outpoint, RecordedIntent>
  /** The second witness: jobs as they were accepted. A released or retired key has no line any more. */
  readonly lines: Map<string, Job>
  readonly damaged: Set<RequestId>
  readonly retired: Map<string, QuarantineRecord>
  readonly imports: ImportContents
  seq: bigint
  opening: bigint
  hostHeight: bigint | undefined
}

/** What outlives a closed memory store: hand it to the next one to open the same jobs again. */
export interface MemoryJobDisk {
  /** Makes the job's record unreadable, as flipped bits would. */
  damage(id: RequestId): void
  /** Drops the job's record behind the store's back. */
  lose(id: RequestId): void
}

const contentsOf = new WeakMap<MemoryJobDisk, Contents>()
const inUse = new WeakSet<Contents>()

export function memoryJobDisk(): MemoryJobDisk {
  const contents: Contents = {
    jobs: new Map(),
    keys: new Map(),
    order: new Map(),
    intents: new Map(),
    lines: new Map(),
    damaged: new Set(),
    retired: new Map(),
    imports: importContents(),
    seq: 0n,
    opening: 0n,
    hostHeight: undefined,
  }
  const disk: MemoryJobDisk = {
    damage: (id) => void contents.damaged.add(id),
    lose: (id) => void contents.jobs.delete(id),
  }
  contentsOf.set(disk, contents)
  return disk
}

export type MemoryJobStoreOptions = {
  /** Default: a new, empty one. */
  readonly disk?: MemoryJobDisk
  readonly faults?: FaultPoints
  readonly clock?: Clock
}

/**
 * A job store in memory, for tests and benches: it answers what SQLite's answers and keeps nothing.
 *
 * @throws RangeError when the disk is in use by another store
 */
export function memoryJobStore(options: MemoryJobStoreOptions = {}): JobStore & ImportTarget {
  const contents = contentsOf.get(options.disk ?? memoryJobDisk())
  if (contents === undefined) throw new RangeError('memory store: not a disk of memoryJobDisk()')
  if (inUse.has(contents)) throw new RangeError('memory store: this disk is in use')
  return new MemoryJobStore(contents, options.faults ?? noFaults, options.clock ?? systemClock)
}

class MemoryJobStore implements JobStore, ImportTarget {
  readonly #contents: Contents
  readonly #faults: FaultPoints
  readonly #clock: Clock
  readonly #schedule = new JobSchedule()
  readonly #leases: JobLeases
  readonly #fences = new JobFences()
  #closed = false

  constructor(contents: Contents, faults: FaultPoints, clock: Clock) {
    inUse.add(contents)
    this.#contents = contents
    this.#faults = faults
    this.#clock = clock
    contents.opening += 1n
    this.#leases = new JobLeases(contents.opening)
    this.#compare()
  }

  /** Fences what only one of the two witnesses knows, and plans the rest. */
  #compare(): void {
    const { lines, jobs, damaged, retired, imports } = this.#contents
    for (const record of retired.values()) this.#fences.add(record)
    for (const { raw, ...record } of imports.files.values()) {
      if (!imports.resolved.has(record.id)) this.#fences.add(record)
    }
    for (const id of imports.open) this.#fences.add(importRecord(id, this.#clock.nowMs()))
    for (const line of lines.values()) {
      const job = jobs.get(line.requestId)
      if (job === undefined) this.#fence(line, 'its record is lost')
      else if (damaged.has(line.requestId)) this.#fence(line, 'its record is damaged')
      else if (!isFinal(job.state) && !job.held) this.#schedule.set(job.seq, job.nextAtMs)
    }
  }

  #fence(job: Job, reason: string): void {
    const { route, routeRequestId, requestId, outpoint } = job
    this.#fences.add({
      id: `job-${job.seq}`,
      kind: 'job',
      reason,
      blocks: { keys: [{ route, routeRequestId }], outpoints: [outpoint], everyNewKey: false },
      requestId,
      ...rawSummary(Buffer.from(requestId)),
      foundAtMs: this.#clock.nowMs(),
      state: 'open',
    })
  }

  async accept(job: JobIdentity): Promise<AcceptOutcome> {
    this.#usable('accept')
    await this.#begin('accept')
    const { jobs, keys, lines } = this.#usable('accept')
    const key = keyText(job.route, job.routeRequestId)
    const fence = this.#fences.byKey(job.route, job.routeRequestId)
    if (fence !== undefined) {
      const healed = this.#heal(job)
      return healed ? { kind: 'existing', job: healed } : { kind: 'fenced', fence }
    }
    const known = jobs.get(keys.get(key) ?? job.requestId)
    if (known !== undefined) {
      if (known.requestDigest === job.requestDigest) return { kind: 'existing', job: known }
      return { kind: 'payloadMismatch', requestId: known.requestId }
    }
    const closing = this.#fences.everyNewKey
    if (closing !== undefined) {
      throw new StoreNotReady(closing.reason, `Resolve ${closing.id}.`)
    }
    const closed = this.#fences.byOutpoint(job.outpoint)
    if (closed !== undefined) return { kind: 'fenced', fence: closed }
    return this.#commit('accept', () => {
      const seq = this.#nextSeq()
      const made = { ...job, seq, ...initialProgress(job.createdAt, this.#clock.nowMs()) }
      this.#put(made)
      lines.set(key, made)
      this.#contents.order.set(seq, job.requestId)
      return { kind: 'accepted', job: made }
    })
  }

  #nextSeq(): bigint {
    this.#contents.seq += 1n
    return this.#contents.seq
  }

  #put(job: Job): void {
    const { jobs, keys } = this.#contents
    jobs.set(job.requestId, job)
    keys.set(keyText(job.route, job.routeRequestId), job.requestId)
    if (!isFinal(job.state) && !job.held) this.#schedule.set(job.seq, job.nextAtMs)
  }

  async heal(job: JobIdentity): Promise<Job | undefined> {
    this.#usable('heal')
    return this.#heal(job)
  }

  #heal(job: JobIdentity): Job | undefined {
    const { lines, damaged } = this.#contents
    const line = lines.get(keyText(job.route, job.routeRequestId))
    const record = line && this.#fences.get(`job-${line.seq}`)
    if (line === undefined || record === undefined) return undefined
    if (this.#fences.closing(job.route, job.routeRequestId).length > 1) return undefined
    if (line.requestDigest !== job.requestDigest) return undefined
    damaged.delete(line.requestId)
    this.#put(line)
    this.#fences.remove(record.id)
    return line
  }

  async find(id: RequestId): Promise<FindOutcome> {
    const { jobs } = this.#usable('find')
    const fence = this.#fences.byRequestId(id)
    if (fence !== undefined) return { kind: 'fenced', fence }
    const job = jobs.get(id)
    return job === undefined ? { kind: 'absent' } : { kind: 'found', job }
  }

  async findByRoute(route: Route, routeRequestId: string): Promise<FindOutcome> {
    const { jobs, keys } = this.#usable('findByRoute')
    const fence = this.#fences.byKey(route, routeRequestId)
    if (fence !== undefined) return { kind: 'fenced', fence }
    const id = keys.get(keyText(route, routeRequestId))
    const job = id === undefined ? undefined : jobs.get(id)
    return job === undefined ? { kind: 'absent' } : { kind: 'found', job }
  }

  async list(query: {
    readonly state?: JobState
    readonly route?: Route
    readonly afterSeq?: bigint
    readonly limit: number
  }): Promise<readonly Job[]> {
    const { jobs, order } = this.#usable('list')
    const { state, route, afterSeq = 0n, limit } = query
    const found: Job[] = []
    for (const id of order.values()) {
      if (found.length === limit) break
      const job = jobs.get(id)
      if (job === undefined || job.seq <= afterSeq || this.#fences.byRequestId(id)) continue
      if (route !== undefined && job.route !== route) continue
      if (state === undefined || job.state === state) found.push(job)
    }
    return found
  }

  async claim(owner: string, nowMs: number, limit: number): Promise<readonly Claim[]> {
    const { jobs, intents, order } = this.#usable('claim')
    const claims: Claim[] = []
    while (claims.length < limit) {
      const seq = this.#schedule.take(nowMs)
      if (seq === undefined) break
      const id = order.get(seq)
      const job = id === undefined ? undefined : jobs.get(id)
      if (job === undefined || this.#fences.byKey(job.route, job.routeRequestId)) continue
      const lease = this.#leases.grant(job, owner)
      const held = intents.get(job.outpoint)
      const intent = held?.requestId === job.requestId ? withoutId(held) : undefined
      claims.push({ job, lease, intent })
    }
    return claims
  }

  nextDueMs(): number | undefined {
    this.#usable('nextDueMs')
    return this.#schedule.nextDueMs()
  }

  onDue(listener: () => void): () => void {
    return this.#schedule.onDue(listener)
  }

  nudge(id: RequestId, nowMs: number): void {
    const job = this.#usable('nudge').jobs.get(id)
    if (job !== undefined) this.#schedule.hasten(job.seq, nowMs)
  }

  async intend(lease: Lease, intent: Intent): Promise<IntendOutcome> {
    this.#usable('intend')
    await this.#begin('intend')
    const { intents } = this.#usable('intend')
    if (this.#leases.jobOf(lease) === undefined) return { kind: 'stale' }
    const fence = this.#fences.byOutpoint(intent.outpoint)
    if (fence !== undefined) return { kind: 'fenced', fence }
    const held = intents.get(intent.outpoint)
    if (held !== undefined) {
      if (held.sighash === intent.sighash) return { kind: 'same' }
      return { kind: 'conflict', requestId: held.requestId }
    }
    return this.#commit('intend', () => {
      intents.set(intent.outpoint, { ...intent, requestId: lease.requestId })
      return { kind: 'recorded' }
    })
  }

  async settle(
    lease: Lease,
    transition: FinalTransition,
    options: { readonly releaseIntent: boolean; readonly at: string },
  ): Promise<SettleOutcome> {
    this.#usable('settle')
    await this.#begin('settle')
    const { jobs, intents, lines } = this.#usable('settle')
    const job = jobs.get(lease.requestId)
    if (job === undefined || this.#leases.jobOf(lease) === undefined) return { kind: 'stale' }
    return this.#commit('settle', () => {
      const settled = { ...job, ...applyTransition(job, transition, options.at), held: false }
      jobs.set(job.requestId, settled)
      lines.set(keyText(job.route, job.routeRequestId), settled)
      this.#leases.end(lease)
      const held = intents.get(job.outpoint)
      if (options.releaseIntent && held?.requestId === job.requestId) intents.delete(job.outpoint)
      return { kind: 'settled', job: settled }
    })
  }

  async defer(lease: Lease, wait: Wait): Promise<SettleOutcome> {
    this.#usable('defer')
    await this.#begin('defer')
    const { jobs } = this.#usable('defer')
    const job = jobs.get(lease.requestId)
    if (job === undefined || this.#leases.jobOf(lease) === undefined) return { kind: 'stale' }
    return this.#commit('defer', () => {
      const deferred = { ...job, ...waiting(wait, job.held) }
      this.#leases.end(lease)
      this.#put(deferred)
      return { kind: 'settled', job: deferred }
    })
  }

  async releaseIntent(outpoint: Outpoint, _by: Operator): Promise<ReleaseOutcome> {
    const { intents, jobs } = this.#usable('releaseIntent')
    const held = intents.get(outpoint)
    if (held === undefined) return { kind: 'absent' }
    const job = jobs.get(held.requestId)
    if (job === undefined || !isFinal(job.state)) {
      return { kind: 'jobNotFinal', requestId: held.requestId }
    }
    intents.delete(outpoint)
    return { kind: 'released' }
  }

  async findIntent(
    outpoint: Outpoint,
  ): Promise<(Intent & { readonly requestId: RequestId }) | undefined> {
    return this.#usable('findIntent').intents.get(outpoint)
  }

  async resume(id: RequestId, _by: Operator): Promise<ResumeOutcome> {
    const { jobs, lines } = this.#usable('resume')
    const outcome = await this.find(id)
    if (outcome.kind !== 'found') return outcome
    const { job } = outcome
    const fence = this.#fences.byKey(job.route, job.routeRequestId)
    if (fence !== undefined) return { kind: 'fenced', fence }
    if (!job.held || isFinal(job.state)) return { kind: 'notHeld', job }
    const resumed = { ...job, held: false }
    jobs.set(id, resumed)
    lines.set(keyText(job.route, job.routeRequestId), resumed)
    this.#schedule.set(job.seq, job.nextAtMs)
    return { kind: 'resumed', job: resumed }
  }

  async findQuarantined(recordId: string): Promise<QuarantineDetail | undefined> {
    const { imports, lines } = this.#usable('findQuarantined')
    const record = this.#fences.get(recordId)
    if (record === undefined) return undefined
    const line = [...lines.values()].find(({ seq }) => `job-${seq}` === recordId)
    const kept = imports.files.get(recordId)?.raw
    return memoryDetail(record, kept ?? Buffer.from(record.requestId ?? record.reason), line)
  }

  async listQuarantined(limit: number): Promise<readonly QuarantineRecord[]> {
    this.#usable('listQuarantined')
    return this.#fences.list(limit)
  }

  async resolve(
    recordId: string,
    how: Resolution,
    _by: Operator,
    dryRun: boolean,
  ): Promise<ResolveReport> {
    const { lines, jobs, keys, retired, damaged } = this.#usable('resolve')
    const record = this.#fences.get(recordId)
    if (record === undefined) throw new RecordNotFound(recordId)
    if (record.kind !== 'job') return this.#resolveOther(record, how, dryRun)
    const line = [...lines.values()].find(({ seq }) => `job-${seq}` === recordId)
    const [key] = record.blocks.keys
    const text = key === undefined ? '' : keyText(key.route, key.routeRequestId)
    const report = (change: string): ResolveReport => ({ record, changes: [change], dryRun })
    switch (how.kind) {
      case 'restore':
        throw new ResolutionRefused(recordId, 'its request is gone', 'Adopt the request instead.')
      case 'adopt':
        if (line === undefined || !isSame(line.request, how.request)) {
          throw new ResolutionRefused(
            recordId,
            'the request is another one',
            'Hand in the request as it was submitted.',
          )
        }
        if (!dryRun) this.#heal(line)
        return report('the job is rebuilt from the request')
      case 'retire': {
        const reason = 'retired: closed for ever'
        const closed: QuarantineRecord = { ...record, reason, state: 'retired' }
        if (!dryRun) {
          retired.set(recordId, closed)
          this.#fences.add(closed)
          lines.delete(text)
        }
        return report('its key stays closed for ever')
      }
      case 'release':
        if (how.typedKey !== text) {
          throw new ResolutionRefused(recordId, 'another key was typed', `Type ${text}.`)
        }
        if (!dryRun) {
          lines.delete(text)
          const id = keys.get(text)
          keys.delete(text)
          if (id !== undefined) {
            jobs.delete(id)
            damaged.delete(id)
          }
          retired.delete(recordId)
          this.#fences.remove(recordId)
        }
        return report('its key can be used again')
    }
  }

  #resolveOther(record: QuarantineRecord, how: Resolution, dryRun: boolean): ResolveReport {
    const { imports, jobs, keys, retired } = this.#contents
    const known = record.requestId === undefined ? undefined : jobs.get(record.requestId)
    const { change, left } = resolveFile(record, how, known)
    if (!dryRun) {
      imports.open.delete(record.id)
      imports.resolved.add(record.id)
      this.#fences.remove(record.id)
      if (left !== undefined) {
        retired.set(record.id, left)
        this.#fences.add(left)
      } else retired.delete(record.id)
      for (const { route, routeRequestId } of record.blocks.keys) {
        const id = keys.get(keyText(route, routeRequestId))
        const job = id === undefined ? undefined : jobs.get(id)
        if (job !== undefined) this.#put(job)
      }
    }
    return { record, changes: [change], dryRun }
  }

  async findKey(id: RequestId): Promise<KnownJob | undefined> {
    const { lines, jobs } = this.#usable('findKey')
    const line = jobs.get(id) ?? [...lines.values()].find(({ requestId }) => requestId === id)
    if (line === undefined) return undefined
    const { route, routeRequestId, outpoint } = line
    return { key: { route, routeRequestId }, outpoint }
  }

  async beginImport(importId: string, _by: Operator): Promise<void> {
    const { imports } = this.#usable('beginImport')
    imports.open.add(importId)
    imports.begun.add(importId)
    this.#fences.add(importRecord(importId, this.#clock.nowMs()))
  }

  async importJob(imported: ImportedJob): Promise<ImportOutcome> {
    this.#usable('importJob')
    await this.#begin('import')
    const { jobs, keys, intents, lines, order } = this.#usable('importJob')
    const { identity, progress } = imported
    const key = keyText(identity.route, identity.routeRequestId)
    const known = jobs.get(identity.requestId) ?? jobs.get(keys.get(key) ?? identity.requestId)
    const judged = judgeMemoryImport(known, this.#fences, imported)
    if (typeof judged === 'object') return judged
    return this.#commit('import', () => {
      const seq = known?.seq ?? this.#nextSeq()
      const job = { ...identity, ...progress, seq }
      this.#put(job)
      lines.set(key, job)
      order.set(seq, identity.requestId)
      keepIntents(intents, imported)
      return { kind: judged === 'new' ? 'imported' : 'advanced' }
    })
  }

  async setAside(record: ImportedRecord): Promise<'recorded' | 'present'> {
    const { imports } = this.#usable('setAside')
    if (imports.files.has(record.id)) return 'present'
    imports.files.set(record.id, record)
    const { raw, ...own } = record
    this.#fences.add(own)
    return 'recorded'
  }

  async endImport(importId: string, _summary: ImportSummary, _by: Operator): Promise<void> {
    const { imports } = this.#usable('endImport')
    if (!imports.begun.has(importId)) throw new RangeError('job store: this import was not begun')
    imports.open.delete(importId)
    this.#fences.remove(importId)
  }

  async reconcile(signal: AbortSignal): Promise<ReconcileReport> {
    const { lines, jobs } = this.#usable('reconcile')
    throwIfAborted(signal, 'reconcile')
    return {
      lines: BigInt(lines.size),
      rows: BigInt(jobs.size),
      linesAppended: 0,
      settlementsRestored: 0,
      intentsRestored: 0,
      fenced: this.#fences.size,
      repairedLines: 0,
      indexesRebuilt: false,
    }
  }

  hostHeight(): bigint | undefined {
    return this.#usable('hostHeight').hostHeight
  }

  noteHostHeight(height: bigint): void {
    const contents = this.#usable('noteHostHeight')
    if (contents.hostHeight === undefined || contents.hostHeight < height) {
      contents.hostHeight = height
    }
  }

  async resetHostHeight(height: bigint, _by: Operator): Promise<void> {
    this.#usable('resetHostHeight').hostHeight = height
  }

  async recordCertificate(_note: CertificateNote, _by: Operator): Promise<void> {
    // There is no second witness here to write it to.
    this.#usable('recordCertificate')
  }

  readiness(): StoreReadiness {
    const fenced = this.#fences.open
    const detail = fenced === 0 ? 'no records' : `${fenced} records are set aside`
    const remedy = fenced === 0 ? '' : 'List the quarantined records and resolve them.'
    const open = !this.#closed
    return {
      newKeys: open && this.#fences.everyNewKey === undefined,
      checks: [
        { name: 'database', ok: open, detail: open ? 'in memory' : 'closed', remedy: '' },
        { name: 'quarantine', ok: fenced === 0, detail, remedy },
      ],
    }
  }

  async ready(signal: AbortSignal): Promise<void> {
    this.#usable('ready')
    throwIfAborted(signal, 'ready')
    const closing = this.#fences.everyNewKey
    if (closing !== undefined) throw new StoreNotReady(closing.reason, `Resolve ${closing.id}.`)
  }

  async close(): Promise<void> {
    this.#closed = true
    inUse.delete(this.#contents)
  }

  #usable(what: string): Contents {
    if (this.#closed) throw new StoreFailed(`job store: ${what}`, 'persisterClosed')
    return this.#contents
  }

  async #begin(what: string): Promise<void> {
    try {
      await this.#faults.pause(`job.${what}.begin`)
    } catch (cause) {
      throw failure(what, cause, 'notWritten')
    }
  }

  /** Passes the points that a commit to a disk passes, and keeps the change only behind the commit. */
  #commit<T>(what: string, change: () => T): T {
    try {
      this.#faults.reach(`job.${what}.item:1`)
      this.#faults.reach(`job.${what}.beforeCommit`)
    } catch (cause) {
      throw failure(what, cause, 'notWritten')
    }
    const answer = change()
    try {
      this.#faults.reach(`job.${what}.commitError`)
      this.#faults.reach(`job.${what}.afterCommit`)
    } catch {
      // A commit that returned an error: reading back finds the change, so the promise is kept.
    }
    if (what === 'defer') return answer
    try {
      this.#faults.reach(`job.${what}.append.before`)
      this.#faults.reach(`job.${what}.append.after`)
    } catch (cause) {
      throw failure(what, cause, 'unknown')
    }
    return answer
  }
}

function isSame(one: Request, other: Request): boolean {
  return canonicalRequest(one) === canonicalRequest(other)
}

function withoutId({ outpoint, sighash, unsignedTransaction }: RecordedIntent): Intent {
  return { outpoint, sighash, unsignedTransaction }
}

function failure(what: string, cause: unknown, outcome: 'notWritten' | 'unknown'): StoreFailed {
  const kind = persistenceKindOf(cause) ?? 'fatal'
  return new StoreFailed(`job store: ${what}`, kind, { outcome, cause })
}
