import { closeSync, fstatSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { throwIfAborted } from '../base/errors.js'
import { Chain, type Damage, type Head, type RepairedDamage } from './ledger-chain.js'
import type { RepairEntry } from './ledger-entry.js'
import { type LedgerLine, type LineHead, parseLine } from './ledger-line.js'
import {
  headOf,
  listSegments,
  openSegment,
  type Piece,
  readPieces,
  segmentName,
} from './ledger-segments.js'

/**
 * Gets each good line: what was taken from its bytes without parsing, and how to parse the whole line.
 *
 * @remarks `read` works during the call only; it throws RangeError or SyntaxError for a line with a good hash that
 * another program made.
 */
export type OnLine = (line: LineHead, read: () => LedgerLine) => void

export type ReplayOptions = {
  readonly signal?: AbortSignal | undefined
  /** Milliseconds of work between two turns of the event loop; default 8. */
  readonly sliceMs?: number
  /** A line that the ledger must reach, from a witness of its head. */
  readonly expect?: Head
}

/** What a replay found. */
export type ReplayReport = {
  readonly head: Head
  /** Good lines that stand in their order. */
  readonly lines: number
  /** Without those that a repair line declared. */
  readonly damaged: readonly Damage[]
  readonly repaired: readonly RepairedDamage[]
  /** What a write that was cut off left behind the last line feed; cut off at the next open. */
  readonly tornTail:
    | { readonly segment: string; readonly offset: number; readonly sizeBytes: number }
    | undefined
  /** True when there is no file of a ledger at all. */
  readonly missing: boolean
  /** Whether the ledger holds the line that `expect` named; `met` without it. */
  readonly expected: 'met' | 'shorter' | 'forked'
}

/** Lines between two looks at the time. */
const linesPerLook = 64

/**
 * Reads every line of a ledger in order and checks hashes, chain and sequences.
 *
 * @param onLine what it throws ends the replay
 * @throws Aborted, LedgerForeign, Node's errno errors
 * @remarks Memory stays bounded whatever the files hold, and the event loop is given way to after each slice. What
 * is appended after the call is not looked at.
 */
export async function replayLedger(
  dir: string,
  onLine: OnLine,
  options: ReplayOptions = {},
): Promise<ReplayReport> {
  const { signal, sliceMs = 8, expect } = options
  const chain = new Chain()
  const slice = startSlice(sliceMs, signal)
  let [lines, missing] = [0, true]
  let expected: ReplayReport['expected'] =
    expect === undefined || expect.seq === 0n ? 'met' : 'shorter'
  let tornTail: ReplayReport['tornTail']
  for (const { name, descriptor, sizeBytes, isNewest } of filesOf(dir)) {
    missing = false
    const segment = name ?? segmentName(chain.head.seq + 1n)
    let current: { readonly piece: Piece; readonly line: LineHead } | undefined
    const read = (): LedgerLine => readLine(current)
    for (const piece of readPieces(descriptor, 0, sizeBytes)) {
      const line = headOf(piece)
      current = line === undefined ? undefined : { piece, line }
      if (line !== undefined && chain.take(line, segment, piece.offset, repairOf(line, read))) {
        lines += 1
        if (line.seq === expect?.seq) expected = line.hash === expect.hash ? 'met' : 'forked'
        onLine(line, read)
      } else if (isNewest && isRest(piece, sizeBytes)) {
        tornTail = { segment, offset: piece.offset, sizeBytes: piece.end - piece.start }
      } else {
        chain.spoil(bytesOf(piece), piece.terminated, segment, piece.offset)
      }
      if (slice.isOver()) await slice.next()
    }
  }
  chain.finish()
  const { head, damaged, repaired } = chain
  return { head, lines, damaged, repaired, tornTail, missing, expected }
}

/** One check of a ledger as `ledger verify` shows it. */
export type LedgerCheck = { readonly name: string; readonly ok: boolean; readonly detail: string }

/** The checks that a replay amounts to. A torn tail is what a stopped process leaves and no damage. */
export function ledgerChecks(report: ReplayReport): readonly LedgerCheck[] {
  const { head, lines, damaged, repaired, tornTail, missing, expected } = report
  const torn =
    tornTail === undefined ? 'none' : `${tornTail.sizeBytes} bytes, cut off at the next open`
  return [
    { name: 'files', ok: !missing, detail: missing ? 'no ledger' : `${lines} lines` },
    {
      name: 'chain',
      ok: damaged.length === 0,
      detail: damaged.map(describe).join('; ') || 'whole',
    },
    { name: 'repairs', ok: true, detail: `${repaired.length} damaged places were written again` },
    { name: 'tail', ok: true, detail: torn },
    { name: 'head', ok: expected === 'met', detail: `${head.seq} ${head.hash} ${expected}` },
  ]
}

function describe({ segment, offset, sizeBytes, reason, fromSeq, toSeq }: Damage): string {
  return `${reason}: lines ${fromSeq} to ${toSeq}, ${sizeBytes} bytes at ${offset} of ${segment}`
}

type File = {
  /** Undefined for the active file, which is to be known by the name it will get. */
  readonly name: string | undefined
  readonly descriptor: number
  readonly sizeBytes: number
  readonly isNewest: boolean
}

/** Opens the files one after the other, in order; each is closed when the next one is asked for. */
function* filesOf(dir: string): Generator<File, void, undefined> {
  const segments = listSegments(dir)
  const newest = segments.at(-1)
  if (newest === undefined) return
  // The newest file is pinned now: it may grow and be renamed while older ones are read.
  const pinned = openSegment(newest.path, 'read')
  if (pinned === undefined) return
  try {
    const pinnedBytes = fstatSync(pinned).size
    for (const { name, path } of segments.slice(0, -1)) {
      const descriptor = openSegment(path, 'read')
      // A file that went away meanwhile shows as missing lines.
      if (descriptor === undefined) continue
      try {
        yield { name, descriptor, sizeBytes: fstatSync(descriptor).size, isNewest: false }
      } finally {
        closeSync(descriptor)
      }
    }
    const name = newest.firstSeq === undefined ? undefined : newest.name
    yield { name, descriptor: pinned, sizeBytes: pinnedBytes, isNewest: true }
  } finally {
    closeSync(pinned)
  }
}

const bytesOf = ({ buffer, start, end }: Piece): Buffer => buffer.subarray(start, end)

/** True for bytes behind the last line feed of a file. */
function isRest({ terminated, offset, start, end }: Piece, sizeBytes: number): boolean {
  return !terminated && offset + end - start === sizeBytes
}

function readLine(
  current: { readonly piece: Piece; readonly line: LineHead } | undefined,
): LedgerLine {
  if (current === undefined) throw new TypeError('ledger line: not a good one')
  return parseLine(bytesOf(current.piece), current.line)
}

function repairOf(line: LineHead, read: () => LedgerLine): RepairEntry | undefined {
  if (line.kind !== 'repair') return undefined
  const { entry } = read()
  return entry.kind === 'repair' ? entry : undefined
}

/** Work that gives way to the event loop now and then. */
function startSlice(
  sliceMs: number,
  signal: AbortSignal | undefined,
): { isOver(): boolean; next(): Promise<void> } {
  let endMs = performance.now() + sliceMs
  let untilLook = linesPerLook
  return {
    isOver() {
      untilLook -= 1
      if (untilLook > 0) return false
      untilLook = linesPerLook
      return performance.now() >= endMs
    },
    async next() {
      await setImmediate()
      throwIfAborted(signal, 'ledger replay')
      endMs = performance.now() + sliceMs
    },
  }
}
