import { isHoldfastError } from '../../base/errors.js'
import type { FaultPoints } from '../../base/fault-points.js'
import { jobBatchMax } from '../../base/limits.js'
import type { Logger } from '../../base/log.js'
import { StoreFailed } from '../../base/persistence.js'
import { LedgerAppendFailed } from '../ledger-file.js'
import type { AppendedEntry, Ledger } from '../ledger-port.js'
import { classify, looksDamaged, primaryCodeOf } from './classify.js'
import type { Connection } from './connection.js'
import { commitOrSettle } from './settle.js'

export type WriteKind = 'accept' | 'intend' | 'settle' | 'defer' | 'import'

/** What one change came to inside the transaction. */
export type Written<T> = {
  readonly answer: T
  /** The lines that say what was written; they have the sequence that the change was given, and those behind it. */
  readonly entries?: readonly AppendedEntry[]
  /** Whether the change is stored, asked of a fresh handle; left out when nothing was changed. */
  readonly isStored?: () => boolean
  /** Makes the change visible in memory; called once it is durable in the database. */
  readonly publish?: () => void
}

/** Runs work once after a while, without keeping the process alive; answers how to call it off. */
export type Later = (work: () => void, delayMs: number) => () => void

type Item = {
  readonly kind: WriteKind
  readonly run: (seq: bigint) => Written<unknown>
  readonly resolve: (answer: unknown) => void
  readonly reject: (cause: unknown) => void
}

type Outcome = Written<unknown> | { readonly failure: unknown }

/** Milliseconds between two tries to write lines that the disk did not take, and until a sync. */
const retryMs = 1000
const syncMs = 1000

/**
 * Commits every change of one turn of the event loop together, writes their lines, then answers.
 *
 * @remarks The order is commit (synced), append, answer; with an intent in the batch the ledger is synced before.
 * Lines that the disk does not take wait in order, and nothing that needs a line is taken until they are written.
 */
export class WriteQueue {
  readonly #connection: Connection
  readonly #ledger: Ledger
  readonly #faults: FaultPoints
  readonly #logger: Logger
  readonly #later: Later
  readonly #extras: { readonly write: () => void; readonly written: () => void }
  readonly #reindex: () => void
  readonly #onFatal: (cause: unknown) => void
  #items: Item[] = []
  #scheduled = false
  /** Lines of committed changes that were not handed to the ledger yet. */
  #backlog: AppendedEntry[] = []
  #retrying: (() => void) | undefined
  #syncing: (() => void) | undefined

  /** @param options.extras small rows that are written along with the next commit */
  constructor(options: {
    readonly connection: Connection
    readonly ledger: Ledger
    readonly faults: FaultPoints
    readonly logger: Logger
    readonly later: Later
    readonly extras: { readonly write: () => void; readonly written: () => void }
    readonly reindex: () => void
    readonly onFatal: (cause: unknown) => void
  }) {
    this.#connection = options.connection
    this.#ledger = options.ledger
    this.#faults = options.faults
    this.#logger = options.logger
    this.#later = options.later
    this.#extras = options.extras
    this.#reindex = options.reindex
    this.#onFatal = options.onFatal
  }

  /** True while the ledger takes lines. */
  takesLines(): boolean {
    return this.#backlog.length === 0 && this.#ledger.state() === 'ok'
  }

