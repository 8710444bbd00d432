import { listedMax } from '../base/limits.js'
import type { Resolution, ResolveReport } from '../covenant/store.js'
import {
  type RecordDocument,
  type RecordsDocument,
  type RecordViewDocument,
  recordDocument,
  recordViewDocument,
} from '../datadir/job-documents.js'
import { listRecords, resolveRecord, viewRecord } from '../datadir/job-operations.js'
import type { AdminClient } from './client.js'
import { nextCommand } from './next-command.js'
import { note, printResult } from './output.js'
import { printable } from './printable.js'
import { renderRecord, renderRecords, wayCommand } from './quarantine-view.js'
import { type ResolveFlags, resolutionOf, resolveBody, resolveWords } from './resolution.js'
import { operatorName, reach, type Target, type TargetFlags, targetOf } from './target.js'
import { type Context, Usage } from './usage.js'

/** `quarantine list`: what each record keeps closed, and how to go on; changes nothing. */
export async function quarantineList(context: Context, flags: TargetFlags): Promise<void> {
  const { output } = context
  const target = targetOf(context, flags)
  const found = await readRecords(target)
  await printResult(output, found, () => renderRecords(found.records, target))
  if (found.records.length === 0) note(output, 'Nothing is set aside.')
}

/** `quarantine show`: all that is known of one record, and the ways out of it; changes nothing. */
export async function quarantineShow(
  context: Context,
  id: string,
  { raw = false, ...flags }: TargetFlags & { readonly raw?: boolean },
): Promise<void> {
  const target = targetOf(context, flags)
  const shown = await readRecord(target, parseRecordId(id))
  if (raw && !context.output.json) {
    process.stdout.write(Buffer.from(shown.raw.hex, 'hex'))
    return
  }
  await printResult(context.output, shown, () => renderRecord(shown, target))
}

/** `quarantine resolve`: says what a way out would change, and with `--yes` takes it. */
export async function quarantineResolve(
  context: Context,
  idText: string,
  flags: ResolveFlags,
): Promise<void> {
  const { output } = context
  const { yes = false, reason } = flags
  if (yes && reason === undefined) {
    throw new Usage('--yes wants --reason, which goes into the audit trail')
  }
  const id = parseRecordId(idText)
  const target = targetOf(context, flags)
  const how = await resolutionOf(flags)
  const by = { who: operatorName(), why: reason ?? 'dry run' }
  const report = await reach(
    target,
    async (directory) => {
      const done = await resolveRecord(directory, id, how, { dryRun: !yes, by })
      return { ...done, record: recordDocument(done.record) }
    },
    (client) => resolveThere(client, id, resolveBody(how, by, !yes)),
  )
  await printResult(output, report, () => renderReport(report))
  if (yes) await hintAfter(context, target)
  else note(output, hintBefore(target, report.record, flags, how))
}

type Report = Pick<ResolveReport, 'changes' | 'dryRun'> & { readonly record: RecordDocument }

async function resolveThere(client: AdminClient, id: string, body: string): Promise<Report> {
  const path = `/quarantine/${encodeURIComponent(id)}/resolve`
  // The daemon makes it from the same records; it is shown, nothing is done by it.
  return (await client.post(path, body)) as Report
}

function readRecords(target: Target): Promise<RecordsDocument> {
  return reach(
    target,
    async (directory) => ({ records: (await listRecords(directory)).map(recordDocument) }),
    // As above.
    async (client) => (await client.get(`/quarantine?limit=${listedMax}`)) as RecordsDocument,
  )
}

function readRecord(target: Target, id: string): Promise<RecordViewDocument> {
  return reach(
    target,
    async (directory) => recordViewDocument(await viewRecord(directory, id)),
    // As above.
    async (client) =>
      (await client.get(`/quarantine/${encodeURIComponent(id)}`)) as RecordViewDocument,
  )
}

function renderReport({ record, changes, dryRun }: Report): string {
  const tense = dryRun ? 'would change (nothing was changed):' : 'changed:'
  return [`${record.id}: ${tense}`, ...changes.map((change) => `  ${printable(change)}`)].join('\n')
}

function hintBefore(
  target: Target,
  record: RecordDocument,
  flags: ResolveFlags,
  how: Resolution,
): string {
  const words = resolveWords(record.id, flags)
  const command = wayCommand(target, record, { words, reason: flags.reason })
  const warning = how.kind === 'release' ? ' (once, and not to be undone)' : ''
  return `To do it${warning}: ${command} --yes`
}

async function hintAfter({ output }: Context, target: Target): Promise<void> {
  const { records } = await readRecords(target)
  const open = records.filter(({ state }) => state === 'open')
  const [next] = open
  if (next === undefined) {
    note(output, 'No record is open any more.')
    return
  }
  const command = nextCommand(target, 'quarantine', 'show', next.id)
  note(output, `Open records: ${open.length}. Next: ${command}`)
}

function parseRecordId(text: string): string {
  if (/^[\w.:-]{1,200}$/.test(text)) return text
  throw new Usage('that is no id of a record', 'Copy the id from "holdfast quarantine list".')
}
