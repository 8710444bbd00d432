import { listedMax } from '../base/limits.js'
import {
  type Job,
  type JobState,
  jobStates,
  parseRequestId,
  type RequestId,
} from '../covenant/job.js'
import { type JobView, listJobs, viewJob } from '../datadir/jobs-view.js'
import { note, printResult, renderFacts, renderTable } from './output.js'
import { type Context, Usage } from './usage.js'

export type ListFlags = {
  readonly state?: string
  readonly limit?: string
  readonly after?: string
}

/** Jobs that are listed without `--limit`. */
const limitDefault = 100

/** `covenant list`: jobs in the order they were accepted; changes nothing. */
export async function covenantList({ output, dataDir }: Context, flags: ListFlags): Promise<void> {
  const query = {
    state: parseState(flags.state),
    limit: parseLimit(flags.limit),
    after: parseAfter(flags.after),
  }
  const { jobs, next, quarantined } = await listJobs(dataDir.path, query)
  const result = {
    jobs: jobs.map(summaryOf),
    next: next === undefined ? null : Number(next),
    quarantined,
  }
  if (quarantined > 0) {
    note(output, `Set aside: ${quarantined}; "holdfast store verify" names them.`)
  }
  if (next !== undefined) note(output, `Next: holdfast covenant list --after ${next}`)
  await printResult(output, result, () => {
    const rows = jobs.map(({ seq, requestId, state, outpoint, updatedAt, detail }) => {
      return [String(seq), requestId, state, outpoint, updatedAt, printable(detail)]
    })
    const columns = ['seq', 'request', 'state', 'outpoint', 'updated', 'detail']
    return rows.length === 0 ? '' : renderTable({ columns, rows })
  })
  if (jobs.length === 0) note(output, 'No jobs here.')
}

/** `covenant show`: one job with its timeline, its intent and its result; changes nothing. */
export async function covenantShow({ output, dataDir }: Context, idText: string): Promise<void> {
  const view = await viewJob(dataDir.path, parseId(idText))
  const { job, timeline, intent, result, canonicalRequest } = view
  const shown = {
    ...summaryOf(job),
    requestDigest: job.requestDigest,
    depositorEthAddress: job.depositorEthAddress,
    ...(job.endBlock === undefined ? {} : { endBlock: String(job.endBlock) }),
    timeline: timeline.map(({ at, what, detail, seq }) => ({
      ...{ at, what, detail },
      ...(seq === undefined ? {} : { seq: Number(seq) }),
    })),
    intent: intent === undefined ? null : intentOf(intent),
    result: result ?? null,
    canonicalRequest,
  }
  await printResult(output, shown, () => render(view))
}

function summaryOf(job: Job): Readonly<Record<string, unknown>> {
  const { requestId, route, routeRequestId, state, detail, reason, outpoint, walletKey } = job
  const { createdAt, updatedAt, completedAt, failedAt, attempts, nextAtMs, held, seq } = job
  return {
    ...{ requestId, route, routeRequestId, state, detail, reason, outpoint, walletKey },
    ...{ createdAt, updatedAt, completedAt, failedAt, attempts },
    ...(nextAtMs === 0 ? {} : { nextAt: new Date(nextAtMs).toISOString() }),
    held,
    seq: Number(seq),
  }
}

type Intent = NonNullable<JobView['intent']>

function intentOf({ outpoint, sighash, unsignedTransaction }: Intent): Intent {
  return { outpoint, sighash, unsignedTransaction }
}

async function render({ job, timeline, intent, result }: JobView): Promise<string> {
  const facts: (readonly [string, string])[] = [
    ['request', job.requestId],
    ['route', job.route],
    ['route request', printable(job.routeRequestId)],
    ['state', job.held ? `${job.state} (held)` : job.state],
    ['detail', printable(job.detail)],
    ...(job.reason === undefined ? [] : [['reason', job.reason] as const]),
    ['outpoint', job.outpoint],
    ['wallet key', job.walletKey],
    ['digest', job.requestDigest],
    ['attempts', String(job.attempts)],
    ['sighash', intent?.sighash ?? 'nothing recorded'],
    ...(result?.psbtHash === undefined ? [] : [['psbt hash', result.psbtHash] as const]),
    ...(result?.transactionHex === undefined
      ? []
      : [['transaction', result.transactionHex] as const]),
  ]
  const rows = timeline.map(({ at, what, detail, seq }) => {
    return [at, what, seq === undefined ? '-' : String(seq), printable(detail)]
  })
  const table = await renderTable({ columns: ['at', 'what', 'line', 'detail'], rows })
  return `${renderFacts(facts)}\n\n${table}`
}

function parseState(text: string | undefined): JobState | undefined {
  const state = jobStates.find((known) => known === text)
  if (state !== text) throw new Usage(`--state wants one of ${jobStates.join(', ')}`)
  return state
}

function parseLimit(text: string | undefined): number {
  if (text === undefined) return limitDefault
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0
  if (limit < 1 || limit > listedMax) throw new Usage(`--limit wants 1 to ${listedMax}`)
  return limit
}

function parseAfter(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,12}$/.test(text)) throw new Usage('--after wants the "seq" of a job')
  return BigInt(text)
}

function parseId(text: string): RequestId {
  try {
    return parseRequestId(text)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new Usage(error.message, 'Copy the id from "holdfast covenant list".')
  }
}

/** Text of others: what a terminal would act on is shown instead. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`
  })
}
