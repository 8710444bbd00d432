import { isDeepStrictEqual } from 'node:util'
import { decodeSubmit, MalformedBody } from '../../src/covenant/index.js'
import { randomFrom } from './request-arbitrary.js'
import { expectDecoded } from './request-oracle.js'

export type MutationReport = {
  readonly accepted: number
  readonly refused: number
  /** Bodies on which decoder and oracle disagree, at most ten. */
  readonly disagreements: readonly { readonly body: string; readonly what: string }[]
}

/**
 * Decodes `count` mutated bodies and compares each answer with the oracle's: refused or accepted, and
 * what was read. The same seed makes the same bodies.
 */
export function decodeMutatedBodies(
  bases: readonly Uint8Array[],
  count: number,
  seed: number,
): MutationReport {
  const random = randomFrom(seed)
  const disagreements: { body: string; what: string }[] = []
  let accepted = 0
  for (let i = 0; i < count && disagreements.length < 10; i++) {
    let body = bases[random(bases.length)] ?? new Uint8Array()
    for (let round = random(3); round >= 0; round--) body = mutate(body, random)
    const expected = expectDecoded('Submit', body)
    const actual = decodeOrUndefined(body)
    if (actual !== undefined) accepted++
    if (isDeepStrictEqual(actual, expected)) continue
    const what = `decoder ${verdict(actual)}, oracle ${verdict(expected)}`
    disagreements.push({ body: Buffer.from(body).toString('latin1'), what })
  }
  return { accepted, refused: count - accepted, disagreements }
}

const verdict = (input: unknown): string => (input === undefined ? 'refuses' : 'accepts')

/** Undefined when refused; the reason of an invalid template is left out, since its text is free. */
export function decodeOrUndefined(body: Uint8Array): unknown {
  try {
    const input = decodeSubmit(body)
    if (!('invalid' in input.request.scriptTemplate)) return input
    return { ...input, request: { ...input.request, scriptTemplate: { invalid: '' } } }
  } catch (error) {
    if (error instanceof MalformedBody) return undefined
    throw error
  }
}

type Random = (below: number) => number

function mutate(body: Uint8Array, random: Random): Uint8Array {
  const one = mutations[random(mutations.length)]
  return one === undefined ? body : one(body, random)
}

const pick = <T>(values: readonly T[], random: Random): T | undefined =>
  values[random(values.length)]

/** Puts other bytes in the place of a range. */
function splice(
  body: Uint8Array,
  from: number,
  to: number,
  bytes: Uint8Array | string,
): Uint8Array {
  const middle = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes
  return Buffer.concat([body.subarray(0, from), middle, body.subarray(to)] as Uint8Array[])
}

const oddValues = [
  'null',
  'true',
  'false',
  '0',
  '-0',
  '-1',
  '01',
  '1.0',
  '1e3',
  '1E-2',
  '.5',
  '+1',
  'NaN',
  '[]',
  '{}',
  '[null]',
  '""',
  '"1"',
  '4294967295',
  '4294967296',
  '9007199254740993',
  '18446744073709551615',
  '18446744073709551616',
  '100000000000000000000000',
  '{"__proto__":null}',
  '[[[]]]',
  '"\\ud800"',
  '"\\udc00\\ud800"',
  '"\\u2028"',
]
const oddKeys = [
  '__proto__',
  'constructor',
  'toString',
  'Route',
  'ROUTE',
  '',
  'epoch',
  'template',
  'beta',
  '\\u0065poch',
  '\\ud800',
]
const oddBytes = [
  '\x80',
  '\xc0\xaf',
  '\xe2\x82',
  '\xed\xa0\x80',
  '\xf0\x90\x80',
  '\xf4\x90\x80\x80',
  '\xef\xbb\xbf',
  '\x00',
  '\xff',
]

