import { resolve } from 'node:path'
import { trustRootsMax } from '../base/limits.js'
import type { HexText } from './settings.js'
import { didYouMean, shownName } from './suggest.js'

/** Bytes of one text. */
const textBytesMax = 4096
/** Characters of one text inside a list, PEM included. */
const fieldLengthMax = 16_384
/** Faults that are told of one list. */
const listFaultsMax = 20

/** What is wrong with a value; `at` is the place inside it, such as `[2].route`, or ''. */
export type Fault = {
  readonly at: string
  readonly kind: 'malformed' | 'refused'
  readonly wrong: string
}

/** A value, or what is wrong with it. */
export type Decoded<V> =
  | { readonly kind: 'value'; readonly value: V }
  | { readonly kind: 'faults'; readonly faults: readonly Fault[] }

/** How a setting is read, from a parsed file or from text. */
export type Codec<V> = {
  readonly fallback: V
  /** What is wanted, in words. */
  readonly wanted: string
  /** Never shown, and a file that holds it is private. */
  readonly secret: boolean
  /** @param folder what relative paths start from */
  readonly decode: (raw: unknown, folder: string) => Decoded<V>
  /** The text of a flag or variable as a file would have given it; text that is no such value stays text. */
  readonly fromText: (text: string) => unknown
}

/** A whole number within bounds. */
export function whole(fallback: number, min: number, max: number): Codec<number> {
  return wholeOr(fallback, min, max)
}

/** A whole number within bounds, or nothing. */
export function optionalWhole(min: number, max: number): Codec<number | undefined> {
  return wholeOr<number | undefined>(undefined, min, max)
}

function wholeOr<V>(fallback: V, min: number, max: number): Codec<V | number> {
  const wanted = `a whole number from ${min} to ${max}`
  return {
    fallback,
    wanted,
    secret: false,
    fromText: numberFromText,
    decode: (raw) => {
      if (typeof raw !== 'bigint' && !Number.isInteger(raw)) return wrongType(raw, wanted)
      const number = Number(raw)
      return number >= min && number <= max ? value(number) : refused(`${raw}, want ${wanted}`)
    },
  }
}

/** A whole number of 63 bits, the largest that TOML has. */
export function bigWhole(fallback: bigint): Codec<bigint> {
  const wanted = 'a whole number from 0 to 9223372036854775807'
  return {
    fallback,
    wanted,
    secret: false,
    fromText: numberFromText,
    decode: (raw) => {
      const isWhole = typeof raw === 'bigint' || (typeof raw === 'number' && Number.isInteger(raw))
      if (!isWhole) return wrongType(raw, wanted)
      const number = BigInt(raw)
      return number >= 0n && number < 2n ** 63n ? value(number) : refused(`${raw}, want ${wanted}`)
    },
  }
}

/** `true` or `false`. */
export function yesOrNo(fallback: boolean): Codec<boolean> {
  const wanted = 'true or false'
  const words: ReadonlyMap<string, boolean> = new Map([
    ['true', true],
    ['1', true],
    ['false', false],
    ['0', false],
  ])
  return {
    fallback,
    wanted,
    secret: false,
    fromText: (text) => words.get(text.toLowerCase()) ?? text,
    decode: (raw) => (typeof raw === 'boolean' ? value(raw) : wrongType(raw, wanted)),
  }
}

/** One line of text. */
export function text(fallback: string): Codec<string> {
  return textCodec(fallback, `text without line breaks of at most ${textBytesMax} bytes`, (line) =>
    value(line),
  )
}

/** One line of text that is never shown. */
export function secretText(): Codec<string> {
  return { ...text(''), secret: true }
}

/** One of a few words. */
export function oneOf<Word extends string>(words: readonly Word[], fallback: Word): Codec<Word> {
  const wanted = `one of ${words.join(', ')}`
  return textCodec<Word>(fallback, wanted, (line) => {
    const found = words.find((word) => word === line)
    return found === undefined
      ? refused(`unknown${didYouMean(line, words)}, want ${wanted}`)
      : value(found)
  })
}

