import { join } from 'node:path'
import type { Environment } from './environment.js'
import { ConfigRefused } from './problem.js'
import type { VaultSettings } from './settings.js'

/** Where the vault's passphrase comes from. */
export type PassphraseSource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'descriptor'; readonly fd: number }

/**
 * The one source that the settings name; `undefined` when they name none.
 *
 * @throws ConfigRefused for a systemd credential in a process that systemd gave none
 */
export function passphraseSource(
  { passphraseFile, credential, fd }: VaultSettings,
  environment: Environment = process.env,
): PassphraseSource | undefined {
  if (passphraseFile !== undefined) return { kind: 'file', path: passphraseFile }
  if (fd !== undefined) return { kind: 'descriptor', fd }
  if (credential === undefined) return undefined
  const folder = environment.CREDENTIALS_DIRECTORY
  if (folder !== undefined && folder !== '') return { kind: 'file', path: join(folder, credential) }
  const wrong = 'set, but systemd handed over no credentials (CREDENTIALS_DIRECTORY is not set)'
  const remedy = 'Start it as a service with LoadCredential=, or use vault.passphraseFile.'
  throw new ConfigRefused([{ key: 'vault.credential', kind: 'refused', wrong, remedy }])
}
