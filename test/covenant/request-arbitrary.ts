import fc from 'fast-check'
import type { Node } from './request-oracle.js'
import { fieldsOf } from './request-oracle.js'

/** Numbers from a seed; the same seed gives the same numbers. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

/** Any character, lone surrogates and the odd ones of canonical JSON included. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.string({
    unit: fc.constantFrom(
      '<',
      '>',
      '&',
      '\u2028',
      '\u2029',
      '"',
      '\\',
      '\b',
      '\x01',
      '\ud800',
      ' ',
    ),
    maxLength: 6,
  }),
)

const anyHex = fc.oneof(
  { weight: 5, arbitrary: fc.stringMatching(/^0x([0-9a-fA-F]{2}){1,20}$/) },
  { weight: 1, arbitrary: anyText },
)

const word = (value: string): Node => ({ kind: 'word', value })
const text = (value: string): Node => ({ kind: 'text', value })
const number = (value: bigint | number): Node => ({ kind: 'number', value: String(value) })

function scalar(type: string): fc.Arbitrary<Node> {
  switch (type) {
    case 'u32':
      return fc.oneof(fc.nat(0xffff_ffff), fc.constantFrom(0, 1, 0xffff_ffff)).map(number)
    case 'u64': {
      const max = 2n ** 64n - 1n
      const edges = fc.constantFrom(0n, 2n ** 53n + 1n, max)
      return fc.oneof(fc.bigInt(0n, max), edges).map(number)
    }
    case 'b':
      return fc.boolean().map((value) => word(String(value)))
    case 'h':
      return anyHex.map(text)
    case 't':
      return fc
        .tuple(fc.constantFrom('', ' ', '\t\n'), anyText)
        .map(([pad, s]) => text(pad + s + pad))
    default:
      return anyText.map(text)
  }
}

function valueOfType(type: string): fc.Arbitrary<Node> {
  if (type.startsWith('[')) {
    return fc
      .array(present(type.slice(1, -1)), { maxLength: 4 })
      .map((items) => ({ kind: 'list', items }))
  }
  if (type.startsWith('{')) {
    const key = fc.oneof(
      anyText,
      fc.constantFrom('__proto__', 'constructor', 'MIGRATION', '1', '\uffee', '\u{10000}'),
    )
    return fc
      .uniqueArray(fc.tuple(key, present(type.slice(1, -1))), {
        selector: ([name]) => Buffer.from(name).toString(),
        maxLength: 4,
      })
      .map((entries) => ({ kind: 'object', entries }))
  }
  if (type === 'Template') return fc.oneof(wireRecord('self_v1'), wireRecord('qc_v1'))
  return /^[A-Z]/.test(type) ? wireRecord(type) : scalar(type)
}

/** A value of this type, or sometimes null. */
const present = (type: string): fc.Arbitrary<Node> =>
  fc.oneof(
    { weight: 12, arbitrary: valueOfType(type) },
    { weight: 1, arbitrary: fc.constant(word('null')) },
  )

/** Any record of this name with any of its fields; its values obey no rule but their types. */
export function wireRecord(record: string): fc.Arbitrary<Node> {
  const fields = fieldsOf(record).map(({ name, type }) => {
    const values =
      name === 'route'
        ? fc.oneof(
            { weight: 6, arbitrary: fc.constantFrom('self_v1', 'qc_v1').map(text) },
            { weight: 1, arbitrary: present(type) },
          )
        : present(type)
    return fc
      .option(values, { freq: 8 })
      .map((node) => (node === null ? [] : [[name, node] as const]))
  })
  return fc.tuple(...fields).map((entries) => ({ kind: 'object', entries: entries.flat() }))
}

/** JSON of a node with keys in random order, random white space and random escapes. */
export function writeWire(node: Node, random: (below: number) => number): string {
  const blank = (): string => ['', '', '', ' ', '\n', '\t\r'][random(6)] ?? ''
  const write = (inner: Node): string => blank() + writeBare(inner) + blank()
  const writeBare = (inner: Node): string => {
    switch (inner.kind) {
      case 'text':
        return writeText(inner.value, random)
      case 'list':
        return `[${inner.items.map(write).join(',')}]`
      case 'object': {
        const entries = inner.entries.map(([key, value]) => ({ at: random(1000), key, value }))
        entries.sort((a, b) => a.at - b.at)
        const pairs = entries.map(
          ({ key, value }) => `${blank()}${writeText(key, random)}${blank()}:${write(value)}`,
        )
        return `{${pairs.join(',')}}`
      }
      default:
        return inner.value
    }
  }
  return write(node)
}

function writeText(text: string, random: (below: number) => number): string {
  const escapeAll = random(8) === 0
  const units = text.split('').map((unit, i) => {
    const lone = isLone(text, i)
    const must = unit < ' ' || unit === '"' || unit === '\\' || lone
    if (!must && !(escapeAll && random(2) === 0 && !/[\ud800-\udfff]/.test(unit))) return unit
    const short = '\b\f\n\r\t"\\/'.indexOf(unit)
    if (short >= 0 && random(2) === 0) return `\\${'bfnrt"\\/'[short] ?? ''}`
    const code = unit.charCodeAt(0).toString(16).padStart(4, '0')
    return `\\u${random(2) === 0 ? code : code.toUpperCase()}`
  })
  return `"${units.join('')}"`
}

function isLone(text: string, i: number): boolean {
  const isHigh = (at: number): boolean => /[\ud800-\udbff]/.test(text.charAt(at))
  const isLow = (at: number): boolean => /[\udc00-\udfff]/.test(text.charAt(at))
  return (isHigh(i) && !isLow(i + 1)) || (isLow(i) && !isHigh(i - 1))
}
