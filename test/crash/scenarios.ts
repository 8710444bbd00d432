import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Lane, type Outcome, type Prepared, secondOpener } from './lane.js'
import { finish, killGroup, runOp, saidIn, startOp, waitForLine, waitForStop } from './run.js'
import { opConfig } from './starts.js'

/** Two processes on one data directory. */
export const scenarios: {
  readonly [Name in 'holderKilled' | 'lockDeleted' | 'race']: (
    lane: Lane,
    prepared: Prepared,
  ) => Promise<Outcome>
} = { holderKilled, lockDeleted, race }

/** Where the holder is stopped: it has claimed the id and not yet promoted. */
const held = 'restore.provider'
/** Processes that start at the same moment. */
const racers = 4

const outcome = (
  name: string,
  state: Outcome['state'],
  violations: readonly string[],
  lines: readonly string[],
): Outcome => ({ name, step: name, kind: 'two processes', missed: false, state, violations, lines })

/** The second opener is refused at once; after `kill -9` of the holder the next one gets in by itself. */
async function holderKilled(lane: Lane, prepared: Prepared): Promise<Outcome> {
  lane.reset(prepared.template)
  const fault = { point: held, action: 'stop' }
  const holder = startOp(lane.dataDir, opConfig(prepared.start, lane.dist, { fault }), undefined)
  const ended = finish(holder)
  if (!(await waitForLine(holder, 'STOPPED')) || holder.pid === undefined) {
    return outcome('holderKilled', undefined, ['the holder never came so far'], [])
  }
  await waitForStop(holder.pid)
  const refused = await secondOpener(lane.dataDir, lane.dist)
  killGroup(holder)
  const ran = await ended
  const verdict = await lane.judge(prepared, ran)
  return outcome('holderKilled', verdict.state, [...refused, ...verdict.violations], ran.lines)
}

/** The lock file goes while a stopped process holds it: nobody else gets in, and the holder writes no more. */
async function lockDeleted(lane: Lane, prepared: Prepared): Promise<Outcome> {
  lane.reset(prepared.template)
  const fault = { point: held, action: 'stop' }
  const holder = startOp(lane.dataDir, opConfig(prepared.start, lane.dist, { fault }), undefined)
  const ended = finish(holder)
  if (!(await waitForLine(holder, 'STOPPED')) || holder.pid === undefined) {
    return outcome('lockDeleted', undefined, ['the holder never came so far'], [])
  }
  await waitForStop(holder.pid)
  rmSync(join(lane.dataDir, 'lock'))
  const second = saidIn((await runOp(lane.dataDir, opConfig(prepared.start, lane.dist))).lines)
  process.kill(holder.pid, 'SIGCONT')
  const ran = await ended
  const first = saidIn(ran.lines)
  const violations = [
    ...(second.acked ? ['a second writer got in beside the stopped holder'] : []),
    ...(second.error?.typed === true ? [] : [`the second opener: ${second.error?.shown}`]),
    ...(first.acked ? ['the holder wrote after its lock file was gone'] : []),
    ...(first.error?.shown.includes('DataDirLockLost')
      ? []
      : [`the holder was not told that its lock is lost: ${first.error?.shown}`]),
  ]
  const verdict = await lane.judge(prepared, ran)
  return outcome('lockDeleted', verdict.state, [...violations, ...verdict.violations], ran.lines)
}

/** Several processes register the same wallet at the same moment: one does, the others are refused. */
async function race(lane: Lane, prepared: Prepared): Promise<Outcome> {
  lane.reset(prepared.template)
  const config = opConfig(prepared.start, lane.dist)
  const all = await Promise.all(Array.from({ length: racers }, () => runOp(lane.dataDir, config)))
  const said = all.map(({ lines }) => saidIn(lines))
  const winners = said.filter(({ acked }) => acked)
  const refusals = new Set(['DataDirLocked', 'WalletAlreadyExists'])
  const violations = [
    ...(winners.length === 1 ? [] : [`${winners.length} of ${racers} registered the wallet`]),
    ...said
      .filter(({ error }) => error && !refusals.has(error.code ?? ''))
      .map(({ error }) => `a loser was told: ${error?.shown}`),
  ]
  const winner = all.find((_, at) => said[at]?.acked) ?? all[0]
  if (winner === undefined) return outcome('race', undefined, violations, [])
  const verdict = await lane.judge(prepared, winner)
  return outcome('race', verdict.state, [...violations, ...verdict.violations], winner.lines)
}
