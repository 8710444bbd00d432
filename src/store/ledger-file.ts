import {
  closeSync,
  constants,
  existsSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { type Clock, systemClock } from '../base/clock.js'
import { syncFolder } from '../base/durable-file.js'
import { HoldfastError } from '../base/errors.js'
import { type FaultPoints, noFaults } from '../base/fault-points.js'
import { ledgerPendingBytesMax } from '../base/limits.js'
import type { Head } from './ledger-chain.js'
import type { LedgerEntry } from './ledger-entry.js'
import { decodeLine, encodeLine, type LedgerLine, timeOf } from './ledger-line.js'
import type { LostTail, OpenedLedger } from './ledger-open.js'
import type {
  AppendedEntry,
  Ledger,
  LedgerOptions,
  LedgerState,
  LostLines,
  RewrittenLine,
} from './ledger-port.js'
import { activeName, findLine, listSegments, openSegment, segmentName } from './ledger-segments.js'
import { type HeadWitness, noWitness, openWitness, type WitnessState } from './ledger-witness.js'

const maxSegmentBytesDefault = 64 * 1024 * 1024

type Waiting = { readonly bytes: Buffer; readonly head: Head }
type Item = { readonly entry: LedgerEntry; readonly again?: bigint }

/** The ledger's writer; owns the descriptor of the active file. */
export class FileLedger implements Ledger {
  readonly opened: Ledger['opened']
  readonly #dir: string
  readonly #storeId: string
  readonly #clock: Clock
  readonly #faults: FaultPoints
  readonly #maxBytes: number
  readonly #witness: HeadWitness
  /** Undefined between the rename of a full file and the creation of the next one. */
  #descriptor: number | undefined
  /** Bytes of whole lines in the active file. */
  #sizeBytes: number
  #firstSeq: bigint
  #head: Head
  #lost: LostTail | undefined
  #waiting: Waiting[] = []
  #waitingBytes = 0
  /** Bytes behind `#sizeBytes` may be there. */
  #torn = false
  #unsynced = false
  /** The active file has a name that may not be durable. */
  #unnamed = false
  #rotateAt: number
  #trouble: unknown
  #stopped: LedgerSyncFailed | LedgerStopped | undefined

  constructor(dir: string, opened: OpenedLedger, options: LedgerOptions) {
    const { storeId, witnessPath, maxSegmentBytes = maxSegmentBytesDefault } = options
    const { descriptor, sizeBytes, firstSeq, head, lost, created, cut } = opened
    this.opened = { created, cut }
    this.#dir = dir
    this.#storeId = storeId
    this.#clock = options.clock ?? systemClock
    this.#faults = options.faults ?? noFaults
    this.#maxBytes = maxSegmentBytes
    this.#rotateAt = maxSegmentBytes
    this.#descriptor = descriptor
    this.#sizeBytes = sizeBytes
    this.#firstSeq = firstSeq
    this.#head = head
    this.#lost = lost
    this.#witness =
      witnessPath === undefined
        ? noWitness
        : openWitness(witnessPath, ({ seq, hash }) => this.find(seq)?.hash === hash)
    this.#witness.note(head)
  }

  state(): LedgerState {
    if (this.#stopped !== undefined) return 'stopped'
    if (this.#waiting.length > 0) return 'failed'
    return this.#lost === undefined ? 'ok' : 'damaged'
  }

  trouble(): string {
    const state = this.state()
    if (state === 'ok') return ''
    if (state === 'damaged') return `the last lines, from ${this.nextSeq()} on, cannot be read`
    const cause = this.#stopped ?? this.#trouble
    const why = cause instanceof Error ? cause.message : 'unknown'
    return state === 'failed' ? `${this.#waiting.length} lines wait for the disk: ${why}` : why
  }

  head(): Head {
    return this.#head
  }

  nextSeq(): bigint {
    return this.#tip().seq + 1n
  }

  append(entries: readonly AppendedEntry[]): readonly bigint[] {
    this.#assertRuns()
    if (this.#lost !== undefined) throw new LedgerDamaged(this.#lost)
    return this.#add(entries.map((entry) => ({ entry })))
  }

  repair(lost: LostLines | undefined, rewritten: readonly RewrittenLine[]): readonly bigint[] {
    this.#assertRuns()
    const firstSeq = this.#placeRepair(lost)
    const [from, to] = [lost?.fromSeq ?? 1n, lost?.toSeq ?? this.#tip().seq]
    if (rewritten.some(({ seq }) => seq < from || seq > to)) {
      throw new RangeError('ledger repair: a rewritten line is not among the lost ones')
    }
    const lines = rewritten.map(({ seq, entry }) => ({ entry, again: seq }))
    if (lost === undefined) return this.#add(lines)
    const { segment, fromSeq, toSeq, foundHash } = lost
    const declared = { kind: 'repair', segment, fromSeq, toSeq, foundHash } as const
    return this.#add([{ entry: declared }, ...lines], firstSeq)
  }

  lost(): LostTail | undefined {
    return this.#lost
  }

  sync(): void {
    if (this.#stopped !== undefined) throw this.#stopped
    if (!this.#unsynced || this.#descriptor === undefined) return
    const descriptor = this.#descriptor
    this.#fatal(() => {
      this.#faults.reach('ledger.sync.before')
      fdatasyncSync(descriptor)
      this.#faults.reach('ledger.sync.after')
    })
    this.#unsynced = false
    this.#witness.note(this.#head)
  }

  isUnsynced(): boolean {
    return this.#unsynced
  }

  waiting(): number {
    return this.#waiting.length
  }

  retry(): boolean {
    this.#assertRuns()
    if (this.#waiting.length === 0) return true
    if (!this.#flush()) return false
    this.#rotateIfFull()
    return this.#waiting.length === 0
  }

  find(seq: bigint): LedgerLine | undefined {
    if (seq < 1n || seq > this.#head.seq) return undefined
    const bytes = this.#findBytes(seq)
    const decoded = bytes === undefined ? undefined : decodeLine(bytes)
    return decoded?.kind === 'line' ? decoded.line : undefined
  }

  witness(): WitnessState {
    return this.#witness.state()
  }

  witnessCompared(): Promise<void> {
    return this.#witness.compared
  }

  acknowledgeWitness(): void {
    this.#witness.note(this.#head)
    this.#witness.acknowledge()
  }

  async close(): Promise<void> {
    if (this.#stopped instanceof LedgerStopped) return
    try {
      if (this.#stopped === undefined) {
        this.retry()
        this.sync()
      }
    } finally {
      this.#stopped = new LedgerStopped('closed')
      if (this.#descriptor !== undefined) closeSync(this.#descriptor)
      this.#descriptor = undefined
      await this.#witness.close()
    }
  }

  /** The last line, be it in the file or waiting. */
  #tip(): Head {
    return this.#waiting.at(-1)?.head ?? this.#head
  }

  #assertRuns(): void {
    if (this.#stopped !== undefined) throw this.#stopped
  }

  /** Where the repair line of a loss goes: next in the chain, or right behind lines lost at the end. */
  #placeRepair(lost: LostLines | undefined): bigint {
    const next = this.nextSeq()
    if (this.#lost !== undefined) {
      const same = lost?.fromSeq === this.#lost.fromSeq && lost.foundHash === this.#lost.foundHash
      if (!same) throw new RangeError('ledger repair: want the lost lines at the end first')
    }
    if (lost === undefined) return next
    const { fromSeq, toSeq } = lost
    if (fromSeq < 1n || fromSeq > next || toSeq < fromSeq - 1n) {
      throw new RangeError(`ledger repair: lines ${fromSeq} to ${toSeq} are no loss of this ledger`)
    }
    if (fromSeq < next && toSeq >= next) {
      throw new RangeError(`ledger repair: line ${next} is not lost`)
    }
    return fromSeq === next ? toSeq + 1n : next
  }

  #add(items: readonly Item[], firstSeq: bigint = this.nextSeq()): readonly bigint[] {
    if (items.length === 0) return []
    const blocked = this.#waiting.length > 0
    this.#enqueue(items, firstSeq)
    this.#lost = undefined
    if (blocked || !this.#flush()) throw new LedgerAppendFailed(items.length, this.#trouble)
    this.#rotateIfFull()
    return items.map((_, index) => firstSeq + BigInt(index))
  }

  #enqueue(items: readonly Item[], firstSeq: bigint): void {
    const at = timeOf(this.#clock.nowMs())
    const lines: Waiting[] = []
    let { hash } = this.#tip()
    let bytesTotal = this.#waitingBytes
    for (const { entry, again } of items) {
      const seq = firstSeq + BigInt(lines.length)
      const place = { seq, at, prev: hash, ...(again === undefined ? {} : { again }) }
      const line = encodeLine(place, entry)
      hash = line.hash
      bytesTotal += line.bytes.length
      lines.push({ bytes: line.bytes, head: { seq, hash } })
    }
    if (this.#waiting.length > 0 && bytesTotal > ledgerPendingBytesMax) {
      // Sequences are promised already, so going on without these lines would break the chain.
      this.#stopped = new LedgerStopped('too many lines wait for the disk', this.#trouble)
      throw this.#stopped
    }
    this.#waiting.push(...lines)
    this.#waitingBytes = bytesTotal
  }

  /** Writes the lines that wait; false when the disk refuses, which leaves all of them waiting. */
  #flush(): boolean {
    const last = this.#waiting.at(-1)
    if (last === undefined) return true
    try {
      this.#faults.reach('ledger.append.before')
      const descriptor = this.#descriptor ?? this.#create()
      this.#assertInPlace(descriptor)
      if (this.#torn) ftruncateSync(descriptor, this.#sizeBytes)
      this.#torn = true
      const bytes = Buffer.concat(this.#waiting.map((line) => line.bytes))
      writeAll(descriptor, bytes, this.#sizeBytes)
      // Again: what it was moved away with does not count as written.
      this.#assertInPlace(descriptor)
      this.#faults.reach('ledger.append.after')
    } catch (cause) {
      this.#trouble = cause
      return false
    }
    this.#torn = false
    this.#sizeBytes += this.#waitingBytes
    this.#waiting = []
    this.#waitingBytes = 0
    this.#head = last.head
    this.#unsynced = true
    if (this.#unnamed) this.#syncNew()
    return true
  }

  /** A file that was moved away or replaced takes writes as before, and the next opening would not find them. */
  #assertInPlace(descriptor: number): void {
    const own = fstatSync(descriptor, { bigint: true })
    const there = statSync(join(this.#dir, activeName), { bigint: true, throwIfNoEntry: false })
    if (there?.ino !== own.ino || there.dev !== own.dev) throw new LedgerMisplaced()
  }

  /** Puts a full file aside; what hinders that before the rename is no reason to stop. */
  #rotateIfFull(): void {
    const full = this.#descriptor
    if (full === undefined || this.#sizeBytes < this.#rotateAt) return
    const name = segmentName(this.#firstSeq)
    this.#fatal(() => {
      this.#faults.reach('ledger.rotate:1')
      fsyncSync(full)
    })
    this.#unsynced = false
    try {
      this.#faults.reach('ledger.rotate:2')
      if (existsSync(join(this.#dir, name))) throw new RangeError(`${name} is there already`)
      renameSync(join(this.#dir, activeName), join(this.#dir, name))
    } catch (cause) {
      this.#trouble = cause
      this.#rotateAt += this.#maxBytes
      return
    }
    this.#descriptor = undefined
    this.#rotateAt = this.#maxBytes
    this.#firstSeq = this.nextSeq()
    this.#sizeBytes = 0
    this.#fatal(() => {
      this.#faults.reach('ledger.rotate:3')
      closeSync(full)
      syncFolder(this.#dir)
    })
    const entry = { kind: 'segment', storeId: this.#storeId, previous: name } as const
    this.#enqueue([{ entry }], this.#firstSeq)
    // The caller's lines are safe; when this one has to wait, `state` says so.
    this.#flush()
  }

  #create(): number {
    const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants
    this.#faults.reach('ledger.rotate:4')
    const path = join(this.#dir, activeName)
    const descriptor = openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
    this.#descriptor = descriptor
    this.#unnamed = true
    this.#faults.reach('ledger.rotate:5')
    return descriptor
  }

  #syncNew(): void {
    const descriptor = this.#descriptor
    if (descriptor === undefined) return
    this.#fatal(() => {
      this.#faults.reach('ledger.rotate:6')
      fsyncSync(descriptor)
      syncFolder(this.#dir)
      this.#faults.reach('ledger.rotate:7')
    })
    this.#unnamed = false
    this.#unsynced = false
    this.#witness.note(this.#head)
  }

  /** Runs a sync; after a failed one nothing that was written can be trusted to stay. */
  #fatal(sync: () => void): void {
    try {
      sync()
    } catch (cause) {
      this.#stopped = new LedgerSyncFailed(cause)
      throw this.#stopped
    }
  }

  #findBytes(seq: bigint): Buffer | undefined {
    if (seq >= this.#firstSeq) {
      if (this.#descriptor === undefined) return undefined
      return findLine(this.#descriptor, seq, this.#sizeBytes)
    }
    const segment = listSegments(this.#dir).findLast(
      ({ firstSeq }) => firstSeq !== undefined && firstSeq <= seq,
    )
    const descriptor = segment === undefined ? undefined : openSegment(segment.path, 'read')
    if (descriptor === undefined) return undefined
    try {
      return findLine(descriptor, seq, fstatSync(descriptor).size)
    } finally {
      closeSync(descriptor)
    }
  }
}

function writeAll(descriptor: number, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.length; ) {
    const count = writeSync(descriptor, bytes, at, bytes.length - at, position + at)
    if (count === 0) throw new RangeError('the disk took no bytes')
    at += count
  }
}

/** The lines have their sequences and wait in memory; appending them again would write them twice. */
export class LedgerAppendFailed extends HoldfastError {
  readonly code = 'LedgerAppendFailed'
  constructor(lines: number, cause: unknown) {
    super(`ledger: the disk does not take lines, ${lines} more wait in memory`, {
      retry: 'never',
      remedy: 'Free disk space; the lines are written as soon as the disk takes them.',
      cause,
    })
  }
}

/** Lines wait in memory until the file is back; nothing new is taken meanwhile. */
export class LedgerMisplaced extends HoldfastError {
  readonly code = 'LedgerMisplaced'
  constructor() {
    super(`ledger: ${activeName} is not in its place any more, want the file that was opened`, {
      retry: 'after-fix',
      remedy:
        'Move the file back: the lines that wait are written then. Otherwise stop the process.',
    })
  }
}

export class LedgerSyncFailed extends HoldfastError {
  readonly code = 'LedgerSyncFailed'
  constructor(cause: unknown) {
    super('ledger: a sync failed, what the disk holds is unknown', {
      retry: 'never',
      remedy: 'Check the disk and start the process again; opening settles what was kept.',
      cause,
    })
  }
}

export class LedgerDamaged extends HoldfastError {
  readonly code = 'LedgerDamaged'
  constructor({ segment, fromSeq, lines }: LostTail) {
    super(`ledger: ${lines} lines from ${fromSeq} on cannot be read in ${segment}`, {
      retry: 'after-fix',
      remedy: 'Reconcile the store: it writes the lost lines again from the database.',
    })
  }
}

export class LedgerStopped extends HoldfastError {
  readonly code = 'LedgerStopped'
  constructor(why: string, cause?: unknown) {
    super(`ledger: stopped, ${why}`, {
      retry: 'after-fix',
      remedy: 'Open the store again; lines that were not written are made again from the database.',
      cause,
    })
  }
}
