import { createRequire } from 'node:module'
import { Command, InvalidArgumentError } from 'commander'
import { dataDirectory } from '../config.js'
import { addConfigFlags, type ConfigFlags } from './config-flags.js'
import type { DigestFlags } from './covenant-digest.js'
import type { ExportFlags, ImportFlags } from './covenant-files.js'
import type { ListFlags } from './covenant-view.js'
import type { Context } from './usage.js'
import type { CreateFlags } from './wallet-create.js'

type GlobalFlags = { readonly json?: boolean; readonly quiet?: boolean; readonly dataDir?: string }

/**
 * The commands; each verb is loaded when it runs, so that help and mistakes cost nothing.
 *
 */
export function buildProgram(): Command {
  const program = new Command('holdfast')
    .description('Custody software that keeps state whole')
    .version(packageVersion())
    .option('--json', 'print exactly one JSON document on standard output')
    .option('--quiet', 'print nothing but the result and failures')
    .option('--data-dir <dir>', 'data directory (or HOLDFAST_DATA_DIR)', notEmpty)
  addWallet(program)
  addVault(program)
  addCovenant(program)
  addLedger(program)
  addStore(program)
  addConfig(program)
  addConfigFlags(program.command('start'))
    .description('run the daemon; its log goes to standard error')
    .action(async (flags: ConfigFlags, command: Command) => {
      const { start } = await import('./start.js')
      await start(contextOf(command), flags)
    })
  program
    .command('doctor')
    .description('look at this machine and the data directory, and change nothing')
    .action(async (_options: unknown, command: Command) => {
      const { runDoctor } = await import('./doctor.js')
      await runDoctor(contextOf(command))
    })
  return program
}

function addWallet(program: Command): void {
  const wallet = program.command('wallet').description('register, list and read wallets')
  addCreate(wallet)
  wallet
    .command('list')
    .description('every wallet with its state')
    .action(async (_options: unknown, command: Command) => {
      const { walletList } = await import('./wallet.js')
      await walletList(contextOf(command))
    })
  wallet
    .command('show')
    .description('one wallet with its accounts and addresses')
    .argument('<id>', 'wallet id')
    .action(async (id: string, _options: unknown, command: Command) => {
      const { walletShow } = await import('./wallet.js')
      await walletShow(contextOf(command), id)
    })
  wallet
    .command('address')
    .description('the next address to receive on')
    .argument('<id>', 'wallet id')
    .option('--core', 'the Core (BIP-44) address instead of the Platform one')
    .action(async (id: string, options: { readonly core?: boolean }, command: Command) => {
      const { walletAddress } = await import('./wallet.js')
      await walletAddress(contextOf(command), id, options)
    })
  wallet
    .command('derive')
    .description('what create would register; writes nothing')
    .requiredOption('--network <name>', 'mainnet, testnet, devnet or regtest')
    .option('--words-file <file>', 'recovery words: a file, "-" or fd:N', notEmpty)
    .action(
      async (
        options: { readonly network: string; readonly wordsFile?: string },
        command: Command,
      ) => {
        const { walletDerive } = await import('./wallet.js')
        await walletDerive(contextOf(command), options)
      },
    )
}

function addCreate(wallet: Command): void {
  wallet
    .command('create')
    .description('register a wallet, all or nothing')
    .requiredOption('--network <name>', 'mainnet, testnet, devnet or regtest')
    .option('--words-file <file>', 'existing recovery words: a file, "-" or fd:N', notEmpty)
    .option('--words-out <file>', 'make new words and write them to this new file', notEmpty)
    .option('--word-count <count>', 'new words: 12, 15, 18, 21 or 24 (default)', wordCount)
    .option('--birth-height <height>', 'block before which the wallet has no history', birthHeight)
    .option('--keep-secret', 'keep the seed in the vault')
    .option('--label <label>', 'label of the kept seed (default: seed)')
    .option('--passphrase-file <file>', 'vault passphrase: a file, "-" or fd:N', notEmpty)
    .option('--replace-quarantined', 'replace the damaged rows of this wallet')
    .action(async (flags: CreateFlags, command: Command) => {
      const { walletCreate } = await import('./wallet-create.js')
      await walletCreate(contextOf(command), flags)
    })
}

function addVault(program: Command): void {
  const vault = program.command('vault').description('the encrypted store of secrets')
  vault
    .command('init')
    .description('make the vault')
    .option('--passphrase-file <file>', 'its passphrase: a file, "-" or fd:N', notEmpty)
    .action(async (options: { readonly passphraseFile?: string }, command: Command) => {
      const { vaultInit } = await import('./vault.js')
      await vaultInit(contextOf(command), options)
    })
  vault
    .command('list')
    .description('labels, never secrets')
    .action(async (_options: unknown, command: Command) => {
      const { vaultList } = await import('./vault.js')
      await vaultList(contextOf(command))
    })
}

function addConfig(program: Command): void {
  const config = program.command('config').description('the settings of the daemon')
  addConfigFlags(config.command('check'))
    .description('say what is wrong with the settings and what to do')
    .action(async (flags: ConfigFlags, command: Command) => {
      const { configCheck } = await import('./config.js')
      await configCheck(contextOf(command), flags)
    })
  addConfigFlags(config.command('show'))
    .description('every setting as the daemon would use it')
    .option('--origin', 'say where each value came from')
    .action(async (flags: ConfigFlags & { readonly origin?: boolean }, command: Command) => {
      const { configShow } = await import('./config.js')
      await configShow(contextOf(command), flags)
    })
}

