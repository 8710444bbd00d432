import { parse } from 'lossless-json'
import { covenantBodyBytesMax, covenantBodyDepthMax } from '../base/limits.js'
import type { Json } from './field-kinds.js'
import { MalformedBody } from './field-kinds.js'

/**
 * Parses one JSON value without losing digits, keys or their number.
 *
 * @remarks Invalid UTF-8 becomes U+FFFD, one for each byte, as in the service this one replaces.
 * @throws MalformedBody for anything but exactly one value, for a repeated key, and beyond the bounds of
 * limits.ts.
 */
export function parseJsonBody(body: Uint8Array, bytesMax: number = covenantBodyBytesMax): Json {
  if (body.length > bytesMax) {
    throw new MalformedBody('', `is longer than ${bytesMax} bytes`)
  }
  const { depth, keys, isExact } = survey(body)
  // The parser recurses, so that depth is bounded before it runs.
  if (depth > covenantBodyDepthMax) {
    throw new MalformedBody('', `nests deeper than ${covenantBodyDepthMax} brackets`)
  }
  const text = decodeUtf8(body)
  const json = (isExact ? parseExact(text) : undefined) ?? parseText(text)
  // The parser does not report every repeated key, so that they are found by their number.
  if (countKeys(json) !== keys) throw new MalformedBody('', 'repeats a key')
  return json
}

/**
 * Parses text whose numbers all fit the platform's own parser. The lossless one joins every string letter by letter,
 * which costs a twentieth of a submit, and as much again when the strings are looked at.
 *
 * @returns undefined for what it does not take, so that one parser alone judges what is malformed.
 */
function parseExact(text: string): Json | undefined {
  try {
    return withBigints(JSON.parse(text))
  } catch {
    return undefined
  }
}

/** Puts bigints in the place of the numbers of a value that nobody else has. */
function withBigints(json: unknown): Json {
  if (typeof json === 'number') return BigInt(json)
  if (typeof json !== 'object' || json === null) return json as Json
  const values = json as Record<string, unknown>
  for (const key of Object.keys(values)) {
    const value = values[key]
    const isNested = typeof value === 'object' && value !== null
    if (typeof value === 'number' || isNested) values[key] = withBigints(value)
  }
  return values as Json
}

function parseText(text: string): Json {
  try {
    return parse(text, undefined, { parseNumber, onDuplicateKey: () => undefined }) as Json
  } catch (cause) {
    throw new MalformedBody('', 'is not exactly one JSON value', cause)
  }
}

function countKeys(json: Json): number {
  if (typeof json !== 'object' || json === null) return 0
  const values: readonly Json[] = Object.values(json)
  return values.reduce(
    (sum: number, value) => sum + countKeys(value),
    Array.isArray(json) ? 0 : values.length,
  )
}

/** An unsigned integer becomes a bigint; every other number becomes NaN, which no field accepts. */
function parseNumber(text: string): bigint | number {
  return /^\d{1,20}$/.test(text) ? BigInt(text) : Number.NaN
}

/** Digits of integers that a floating-point number certainly holds. */
const exactDigitsMax = 15

/**
 * Depth and keys, seen from outside: exact up to the first syntax error, where the parser stops too.
 * `isExact`: every number is a row of at most 15 digits.
 */
function survey(body: Uint8Array): {
  readonly depth: number
  readonly keys: number
  readonly isExact: boolean
} {
  let open = 0
  let depth = 0
  let keys = 0
  let digits = 0
  let isExact = true
  let inString = false
  for (let i = 0; i < body.length; i++) {
    const byte = body[i] ?? 0
    if (inString) {
      if (byte === 0x5c) i++
      else if (byte === 0x22) inString = false
    } else if (byte >= 0x30 && byte <= 0x39) {
      if (++digits > exactDigitsMax) isExact = false
    } else {
      // A sign, a fraction, or an exponent behind a digit; the others are of true and false.
      if (byte === 0x2d || byte === 0x2e || (digits > 0 && (byte | 0x20) === 0x65)) isExact = false
      digits = 0
      if (byte === 0x22) inString = true
      else if (byte === 0x3a) keys++
      else if (byte === 0x7b || byte === 0x5b) depth = Math.max(depth, ++open)
      else if (byte === 0x7d || byte === 0x5d) open--
    }
  }
  return { depth, keys, isExact }
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes)
  } catch {
    // Not valid UTF-8. The platform's lenient decoder writes one U+FFFD for several bytes of a broken
    // sequence; the digest of such a text would differ from the one the client knows.
    return strict.decode(repairUtf8(bytes))
  }
}

/** Writes U+FFFD for each byte that begins no valid sequence. */
function repairUtf8(bytes: Uint8Array): Uint8Array {
  const repaired = new Uint8Array(bytes.length * 3)
  let end = 0
  for (let i = 0; i < bytes.length; ) {
    const size = sequenceBytes(bytes, i)
    repaired.set(size === 0 ? [0xef, 0xbf, 0xbd] : bytes.subarray(i, i + size), end)
    end += size === 0 ? 3 : size
    i += size === 0 ? 1 : size
  }
  return repaired.subarray(0, end)
}

/** Length of the valid UTF-8 sequence that starts here, or 0 (Unicode standard, table 3-7). */
function sequenceBytes(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] ?? 0
  if (lead < 0x80) return 1
  if (lead < 0xc2 || lead > 0xf4) return 0
  const size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
  // Only the second byte has a range of its own: no long forms, no surrogates, nothing above U+10FFFF.
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
  for (let i = 1; i < size; i++) {
    const byte = bytes[at + i] ?? 0
    if (byte < (i === 1 ? low : 0x80) || byte > (i === 1 ? high : 0xbf)) return 0
  }
  return size
}
