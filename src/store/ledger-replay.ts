import { closeSync, fstatSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { throwIfAborted } from '../base/errors.js'
import { Chain, type Damage, emptyHead, type Head, type RepairedDamage } from './ledger-chain.js'
import { type LedgerLine, type LineHead, parseLine } from './ledger-line.js'
import {
  headOf,
  listSegments,
  openSegment,
  type Piece,
  readPieces,
  segmentName,
} from './ledger-segments.js'

/** A verified line; only what stands before `read` was taken from its bytes. */
export type ReplayedLine = LineHead & {
  /**
   * Parses the whole line.
   *
   * @throws RangeError or SyntaxError for a line with a good hash that another program made
   * @remarks Only during the call that handed the line out.
   */
  read(): LedgerLine
}

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
 * @param onLine gets each good line; what it throws ends the replay
 * @throws Aborted, LedgerForeign, Node's errno errors
 * @remarks Memory stays bounded whatever the files hold, and the event loop is given way to after each slice. What
 * is appended after the call is not looked at.
 */
export async function replayLedger(
  dir: string,
  onLine: (line: ReplayedLine) => void,
  options: ReplayOptions = {},
): Promise<ReplayReport> {
  const { signal, sliceMs = 8, expect } = options
  const chain = new Chain()
  const files = openAll(dir)
  let [lines, untilLook] = [0, linesPerLook]
  let expected: ReplayReport['expected'] = expect === undefined ? 'met' : 'shorter'
  let tornTail: ReplayReport['tornTail']
  let sliceEnd = performance.now() + sliceMs
  try {
    for (const [index, { name, descriptor, sizeBytes }] of files.entries()) {
      const segment = name ?? segmentName(chain.head.seq + 1n)
      for (const piece of readPieces(descriptor, 0, sizeBytes)) {
        const place = { segment, offset: piece.offset }
        const line = headOf(piece)
        if (line !== undefined && takeLine(chain, line, piece, place)) {
          lines += 1
          if (line.seq === expect?.seq) expected = line.hash === expect.hash ? 'met' : 'forked'
          onLine({ ...line, read: () => parseLine(bytesOf(piece), line) })
        } else if (!piece.terminated && index === files.length - 1 && atEnd(piece, sizeBytes)) {
          tornTail = { ...place, sizeBytes: piece.end - piece.start }
        } else {
          chain.spoil(bytesOf(piece), piece.terminated, place)
        }
        untilLook -= 1
        if (untilLook > 0) continue
        untilLook = linesPerLook
        if (performance.now() < sliceEnd) continue
        await setImmediate()
        throwIfAborted(signal, 'ledger replay')
        sliceEnd = performance.now() + sliceMs
      }
    }
  } finally {
    for (const { descriptor } of files) closeSync(descriptor)
  }
  chain.finish()
  const { head, damaged, repaired } = chain
  if (expect !== undefined && expect.seq === 0n) expected = 'met'
  return { head, lines, damaged, repaired, tornTail, missing: files.length === 0, expected }
}
