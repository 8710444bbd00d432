import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../src/', import.meta.url))
const sources = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => ({ name, text: readFileSync(join(root, name), 'utf8') }))

const importing = (pattern: RegExp): readonly string[] =>
  sources.filter(({ text }) => pattern.test(text)).map(({ name }) => name)

describe('the sources', () => {
  it('load the Ethereum library when it is first used, never with a module', () => {
    expect(importing(/import\('viem'\)/)).not.toEqual([])
    const loaded = sources.flatMap(({ name, text }) =>
      [...text.matchAll(/^(?:import|export)\b( type\b)?[\s\S]*?from '([^']+)'/gm)]
        .filter(([, type, from]) => type === undefined && /^viem(?:\/|$)/.test(from ?? ''))
        .map(() => name),
    )
    expect(loaded).toEqual([])
  })

  it('do not know the packages that only the devnet runs', () => {
    expect(sources.length).toBeGreaterThan(100)
    expect(importing(/['"](?:@keep-network|@foundry-rs|bcoin|bitcore-lib|@mempool)[/'"]/)).toEqual(
      [],
    )
  })
})
