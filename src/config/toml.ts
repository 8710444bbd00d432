import { dirname, resolve } from 'node:path'
import { parse, TomlError } from 'smol-toml'
import { configFileBytesMax } from '../base/limits.js'
import { isTable, typeOf } from './codec.js'
import type { Given, Source } from './given.js'
import { exposure, type FoundFile, type ReadFile, readFault } from './private-file.js'
import type { Problem } from './problem.js'
import { aliases, schema, sectionNames } from './schema.js'
import { didYouMean, shownName } from './suggest.js'

/** Unknown keys that are told of one file. */
const unknownMax = 50
/** Ignored names that are told of. */
const ignoredMax = 20

/** Sections of keep-core's own file, in lower case; letter case does not count there. */
const keepCoreSections: ReadonlySet<string> = new Set([
  'clientinfo',
  'developer',
  'libp2p',
  'maintainer',
  'network',
  'storage',
  'tbtc',
])

/** keep-core's keys in the sections that both have, in lower case. */
const keepCoreBitcoinKeys: ReadonlySet<string> = new Set(['electrum'])
const keepCoreEthereumKeys: ReadonlySet<string> = new Set([
  'account',
  'balancealertthreshold',
  'concurrencylimit',
  'contractaddresses',
  'keyfile',
  'keyfilepassword',
  'maxgasfeecap',
  'miningcheckinterval',
  'network',
  'requestspersecondlimit',
  'url',
])

const sharedSections: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['bitcoin', keepCoreBitcoinKeys],
  ['ethereum', keepCoreEthereumKeys],
])

type Table = Readonly<Record<string, unknown>>

/** Reads a configuration file: what it gives, and everything that is wrong with it. */
export function readConfigFile(file: string, readFile: ReadFile): Source {
  const path = resolve(file)
  let found: FoundFile
  try {
    found = readFile(path, configFileBytesMax)
  } catch (error) {
    const wrong = readFault(error, configFileBytesMax)
    return failed(malformed(path, wrong, 'Name a readable TOML file with --config.'))
  }
  const parsed = parseToml(path, found.bytes)
  if (parsed.kind === 'problem') return failed(parsed.problem)
  const source = sortKeys(path, parsed.document)
  const holdsSecrets = source.given.some(({ key, raw }) => schema.get(key)?.secret && raw !== '')
  const exposed = exposure(found, holdsSecrets)
  if (exposed === undefined) return source
  const remedy = `Run "chmod ${holdsSecrets ? '600' : 'go-w'}" on it as its owner, root or this user.`
  const problem: Problem = { key: path, kind: 'refused', wrong: exposed, remedy }
  return { ...source, problems: [problem, ...source.problems] }
}

type Parsed =
  | { readonly kind: 'document'; readonly document: Table }
  | { readonly kind: 'problem'; readonly problem: Problem }

function parseToml(path: string, bytes: Uint8Array): Parsed {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    const document = parse(text, { integersAsBigInt: 'asNeeded', maxDepth: 32 })
    return { kind: 'document', document }
  } catch (error) {
    return { kind: 'problem', problem: parseProblem(path, error) }
  }
}

function parseProblem(path: string, error: unknown): Problem {
  if (error instanceof TypeError) return malformed(path, 'not UTF-8', 'Save it as UTF-8.')
  if (!(error instanceof TomlError)) return malformed(path, 'no TOML', 'Start from the sample.')
  // Only the first line: the rest repeats lines of the file, which may hold secrets.
  const reason = error.message.split('\n', 1)[0]?.replace('Invalid TOML document: ', '')
  const place = `line ${error.line}, column ${error.column}`
  return malformed(path, `${place}: ${reason}`, 'Correct that line; a text wants quotes around it.')
}

function sortKeys(path: string, document: Table): Source {
  const given: Given[] = []
  const problems: Problem[] = []
  const ignored: string[] = []
  const complain = (problem: () => Problem): void => {
    if (problems.length < unknownMax) problems.push(problem())
  }
  const take = (key: string, raw: unknown): boolean => {
    const setting = aliases.get(key) ?? key
    if (!schema.has(setting)) return false
    const origin = { kind: 'file', name: path } as const
    given.push({ key: setting, as: key, raw, origin, folder: dirname(path) })
    return true
  }
  const takeSection = (section: string, table: Table): void => {
    for (const [name, raw] of Object.entries(table)) {
      if (take(`${section}.${name}`, raw)) continue
      const theirs = sharedSections.get(section)
      if (theirs?.has(name.toLowerCase())) ignored.push(`${section}.${name}`)
      else complain(() => unknownKey(section, name))
    }
  }
  for (const [written, raw] of Object.entries(document)) {
    // keep-core reads names in any letter case.
    const name = sharedSections.has(written.toLowerCase()) ? written.toLowerCase() : written
    if (sectionNames.includes(name)) {
      const remedy = `Write [${name}] on a line of its own above its keys.`
      if (isTable(raw)) takeSection(name, raw)
      else complain(() => malformed(name, `${typeOf(raw)}, want a table`, remedy))
    } else if (isTable(raw) && keepCoreSections.has(name.toLowerCase())) ignored.push(`[${name}]`)
    else if (name.includes('.') || !take(name, raw)) complain(() => unknownKey('', name))
  }
  const notice = `ignored, since they are keep-core's own: ${ignored.slice(0, ignoredMax).join(', ')}`
  return {
    given,
    problems,
    notices: ignored.length === 0 ? [] : [notice],
  }
}

function unknownKey(section: string, name: string): Problem {
  const names =
    section === ''
      ? [...sectionNames, ...keysBelow('')]
      : keysBelow(`${section}.`).map((key) => key.slice(section.length + 1))
  const key = section === '' ? shownName(name) : `${section}.${shownName(name)}`
  const wrong = `unknown key${didYouMean(name, names)}`
  return malformed(key, wrong, 'Correct or remove it; the sample holdfast.toml has every key.')
}

function keysBelow(prefix: string): readonly string[] {
  const names = [...schema.keys(), ...aliases.keys()]
  return names.filter((key) => (prefix === '' ? !key.includes('.') : key.startsWith(prefix)))
}

function malformed(key: string, wrong: string, remedy: string): Problem {
  return { key, kind: 'malformed', wrong, remedy }
}

function failed(problem: Problem): Source {
  return { given: [], problems: [problem], notices: [] }
}
