import { resolve } from 'node:path'
import type { Given, Source } from './given.js'
import type { Problem } from './problem.js'
import { aliases, schema } from './schema.js'
import { didYouMean, shownName, squash } from './suggest.js'

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Flags by the key of their setting; true is a flag without a value. */
export type Flags = Readonly<Record<string, string | boolean | undefined>>

const prefix = 'HOLDFAST_'

/** The variable of a setting: `HOLDFAST_COVENANT_SIGNER__AUTH_TOKEN`, `HOLDFAST_DATA_DIR`. */
export function variableOf(key: string): string {
  const words = key.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase()
  return `${prefix}${words.replace('.', '__')}`
}

/** Settings by variable without the prefix, underscores within a name and letter case aside. */
const keysByVariable: ReadonlyMap<string, string> = new Map(
  [...schema.keys(), ...aliases.keys()].map((key) => [key.toLowerCase(), aliases.get(key) ?? key]),
)

/** Settings by variable with all underscores gone: what a forgotten second underscore leaves. */
const keysBySlip: ReadonlyMap<string, string> = new Map(
  [...keysByVariable].map(([name, key]) => [name.replace('.', ''), key]),
)

/**
 * Reads the `HOLDFAST_` variables; an empty one counts as absent.
 *
 * @remarks Variables that look like no setting at all (no `__`) are somebody else's and are left alone.
 */
export function readEnvironment(environment: Environment): Source {
  const given: Given[] = []
  const problems: Problem[] = []
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith(prefix) || text === undefined || text === '') continue
    const parts = name.slice(prefix.length).split('__').map(squash)
    const key = keysByVariable.get(parts.join('.'))
    const slip = parts.length === 1 ? keysBySlip.get(parts.join('')) : undefined
    if (key !== undefined) given.push(fromText(key, name, text, { kind: 'environment', name }))
    else if (parts.length > 1 || slip !== undefined) problems.push(unknownVariable(name, slip))
  }
  return { given, problems, notices: [] }
}

/**
 * Reads flags.
 *
 * @throws RangeError for a flag that is no setting
 */
export function readFlags(flags: Flags): Source {
  const given: Given[] = []
  const shown: string[] = []
  for (const [key, value] of Object.entries(flags)) {
    if (value === undefined) continue
    const codec = schema.get(key)
    if (codec === undefined) throw new RangeError(`flags: ${key} is no setting`)
    const name = key === 'dataDir' ? '--data-dir' : `--${key}`
    if (codec.secret) shown.push(name)
    given.push(fromText(key, name, String(value), { kind: 'flag', name }))
  }
  const notice = `every user of this machine can read ${shown.join(' and ')} in the process list`
  return { given, problems: [], notices: shown.length === 0 ? [] : [notice] }
}

function fromText(key: string, as: string, text: string, origin: Given['origin']): Given {
  return { key, as, raw: schema.get(key)?.fromText(text), origin, folder: resolve('.') }
}

function unknownVariable(name: string, slip: string | undefined): Problem {
  const names = slip === undefined ? [...schema.keys()].map(variableOf) : [variableOf(slip)]
  return {
    key: shownName(name),
    kind: 'malformed',
    wrong: `unknown setting${didYouMean(name, names)}`,
    remedy: 'Correct or unset the variable: HOLDFAST_SECTION__KEY.',
  }
}
