import { createRequire } from 'node:module'
import { Command, InvalidArgumentError } from 'commander'
import { dataDirectory } from '../config.js'
import { addConfigFlags, type ConfigFlags } from './config-flags.js'
import type { ActFlags } from './covenant-act.js'
import type { DigestFlags } from './covenant-digest.js'
import type { ExportFlags, ImportFlags } from './covenant-files.js'
import type { ListFlags } from './covenant-view.js'
import type { ResolveFlags } from './resolution.js'
import type { TargetFlags } from './target.js'
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
  addQuarantine(program)
  addLedger(program)
  addStore(program)
  addChain(program)
  addConfig(program)
  addConfigFlags(program.command('start'))
    .description('run the daemon; its log goes to standard error')
    .action(async (flags: ConfigFlags, command: Command) => {
      const { start } = await import('./start.js')
      await start(contextOf(command), flags)
    })
  overDaemon(program.command('status'))
    .description('the state of the running daemon; status 3 when it is not ready')
    .option('--watch', 'print it again after each change')
    .action(async (flags: TargetFlags & { readonly watch?: boolean }, command: Command) => {
      const { status } = await import('./status.js')
      await status(contextOf(command), flags)
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
  overDaemon(wallet.command('list'))
    .description('every wallet with its state')
    .action(async (flags: TargetFlags, command: Command) => {
      const { walletList } = await import('./wallet.js')
      await walletList(contextOf(command), flags)
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
    .command('add')
    .description('put a private key into the vault')
    .requiredOption('--label <label>', 'name of the secret, free so far', notEmpty)
    .requiredOption('--key-file <file>', '32 bytes as 64 hex digits: a file, "-" or fd:N', notEmpty)
    .option('--passphrase-file <file>', 'vault passphrase: a file, "-" or fd:N', notEmpty)
    .action(
      async (
        flags: {
          readonly label: string
          readonly keyFile: string
          readonly passphraseFile?: string
        },
        command: Command,
      ) => {
        const { vaultAdd } = await import('./vault.js')
        await vaultAdd(contextOf(command), flags)
      },
    )
  vault
    .command('list')
    .description('labels and the public keys they sign for, never secrets')
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
  addCovenantActs(covenant)
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

/** Verbs that ask the daemon when one holds the data directory. */
function overDaemon(command: Command): Command {
  return command.option('--config <file>', 'settings of the daemon, when one runs', notEmpty)
}

function withReason(command: Command): Command {
  return overDaemon(command)
    .requiredOption('--reason <text>', 'why, for the audit trail', notEmpty)
    .option('--dry-run', 'say what would happen, and change nothing')
}

function addCovenantActs(covenant: Command): void {
  withReason(covenant.command('resume'))
    .description('let a job that was imported unfinished run')
    .argument('<request-id>', 'request id', notEmpty)
    .action(async (id: string, flags: ActFlags, command: Command) => {
      const { covenantResume } = await import('./covenant-act.js')
      await covenantResume(contextOf(command), id, flags)
    })
  withReason(covenant.command('release-intent'))
    .description('let another plan be signed for the outpoint of a job that has ended')
    .argument('<outpoint>', 'transaction id, colon, number', notEmpty)
    .action(async (outpoint: string, flags: ActFlags, command: Command) => {
      const { covenantReleaseIntent } = await import('./covenant-act.js')
      await covenantReleaseIntent(contextOf(command), outpoint, flags)
    })
  withReason(covenant.command('host-height'))
    .description('put the highest host-chain height that was ever relied on to a value')
    .requiredOption('--reset <height>', 'the value, which may be lower', notEmpty)
    .action(async (flags: ActFlags & { readonly reset: string }, command: Command) => {
      const { covenantHostHeight } = await import('./covenant-act.js')
      await covenantHostHeight(contextOf(command), flags)
    })
  covenant
    .command('bind')
    .description('say which secret of the vault signs for a public key')
    .argument('<public-key>', 'compressed secp256k1 key in hex', notEmpty)
    .requiredOption('--secret <label>', 'label of a key that was added to the vault', notEmpty)
    .option('--passphrase-file <file>', 'vault passphrase: a file, "-" or fd:N', notEmpty)
    .action(
      async (
        key: string,
        flags: { readonly secret: string; readonly passphraseFile?: string },
        command: Command,
      ) => {
        const { covenantBind } = await import('./vault.js')
        await covenantBind(contextOf(command), key, flags)
      },
    )
}

function addQuarantine(program: Command): void {
  const quarantine = program
    .command('quarantine')
    .description('records that cannot be trusted, and the ways out')
  overDaemon(quarantine.command('list'))
    .description('what each record keeps closed, and how to go on')
    .action(async (flags: TargetFlags, command: Command) => {
      const { quarantineList } = await import('./quarantine.js')
      await quarantineList(contextOf(command), flags)
    })
  overDaemon(quarantine.command('show'))
    .description('one record with its bytes, what they say, and the ways out')
    .argument('<id>', 'id of the record', notEmpty)
    .option('--raw', 'write its bytes and nothing else to standard output')
    .action(
      async (id: string, flags: TargetFlags & { readonly raw?: boolean }, command: Command) => {
        const { quarantineShow } = await import('./quarantine.js')
        await quarantineShow(contextOf(command), id, flags)
      },
    )
  overDaemon(quarantine.command('resolve'))
    .description('take one way out of a record; a dry run without --yes')
    .argument('<id>', 'id of the record', notEmpty)
    .option('--restore <from>', 'take it from the other witness: ledger', notEmpty)
    .option('--adopt <file>', 'take the request from a file, or "-"', notEmpty)
    .option('--retire', 'keep its key closed for ever')
    .option('--release', 'let its key be used again')
    .option('--key <text>', 'release: the key, typed out', notEmpty)
    .option('--reason <text>', 'why, for the audit trail', notEmpty)
    .option('--yes', 'do it')
    .action(async (id: string, flags: ResolveFlags, command: Command) => {
      const { quarantineResolve } = await import('./quarantine.js')
      await quarantineResolve(contextOf(command), id, flags)
    })
}

function addCovenantViews(covenant: Command): void {
  overDaemon(covenant.command('list'))
    .description('jobs in the order they were accepted')
    .option('--state <state>', 'only jobs in this state', notEmpty)
    .option('--route <route>', 'only jobs of this route: qc_v1 or self_v1', notEmpty)
    .option('--limit <count>', 'at most this many (default: 100)', notEmpty)
    .option('--after <seq>', 'only jobs behind the one with this "seq"', notEmpty)
    .action(async (flags: ListFlags, command: Command) => {
      const { covenantList } = await import('./covenant-view.js')
      await covenantList(contextOf(command), flags)
    })
  overDaemon(covenant.command('show'))
    .description('one job with its timeline, its intent and its result')
    .argument('<request-id>', 'request id', notEmpty)
    .action(async (id: string, flags: TargetFlags, command: Command) => {
      const { covenantShow } = await import('./covenant-view.js')
      await covenantShow(contextOf(command), id, flags)
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
  overDaemon(ledger.command('verify'))
    .description('check every line of the chain; changes nothing')
    .action(async (flags: TargetFlags, command: Command) => {
      const { ledgerVerify } = await import('./ledger.js')
      await ledgerVerify(contextOf(command), flags)
    })
  overDaemon(ledger.command('head'))
    .description('sequence and hash of the last line')
    .action(async (flags: TargetFlags, command: Command) => {
      const { ledgerHead } = await import('./ledger.js')
      await ledgerHead(contextOf(command), flags)
    })
}

function addStore(program: Command): void {
  const store = program.command('store').description('the job store as a whole')
  overDaemon(store.command('verify'))
    .description('compare database and ledger, heal what one of them has, name what is fenced')
    .action(async (flags: TargetFlags, command: Command) => {
      const { storeVerify } = await import('./store.js')
      await storeVerify(contextOf(command), flags)
    })
}

function addChain(program: Command): void {
  const chain = program.command('chain').description('what the chains say')
  addConfigFlags(chain.command('wallet'))
    .description(
      'a tBTC wallet as Bridge and wallet registry have it, also while the registry is away',
    )
    .argument('<pkh>', 'HASH160 of the wallet key, 20 bytes of hex')
    .action(async (pkh: string, flags: ConfigFlags, command: Command) => {
      const { chainWallet } = await import('./chain.js')
      await chainWallet(contextOf(command), pkh, flags)
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
