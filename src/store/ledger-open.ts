import { createHash } from 'node:crypto'
import { closeSync, existsSync, fstatSync, fsyncSync } from 'node:fs'
import { join } from 'node:path'
import { replaceFile, syncFolder, writeNew } from '../base/durable-file.js'
import type { FaultPoints } from '../base/fault-points.js'
import { emptyHead, type Head } from './ledger-chain.js'
import type { LedgerEntry } from './ledger-entry.js'
import { decodeLine, encodeLine } from './ledger-line.js'
import {
  activeName,
  LedgerForeign,
  listSegments,
  openSegment,
  readPieces,
  type Segment,
  segmentName,
} from './ledger-segments.js'
import { completeLine, cutTail, readTail, type TailDamage } from './ledger-tail.js'

/** Unreadable lines behind the last good one; nothing is appended until a repair declares them. */
export type LostTail = {
  readonly segment: string
  /** First sequence that they may have had. */
  readonly fromSeq: bigint
  /** How many they were, going by their line feeds. */
  readonly lines: number
  readonly foundHash: string
}

/** The active file, ready for the next line. */
export type OpenedLedger = {
  readonly descriptor: number
  readonly sizeBytes: number
  readonly head: Head
  readonly firstSeq: bigint
  readonly lost: LostTail | undefined
  /** True when there was no file of a ledger at all. */
  readonly created: boolean
  /** Copies of what was cut off, in `quarantine/`. */
  readonly cut: readonly string[]
}

/** Bytes read for the first line of a file, unless it is longer. */
const firstLineBytes = 4096

type OpenInput = {
  readonly dir: string
  readonly storeId: string
  readonly at: string
  readonly faults: FaultPoints
}

/**
 * Makes the active file whole: finishes a rotation that was stopped, completes or cuts a torn tail, syncs.
 *
 * @throws LedgerForeign when the ledger belongs to another store; Node's errno errors
 */
export function openActive(input: OpenInput): OpenedLedger {
  const { dir, faults } = input
  const rotated = listSegments(dir).filter(({ firstSeq }) => firstSeq !== undefined)
  const before = endOf(rotated.at(-1))
  const found = openSegment(join(dir, activeName), 'write')
  if (found === undefined) return begin(input, rotated.at(-1), before, [])
  try {
    const tail = readTail(found, fstatSync(found).size)
    let head = tail.head ?? before.head
    let sizeBytes = tail.endOffset
    const cut: string[] = []
    if (tail.torn !== undefined) {
      faults.reach('ledger.open.torn')
      const whole = tail.damage === undefined && completeLine(found, tail.torn, head)
      if (whole) {
        head = whole
        sizeBytes = fstatSync(found).size
      } else {
        cut.push(cutTail(dir, found, tail.torn))
      }
      faults.reach('ledger.open.cut')
    }
    if (sizeBytes === 0) {
      // Creation was stopped between the name and the first line.
      closeSync(found)
      return begin(input, rotated.at(-1), before, cut)
    }
    fsyncSync(found)
    syncFolder(dir)
    const firstSeq = readFirstLine(found, sizeBytes, input) ?? before.head.seq + 1n
    const lost = tail.damage ? lostTail(segmentName(firstSeq), head, tail.damage) : undefined
    return { descriptor: found, sizeBytes, head, firstSeq, lost, created: false, cut }
  } catch (error) {
    closeSync(found)
    throw error
  }
}

type End = { readonly head: Head; readonly lost: LostTail | undefined }

/** How the newest full segment ends; it was synced as a whole before it got its name. */
function endOf(segment: Segment | undefined): End {
  const descriptor = segment === undefined ? undefined : openSegment(segment.path, 'read')
  if (segment === undefined || descriptor === undefined) return { head: emptyHead, lost: undefined }
  try {
    const sizeBytes = fstatSync(descriptor).size
    const { head: last, damage, torn } = readTail(descriptor, sizeBytes)
    const head = last ?? { ...emptyHead, seq: (segment.firstSeq ?? 1n) - 1n }
    if (damage === undefined && torn === undefined) return { head, lost: undefined }
    // Full segments are never cut, so bytes without a line feed are damage here.
    const offset = damage?.offset ?? torn?.offset ?? 0
    const lines = (damage?.lines ?? 0) + (torn === undefined ? 0 : 1)
    const foundHash = hashRange(descriptor, offset, sizeBytes)
    return { head, lost: lostTail(segment.name, head, { offset, lines, foundHash }) }
  } finally {
    closeSync(descriptor)
  }
}

/** Makes the active file with its first line. */
function begin(
  { dir, storeId, at, faults }: OpenInput,
  previous: Segment | undefined,
  { head, lost }: End,
  cut: readonly string[],
): OpenedLedger {
  const path = join(dir, activeName)
  const entry: LedgerEntry =
    previous === undefined
      ? { kind: 'genesis', storeId }
      : { kind: 'segment', storeId, previous: previous.name }
  const seq = head.seq + 1n
  const line = encodeLine({ seq, at, prev: head.hash }, entry)
  // Behind lost lines the first line has to be the repair that declares them.
  const bytes = lost === undefined ? line.bytes : new Uint8Array(0)
  faults.reach('ledger.open.first')
  if (existsSync(path)) replaceFile(path, bytes)
  else writeNew(path, bytes)
  const descriptor = openSegment(path, 'write')
  if (descriptor === undefined) throw new LedgerForeign(path, 'gone as soon as it was made')
  return {
    descriptor,
    sizeBytes: bytes.length,
    head: lost === undefined ? { seq, hash: line.hash } : head,
    firstSeq: seq,
    lost,
    created: previous === undefined,
    cut,
  }
}

function lostTail(segment: string, head: Head, { lines, foundHash }: TailDamage): LostTail {
  return { segment, fromSeq: head.seq + 1n, lines, foundHash }
}

/**
 * The sequence of the file's first line, or undefined when that cannot be read.
 *
 * @throws LedgerForeign when it names another store
 */
function readFirstLine(
  descriptor: number,
  sizeBytes: number,
  { dir, storeId }: OpenInput,
): bigint | undefined {
  for (const { buffer, start, end } of readPieces(descriptor, 0, sizeBytes, firstLineBytes)) {
    const decoded = decodeLine(buffer.subarray(start, end))
    if (decoded.kind === 'damaged') return undefined
    const { seq, entry } = decoded.line
    if ('storeId' in entry && entry.storeId !== storeId) {
      throw new LedgerForeign(join(dir, activeName), 'written by another store')
    }
    return seq
  }
  return undefined
}

function hashRange(descriptor: number, from: number, to: number): string {
  const hash = createHash('sha256')
  for (const { buffer, start, end } of readPieces(descriptor, from, to)) {
    hash.update(buffer.subarray(start, end))
  }
  return hash.digest('hex')
}
