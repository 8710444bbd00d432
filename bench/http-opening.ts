import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { makeSubmit } from '../test/covenant/factory.js'
import { bytesOf, idIn, sendAll } from '../test/crash/load/clients.js'
import {
  connectTo,
  type Daemon,
  makeSite,
  type Site,
  startDaemon,
  stopDaemon,
} from '../test/crash/load/daemon.js'
import { requestBytes } from '../test/daemon/raw-http.js'
import { inFolder, madeJobs } from './covenant-child.js'
import { knownBody, makeBodies } from './covenant-jobs.js'
import { type Figure, median } from './measure.js'

const starts = 7
const dist = fileURLToPath(new URL('../dist', import.meta.url))
const place = '/v1/self_v1/signer/requests'
const number = (value: number): string => value.toLocaleString('en-US')

/** What one start of the daemon came to: milliseconds since the process was asked for, and bytes. */
type Start = {
  readonly pollMs: number
  readonly newKeyMs: number
  /** Processor time up to both answers, which tells a slow daemon from a busy machine. */
  readonly processorMs: number
  readonly rssBytes: number
}

/**
 * First answers of `holdfast start` on a store of jobs that wait for their next try, and on one in which each start meets one more damaged
 * record; both in turn.
 */
export function benchDaemonOpening(count: number): Promise<readonly Figure[]> {
  return inFolder(async (root) => {
    const { directory, knownId } = madeJobs(count, 'deferred')
    const damaged = join(root, 'damaged')
    cpSync(directory, damaged, { recursive: true })
    const good = await makeSite(root, directory, dist)
    const bad = { ...(await makeSite(damaged, damaged, dist)), log: join(root, 'damaged.log') }
    const pairs: { readonly good: Start; readonly bad: Start }[] = []
    let served = { known: 0, refused: 0 }
    for (let round = 0; round <= starts; round++) {
      damageOne(damaged, round)
      const one = await startOnce(good, knownId, `good ${round}`)
      // While the daemon runs nobody else can read the database.
      const others = round === 0 ? jobsBut(knownId, damaged) : []
      const two = await startOnce(bad, knownId, `bad ${round}`, async () => {
        if (round === 0) served = await pollEach(bad, others)
      })
      // The first start of each warms the cache.
      if (round > 0) pairs.push({ good: one, bad: two })
    }
    return figuresOf(count, pairs, served)
  })
}

function figuresOf(
  count: number,
  pairs: readonly { readonly good: Start; readonly bad: Start }[],
  served: { readonly known: number; readonly refused: number },
): readonly Figure[] {
  const seconds = (of: 'pollMs' | 'newKeyMs', side: 'good' | 'bad'): number =>
    median(pairs.map((pair) => pair[side][of])) / 1000
  const ratio = (of: 'pollMs' | 'newKeyMs'): number =>
    median(pairs.map(({ good, bad }) => bad[of] / good[of]))
  const processorS = median(pairs.map(({ good }) => good.processorMs)) / 1000
  const jobs = `HTTP, daemon with ${number(count)} jobs`
  const rss = Math.max(...pairs.map(({ good }) => good.rssBytes)) / 1e6
  const limit = (of: 'pollMs' | 'newKeyMs', value: number): readonly Figure[] => {
    const what = of === 'pollMs' ? 'first poll' : 'first new key'
    return [
      {
        what: `${jobs}: ${what} since its start`,
        value: seconds(of, 'good'),
        unit: 's',
        bound: { kind: 'at most', value },
        detail: `median of ${pairs.length} processes, processor time up to both ${processorS.toFixed(2)} s, most RSS then ${rss.toFixed(0)} MB`,
      },
      {
        what: `${jobs}: ${what}, with a bad record / without`,
        value: ratio(of),
        unit: 'x',
        bound: { kind: 'at most', value: 1.1 },
        detail: `${seconds(of, 'bad').toFixed(2)} s, ${pairs.length} pairs of processes in turn, each with one more damaged record`,
      },
    ]
  }
  return [
    ...limit('pollMs', 0.8),
    ...limit('newKeyMs', 1.6),
    {
      what: `${jobs}: served beside one bad record`,
      // With the one that was polled first.
      value: served.known + 1,
      unit: 'jobs',
      bound: { kind: 'at least', value: count - 1 },
      detail: `polled one by one; ${served.refused} refused`,
    },
  ]
}

