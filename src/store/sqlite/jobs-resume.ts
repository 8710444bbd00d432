import { isFinal, type RequestId } from '../../covenant/job.js'
import type { Operator, ResumeOutcome } from '../../covenant/store.js'
import type { JobCore } from './jobs-core.js'
import { isFence, loadJob, locateById } from './jobs-find.js'
import { operate } from './jobs-operate.js'
import { encodeUpdate } from './jobs-rows.js'
import { sql } from './jobs-sql.js'

/** Lets an imported job run; its line is written first. */
export function resumeJob(core: JobCore, id: RequestId, by: Operator): ResumeOutcome {
  const located = locateById(core, id)
  if (located.kind !== 'row') return located
  const { row } = located
  const fence = core.fences.byKey(row.route, row.routeRequestId)
  if (fence !== undefined) return { kind: 'fenced', fence }
  const job = loadJob(core, row)
  if (isFence(job)) return { kind: 'fenced', fence: job }
  if (!job.held || isFinal(job.state)) return { kind: 'notHeld', job }
  const moving = { ...row, held: false }
  operate(core, by, { kind: 'resume', requestId: id, job: row.seq }, () => {
    core.connection.run(sql.updateJob, ...encodeUpdate(row, moving))
  })
  core.imports.resume(row.seq)
  core.schedule.set(row.seq, row.nextAtMs)
  const resumed = loadJob(core, { ...row, held: false }, job)
  return isFence(resumed) ? { kind: 'fenced', fence: resumed } : { kind: 'resumed', job: resumed }
}

/** Puts the host height to a value by hand. */
export function resetHeight(core: JobCore, height: bigint, by: Operator): void {
  if (height < 0n) throw new RangeError('host height: want 0 or more')
  operate(core, by, { kind: 'reset-height', height }, () => core.meta.putHostHeight(height))
  core.meta.hostHeightWasPut(height)
}
