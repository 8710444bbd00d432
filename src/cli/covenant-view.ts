import { listedMax } from '../base/limits.js'
import { type JobState, jobStates, parseRequestId, type RequestId } from '../covenant/job.js'
import { isRoute, type Route } from '../covenant/request.js'
import {
  type JobsDocument,
  type JobViewDocument,
  jobsDocument,
  jobViewDocument,
} from '../datadir/job-documents.js'
import { listJobs, viewJob } from '../datadir/jobs-view.js'
import { nextCommand } from './next-command.js'
import { note, type Output, printResult, renderFacts, renderTable } from './output.js'
import { printable } from './printable.js'
import { reach, type Target, type TargetFlags, targetOf } from './target.js'
import { type Context, Usage } from './usage.js'

export type ListFlags = TargetFlags & {
  readonly state?: string
  readonly route?: string
  readonly limit?: string
  readonly after?: string
}

/** Jobs that are listed without `--limit`. */
const limitDefault = 100

/** `covenant list`: jobs in the order they were accepted; changes nothing. */
export async function covenantList(context: Context, flags: ListFlags): Promise<void> {
  const query = {
    state: parseState(flags.state),
    route: parseRoute(flags.route),
    limit: parseLimit(flags.limit),
    after: parseAfter(flags.after),
  }
  const target = targetOf(context, flags)
  const { output } = context
  const found = await reach(
    target,
    async (directory) => jobsDocument(await listJobs(directory, query)),
    // The daemon makes it with the same function; it is shown, nothing is done by it.
    async (client) => (await client.get(`/jobs?${queryText(query)}`)) as JobsDocument,
  )
  await printResult(output, found, () => renderJobs(found.jobs))
  hint(output, target, found, flags)
}

/** `covenant show`: one job with its timeline, its intent and its result; changes nothing. */
export async function covenantShow(
  context: Context,
  idText: string,
  flags: TargetFlags,
): Promise<void> {
  const { output } = context
  const id = parseId(idText)
  const target = targetOf(context, flags)
  const shown = await reach(
    target,
    async (directory) => jobViewDocument(await viewJob(directory, id)),
    // As in the list.
    async (client) => (await client.get(`/jobs/${id}`)) as JobViewDocument,
  )
  await printResult(output, shown, () => render(shown))
  if (shown.held) note(output, `Held since its import. To let it run: ${resumeCommand(target, id)}`)
}

/** The command that lets a held job run. */
export function resumeCommand(target: Target, id: string): string {
  const reason = 'looked at, may run'
  return nextCommand(target, 'covenant', 'resume', id, '--reason', reason)
}

function queryText(query: Readonly<Record<string, string | number | bigint | undefined>>): string {
  const given = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) given.set(name, String(value))
  }
  return given.toString()
}

function renderJobs(jobs: JobsDocument['jobs']): Promise<string> | string {
  const rows = jobs.map(({ seq, requestId, state, held, outpoint, updatedAt, detail }) => {
    const shown = held ? `${state} (held)` : state
    return [String(seq), requestId, shown, outpoint, updatedAt, printable(detail)]
  })
  const columns = ['seq', 'request', 'state', 'outpoint', 'updated', 'detail']
  return rows.length === 0 ? '' : renderTable({ columns, rows })
}

/** Says what to type next. */
function hint(
  output: Output,
  target: Target,
  { jobs, next, quarantined }: JobsDocument,
  { state, route }: ListFlags,
): void {
  if (jobs.length === 0) note(output, 'No jobs here.')
  const held = jobs.find((job) => job.held)
  if (held !== undefined) {
    note(output, `Held jobs wait to be resumed: ${resumeCommand(target, held.requestId)}`)
  }
  if (quarantined > 0) {
    note(output, `Set aside: ${quarantined}. Next: ${nextCommand(target, 'quarantine', 'list')}`)
  }
  if (next === null) return
  const filters = [
    ...(state === undefined ? [] : ['--state', state]),
    ...(route === undefined ? [] : ['--route', route]),
  ]
  const more = nextCommand(target, 'covenant', 'list', '--after', String(next), ...filters)
  note(output, `Next: ${more}`)
}

async function render(job: JobViewDocument): Promise<string> {
  const { intent, result, timeline } = job
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

function parseRoute(text: string | undefined): Route | undefined {
  if (text === undefined || isRoute(text)) return text
  throw new Usage('--route wants qc_v1 or self_v1')
}

/** @throws Usage unless it is 1 to 10,000; 100 when it is left out */
export function parseLimit(text: string | undefined): number {
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

/** @throws Usage unless the text is a request id */
export function parseId(text: string): RequestId {
  try {
    return parseRequestId(text)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new Usage(error.message, 'Copy the id from "holdfast covenant list".')
  }
}
