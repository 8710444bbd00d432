import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { flipBits } from '../faults/flip-bits.js'
import { loadProduct } from '../faults/product.js'
import { breakProduct, type Control, controls } from './covenant/controls.js'
import { cutImages, cutRuns } from './covenant/cuts.js'
import { type CutImage, fractionOf, Lane, type Outcome, type Prepared } from './covenant/lane.js'
import { type AfterError, enumerate, type Point, pointsOf } from './covenant/points.js'
import { prepare } from './covenant/prepare.js'
import {
  type ControlOutcome,
  summaryOf,
  type Totals,
  writeMatrix,
  writeReport,
} from './covenant/report.js'
import { scenarios } from './covenant/scenarios.js'
import { starts } from './covenant/starts.js'
import { countBy } from './report.js'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const { values: flags } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    share: { type: 'string', default: '1' },
    /** Share of the images of power cuts; by default a quarter of `share`, and all with all points. */
    images: { type: 'string' },
    point: { type: 'string' },
    jobs: { type: 'string', default: '2' },
    report: { type: 'string' },
    'write-matrix': { type: 'boolean', default: false },
    /** The built product, for trying the lab on another one. */
    dist: { type: 'string', default: join(repository, 'dist') },
    /** Only starts and power-cut runs whose name begins so, and no controls. */
    only: { type: 'string' },
    /** Only some of `parts`, with commas between them. */
    part: { type: 'string' },
  },
})
const seed = Number(flags.seed)
const share = Number(flags.share)
const dist = resolve(flags.dist)
const began = performance.now()
const say = (text: string): void => void process.stderr.write(`${text}\n`)
const seconds = (): number => (performance.now() - began) / 1000
const parts = ['points', 'cuts', 'races', 'controls'] as const
const wantedParts: readonly string[] = (flags.part ?? parts.join()).split(',')
const isPart = (part: (typeof parts)[number]): boolean => wantedParts.includes(part)
const isWanted = ({ name }: { readonly name: string }): boolean => name.startsWith(flags.only ?? '')
/** There are far more images than points. */
const imageShare = Number(flags.images ?? (share === 1 ? 1 : share / 4))
const isImageChosen = (name: string): boolean =>
  imageShare === 1 || fractionOf(`${seed} ${name}`) < imageShare

const outcomes: Outcome[] = []
let lastSaidAt = 0

function note(outcome: Outcome): void {
  outcomes.push(outcome)
  if (outcome.missed) say(`missed: ${outcome.name}: the fault did not meet its call`)
  if (outcome.violations.length > 0) {
    say(`\nVIOLATION ${outcome.name} (${outcome.step})\n${outcome.violations.join('\n')}`)
    say(`  again: npm run test:crash:covenant -- --point '${outcome.name}'\n`)
  }
  if (seconds() - lastSaidAt > 20) {
    lastSaidAt = seconds()
    say(`${outcomes.length} runs in ${Math.round(lastSaidAt)} s, at ${outcome.name}`)
  }
}

