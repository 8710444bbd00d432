/*
 * The crash lab: hurts one registration, and the recovery after it, at every system call, at every named point and with
 * every image a power cut could leave, and judges what is there after the next open. `npm run test:crash -- --help`.
 *
 * starts.ts     data directories that runs start from, and the fixed wallet
 * op.mjs        the process that is hurt          run.ts      starts it and reads what it printed
 * points.ts     every call and point of a run     images.ts   every image of a power cut
 * lane.ts       one working place: runs, judges   checker.ts  the rules (in worker.ts, a process of its own)
 * controls.ts   products broken on purpose        scenarios.ts two processes on one directory
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { breakProduct, type ControlOutcome, controls, runControl } from './controls.js'
import { type CutImage, Lane, type Outcome, type Prepared } from './lane.js'
import type { Point } from './points.js'
import { countBy, summaryOf, type Totals, writeMatrix, writeReport } from './report.js'
import { picker } from './sample.js'
import { scenarios } from './scenarios.js'
import { starts } from './starts.js'
import { findPoints, type Job, jobsOf, makeTemplates } from './templates.js'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const { values: flags } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    share: { type: 'string', default: '1' },
    point: { type: 'string' },
    jobs: { type: 'string', default: '2' },
    report: { type: 'string' },
    'write-matrix': { type: 'boolean', default: false },
    /** The built product, for trying the lab on another one. */
    dist: { type: 'string', default: join(repository, 'dist') },
    /** Only starts whose name begins so, and no controls. */
    only: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
const seed = Number(flags.seed)
const share = Number(flags.share)
const dist = resolve(flags.dist)
const began = performance.now()
const say = (text: string): void => void process.stderr.write(`${text}\n`)
const seconds = (): number => (performance.now() - began) / 1000

const outcomes: Outcome[] = []
const skipped: string[] = []
let lastSaidAt = 0

function note(outcome: Outcome): void {
  outcomes.push(outcome)
  if (outcome.missed) say(`missed: ${outcome.name}: the fault did not meet its call`)
  if (outcome.violations.length > 0) {
    say(`\nVIOLATION ${outcome.name}\n${outcome.violations.join('\n')}`)
    say(`  again: npm run test:crash -- --point '${outcome.name}'\n`)
  }
  if (seconds() - lastSaidAt > 20) {
    lastSaidAt = seconds()
    say(`${outcomes.length} runs in ${Math.round(lastSaidAt)} s, at ${outcome.name}`)
  }
}

/** Hands the work to all lanes, one piece at a time each. */
async function spread<T>(
  lanes: readonly Lane[],
  work: Iterable<T>,
  act: (lane: Lane, piece: T) => Promise<void>,
): Promise<void> {
  const pieces = work[Symbol.iterator]()
  await Promise.all(
    lanes.map(async (lane) => {
      for (let next = pieces.next(); !next.done; next = pieces.next()) await act(lane, next.value)
    }),
  )
}

