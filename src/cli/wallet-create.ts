import { lstatSync } from 'node:fs'
import { wipe } from '../base/bytes.js'
import { checkDirectory, createDirectory } from '../base/directory-guard.js'
import { isHoldfastError } from '../base/errors.js'
import { requireVault } from '../datadir/vault.js'
import { type Holdfast, openHoldfast } from '../holdfast.js'
import type { WalletHandle } from '../wallet/handle.js'
import { newPhrase, seedFromPhrase, type WordCount } from '../wallet/mnemonic.js'
import { type Network, parseNetwork } from '../wallet/network.js'
import { note, printResult, renderFacts } from './output.js'
import { askPassphrase, askPhrase, askWordSource, canAsk, showAndConfirm } from './prompt.js'
import { readPassphrase, readPhrase } from './secret-input.js'
import { type Context, Usage } from './usage.js'
import { renderAccounts, summaryOf } from './wallet-view.js'
import { phraseProblem, type WordsFile, writeWords } from './words.js'

/** Options of `wallet create` as the command line gives them. */
export type CreateFlags = {
  readonly network: string
  readonly wordsFile?: string
  readonly wordsOut?: string
  readonly wordCount?: WordCount
  readonly birthHeight?: number
  readonly keepSecret?: boolean
  readonly label?: string
  readonly passphraseFile?: string
  readonly replaceQuarantined?: boolean
}

/** Label of a kept secret when none is named. */
const defaultLabel = 'seed'

/**
 * `wallet create`: registers a wallet, all or nothing.
 *
 * @remarks Everything that can be refused without the store is refused before anything is written. An existing
 * directory is opened before new words are shown, so that nobody writes down words in vain.
 */
export async function walletCreate(context: Context, flags: CreateFlags): Promise<void> {
  const network = parseNetwork(flags.network)
  refuseContradictions(flags)
  const given = flags.wordsFile === undefined ? undefined : await validPhrase(flags.wordsFile)
  const { path } = context.dataDir
  const present = lstatSync(path, { throwIfNoEntry: false }) !== undefined
  if (present) checkDirectory(path)
  if (flags.keepSecret === true) requireVault(path, flags.label ?? defaultLabel)
  const passphrase = flags.keepSecret === true ? await vaultPassphrase(flags) : undefined
  let holdfast: Holdfast | undefined
  try {
    if (present) holdfast = await open(context, passphrase)
    const phrase = given ?? (await otherPhrase(flags))
    holdfast ??= await open(context, passphrase)
    const wallet = await register(holdfast, context, { phrase, network, flags })
    await printWallet(context, wallet)
  } finally {
    wipe(passphrase)
    await close(context, holdfast)
  }
}

function refuseContradictions(flags: CreateFlags): void {
  const { wordsFile, wordsOut, wordCount, keepSecret, label, passphraseFile } = flags
  if (wordsFile !== undefined && wordsOut !== undefined) {
    throw new Usage('--words-file takes existing words and --words-out makes new ones; choose one')
  }
  if (wordsFile !== undefined && wordCount !== undefined) {
    throw new Usage('--word-count is for new words, not for --words-file')
  }
  if (keepSecret !== true && (label !== undefined || passphraseFile !== undefined)) {
    throw new Usage('--label and --passphrase-file belong to --keep-secret')
  }
  if (wordsFile !== undefined && wordsFile === passphraseFile) {
    throw new Usage('words and passphrase cannot come from the same place')
  }
  if (wordsOut === '-') throw new Usage('--words-out wants the name of a new file')
  if (wordsFile === undefined && wordsOut === undefined && !canAsk()) {
    throw new Usage(
      'no words and no terminal to ask on',
      'Give existing words with --words-file F, or have new ones written with --words-out F.',
    )
  }
  if (keepSecret === true && passphraseFile === undefined && !canAsk()) {
    throw new Usage('--keep-secret wants --passphrase-file F when there is no terminal to ask on')
  }
}

async function validPhrase(source: string): Promise<string> {
  const phrase = await readPhrase(source)
  wipe(seedFromPhrase(phrase))
  return phrase
}

function vaultPassphrase({ passphraseFile }: CreateFlags): Promise<Uint8Array> {
  return passphraseFile === undefined ? askPassphrase('existing') : readPassphrase(passphraseFile)
}

/** New words, or words typed by a person. */
async function otherPhrase({ wordsOut, wordCount }: CreateFlags): Promise<string> {
  if (wordsOut !== undefined) return newPhrase(wordCount)
  if ((await askWordSource()) === 'existing') return askPhrase(phraseProblem)
  const phrase = newPhrase(wordCount)
  await showAndConfirm(phrase)
  return phrase
}

function open(context: Context, passphrase: Uint8Array | undefined): Promise<Holdfast> {
  const { path, origin } = context.dataDir
  if (origin === 'default') createDirectory(path, { parents: true })
  return openHoldfast({ dataDir: path, ...(passphrase === undefined ? {} : { passphrase }) })
}

type Wanted = { readonly phrase: string; readonly network: Network; readonly flags: CreateFlags }

async function register(
  { wallets }: Holdfast,
  context: Context,
  { phrase, network, flags }: Wanted,
): Promise<WalletHandle> {
  const { wordsOut, birthHeight, keepSecret, label, replaceQuarantined } = flags
  const file =
    wordsOut === undefined ? undefined : writeWords(wordsOut, phrase, context.dataDir.path)
  const stop = new AbortController()
  const onSignal = (): void => stop.abort()
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
  try {
    return await wallets.createFromMnemonic({
      phrase,
      network,
      ...(birthHeight === undefined ? {} : { birthHeight }),
      ...(keepSecret === true ? { persistSecret: { label: label ?? defaultLabel } } : {}),
      replaceQuarantined: replaceQuarantined ?? false,
      signal: stop.signal,
    })
  } catch (error) {
    removeUnusedWords(context, file, error)
    throw error
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
  }
}

/** The words stay when a wallet of theirs may exist: they would be the only copy. */
function removeUnusedWords({ output }: Context, file: WordsFile | undefined, error: unknown): void {
  if (file === undefined) return
  if (!isHoldfastError(error) || error.code === 'PromoteOutcomeUnknown') {
    note(output, 'The words file was kept: the wallet may have been registered.')
    return
  }
  try {
    file.remove()
  } catch {
    note(output, 'The words file could not be removed; its words belong to no wallet.')
  }
}

async function printWallet({ output }: Context, wallet: WalletHandle): Promise<void> {
  const summary = summaryOf(wallet)
  const { warnings } = wallet
  for (const warning of warnings) note(output, `warning: ${warning}`)
  await printResult(output, warnings.length === 0 ? summary : { ...summary, warnings }, async () =>
    [
      renderFacts([
        ['wallet', summary.walletId],
        ['group', summary.groupId],
        ['network', summary.network],
        ['generation', summary.generation],
      ]),
      await renderAccounts(summary.accounts),
    ].join('\n\n'),
  )
}

/** What was registered is durable by now: a failing close is told and does not change the answer. */
async function close({ output }: Context, holdfast: Holdfast | undefined): Promise<void> {
  try {
    await holdfast?.close()
  } catch (error) {
    note(
      output,
      `closing the data directory failed: ${error instanceof Error ? error.message : ''}`,
    )
  }
}
