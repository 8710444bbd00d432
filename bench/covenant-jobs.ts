import { createHash } from 'node:crypto'
import type { JobIdentity, Outpoint } from '../src/covenant/job.js'
import type { Route } from '../src/covenant/request.js'
import type { CovenantService } from '../src/covenant/service.js'
import type { JobStore } from '../src/covenant/store.js'
import type { Later } from '../src/store/sqlite/jobs-write-queue.js'
import {
  encodeSubmit,
  makeSubmit,
  testDomain,
  testKey,
  testNowMs,
} from '../test/covenant/factory.js'
import {
  decodeSubmit,
  identityOf,
  normalizeRequest,
  noTrustRoots,
  openCovenantService,
  requestIdOf,
  sampleIntent,
  scriptedEngine,
  scriptedSigner,
} from './covenant-built.js'

/** Signing wallets of the benches; one job signs at a time with each. */
const wallets = Array.from({ length: 128 }, (_, at) => testKey(at + 1))
const filledAtOnce = 4000

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** Bodies of really signed submits; the same name and numbers give the same bytes. */
export function makeBodies(
  route: Route,
  name: string,
  from: number,
  count: number,
): readonly Uint8Array[] {
  return Array.from({ length: count }, (_, at) => {
    const seed = `${name}_${from + at}`
    const signer = wallets[(from + at) % wallets.length]
    const routeRequestId = digestOf(`key ${seed}`).toString('hex')
    return encodeSubmit(makeSubmit({ route, seed, routeRequestId, ...(signer && { signer }) }))
  })
}

/** The submit whose job is in every store that `fillStore` made with it. */
export function knownBody(): Uint8Array {
  return makeBodies('self_v1', 'known', 0, 1)[0] ?? new Uint8Array()
}

/** Fixed parts of jobs as a submit makes them, without the cost of one: they share a real request. */
export function makeIdentities(name: string, from: number, count: number): readonly JobIdentity[] {
  const route = 'self_v1'
  const { request } = makeSubmit({ route })
  const shared = identityOf({
    requestId: requestIdOf(route, new Uint8Array(8)),
    route,
    routeRequestId: '',
    depositorEthAddress: '',
    request: normalizeRequest(request),
    nowMs: testNowMs,
  })
  return Array.from({ length: count }, (_, at) => {
    const digest = digestOf(`${name} ${from + at}`)
    const digits = digest.toString('hex')
    return {
      ...shared,
      // Ids and keys are random in life too, so that they meet every page of their indexes.
      requestId: requestIdOf(route, digest.subarray(0, 8)),
      routeRequestId: digits.slice(16),
      outpoint: `${digits}:0` as Outpoint,
    }
  })
}

/** Puts the jobs of these numbers into a store in large commits. */
export async function fillStore(store: JobStore, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += filledAtOnce) {
    const jobs = makeIdentities('filled', at, Math.min(filledAtOnce, to - at))
    await Promise.all(jobs.map((job) => store.accept(job)))
  }
}

/** Signs and ends every job of a store, as far as the store can see. */
export async function endJobs(store: JobStore): Promise<void> {
  for (;;) {
    const claims = await store.claim('bench', Date.now(), filledAtOnce)
    if (claims.length === 0) return
    await Promise.all(claims.map(({ job, lease }) => store.intend(lease, sampleIntent(job))))
    const result = {
      state: 'ARTIFACT_READY',
      detail: 'self_v1 artifact ready',
      psbtHash: `0x${'ab'.repeat(32)}`,
      transactionHex: `0x${'cd'.repeat(250)}`,
    } as const
    const options = { releaseIntent: false, at: '2026-01-02T03:04:05Z' }
    await Promise.all(claims.map(({ lease }) => store.settle(lease, result, options)))
  }
}

/** Lets every job of a store wait for a day, as a runner does that cannot have them signed. */
export async function deferJobs(store: JobStore): Promise<void> {
  for (;;) {
    const claims = await store.claim('bench', Date.now(), filledAtOnce)
    if (claims.length === 0) return
    const wait = {
      ...{ detail: 'accepted for covenant signing', attempts: 1 },
      ...{ nextAtMs: Date.now() + 86_400_000, at: '2026-01-02T03:04:05Z' },
    }
    await Promise.all(claims.map(({ lease }) => store.defer(lease, wait)))
  }
}

/** The service over a store with scripted engine and signer; `accepting` answers without the runner. */
export function openService(store: JobStore, how: 'accepting' | 'running'): CovenantService {
  const service = openCovenantService({
    ...{ store, trustRoots: noTrustRoots, domain: testDomain },
    engine: scriptedEngine(),
    signer: scriptedSigner({ secrets: wallets.map(({ secret }) => secret) }),
    settings: how === 'accepting' ? { submitWaitMs: 0 } : { inFlightMax: 128 },
  })
  if (how === 'running') service.start()
  return service
}

/** Does every piece of work, at most `inFlight` at a time. */
export async function inLanes<T>(
  list: readonly T[],
  inFlight: number,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    for (let item = list[next++]; item !== undefined; item = list[next++]) await work(item)
  }
  await Promise.all(Array.from({ length: inFlight }, lane))
}

/** The whole way of a body: decode, validate, normalise, digest, accept. */
export async function submitBody(service: CovenantService, body: Uint8Array): Promise<string> {
  const input = decodeSubmit(body)
  const { requestId } = await service.submit(input, input.request.route as Route)
  return requestId
}

/** Timers of a store whose work can be done at once, so that it is paid for where it was caused. */
export function payableLater(): { readonly later: Later; readonly pay: () => void } {
  const owed = new Map<NodeJS.Timeout, () => void>()
  return {
    later(work, delayMs) {
      const timer = setTimeout(() => {
        owed.delete(timer)
        work()
      }, delayMs).unref()
      owed.set(timer, work)
      return () => {
        clearTimeout(timer)
        owed.delete(timer)
      }
    },
    pay() {
      for (const [timer, work] of [...owed]) {
        clearTimeout(timer)
        owed.delete(timer)
        work()
      }
    },
  }
}
