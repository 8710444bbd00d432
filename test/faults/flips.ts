import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { writeBetween } from '../crash/covenant/markers.js'
import { flipBits } from './flip-bits.js'
import { blastTable, endingTable, radiusOf } from './flip-tables.js'
import { loadProduct } from './product.js'
import { endings, type Trial } from './trial.js'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const { values: flags } = parseArgs({
  options: {
    count: { type: 'string', default: '2100' },
    seed: { type: 'string', default: '1' },
    jobs: { type: 'string', default: '240' },
    report: { type: 'string' },
    /** Only places whose name holds this text. */
    place: { type: 'string' },
    /** Runs the flip of this number alone. */
    flip: { type: 'string' },
    /** Puts the tables into docs/RELIABILITY.md. */
    'write-table': { type: 'boolean', default: false },
    /** The built product. */
    dist: { type: 'string', default: join(repository, 'dist') },
  },
})
const [count, seed, jobs] = [Number(flags.count), Number(flags.seed), Number(flags.jobs)]
const only = flags.flip === undefined ? undefined : Number(flags.flip)
const began = performance.now()
const say = (text: string): void => void process.stderr.write(`${text}\n`)
const again = (n: number): string => {
  const place = flags.place === undefined ? '' : ` --place '${flags.place}'`
  return `npm run test:faults -- --seed ${seed} --jobs ${jobs}${place} --flip ${n}`
}

function note(trial: Trial, n: number, done: number): void {
  if (trial.violations.length > 0) {
    const { place, offset, bit } = trial.bit
    say(`\nVIOLATION flip ${n}: bit ${bit} of byte ${offset} of ${place.file}, ${place.name}`)
    say(
      `${trial.violations.slice(0, only === undefined ? 4 : 20).join('\n')}\n  again: ${again(n)}\n`,
    )
  }
  if (done % 250 === 0) say(`${done} flips in ${Math.round((performance.now() - began) / 1000)} s`)
}

async function main(): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-flips-'))
  process.on('exit', () => rmSync(dir, { recursive: true, force: true }))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
  const product = await loadProduct(resolve(flags.dist))
  const place = flags.place
  const trials = await flipBits({ product, dir, jobs, count, seed, only, place, note })
  const bad = trials.filter(({ violations }) => violations.length > 0)
  if (only !== undefined) say(JSON.stringify({ ...trials[0], bit: shown(trials[0]) }, undefined, 2))
  const seconds = (performance.now() - began) / 1000
  process.stdout.write(`${endingTable(trials)}\n\n${blastTable(trials)}\n`)
  if (flags['write-table']) {
    const date = new Date().toISOString().slice(0, 10)
    const command = `npm run test:faults -- --count ${count} --seed ${seed} --jobs ${jobs}`
    const head = `\`${command}\`, ${date}, ${Math.round(seconds)} s.`
    const tables = [endingTable(trials), blastTable(trials)].join('\n\n')
    writeBetween(repository, 'flip-table', `\n${head}\n\n${tables}\n`)
  }
  if (flags.report !== undefined) {
    const failures = bad.map((trial) => ({ ...shown(trial), violations: trial.violations }))
    const summary = { passed: trials.length - bad.length, failed: bad.length, skipped: 0 }
    const report = {
      ...summary,
      points: trials.length,
      seconds,
      seed,
      jobs,
      ...figures(trials),
      failures,
    }
    writeFileSync(flags.report, `${JSON.stringify(report, undefined, 2)}\n`)
  }
  say(
    `flips: ${trials.length - bad.length} passed, ${bad.length} failed, 0 skipped in ${Math.round(seconds)} s`,
  )
  return bad.length === 0 ? 0 : 1
}

function shown(trial: Trial | undefined): object {
  if (trial === undefined) return {}
  const { place, offset, bit } = trial.bit
  return { place: place.name, file: place.file, offset, bit }
}

function figures(trials: readonly Trial[]): object {
  const byPlace: Record<string, Record<string, number>> = {}
  for (const trial of trials) {
    const counts = byPlace[trial.bit.place.name] ?? {}
    byPlace[trial.bit.place.name] = counts
    for (const key of [trial.ending, `closes ${radiusOf(trial)}`]) {
      counts[key] = (counts[key] ?? 0) + 1
    }
  }
  return { endings, byPlace }
}

process.exitCode = await main()
