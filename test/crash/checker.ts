import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Holdfast } from '../../src/holdfast.js'
import { beyond, type Dump, differences, dump } from './dump.js'
import type { Failure, Said } from './run.js'
import { fixture, type Start, type State } from './starts.js'

/** The two states of one start that are whole, and the wallet itself. */
export type Reference = {
  readonly zero: Dump
  readonly all: Dump
  readonly walletId: string
  /** Accounts, addresses and birth height as JSON. */
  readonly wallet: string
}

export type CheckRequest = {
  readonly dataDir: string
  readonly dist: string
  readonly start: Start
  readonly reference: Reference
  /** What the process that died here had said; undefined for an image of a power cut. */
  readonly said: Said | undefined
  /** What was promised before the process died, or the power went. */
  readonly promised: 'ZERO' | 'ALL' | undefined
  readonly killed: boolean
}

export type Verdict = {
  readonly state: State
  readonly violations: readonly string[]
  /** What the retry answered: `registered` or an error's code. */
  readonly retry: string
}

/**
 * Judges what a process left behind: by itself, after the next open, and after an immediate retry.
 *
 * @remarks Opens the directory through the product and leaves it changed.
 */
export async function check(request: CheckRequest): Promise<Verdict> {
  const violations = [...judgeWords(request), ...judgeAtOnce(request)]
  try {
    const { state, retry } = await judgeNextOpen(request, violations)
    return { state, violations, retry }
  } catch (error) {
    violations.push(`the next open failed: ${describe(error)}`)
    return { state: 'TORN', violations, retry: '-' }
  }
}

const scratchOf = (request: { readonly dataDir: string }): string =>
  join(request.dataDir, '..', '..', 'scratch')

/** Rules on what the process said, whatever stands on disk. */
function judgeWords({ said, killed }: CheckRequest): string[] {
  if (said === undefined) return []
  const found: string[] = []
  for (const error of [said.error, said.closeError, said.retry]) {
    if (error === undefined || error.stage === undefined) continue
    if (error.typed !== true) found.push(`untyped error: ${error.shown}`)
    if (error.leak === true) found.push('the seed or the passphrase stands in an error')
    if (error.visible === true)
      found.push(`${error.code}: the wallet is in memory or was announced`)
  }
  if (!killed && !said.done && said.closeError === undefined) {
    found.push('the process ended without an answer')
  }
  if (said.opened && said.opened.skipped.length > 0) {
    found.push(`load skipped: ${JSON.stringify(said.opened.skipped)}`)
  }
  if (said.retry && said.retry.id === undefined && isRolledBack(said.error)) {
    found.push(`the retry in the same process failed: ${said.retry.shown}`)
  }
  return found
}

/** An error that promises that nothing was kept. */
const isRolledBack = (error: Failure | undefined): boolean =>
  error?.stage === 'register' && error.code !== 'PromoteOutcomeUnknown'

/** Rules that hold before any recovery. */
function judgeAtOnce(request: CheckRequest): string[] {
  const { said, reference, start, dataDir } = request
  if (said === undefined) return []
  const want = expectedAtOnce(request)
  if (want === undefined) return []
  const found = dump(dataDir, scratchOf(request))
  // The inventory may lag behind an acknowledged wallet; the next open adds what is missing.
  const lag = want === 'ALL' ? /wallets\.inventory/ : /^$/
  const problems = stateOf(found, reference, start)[want].filter((line) => !lag.test(line))
  if (problems.length === 0) return []
  return [`at once after "${said.error?.code ?? 'done'}": want ${want}\n${problems.join('\n')}`]
}

function expectedAtOnce({ said, start }: CheckRequest): 'ZERO' | 'ALL' | undefined {
  if (said === undefined) return undefined
  if (start.op === 'recover') {
    // What recovery could not finish it reports, and the next open tries again.
    const finished = said.done && said.opened?.report.deferred.length === 0
    return finished && start.expect !== 'TORN' ? start.expect : undefined
  }
  const acked = said.acked ?? said.retry
  if (acked !== undefined && 'id' in acked) {
    return said.done && !acked.warnings?.includes('secretPendingFinalise') ? 'ALL' : undefined
  }
  if (said.retry !== undefined) return undefined
  return isRolledBack(said.error) && said.error?.cleanup !== 'deferred' ? 'ZERO' : undefined
}

async function judgeNextOpen(
  request: CheckRequest,
  violations: string[],
): Promise<{ readonly state: State; readonly retry: string }> {
  const { dataDir, reference, start } = request
  const holdfast = await openIn(request)
  let state: State
  let retry: string
  try {
    const { loaded, skipped } = await holdfast.wallets.loadAll()
    const found = dump(dataDir, scratchOf(request))
    const problems = stateOf(found, reference, start)
    state = problems.ZERO.length === 0 ? 'ZERO' : problems.ALL.length === 0 ? 'ALL' : 'TORN'
    if (state === 'TORN') {
      const nearer = problems.ZERO.length <= problems.ALL.length ? 'ZERO' : 'ALL'
      violations.push(`TORN, nearest to ${nearer}:\n${problems[nearer].slice(0, 12).join('\n')}`)
    }
    if (skipped.length > 0) violations.push(`load skipped: ${JSON.stringify(skipped)}`)
    if (loaded.some((id) => id === reference.walletId) !== (state === 'ALL')) {
      violations.push(`state ${state}, but load answered ${JSON.stringify(loaded)}`)
    }
    if (state === 'ALL') violations.push(...(await judgeWallet(holdfast, request)))
    violations.push(...judgeState(request, state))
    retry = await retryOnce(holdfast, start)
    const wanted = state === 'ALL' ? 'WalletAlreadyExists' : 'registered'
    if (retry !== wanted) violations.push(`the retry answered ${retry}, want ${wanted}`)
    if (retry === 'registered') violations.push(...(await judgeWallet(holdfast, request)))
  } finally {
    await holdfast.close()
  }
  const problems = stateOf(dump(dataDir, scratchOf(request)), reference, start).ALL
  const names = namesDiffer(request)
  if (problems.length > 0) violations.push(`after the retry: want ALL\n${problems.join('\n')}`)
  if (names.length > 0) violations.push(`after the retry, names of files: ${names.join(', ')}`)
  return { state, retry }
}

