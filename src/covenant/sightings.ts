import { forgetOldest } from './backoff.js'
import type { RequestId } from './job.js'

/** Remembers which jobs' outputs Bitcoin sources lack, until that is sure enough to fail a job. */
export interface Sightings {
  /**
   * Notes that a source lacks what a job needs.
   *
   * @param heightBlocks height of the tip where it is known
   * @returns true when two sources, or looks at three heights of the chain, said so
   */
  confirm(requestId: RequestId, sources: readonly string[], heightBlocks?: number): boolean
  forget(requestId: RequestId): void
}

const sourcesEnough = 2
const heightsEnough = 3

/** @remarks In memory: after a restart the looks are made anew. */
export function createSightings(): Sightings {
  const seen = new Map<
    RequestId,
    { readonly sources: Set<string>; readonly heights: Set<number> }
  >()
  return {
    confirm(requestId, sources, heightBlocks) {
      const before = seen.get(requestId)
      if (before === undefined) forgetOldest(seen)
      const all = before ?? { sources: new Set<string>(), heights: new Set<number>() }
      for (const source of sources) if (all.sources.size < sourcesEnough) all.sources.add(source)
      if (heightBlocks !== undefined && all.heights.size < heightsEnough) {
        all.heights.add(heightBlocks)
      }
      seen.set(requestId, all)
      return all.sources.size >= sourcesEnough || all.heights.size >= heightsEnough
    },
    forget: (requestId) => void seen.delete(requestId),
  }
}
