import { doctor } from '../datadir/doctor.js'
import { printResult, renderTable } from './output.js'
import type { Context } from './usage.js'

/** `doctor`: prints every check; exit status 3 when one of them is not ok. */
export async function runDoctor({ output, dataDir }: Context): Promise<void> {
  const diagnosis = await doctor(dataDir.path)
  if (!diagnosis.ok) process.exitCode = 3
  await printResult(output, diagnosis, () =>
    renderTable({
      columns: ['check', '', 'detail'],
      rows: diagnosis.checks.map(({ name, ok, detail }) => [name, ok ? 'ok' : 'NOT OK', detail]),
    }),
  )
}
