import { createHash, hash } from 'node:crypto'
import { fsyncSync, ftruncateSync, mkdirSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { replaceFile, syncFolder } from '../base/durable-file.js'
import type { Head } from './ledger-chain.js'
import { readHead } from './ledger-line.js'
import { headOf, type Piece, readPieces } from './ledger-segments.js'

/** How a file of the ledger ends. */
export type Tail = {
  /** The last good line; undefined when there is none. */
  readonly head: Head | undefined
  /** Just behind the last line feed. */
  readonly endOffset: number
  /** Lines behind the last good one that end with a line feed and cannot be read. */
  readonly damage: TailDamage | undefined
  /** Bytes behind the last line feed. */
  readonly torn: { readonly offset: number; readonly sizeBytes: number } | undefined
}

export type TailDamage = {
  readonly offset: number
  readonly lines: number
  /** SHA-256 of the unreadable bytes. */
  readonly foundHash: string
}

/** Holds several hundred common lines. */
const windowBytes = 256 * 1024

/** Reads how a file ends, in most cases from its last bytes alone. */
export function readTail(descriptor: number, sizeBytes: number): Tail {
  if (sizeBytes > windowBytes) {
    const tail = scan(descriptor, sizeBytes - windowBytes, sizeBytes)
    if (tail.head !== undefined && tail.damage === undefined) return tail
  }
  return scan(descriptor, 0, sizeBytes)
}

function scan(descriptor: number, from: number, to: number): Tail {
  let head: Head | undefined
  let endOffset = from
  let torn: Tail['torn']
  let damage: { offset: number; lines: number; hash: ReturnType<typeof createHash> } | undefined
  let skipped = from === 0
  for (const piece of readPieces(descriptor, from, to)) {
    const { offset, terminated } = piece
    const sizeBytes = piece.end - piece.start
    const end = offset + sizeBytes
    if (!terminated && end === to) {
      torn = { offset, sizeBytes }
      break
    }
    endOffset = end
    // From the middle of a file the first piece begins anywhere.
    const line = skipped ? headOf(piece) : undefined
    const partial = !skipped
    skipped = true
    if (line !== undefined && line.seq > (head?.seq ?? 0n)) {
      head = { seq: line.seq, hash: line.hash }
      damage = undefined
    } else if (!partial) {
      damage ??= { offset, lines: 0, hash: createHash('sha256') }
      damage.hash.update(bytesOf(piece))
      if (terminated) damage.lines += 1
    }
  }
  const { offset = 0, lines = 0, hash } = damage ?? {}
  const foundHash = hash?.digest('hex')
  return {
    head,
    endOffset,
    damage: foundHash === undefined ? undefined : { offset, lines, foundHash },
    torn,
  }
}

const bytesOf = ({ buffer, start, end }: Piece): Buffer => buffer.subarray(start, end)

/**
 * Gives a torn tail its line feed when that is all it lacks.
 *
 * @returns the head of the completed line, or undefined when the tail is not the whole next line
 */
export function completeLine(
  descriptor: number,
  torn: { readonly offset: number; readonly sizeBytes: number },
  before: Head,
): Head | undefined {
  const bytes = Buffer.alloc(torn.sizeBytes + 1)
  readSync(descriptor, bytes, 0, torn.sizeBytes, torn.offset)
  // The line feed is missing, or something else stands in its place.
  for (const length of [torn.sizeBytes + 1, torn.sizeBytes]) {
    bytes[length - 1] = 0x0a
    const line = readHead(bytes, 0, length)
    if (line === undefined || line.prev !== before.hash || line.seq !== before.seq + 1n) continue
    writeSync(descriptor, bytes, length - 1, 1, torn.offset + length - 1)
    ftruncateSync(descriptor, torn.offset + length)
    return { seq: line.seq, hash: line.hash }
  }
  return undefined
}

/**
 * Cuts everything behind an offset off, after a copy of it went to `quarantine/`.
 *
 * @returns name of the copy
 * @remarks The copy is named by its content, so a call that was stopped half way can be made again.
 */
export function cutTail(
  dir: string,
  descriptor: number,
  { offset, sizeBytes }: { readonly offset: number; readonly sizeBytes: number },
): string {
  const bytes = Buffer.alloc(sizeBytes)
  readSync(descriptor, bytes, 0, sizeBytes, offset)
  const digest = hash('sha256', bytes, 'hex')
  const name = `ledger-tail-${offset}-${digest.slice(0, 16)}.bin`
  const folder = join(dir, 'quarantine')
  if (mkdirSync(folder, { recursive: true, mode: 0o700 }) !== undefined) syncFolder(dir)
  // A copy of that name may itself be cut short, so it is put in place whole.
  replaceFile(join(folder, name), bytes)
  ftruncateSync(descriptor, offset)
  fsyncSync(descriptor)
  return name
}