/** A path, made absolute; blank is none. */
export function path(): Codec<string | undefined> {
  return textCodec<string | undefined>(undefined, 'a path', (line, folder) =>
    value(line === '' ? undefined : resolve(folder, line)),
  )
}

/** A name within a folder; blank is none. */
export function fileName(): Codec<string | undefined> {
  const wanted = 'a name of letters, digits, ".", "_" and "-"'
  return textCodec<string | undefined>(undefined, wanted, (line) => {
    if (line === '') return value(undefined)
    return /^\.*$|[^\w.-]/.test(line) ? refused(`not a name, want ${wanted}`) : value(line)
  })
}

/** So many bytes of hex, 0x optional, any case; blank is none. */
export function hex(sizeBytes: number): Codec<HexText | undefined> {
  const wanted = `${sizeBytes} bytes of hex`
  return textCodec<HexText | undefined>(undefined, wanted, (line) => {
    const digits = line.trim().replace(/^0x/, '').toLowerCase()
    if (digits === '') return value(undefined)
    const fits = digits.length === sizeBytes * 2 && /^[0-9a-f]+$/.test(digits)
    return fits ? value<HexText>(`0x${digits}`) : refused(`something else, want ${wanted}`)
  })
}

/** An address of 20 bytes that is not zero; blank is none. */
export function address(): Codec<HexText | undefined> {
  const plain = hex(20)
  return {
    ...plain,
    decode: (raw, folder) => {
      const read = plain.decode(raw, folder)
      const isZero = read.kind === 'value' && read.value !== undefined && /^0x0+$/.test(read.value)
      return isZero ? refused('zero, want the address of a contract') : read
    },
  }
}

/** A list of tables whose fields are texts; `optional` fields may be left out. */
export function tables<V>(
  required: readonly (keyof V & string)[],
  optional: readonly (keyof V & string)[] = [],
): Codec<readonly V[]> {
  const wanted = `a list of tables with ${[...required, ...optional].join(', ')}`
  return {
    fallback: [],
    wanted,
    secret: false,
    fromText: (json) => {
      try {
        return JSON.parse(json)
      } catch {
        // What is no JSON stays text, and `decode` says what was wanted.
        return json
      }
    },
    decode: (raw) => {
      if (!Array.isArray(raw)) return wrongType(raw, `${wanted} (as JSON outside the file)`)
      if (raw.length > trustRootsMax) {
        return refused(`${raw.length} entries, want at most ${trustRootsMax}`)
      }
      const faults: Fault[] = []
      for (const [index, entry] of raw.entries()) {
        if (faults.length >= listFaultsMax) break
        faults.push(...entryFaults(entry, `[${index}]`, required, optional))
      }
      if (faults.length > 0) return { kind: 'faults', faults: faults.slice(0, listFaultsMax) }
      // Every entry has the fields of V as texts and no other: that is what the faults say.
      return value(raw.map((entry) => ({ ...entry }) as V))
    },
  }
}

/** The same list with one optional field that is a path, made absolute. */
export function withPath<V extends object>(
  list: Codec<readonly V[]>,
  name: keyof V & string,
): Codec<readonly V[]> {
  return {
    ...list,
    decode: (raw, folder) => {
      const read = list.decode(raw, folder)
      if (read.kind === 'faults') return read
      const absolute = (entry: V): V => {
        const path = entry[name]
        return typeof path === 'string' ? { ...entry, [name]: resolve(folder, path) } : entry
      }
      return value(read.value.map(absolute))
    },
  }
}

