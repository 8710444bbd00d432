import { closeSync, constants, fstatSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf } from '../base/durable-file.js'
import { HoldfastError } from '../base/errors.js'
import { ledgerLineBytesMax } from '../base/limits.js'
import { type LineHead, readHead } from './ledger-line.js'

/** The file that takes new lines. */
export const activeName: string = 'ledger.jsonl'
const rotatedName = /^ledger-(\d{12})\.jsonl$/

/** One file of the ledger. */
export type Segment = {
  readonly name: string
  readonly path: string
  /** Sequence of its first line as its name says; undefined for the active file. */
  readonly firstSeq: bigint | undefined
}

/** The name that a segment gets when it is full. */
export function segmentName(firstSeq: bigint): string {
  return `ledger-${String(firstSeq).padStart(12, '0')}.jsonl`
}

/** Every file of the ledger in the order of its lines, the active one last; the active one may be missing. */
export function listSegments(dir: string): readonly Segment[] {
  const names = readdirSync(dir)
  const rotated = names
    .filter((name) => rotatedName.test(name))
    .sort()
    .map((name) => ({ name, path: join(dir, name), firstSeq: BigInt(name.slice(7, 19)) }))
  if (!names.includes(activeName)) return rotated
  return [...rotated, { name: activeName, path: join(dir, activeName), firstSeq: undefined }]
}

/**
 * Opens a file of the ledger.
 *
 * @returns undefined when there is none
 * @throws LedgerForeign for a symbolic link or anything else that is no regular file; Node's errno errors
 */
export function openSegment(path: string, access: 'read' | 'write'): number | undefined {
  const { O_RDONLY, O_RDWR, O_NOFOLLOW, O_NONBLOCK } = constants
  const mode = access === 'read' ? O_RDONLY : O_RDWR
  let descriptor: number
  try {
    descriptor = openSync(path, mode | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    if (errnoOf(error) === 'ELOOP') throw new LedgerForeign(path, 'a symbolic link')
    throw error
  }
  if (fstatSync(descriptor).isFile()) return descriptor
  closeSync(descriptor)
  throw new LedgerForeign(path, 'not a regular file')
}

/**
 * A stretch of a file that ends at a line feed, at the end of the file or at the bound of a line.
 *
 * @remarks One object per reader: it changes when the next piece is asked for.
 */
export type Piece = {
  readonly buffer: Buffer
  readonly start: number
  /** Behind the line feed. */
  readonly end: number
  /** Of `start` in the file. */
  readonly offset: number
  /** Begins where a line begins and ends with a line feed. */
  readonly whole: boolean
  readonly terminated: boolean
}

/** Smallest buffer of a reader; grows up to the longest line. */
const chunkBytesDefault = 1024 * 1024

/** Cuts the bytes `from` to `to` of a file into pieces, in bounded memory; `from` must be where a line begins. */
export function* readPieces(
  descriptor: number,
  from: number,
  to: number,
  chunkBytes: number = chunkBytesDefault,
): Generator<Piece, void, undefined> {
  let buffer = Buffer.allocUnsafe(Math.min(chunkBytes, Math.max(1, to - from)))
  let position = from
  let filled = 0
  let atLineStart = true
  const piece = { buffer, start: 0, end: 0, offset: from, whole: true, terminated: true }
  for (;;) {
    const wanted = Math.min(buffer.length - filled, to - position - filled)
    const count = wanted > 0 ? readSync(descriptor, buffer, filled, wanted, position + filled) : 0
    filled += count
    let start = 0
    piece.buffer = buffer
    piece.terminated = true
    for (;;) {
      const feed = buffer.indexOf(0x0a, start)
      if (feed === -1 || feed >= filled) break
      piece.start = start
      piece.end = feed + 1
      piece.offset = position + start
      piece.whole = atLineStart
      yield piece
      start = feed + 1
      atLineStart = true
    }
    const full = start === 0 && filled === buffer.length
    const tooLong = full && filled >= ledgerLineBytesMax
    if ((count === 0 && start < filled) || tooLong) {
      Object.assign(piece, { start, end: filled, offset: position + start })
      Object.assign(piece, { whole: false, terminated: false })
      yield piece
      atLineStart = false
      start = filled
    }
    if (count === 0) return
    if (full && !tooLong) {
      const larger = Buffer.allocUnsafe(Math.min(2 * filled, ledgerLineBytesMax))
      buffer.copy(larger, 0, 0, filled)
      buffer = larger
    } else {
      buffer.copyWithin(0, start, filled)
      position += start
      filled -= start
    }
  }
}

/** The head of a piece that is a whole line with a good hash. */
export function headOf({ buffer, start, end, whole }: Piece): LineHead | undefined {
  return whole ? readHead(buffer, start, end) : undefined
}

/** Below this distance lines are looked at one after the other. */
const stepBytes = 16 * 1024

/**
 * Finds a line by its sequence in about twenty reads; a damaged line is not found.
 *
 * @returns the bytes of the line, line feed included
 */
export function findLine(descriptor: number, seq: bigint, to: number): Buffer | undefined {
  let low = 0
  let high = to
  while (high - low > stepBytes) {
    const middle = low + Math.floor((high - low) / 2)
    const probe = firstLineAfter(descriptor, middle, high)
    if (probe === undefined || probe.seq > seq) high = middle
    else low = probe.offset
  }
  for (const piece of readPieces(descriptor, low, to, stepBytes)) {
    const head = headOf(piece)
    if (head?.seq === seq) return Buffer.from(piece.buffer.subarray(piece.start, piece.end))
    if (head !== undefined && head.seq > seq) return undefined
  }
  return undefined
}

function firstLineAfter(
  descriptor: number,
  from: number,
  to: number,
): { readonly seq: bigint; readonly offset: number } | undefined {
  let first = true
  for (const piece of readPieces(descriptor, from, to, stepBytes)) {
    // The first piece begins somewhere inside a line.
    const head = first ? undefined : headOf(piece)
    first = false
    if (head !== undefined) return { seq: head.seq, offset: piece.offset }
  }
  return undefined
}

export class LedgerForeign extends HoldfastError {
  readonly code = 'LedgerForeign'
  constructor(path: string, problem: string) {
    super(`${path}: ${problem}, want the ledger of this store`, {
      retry: 'after-fix',
      remedy: 'Put the file of this store back, or restore both from one backup.',
    })
  }
}
