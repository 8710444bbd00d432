import type { Job, RequestId } from './job.js'

/** A place that waits for the next news of one job. */
export type Watch = {
  /**
   * Resolves when the job was settled or deferred since the watch began; with undefined when the signal fires, or when
   * somebody else moved the job.
   */
  readonly until: (signal: AbortSignal) => Promise<Job | undefined>
  readonly end: () => void
}

/** Tells those who wait for a job that the runner has moved it. */
export interface ProgressBoard {
  watch(requestId: RequestId): Watch
  announce(requestId: RequestId, job: Job | undefined): void
  /** Watches that have not ended. */
  readonly size: number
}

type Listener = (job: Job | undefined) => void

/** @remarks Bounded by its callers: each submit has one watch and ends it. */
export function createProgressBoard(): ProgressBoard {
  const listeners = new Map<RequestId, Set<Listener>>()
  let size = 0
  return {
    watch(requestId) {
      const own = listeners.get(requestId) ?? new Set<Listener>()
      listeners.set(requestId, own)
      size++
      let listener: Listener = () => undefined
      const moved = new Promise<Job | undefined>((resolve) => {
        listener = resolve
      })
      own.add(listener)
      return {
        until: (signal) => firstOf(moved, signal),
        end() {
          if (!own.delete(listener)) return
          size--
          if (own.size === 0) listeners.delete(requestId)
        },
      }
    },
    announce(requestId, job) {
      for (const listener of listeners.get(requestId) ?? []) listener(job)
    },
    get size() {
      return size
    },
  }
}

function firstOf(moved: Promise<Job | undefined>, signal: AbortSignal): Promise<Job | undefined> {
  return new Promise((resolve) => {
    const give = (): void => resolve(undefined)
    if (signal.aborted) return give()
    signal.addEventListener('abort', give, { once: true })
    void moved.then((job) => {
      signal.removeEventListener('abort', give)
      resolve(job)
    })
  })
}
