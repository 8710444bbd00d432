import { cpSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Ran } from '../run.js'
import type { Lane, Prepared } from './lane.js'
import { decidingCall, enumerate } from './points.js'
import { eventsIn, runLife } from './run.js'
import { type Start, startOf } from './starts.js'

/** Makes the trees of these starts with one built product, and what they are based on. */
export async function prepare(
  lane: Lane,
  names: readonly string[],
  trees: string,
): Promise<ReadonlyMap<string, Prepared>> {
  const warm = await makeWarm(lane, join(trees, 'warm'))
  const made = new Map<string, Prepared>()
  for (const name of names) {
    made.set(name, await makeStart(lane, startOf(name), warm, join(trees, name.replace('/', '-'))))
  }
  return made
}

const serving: Start = startOf('serve')
const dying = { kind: 'died', point: '' } as const

/** A directory in which the jobs of other clients came to their end. */
async function makeWarm(lane: Lane, template: string): Promise<Prepared> {
  mkdirSync(template, { recursive: true })
  const empty = { start: serving, template, said: [], lives: 0 }
  lane.reset(template, [])
  await runToEnd(lane, empty, 'warming')
  cpSync(lane.root, template, { recursive: true })
  return { ...empty, lives: 1 }
}

async function makeStart(
  lane: Lane,
  start: Start,
  warm: Prepared,
  template: string,
): Promise<Prepared> {
  const { made } = start
  if (made.kind === 'warm') return { ...warm, start }
  mkdirSync(template, { recursive: true })
  if (made.kind === 'nothing') return { start, template, said: [], lives: 0 }
  if (made.kind === 'unsynced') return makeUnsynced(lane, start, warm, template)
  lane.reset(warm.template, [])
  const { point } = made.kind === 'died' ? made : dying
  const lines =
    made.kind === 'died' ? await runToDeath(lane, warm, point) : await runToEnd(lane, warm)
  made.harm?.(lane.dataDir)
  cpSync(lane.root, template, { recursive: true })
  const said = eventsIn(lines).filter(({ word }) => word !== 'AT')
  return { start, template, said, lives: warm.lives + 1 }
}

/** A life that is killed when its first commit of a job is written, but not on the disk. */
async function makeUnsynced(
  lane: Lane,
  start: Start,
  warm: Prepared,
  template: string,
): Promise<Prepared> {
  const left = { ...warm, start: serving }
  const inject = await killAtSync(lane, left)
  lane.reset(warm.template, [])
  const strace = ['-o', '/dev/null', '-e', 'trace=fsync', ...inject]
  const ran = await runLife(lane.config(left), strace)
  if (!diedAtSync(ran)) {
    const { lines } = ran
    throw new Error(`${start.name}: the process did not die as it should\n${lines.join('\n')}`)
  }
  cpSync(lane.root, template, { recursive: true })
  return { start, template, said: [], lives: warm.lives + 1, left }
}

const firstCommit = 'job.accept.beforeCommit'

/** Whether a life died where `killAtSync` wants it: it has told nobody that a job was taken. */
export function diedAtSync({ lines, signal, timedOut }: Ran): boolean {
  return signal === 'SIGKILL' && !timedOut && lines.at(-1) === `AT ${firstCommit}`
}

/** strace's arguments that kill a life at the sync of its first commit of a job. */
export async function killAtSync(lane: Lane, prepared: Prepared): Promise<readonly string[]> {
  lane.reset(prepared.template, prepared.said)
  const { calls } = await enumerate(lane.config(prepared), lane.root)
  const { when } = decidingCall(calls, 'fsync', firstCommit)
  return ['-e', `inject=fsync:signal=KILL:when=${when}`]
}

async function runToEnd(
  lane: Lane,
  prepared: Prepared,
  requests = 'requests',
): Promise<readonly string[]> {
  const config = lane.config({ ...prepared, start: serving }, { requests, engine: 'steady' })
  const { lines, status, stderr } = await runLife(config)
  const isGood = lines.at(-1) === 'DONE' && !lines.some((line) => /^(ERR|STUCK)/.test(line))
  if (!isGood)
    throw new Error(`a life without faults failed: ${status}\n${lines.join('\n')}\n${stderr}`)
  return lines
}

async function runToDeath(lane: Lane, warm: Prepared, point: string): Promise<readonly string[]> {
  const config = lane.config({ ...warm, start: serving }, { faults: [{ point, action: 'die' }] })
  const { lines, signal, stderr } = await runLife(config)
  if (signal === 'SIGKILL' && lines.includes(`AT ${point}`)) return lines
  throw new Error(`${point}: the process did not die there\n${lines.join('\n')}\n${stderr}`)
}
