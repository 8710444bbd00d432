#!/usr/bin/env node
import { CommanderError } from 'commander'
import { isHoldfastError } from '../base/errors.js'
import { note, type Output, printFailure } from './output.js'
import { buildProgram } from './program.js'
import { Usage } from './usage.js'

const failed = 1
const usage = 2
const refused = 3
const unavailable = 4

/** Exit status of each error code; every other failure is 1, and 4 is for sources that are away. */
const exitStatus: ReadonlyMap<string, number> = new Map([
  ['Usage', usage],
  ['AdminInputInvalid', usage],
  ['InvalidNetwork', usage],
  ['InvalidBirthHeight', usage],
  ['LabelInvalid', usage],
  ['ConfigMalformed', usage],

  ['AdminTokenRefused', refused],
  ['AdminTokenWanted', refused],
  ['AlreadyOpen', refused],
  ['ConfigRefused', refused],
  ['Corruption', refused],
  ['DataDirLocked', refused],
  ['DataDirLockLost', refused],
  ['DigestInputInvalid', refused],
  ['ExportTargetTaken', refused],
  ['InsecureDataDir', refused],
  ['InsecureParentDir', refused],
  ['IntegrityCheckFailed', refused],
  ['IntentInUse', refused],
  ['InvalidMnemonic', refused],
  ['KeepCoreLocked', refused],
  ['LedgerForeign', refused],
  ['ListenerUnprotected', refused],
  ['KeyFenced', refused],
  ['KeyMismatch', refused],
  ['LabelTaken', refused],
  ['MalformedSchemaHistory', refused],
  ['MalformedVault', refused],
  ['MigrationChanged', refused],
  ['NotAJobDb', refused],
  ['NotAWalletDb', refused],
  ['PassphraseLength', refused],
  ['ResolutionRefused', refused],
  ['SchemaTooNew', refused],
  ['SymlinkRefused', refused],
  ['TrustRootInvalid', refused],
  ['UnsupportedFileSystem', refused],
  ['VaultExists', refused],
  ['VaultLocked', refused],
  ['VersionUnsupported', refused],
  ['WalletAlreadyExists', refused],
  ['WalletQuarantined', refused],
  ['WordsFileExists', refused],
  ['WrongPassphrase', refused],

  ['BitcoinUnavailable', unavailable],
  ['ChainUnavailable', unavailable],
  ['WalletRegistryUnavailable', unavailable],
  ['DaemonNotReady', unavailable],
  ['DaemonUnreachable', unavailable],
])

async function main(argv: readonly string[]): Promise<void> {
  // The reader of a pipe may leave early; what was done stays done.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
  const output: Output = { json: argv.includes('--json'), quiet: argv.includes('--quiet') }
  const program = buildProgram()
  const complaint = listen(program)
  try {
    await program.parseAsync([...argv], { from: 'user' })
  } catch (error) {
    const failure = error instanceof CommanderError ? translate(error, complaint(), output) : error
    if (failure === undefined) return
    printFailure(output, failure)
    process.exitCode = isHoldfastError(failure) ? (exitStatus.get(failure.code) ?? failed) : failed
  }
}

/** Makes every command throw instead of printing and leaving; answers the text of its complaint. */
function listen(program: ReturnType<typeof buildProgram>): () => string {
  const parts: string[] = []
  const pending = [program]
  for (let command = pending.pop(); command !== undefined; command = pending.pop()) {
    command
      .exitOverride()
      .configureHelp({ showGlobalOptions: true })
      .configureOutput({ writeErr: (part) => parts.push(part) })
    pending.push(...command.commands)
  }
  return () => parts.join('')
}

/** `undefined` when help or version was asked for and printed. */
function translate(error: CommanderError, complaint: string, output: Output): Usage | undefined {
  if (error.exitCode === 0) return undefined
  if (error.code === 'commander.help') {
    if (!output.json) note(output, complaint)
    return new Usage('a command is missing')
  }
  // A value on the command line may be a secret in the wrong place, so none is repeated.
  const problem = complaint
    .replace(/^error: /, '')
    .replace(/(--?[\w-]+)=[^\n']*/g, '$1')
    .replace(/argument '[^']*' is invalid/, 'argument is invalid')
    .trim()
    .replace(/\n+/g, ' ')
  return new Usage(problem)
}

await main(process.argv.slice(2))
