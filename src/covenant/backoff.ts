import { trackedJobsMax } from '../base/limits.js'
import type { RequestId } from './job.js'

/** How long a job waits after each try that did not end it. */
export interface Backoff {
  /**
   * Counts a try that ended at a step.
   *
   * @returns milliseconds to wait: doubling from the smallest to the largest, with up to half taken off at random
   * @remarks Begins anew when the job ends at another step than before, and with every process.
   */
  nextDelayMs(requestId: RequestId, step: string): number
  forget(requestId: RequestId): void
}

export function createBackoff(settings: {
  readonly retryMinMs: number
  readonly retryMaxMs: number
  readonly random: (sizeBytes: number) => Uint8Array
}): Backoff {
  const tries = new Map<RequestId, { readonly step: string; readonly count: number }>()
  return {
    nextDelayMs(requestId, step) {
      const before = tries.get(requestId)
      const count = before?.step === step ? before.count + 1 : 1
      if (before === undefined) forgetOldest(tries)
      tries.set(requestId, { step, count })
      return delayOf(count, settings)
    },
    forget: (requestId) => void tries.delete(requestId),
  }
}

function delayOf(count: number, settings: Parameters<typeof createBackoff>[0]): number {
  const { retryMinMs, retryMaxMs, random } = settings
  const fullMs = Math.min(retryMaxMs, retryMinMs * 2 ** Math.min(count, 32))
  const [high = 0, low = 0] = random(2)
  const share = (high * 256 + low) / 65_536
  return Math.max(retryMinMs, Math.round(fullMs * (1 - share / 2)))
}

/** Makes room in a memory of jobs; what is forgotten is only learnt again. */
export function forgetOldest(memory: Map<RequestId, unknown>): void {
  if (memory.size < trackedJobsMax) return
  const oldest = memory.keys().next()
  if (!oldest.done) memory.delete(oldest.value)
}
