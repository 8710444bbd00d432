import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { schema } from '../src/config/schema.js'
import { loadConfig } from '../src/config.js'
import { lines, toml } from './config-sources.js'

const read = (name: string) => readFileSync(new URL(`../docs/${name}`, import.meta.url), 'utf8')
const sample = read('holdfast.toml')
const page = read('CONFIGURATION.md')

/** A key that stands somewhere, with the default that stands with it and the text that explains it. */
type Documented = { readonly key: string; readonly fallback: string; readonly text: string }

function keysOfSample(): readonly Documented[] {
  const found: Documented[] = []
  let section = ''
  let text = ''
  for (const line of sample.split('\n')) {
    const [, name] = /^\[(\w+)\]$/.exec(line) ?? []
    const [, key, fallback = ''] = /^# (\w+) =(?: (.*))?$/.exec(line) ?? []
    if (name !== undefined) section = `${name}.`
    if (key !== undefined) found.push({ key: `${section}${key}`, fallback, text })
    else text = /^# /.test(line) ? `${text}${line.slice(1)}` : line === '' ? '' : text
  }
  return found
}

function keysOfPage(): readonly Documented[] {
  const [, keys = ''] = /^## Keys\n(.*?)^## /ms.exec(page) ?? []
  return keys
    .split(/^### /m)
    .slice(1)
    .flatMap((part) => {
      const [title = ''] = part.split('\n', 1)
      const prefix = title === 'Top level' ? '' : `${title}.`
      return [...part.matchAll(/^\| `(\w+)` \| (.*?) \| (.*) \|$/gm)].map(
        ([, key = '', fallback = '', text = '']) => ({ key: `${prefix}${key}`, fallback, text }),
      )
    })
}

/** The default as TOML; what has none is empty text or nothing. */
function defaultOf(key: string): readonly string[] {
  const fallback = schema.get(key)?.fallback
  if (fallback === undefined) return ['""', '']
  return [typeof fallback === 'bigint' ? String(fallback) : JSON.stringify(fallback)]
}

/** Numbers that a range is made of. */
const rangeOf = (key: string) =>
  /from (\d+) to (\d+)$/.exec(schema.get(key)?.wanted ?? '')?.slice(1) ?? []

describe('docs/holdfast.toml', () => {
  const documented = keysOfSample()

  it('has every key of the schema once, in its order, and no other', () => {
    expect(documented.map(({ key }) => key)).toEqual([...schema.keys()])
  })

  it('explains each key, with its range, and has the default that holds', () => {
    for (const { key, fallback, text } of documented) {
      expect(text.length, key).toBeGreaterThan(10)
      for (const number of rangeOf(key)) expect(text, key).toContain(number)
      expect(defaultOf(key), key).toContain(fallback)
    }
  })

  it('means the defaults, as it is and with every comment sign before a key removed', () => {
    const open = sample.replace(/^# (\w+ = )/gm, '$1')
    expect(open).not.toBe(sample)
    const plain = { ...loadConfig({ env: {} }), file: '', origins: {} }
    expect({ ...loadConfig(toml(sample)), file: '', origins: {} }).toEqual(plain)
    expect(lines(toml(open))).toEqual([])
    expect({ ...loadConfig(toml(open)), file: '', origins: {} }).toEqual(plain)
  })
})

describe('docs/CONFIGURATION.md', () => {
  const documented = keysOfPage()

  it('has every key of the schema once, in its order, and no other', () => {
    expect(documented.map(({ key }) => key)).toEqual([...schema.keys()])
  })

  it('has the defaults and ranges that hold', () => {
    for (const { key, fallback, text } of documented) {
      for (const number of rangeOf(key)) expect(text, key).toContain(number)
      const written = /^`(.*)`$/.exec(fallback)?.[1]
      if (written === undefined) expect(schema.get(key)?.fallback, key).toBeUndefined()
      else expect(defaultOf(key), key).toContain(written)
    }
  })
})
