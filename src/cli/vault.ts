import { existsSync } from 'node:fs'
import { wipe } from '../base/bytes.js'
import { initVault, listVault } from '../datadir/vault.js'
import { note, printResult, renderTable } from './output.js'
import { askPassphrase, canAsk } from './prompt.js'
import { readPassphrase } from './secret-input.js'
import { type Context, Usage } from './usage.js'

/** `vault init`: makes the vault of the data directory. */
export async function vaultInit(
  { output, dataDir }: Context,
  options: { readonly passphraseFile?: string },
): Promise<void> {
  const passphrase = await newPassphrase(options.passphraseFile)
  try {
    const folder = await initVault(dataDir.path, passphrase, {
      parents: dataDir.origin === 'default',
    })
    await printResult(output, { vault: folder }, () => `vault made: ${folder}`)
  } finally {
    wipe(passphrase)
  }
}

/** `vault list`: labels, never secrets. */
export async function vaultList({ output, dataDir }: Context): Promise<void> {
  const entries = existsSync(dataDir.path) ? listVault(dataDir.path) : []
  const secrets = entries.map(({ walletId, label, state }) => ({ walletId, label, state }))
  if (secrets.length === 0) note(output, 'The vault is empty, or there is none.')
  await printResult(output, { secrets }, () =>
    renderTable({
      columns: ['wallet', 'label', 'state'],
      rows: secrets.map(({ walletId, label, state }) => [walletId, label, state]),
    }),
  )
}

async function newPassphrase(file: string | undefined): Promise<Uint8Array> {
  if (file !== undefined) return readPassphrase(file)
  if (canAsk()) return askPassphrase('new')
  throw new Usage('vault init wants --passphrase-file F when there is no terminal to ask on')
}
