import { randomBytes } from 'node:crypto'
import { equalConstantTime, wipe } from '../base/bytes.js'
import { HoldfastError } from '../base/errors.js'
import { boundTo, seal, unseal } from './aead.js'
import { deriveKey, type KdfParameters } from './kdf.js'
import { type VaultHeader, vaultFormatVersion, verifyToken } from './secret-file.js'

/** A vault key with the header that it verifies; the holder wipes the key. */
export type Unlocked = { readonly header: VaultHeader; readonly key: Uint8Array }

/** A fresh salt and key, and the header that proves the key. @throws PassphraseLength */
export async function makeHeader(passphrase: Uint8Array, kdf: KdfParameters): Promise<Unlocked> {
  const salt = new Uint8Array(randomBytes(32))
  const key = await deriveKey(passphrase, salt, kdf)
  return { header: { kdf, salt, verify: seal(key, verifyToken, verifyBinding(salt, kdf)) }, key }
}

/** The vault key, or `undefined` when the passphrase is wrong or the header damaged. @throws PassphraseLength */
export async function unlockHeader(
  header: VaultHeader,
  passphrase: Uint8Array,
): Promise<Unlocked | undefined> {
  const key = await deriveKey(passphrase, header.salt, header.kdf)
  const token = unseal(key, header.verify, verifyBinding(header.salt, header.kdf))
  if (token !== undefined && equalConstantTime(token, verifyToken)) return { header, key }
  wipe(key)
  return undefined
}

function verifyBinding(salt: Uint8Array, kdf: KdfParameters): Uint8Array {
  const cost = [1, kdf.memoryKib, kdf.iterations, kdf.parallelism]
  return boundTo('PWSV-VERIFY-AAD-v2', vaultFormatVersion, salt, cost)
}

/** The passphrase opens neither the header nor any of its copies. */
export class WrongPassphrase extends HoldfastError {
  readonly code = 'WrongPassphrase'
  constructor() {
    super('vault: wrong passphrase or damaged header, want the passphrase it was made with', {
      retry: 'after-fix',
      remedy:
        'Try the passphrase again; if it is surely right, restore vault/header from a backup.',
    })
  }
}
