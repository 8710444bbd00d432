import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { breakProduct, type Control, controls } from './controls.js'
import { type CutImage, Lane, type Outcome, type Prepared } from './lane.js'
import { type AfterError, enumerate, type Point, pointsOf } from './points.js'
import { leftRunOf, makeLeft } from './prepare.js'
import {
  type ControlOutcome,
  countBy,
  summaryOf,
  type Totals,
  writeMatrix,
  writeReport,
} from './report.js'
import { saidIn } from './run.js'
import { picker } from './sample.js'
import { scenarios } from './scenarios.js'
import { opConfig, type Start, startOf, starts } from './starts.js'

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

/** Makes the starts of these names, and what they are based on, with one built product. */
async function prepare(
  lane: Lane,
  names: readonly string[],
  trees: string,
): Promise<Map<string, Prepared>> {
  const made = new Map<string, Prepared>()
  const template = (start: Start): string => join(trees, start.name.replace('/', '-'))
  const make = async (start: Start): Promise<Prepared> => {
    const known = made.get(start.name)
    if (known) return known
    let prepared: Prepared
    if (start.made === undefined) {
      await lane.helper.makeWhole(start, join(template(start), 'data'), lane.dist)
      lane.reset(template(start))
      const reference = await lane.helper.referenceOf(start, lane.dataDir, lane.dist)
      prepared = { start, template: template(start), reference, left: undefined }
    } else {
      const base = await make(startOf(start.base))
      lane.reset(base.template)
      const run = await leftRunOf(start, base.start, lane.root, lane.dist)
      lane.reset(base.template)
      await makeLeft(start, run, lane.root)
      cpSync(lane.root, template(start), { recursive: true })
      const left = { run, template: base.template }
      prepared = { start, template: template(start), reference: base.reference, left }
    }
    made.set(start.name, prepared)
    return prepared
  }
  mkdirSync(trees, { recursive: true })
  for (const name of names) await make(startOf(name))
  return made
}

/** Every point of one start, from one run without faults. */
async function enumerateStart(lane: Lane, prepared: Prepared): Promise<readonly Point[]> {
  lane.reset(prepared.template)
  const { calls, named, ran } = await enumerate(opConfig(prepared.start, lane.dist), lane.root)
  if (!saidIn(ran.lines).done || ran.status !== 0) {
    throw new Error(
      `${prepared.start.name}: the run without faults failed\n${ran.lines.join('\n')}\n${ran.stderr}`,
    )
  }
  return pointsOf(prepared.start, calls, named)
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

type Job = { readonly prepared: Prepared; readonly point: Point; readonly afterError: AfterError }

function jobsOf(prepared: Prepared, points: readonly Point[]): readonly Job[] {
  return points.flatMap((point) =>
    point.afterErrors.map((afterError) => ({ prepared, point, afterError })),
  )
}

async function runControl(control: Control, dir: string): Promise<ControlOutcome> {
  const { name, shows } = control
  const broken = breakProduct(control, dist, join(dir, 'product'))
  const lane = new Lane(join(dir, 'lane'), broken)
  try {
    const start = shows.kind === 'lockDeleted' ? 'warm/plain' : shows.start
    const prepared = (await prepare(lane, [start], join(dir, 'trees'))).get(start)
    if (prepared === undefined) throw new RangeError(start)
    for await (const outcome of controlRuns(lane, prepared, shows)) {
      if (outcome.violations.length > 0) return { name, caught: outcome.name }
    }
    return { name, caught: undefined }
  } finally {
    lane.helper.end()
  }
}

async function* controlRuns(
  lane: Lane,
  prepared: Prepared,
  shows: Control['shows'],
): AsyncGenerator<Outcome> {
  if (shows.kind === 'lockDeleted') {
    yield await scenarios.lockDeleted(lane, prepared)
    return
  }
  if (shows.kind === 'cuts') {
    for (const cut of await lane.cutImages(prepared)) yield await lane.cut(prepared, cut)
    return
  }
  const points = (await enumerateStart(lane, prepared)).filter(shows.picks)
  for (const job of jobsOf(prepared, points))
    yield await lane.point(prepared, job.point, job.afterError)
}

/** Runs one point again by the name that a violation was reported under, and prints everything. */
async function replay(lane: Lane, trees: string, wanted: string): Promise<void> {
  if (Object.hasOwn(scenarios, wanted)) {
    const prepared = (await prepare(lane, ['warm/plain'], trees)).get('warm/plain')
    const scenario = scenarios[wanted as keyof typeof scenarios]
    if (prepared) note(await scenario(lane, prepared))
  } else {
    const name = starts.find((start) => wanted.startsWith(`${start.name}/`))?.name ?? ''
    const prepared = (await prepare(lane, [name], trees)).get(name)
    if (prepared === undefined) throw new RangeError(`--point: no such start in ${wanted}`)
    if (wanted.includes('/CUT/')) {
      for (const cut of await lane.cutImages(prepared)) {
        if (cut.name === wanted) note(await lane.cut(prepared, cut))
      }
    } else {
      const [, mode] = /\+(\w+)\//.exec(wanted) ?? []
      const plain = wanted.replace(/\+\w+\//, '/')
      const jobs = jobsOf(prepared, await enumerateStart(lane, prepared))
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
  const prepared = await prepare(first, names, join(work, 'trees'))
  const pick = picker(seed, share)
  const all: Point[] = []
  const jobs: Job[] = []
  for (const name of names) {
    const start = prepared.get(name)
    if (start === undefined) continue
    const points = await enumerateStart(first, start)
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
  if (flags.only === undefined) {
    for (const [at, control] of controls.entries()) {
      const outcome = await runControl(control, join(work, `control-${at}`))
      caught.push(outcome)
      say(
        outcome.caught ? `control caught: ${outcome.name}` : `CONTROL NOT CAUGHT: ${outcome.name}`,
      )
    }
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

async function main(): Promise<number> {
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