/** Matches of a pattern over the bytes as Latin-1, so that offsets are byte offsets. */
function matches(body: Uint8Array, pattern: RegExp): RegExpMatchArray[] {
  return [...Buffer.from(body).toString('latin1').matchAll(pattern)]
}

function replaceMatch(
  body: Uint8Array,
  random: Random,
  pattern: RegExp,
  change: (found: string) => string,
): Uint8Array {
  const match = pick(matches(body, pattern), random)
  if (match === undefined) return body
  return splice(body, match.index ?? 0, (match.index ?? 0) + match[0].length, change(match[0]))
}

const mutations: readonly ((body: Uint8Array, random: Random) => Uint8Array)[] = [
  // One bit, one byte less, one byte more, cut short, a piece twice.
  (body, random) => {
    const at = random(body.length)
    return splice(body, at, at + 1, Uint8Array.of((body[at] ?? 0) ^ (1 << random(8))))
  },
  (body, random) => {
    const at = random(body.length)
    return splice(body, at, at + 1, '')
  },
  (body, random) => splice(body, ...twice(random(body.length)), Uint8Array.of(random(256))),
  (body, random) => (random(4) === 0 ? body.subarray(0, random(body.length)) : body),
  (body, random) => {
    const from = random(body.length)
    return splice(body, from, from, body.subarray(from, from + random(40)))
  },
  // Another value for a number, a text, a word.
  (body, random) => replaceMatch(body, random, /(?<=:)\d+/g, () => pick(oddValues, random) ?? ''),
  (body, random) =>
    replaceMatch(body, random, /(?<=:)"[^"]*"/g, () => pick(oddValues, random) ?? ''),
  (body, random) =>
    replaceMatch(
      body,
      random,
      /(?<=:)(true|false|null|\[\]|\{\})/g,
      () => pick(oddValues, random) ?? '',
    ),
  // Text of any kind inside a text; white space between tokens.
  (body, random) => replaceMatch(body, random, /(?<=:")/g, () => pick(oddBytes, random) ?? ''),
  (body, random) =>
    replaceMatch(
      body,
      random,
      /(?<=:")/g,
      () => pick(['\\ud83d', '\\n', '\\x', '<&>', '\\u00e9'], random) ?? '',
    ),
  (body, random) =>
    replaceMatch(
      body,
      random,
      /(?<=[,:{}[\]])/g,
      () => pick([' ', '\n', '\t\r', '\x0b', '\xa0', '/**/'], random) ?? '',
    ),
  // Another key, one more key, a key again.
  (body, random) =>
    replaceMatch(body, random, /"\w+"(?=:)/g, () => `"${pick(oddKeys, random) ?? ''}"`),
  (body, random) =>
    replaceMatch(
      body,
      random,
      /\{(?=")/g,
      () => `{"${pick(oddKeys, random) ?? ''}":${pick(oddValues, random) ?? ''},`,
    ),
  (body, random) => replaceMatch(body, random, /"\w+":("[^"]*"|\d+),/g, (found) => found + found),
  (body, random) => replaceMatch(body, random, /"\w+":("[^"]*"|\d+),/g, () => ''),
  // The other route's template, before and after the body, much nesting.
  (body, random) =>
    replaceMatch(body, random, /self_v1|qc_v1/g, () => pick(['self_v1', 'qc_v1'], random) ?? ''),
  (body, random) => splice(body, 0, 0, pick(oddBytes, random) ?? ''),
  (body, random) =>
    splice(
      body,
      ...twice(body.length),
      pick([' ', '\n\n', '{}', 'null', ',', '\x00'], random) ?? '',
    ),
  (body, random) => replaceMatch(body, random, /(?<=:)\d+/g, () => nested(random)),
]

const twice = (at: number): [number, number] => [at, at]

function nested(random: Random): string {
  const depth = pick([3, 61, 62, 63, 64, 65, 66, 5000], random) ?? 0
  return random(2) === 0
    ? '['.repeat(depth) + ']'.repeat(depth)
    : `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
}
