import { readLedgerHead, verifyLedger } from '../datadir/ledger-verify.js'
import { note, printResult, renderFacts, renderTable } from './output.js'
import type { Context } from './usage.js'

/** `ledger verify`: checks every line and changes nothing; status 3 when a check is not ok. */
export async function ledgerVerify({ output, dataDir }: Context): Promise<void> {
  const diagnosis = await verifyLedger(dataDir.path)
  if (!diagnosis.ok) {
    process.exitCode = 3
    note(output, 'Next: holdfast store verify writes lost lines again from the database.')
  }
  await printResult(output, diagnosis, () =>
    renderTable({
      columns: ['check', '', 'detail'],
      rows: diagnosis.checks.map(({ name, ok, detail }) => [name, ok ? 'ok' : 'NOT OK', detail]),
    }),
  )
}

/** `ledger head`: the last line; status 3 when lines behind it cannot be read. */
export async function ledgerHead({ output, dataDir }: Context): Promise<void> {
  const { seq, hash, at, unreadable } = readLedgerHead(dataDir.path)
  if (unreadable > 0) {
    process.exitCode = 3
    note(output, `Unreadable lines behind it: ${unreadable}; "holdfast ledger verify" says more.`)
  }
  await printResult(output, { seq: Number(seq), hash, at }, () =>
    renderFacts([
      ['seq', String(seq)],
      ['hash', hash],
      ...(at === undefined ? [] : [['at', at] as const]),
    ]),
  )
}
