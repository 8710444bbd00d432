import { neverAborted } from '../base/abort.js'
import { adminVerifyMs } from '../base/limits.js'
import { type VerificationDocument, verificationDocument } from '../datadir/job-documents.js'
import { verifyStore } from '../datadir/store-verify.js'
import { nextCommand } from './next-command.js'
import { note, printResult, renderFacts, renderTable } from './output.js'
import { printable } from './printable.js'
import { describeBlocks } from './quarantine-view.js'
import { reach, type TargetFlags, targetOf } from './target.js'
import type { Context } from './usage.js'

/** `store verify`: compares the witnesses of the job store; status 3 when anything is damaged or fenced. */
export async function storeVerify(context: Context, flags: TargetFlags): Promise<void> {
  const { output } = context
  const target = targetOf(context, flags)
  const result = await reach(
    target,
    async (directory) => {
      const { ledger } = target.config()
      return verificationDocument(await verifyStore(directory, neverAborted, ledger))
    },
    // The daemon makes it with the same function; it is shown, nothing is done by it.
    async (client) =>
      (await client.post('/store/verify', '{}', adminVerifyMs)) as VerificationDocument,
  )
  if (!result.ok) process.exitCode = 3
  const { fenced } = result
  if (fenced.length > 0) {
    note(output, `Records that keep keys or outpoints closed: ${fenced.length}`)
    note(output, `Next: ${nextCommand(target, 'quarantine', 'list')}`)
  }
  await printResult(output, result, () => render(result))
}

async function render({ checks, report, fenced }: VerificationDocument): Promise<string> {
  const parts = [
    await renderTable({
      columns: ['check', '', 'detail', 'remedy'],
      rows: checks.map(({ name, ok, detail, remedy }) => {
        return [name, ok ? 'ok' : 'NOT OK', printable(detail), remedy]
      }),
    }),
  ]
  if (report !== null) {
    parts.push(renderFacts(Object.entries(report).map(([name, value]) => [name, String(value)])))
  }
  if (fenced.length > 0) {
    const rows = fenced.map(({ id, reason, blocks, remedy }) => {
      return [id, printable(reason), describeBlocks(blocks), remedy]
    })
    parts.push(await renderTable({ columns: ['record', 'reason', 'keeps closed', 'remedy'], rows }))
  }
  return parts.join('\n\n')
}