/** Starts the daemon, asks at once for a known job and for a new one, and stops it. */
async function startOnce(
  site: Site,
  knownId: string,
  name: string,
  meanwhile: () => Promise<void> = () => Promise.resolve(),
): Promise<Start> {
  const poll = pollBytes(Buffer.from(knownBody()), knownId)
  const [body = new Uint8Array()] = makeBodies('self_v1', name.replace(' ', '_'), 0, 1)
  const submit = requestBytes({ path: place, body })
  const startedAt = performance.now()
  const daemon = startDaemon(site)
  try {
    const first = await connectTo(site, daemon)
    const asked = async (bytes: Buffer, connection: typeof first): Promise<number> => {
      connection.send(bytes)
      const answer = await connection.answer()
      const ms = performance.now() - startedAt
      connection.destroy()
      if (idIn(answer) === undefined) {
        throw new Error(`bench: the daemon answered ${answer?.status} ${answer?.body}`)
      }
      return ms
    }
    const second = await connectTo(site, daemon)
    const [pollMs, newKeyMs] = await Promise.all([asked(poll, first), asked(submit, second)])
    const used = { processorMs: processorMsOf(daemon), rssBytes: rssOf(daemon) }
    await meanwhile()
    await stopDaemon(site, daemon)
    return { pollMs, newKeyMs, ...used }
  } finally {
    daemon.child.kill('SIGKILL')
  }
}

/** A body is a submit's; its id comes before everything else. */
function pollBytes(body: Buffer, requestId: string): Buffer {
  const text = `{"requestId":"${requestId}",${body.subarray(1).toString()}`
  return requestBytes({ path: `${place}:poll`, body: text })
}

/** The kernel counts in hundredths of a second. */
function processorMsOf({ child }: Daemon): number {
  const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return 10 * (Number(fields[11]) + Number(fields[12]))
}

function rssOf({ child }: Daemon): number {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
  return 1024 * Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1])
}

/** Changes a job's row behind the store's back. */
function damageOne(directory: string, round: number): void {
  const db = new Database(join(directory, 'jobs.db'))
  const change = db.prepare(`update job set created_at = 'x' || created_at where seq = ?`)
  const { changes } = change.run(100 + 7 * round)
  db.close()
  if (changes !== 1) throw new Error('bench: there was no row to damage')
}

type Named = { readonly requestId: string; readonly routeRequestId: string }

/** The jobs that `fillStore` made. */
function jobsBut(knownId: string, directory: string): readonly Named[] {
  const db = new Database(join(directory, 'jobs.db'), { readonly: true })
  const query = 'select request_id as requestId, route_request_id as routeRequestId from job'
  const jobs = db.prepare<[], Named>(query).all()
  db.close()
  return jobs.filter(({ requestId }) => requestId !== knownId)
}

/** Polls each of these jobs, which all share one request. */
async function pollEach(
  site: Site,
  jobs: readonly Named[],
): Promise<{ readonly known: number; readonly refused: number }> {
  const shared = makeSubmit({ route: 'self_v1' })
  const count = { known: 0, refused: 0 }
  await sendAll(site.address, jobs, 50, {
    prepare: ({ requestId, routeRequestId }) => bytesOf({ ...shared, routeRequestId }, requestId),
    onAnswer: ({ requestId }, answer) => {
      if (idIn(answer) === requestId) count.known++
      else count.refused++
    },
  })
  return count
}
