import { endings, type Trial } from './trial.js'

/** How many keys one flip may close, from none to all. */
export const radii = ['no key', '1 key', '2 to 20 keys', 'more keys', 'the whole store'] as const
export type Radius = (typeof radii)[number]

/** What a flip closed before any request came again. */
export function radiusOf({ ending, closedAtFirst }: Trial): Radius {
  if (ending === 'refused whole') return 'the whole store'
  if (closedAtFirst === 0) return 'no key'
  if (closedAtFirst === 1) return '1 key'
  return closedAtFirst <= 20 ? '2 to 20 keys' : 'more keys'
}

/** Flips by where the bit stood and what became of it, as Markdown. */
export function endingTable(trials: readonly Trial[]): string {
  return table(['place', 'flips', ...endings, 'violations'], trials, (here) => [
    here.length,
    ...endings.map((ending) => here.filter((trial) => trial.ending === ending).length),
    here.filter(({ violations }) => violations.length > 0).length,
  ])
}

/** How much each place can close, and the most keys that stayed closed when every request had come again. */
export function blastTable(trials: readonly Trial[]): string {
  return table(
    ['place', ...radii, 'most closed', 'most that stay closed', 'refusals'],
    trials,
    (here) => {
      const open = here.filter(({ ending }) => ending !== 'refused whole')
      const codes = new Set(here.map(({ code }) => code).filter((code) => code !== ''))
      return [
        ...radii.map((radius) => here.filter((trial) => radiusOf(trial) === radius).length),
        Math.max(0, ...open.map(({ closedAtFirst }) => closedAtFirst)),
        Math.max(0, ...open.map(({ closedAtLast }) => closedAtLast)),
        [...codes].sort().join(', '),
      ]
    },
  )
}

function table(
  header: readonly string[],
  trials: readonly Trial[],
  cells: (here: readonly Trial[]) => readonly (string | number)[],
): string {
  const names = [...new Set(trials.map(({ bit }) => bit.place.name))].sort()
  const rows = names.map((name) => [
    name,
    ...cells(trials.filter(({ bit }) => bit.place.name === name)),
  ])
  const all = ['all', ...cells(trials)]
  return [header, header.map((_, at) => (at === 0 ? '---' : '--:')), ...rows, all]
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n')
}
