import { unreachable } from '../../base/errors.js'
import type { Comparison, Operated } from './jobs-compare.js'
import { fenceJob, type JobCore, retiredReason } from './jobs-core.js'
import { retireFile } from './jobs-files.js'
import { replaceRow } from './jobs-heal.js'
import { openImport } from './jobs-import.js'
import { deleteJob } from './jobs-quarantine.js'
import { encodeUpdate } from './jobs-rows.js'
import { fenceFile } from './jobs-set-aside.js'
import { sql } from './jobs-sql.js'

/** What people decided outlives every comparison; done in the order of the lines, each once in an opening. */
export function applyOperations(core: JobCore, comparison: Comparison): void {
  const operated = [...comparison.operated].sort(([a], [b]) => Number(a - b))
  for (const [seq, one] of operated) {
    if (core.applied.has(seq)) continue
    apply(core, seq, one, comparison)
    core.applied.add(seq)
  }
}

function apply(
  core: JobCore,
  seq: bigint,
  { operation, by }: Operated,
  comparison: Comparison,
): void {
  switch (operation.kind) {
    case 'release': {
      const id = operation.recordId
      core.released.add(id)
      core.retired.delete(id)
      core.fences.remove(id)
      core.imports.end(id, seq)
      const job = jobOf(id)
      if (job !== undefined) deleteJob(core, job)
      return
    }
    case 'retire':
      retire(core, operation.recordId, comparison)
      return
    case 'adopt':
      // A job that is rebuilt has no record any more; for a file the job stands and waits.
      if (jobOf(operation.recordId) !== undefined) return
      core.released.add(operation.recordId)
      core.fences.remove(operation.recordId)
      if (operation.job !== undefined) core.imports.adopt(operation.job)
      return
    case 'resume':
      resume(core, operation.job, comparison)
      return
    case 'import-begin':
      openImport(core, operation.importId, seq, by)
      return
    case 'import-end':
      core.imports.end(operation.importId, seq)
      core.fences.remove(operation.importId)
      return
    case 'set-aside':
      if (!core.setAside.has(operation.record.id)) fenceFile(core, operation.record)
      return
    case 'restore':
    case 'release-intent':
    case 'reset-height':
    case 'certificate':
      // Their rows were compared already.
      return
    default:
      unreachable(operation)
  }
}

function retire(core: JobCore, id: string, comparison: Comparison): void {
  const record = core.fences.get(id)
  const seq = jobOf(id)
  if (seq === undefined) {
    if (record?.kind === 'file') retireFile(core, record)
    return
  }
  core.retired.add(id)
  const line = core.witness.accepted(seq)
  if (line === undefined) return
  core.fences.remove(id)
  fenceJob(core, seq, line, retiredReason)
  comparison.unsettled.delete(Number(seq))
}

/** Lets a job go on whose line says so and whose row does not. */
function resume(core: JobCore, seq: bigint, comparison: Comparison): void {
  core.imports.resume(seq)
  const reading = core.tables.job(seq)
  if (reading.kind !== 'row' || !reading.row.held || reading.row.settleSeq !== undefined) return
  const moving = { ...reading.row, held: false }
  replaceRow(core, 'job', () =>
    core.connection.run(sql.updateJob, ...encodeUpdate(reading.row, moving)),
  )
  comparison.unsettled.set(Number(seq), moving.nextAtMs)
  if (core.replay.done) core.schedule.set(seq, moving.nextAtMs)
}

function jobOf(recordId: string): bigint | undefined {
  const [, digits] = /^job-(\d+)$/.exec(recordId) ?? []
  return digits === undefined ? undefined : BigInt(digits)
}
