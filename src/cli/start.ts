import { statSync } from 'node:fs'
import { wipe } from '../base/bytes.js'
import { createDirectory, exposure } from '../base/directory-guard.js'
import { type Config, ConfigRefused, loadConfig, originOf, passphraseSource } from '../config.js'
import { parseTrustRoots } from '../covenant/trust.js'
import { type DaemonLog, openLog } from '../daemon/log.js'
import { runDaemon } from '../daemon/main.js'
import { endOnCrash, stopOnSignals } from '../daemon/signals.js'
import { type ConfigFlags, sourcesOf } from './config-flags.js'
import { printResult } from './output.js'
import { readPassphrase } from './secret-input.js'
import type { Context } from './usage.js'

/** Milliseconds that the process may stay after everything has been closed. */
const lingerMs = 1000

/** `start`: runs the daemon until SIGINT or SIGTERM; its log goes to standard error, one JSON object a line. */
export async function start(context: Context, flags: ConfigFlags): Promise<void> {
  const { output, dataDir } = context
  const config = loadConfig({ ...sourcesOf(flags, dataDir), checkTrustRoots: parseTrustRoots })
  if (config.covenantSigner.port === 0) {
    const why = 'covenantSigner.port is 0: the covenant signer is off, there is nothing to do'
    await printResult(output, { started: false, why }, () => why)
    return
  }
  const { authToken, adminAuthToken } = config.covenantSigner
  const log = openLog({
    level: output.quiet ? 'fatal' : config.log.level,
    secrets: [authToken, adminAuthToken],
  })
  const endWatch = endOnCrash(log)
  const passphrase = await vaultPassphrase(config)
  try {
    const stoppedBy = await run(config, log, passphrase)
    await printResult(output, { started: true, stoppedBy }, () => `stopped by ${stoppedBy}`)
  } finally {
    if (passphrase !== undefined) wipe(passphrase)
    log.flush()
    endWatch()
    // Something that was never closed must not keep a process that has ended its work.
    setTimeout(() => process.exit(), lingerMs).unref()
  }
}

/** @returns the signal that ended it */
async function run(
  config: Config,
  log: DaemonLog,
  passphrase: Uint8Array | undefined,
): Promise<string> {
  const stop = stopOnSignals(log)
  try {
    if (originOf(config, 'dataDir').kind === 'default') {
      createDirectory(config.dataDir, { parents: true, allowFuse: config.allowFuse })
    }
    await runDaemon({ config, log, stop: stop.signal, passphrase })
    return stop.by() ?? 'nobody'
  } finally {
    stop.end()
  }
}

/** @throws ConfigRefused for a file that others may read, SecretInputFailed */
async function vaultPassphrase({ vault }: Config): Promise<Uint8Array | undefined> {
  const source = passphraseSource(vault)
  if (source === undefined) return undefined
  if (source.kind === 'descriptor') return readPassphrase(`fd:${source.fd}`)
  // The modes of a systemd credential are systemd's business.
  if (vault.passphraseFile !== undefined) requirePrivate(vault.passphraseFile)
  return readPassphrase(source.path)
}

function requirePrivate(path: string): void {
  const stats = statSync(path, { throwIfNoEntry: false })
  const problem = stats === undefined ? undefined : exposure(stats)
  if (problem === undefined) return
  const remedy = 'Run "chmod 600" on it as its owner.'
  const wrong = `${path}: ${problem}`
  throw new ConfigRefused([{ key: 'vault.passphraseFile', kind: 'refused', wrong, remedy }])
}
