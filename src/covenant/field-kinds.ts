import { HoldfastError } from '../base/errors.js'
import { canonicalText, sortedByUtf8, wellFormed } from './canonical.js'

/** A parsed JSON value; a bigint is an unsigned integer of at most 20 digits, a number any other number. */
export type Json = string | bigint | number | boolean | null | readonly Json[] | JsonObject
/** A parsed JSON object; look only at its own keys. */
export type JsonObject = { readonly [key: string]: Json }

/** How one kind of field is decoded, written canonically and normalised. */
export type Kind<Value> = {
  /**
   * Reads the field; undefined (absent) and null give the empty value.
   *
   * @param siblings The object that holds the field.
   * @throws MalformedBody, naming `path`.
   */
  readonly decode: (json: Json | undefined, path: string, siblings: JsonObject) => Value
  /** Canonical JSON. @throws RangeError for a value that the kind cannot hold. */
  readonly write: (value: Value) => string
  /** Section 11 of the specification, as far as one field decides it. */
  readonly normalize: (value: Value) => Value
  /** True for values that canonical JSON leaves out; without it the field is always written. */
  readonly leavesOut?: (value: Value) => boolean
}

/** Text that is kept as sent. */
export const text: Kind<string> = {
  decode: (json, path) => {
    if (json === undefined || json === null) return ''
    if (typeof json !== 'string') throw new MalformedBody(path, 'is not a string')
    return wellFormed(json)
  },
  write: canonicalText,
  normalize: (value) => value,
}

/** Text that loses the blanks around it when normalised. */
export const trimmedText: Kind<string> = { ...text, normalize: (value) => value.trim() }

/** Text that should be hex (validation decides) and is lower-cased when normalised. */
export const hex: Kind<string> = { ...text, normalize: (value) => value.toLowerCase() }

/** The same kind, left out of canonical JSON when ''. */
export function orLeftOut(kind: Kind<string>): Kind<string> {
  return { ...kind, leavesOut: (value) => value === '' }
}

/** True or false; absent is false. */
export const flag: Kind<boolean> = {
  decode: (json, path) => {
    if (json === undefined || json === null) return false
    if (typeof json !== 'boolean') throw new MalformedBody(path, 'is neither true nor false')
    return json
  },
  write: String,
  normalize: (value) => value,
}

const u32Max = 0xffff_ffff
const u64Max = 0xffff_ffff_ffff_ffffn

/** An integer of 32 bits without sign; absent is 0. */
export const u32: Kind<number> = {
  decode: (json, path) => Number(decodeInteger(json, BigInt(u32Max), path)),
  write: (value) => writeInteger(value, BigInt(u32Max)),
  normalize: (value) => value,
}

/** An integer of 64 bits without sign; absent is 0n. */
export const u64: Kind<bigint> = {
  decode: (json, path) => decodeInteger(json, u64Max, path),
  write: (value) => writeInteger(value, u64Max),
  normalize: (value) => value,
}

function decodeInteger(json: Json | undefined, max: bigint, path: string): bigint {
  if (json === undefined || json === null) return 0n
  if (typeof json !== 'bigint' || json > max) {
    throw new MalformedBody(path, `is not an integer from 0 to ${max}`)
  }
  return json
}

function writeInteger(value: bigint | number, max: bigint): string {
  if ((typeof value === 'number' && !Number.isSafeInteger(value)) || value < 0 || value > max) {
    throw new RangeError(`integer: want 0 to ${max}`)
  }
  return String(value)
}

/** Null when absent, and written as null. */
export function orNull<Value>(kind: Kind<Value>): Kind<Value | null> {
  return {
    decode: (json, path, siblings) =>
      json === undefined || json === null ? null : kind.decode(json, path, siblings),
    write: (value) => (value === null ? 'null' : kind.write(value)),
    normalize: (value) => (value === null ? null : kind.normalize(value)),
  }
}

/** Undefined when absent, and left out. */
export function optional<Value>(kind: Kind<Value>): Kind<Value | undefined> {
  return {
    decode: (json, path, siblings) =>
      json === undefined || json === null ? undefined : kind.decode(json, path, siblings),
    write: (value) => (value === undefined ? 'null' : kind.write(value)),
    normalize: (value) => (value === undefined ? undefined : kind.normalize(value)),
    leavesOut: (value) => value === undefined,
  }
}