  /**
   * Makes a change in the next commit; `run` gets the sequence that its first line will have.
   *
   * @throws StoreFailed: `notWritten`, or `unknown` when the change is stored or may be
   */
  add<T>(kind: WriteKind, run: (seq: bigint) => Written<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      // The answer that comes back is the one that this very `run` made.
      this.#items.push({ kind, run, resolve: resolve as (answer: unknown) => void, reject })
      this.#schedule()
    })
  }

  /** Writes one line and syncs it before anything else happens, as what people do is recorded. */
  appendSynced(entry: AppendedEntry): bigint {
    if (!this.takesLines()) throw this.#lineRefused('operate')
    try {
      const [seq] = this.#ledger.append([entry])
      this.#ledger.sync()
      if (seq === undefined) throw new RangeError('ledger: want a sequence for the line')
      return seq
    } catch (cause) {
      this.#appendFailed(cause)
      throw new StoreFailed('job store: operate', 'transient', { outcome: 'unknown', cause })
    }
  }

  /** Commits what waits now. */
  flush(): void {
    while (this.#items.length > 0) this.#commit(this.#items.splice(0, jobBatchMax))
  }

  /** Writes and syncs what the disk takes, and stops every timer. */
  close(): void {
    this.flush()
    this.#retrying?.()
    this.#syncing?.()
    this.#retrying = undefined
    this.#syncing = undefined
    try {
      this.#writeBacklog()
    } catch (cause) {
      // The rows are committed: the next opening makes their lines again.
      this.#logger.warn({ lines: this.#backlog.length, cause }, 'job store: lines were not written')
    }
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      const batch = this.#items.splice(0, jobBatchMax)
      if (batch.length > 0) this.#commit(batch)
      if (this.#items.length > 0) this.#schedule()
    })
  }

  #commit(items: readonly Item[]): void {
    const kinds = new Set(items.map(({ kind }) => kind))
    let outcomes: readonly Outcome[]
    try {
      outcomes = this.#transact(items, kinds)
    } catch (cause) {
      if (this.#isDamage(cause) && this.#mend()) {
        // One damaged page must not sink the changes that do not touch it.
        for (const item of items) this.#commitAlone(item)
        return
      }
      for (const item of items) item.reject(failureOf(item.kind, cause))
      return
    }
    this.#finish(items, kinds, outcomes)
  }

  #commitAlone(item: Item): void {
    const kinds = new Set([item.kind])
    try {
      this.#finish([item], kinds, this.#transact([item], kinds))
    } catch (cause) {
      item.reject(failureOf(item.kind, cause))
    }
  }

  #isDamage(cause: unknown): boolean {
    return looksDamaged(cause) || (cause instanceof StoreFailed && looksDamaged(cause.cause))
  }

  #mend(): boolean {
    try {
      this.#reindex()
      return true
    } catch (cause) {
      this.#logger.warn({ cause }, 'job store: indexes could not be rebuilt')
      return this.#connection.usable
    }
  }

  #transact(items: readonly Item[], kinds: ReadonlySet<WriteKind>): readonly Outcome[] {
    const outcomes: Outcome[] = []
    return commitOrSettle(this.#connection, {
      what: 'commit',
      run: () => {
        this.#extras.write()
        this.#runAll(items, outcomes)
        this.#reach(kinds, 'beforeCommit')
        return outcomes
      },
      committed: () => {
        this.#reach(kinds, 'commitError')
        this.#reach(kinds, 'afterCommit')
      },
      readBack: () => (outcomes.length < items.length ? undefined : readBack(outcomes)),
    })
  }

  #runAll(items: readonly Item[], outcomes: Outcome[]): void {
    const { handle } = this.#connection
    const takesLines = this.takesLines()
    let seq = this.#ledger.nextSeq() + BigInt(this.#backlog.length)
    for (const [at, item] of items.entries()) {
      if (!takesLines && item.kind !== 'defer') {
        outcomes.push({ failure: this.#lineRefused(item.kind) })
        continue
      }
      this.#connection.run('savepoint item')
      let outcome: Outcome
      try {
        this.#faults.reach(`job.${item.kind}.item:${at + 1}`)
        outcome = item.run(seq)
      } catch (cause) {
        if (!handle.inTransaction) throw new BatchLost(cause)
        if (primaryCodeOf(cause) === 'SQLITE_IOERR' || looksDamaged(cause)) throw cause
        this.#connection.run('rollback to item')
        outcome = { failure: failureOf(item.kind, cause) }
      }
      // A full disk inside a savepoint ends the whole transaction, whatever was made of its error.
      if (!handle.inTransaction) throw new BatchLost(undefined)
      this.#connection.run('release item')
      outcomes.push(outcome)
      if (!('failure' in outcome)) seq += BigInt(outcome.entries?.length ?? 0)
    }
  }

  #finish(
    items: readonly Item[],
    kinds: ReadonlySet<WriteKind>,
    outcomes: readonly Outcome[],
  ): void {
    this.#extras.written()
    const entries: AppendedEntry[] = []
    let isAwaited = false
    for (const [at, outcome] of outcomes.entries()) {
      if ('failure' in outcome) continue
      outcome.publish?.()
      entries.push(...(outcome.entries ?? []))
      isAwaited ||= needsLedger(items[at], outcome)
    }
    const cause = isAwaited ? this.#append(kinds, entries) : undefined
    for (const [at, item] of items.entries()) {
      const outcome = outcomes[at]
      if (outcome === undefined) continue
      if ('failure' in outcome) item.reject(outcome.failure)
      else if (cause === undefined || !needsLedger(item, outcome)) item.resolve(outcome.answer)
      else {
        const options = { outcome: 'unknown' as const, cause }
        item.reject(new StoreFailed(`job store: ${item.kind}`, 'transient', options))
      }
    }
  }

  /** Writes lines, and syncs them when an intent is among them; answers what went wrong. */
  #append(kinds: ReadonlySet<WriteKind>, entries: readonly AppendedEntry[]): unknown {
    this.#backlog.push(...entries)
    try {
      this.#reach(kinds, 'append.before')
      this.#writeBacklog()
      this.#reach(kinds, 'append.after')
      if (kinds.has('intend')) this.#ledger.sync()
      else this.#syncSoon()
      return undefined
    } catch (cause) {
      this.#appendFailed(cause)
      return cause
    }
  }

  #writeBacklog(): void {
    if (this.#ledger.waiting() > 0 && !this.#ledger.retry()) {
      throw new RangeError('ledger: lines still wait for the disk')
    }
    if (this.#backlog.length === 0) return
    const entries = this.#backlog
    try {
      this.#ledger.append(entries)
      this.#backlog = []
    } catch (cause) {
      // These lines wait inside the ledger now.
      if (cause instanceof LedgerAppendFailed) this.#backlog = []
      throw cause
    }
  }

  #appendFailed(cause: unknown): void {
    this.#logger.warn({ cause }, 'job store: the ledger took no lines')
    if (this.#ledger.state() === 'stopped') {
      this.#onFatal(cause)
      return
    }
    this.#syncSoon()
    this.#retrying ??= this.#later(() => {
      this.#retrying = undefined
      try {
        this.#writeBacklog()
        this.#syncSoon()
      } catch (again) {
        this.#appendFailed(again)
      }
    }, retryMs)
  }

  /** Lines are synced at most a second after they were written. */
  #syncSoon(): void {
    this.#syncing ??= this.#later(() => {
      this.#syncing = undefined
      try {
        this.#ledger.sync()
      } catch (cause) {
        this.#onFatal(cause)
      }
    }, syncMs)
  }

  #lineRefused(kind: string): StoreFailed {
    const cause = new RangeError(`ledger: takes no lines now, ${this.#ledger.trouble()}`)
    return new StoreFailed(`job store: ${kind}`, 'transient', { cause })
  }

  #reach(kinds: ReadonlySet<WriteKind>, point: string): void {
    for (const kind of kinds) this.#faults.reach(`job.${kind}.${point}`)
  }
}

