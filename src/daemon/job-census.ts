import type { Logger } from '../base/log.js'
import { isFinal, type Job, type RequestId } from '../covenant/job.js'
import type { Route } from '../covenant/request.js'
import type { JobStore } from '../covenant/store.js'

/** How many jobs there are. */
export type JobCounts = {
  readonly loaded: bigint
  readonly unfinished: bigint
  readonly finished: bigint
}

/** How an ended job counts: `denied` is a refusal by a rule, `failed` any other failure. */
export type EndedResult = 'succeeded' | 'denied' | 'failed'

/** What a store did, for whoever counts it. */
export type JobEvents = {
  readonly accepted?: (outcome: 'accepted' | 'existing' | 'payloadMismatch' | 'fenced') => void
  readonly ended?: (route: Route, result: EndedResult) => void
}

/** Counts the jobs of a store without reading them. */
export interface JobCensus {
  /** Undefined before the store has compared its witnesses. */
  counts(): JobCounts | undefined
  /** What the opening found, and how many milliseconds it took until the witnesses were compared. */
  opening(): { readonly loaded: bigint; readonly tookMs: number } | undefined
  /** The log to open the store with: what it says of its loading is where counting begins. */
  readonly log: Logger
  /** A store to use instead of this one, so that changes are counted. */
  watch(store: JobStore): JobStore
}

const loadedMessage = 'job store: jobs loaded'
const denied: readonly (string | undefined)[] = ['AUTH_FAILED', 'POLICY_REJECTED', 'INVALID_INPUT']

/** @param log gets everything that the store says */
export function createJobCensus(log: Logger, events: JobEvents = {}): JobCensus {
  const beganMs = performance.now()
  let opening: { readonly loaded: bigint; readonly tookMs: number } | undefined
  let loaded: bigint | undefined
  let unfinished = 0n

  function load(fields: Readonly<Record<string, unknown>>): void {
    if (opening !== undefined) return
    opening = { loaded: BigInt(String(fields.jobs)), tookMs: performance.now() - beganMs }
    loaded = opening.loaded + added
    unfinished += BigInt(String(fields.unfinished))
  }

  // Jobs that came before the store had counted its own.
  let added = 0n
  const add = (job: Job): void => {
    if (loaded === undefined) added += 1n
    else loaded += 1n
    if (!isFinal(job.state)) unfinished += 1n
  }
  const end = ({ route, state, reason }: Job): void => {
    unfinished -= 1n
    const result =
      state === 'FAILED' ? (denied.includes(reason) ? 'denied' : 'failed') : 'succeeded'
    events.ended?.(route, result)
  }

  function watch(store: JobStore): JobStore {
    return {
      async accept(identity) {
        const outcome = await store.accept(identity)
        if (outcome.kind === 'accepted') add(outcome.job)
        events.accepted?.(outcome.kind)
        return outcome
      },
      async heal(identity) {
        const job = await store.heal(identity)
        if (job !== undefined) add(job)
        return job
      },
      async settle(lease, transition, options) {
        const outcome = await store.settle(lease, transition, options)
        if (outcome.kind === 'settled') end(outcome.job)
        return outcome
      },
      async resolve(recordId, how, by, dryRun) {
        const report = await store.resolve(recordId, how, by, dryRun)
        const job = dryRun ? undefined : await rebuilt(store, how.kind, report.record.requestId)
        if (job !== undefined) add(job)
        return report
      },
      find: (id) => store.find(id),
      findByRoute: (route, routeRequestId) => store.findByRoute(route, routeRequestId),
      list: (query) => store.list(query),
      claim: (owner, nowMs, limit) => store.claim(owner, nowMs, limit),
      nextDueMs: () => store.nextDueMs(),
      onDue: (listener) => store.onDue(listener),
      nudge: (id, nowMs) => store.nudge(id, nowMs),
      intend: (lease, intent) => store.intend(lease, intent),
      defer: (lease, wait) => store.defer(lease, wait),
      releaseIntent: (outpoint, by) => store.releaseIntent(outpoint, by),
      findIntent: (outpoint) => store.findIntent(outpoint),
      resume: (id, by) => store.resume(id, by),
      listQuarantined: (limit) => store.listQuarantined(limit),
      findQuarantined: (recordId) => store.findQuarantined(recordId),
      reconcile: (signal) => store.reconcile(signal),
      hostHeight: () => store.hostHeight(),
      noteHostHeight: (height) => store.noteHostHeight(height),
      resetHostHeight: (height, by) => store.resetHostHeight(height, by),
      recordCertificate: (note, by) => store.recordCertificate(note, by),
      readiness: () => store.readiness(),
      ready: (signal) => store.ready(signal),
      close: () => store.close(),
    }
  }

  return {
    counts: () =>
      loaded === undefined ? undefined : { loaded, unfinished, finished: loaded - unfinished },
    opening: () => opening,
    log: {
      info(fields, message) {
        if (message === loadedMessage) load(fields)
        log.info(fields, message)
      },
      warn: (fields, message) => log.warn(fields, message),
    },
    watch,
  }
}

/** The job that resolving a record brought back. */
async function rebuilt(
  store: JobStore,
  how: string,
  requestId: RequestId | undefined,
): Promise<Job | undefined> {
  if (requestId === undefined || (how !== 'restore' && how !== 'adopt')) return undefined
  const found = await store.find(requestId)
  return found.kind === 'found' ? found.job : undefined
}
