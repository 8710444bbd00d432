import { forgetOldest } from './backoff.js'
import type { HeightGuard, HostHeight } from './height.js'
import type { RequestId } from './job.js'

/** Remembers which jobs' certificates were seen lapsed, until that is sure enough to fail them. */
export interface LapseWatch {
  /**
   * Notes that a reading is past a certificate's end.
   *
   * @returns true when two readings, from two sources where there are two and at least a block apart, said so
   */
  confirm(requestId: RequestId, endBlock: bigint, reading: HostHeight): boolean
  forget(requestId: RequestId): void
}

type Sighting = { readonly height: bigint; readonly sources: Set<string> }

/** @remarks In memory: after a restart the two readings are made anew. */
export function createLapseWatch(guard: Pick<HeightGuard, 'sourcesSeen'>): LapseWatch {
  const sightings = new Map<RequestId, Sighting>()
  return {
    confirm(requestId, endBlock, reading) {
      const past = reading.sources.filter(({ height }) => height > endBlock)
      // The durable maximum alone fails nothing: a source has to stand behind it today.
      if (past.length === 0) return false
      const first = sightings.get(requestId)
      if (first === undefined) {
        forgetOldest(sightings)
        const sources = new Set(past.map(({ source }) => source))
        sightings.set(requestId, { height: reading.height, sources })
        return false
      }
      for (const { source } of past) first.sources.add(source)
      return first.sources.size >= Math.min(2, guard.sourcesSeen) && reading.height > first.height
    },
    forget: (requestId) => void sightings.delete(requestId),
  }
}
