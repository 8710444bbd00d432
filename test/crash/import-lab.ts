// Stops `holdfast covenant import` at every system call on the data directory, imports again, and wants what one
// import that ran through gives: npm run test:crash:import -- [--share 0.1] [--fault KILL] [--seed 1] [--jobs 2] [--point NAME]
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { breakProduct } from './controls.js'
import { fractionOf } from './covenant/lane.js'
import { enumerateCalls, type Place, type Point, pointsOf, runImport } from './import/calls.js'
import {
  type Contents,
  contentsOf,
  halfViolations,
  makeSource,
  wholeViolations,
} from './import/world.js'
import { injection, wasHit } from './points.js'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const { values: flags } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    share: { type: 'string', default: '1' },
    jobs: { type: 'string', default: '2' },
    point: { type: 'string' },
    /** Only this fault: KILL, EIO, ENOSPC. */
    fault: { type: 'string' },
    /** Totals as JSON. */
    report: { type: 'string' },
    /** The built product, for trying the lab on another one. */
    dist: { type: 'string', default: join(repository, 'dist') },
  },
})
const say = (text: string): void => void process.stderr.write(`${text}\n`)
const began = performance.now()
const seconds = (): number => Math.round((performance.now() - began) / 1000)
/** Runs of one point until its fault meets its call. */
const triesMax = 4
/** Status of an import that set files aside. */
const setAsideStatus = 3

type Outcome = { readonly violations: readonly string[]; readonly missed: boolean }

/** A point with what is imported, and what one import of it gives. */
type Job = { readonly source: string; readonly whole: Contents; readonly point: Point }

function fresh({ root }: Place): void {
  rmSync(root, { recursive: true, force: true })
  mkdirSync(root, { recursive: true })
}

/** Runs one point, judges what it left, imports again and judges that. */
async function tryPoint(place: Place, point: Point, whole: Contents): Promise<Outcome> {
  const log = join(place.root, '..', 'fault.log')
  const dataDir = join(place.root, 'data')
  for (let tries = 1; tries <= triesMax; tries += 1) {
    fresh(place)
    const ran = await runImport(place, injection(point.call, point.fault, log))
    if (ran.timedOut) return { violations: ['the process hung'], missed: false }
    const { call, fault } = point
    if (!wasHit(readFileSync(log, 'utf8'), call, fault, place.root)) continue
    const violations = [...untyped(ran.signal, ran.lines)]
    violations.push(...halfViolations(await contentsOf(dataDir), whole))
    const again = await runImport(place)
    if (again.status !== setAsideStatus) {
      violations.push(`the import made again ended with ${again.status}\n${again.lines.join('\n')}`)
    }
    violations.push(...(await wholeViolations(dataDir, whole)))
    return { violations, missed: false }
  }
  return { violations: [], missed: true }
}

/** An import that was not killed says how it ended: with verdicts, or with one of our errors. */
function untyped(signal: string | null, lines: readonly string[]): readonly string[] {
  if (signal === 'SIGKILL') return []
  if (signal !== null) return [`the process died of ${signal}`]
  const said = lines.join('\n')
  return /"verdictsSha256"|"code"/.test(said) ? [] : [`the process ended without a word: ${said}`]
}

/** Products that are broken on purpose; a lab that does not notice them proves nothing. */
const controls = [
  {
    name: 'an import closes no key while it runs',
    patches: [
      {
        file: 'store/keep-core/import.js',
        find: 'await target.beginImport(importId, by);',
        replace: '',
      },
      {
        file: 'store/keep-core/import.js',
        find: 'await target.endImport(importId, { ...sizesOf(report), verdictsSha256 }, by);',
        replace: '',
      },
    ],
    shows: { kind: 'lockDeleted' as const },
  },
  {
    name: 'a file that was set aside is written nowhere',
    patches: [
      {
        file: 'store/sqlite/jobs-set-aside.js',
        find: "operate(core, { who: by.who, why: by.why }, { kind: 'set-aside', record: open }, () =>",
        replace: 'void by; (() =>',
      },
    ],
    shows: { kind: 'lockDeleted' as const },
  },
] as const

