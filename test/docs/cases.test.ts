import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { faultPointNames } from '../../src/testing/faults.js'
import { ruleRows } from '../covenant/validate-rules.js'
import { starts } from '../crash/starts.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const pages = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('-CASES.md'))
const page = (name: string): string => readFileSync(join(root, 'docs', name), 'utf8')

type Named = { readonly file: string; readonly title: string }

/** Every "`file` › title" of a page; a cell of a table holds several, divided by line breaks. */
function testsNamedIn(text: string): readonly Named[] {
  return [...text.matchAll(/`([^`\n]+)` › ([^|\n]+?)(?=<br>| \||\n|$)/g)].map(
    ([, file = '', title = '']) => ({ file, title: title.trim() }),
  )
}

/** Matches the title as one whole string literal; `…` stands for a placeholder of a loop. */
function literalOf(title: string): RegExp {
  const words = title.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`(['"\`])${words.join('(?:\\$\\{[^}]*\\}|%[a-z]|\\$[\\w.]+)')}\\1`)
}

function problemOf({ file, title }: Named): string[] {
  let source: string
  try {
    source = readFileSync(join(root, file), 'utf8')
  } catch {
    return [`${file}: no such file`]
  }
  return literalOf(title).test(source) ? [] : [`${file}: has no "${title}"`]
}

const range = (letter: string, upTo: number): readonly string[] =>
  Array.from({ length: upTo }, (_, at) => `${letter}${at + 1}`)

describe('a page of cases', () => {
  it.each(pages)('%s names tests, and each of them exists', (name) => {
    const named = testsNamedIn(page(name))
    expect(named.length).toBeGreaterThan(10)
    expect(named.flatMap(problemOf)).toEqual([])
    // Nothing that looks like a test may slip past the pattern.
    expect(named).toHaveLength(page(name).split('` › ').length - 1)
  })

  it('would notice a test that was renamed, and a file that is gone', () => {
    const own = 'test/docs/cases.test.ts'
    const named = testsNamedIn(`| A1 | x | \`${own}\` › no such title<br>\`test/gone.ts\` › x |`)
    expect(named.flatMap(problemOf)).toEqual([
      `${own}: has no "no such ${'title'}"`,
      'test/gone.ts: no such file',
    ])
    expect(problemOf({ file: own, title: '… names tests, and each of them exists' })).toEqual([])
  })
})

type Specified = {
  readonly ids: readonly string[]
  /** All that its cases may wait for. */
  readonly features: readonly string[]
}

const specified: Readonly<Record<string, Specified>> = {
  'COVENANT-CASES.md': {
    ids: [
      ...range('A', 15),
      ...range('B', 11),
      ...range('C', 17),
      ...range('D', 4),
      ...range('E', 10),
      ...range('F', 6),
      ...range('G', 13),
      ...range('H', 8),
      ...range('I', 7),
    ],
    features: [],
  },
  'WALLET-CASES.md': {
    ids: [
      ...range('A', 8),
      ...range('B', 8),
      ...range('C', 12),
      ...range('D', 8),
      ...range('E', 10),
      ...range('F', 4),
      ...range('G', 9),
      ...range('H', 4),
      ...range('I', 15),
      ...range('J', 7),
    ],
    features: [
      'Core wallets',
      'Platform address sync',
      'backup and restore',
      'chain scanner',
      'delete',
      'delete, and stores beside registration',
      'identity discovery',
      'manual flush mode',
      'manual flush mode and merge rules',
      'metadata store',
      'rekey',
      'spending',
    ],
  },
}

type Case = { readonly id: string; readonly shown: string }

/** The rows of a page's table of cases. */
const casesOf = (text: string): readonly Case[] =>
  [...text.matchAll(/^\| ([A-J]\d+) \| [^|]+ \| ([^|]+) \|$/gm)].map(([, id = '', shown = '']) => ({
    id,
    shown,
  }))

describe.each(pages)('docs/%s', (name) => {
  const text = page(name)
  const cases = casesOf(text)

  it('has every case of the specification once, in order', () => {
    expect(cases.map(({ id }) => id)).toEqual(specified[name]?.ids)
  })

  it('shows each case by a test, or says what it waits for', () => {
    for (const { id, shown } of cases) {
      expect(testsNamedIn(shown).length > 0 || /(^|<br>)waits: \w/.test(shown), id).toBe(true)
    }
  })

  it('lets a case wait for nothing but these features', () => {
    const features = [...text.matchAll(/waits: ([^<|(\n]+?)(?= \(|<br>| \|)/g)]
    const found = [...new Set(features.map(([, feature]) => feature))].sort()
    expect(found).toEqual(specified[name]?.features)
  })
})

describe('docs/COVENANT-CASES.md', () => {
  const text = page('COVENANT-CASES.md')
  const rulesFile = 'test/covenant/validate-rules.ts'

  /** Every title in the covenant's tests that ends with numbers of cases in brackets. */
  const numbered = (): readonly Named[] => {
    const rules = ruleRows.map((row) => ({ file: rulesFile, title: row.name }))
    const files = readdirSync(join(root, 'test/covenant')).filter((at) => at.endsWith('.test.ts'))
    const titles = files.flatMap((at) => {
      const file = `test/covenant/${at}`
      const source = readFileSync(join(root, file), 'utf8')
      const literals = source.matchAll(/(['"`])((?:(?!\1).)*\([A-I]\d+(?:, [A-I]\d+)*\))\1/g)
      return [...literals].map(([, , title = '']) => ({ file, title }))
    })
    return [...titles, ...rules.filter(({ title }) => /\([A-I]\d+(, [A-I]\d+)*\)$/.test(title))]
  }

  it('names every test whose title ends with the number of a case, at that case', () => {
    const shown = new Map(casesOf(text).map((one) => [one.id, testsNamedIn(one.shown)]))
    const claims = numbered().flatMap(({ file, title }) => {
      const ids = /\(([A-I\d, ]+)\)$/.exec(title)?.[1]?.split(', ') ?? []
      return ids.map((id) => ({ id, file, title }))
    })
    expect(claims.length).toBeGreaterThan(100)
    const missing = claims.filter(({ id, file, title }) => {
      const literal = `\`${title}\``
      const isIt = (one: Named) => one.file === file && literalOf(one.title).test(literal)
      return !shown.get(id)?.some(isIt)
    })
    expect(missing).toEqual([])
  })

  it('names rules that are broken one by one', () => {
    const names = new Set(ruleRows.map((row) => row.name))
    const named = testsNamedIn(text).filter(({ file }) => file === rulesFile)
    expect(named.length).toBeGreaterThan(40)
    expect(named.filter(({ title }) => !names.has(title))).toEqual([])
  })
})

describe('the failure matrix of docs/WALLET-CASES.md', () => {
  const text = page('WALLET-CASES.md')

  it('fills both columns of every row of the failure matrix', () => {
    const matrix = text.slice(text.indexOf('| step | where |')).split('\n').slice(2)
    const cells = matrix.filter((line) => line !== '').map((line) => line.split(' | '))
    expect(cells).toHaveLength(13)
    for (const [step, , fails = '', dies = ''] of cells) {
      if (step === '| identity discovery') continue
      expect(testsNamedIn(`${fails} |`), step).not.toEqual([])
      expect(dies, step).toMatch(/lab: /)
    }
  })

  it('names points of the crash lab that it has', () => {
    const points = [...text.matchAll(/`([a-z]+\/[a-z]+)\/(die|stop)\/([\w.:]+)`/g)]
    expect(points.length).toBeGreaterThan(20)
    for (const [whole, start, , point = ''] of points) {
      const found = starts.find(({ name }) => name === start)
      expect(found, whole).toBeDefined()
      expect(faultPointNames, whole).toContain(point)
      expect(point.startsWith('secret.') && found?.secret !== true, whole).toBe(false)
      const first = found?.from === undefined ? 0 : faultPointNames.indexOf(found.from)
      expect(faultPointNames.indexOf(point), whole).toBeGreaterThanOrEqual(first)
    }
    const named = [
      ...text.matchAll(/`((?:unclear|deferred|reserved|staged|committed|displaced)\/\w+)`/g),
    ]
    for (const [, name] of named) expect(starts.map((start) => start.name)).toContain(name)
  })
})