/** A list; absent is []. A null element is the element's empty value. */
export function list<Value>(kind: Kind<Value>): Kind<readonly Value[]> {
  return {
    decode: (json, path) => {
      if (json === undefined || json === null) return []
      if (!Array.isArray(json)) throw new MalformedBody(path, 'is not a list')
      return json.map((element: Json, i) => kind.decode(element, `${path}[${i}]`, {}))
    },
    write: (values) => `[${values.map(kind.write).join(',')}]`,
    normalize: (values) => values.map(kind.normalize),
  }
}

/** A map with any keys; absent is empty. */
export function map<Value>(kind: Kind<Value>): Kind<ReadonlyMap<string, Value>> {
  return {
    decode: (json, path) => {
      const values = new Map<string, Value>()
      for (const [name, value] of Object.entries(asObject(json ?? {}, path))) {
        const key = wellFormed(name)
        if (values.has(key)) throw new MalformedBody(path, 'repeats a key')
        values.set(key, kind.decode(value, `${path} ${canonicalText(key.slice(0, 40))}`, {}))
      }
      return values
    },
    write: (values) => {
      const entries = sortedByUtf8(values)
      return `{${entries.map(([key, value]) => `${canonicalText(key)}:${kind.write(value)}`).join(',')}}`
    },
    normalize: (values) =>
      new Map([...values].map(([key, value]) => [key, kind.normalize(value)] as const)),
  }
}

/** One kind for each field of a record; their order is the canonical order. */
export type Fields<Value> = { readonly [Name in keyof Value]-?: Kind<Value[Name]> }

/** A record with exactly these fields; absent is a record of empty values. */
export function record<Value extends object>(fields: Fields<Value>): Kind<Value> {
  type Field = {
    readonly name: keyof Value & string
    readonly head: string
    readonly kind: AnyKind
  }
  // Inside, each kind meets only the value of its own field, which `Fields` has checked.
  type AnyKind = Kind<unknown>
  const table: readonly Field[] = Object.entries<unknown>(fields).map(([name, kind]) => ({
    name: name as keyof Value & string,
    head: `${canonicalText(name)}:`,
    kind: kind as AnyKind,
  }))
  const build = (fieldOf: (field: Field) => unknown): Value => {
    const built: Partial<Record<keyof Value, unknown>> = {}
    for (const field of table) built[field.name] = fieldOf(field)
    return built as Value
  }
  return {
    decode: (json, path) => {
      const object = asObject(json ?? {}, path)
      refuseUnknown(object, fields, path)
      return build(({ name, kind }) => {
        const field = Object.hasOwn(object, name) ? object[name] : undefined
        return kind.decode(field, path === '' ? name : `${path}.${name}`, object)
      })
    },
    write: (value) => {
      const written: string[] = []
      for (const { name, head, kind } of table) {
        if (!kind.leavesOut?.(value[name])) written.push(head + kind.write(value[name]))
      }
      return `{${written.join(',')}}`
    },
    normalize: (value) => build(({ name, kind }) => kind.normalize(value[name])),
  }
}

function refuseUnknown(object: JsonObject, fields: object, path: string): void {
  for (const name of Object.keys(object)) {
    if (Object.hasOwn(fields, name)) continue
    throw new MalformedBody(path, `has an unknown field ${canonicalText(name.slice(0, 40))}`)
  }
}

function asObject(json: Json, path: string): JsonObject {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new MalformedBody(path, 'is not an object')
  }
  // Array.isArray does not narrow readonly arrays away.
  return json as JsonObject
}

/** A request body is not what decoding accepts; the wire says only `malformed request body`. */
export class MalformedBody extends HoldfastError {
  readonly code = 'MalformedBody'
  /** What is wrong and where, without the subject of the message. */
  readonly reason: string
  constructor(path: string, wrong: string, cause?: unknown) {
    const reason = `${path === '' ? 'body' : path} ${wrong}`
    super(`request body: ${reason}`, {
      retry: 'after-fix',
      remedy: 'Send one JSON object with the documented fields, spelled exactly and not repeated.',
      cause,
    })
    this.reason = reason
  }
}