/** A list of http or https addresses without user names in them; never shown, since keys of providers stand in them. */
export function webAddresses(entriesMax: number): Codec<readonly string[]> {
  const wanted = `a list of at most ${entriesMax} http or https addresses`
  return {
    fallback: [],
    wanted,
    secret: true,
    fromText: (given) => tables([]).fromText(given),
    decode: (raw) => {
      if (!Array.isArray(raw)) return wrongType(raw, `${wanted} (as JSON outside the file)`)
      if (raw.length > entriesMax) return refused(`${raw.length} entries, want ${wanted}`)
      const faults = raw.flatMap((entry, index) =>
        typeof entry === 'string' && isWebAddress(entry)
          ? []
          : [malformed(`[${index}]`, 'no such address, want http://HOST:PORT/PATH or https')],
      )
      // Every entry is a text: that is what the faults say.
      return faults.length > 0 ? { kind: 'faults', faults } : value(raw as readonly string[])
    },
  }
}

function isWebAddress(text: string): boolean {
  if (text.length > textBytesMax || !URL.canParse(text)) return false
  const { protocol, username, password } = new URL(text)
  return /^https?:$/.test(protocol) && username === '' && password === ''
}

function entryFaults(
  entry: unknown,
  at: string,
  required: readonly string[],
  optional: readonly string[],
): readonly Fault[] {
  if (!isTable(entry)) return [malformed(at, `${typeOf(entry)}, want a table`)]
  const names = [...required, ...optional]
  const missing = required
    .filter((name) => !Object.hasOwn(entry, name))
    .map((name) => malformed(`${at}.${name}`, 'missing, want a text'))
  // As many as are told: to look for near names takes time.
  const wrong = Object.entries(entry)
    .slice(0, names.length + listFaultsMax)
    .flatMap(([name, field]) => {
      const place = `${at}.${shownName(name)}`
      if (!names.includes(name)) return [malformed(place, `unknown key${didYouMean(name, names)}`)]
      if (typeof field !== 'string') return [malformed(place, `${typeOf(field)}, want a text`)]
      return field.length > fieldLengthMax ? [malformed(place, 'too long')] : []
    })
  return [...missing, ...wrong]
}

function textCodec<V>(
  fallback: V,
  wanted: string,
  read: (line: string, folder: string) => Decoded<V>,
): Codec<V> {
  return {
    fallback,
    wanted,
    secret: false,
    fromText: (given) => given,
    decode: (raw, folder) => {
      if (typeof raw !== 'string') return wrongType(raw, wanted)
      const isLine = !/\p{Cc}/u.test(raw) && Buffer.byteLength(raw) <= textBytesMax
      return isLine ? read(raw, folder) : refused(`not one short line, want ${wanted}`)
    },
  }
}

/** True for tables of TOML and objects of JSON. */
export function isTable(raw: unknown): raw is Readonly<Record<string, unknown>> {
  return typeof raw === 'object' && raw !== null && !Array.isArray(raw) && !(raw instanceof Date)
}

/** What kind of value it is, in words; the value itself is not repeated. */
export function typeOf(raw: unknown): string {
  if (typeof raw === 'string') return 'a text'
  if (typeof raw === 'number' || typeof raw === 'bigint') return 'a number'
  if (typeof raw === 'boolean') return 'true or false'
  if (Array.isArray(raw)) return 'a list'
  if (raw instanceof Date) return 'a date'
  return raw === null ? 'null' : 'a table'
}

const value = <V>(decoded: V): Decoded<V> => ({ kind: 'value', value: decoded })

const malformed = (at: string, wrong: string): Fault => ({ at, kind: 'malformed', wrong })

const wrongType = (raw: unknown, wanted: string): Decoded<never> => ({
  kind: 'faults',
  faults: [malformed('', `${typeOf(raw)}, want ${wanted}`)],
})

const refused = (wrong: string): Decoded<never> => ({
  kind: 'faults',
  faults: [{ at: '', kind: 'refused', wrong }],
})

/** Decimal digits as a number, larger ones as a bigint. */
function numberFromText(given: string): unknown {
  if (!/^[+-]?\d{1,20}$/.test(given)) return given
  const number = Number(given)
  return Number.isSafeInteger(number) ? number : BigInt(given.replace(/^\+/, ''))
}