function addCovenant(program: Command): void {
  const covenant = program.command('covenant').description('covenant signing jobs')
  addCovenantViews(covenant)
  covenant
    .command('check')
    .description('say what each file of a keep-core directory stands for; changes nothing')
    .argument('<dir>', 'keep-core data directory, or its jobs directory', notEmpty)
    .action(async (dir: string, _options: unknown, command: Command) => {
      const { covenantCheck } = await import('./covenant-files.js')
      await covenantCheck(contextOf(command), dir)
    })
  covenant
    .command('import')
    .description('take over the jobs of a keep-core directory; a dry run without --yes')
    .argument('<dir>', 'keep-core data directory, or its jobs directory', notEmpty)
    .option('--yes', 'do it')
    .option('--reason <text>', 'why, for the audit trail', notEmpty)
    .action(async (dir: string, flags: ImportFlags, command: Command) => {
      const { covenantImport } = await import('./covenant-files.js')
      await covenantImport(contextOf(command), dir, flags)
    })
  covenant
    .command('export')
    .description('write the jobs as files that keep-core loads, into a new directory')
    .argument('<dir>', 'keep-core data directory to make', notEmpty)
    .option('--leave-out-quarantined', 'write although some keys would be new to keep-core')
    .action(async (dir: string, flags: ExportFlags, command: Command) => {
      const { covenantExport } = await import('./covenant-files.js')
      await covenantExport(contextOf(command), dir, flags)
    })
}

function addCovenantViews(covenant: Command): void {
  covenant
    .command('list')
    .description('jobs in the order they were accepted')
    .option('--state <state>', 'only jobs in this state', notEmpty)
    .option('--limit <count>', 'at most this many (default: 100)', notEmpty)
    .option('--after <seq>', 'only jobs behind the one with this "seq"', notEmpty)
    .action(async (flags: ListFlags, command: Command) => {
      const { covenantList } = await import('./covenant-view.js')
      await covenantList(contextOf(command), flags)
    })
  covenant
    .command('show')
    .description('one job with its timeline, its intent and its result')
    .argument('<request-id>', 'request id', notEmpty)
    .action(async (id: string, _options: unknown, command: Command) => {
      const { covenantShow } = await import('./covenant-view.js')
      await covenantShow(contextOf(command), id)
    })
  covenant
    .command('digest')
    .description('the digest of a file; needs no data directory')
    .argument('<file>', 'JSON file, or "-" for standard input', notEmpty)
    .requiredOption('--kind <kind>', 'request, approval, plan or destination')
    .option('--chain-id <number>', 'approvals: EIP-712 chain id (default: 0)', notEmpty)
    .option(
      '--salt <hex>',
      'approvals: EIP-712 salt, 32 bytes (default: the standard one)',
      notEmpty,
    )
    .action(async (file: string, flags: DigestFlags, command: Command) => {
      const { covenantDigest } = await import('./covenant-digest.js')
      await covenantDigest(contextOf(command), file, flags)
    })
}

function addLedger(program: Command): void {
  const ledger = program.command('ledger').description('the second witness of the job store')
  ledger
    .command('verify')
    .description('check every line of the chain; changes nothing')
    .action(async (_options: unknown, command: Command) => {
      const { ledgerVerify } = await import('./ledger.js')
      await ledgerVerify(contextOf(command))
    })
  ledger
    .command('head')
    .description('sequence and hash of the last line')
    .action(async (_options: unknown, command: Command) => {
      const { ledgerHead } = await import('./ledger.js')
      await ledgerHead(contextOf(command))
    })
}

function addStore(program: Command): void {
  const store = program.command('store').description('the job store as a whole')
  store
    .command('verify')
    .description('compare database and ledger, heal what one of them has, name what is fenced')
    .action(async (_options: unknown, command: Command) => {
      const { storeVerify } = await import('./store.js')
      await storeVerify(contextOf(command))
    })
}

function contextOf(command: Command): Context {
  const { json = false, quiet = false, dataDir } = command.optsWithGlobals<GlobalFlags>()
  return { output: { json, quiet }, dataDir: dataDirectory(dataDir) }
}

function notEmpty(text: string): string {
  if (text === '') throw new InvalidArgumentError('It is empty.')
  return text
}

function wordCount(text: string): number {
  if (!/^(12|15|18|21|24)$/.test(text)) throw new InvalidArgumentError('Want 12, 15, 18, 21 or 24.')
  return Number(text)
}

function birthHeight(text: string): number {
  if (!/^\d{1,10}$/.test(text) || Number(text) > 0xffff_ffff) {
    throw new InvalidArgumentError('Want a whole number from 0 to 4294967295.')
  }
  return Number(text)
}

function packageVersion(): string {
  const manifest: unknown = createRequire(import.meta.url)('../../package.json')
  const found = typeof manifest === 'object' && manifest !== null && 'version' in manifest
  return found ? String(manifest.version) : 'unknown'
}
