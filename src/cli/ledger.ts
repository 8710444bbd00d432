import { DataDirLocked, holdIfFree } from '../base/directory-lock.js'
import { adminVerifyMs } from '../base/limits.js'
import type { Diagnosis } from '../datadir/doctor.js'
import { readLedgerHead, verifyLedger } from '../datadir/ledger-verify.js'
import { type AdminClient, DaemonUnreachable } from './client.js'
import { nextCommand } from './next-command.js'
import { note, type Output, printResult, renderFacts, renderTable } from './output.js'
import { reach, type Target, type TargetFlags, targetOf } from './target.js'
import type { Context } from './usage.js'

/** `ledger verify`: checks every line and changes nothing; status 3 when a check is not ok. */
export async function ledgerVerify(context: Context, flags: TargetFlags): Promise<void> {
  const { output } = context
  const target = targetOf(context, flags)
  const diagnosis = await readOrAsk(
    { output, target },
    (directory) => verifyLedger(directory, target.config().ledger),
    // The daemon makes it with the same function; it is shown, nothing is done by it.
    async (client) => (await client.post('/ledger/verify', '{}', adminVerifyMs)) as Diagnosis,
  )
  if (!diagnosis.ok) {
    process.exitCode = 3
    const mend = nextCommand(target, 'store', 'verify')
    note(output, `Next: ${mend} writes lost lines again from the database.`)
  }
  await printResult(output, diagnosis, () =>
    renderTable({
      columns: ['check', '', 'detail'],
      rows: diagnosis.checks.map(({ name, ok, detail }) => [name, ok ? 'ok' : 'NOT OK', detail]),
    }),
  )
}

/** `ledger head`: the last line; status 3 when lines behind it cannot be read. */
export async function ledgerHead(context: Context, flags: TargetFlags): Promise<void> {
  const { output } = context
  const target = targetOf(context, flags)
  const head = await readOrAsk(
    { output, target },
    async (directory) => headHere(output, directory),
    async (client) => (await client.get('/ledger/head')) as Head, // as above
  )
  await printResult(output, head, () =>
    renderFacts([
      ['seq', String(head.seq)],
      ['hash', head.hash],
      ...(head.at === undefined ? [] : [['at', head.at] as const]),
    ]),
  )
}

type Head = { readonly seq: number; readonly hash: string; readonly at?: string | undefined }

function headHere(output: Output, directory: string): Head {
  const { seq, hash, at, unreadable } = readLedgerHead(directory)
  if (unreadable > 0) {
    process.exitCode = 3
    note(output, `Unreadable lines behind it: ${unreadable}; "holdfast ledger verify" says more.`)
  }
  return { seq: Number(seq), hash, at }
}

/** A ledger can be read beside a daemon that writes it, so that one that cannot be asked need not be. */
async function readOrAsk<T>(
  { output, target }: { readonly output: Output; readonly target: Target },
  read: (directory: string) => Promise<T>,
  ask: (client: AdminClient) => Promise<T>,
): Promise<T> {
  try {
    return await reach(
      target,
      (directory) => {
        refuseHeld(directory)
        return read(directory)
      },
      ask,
    )
  } catch (error) {
    if (!(error instanceof DaemonUnreachable)) throw error
    note(output, `Read from the files beside the process that holds them. ${error.message}`)
    return read(target.path)
  }
}

/** @throws DataDirLocked */
function refuseHeld(directory: string): void {
  let lock: ReturnType<typeof holdIfFree>
  try {
    lock = holdIfFree(directory)
  } catch {
    // What is wrong with the lock is found again, and said, by whoever reads.
    return
  }
  if (lock === 'held') throw new DataDirLocked(directory)
  if (typeof lock === 'object') lock.release()
}
