import type { Clock } from '../base/clock.js'
import type { FaultPoints } from '../base/fault-points.js'
import { type Head, nothingFound } from './ledger-chain.js'
import type { AcceptEntry, IntendEntry, OperateEntry, SettleEntry } from './ledger-entry.js'
import type { LedgerLine } from './ledger-line.js'
import type { LostTail } from './ledger-open.js'
import { activeName } from './ledger-segments.js'
import type { WitnessState } from './ledger-witness.js'

/**
 * - `ok`: takes lines.
 * - `failed`: lines wait in memory for the disk; see `retry`.
 * - `damaged`: the last lines cannot be read; see `repair`.
 * - `stopped`: closed, or a sync failed and the process has to exit.
 */
export type LedgerState = 'ok' | 'failed' | 'damaged' | 'stopped'

export type LedgerOptions = {
  readonly storeId: string
  /** File on another disk that gets the head after each sync. */
  readonly witnessPath?: string | undefined
  readonly clock?: Clock
  readonly faults?: FaultPoints
  /** A file is full when it holds that many bytes; default 64 MiB, at least 1. */
  readonly maxSegmentBytes?: number
}

/** Lines that are lost, as a `repair` line declares them. */
export type LostLines = {
  readonly segment: string
  readonly fromSeq: bigint
  readonly toSeq: bigint
  readonly foundHash: string
}

/** What a store may append; the other kinds are the ledger's own. */
export type AppendedEntry = AcceptEntry | IntendEntry | SettleEntry | OperateEntry

/** A lost line that is written again; `seq` is the one it had. */
export type RewrittenLine = { readonly seq: bigint; readonly entry: AppendedEntry }

/**
 * An append-only, hash-chained file of lines: the job store's second witness.
 *
 * @remarks Everything but `close` is synchronous and one writer uses it. What was appended survives the death of
 * the process; what was synced survives a power cut.
 */
export interface Ledger {
  /** What opening found and did. */
  readonly opened: {
    /** There was no file of a ledger. */
    readonly created: boolean
    /** Copies in `quarantine/` of torn tails that were cut off. */
    readonly cut: readonly string[]
  }
  state(): LedgerState
  /** Why the state is what it is, for people; '' for `ok`. */
  trouble(): string
  /** The last line that is in the file. */
  head(): Head
  /** The sequence that the next line will have; lines that wait in memory have theirs already. */
  nextSeq(): bigint

  /**
   * Adds lines in this order, in one write.
   *
   * @returns their sequences, `nextSeq()` and following
   * @throws LedgerAppendFailed when the disk does not take them: they then have their sequences and wait in memory;
   * LedgerDamaged and LedgerStopped before anything is taken; RangeError for a line that is too long, also before.
   * LedgerSyncFailed when a file was full and could not be synced; the process must then exit.
   */
  append(entries: readonly AppendedEntry[]): readonly bigint[]

  /**
   * Declares lines lost, writes again what is left of them, and makes `damaged` `ok`.
   *
   * @param lost a damage that replay reported, or lines from `nextSeq()` on that only the database still has
   * (`missingLines`), or `lost()`; undefined to write single lines again without declaring anything
   * @throws like `append`; RangeError when `lost` or a rewritten sequence does not fit the ledger
   */
  repair(lost: LostLines | undefined, rewritten: readonly RewrittenLine[]): readonly bigint[]

  /** The unreadable lines that make the ledger `damaged`. */
  lost(): LostTail | undefined

  /**
   * Makes every line in the file durable; does nothing when they are.
   *
   * @throws LedgerSyncFailed: nobody knows what the disk holds, the process must exit
   */
  sync(): void
  /** True when a line was appended since the last sync. */
  isUnsynced(): boolean

  /** Lines that wait in memory. */
  waiting(): number
  /** Tries to write the lines that wait; true when none waits any more. */
  retry(): boolean

  /**
   * Finds a line by its own sequence; undefined for one that is damaged, waiting or not there.
   *
   * @throws Node's errno errors
   */
  find(seq: bigint): LedgerLine | undefined

  witness(): WitnessState
  /** Resolves when the witness was compared with this ledger. */
  witnessCompared(): Promise<void>
  /** Lets a witness that contradicts follow this ledger from now on. */
  acknowledgeWitness(): void

  /** Syncs and closes; waits a bounded time for the witness. Safe to repeat. */
  close(): Promise<void>
}

/** Lines from `fromSeq` to `toSeq` that are gone without a trace. */
export function missingLines(fromSeq: bigint, toSeq: bigint): LostLines {
  return { segment: activeName, fromSeq, toSeq, foundHash: nothingFound }
}
