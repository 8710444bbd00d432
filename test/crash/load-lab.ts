// The daemon is killed under load, again and again: npm run test:crash:load -- --rounds 200 --seed 1
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { lastOf, makeSite, type Site } from './load/daemon.js'
import { planRound, pollAll, runRound, type Sent } from './load/round.js'
import { compareWitnesses } from './load/witnesses.js'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    /** Totals and failures as JSON. */
    report: { type: 'string' },
    /** The built product, for trying the lab on another one. */
    dist: { type: 'string', default: join(repository, 'dist') },
  },
})
const seed = Number(flags.seed)
const rounds = Number(flags.rounds)
const began = performance.now()
const say = (text: string): void => void process.stderr.write(`${text}\n`)
const seconds = (): number => Math.round((performance.now() - began) / 1000)

type Failure = { readonly name: string; readonly violations: readonly string[] }

type Totals = {
  readonly passed: number
  readonly failed: number
  readonly skipped: 0
  readonly rounds: number
  readonly seed: number
  readonly seconds: number
  /** Accepts that clients were told of before the kill of their round. */
  readonly acknowledged: number
  /** Requests whose answer the kill cut off. */
  readonly unanswered: number
  /** Rounds in which the next start was killed too. */
  readonly killedOpenings: number
  readonly failures: readonly Failure[]
}

const failures: Failure[] = []

/** One step of the lab; what it throws is a violation like any other. */
async function judge(
  name: string,
  site: Site,
  work: () => Promise<readonly string[]>,
): Promise<void> {
  const violations = await work().catch((cause: unknown) => [String(cause), lastOf(site)])
  if (violations.length === 0) return
  failures.push({ name, violations: violations.slice(0, 20) })
  say(`\nVIOLATION ${name}\n${violations.slice(0, 20).join('\n')}\n`)
}

async function runAll(site: Site): Promise<Totals> {
  const sent: Sent[] = []
  let acknowledged = 0
  let killedOpenings = 0
  for (let number = 1; number <= rounds; number++) {
    const plan = planRound(seed, number)
    await judge(`round ${number}`, site, async () => {
      const round = await runRound(site, plan)
      // One by one: a round is too long for a call's arguments.
      for (const one of round.sent) sent.push(one)
      acknowledged += round.acknowledged
      if (plan.killOpeningMs !== undefined) killedOpenings += 1
      return round.violations
    })
    if (number % 10 === 0) say(`${number} rounds, ${acknowledged} acknowledged, ${seconds()} s`)
  }
  await judge('polls of every job', site, () => pollAll(site, sent))
  await judge('both witnesses', site, async () => compareWitnesses(site, sent))
  const steps = rounds + 2
  return {
    passed: steps - failures.length,
    failed: failures.length,
    skipped: 0,
    ...{ rounds, seed, seconds: seconds(), acknowledged },
    unanswered: sent.length - acknowledged,
    killedOpenings,
    failures,
  }
}

const folder = mkdtempSync(join(tmpdir(), 'holdfast-load-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
if (!(rounds >= 1 && Number.isSafeInteger(seed))) throw new RangeError('want --rounds and --seed')
const dataDir = join(folder, 'data')
mkdirSync(dataDir, { mode: 0o700 })
const totals = await runAll(await makeSite(folder, dataDir, resolve(flags.dist)))
const { passed, failed, acknowledged, unanswered, killedOpenings } = totals
if (flags.report) writeFileSync(flags.report, `${JSON.stringify(totals, undefined, 2)}\n`)
say(
  `load lab: ${rounds} kills and ${killedOpenings} of openings, ${acknowledged} acknowledged accepts, ${unanswered} cut off; ${passed} passed, ${failed} failed, 0 skipped in ${totals.seconds} s`,
)
process.exitCode = failed === 0 ? 0 : 1
