import { type StoreVerification, verifyStore } from '../datadir/store-verify.js'
import { printable } from './covenant-view.js'
import { note, printResult, renderFacts, renderTable } from './output.js'
import type { Context } from './usage.js'

/** `store verify`: compares the witnesses of the job store; status 3 when anything is damaged or fenced. */
export async function storeVerify({ output, dataDir }: Context): Promise<void> {
  const found = await verifyStore(dataDir.path)
  if (!found.ok) process.exitCode = 3
  const { ok, checks, newKeys = null, report, fenced } = found
  const counts = report && { ...report, lines: Number(report.lines), rows: Number(report.rows) }
  const result = {
    ...{ ok, checks, newKeys, report: counts ?? null },
    fenced: fenced.map(({ foundAtMs, sizeBytes, requestId, ...record }) => ({
      ...record,
      ...(requestId === undefined ? {} : { requestId }),
      size: sizeBytes,
      foundAt: new Date(foundAtMs).toISOString(),
    })),
  }
  if (fenced.length > 0)
    note(output, `Records that keep keys or outpoints closed: ${fenced.length}`)
  await printResult(output, result, () => render(found))
}

async function render({ checks, report, fenced }: StoreVerification): Promise<string> {
  const parts = [
    await renderTable({
      columns: ['check', '', 'detail', 'remedy'],
      rows: checks.map(({ name, ok, detail, remedy }) => {
        return [name, ok ? 'ok' : 'NOT OK', printable(detail), remedy]
      }),
    }),
  ]
  if (report !== undefined) {
    parts.push(renderFacts(Object.entries(report).map(([name, value]) => [name, String(value)])))
  }
  if (fenced.length > 0) {
    const rows = fenced.map(({ id, reason, blocks, remedy }) => {
      const keys = blocks.keys.map(({ route, routeRequestId }) => `${route}:${routeRequestId}`)
      const closed = [...(blocks.everyNewKey ? ['every new key'] : []), ...keys]
      return [id, printable(reason), printable([...closed, ...blocks.outpoints].join(', ')), remedy]
    })
    parts.push(await renderTable({ columns: ['record', 'reason', 'keeps closed', 'remedy'], rows }))
  }
  return parts.join('\n\n')
}
