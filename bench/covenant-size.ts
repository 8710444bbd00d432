import { join } from 'node:path'
import {
  inFolder,
  madeJobs,
  type Opened,
  type Order,
  type Pairs,
  runMaker,
  runPairs,
  startRounds,
} from './covenant-child.js'
import { type Figure, median } from './measure.js'

const smallJobs = 1000
/** Jobs of the stores whose opening is timed. */
export const openedJobs = 100_000
const openings = 5
const number = (value: number): string => value.toLocaleString('en-US')

/** Accepts on a store of many jobs beside one of a thousand, each in its own process. */
export function benchSize(jobs: number): Promise<readonly Figure[]> {
  return inFolder(async (root) => {
    const large = await startRounds(madeJobs(jobs, 'waiting').directory)
    const small = await startRounds(join(root, 'small'))
    const renew = { kind: 'renew', count: smallJobs } as const
    const pairs = (count: number, prepare: Order, run: Order): Promise<Pairs> =>
      runPairs(large, small, { count, prepareTheirs: renew, prepare, run }, 9)
    const whole = await pairs(
      500,
      { kind: 'prepareBodies', route: 'self_v1', count: 500 },
      { kind: 'submit', inFlight: 100 },
    )
    const alone = await pairs(
      2000,
      { kind: 'prepareJobs', count: 2000 },
      { kind: 'accept', inFlight: 100 },
    )
    await large.tell({ kind: 'close' })
    await small.tell({ kind: 'close' })
    const rates = ({ oursPerS, theirsPerS }: Pairs): string =>
      `${oursPerS.toFixed(0)} against ${theirsPerS.toFixed(0)} a second`
    return [
      {
        what: `self_v1 accepts with ${number(jobs)} jobs / with ${number(smallJobs)}`,
        value: whole.ratio,
        unit: 'x',
        bound: { kind: 'at least', value: 0.75 },
        detail: `${rates(whole)} from their bytes, ${whole.rounds} rounds in turn with their checkpoint, lowest ${whole.lowest.toFixed(2)}; the store's accept alone ${alone.ratio.toFixed(2)} x, ${rates(alone)}`,
      },
    ]
  })
}

/** First answers of fresh processes on a store of jobs that wait, and of as many that have ended. */
export function benchOpening(count: number): readonly Figure[] {
  return [...benchOpened(count, 'waiting'), ...benchOpened(count, 'ended')]
}

function benchOpened(count: number, state: 'waiting' | 'ended'): readonly Figure[] {
  const { directory, knownId } = madeJobs(count, state)
  const opened = Array.from(
    { length: openings },
    (_, at): Opened => JSON.parse(runMaker(['open', directory, knownId, String(at)])),
  )
  const middle = (name: keyof Opened): number => median(opened.map((one) => one[name]))
  const [syncMs, replayS] = [middle('syncMs').toFixed(3), (middle('replayMs') / 1000).toFixed(2)]
  const jobs = `${number(count)} jobs, ${state}`
  const limits = `median of ${openings} fresh processes; machine: a sync ${syncMs} ms, reading and hashing it all ${replayS} s`
  return [
    {
      what: `${jobs}: first dedupe answer after opening`,
      value: middle('dedupeMs') / 1000,
      unit: 's',
      bound: { kind: 'at most', value: 0.5 },
      detail: `open itself ${middle('openMs').toFixed(0)} ms, ${limits}`,
    },
    {
      what: `${jobs}: first new key after opening`,
      value: middle('newKeyMs') / 1000,
      unit: 's',
      bound: { kind: 'at most', value: 1.3 },
      detail: limits,
    },
    {
      what: `${jobs}: memory of the process after replay`,
      value: Math.max(...opened.map(({ heldBytes }) => heldBytes)) / 1e6,
      unit: 'MB',
      bound: { kind: 'at most', value: 250 },
      detail: `largest RSS of ${openings}, peak ${(Math.max(...opened.map(({ peakBytes }) => peakBytes)) / 1e6).toFixed(0)} MB`,
    },
  ]
}
