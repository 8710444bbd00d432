import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ControlOutcome } from './controls.js'
import type { Outcome } from './lane.js'

/** Everything a run of the lab came to. */
export type Totals = {
  readonly seed: number
  readonly share: number
  readonly command: string
  readonly seconds: number
  /** Distinct points there are, by kind of fault, whether this run took them or not. */
  readonly pointsThereAre: Readonly<Record<string, number>>
  /** Distinct points this run took; every one of them met its call. */
  readonly points: number
  readonly runs: number
  readonly images: number
  readonly outcomes: readonly Outcome[]
  readonly controls: readonly ControlOutcome[]
  readonly skipped: readonly string[]
}

/** What the CI script reads. */
export function summaryOf(totals: Totals): {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
} {
  const tried = totals.outcomes.filter(({ missed }) => !missed)
  const bad = tried.filter(({ violations }) => violations.length > 0)
  const uncaught = totals.controls.filter(({ caught }) => caught === undefined)
  return {
    passed: tried.length - bad.length + totals.controls.length - uncaught.length,
    failed: bad.length + uncaught.length,
    skipped: totals.skipped.length + totals.outcomes.length - tried.length,
  }
}

export function writeReport(file: string, totals: Totals): void {
  const { seed, share, points, runs, images, seconds, pointsThereAre, controls, skipped } = totals
  const byKind = countBy(totals.outcomes, ({ kind }) => kind)
  const failures = totals.outcomes.filter(({ violations }) => violations.length > 0)
  const report = {
    ...summaryOf(totals),
    points,
    runs,
    images,
    seconds,
    seed,
    share,
    pointsThereAre,
    byKind,
    controls,
    skippedWhat: skipped,
    failures: failures.map(({ name, violations }) => ({ name, violations })),
  }
  writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`)
}

const begin = '<!-- crash-matrix:begin -->'
const end = '<!-- crash-matrix:end -->'

/** Puts the matrix between its two markers in docs/RELIABILITY.md, and makes the file when there is none. */
export function writeMatrix(repository: string, totals: Totals, date: string): void {
  const file = join(repository, 'docs', 'RELIABILITY.md')
  const old = existsSync(file) ? readFileSync(file, 'utf8') : `# Reliability\n\n${begin}\n${end}\n`
  const from = old.indexOf(begin)
  const to = old.indexOf(end)
  if (from === -1 || to < from) throw new Error('docs/RELIABILITY.md: its two markers are missing')
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: repository })
  const text = matrix(totals, date, String(commit).trim())
  writeFileSync(file, `${old.slice(0, from)}${begin}\n${text}\n${old.slice(to)}`)
}

const kinds = ['KILL', 'EIO', 'ENOSPC', 'DEAD', 'FULL', 'die', 'fail', 'stop', 'power cut'] as const
const stepOrder =
  'open recover reserve secret.stage restore discard promote publish secret.finalise close'.split(
    ' ',
  )

function matrix(totals: Totals, date: string, commit: string): string {
  const { passed, failed, skipped } = summaryOf(totals)
  const rows = steps(totals.outcomes)
  const header = ['step', ...kinds, 'ended ZERO', 'ended ALL', 'violations']
  return [
    '',
    `\`${totals.command}\`, ${date}, commit ${commit}, seed ${totals.seed}, ${Math.round(totals.seconds)} s.`,
    '',
    `${totals.points} distinct points in ${totals.runs} runs, and ${totals.images} distinct images of power cuts:`,
    `${passed} passed, ${failed} failed, ${skipped} skipped.`,
    '',
    'Each number counts runs. A step is the named point the process had passed last; `open` is everything before the',
    'registration. KILL, EIO and ENOSPC meet one system call. DEAD: from that call on whatever changes the disk fails with',
    'EIO; FULL: from there on every write fails with ENOSPC. die, fail and stop meet one named point.',
    '',
    `| ${header.join(' | ')} |`,
    `|${header.map((_, at) => (at === 0 ? '---|' : '--:|')).join('')}`,
    ...rows.map((row) => `| ${row.join(' | ')} |`),
    '',
    '| broken on purpose | caught by |',
    '|---|---|',
    ...totals.controls.map(({ name, caught }) => `| ${name} | ${caught ?? '**not caught**'} |`),
    '',
  ].join('\n')
}

function steps(outcomes: readonly Outcome[]): readonly (readonly (string | number)[])[] {
  const stepOf = ({ step }: Outcome): string =>
    step.replace(/\.(before|after|step:\d+)$/, '').replace(/:\d+$/, '')
  const kindOf = ({ kind }: Outcome): string =>
    /^(transient|constraint|fatal)$/.test(kind) ? 'fail' : kind
  const rank = (step: string): number => {
    const at = stepOrder.findIndex((prefix) => step.startsWith(prefix))
    return at === -1 ? stepOrder.length : at
  }
  const tried = outcomes.filter(({ missed }) => !missed)
  const names = [...new Set(tried.map(stepOf))].sort((a, b) => rank(a) - rank(b))
  return names.map((name) => {
    const here = tried.filter((outcome) => stepOf(outcome) === name)
    const count = (test: (outcome: Outcome) => boolean): number => here.filter(test).length
    return [
      name,
      ...kinds.map((kind) => count((outcome) => kindOf(outcome) === kind)),
      count(({ state }) => state === 'ZERO'),
      count(({ state }) => state === 'ALL'),
      count(({ violations }) => violations.length > 0),
    ]
  })
}

export function countBy<T>(items: readonly T[], key: (item: T) => string): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const item of items) counts[key(item)] = (counts[key(item)] ?? 0) + 1
  return counts
}