/** Every point of one start, from one life without faults. */
async function enumerateStart(lane: Lane, prepared: Prepared): Promise<readonly Point[]> {
  lane.reset(prepared.template, prepared.said)
  const found = await enumerate(lane.config(prepared), lane.root)
  const { lines, stderr } = found.ran
  if (lines.at(-1) !== 'DONE') {
    throw new Error(
      `${prepared.start.name}: the life without faults failed\n${lines.join('\n')}\n${stderr}`,
    )
  }
  return pointsOf(prepared.start, found)
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

/** A seeded share of everything, and a death at every named point of one whole life. */
function isTaken({ point, afterError }: Job): boolean {
  const isLandmark =
    point.start.name === 'serve' && point.kind === 'named' && point.action === 'die'
  if (isLandmark || share === 1) return true
  // Most calls only look; what they leave behind is what the call before left.
  const weight = point.kind === 'named' || point.isChanging ? 1 : 1 / 5
  return fractionOf(`${seed} ${point.name} ${afterError}`) < share * weight
}

/** The starts are those of the sound product: only what runs from them is broken. */
async function runControl(
  { name, shows, violates }: Control,
  broken: string,
  starts: ReadonlyMap<string, Prepared>,
  dir: string,
): Promise<ControlOutcome> {
  const lane = new Lane(dir, broken)
  try {
    for await (const outcome of controlRuns(lane, shows, starts)) {
      const first = outcome.violations.find((violation) => violates.test(violation))
      if (first === undefined) continue
      say(`control caught: ${name}, by ${outcome.name}\n  ${first}`)
      return { name, caught: outcome.name }
    }
    return { name, caught: undefined }
  } finally {
    lane.helper.end()
  }
}

async function* controlRuns(
  lane: Lane,
  shows: Control['shows'],
  starts: ReadonlyMap<string, Prepared>,
): AsyncGenerator<{ readonly name: string; readonly violations: readonly string[] }> {
  const at = (name: string): Prepared => preparedOf(starts, name)
  switch (shows.kind) {
    case 'stale':
      yield await scenarios.stale(lane, at('serve'))
      return
    case 'flips': {
      const product = await loadProduct(lane.dist)
      const flips = { product, dir: lane.dir, jobs: 60, count: 30, seed, place: shows.place }
      for (const [n, { bit, violations }] of (await flipBits(flips)).entries()) {
        yield { name: `flip ${n} in ${bit.place.name}`, violations }
      }
      return
    }
    case 'cuts': {
      const run = cutRuns.find(({ name }) => name === shows.run)
      if (run === undefined) throw new RangeError(`control: no power-cut run ${shows.run}`)
      for (const cut of await cutImages(lane, at(run.start), run)) {
        if (shows.picks(cut)) yield await lane.image(at(run.start), cut)
      }
      return
    }
    case 'points': {
      const prepared = at(shows.start)
      const points = (await enumerateStart(lane, prepared)).filter(shows.picks)
      for (const { point, afterError } of jobsOf(prepared, points)) {
        yield await lane.point(prepared, point, afterError)
      }
    }
  }
}

function preparedOf(starts: ReadonlyMap<string, Prepared>, name: string): Prepared {
  const prepared = starts.get(name)
  if (prepared === undefined) throw new RangeError(`start: ${name} was not made`)
  return prepared
}

/** Runs one point again by the name that a violation was reported under, and prints everything. */
async function replay(lane: Lane, trees: string, wanted: string): Promise<void> {
  if (Object.hasOwn(scenarios, wanted)) {
    const made = await prepare(lane, ['resume/accepted'], trees)
    const scenario = scenarios[wanted as keyof typeof scenarios]
    note(await scenario(lane, preparedOf(made, 'resume/accepted')))
  } else if (wanted.includes('/CUT/')) {
    const run = cutRuns.find(({ name }) => wanted.startsWith(`${name}/CUT/`))
    if (run === undefined) throw new RangeError(`--point: no such run in ${wanted}`)
    const prepared = preparedOf(await prepare(lane, [run.start], trees), run.start)
    for (const cut of await cutImages(lane, prepared, run)) {
      if (cut.name === wanted) note(await lane.image(prepared, cut))
    }
  } else {
    const { name } = starts.find((start) => wanted.startsWith(`${start.name}/`)) ?? { name: '' }
    const prepared = preparedOf(await prepare(lane, [name], trees), name)
    const [, mode] = /\+(\w+)\//.exec(wanted) ?? []
    const plain = wanted.replace(/\+\w+\//, '/')
    for (const { point, afterError } of jobsOf(prepared, await enumerateStart(lane, prepared))) {
      if (point.name !== plain || (mode !== undefined && mode !== afterError)) continue
      say(JSON.stringify(point.kind === 'call' ? point.call : point.point))
      note(await lane.point(prepared, point, afterError))
    }
  }
  if (outcomes.length === 0) throw new RangeError(`--point: no such point, ${wanted}`)
  for (const { lines, missed } of outcomes) say([...lines, missed ? 'missed' : ''].join('\n'))
}

/** Points of every start: enumerated, chosen and run. */
async function runPoints(
  lanes: readonly Lane[],
  prepared: ReadonlyMap<string, Prepared>,
): Promise<Pick<Totals, 'pointsThereAre' | 'points' | 'runs'>> {
  const found = new Map<Prepared, readonly Point[]>()
  await spread(
    lanes,
    [...prepared.values()].filter(({ start }) => isWanted(start)),
    async (lane, start) => {
      found.set(start, await enumerateStart(lane, start))
    },
  )
  // In the order of the starts, whichever lane was faster: a seed must pick the same points every time.
  const all = [...prepared.values()].flatMap((start) => found.get(start) ?? [])
  const jobs = [...prepared.values()].flatMap((start) => jobsOf(start, found.get(start) ?? []))
  const chosen = jobs.filter(isTaken)
  const taken = new Set(chosen.map(({ point }) => point.name)).size
  say(`${all.length} points in ${found.size} starts, ${taken} of them now in ${chosen.length} runs`)
  await spread(lanes, chosen, async (lane, { prepared, point, afterError }) =>
    note(await lane.point(prepared, point, afterError)),
  )
  const missed = new Set(outcomes.filter((one) => one.missed).map(({ name }) => name)).size
  const pointsThereAre = countBy(all, (one) => (one.kind === 'named' ? one.action : one.fault))
  return { pointsThereAre, points: taken - missed, runs: chosen.length }
}

async function runCuts(
  lanes: readonly Lane[],
  prepared: ReadonlyMap<string, Prepared>,
): Promise<void> {
  const [first] = lanes
  if (first === undefined) return
  for (const run of cutRuns.filter(isWanted)) {
    const start = preparedOf(prepared, run.start)
    const images = await cutImages(first, start, run)
    const chosen = function* (): Generator<CutImage> {
      for (const cut of images) if (isImageChosen(cut.name)) yield cut
    }
    await spread(lanes, chosen(), async (lane, cut) => note(await lane.image(start, cut)))
  }
}

/** Everything; answers the figures for the report. */
async function runAll(lanes: readonly Lane[], work: string): Promise<Totals> {
  const [first] = lanes
  if (first === undefined) throw new RangeError('--jobs: want at least 1')
  // A control whose text is gone must be known at once, not after all the rest.
  const toCatch = flags.only === undefined && isPart('controls') ? controls : []
  const broken = toCatch.map((control, at) =>
    breakProduct(control, dist, join(work, `broken-${at}`)),
  )
  const trees = join(work, 'trees')
  const names = starts.map(({ name }) => name)
  const prepared = await prepare(first, names, trees)
  const figures = isPart('points') ? await runPoints(lanes, prepared) : nothing
  const runs = outcomes.length
  if (isPart('cuts')) await runCuts(lanes, prepared)
  const images = outcomes.length - runs
  if (isPart('races')) {
    const start = preparedOf(prepared, 'resume/accepted')
    for (const scenario of Object.values(scenarios)) note(await scenario(first, start))
  }
  const caught: ControlOutcome[] = []
  for (const [at, control] of toCatch.entries()) {
    const dir = join(work, `control-${at}`)
    mkdirSync(dir, { recursive: true })
    const outcome = await runControl(control, broken[at] ?? '', prepared, dir)
    caught.push(outcome)
    if (outcome.caught === undefined) say(`CONTROL NOT CAUGHT: ${outcome.name}`)
  }
  const shown = (['share', 'images', 'part'] as const)
    .filter((name) => flags[name] !== undefined && flags[name] !== '1')
    .map((name) => ` --${name} ${flags[name]}`)
  const command = `npm run test:crash:covenant -- --seed ${seed}${shown.join('')}`
  return { ...nothing, ...figures, command, seconds: seconds(), images, outcomes, controls: caught }
}

async function main(): Promise<number> {
  if (!(share > 0 && share <= 1)) throw new RangeError('--share: want a number above 0, at most 1')
  const odd = wantedParts.find((part) => !(parts as readonly string[]).includes(part))
  if (odd !== undefined) throw new RangeError(`--part: ${odd} is none of ${parts.join()}`)
  if (spawnSync('strace', ['-V']).status !== 0) {
    say('SKIPPED: the crash lab needs strace and may not run without it (Debian package: strace)')
    if (flags.report) writeReport(flags.report, { ...nothing, skipped: ['strace is missing'] })
    say('0 passed, 0 failed, 1 skipped')
    return 0
  }
  // Paths in traces are compared as text, so no link may stand in them.
  const work = mkdtempSync(join(realpathSync(tmpdir()), 'holdfast-covenant-'))
  process.on('exit', () => rmSync(work, { recursive: true, force: true }))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
  const count = flags.point === undefined ? Number(flags.jobs) : 1
  const lanes = Array.from({ length: count }, (_, at) => new Lane(join(work, `lane-${at}`), dist))
  try {
    const [first] = lanes
    if (flags.point !== undefined && first !== undefined) {
      await replay(first, join(work, 'trees'), flags.point)
      return outcomes.some(({ violations }) => violations.length > 0) ? 1 : 0
    }
    const totals = await runAll(lanes, work)
    const { passed, failed, skipped } = summaryOf(totals)
    say(`points there are, by kind: ${JSON.stringify(totals.pointsThereAre)}`)
    say(
      `points tried: ${totals.points}, runs: ${totals.runs}, distinct power-cut images: ${totals.images}`,
    )
    say(`runs by kind: ${JSON.stringify(countBy(outcomes, ({ kind }) => kind))}`)
    if (flags.report) writeReport(flags.report, totals)
    if (flags['write-matrix']) {
      writeMatrix(repository, totals, new Date().toISOString().slice(0, 10))
    }
    const took = Math.round(totals.seconds)
    say(`covenant crash lab: ${passed} passed, ${failed} failed, ${skipped} skipped in ${took} s`)
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
