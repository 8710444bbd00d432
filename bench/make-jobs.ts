// A process with one job store, told what to do by the covenant bench: make-jobs.ts rounds|syncs|fill|open ...
import { createHash } from 'node:crypto'
import { closeSync, fdatasyncSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { JobIdentity } from '../src/covenant/job.js'
import type { Route } from '../src/covenant/request.js'
import type { CovenantService } from '../src/covenant/service.js'
import type { JobStore } from '../src/covenant/store.js'
import {
  listSegments,
  memoryJobStore,
  openCompatibleListener,
  openSqliteJobStore,
} from './covenant-built.js'
import { type Opened, type Order, obeyOrders } from './covenant-child.js'
import {
  deferJobs,
  endJobs,
  fillStore,
  inLanes,
  knownBody,
  makeBodies,
  makeIdentities,
  openService,
  payableLater,
  submitBody,
} from './covenant-jobs.js'
import { median, timeMs } from './measure.js'

const [mode, directory = '', ...rest] = process.argv.slice(2)
switch (mode) {
  case 'rounds':
    await serveRounds()
    break
  case 'syncs':
    await runBetweenMarks()
    break
  case 'fill':
    await fill()
    break
  case 'open':
    await openAndAsk()
    break
  default:
    throw new RangeError(`make-jobs: no mode ${mode}`)
}

/** Runs timed rounds of accepts on order; a directory of '' is a store in memory. */
async function serveRounds(): Promise<void> {
  const { later, pay } = payableLater()
  let store = await openStore(later)
  let service = openService(store, 'accepting')
  let stores = 1
  let bodies: readonly Uint8Array[] = []
  let jobs: readonly JobIdentity[] = []
  let made = 0
  const obey = async (order: Order): Promise<number> => {
    switch (order.kind) {
      case 'renew':
        await service.stop()
        await store.close()
        store = await openStore(later, String(stores++))
        service = openService(store, 'accepting')
        await fillStore(store, 0, order.count)
        pay()
        return 0
      case 'prepareBodies':
        bodies = makeBodies(order.route, 'round', made, order.count)
        made += order.count
        return 0
      case 'prepareJobs':
        jobs = makeIdentities('round', made, order.count)
        made += order.count
        return 0
      case 'submit':
        return timeMs(async () => {
          await inLanes(bodies, order.inFlight, (body) => submitBody(service, body))
          pay()
        })
      case 'accept':
        return timeMs(async () => {
          await inLanes(jobs, order.inFlight, (job) => store.accept(job))
          pay()
        })
      case 'listen':
        return openListener(() => service)
      case 'pay':
        return timeMs(pay)
      case 'close':
        await service.stop()
        await store.close()
        return 0
    }
  }
  obeyOrders('make-jobs', obey)
}

/** The listener that clients talk to, for whichever service there is; it ends with the process. */
async function openListener(current: () => CovenantService): Promise<number> {
  const plenty = { capacity: 1_000_000, refillMs: 1 }
  const { address } = await openCompatibleListener({
    service: {
      submit: (input, route, signal) => current().submit(input, route, signal),
      poll: (input, route, signal) => current().poll(input, route, signal),
    },
    settings: {
      ...{ port: 0, listenAddress: '127.0.0.1', authToken: '', adminAuthToken: '' },
      enableSelfV1: true,
      buckets: { submit: plenty, poll: plenty },
    },
    clock: { nowMs: Date.now },
  })
  return address.port
}

async function openStore(
  later: ReturnType<typeof payableLater>['later'],
  below = '',
): Promise<JobStore> {
  if (directory === '') return memoryJobStore()
  const own = join(directory, below)
  mkdirSync(own, { recursive: true, mode: 0o700 })
  const store = await openSqliteJobStore(own, { later })
  await store.ready(new AbortController().signal)
  return store
}

/** syncs DIR COUNT IN_FLIGHT accepting|running: submits between two marks in the trace. */
async function runBetweenMarks(): Promise<void> {
  const [count, inFlight, how] = [Number(rest[0]), Number(rest[1]), rest[2]]
  if (how !== 'accepting' && how !== 'running') throw new RangeError(`make-jobs: no way ${how}`)
  const bodies = makeBodies('self_v1', 'traced', 0, count)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const store = await openSqliteJobStore(directory)
  const service = openService(store, how)
  await store.ready(new AbortController().signal)
  // Straight to the descriptor, so that the trace shows it in its place.
  writeSync(1, 'BEGIN\n')
  await inLanes(bodies, inFlight, (body) => submitBody(service, body))
  writeSync(1, 'END\n')
  await service.stop()
  const ended = await store.list({ state: 'ARTIFACT_READY', limit: count })
  if (how === 'running' && ended.length !== count) {
    throw new RangeError(`make-jobs: ${ended.length} jobs of ${count} came to their end`)
  }
  await store.close()
}

/** fill DIR COUNT waiting|deferred|ended: makes a store of that many jobs; prints the id of the job of `knownBody`. */
async function fill(): Promise<void> {
  const [count, state] = [Number(rest[0]), rest[1]]
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const store = await openSqliteJobStore(directory)
  const service = openService(store, 'accepting')
  const half = Math.floor(count / 2)
  await fillStore(store, 0, half)
  const requestId = await submitBody(service, knownBody())
  await fillStore(store, half + 1, count)
  if (state === 'deferred') await deferJobs(store)
  if (state === 'ended') await endJobs(store)
  await service.stop()
  await store.close()
  process.stdout.write(requestId)
}

/** open DIR ID NUMBER: opens a store and asks at once for a job that is there and for a new one. */
async function openAndAsk(): Promise<void> {
  const [known, number] = [rest[0], Number(rest[1])]
  const [fresh = new Uint8Array()] = makeBodies('self_v1' satisfies Route, 'fresh', number, 1)
  const again = knownBody()
  const startedAt = performance.now()
  const store = await openSqliteJobStore(directory)
  const service = openService(store, 'accepting')
  const since = (): number => performance.now() - startedAt
  const openMs = since()
  const asked = submitBody(service, again).then((id) => ({ id, ms: since() }))
  const accepted = submitBody(service, fresh).then(since)
  const [answer, newKeyMs] = [await asked, await accepted]
  if (answer.id !== known) throw new RangeError('make-jobs: the known request got another id')
  await store.ready(new AbortController().signal)
  const { rss } = process.memoryUsage()
  const peakBytes = 1024 * process.resourceUsage().maxRSS
  await service.stop()
  await store.close()
  const opened: Opened = {
    ...{ openMs, dedupeMs: answer.ms, newKeyMs, heldBytes: rss, peakBytes },
    ...{ syncMs: oneSync(), replayMs: await timeMs(readBare) },
  }
  process.stdout.write(JSON.stringify(opened))
}

/** Writing and syncing one line's bytes, milliseconds. */
function oneSync(): number {
  const descriptor = openSync(join(directory, 'sync.bin'), 'w')
  const line = Buffer.alloc(800, 'x')
  const times = Array.from({ length: 21 }, () => {
    const startedAt = performance.now()
    writeSync(descriptor, line)
    fdatasyncSync(descriptor)
    return performance.now() - startedAt
  })
  closeSync(descriptor)
  return median(times)
}

/** What no replay can do without: every line read and hashed, every row read. */
function readBare(): number {
  let lines = 0
  for (const { path } of listSegments(directory)) {
    const bytes = readFileSync(path)
    for (let at = 0; at < bytes.length; lines++) {
      const end = bytes.indexOf(0x0a, at) + 1
      createHash('sha256').update(bytes.subarray(at, end)).digest('hex')
      at = end
    }
  }
  const db = new Database(join(directory, 'jobs.db'), { readonly: true })
  for (const table of ['job', 'intent', 'result']) {
    for (const _ of db.prepare(`select * from ${table}`).raw().iterate()) lines++
  }
  db.close()
  return lines
}
