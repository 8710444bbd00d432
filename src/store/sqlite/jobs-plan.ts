import type { QuarantineRecord } from '../../covenant/store.js'
import { keyText } from '../job-fences.js'
import { ResolutionRefused } from '../job-refusals.js'
import type { Operation } from '../operations.js'
import type { JobCore } from './jobs-core.js'

/** What resolving a record in one way would do. */
export type Plan = {
  readonly operation: Operation
  readonly changes: readonly string[]
  /** Done before the line is written, safe to repeat; answers what the line then says. */
  readonly prepare?: () => Promise<Operation>
  /** Goes into one transaction with the row of the audit trail; gets the sequence of its line. */
  readonly inTransaction: (seq: bigint) => void
  readonly apply: () => void
}

export const nothing = (): void => undefined

/** @throws ResolutionRefused when another text was typed than what is to be opened */
export function assertTyped(id: string, typed: string, wanted: string): void {
  if (typed === wanted) return
  throw new ResolutionRefused(id, 'another key was typed', `Type ${wanted}.`)
}

/** What has to be typed to release a record: its one key, or its id when there is not just one. */
export function typedFor({ id, blocks }: QuarantineRecord): string {
  const [key, ...more] = blocks.keys
  const isOne = key !== undefined && more.length === 0 && !blocks.everyNewKey
  return isOne ? keyText(key.route, key.routeRequestId) : id
}

/** Lets jobs run again whose keys a record closed, unless another one still does. */
export function goOn(core: JobCore, { blocks }: QuarantineRecord): void {
  for (const { route, routeRequestId } of blocks.keys) {
    if (core.fences.byKey(route, routeRequestId) !== undefined) continue
    for (const seq of core.witness.jobsByKey(route, routeRequestId)) {
      const reading = core.tables.job(seq)
      if (reading.kind !== 'row' || reading.row.settleSeq !== undefined || reading.row.held)
        continue
      if (core.leases.has(reading.row.requestId)) continue
      core.schedule.set(seq, reading.row.nextAtMs)
    }
  }
}
