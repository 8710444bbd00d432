import { hash } from 'node:crypto'
import { ledgerLineBytesMax } from '../base/limits.js'
import { fieldsText, type LedgerEntry, type LedgerKind, parseEntry } from './ledger-entry.js'
import type { Print } from './prints.js'

/** Where a line stands in the chain. */
export type LinePlace = {
  readonly seq: bigint
  /** RFC 3339 with milliseconds, UTC. */
  readonly at: string
  /** The sequence of the lost line that this one stands for. */
  readonly again?: bigint
  /** Hash of the line before, 64 hex digits. */
  readonly prev: string
}

/** One whole line. */
export type LedgerLine = LinePlace & { readonly entry: LedgerEntry; readonly hash: string }

/** What is read of a line without parsing it; a field is undefined where the kind has none. */
export type LineHead = {
  readonly seq: bigint
  readonly kind: LedgerKind
  readonly again: bigint | undefined
  readonly job: bigint | undefined
  readonly print: Print | undefined
  readonly outpointPrint: Print | undefined
  readonly rowDigest: string | undefined
  readonly prev: string
  readonly hash: string
}

/** What `decodeLine` answers. */
export type DecodedLine =
  | { readonly kind: 'line'; readonly line: LedgerLine }
  | { readonly kind: 'damaged'; readonly reason: string }

/** What stands before the first line of a ledger. */
export const zeroHash: string = '0'.repeat(64)
/** Largest sequence: fits the 12 digits of a segment's name. */
const seqMax = 999_999_999_999n
/** More than the longest match of `head`. */
const headBytesMax = 384
const head =
  /^\{"v":1,"seq":([1-9]\d{0,11}),"at":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","kind":"(genesis|segment|accept|intend|settle|operate|repair)",(?:"again":([1-9]\d{0,11}),)?(?:"job":([1-9]\d{0,11}),)?(?:"print":"([0-9a-f]{16})",)?(?:"outpointPrint":"([0-9a-f]{16})",)?(?:"rowDigest":"([0-9a-f]{64})",)?/
const beforePrev = ',"prev":"'
const beforeHash = ',"hash":"'
/** `,"hash":"` 64 digits `"}` line feed. */
const hashPartBytes = beforeHash.length + 64 + 3
/** `,"prev":"` 64 digits `"`. */
const prevPartBytes = beforePrev.length + 64 + 1

/**
 * The bytes of a line, line feed included, and its hash.
 *
 * {"v":1,"seq":N,"at":"...","kind":"...",["again":N,]["job":N,]["print":"16 hex",]["outpointPrint":"16 hex",]
 * ["rowDigest":"64 hex",]...,"prev":"64 hex","hash":"64 hex"}\n, hash = SHA-256 of the bytes before `,"hash"`
 *
 * @throws RangeError when the line would be longer than `ledgerLineBytesMax` or the sequence than 12 digits
 */
export function encodeLine(
  place: LinePlace,
  entry: LedgerEntry,
): { readonly bytes: Buffer; readonly hash: string } {
  const { seq, at, again, prev } = place
  if (seq < 1n || seq > seqMax)
    throw new RangeError('ledger line: want a sequence of 1 to 12 digits')
  const origin = again === undefined ? '' : `"again":${again},`
  const start = `{"v":1,"seq":${seq},"at":"${at}","kind":"${entry.kind}",${origin}`
  const body = Buffer.from(`${start}${fieldsText(entry)}${beforePrev}${prev}"`)
  const digest = hash('sha256', body, 'hex')
  const bytes = Buffer.concat([body, Buffer.from(`${beforeHash}${digest}"}\n`, 'latin1')])
  if (bytes.length > ledgerLineBytesMax) {
    throw new RangeError(`ledger line: ${bytes.length} bytes, want at most ${ledgerLineBytesMax}`)
  }
  return { bytes, hash: digest }
}

/** Latest time that has four digits of year. */
const timeMaxMs = Date.UTC(9999, 11, 31, 23, 59, 59, 999)

/** The `at` of a line; times beyond year 9999 count as its end. */
export function timeOf(nowMs: number): string {
  return new Date(Math.min(Math.max(nowMs, 0), timeMaxMs)).toISOString()
}

/**
 * Checks the bytes `start` to `end`, line feed included, against their own hash and reads the head.
 *
 * @returns undefined for anything but a whole line
 */
export function readHead(buffer: Buffer, start: number, end: number): LineHead | undefined {
  const hashed = end - hashPartBytes
  const prevAt = hashed - prevPartBytes
  if (prevAt <= start || end - start > ledgerLineBytesMax) return undefined
  const digest = hash('sha256', buffer.subarray(start, hashed), 'hex')
  if (buffer.toString('latin1', hashed, end) !== `${beforeHash}${digest}"}\n`) return undefined
  const prevPart = buffer.toString('latin1', prevAt, hashed)
  const found = head.exec(buffer.toString('latin1', start, Math.min(prevAt, start + headBytesMax)))
  if (found === null || !prevPart.startsWith(beforePrev)) return undefined
  const [, seq, kind, again, job, print, outpointPrint, rowDigest] = found
  if (seq === undefined) return undefined
  return {
    seq: BigInt(seq),
    kind: kind as LedgerKind,
    again: again === undefined ? undefined : BigInt(again),
    job: job === undefined ? undefined : BigInt(job),
    print: print as Print | undefined,
    outpointPrint: outpointPrint as Print | undefined,
    rowDigest,
    prev: prevPart.slice(beforePrev.length, -1),
    hash: digest,
  }
}

/**
 * Reads a whole line, line feed included.
 *
 * @returns `damaged` unless these are exactly the bytes that `encodeLine` makes
 */
export function decodeLine(bytes: Uint8Array): DecodedLine {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const found = readHead(buffer, 0, buffer.length)
  if (found === undefined) return { kind: 'damaged', reason: 'wrong hash or form' }
  try {
    const line = parseLine(buffer, found)
    const { seq, at, again, prev, entry } = line
    const place = { seq, at, prev, ...(again === undefined ? {} : { again }) }
    const same = encodeLine(place, entry).bytes.equals(buffer)
    return same ? { kind: 'line', line } : { kind: 'damaged', reason: 'not in canonical form' }
  } catch (error) {
    // A line with a good hash was made by another program or another version; the reason says what it lacks.
    return { kind: 'damaged', reason: error instanceof Error ? error.message : String(error) }
  }
}

/**
 * Parses a line whose head was read.
 *
 * @throws RangeError or SyntaxError for a line with a good hash that another program made
 */
export function parseLine(buffer: Buffer, { seq, kind, again, prev, hash }: LineHead): LedgerLine {
  const fields = JSON.parse(buffer.toString('utf8')) as Readonly<Record<string, unknown>>
  const entry = parseEntry(kind, fields)
  const origin = again === undefined ? {} : { again }
  return { seq, at: String(fields.at), ...origin, prev, entry, hash }
}
