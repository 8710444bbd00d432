import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { countBy } from '../report.js'
import type { Outcome } from './lane.js'
import { writeBetween } from './markers.js'

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

export type ControlOutcome = { readonly name: string; readonly caught: string | undefined }

/** What the CI script reads. */
export function summaryOf({ outcomes, controls, skipped }: Totals): {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
} {
  const tried = outcomes.filter(({ missed }) => !missed)
  const bad = tried.filter(({ violations }) => violations.length > 0)
  const uncaught = controls.filter(({ caught }) => caught === undefined)
  return {
    passed: tried.length - bad.length + controls.length - uncaught.length,
    failed: bad.length + uncaught.length,
    skipped: skipped.length + outcomes.length - tried.length,
  }
}

export function writeReport(file: string, totals: Totals): void {
  const { outcomes, skipped, ...figures } = totals
  const failures = outcomes.filter(({ violations }) => violations.length > 0)
  const report = {
    ...summaryOf(totals),
    ...figures,
    byKind: countBy(outcomes, ({ kind }) => kind),
    skippedWhat: skipped,
    failures: failures.map(({ name, violations }) => ({ name, violations })),
  }
  writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`)
}

/** Puts the matrix of a run into docs/RELIABILITY.md. */
export function writeMatrix(repository: string, totals: Totals, date: string): void {
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: repository })
  writeBetween(repository, 'covenant-matrix', matrix(totals, date, String(commit).trim()))
}

const kinds = ['KILL', 'EIO', 'ENOSPC', 'DEAD', 'FULL', 'die', 'fail', 'power cut'] as const
const stages: readonly (readonly [string, RegExp])[] = [
  ['start-up and replay', /^(open$|reconcile)/],
  ['accept', /^job\.accept/],
  ['claim, prepare', /^(opened|run\.prepare)/],
  ['intend', /^(job|run)\.intend/],
  ['sign, verify', /^run\.(sign|verify)/],
  ['settle', /^(job|run)\.settle/],
  ['defer', /^(job|run)\.defer/],
  ['close', /^close/],
]

function matrix(totals: Totals, date: string, commit: string): string {
  const { passed, failed, skipped } = summaryOf(totals)
  const header = ['stage', ...kinds, 'violations']
  return [
    '',
    `\`${totals.command}\`, ${date}, commit ${commit}, seed ${totals.seed}, ${Math.round(totals.seconds)} s.`,
    '',
    `${totals.points} distinct points in ${totals.runs} runs, and ${totals.images} distinct images of power cuts:`,
    `${passed} passed, ${failed} failed, ${skipped} skipped.`,
    '',
    'Each number counts runs, by the stage that the process had reached. KILL, EIO and ENOSPC meet one system call. DEAD: from',
    'that call on whatever changes the disk fails with EIO; FULL: from there on every write fails with ENOSPC. die and fail meet',
    'one named point. After each, a later life ends every job without a client, and the signer has one sighash for each outpoint.',
    '',
    `| ${header.join(' | ')} |`,
    `|${header.map((_, at) => (at === 0 ? '---|' : '--:|')).join('')}`,
    ...rowsOf(totals.outcomes).map((row) => `| ${row.join(' | ')} |`),
    '',
    '| broken on purpose | caught by |',
    '|---|---|',
    ...totals.controls.map(({ name, caught }) => `| ${name} | ${caught ?? '**not caught**'} |`),
    '',
  ].join('\n')
}

function rowsOf(outcomes: readonly Outcome[]): readonly (readonly (string | number)[])[] {
  const tried = outcomes.filter(({ missed }) => !missed)
  return stages.map(([stage, steps]) => {
    const here = tried.filter(({ step }) => steps.test(step))
    const bad = here.filter(({ violations }) => violations.length > 0).length
    return [stage, ...kinds.map((one) => here.filter(({ kind }) => kind === one).length), bad]
  })
}
