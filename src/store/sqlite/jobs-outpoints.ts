import { isFinal, type Outpoint } from '../../covenant/job.js'
import type { Operator, ReleaseOutcome } from '../../covenant/store.js'
import type { JobCore } from './jobs-core.js'
import { restoreIntent } from './jobs-heal.js'
import { operate } from './jobs-operate.js'
import { encodeRelease, type IntentRow } from './jobs-rows.js'
import { sql } from './jobs-sql.js'

/** Frees an outpoint by hand. */
export function releaseByHand(core: JobCore, outpoint: Outpoint, by: Operator): ReleaseOutcome {
  const intent = unreleasedOn(core, outpoint)
  if (intent === undefined) return { kind: 'absent' }
  const job = core.tables.job(intent.jobSeq)
  const requestId =
    job.kind === 'row' ? job.row.requestId : core.witness.accepted(intent.jobSeq)?.requestId
  if (job.kind !== 'row' || !isFinal(job.row.state)) {
    if (requestId === undefined) return { kind: 'absent' }
    return { kind: 'jobNotFinal', requestId }
  }
  const operation = { kind: 'release-intent', outpoint, intent: intent.seq } as const
  const free = (seq: bigint): void =>
    void core.connection.run(sql.releaseIntent, ...encodeRelease(intent.seq, seq))
  operate(core, by, operation, free, 'intent')
  core.witness.removeIntent(outpoint, intent.seq)
  return { kind: 'released' }
}

/** The intent that holds an outpoint. */
export function unreleasedOn(core: JobCore, outpoint: Outpoint): IntentRow | undefined {
  for (const seq of core.witness.intentsOn(outpoint)) {
    const reading = core.tables.intent(seq)
    const intent = reading.kind === 'row' ? reading.row : restoreIntent(core, seq)
    if (intent?.outpoint === outpoint && intent.releasedSeq === undefined) return intent
  }
  return undefined
}
