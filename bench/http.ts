import { join } from 'node:path'
import {
  inFolder,
  madeJobs,
  type Pairs,
  type Rounds,
  runPairs,
  startRounds,
  startTold,
} from './covenant-child.js'
import { openedJobs } from './covenant-size.js'
import { benchDaemonOpening } from './http-opening.js'
import type { ClientOrder } from './make-requests.js'
import type { Figure } from './measure.js'

const smallJobs = 1000
const number = (value: number): string => value.toLocaleString('en-US')

/** Everything issue "keep-core's clients are served byte for byte" asks to be measured. */
export async function* benchHttp(options: { readonly jobsMax: number }): AsyncGenerator<Figure> {
  yield await durableAgainstMemory()
  yield await largeAgainstSmall(options.jobsMax)
  yield* await benchDaemonOpening(Math.min(options.jobsMax, openedJobs))
}

/** Accepts over HTTP on SQLite beside the same on the memory store, the runner paused. */
function durableAgainstMemory(): Promise<Figure> {
  return inFolder(async (root) => {
    const ours = await overHttp(join(root, 'data'))
    const memory = await overHttp('')
    const pairs = await comparePosts(ours, memory, 2000)
    await close(ours, memory)
    return {
      what: 'HTTP: durable accepts / the same in memory',
      value: pairs.ratio,
      unit: 'x',
      bound: { kind: 'at least', value: 0.7 },
      detail: describe(pairs),
    }
  })
}

/** Accepts over HTTP on a store of many jobs beside one of a thousand. */
function largeAgainstSmall(jobs: number): Promise<Figure> {
  return inFolder(async (root) => {
    const large = await overHttp(madeJobs(jobs, 'waiting').directory)
    const small = await overHttp(join(root, 'small'))
    const pairs = await comparePosts(large, small, 500, smallJobs)
    await close(large, small)
    return {
      what: `HTTP: accepts with ${number(jobs)} jobs / with ${number(smallJobs)}`,
      value: pairs.ratio,
      unit: 'x',
      bound: { kind: 'at least', value: 0.8 },
      detail: describe(pairs),
    }
  })
}

/** A store behind a listener in one process, and its clients in another. */
async function overHttp(directory: string): Promise<Rounds> {
  const server = await startRounds(directory)
  const port = await server.tell({ kind: 'listen' })
  const tellClient = await startTold<ClientOrder>('make-requests.ts', [])
  const client = (order: ClientOrder): Promise<number> => tellClient(order).then(Number)
  return {
    async tell(order) {
      if (order.kind === 'prepareBodies') return client({ kind: 'prepare', count: order.count })
      if (order.kind === 'close') await client({ kind: 'close' })
      if (order.kind !== 'submit') return server.tell(order)
      const postedMs = await client({ kind: 'post', port, inFlight: order.inFlight })
      return postedMs + (await server.tell({ kind: 'pay' }))
    },
  }
}

/** @param renewed jobs of the new store that `theirs` gets before each round; left out, it keeps its own */
function comparePosts(
  ours: Rounds,
  theirs: Rounds,
  count: number,
  renewed?: number,
): Promise<Pairs> {
  const work = {
    count,
    prepare: { kind: 'prepareBodies', route: 'self_v1', count },
    run: { kind: 'submit', inFlight: 100 },
    ...(renewed && { prepareTheirs: { kind: 'renew', count: renewed } as const }),
  } as const
  return runPairs(ours, theirs, work, 15)
}

async function close(...servers: readonly Rounds[]): Promise<void> {
  for (const server of servers) await server.tell({ kind: 'close' })
}

function describe({ oursPerS, theirsPerS, rounds, lowest }: Pairs): string {
  const rates = `${oursPerS.toFixed(0)} against ${theirsPerS.toFixed(0)} a second`
  return `${rates}, self_v1 on 100 kept connections, ${rounds} rounds in turn with their checkpoint, lowest ${lowest.toFixed(2)}`
}
