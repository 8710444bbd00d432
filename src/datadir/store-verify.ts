import { neverAborted } from '../base/abort.js'
import { acquireDirectory } from '../base/directory-lock.js'
import { isHoldfastError } from '../base/errors.js'
import { listedMax } from '../base/limits.js'
import type { JobStore, QuarantineRecord, ReconcileReport } from '../covenant/store.js'
import { loadDriver } from '../store/sqlite/driver.js'
import { jobDatabase, openSqliteJobStore } from '../store/sqlite/index.js'
import { inspect } from '../store/sqlite/inspect.js'
import { type Check, failed } from './check.js'
import { findJobFiles, type JobFiles } from './job-files.js'
import { layoutOf } from './layout.js'
import { checkLedger, type WitnessOptions } from './ledger-verify.js'

/** A check with what to do when it is not ok. */
export type StoreCheck = Check & { readonly remedy: string }

/** A record that keeps keys or outpoints closed, and how that ends; '' for one that was retired. */
export type Fenced = QuarantineRecord & { readonly remedy: string }

/** What verifying a job store found. */
export type StoreVerification = {
  /** False when anything was damaged, or is fenced and not retired. */
  readonly ok: boolean
  /** Pages and ledger as they were found, then the store after its two witnesses were compared. */
  readonly checks: readonly StoreCheck[]
  /** Undefined when there is no store, or the comparison failed. */
  readonly report: ReconcileReport | undefined
  /** Whether the store takes new keys; undefined when there is no store. */
  readonly newKeys: boolean | undefined
  /** At most 10,000. */
  readonly fenced: readonly Fenced[]
}

/**
 * Compares the two witnesses of a directory's job store line by line and row by row, and heals what either of them
 * can still vouch for. A directory without a job store stays as it is.
 *
 * @throws DataDirLocked, and what opening a store throws
 */
export async function verifyStore(
  directory: string,
  signal: AbortSignal = neverAborted,
  { witnessPath }: WitnessOptions = {},
): Promise<StoreVerification> {
  const files = findJobFiles(directory)
  if (files === undefined) return without(check('jobs', true, 'no job store yet'))
  if (!files.hasDatabase) {
    const detail = 'the database is missing, and there is a ledger of it'
    return without(check('jobs', false, detail, 'Restore the database from a backup.'))
  }
  const lock = acquireDirectory(files.root)
  try {
    const asFound = [await checkPages(files), ...(await checkLedgerAsFound(files))]
    const guard = (): void => lock.assertHeld()
    const options = { create: false, guard, witnessPath }
    const store = await openSqliteJobStore(lock.path, options)
    try {
      return await compare(store, asFound, signal)
    } finally {
      await store.close()
    }
  } finally {
    lock.release()
  }
}

/**
 * As `verifyStore`, on a store that this process has open. Its pages stay unseen: a second handle would give up the
 * locks of the first.
 *
 * @throws what `findJobFiles` throws; Aborted
 */
export async function verifyOpenStore(
  directory: string,
  store: JobStore,
  signal: AbortSignal,
): Promise<StoreVerification> {
  const files = findJobFiles(directory)
  const pages = check('pages', true, 'not looked at while a process holds the store')
  const lines = files === undefined ? [] : await checkLedgerAsFound(files)
  return compare(store, [pages, ...lines], signal)
}

async function compare(
  store: JobStore,
  asFound: readonly StoreCheck[],
  signal: AbortSignal,
): Promise<StoreVerification> {
  const checks = [...asFound]
  let report: ReconcileReport | undefined
  try {
    report = await store.reconcile(signal)
    checks.push(mendedCheck(report))
  } catch (error) {
    if (!isHoldfastError(error) || signal.aborted) throw error
    checks.push({ ...failed('reconcile', error), remedy: error.remedy })
  }
  const { newKeys, checks: readiness } = store.readiness()
  const records = await store.listQuarantined(listedMax)
  checks.push(...readiness)
  return {
    ok: checks.every(({ ok }) => ok) && records.every(({ state }) => state === 'retired'),
    checks,
    report,
    newKeys,
    fenced: records.map((record) => ({ ...record, remedy: remedyOf(record) })),
  }
}

/** What was mended is whole now, and still damage that somebody should look into. Lines ahead of a crash are not. */
function mendedCheck(report: ReconcileReport): StoreCheck {
  const { settlementsRestored, intentsRestored, repairedLines, indexesRebuilt } = report
  const found = [
    `${settlementsRestored} results restored`,
    `${intentsRestored} intents restored`,
    `${repairedLines} ledger lines written again`,
    ...(indexesRebuilt ? ['indexes rebuilt'] : []),
  ].filter((text) => !text.startsWith('0 '))
  if (found.length === 0) return check('mended', true, 'nothing had to be mended')
  return check(
    'mended',
    false,
    found.join(', '),
    'Check the disk; the store itself is whole again.',
  )
}

/** Asks SQLite for its own opinion of the file, before anything can mend it. */
async function checkPages({ root }: JobFiles): Promise<StoreCheck> {
  const kind = { ...jobDatabase(), checksPages: true }
  const remedy = 'Rows that are lost show below; if any is, check the disk and compare a backup.'
  try {
    const { rowComplaints } = inspect(await loadDriver(), layoutOf(root).jobs, kind)
    if (rowComplaints.length === 0) return check('pages', true, 'whole')
    const more = rowComplaints.length > 3 ? `; and ${rowComplaints.length - 3} more` : ''
    return check('pages', false, `${rowComplaints.slice(0, 3).join('; ')}${more}`, remedy)
  } catch (error) {
    // Damaged pages are a finding; a file that is not ours is refused.
    if (!isHoldfastError(error) || error.code !== 'IntegrityCheckFailed') throw error
    return check('pages', false, error.message, remedy)
  }
}

/** What is wrong with the ledger; comparing writes lost lines again, so that it is looked at before. */
async function checkLedgerAsFound(files: JobFiles): Promise<readonly StoreCheck[]> {
  const remedy = 'Lines that a row vouches for were written again; look at the disk.'
  const names: Readonly<Record<string, string>> = {
    ...{ files: 'ledgerFiles', chain: 'ledgerChain', lines: 'ledgerLines', store: 'ledgerStore' },
  }
  return (await checkLedger(files)).flatMap(({ name, ok, detail }) => {
    const known = names[name]
    return known === undefined ? [] : [check(known, ok, detail, ok ? '' : remedy)]
  })
}

function without(only: StoreCheck): StoreVerification {
  const { ok } = only
  return { ok, checks: [only], report: undefined, newKeys: undefined, fenced: [] }
}

function check(name: string, ok: boolean, detail: string, remedy = ''): StoreCheck {
  return { name, ok, detail, remedy }
}

function remedyOf({ id, kind, state }: QuarantineRecord): string {
  if (state === 'retired') return ''
  const resolve = `"holdfast quarantine resolve ${id}"`
  if (kind === 'job') {
    return `Let the client send the same request again, which rebuilds a lost record; or ${resolve}.`
  }
  if (kind === 'ledger') return `Compare the ledger with a backup, then ${resolve}.`
  if (kind === 'intent') return `Find out what was signed for the outpoint, then ${resolve}.`
  return `Look at the file that was set aside, then ${resolve}.`
}
