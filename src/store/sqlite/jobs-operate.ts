import { StoreFailed } from '../../base/persistence.js'
import type { Operator } from '../../covenant/store.js'
import { timeOf } from '../ledger-line.js'
import { type Operation, subjectOf } from '../operations.js'
import { assertLineTakes, type JobCore } from './jobs-core.js'
import { replaceRow } from './jobs-heal.js'
import { encodeOperate } from './jobs-rows.js'
import { sql } from './jobs-sql.js'

/**
 * Writes a line of what somebody did, synced, then its row together with the change.
 *
 * @param table whose indexes the change may have to mend
 * @throws StoreFailed: `notWritten`, or `unknown` when the line is there; the next opening then does what it says
 */
export function operate(
  core: JobCore,
  by: Operator,
  operation: Operation,
  change: (seq: bigint) => void,
  table: 'job' | 'intent' = 'job',
): bigint {
  const { connection, faults, queue, clock } = core
  const { who, why } = by
  const what = operation.kind
  const subject = subjectOf(operation)
  assertLineTakes(`${who}${why}${subject}`)
  connection.assertMayWrite()
  faults.reach('job.operate.append.before')
  const seq = queue.appendSynced({ kind: 'operate', who, why, what, subject })
  core.applied.add(seq)
  const row = { seq, at: timeOf(clock.nowMs()), who, why, what, subject }
  try {
    faults.reach('job.operate.append.after')
    replaceRow(core, table, () => {
      connection.run(sql.insertOperate, ...encodeOperate(row))
      change(seq)
      faults.reach('job.operate.beforeCommit')
    })
    faults.reach('job.operate.afterCommit')
  } catch (cause) {
    core.applied.delete(seq)
    throw new StoreFailed('job store: operate', 'transient', { outcome: 'unknown', cause })
  }
  return seq
}
