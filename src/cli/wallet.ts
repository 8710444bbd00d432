import { lstatSync } from 'node:fs'
import { checkDirectory } from '../base/directory-guard.js'
import { HoldfastError } from '../base/errors.js'
import { parseWalletId, type WalletId } from '../base/ids.js'
import { layoutOf } from '../datadir/layout.js'
import { type Holdfast, openHoldfast } from '../holdfast.js'
import { deriveWallet } from '../wallet/derive.js'
import type { WalletHandle } from '../wallet/handle.js'
import { WalletNotFound } from '../wallet/live.js'
import type { LoadOutcome } from '../wallet/load.js'
import { parseNetwork } from '../wallet/network.js'
import { note, type Output, printResult, renderFacts, renderTable } from './output.js'
import { askPhrase, canAsk } from './prompt.js'
import { readPhrase } from './secret-input.js'
import { reach, type TargetFlags, targetOf } from './target.js'
import { type Context, Usage } from './usage.js'
import { renderAccounts, summaryOf } from './wallet-view.js'
import { phraseProblem } from './words.js'

/** `wallet list`: every wallet with its state, and the damaged ones with the reason. */
export async function walletList(context: Context, flags: TargetFlags): Promise<void> {
  const { output } = context
  const outcome = await reach(
    targetOf(context, flags),
    loadExisting,
    // The daemon lists the same; it is shown, nothing is done by it.
    async (client) => (await client.get('/wallets')) as Listing,
  )
  const { wallets, quarantined } = outcome
  if (quarantined.length > 0) {
    note(output, `${quarantined.length} damaged; "holdfast doctor" looks closer.`)
  }
  await printResult(output, { wallets, quarantined }, () => renderList(output, outcome))
}

type Listing = {
  readonly wallets: readonly { walletId: WalletId; network: string; state: 'active' }[]
  readonly quarantined: readonly { walletId: WalletId; reason: string; detail: string }[]
}

/** Reads what is there; a directory without wallets stays as it is. */
async function loadExisting(directory: string): Promise<Listing> {
  const present = lstatSync(directory, { throwIfNoEntry: false }) !== undefined
  if (!present || !holdsWallets(directory)) return { wallets: [], quarantined: [] }
  const holdfast = await openHoldfast({ dataDir: directory, create: false })
  try {
    const outcome: LoadOutcome = await holdfast.wallets.loadAll()
    return {
      wallets: holdfast.wallets
        .list()
        .map(({ id, network }) => ({ walletId: id, network, state: 'active' })),
      quarantined: outcome.skipped.map(({ walletId, reason, detail }) => ({
        walletId,
        reason,
        detail,
      })),
    }
  } finally {
    await holdfast.close()
  }
}

/** Whether there is anything to open; opening an empty directory would make a database in it. */
function holdsWallets(directory: string): boolean {
  const { wallets, inventory } = layoutOf(checkDirectory(directory))
  return [wallets, inventory].some(
    (path) => lstatSync(path, { throwIfNoEntry: false }) !== undefined,
  )
}

async function renderList(output: Output, { wallets, quarantined }: Listing): Promise<string> {
  if (wallets.length + quarantined.length === 0) {
    note(output, 'No wallets here.')
    return ''
  }
  return renderTable({
    columns: ['wallet', 'network', 'state'],
    rows: [
      ...wallets.map(({ walletId, network, state }) => [walletId, network, state]),
      ...quarantined.map(({ walletId, reason }) => [walletId, '-', `damaged: ${reason}`]),
    ],
  })
}

/** `wallet show ID`: one wallet with its accounts and addresses. */
export async function walletShow({ output, dataDir }: Context, idText: string): Promise<void> {
  const facts = await withWallet(dataDir.path, idText, (wallet) => ({
    ...summaryOf(wallet),
    birthHeight: wallet.birthHeight,
    balance: balanceOf(wallet),
    addresses: { platform: wallet.addresses('platform'), core: wallet.addresses('core') },
  }))
  await printResult(output, facts, async () =>
    [
      renderFacts([
        ['wallet', facts.walletId],
        ['group', facts.groupId],
        ['network', facts.network],
        ['generation', facts.generation],
        ['birth height', String(facts.birthHeight)],
        [
          'balance',
          facts.balance.kind === 'known' ? `${facts.balance.credits} credits` : 'unknown',
        ],
      ]),
      await renderAccounts(facts.accounts),
      await renderTable({
        columns: ['address', 'path'],
        rows: [...facts.addresses.platform, ...facts.addresses.core].map(({ address, path }) => [
          address,
          path,
        ]),
      }),
    ].join('\n\n'),
  )
}

/** `wallet address ID`: the next address to receive on. */
export async function walletAddress(
  { output, dataDir }: Context,
  idText: string,
  options: { readonly core?: boolean },
): Promise<void> {
  const kind = options.core === true ? 'core' : 'platform'
  const found = await withWallet(dataDir.path, idText, (wallet) => {
    const next = wallet.nextAddress(kind)
    if (next === undefined) throw new AddressUnavailable(wallet.id, kind)
    return { address: next.address, path: next.path, index: next.index }
  })
  await printResult(output, found, () => found.address)
}

/** `wallet derive`: what `wallet create` would register, without writing anything. */
export async function walletDerive(
  { output }: Context,
  options: { readonly network: string; readonly wordsFile?: string },
): Promise<void> {
  const network = parseNetwork(options.network)
  if (options.wordsFile === undefined && !canAsk()) {
    throw new Usage('wallet derive wants --words-file F when there is no terminal to ask on')
  }
  const phrase =
    options.wordsFile === undefined
      ? await askPhrase(phraseProblem)
      : await readPhrase(options.wordsFile)
  const { walletId, groupId, accounts } = deriveWallet({ phrase, network })
  await printResult(output, { walletId, groupId, network, accounts }, async () =>
    [
      renderFacts([
        ['wallet', walletId],
        ['group', groupId],
        ['network', network],
      ]),
      await renderAccounts(accounts),
    ].join('\n\n'),
  )
}

async function withWallet<T>(
  directory: string,
  idText: string,
  use: (wallet: WalletHandle) => T,
): Promise<T> {
  const id = parseId(idText)
  if (!holdsWallets(directory)) throw new WalletNotFound(id)
  const holdfast: Holdfast = await openHoldfast({ dataDir: directory, create: false })
  try {
    return use(await holdfast.wallets.load(id))
  } finally {
    await holdfast.close()
  }
}

function parseId(text: string): WalletId {
  try {
    return parseWalletId(text)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new Usage(error.message, 'Copy the id from "holdfast wallet list".')
  }
}

function balanceOf(
  wallet: WalletHandle,
): { kind: 'known'; credits: string; height: string } | { kind: 'unavailable'; source: string } {
  const reading = wallet.platformBalance()
  return reading.kind === 'known'
    ? { kind: 'known', credits: String(reading.value), height: String(reading.heightBlocks) }
    : { kind: 'unavailable', source: reading.source }
}

/** The wallet has no account of the kind, or no unused address left in it. */
export class AddressUnavailable extends HoldfastError {
  readonly code = 'AddressUnavailable'
  constructor(walletId: WalletId, kind: string) {
    super(`wallet ${walletId}: no unused ${kind} address`, {
      retry: 'after-fix',
      remedy: 'Look at the accounts with "holdfast wallet show".',
    })
  }
}
