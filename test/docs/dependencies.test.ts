import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const read = (name: string): string =>
  readFileSync(fileURLToPath(new URL(`../../${name}`, import.meta.url)), 'utf8')

type Manifest = {
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly overrides: Readonly<Record<string, string>>
  readonly scripts: Readonly<Record<string, string>>
}
const manifest = JSON.parse(read('package.json')) as Manifest
const page = read('docs/DEPENDENCIES.md')

/** Package and version of each entry in the first column of the tables of one part of the page. */
function listedUnder(heading: RegExp): readonly string[] {
  const part = page.split(/^## /m).find((text) => heading.test(text)) ?? ''
  const rows = part.split('\n').filter((line) => /^\| (?!package|-)/.test(line))
  return rows
    .flatMap((row) => (row.split(' | ')[0] ?? '').replace(/^\| /, '').split(', '))
    .map((entry) => entry.trim())
    .sort()
}

const entries = (packages: Readonly<Record<string, string>> = {}): readonly string[] =>
  Object.entries(packages).map(([name, version]) => `${name} ${version}`)

describe('docs/DEPENDENCIES.md', () => {
  it('lists exactly what the published package needs, with versions', () => {
    const { dependencies, optionalDependencies, peerDependencies } = manifest
    const needed = [dependencies, optionalDependencies, peerDependencies].flatMap(entries)
    expect(listedUnder(/^What the published package needs/)).toEqual([...new Set(needed)].sort())
  })

  it('lists exactly what development needs, with versions', () => {
    const needed = entries(manifest.devDependencies)
    expect(listedUnder(/^What only development needs/)).toEqual([...needed].sort())
  })

  it('lists exactly what the devnet runs, with versions', () => {
    const { devDependencies, optionalDependencies } = JSON.parse(
      read('devnet/package.json'),
    ) as Manifest
    const listed = listedUnder(/^What the devnet runs/).map((entry) => entry.replace(/ \(.*/, ''))
    const needed = [devDependencies, optionalDependencies].flatMap(entries)
    expect(listed).toEqual([...needed].sort())
  })

  it('pins every version, and says why for each override', () => {
    for (const entry of [...entries(manifest.dependencies), ...entries(manifest.devDependencies)]) {
      expect(entry).toMatch(/^\S+ \d+\.\d+\.\d+$/)
    }
    for (const [name, version] of Object.entries(manifest.overrides)) {
      expect(page).toContain(`\`${name}\` to ${version}, because `)
    }
  })
})

describe('the scripts named to a reader', () => {
  it.each(['README.md', 'CONTRIBUTING.md'])('in %s exist', (name) => {
    const text = read(name)
    const run = [...text.matchAll(/\bnpm run ([\w:-]+)/g)].map(([, script = '']) => script)
    expect(run.length).toBeGreaterThan(0)
    expect(run.filter((script) => !(script in manifest.scripts))).toEqual([])
    if (/\bnpm test\b/.test(text)) expect(manifest.scripts).toHaveProperty('test')
  })
})