/** Runs one point again by the name that a violation was reported under, and prints everything. */
async function replay(lane: Lane, trees: string, wanted: string): Promise<void> {
  if (Object.hasOwn(scenarios, wanted)) {
    const prepared = (await makeTemplates(lane, ['warm/plain'], trees)).get('warm/plain')
    const scenario = scenarios[wanted as keyof typeof scenarios]
    if (prepared) note(await scenario(lane, prepared))
  } else {
    const name = starts.find((start) => wanted.startsWith(`${start.name}/`))?.name ?? ''
    const prepared = (await makeTemplates(lane, [name], trees)).get(name)
    if (prepared === undefined) throw new RangeError(`--point: no such start in ${wanted}`)
    if (wanted.includes('/CUT/')) {
      for (const cut of await lane.cutImages(prepared)) {
        if (cut.name === wanted) note(await lane.cut(prepared, cut))
      }
    } else {
      const [, mode] = /\+(\w+)\//.exec(wanted) ?? []
      const plain = wanted.replace(/\+\w+\//, '/')
      const jobs = jobsOf(prepared, await findPoints(lane, prepared))
      for (const { point, afterError } of jobs) {
        if (point.name !== plain || (mode !== undefined && mode !== afterError)) continue
        say(JSON.stringify(point.kind === 'call' ? point.call : point.point))
        note(await lane.point(prepared, point, afterError))
      }
    }
  }
  if (outcomes.length === 0) throw new RangeError(`--point: no such point, ${wanted}`)
  for (const { lines, state, missed } of outcomes) {
    say(
      [...lines, `state ${state}${missed ? ', missed' : ''}`].join('\n').replaceAll('\\n', '\n  '),
    )
  }
}

/** Everything; answers the figures for the report. */
async function runAll(lanes: readonly Lane[], work: string): Promise<Totals> {
  const [first] = lanes
  if (first === undefined) throw new RangeError('--jobs: want at least 1')
  const names = starts.map(({ name }) => name).filter((name) => name.startsWith(flags.only ?? ''))
  // A control whose text is gone must be known at once, not after all the rest.
  const toCatch = flags.only === undefined ? controls : []
  const broken = toCatch.map((control, at) =>
    breakProduct(control, dist, join(work, `broken-${at}`)),
  )
  const prepared = await makeTemplates(first, names, join(work, 'trees'))
  const pick = picker(seed, share)
  const all: Point[] = []
  const jobs: Job[] = []
  const found = new Map<Prepared, readonly Point[]>()
  await spread(lanes, prepared.values(), async (lane, start) => {
    found.set(start, await findPoints(lane, start))
  })
  // In the order of the starts, whichever lane was faster: a seed must pick the same points every time.
  for (const start of prepared.values()) {
    const points = found.get(start) ?? []
    all.push(...points)
    jobs.push(...jobsOf(start, points).filter((job) => pick.job(job.point, job.afterError)))
  }
  const taken = new Set(jobs.map(({ point }) => point.name)).size
  say(`${all.length} points in ${names.length} starts, ${taken} of them now in ${jobs.length} runs`)
  await spread(lanes, jobs, async (lane, { prepared, point, afterError }) =>
    note(await lane.point(prepared, point, afterError)),
  )
  const missed = new Set(outcomes.filter((outcome) => outcome.missed).map(({ name }) => name)).size
  const runs = outcomes.length
  for (const name of names) {
    const start = prepared.get(name)
    if (start === undefined) continue
    const images = function* (cuts: Iterable<CutImage>): Generator<CutImage> {
      for (const cut of cuts) if (pick.image(cut.name)) yield cut
    }
    await spread(lanes, images(await first.cutImages(start)), async (lane, cut) =>
      note(await lane.cut(start, cut)),
    )
  }
  const images = outcomes.length - runs
  const warm = prepared.get('warm/plain')
  for (const scenario of Object.values(scenarios)) if (warm) note(await scenario(first, warm))
  const caught: ControlOutcome[] = []
  for (const [at, control] of toCatch.entries()) {
    const outcome = await runControl(
      control,
      broken[at] ?? '',
      prepared,
      join(work, `control-${at}`),
    )
    caught.push(outcome)
    say(outcome.caught ? `control caught: ${outcome.name}` : `CONTROL NOT CAUGHT: ${outcome.name}`)
  }
  const command = `npm run test:crash -- --seed ${seed}${share < 1 ? ` --share ${share}` : ''}`
  return {
    seed,
    share,
    command,
    seconds: seconds(),
    pointsThereAre: countBy(all, (point) => (point.kind === 'named' ? point.action : point.fault)),
    points: taken - missed,
    runs,
    images,
    outcomes,
    controls: caught,
    skipped,
  }
}

const help = `npm run test:crash -- [flags]
  --seed N         which points a share takes (1)
  --share 0.1      how much of everything, above 0 and at most 1 (1)
  --point NAME     one point again, with everything it printed
  --jobs N         runs at a time (2)
  --only PREFIX    only starts whose name begins so, without the broken products
  --report FILE    totals and failures as JSON
  --write-matrix   put the table into docs/RELIABILITY.md
  --dist DIR       another build of the product`

async function main(): Promise<number> {
  if (flags.help) {
    say(help)
    return 0
  }
  if (spawnSync('strace', ['-V']).status !== 0) {
    say('SKIPPED: the crash lab needs strace and may not run without it (Debian package: strace)')
    if (flags.report) writeReport(flags.report, { ...nothing, skipped: ['strace is missing'] })
    say('0 passed, 0 failed, 1 skipped')
    return 0
  }
  // Paths in traces are compared as text, so no link may stand in them.
  const work = mkdtempSync(join(realpathSync(tmpdir()), 'holdfast-crash-'))
  process.on('exit', () => rmSync(work, { recursive: true, force: true }))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
  const count = flags.point === undefined ? Number(flags.jobs) : 1
  const lanes = Array.from({ length: count }, (_, at) => new Lane(join(work, `lane-${at}`), dist))
  try {
    if (flags.point !== undefined) {
      await replay(lanes[0] ?? new Lane(join(work, 'lane'), dist), join(work, 'trees'), flags.point)
      return outcomes.some(({ violations }) => violations.length > 0) ? 1 : 0
    }
    const totals = await runAll(lanes, work)
    const { passed, failed, skipped } = summaryOf(totals)
    say(`points there are, by kind: ${JSON.stringify(totals.pointsThereAre)}`)
    say(
      `points tried: ${totals.points}, runs: ${totals.runs}, distinct power-cut images: ${totals.images}`,
    )
    say(`runs by kind: ${JSON.stringify(countBy(outcomes, ({ kind }) => kind))}`)
    say(`states: ${JSON.stringify(countBy(outcomes, ({ state }) => state ?? 'missed'))}`)
    if (flags.report) writeReport(flags.report, totals)
    if (flags['write-matrix']) {
      writeMatrix(repository, totals, new Date().toISOString().slice(0, 10))
    }
    say(
      `crash lab: ${passed} passed, ${failed} failed, ${skipped} skipped in ${Math.round(totals.seconds)} s`,
    )
    return failed === 0 ? 0 : 1
  } finally {
    for (const lane of lanes) lane.helper.end()
  }
}

const nothing: Totals = {
  seed,
  share,
  command: '',
  seconds: 0,
  pointsThereAre: {},
  points: 0,
  runs: 0,
  images: 0,
  outcomes: [],
  controls: [],
  skipped: [],
}

process.exitCode = await main()
