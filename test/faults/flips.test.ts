import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { replayLedger } from '../../src/store/ledger-replay.js'
import { openSqliteJobStore } from '../../src/store/sqlite/jobs-open.js'
import { sampleIntent, sampleJob } from '../../src/testing/sample-job.js'
import { flipBits } from './flip-bits.js'
import { type Place, placesOf } from './places.js'
import type { Product } from './product.js'
import { makeSeed, stages } from './seed-store.js'
import { measureUsual, type Trial, tryBit } from './trial.js'

const product: Product = { openSqliteJobStore, replayLedger, sampleIntent, sampleJob }
const directories: string[] = []

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
})

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-flips-'))
  directories.push(directory)
  return directory
}

const countOf = (trials: readonly Trial[], ending: Trial['ending']): number =>
  trials.filter((trial) => trial.ending === ending).length

describe('one flipped bit', () => {
  it('can be made in every table, every index, the log and the ledger', async () => {
    const seed = await makeSeed(product, join(temporaryDirectory(), 'seed'), 60)
    const names = placesOf(seed).map(({ name }) => name)
    for (const table of ['job', 'request', 'intent', 'result', 'meta', 'operate']) {
      expect(names).toContain(`table ${table}`)
    }
    expect(names.filter((name) => name.startsWith('index '))).toHaveLength(4)
    expect(names).toEqual(expect.arrayContaining(['log header', 'log pages', 'ledger']))
  })

  it('makes no second job, no second sighash, and hides no job', async () => {
    // Two in every place; the long run, a program of its own, has more.
    const run = { product, dir: temporaryDirectory(), jobs: 36, count: 34, seed: 2026 }
    const trials = await flipBits(run)
    expect(trials.filter(({ violations }) => violations.length > 0)).toEqual([])
    expect(trials).toHaveLength(34)
    // The bits met something: a run in which every store shrugs would prove nothing.
    expect(countOf(trials, 'healed')).toBeGreaterThan(1)
    expect(countOf(trials, 'repaired')).toBeGreaterThan(1)
    expect(countOf(trials, 'fenced') + countOf(trials, 'refused whole')).toBeLessThan(20)
  }, 60_000)

  it('in the index on outpoints lets no two jobs have one outpoint that they want at the same time', async () => {
    const run = { product, dir: temporaryDirectory(), jobs: 240, count: 806, seed: 7, only: 805 }
    const trials = await flipBits(run)
    expect(trials.map(({ bit, violations }) => [bit.place.name, violations])).toEqual([
      ['index intent (outpoint)', []],
    ])
  }, 60_000)

  it('closes no key when it stands in an index or in the ledger', async () => {
    for (const place of ['index', 'ledger']) {
      const run = {
        product,
        dir: temporaryDirectory(),
        jobs: stages.length * 4,
        count: 10,
        seed: 7,
      }
      const trials = await flipBits({ ...run, place })
      expect(trials.map(({ closedAtFirst }) => closedAtFirst)).toEqual(Array(10).fill(0))
      expect(trials.flatMap(({ violations }) => violations)).toEqual([])
    }
  }, 60_000)

  it('stops the whole store, with a name, only when it stands in the schema or an inner page', async () => {
    const run = {
      product,
      dir: temporaryDirectory(),
      jobs: 36,
      count: 12,
      seed: 3,
      place: 'schema',
    }
    const trials = await flipBits(run)
    const refused = trials.filter(({ ending }) => ending === 'refused whole')
    expect(refused.length).toBeGreaterThan(0)
    for (const { code } of refused) {
      expect(code).toMatch(/^(IntegrityCheckFailed|NotAJobDb|MigrationChanged|StoreFailed)$/)
    }
    // What is not refused as a whole closes nothing.
    const open = trials.filter((trial) => !refused.includes(trial))
    expect(open.filter(({ closedAtFirst }) => closedAtFirst > 0)).toEqual([])
    expect(trials.flatMap(({ violations }) => violations)).toEqual([])
  }, 60_000)

  it('that stops a whole table closes its keys and still makes no second job', async () => {
    const dir = temporaryDirectory()
    const seed = await makeSeed(product, join(dir, 'seed'), 60)
    const { settled } = await measureUsual(product, seed, join(dir, 'usual'))
    const place = placesOf(seed).find(({ name }) => name === 'inner pages of tables')
    const trials: Trial[] = []
    for (const { offset } of place?.stretches ?? []) {
      // The first byte of a page says what it is: with another bit there nothing below it can be read.
      const bit = { place: place as Place, offset, bit: 3 }
      trials.push(await tryBit(settled, bit, join(dir, 'trial')))
    }
    expect(trials.length).toBeGreaterThan(1)
    expect(trials.flatMap(({ violations }) => violations)).toEqual([])
    // The jobs' own table takes every key with it; what the requests' table holds is needed for answers alone.
    expect(trials.map(({ closedAtFirst }) => closedAtFirst)).toContain(60)
    expect(trials.filter(({ ending }) => ending === 'refused whole').length).toBeGreaterThan(0)
  }, 60_000)
})
