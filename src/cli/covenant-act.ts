import type { Config } from '../config.js'
import type { Outpoint } from '../covenant/job.js'
import { IntentInUse, IntentNotFound } from '../daemon/admin-problem.js'
import { releaseIntent, resetHostHeight, resumeJob } from '../datadir/job-operations.js'
import type { JsonAnswer } from './client.js'
import { parseId } from './covenant-view.js'
import { nextCommand } from './next-command.js'
import { note, printResult } from './output.js'
import { operatorName, reach, type TargetFlags, targetOf } from './target.js'
import { type Context, Usage } from './usage.js'

/** What every verb takes that changes something by hand. */
export type ActFlags = TargetFlags & { readonly reason: string; readonly dryRun?: boolean }

/** `covenant resume`: lets an imported job run; repeating it changes nothing. */
export async function covenantResume(
  context: Context,
  idText: string,
  { dryRun = false, ...flags }: ActFlags,
): Promise<void> {
  const requestId = parseId(idText)
  const target = targetOf(context, flags)
  const by = { who: operatorName(), why: flags.reason }
  const outcome = await reach(
    target,
    async (directory) => (await resumeJob(directory, requestId, { dryRun, by })).kind,
    async (client) => {
      const answer = await client.post(`/jobs/${requestId}/resume`, bodyOf(by, { dryRun }))
      return outcomeIn(answer)
    },
  )
  await printResult(context.output, { requestId, outcome, dryRun }, () => {
    if (outcome !== 'resumed') return `${requestId}: is not held, nothing to do`
    return `${requestId}: ${dryRun ? 'would run (nothing was changed)' : 'not held any more; the daemon runs it'}`
  })
  if (outcome === 'resumed' && wouldFail(target.config())) {
    const why = 'covenantSigner.bridgeCovenantFraudDefenseConfirmed is not set'
    note(context.output, `Careful: ${why}, so the daemon ends this job as FAILED.`)
  }
  if (!dryRun) {
    note(
      context.output,
      `To see how it goes: ${nextCommand(target, 'covenant', 'show', requestId)}`,
    )
  }
}

/** A signing engine ends every job while the fraud defence is not confirmed; a passive one leaves them alone. */
function wouldFail({ covenantSigner, ethereum, bitcoin }: Config): boolean {
  const signs = ethereum.endpoints.length > 0 && bitcoin.sources.length > 0
  return signs && !covenantSigner.bridgeCovenantFraudDefenseConfirmed
}

/**
 * `covenant release-intent`: frees the outpoint of a job that has ended.
 *
 * @throws IntentNotFound, IntentInUse
 */
export async function covenantReleaseIntent(
  context: Context,
  outpointText: string,
  { dryRun = false, ...flags }: ActFlags,
): Promise<void> {
  const outpoint = parseOutpoint(outpointText)
  const target = targetOf(context, flags)
  const by = { who: operatorName(), why: flags.reason }
  const outcome = await reach(
    target,
    async (directory) => {
      const done = await releaseIntent(directory, outpoint, { dryRun, by })
      if (done.kind === 'absent') throw new IntentNotFound(outpoint)
      if (done.kind === 'jobNotFinal') throw new IntentInUse(outpoint, done.requestId)
      return done.kind
    },
    async (client) => {
      const body = bodyOf(by, { outpoint, dryRun })
      return outcomeIn(await client.post('/intents/release', body))
    },
  )
  await printResult(context.output, { outpoint, outcome, dryRun }, () =>
    dryRun
      ? `${outpoint}: would be free (nothing was changed)`
      : `${outpoint}: free; another plan for it may be signed`,
  )
}

/** `covenant host-height --reset H`: puts the highest height that was ever relied on to a value. */
export async function covenantHostHeight(
  context: Context,
  { dryRun = false, ...flags }: ActFlags & { readonly reset: string },
): Promise<void> {
  if (!/^\d{1,18}$/.test(flags.reset)) throw new Usage('--reset wants a block height')
  const height = BigInt(flags.reset)
  const target = targetOf(context, flags)
  const by = { who: operatorName(), why: flags.reason }
  const result = await reach<JsonAnswer>(
    target,
    async (directory) => {
      const { before, changed } = await resetHostHeight(directory, height, { dryRun, by })
      return { height: flags.reset, before: before === undefined ? null : String(before), changed }
    },
    async (client) => {
      if (dryRun) return { height: flags.reset, changed: true }
      const body = bodyOf(by, { height: flags.reset })
      return { height: flags.reset, ...(await client.post('/host-height/reset', body)) }
    },
  )
  await printResult(context.output, { ...result, dryRun }, () =>
    dryRun
      ? `host-chain height would be ${flags.reset} (nothing was changed)`
      : `host-chain height: ${flags.reset}`,
  )
}

/** The body of a call that changes something by hand. */
export function bodyOf(
  { who, why }: { readonly who: string; readonly why: string },
  more: Readonly<Record<string, unknown>>,
): string {
  return JSON.stringify({ ...more, reason: why, who })
}

function outcomeIn({ outcome }: JsonAnswer): string {
  return typeof outcome === 'string' ? outcome : 'unknown'
}

function parseOutpoint(text: string): Outpoint {
  const outpoint = text.toLowerCase().replace(/^0x/, '')
  if (!/^[0-9a-f]{64}:\d{1,10}$/.test(outpoint)) {
    throw new Usage('an outpoint is 64 hex digits, a colon and a number')
  }
  return outpoint as Outpoint // its form was checked
}
