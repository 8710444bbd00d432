import { type ChildProcess, fork, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Route } from '../src/covenant/request.js'
import { median } from './measure.js'

/** What a process that runs rounds is told; it answers with milliseconds. */
export type Order =
  /** Goes on with another, new store of that many jobs. */
  | { readonly kind: 'renew'; readonly count: number }
  | { readonly kind: 'prepareBodies'; readonly route: Route; readonly count: number }
  | { readonly kind: 'prepareJobs'; readonly count: number }
  /** The prepared bodies, from their decoding to the answer. */
  | { readonly kind: 'submit'; readonly inFlight: number }
  /** The prepared jobs, the store's `accept` alone. */
  | { readonly kind: 'accept'; readonly inFlight: number }
  /** Serves HTTP on a free port, which is the answer. */
  | { readonly kind: 'listen' }
  /** What the store put off, such as its checkpoint. */
  | { readonly kind: 'pay' }
  | { readonly kind: 'close' }

/** What an opening of a store came to, milliseconds since its beginning and bytes. */
export type Opened = {
  readonly openMs: number
  readonly dedupeMs: number
  readonly newKeyMs: number
  readonly heldBytes: number
  readonly peakBytes: number
  readonly syncMs: number
  readonly replayMs: number
}

const maker = fileURLToPath(new URL('make-jobs.ts', import.meta.url))
const runtime = ['--import', 'tsx']

/** A process with a job store of its own. */
export type Rounds = { readonly tell: (order: Order) => Promise<number> }

/** Starts one; a directory of '' is a store in memory. */
export async function startRounds(directory: string): Promise<Rounds> {
  const tell = await startTold<Order>('make-jobs.ts', ['rounds', directory])
  return { tell: (order) => tell(order).then(Number) }
}

/** Starts a process that answers orders, when it is ready for them; `close` is its last. */
export async function startTold<T extends { readonly kind: string }>(
  script: string,
  args: readonly string[],
): Promise<(order: T) => Promise<unknown>> {
  const file = fileURLToPath(new URL(script, import.meta.url))
  const child = fork(file, args, { execArgv: runtime })
  await answerOf(child)
  return async (order) => {
    const answer = answerOf(child)
    child.send(order)
    const answered = await answer
    if (order.kind === 'close') child.disconnect()
    return answered
  }
}

/** The other side of `startTold`: answers every order of the process that started this one. */
export function obeyOrders<T>(name: string, obey: (order: T) => Promise<unknown>): void {
  process.on('message', (order: T) => {
    obey(order).then(
      (answer) => process.send?.(answer),
      (cause: unknown) => {
        process.stderr.write(`${name}: ${JSON.stringify(order)}: ${String(cause)}\n`)
        process.exit(1)
      },
    )
  })
  // Also when that process is gone.
  process.once('disconnect', () => process.exit())
  process.send?.('ready')
}

function answerOf(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const fail = (code: unknown): void => reject(new Error(`bench: a process ended with ${code}`))
    child.once('exit', fail)
    child.once('message', (answer) => {
      child.off('exit', fail)
      resolve(answer)
    })
  })
}

/** Runs a mode of make-jobs.ts to its end; answers what it printed. */
export function runMaker(args: readonly string[], ...wrapper: readonly string[]): string {
  const command = [...wrapper, process.execPath, ...runtime, maker, ...args]
  const options = { encoding: 'utf8', maxBuffer: 1 << 28 } as const
  const run = spawnSync(command[0] ?? '', command.slice(1), options)
  if (run.status !== 0) throw new Error(`bench: ${args.join(' ')} failed: ${run.stderr}`)
  return run.stdout
}

/** A directory of jobs, and the id of the one among them that `knownBody` is the submit of. */
export type MadeJobs = { readonly directory: string; readonly knownId: string }

const made = new Map<string, MadeJobs>()

/** Makes a directory of that many jobs, once in a run however often it is asked for. */
export function madeJobs(count: number, state: 'waiting' | 'deferred' | 'ended'): MadeJobs {
  const name = `${count} ${state}`
  const before = made.get(name)
  if (before !== undefined) return before
  const root = mkdtempSync(join(tmpdir(), 'holdfast-bench-'))
  process.on('exit', () => rmSync(root, { recursive: true, force: true }))
  process.stderr.write(`bench: making ${count.toLocaleString('en-US')} jobs, ${state}\n`)
  const directory = join(root, 'data')
  const jobs = { directory, knownId: runMaker(['fill', directory, String(count), state]) }
  made.set(name, jobs)
  return jobs
}

/** Times of rounds that were run in turn, and how many times as fast `ours` was as `theirs` in a pair. */
export type Pairs = {
  readonly ratio: number
  readonly lowest: number
  readonly oursPerS: number
  readonly theirsPerS: number
  readonly rounds: number
}

/** Prepares and runs rounds in turn, each first every second time; the first pair warms up and is dropped. */
export async function runPairs(
  ours: Rounds,
  theirs: Rounds,
  work: {
    readonly count: number
    readonly prepare: Order
    /** Before `prepare`, on their side only. */
    readonly prepareTheirs?: Order
    readonly run: Order
  },
  rounds: number,
): Promise<Pairs> {
  const times: { readonly ours: number; readonly theirs: number }[] = []
  for (let round = 0; round <= rounds; round++) {
    if (work.prepareTheirs !== undefined) await theirs.tell(work.prepareTheirs)
    await Promise.all([ours.tell(work.prepare), theirs.tell(work.prepare)])
    const [first, second] = round % 2 === 0 ? [ours, theirs] : [theirs, ours]
    const [firstMs, secondMs] = [await first.tell(work.run), await second.tell(work.run)]
    if (round === 0) continue
    times.push(
      first === ours ? { ours: firstMs, theirs: secondMs } : { ours: secondMs, theirs: firstMs },
    )
  }
  const ratios = times.map((pair) => pair.theirs / pair.ours)
  const perS = (ms: number): number => (1000 * work.count) / ms
  return {
    ratio: median(ratios),
    lowest: Math.min(...ratios),
    oursPerS: perS(median(times.map((pair) => pair.ours))),
    theirsPerS: perS(median(times.map((pair) => pair.theirs))),
    rounds,
  }
}

/** A directory that is gone when the work has ended. */
export async function inFolder<T>(work: (root: string) => Promise<T>): Promise<T> {
  const root = mkdtempSync(join(tmpdir(), 'holdfast-bench-'))
  try {
    return await work(root)
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}