/** An intent that is recorded already has its line, but perhaps not yet on the disk. */
function needsLedger(item: Item | undefined, { entries }: Written<unknown>): boolean {
  return entries !== undefined || item?.kind === 'intend'
}

/** The outcomes again when every change is stored, undefined when none is. */
function readBack(outcomes: readonly Outcome[]): readonly Outcome[] | undefined {
  let stored = 0
  let absent = 0
  const found = outcomes.map((outcome): Outcome => {
    if ('failure' in outcome || outcome.isStored === undefined) return outcome
    if (outcome.isStored()) {
      stored += 1
      return outcome
    }
    absent += 1
    const failure = new StoreFailed('job store: commit', 'persisterClosed', { outcome: 'unknown' })
    return { failure }
  })
  return stored === 0 && absent > 0 ? undefined : found
}

function failureOf(kind: WriteKind, cause: unknown): unknown {
  if (isHoldfastError(cause) || cause instanceof TypeError || cause instanceof RangeError) {
    return cause
  }
  return new StoreFailed(`job store: ${kind}`, classify(cause), { cause })
}

/** The transaction ended by itself; like after an I/O error, what became of it has to be read back. */
class BatchLost extends Error {
  readonly code = 'SQLITE_IOERR'
  constructor(cause: unknown) {
    super('a batch of changes was rolled back by the database', { cause })
  }
}
