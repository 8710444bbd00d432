import { userInfo } from 'node:os'
import { neverAborted } from '../base/abort.js'
import type { QuarantineRecord } from '../covenant/store.js'
import {
  checkKeepCore,
  type ExportReport,
  exportFromDirectory,
  type ImportReport,
  importIntoDirectory,
  type Progress,
  type Verdicts,
} from '../datadir/keep-core.js'
import { nextCommand } from './next-command.js'
import { note, type Output, printResult, renderFacts, renderTable } from './output.js'
import { targetOf } from './target.js'
import type { Context } from './usage.js'

export type ImportFlags = { readonly yes?: boolean; readonly reason?: string }
export type ExportFlags = { readonly leaveOutQuarantined?: boolean }

/** What is set aside, as every one of these commands prints it. */
type SetAside = {
  readonly file: string
  readonly code: string
  readonly reason: string
  readonly blocks: QuarantineRecord['blocks']
}

/** `covenant check`: one verdict per file of a keep-core directory; status 3 when one is set aside. */
export async function covenantCheck(context: Context, directory: string): Promise<void> {
  const { output } = context
  const verdicts = await checked(output, directory)
  await printVerdicts(output, verdicts, {})
  hintAfterCheck(context, verdicts, directory)
}

/** `covenant import`: what an import would do, and with `--yes` the import; status 3 as `check`. */
export async function covenantImport(
  context: Context,
  directory: string,
  { yes = false, reason = 'jobs of a keep-core directory' }: ImportFlags,
): Promise<void> {
  const { output, dataDir } = context
  if (!yes) {
    const verdicts = await checked(output, directory)
    await printVerdicts(output, verdicts, { dryRun: true })
    hintAfterCheck(context, verdicts, directory)
    return
  }
  const by = { who: userInfo().username, why: reason }
  const report = await withProgress(output, (onProgress) =>
    importIntoDirectory(dataDir.path, directory, by, {
      parents: dataDir.origin === 'default',
      onProgress,
      signal: neverAborted,
    }),
  )
  const { imported, present, advanced, verdictsSha256 } = report
  await printVerdicts(output, report, {
    dryRun: false,
    ...{ imported, present, advanced, verdictsSha256 },
  })
  hintAfterImport(context, report)
}

/** `covenant export`: writes the jobs as keep-core's files; status 3 when a record has none. */
export async function covenantExport(
  { output, dataDir }: Context,
  directory: string,
  { leaveOutQuarantined = false }: ExportFlags,
): Promise<void> {
  const report = await withProgress(output, (onProgress) =>
    exportFromDirectory(dataDir.path, directory, {
      leaveOut: leaveOutQuarantined,
      onProgress,
      signal: neverAborted,
    }),
  )
  const quarantined = report.quarantined.map(({ id, reason, blocks }) => ({
    ...{ file: id, code: 'quarantined', reason, blocks },
  }))
  const { path = null, loaded } = report
  if (quarantined.length > 0) process.exitCode = 3
  await printResult(output, { path, loaded, superseded: 0, quarantined }, async () => {
    const facts = renderFacts([
      ['written', path ?? 'nothing'],
      ['jobs', String(loaded)],
      ['left out', String(quarantined.length)],
    ])
    return [facts, ...(await renderSetAside(quarantined))].join('\n')
  })
  hintAfterExport(output, report)
}

function checked(output: Output, directory: string): Promise<Verdicts> {
  return withProgress(output, (onProgress) => checkKeepCore(directory, { onProgress }))
}

async function printVerdicts(
  output: Output,
  { loaded, superseded, quarantined }: Verdicts | ImportReport,
  more: Readonly<Record<string, unknown>>,
): Promise<void> {
  if (quarantined.length > 0) process.exitCode = 3
  const result = {
    loaded: loaded.length,
    superseded: superseded.length,
    quarantined: quarantined.map(({ file, code, reason, blocks, ...own }) => ({
      ...{ file, code, reason, blocks },
      ...('recordId' in own ? { recordId: own.recordId } : {}),
    })),
    supersededFiles: superseded.map(({ file, by, rule }) => ({ file, by, rule })),
    ...more,
  }
  await printResult(output, result, async () => {
    const counts = [...Object.entries(more), ['loaded', loaded.length]].concat([
      ['superseded', superseded.length],
      ['quarantined', quarantined.length],
    ])
    const facts = renderFacts(counts.map(([name, value]) => [String(name), String(value)]))
    const losers = superseded.map(({ file, by, rule }) => [visible(file), 'superseded', by, rule])
    const columns = ['file', 'verdict', 'by', 'rule']
    const lost = losers.length === 0 ? [] : [await renderTable({ columns, rows: losers })]
    return [facts, ...lost, ...(await renderSetAside(quarantined))].join('\n')
  })
}

async function renderSetAside(files: readonly SetAside[]): Promise<readonly string[]> {
  if (files.length === 0) return []
  const rows = files.map(({ file, code, reason, blocks }) => {
    return [visible(file), code, visible(reason), visible(describe(blocks))]
  })
  return [await renderTable({ columns: ['file', 'verdict', 'reason', 'keeps closed'], rows })]
}

function describe({ keys, outpoints, everyNewKey }: QuarantineRecord['blocks']): string {
  const named = keys.map(({ route, routeRequestId }) => `${route}:${routeRequestId}`)
  const parts = [...(everyNewKey ? ['every new key'] : []), ...named, ...outpoints]
  return parts.length === 0 ? 'nothing' : parts.join(', ')
}

/** Names and keys are others' text: what a terminal would act on is shown instead. */
function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`
  })
}

function hintAfterCheck(
  context: Context,
  { loaded, quarantined }: Verdicts,
  directory: string,
): void {
  const { output } = context
  const total = loaded.length + quarantined.length
  if (total === 0) note(output, `No job files in ${visible(directory)}.`)
  else if (quarantined.length > 0) {
    note(output, 'An import keeps their keys closed until you resolve each of them.')
  }
  if (total > 0) {
    const target = targetOf(context, {})
    note(output, `Next: ${nextCommand(target, 'covenant', 'import', directory, '--yes')}`)
  }
}

function hintAfterImport(context: Context, { loaded, quarantined }: ImportReport): void {
  const { output } = context
  const target = targetOf(context, {})
  if (quarantined.length > 0) note(output, `Next: ${nextCommand(target, 'quarantine', 'list')}`)
  if (loaded.length > 0) {
    const list = nextCommand(target, 'covenant', 'list')
    note(output, `Unfinished jobs are held until each is resumed: ${list}`)
  }
}

function hintAfterExport(output: Output, { path, quarantined }: ExportReport): void {
  if (quarantined.length === 0) return
  note(
    output,
    path === undefined
      ? 'Nothing was written: keep-core would take these keys for new ones. Resolve them first, or add --leave-out-quarantined.'
      : 'keep-core takes the keys that were left out for new ones.',
  )
}

/** Shows how far a command is, on a terminal only. */
async function withProgress<T>(
  output: Output,
  work: (onProgress: (progress: Progress) => void) => Promise<T>,
): Promise<T> {
  const shows = process.stderr.isTTY === true && !output.quiet
  const show = ({ stage, done, total }: Progress): void => {
    if (!shows) return
    const width = 24
    const filled = total === 0 ? width : Math.floor((done / total) * width)
    const bar = `${'#'.repeat(filled)}${'.'.repeat(width - filled)}`
    process.stderr.write(`\r${stage} [${bar}] ${done} / ${total}\u001b[K`)
  }
  try {
    return await work(show)
  } finally {
    if (shows) process.stderr.write('\r\u001b[K')
  }
}