/** What the broken product leaves of an import that is killed in its middle is judged by the sound one. */
async function isCaught(place: Place, whole: Contents): Promise<boolean> {
  fresh(place)
  const { calls, ran } = await enumerateCalls(place)
  if (ran.status !== setAsideStatus && ran.status !== 0) return true
  if ((await wholeViolations(join(place.root, 'data'), whole)).length > 0) return true
  const syncs = pointsOf(calls).filter(({ fault, call }) => {
    return fault === 'KILL' && /^f(data)?sync$/.test(call.name)
  })
  // What is broken shows in the middle, when some jobs are there and others not.
  for (const point of syncs.slice(syncs.length / 2)) {
    const { violations } = await tryPoint(place, point, whole)
    if (violations.length > 0) return true
  }
  return false
}

async function main(): Promise<number> {
  const share = Number(flags.share)
  if (!(share > 0 && share <= 1)) throw new RangeError('--share: want a number above 0, at most 1')
  if (spawnSync('strace', ['-V']).status !== 0) {
    say('SKIPPED: the import lab needs strace and may not run without it (Debian package: strace)')
    return 0
  }
  // Paths in traces are compared as text, so no link may stand in them.
  const work = mkdtempSync(join(realpathSync(tmpdir()), 'holdfast-import-'))
  process.on('exit', () => rmSync(work, { recursive: true, force: true }))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
  const dist = resolve(flags.dist)
  const placeOf = (name: string, source: string, from = dist): Place => {
    const place = { root: join(work, name, 'root'), source, dist: from }
    fresh(place)
    return place
  }
  const all: Job[] = []
  for (const world of ['whole', 'torn'] as const) {
    const source = join(work, `keep-${world}`)
    makeSource(source, world)
    const first = placeOf('lane-0', source)
    const { calls, ran } = await enumerateCalls(first)
    const whole = await contentsOf(join(first.root, 'data'))
    if (ran.status !== setAsideStatus || whole === undefined || whole.jobs !== 3) {
      throw new Error(`the import without faults failed\n${ran.lines.join('\n')}\n${ran.stderr}`)
    }
    for (const point of pointsOf(calls)) {
      all.push({ source, whole, point: { ...point, name: `${world}/${point.name}` } })
    }
  }
  const chosen = all.filter(({ point: { name, isChanging, fault } }) => {
    if (flags.fault !== undefined && flags.fault !== fault) return false
    if (flags.point !== undefined) return name === flags.point
    return share === 1 || fractionOf(`${flags.seed} ${name}`) < (isChanging ? share : share / 5)
  })
  if (chosen.length === 0) throw new RangeError('--point: no such point')
  say(`${all.length} points, ${chosen.length} of them now`)
  let [failed, missed, done, caughtControls] = [0, 0, 0, 0]
  const pieces = chosen.values()
  const lanes = Array.from({ length: Number(flags.jobs) }, (_, at) => `lane-${at}`)
  await Promise.all(
    lanes.map(async (lane) => {
      for (const { source, whole, point } of pieces) {
        const outcome = await tryPoint(placeOf(lane, source), point, whole)
        done += 1
        if (outcome.missed) missed += 1
        if (outcome.missed) say(`missed: ${point.name}: the fault did not meet its call`)
        if (outcome.violations.length > 0) {
          failed += 1
          say(`\nVIOLATION ${point.name} ${point.call.where}\n${outcome.violations.join('\n')}`)
          say(`  again: npm run test:crash:import -- --point '${point.name}'\n`)
        }
        if (done % 20 === 0) say(`${done} of ${chosen.length} in ${seconds()} s`)
      }
    }),
  )
  for (const [at, control] of flags.point === undefined ? controls.entries() : []) {
    const broken = breakProduct(control, dist, join(work, `broken-${at}`))
    const [{ source, whole }] = all as [Job]
    const caught = await isCaught(placeOf(`control-${at}`, source, broken), whole)
    say(`control ${caught ? 'caught' : 'NOT CAUGHT'}: ${control.name}`)
    if (caught) caughtControls += 1
    else failed += 1
  }
  const wanted = flags.point === undefined ? controls.length : 0
  const passed = done + wanted - failed - missed
  if (flags.report !== undefined) {
    // A fault that never met its call proves nothing: it counts as failed.
    const totals = { passed, failed: failed + missed, skipped: 0, seconds: seconds() }
    writeFileSync(flags.report, JSON.stringify({ ...totals, points: done, caughtControls }))
  }
  say(`import crash lab: ${passed} passed, ${failed} failed, ${missed} missed in ${seconds()} s`)
  return failed === 0 ? 0 : 1
}

process.exitCode = await main()