/** Whether the state may follow what the process had promised. */
function judgeState({ said, promised, start }: CheckRequest, state: State): string[] {
  const found: string[] = []
  if (promised !== undefined && state !== promised) {
    found.push(`${promised} was promised, but ${state} after the next open`)
  }
  if (
    promised === undefined &&
    isRolledBack(said?.error) &&
    said?.retry === undefined &&
    state !== 'ZERO'
  ) {
    found.push(`${said?.error?.code} promised that nothing was kept, but ${state}`)
  }
  if (start.expect !== undefined && start.op === 'recover' && state !== start.expect) {
    found.push(`recovery must end in ${start.expect}, but ${state}`)
  }
  return found
}

/** What keeps a dump from being each of the two whole states. */
function stateOf(
  found: Dump,
  reference: Reference,
  start: Start,
): { readonly ZERO: readonly string[]; readonly ALL: readonly string[] } {
  // A new database has its own random generation; everything else must be the very same row.
  if (start.base.startsWith('fresh')) {
    return {
      ZERO: differences(found, reference.zero, 'masked'),
      ALL: differences(found, reference.all, 'masked'),
    }
  }
  const wanted = beyond(reference.all, reference.zero)
  const { added, lost } = beyond(found, reference.zero)
  const unexpected = lost.filter((line) => !wanted.lost.includes(line))
  return {
    ZERO: differences(found, reference.zero, 'exact'),
    ALL: [...unexpected, ...differences(added, wanted.added, 'masked')],
  }
}

function namesDiffer(request: CheckRequest): readonly string[] {
  const found = dump(request.dataDir, scratchOf(request)).names
  const wanted = request.reference.all.names
  return [
    ...found.filter((name) => !wanted.includes(name)).map((name) => `+${name}`),
    ...wanted.filter((name) => !found.includes(name)).map((name) => `-${name}`),
  ]
}

async function judgeWallet(holdfast: Holdfast, request: CheckRequest): Promise<string[]> {
  const { reference, start } = request
  const found: string[] = []
  if (viewOf(holdfast, reference.walletId) !== reference.wallet) {
    found.push('the wallet has other accounts, addresses or another birth height')
  }
  if (!start.secret) return found
  const ref = { walletId: idOf(reference.walletId), label: fixture.label }
  const secret = await holdfast.vault?.read(ref)
  const hex = secret === undefined ? 'none' : Buffer.from(secret).toString('hex')
  if (hex !== fixture.seedHex) found.push('the vault holds another secret for the wallet, or none')
  return found
}

/** The public face of one wallet in memory, as JSON. */
export function viewOf(holdfast: Holdfast, walletId: string): string {
  const { id, groupId, network, birthHeight, accounts, ...wallet } = holdfast.wallets.get(
    idOf(walletId),
  )
  const addresses = { core: wallet.addresses('core'), platform: wallet.addresses('platform') }
  return JSON.stringify({ id, groupId, network, birthHeight, accounts, addresses })
}

type WalletId = Parameters<Holdfast['wallets']['get']>[0]
/** The id came out of the product itself, as text through a pipe. */
export const idOf = (text: string): WalletId => text as WalletId

async function retryOnce(holdfast: Holdfast, start: Start): Promise<string> {
  try {
    await registerIn(holdfast, start.secret)
    return 'registered'
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : describe(error)
  }
}

/** Registers the wallet under test. */
export function registerIn(holdfast: Holdfast, secret: boolean): Promise<{ readonly id: string }> {
  return holdfast.wallets.createFromSeedBytes({
    seed: Uint8Array.from(Buffer.from(fixture.seedHex, 'hex')),
    network: fixture.network,
    birthHeight: fixture.birthHeight,
    ...(secret ? { persistSecret: { label: fixture.label } } : {}),
  })
}

/** Opens the data directory with the product built in `dist`, as the start's process does. */
export async function openIn(
  where: Pick<CheckRequest, 'dataDir' | 'dist' | 'start'>,
): Promise<Holdfast> {
  const url = pathToFileURL(join(where.dist, 'holdfast.js')).href
  const product = (await import(url)) as typeof import('../../src/holdfast.js')
  // A power cut may have left a directory without the vault that a later step would have made.
  const passphrase = new TextEncoder().encode(fixture.passphrase)
  const unlock = where.start.secret && existsSync(join(where.dataDir, 'vault'))
  return product.openHoldfast({ dataDir: where.dataDir, ...(unlock ? { passphrase } : {}) })
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error ? `${String(error.code)}: ` : ''
  const cause = error.cause === undefined ? '' : `\n  because ${describe(error.cause)}`
  return `${code}${error.message}${cause}`
}
