import { mkdirSync, rmSync } from 'node:fs'
import { finish, killGroup, waitForLine } from '../run.js'
import type { Lane, Outcome, Prepared } from './lane.js'
import { eventsIn, runLife, saidOf, startLife } from './run.js'

/** Processes that open one directory at the same moment. */
const racers = 8

export const scenarios: {
  readonly [Name in 'race' | 'stale']: (lane: Lane, prepared: Prepared) => Promise<Outcome>
} = { race, stale }

const outcome = (
  name: string,
  kind: string,
  violations: readonly string[],
  lines: readonly string[],
): Outcome => ({ name, step: name, kind, missed: false, violations, lines })

/** One owner, seven are refused; when the owner is killed another one gets in by itself and ends the jobs. */
async function race(lane: Lane, prepared: Prepared): Promise<Outcome> {
  lane.reset(prepared.template, prepared.said)
  const config = lane.config(prepared, { op: 'hold' })
  const children = Array.from({ length: racers }, () => startLife(config))
  const ends = children.map((child) => finish(child))
  const holds = await Promise.all(children.map((child) => waitForLine(child, 'HELD')))
  const owners = children.filter((_, at) => holds[at])
  const violations = owners.length === 1 ? [] : [`${owners.length} of ${racers} own the directory`]
  for (const owner of owners) killGroup(owner)
  const all = await Promise.all(ends)
  const refusals = all.filter((_, at) => !holds[at])
  for (const { lines } of refusals) {
    const [error] = saidOf<{ code?: string; shown: string }>(eventsIn(lines), 'ERR')
    if (error?.code !== 'DataDirLocked') violations.push(`a loser was told: ${error?.shown}`)
  }
  const heir = await runLife(lane.config(prepared, { op: 'resume' }))
  if (heir.lines.at(-1) !== 'DONE') violations.push(`the heir ended so: ${heir.lines.join('\n')}`)
  violations.push(...(await lane.judge(prepared, 'race', heir)))
  return outcome('race', `${racers} processes`, violations, heir.lines)
}

/** Leases that ended, in one process and over a restart. */
async function stale(lane: Lane, prepared: Prepared): Promise<Outcome> {
  rmSync(lane.root, { recursive: true, force: true })
  mkdirSync(lane.root, { recursive: true })
  const violations = await lane.helper
    .stale(lane.config(prepared))
    .catch((error: Error) => [error.message])
  return outcome('stale', 'stale lease', violations, [])
}
