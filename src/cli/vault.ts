import { existsSync } from 'node:fs'
import { fromHex, toHex, wipe } from '../base/bytes.js'
import { isCompressedPoint, publicKeyOf } from '../base/curve.js'
import { noWallet } from '../base/ids.js'
import { initVault, listVault, requireVault } from '../datadir/vault.js'
import { addKey, bindKey, listBindings } from '../datadir/vault-keys.js'
import { nextCommand } from './next-command.js'
import { note, printResult, renderFacts, renderTable } from './output.js'
import { askPassphrase, canAsk } from './prompt.js'
import { readPassphrase, readPrivateKey } from './secret-input.js'
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

/** `vault list`: labels and the public keys that secrets were bound to, never secrets. */
export async function vaultList({ output, dataDir }: Context): Promise<void> {
  const entries = existsSync(dataDir.path) ? listVault(dataDir.path) : []
  const { bound, damaged } =
    entries.length === 0 ? { bound: [], damaged: [] } : listBindings(dataDir.path)
  const publicKeys = new Map(bound.map(({ label, publicKey }) => [label, `0x${toHex(publicKey)}`]))
  const secrets = entries.map(({ walletId, label, state }) => {
    const isKey = walletId === noWallet && state === 'final'
    const publicKey = isKey ? publicKeys.get(label) : undefined
    return { walletId, label, state, ...(publicKey === undefined ? {} : { publicKey }) }
  })
  if (secrets.length === 0) note(output, 'The vault is empty, or there is none.')
  for (const { label } of damaged) note(output, `The file of "${label}" cannot be read.`)
  await printResult(output, { secrets }, () =>
    renderTable({
      columns: ['wallet', 'label', 'state', 'signs for'],
      rows: secrets.map(({ walletId, label, state, publicKey = '-' }) => {
        return [walletId === noWallet ? '-' : walletId, label, state, publicKey]
      }),
    }),
  )
}

/** `vault add`: puts a private key into the vault; a label that is taken is refused. */
export async function vaultAdd(
  { output, dataDir }: Context,
  flags: {
    readonly label: string
    readonly keyFile: string
    readonly passphraseFile?: string
  },
): Promise<void> {
  const { label, keyFile, passphraseFile } = flags
  if (keyFile === passphraseFile) {
    throw new Usage('key and passphrase cannot come from the same place')
  }
  requireVault(dataDir.path, label)
  const key = await readPrivateKey(keyFile)
  try {
    const publicKey = `0x${toHex(publicKeyOf(key))}`
    const passphrase = await oldPassphrase('vault add', passphraseFile)
    try {
      const added = await addKey(dataDir.path, passphrase, label, key)
      const said = added === 'added' ? 'added' : 'was there before'
      await printResult(output, { label, publicKey, added: added === 'added' }, () =>
        renderFacts([
          ['label', `${label} (${said})`],
          ['public key', publicKey],
        ]),
      )
      note(output, `To sign with it: ${bindCommand(dataDir, publicKey, label)}`)
    } finally {
      wipe(passphrase)
    }
  } finally {
    wipe(key)
  }
}

/** `covenant bind`: says which public key a secret of the vault signs for. */
export async function covenantBind(
  { output, dataDir }: Context,
  publicKeyText: string,
  { secret: label, passphraseFile }: { readonly secret: string; readonly passphraseFile?: string },
): Promise<void> {
  const publicKey = parsePublicKey(publicKeyText)
  requireVault(dataDir.path, label)
  const passphrase = await oldPassphrase('covenant bind', passphraseFile)
  try {
    await bindKey(dataDir.path, passphrase, label, publicKey)
  } finally {
    wipe(passphrase)
  }
  const shown = `0x${toHex(publicKey)}`
  await printResult(output, { publicKey: shown, label }, () => `${shown}: signed for by "${label}"`)
}

function bindCommand(
  { path, origin }: Context['dataDir'],
  publicKey: string,
  label: string,
): string {
  const flags = origin === 'flag' ? ['--data-dir', path] : []
  return nextCommand({ flags }, 'covenant', 'bind', publicKey, '--secret', label)
}

function parsePublicKey(text: string): Uint8Array {
  const digits = text.replace(/^0x/, '')
  const key = /^[0-9a-fA-F]{66}$/.test(digits) ? fromHex(digits) : undefined
  if (key !== undefined && isCompressedPoint(key)) return key
  throw new Usage('a public key is 66 hex digits: 02 or 03 and a number on secp256k1')
}

async function oldPassphrase(verb: string, file: string | undefined): Promise<Uint8Array> {
  if (file !== undefined) return readPassphrase(file)
  if (canAsk()) return askPassphrase('existing')
  throw new Usage(`${verb} wants --passphrase-file F when there is no terminal to ask on`)
}

async function newPassphrase(file: string | undefined): Promise<Uint8Array> {
  if (file !== undefined) return readPassphrase(file)
  if (canAsk()) return askPassphrase('new')
  throw new Usage('vault init wants --passphrase-file F when there is no terminal to ask on')
}
