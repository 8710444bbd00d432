import { fromHex, wipe } from '../base/bytes.js'
import { errnoOf, readBounded } from '../base/durable-file.js'
import { vaultFileBytesMax } from '../base/limits.js'
import { boundTo, seal, unseal } from './aead.js'
import { Corruption, decodeEnvelope, type Envelope } from './envelope.js'
import type { Unlocked } from './header.js'
import { decodeSecretFile, encodeSecretFile, vaultFormatVersion } from './secret-file.js'
import { describeSecret } from './secret-name.js'
import type { SecretRef } from './vault.js'

/** An entry whose own seal was opened. */
export type OpenEntry = {
  readonly envelope: Envelope
  /** The public key it is bound to, 33 bytes. */
  readonly publicKey: Uint8Array | undefined
}

/**
 * The file of an entry: the envelope sealed under the vault key, for this wallet and base label only.
 *
 * @param publicKey 33 bytes to bind the entry to
 */
export function sealEntry(
  unlocked: Unlocked,
  ref: SecretRef,
  envelope: Uint8Array,
  publicKey?: Uint8Array,
): Uint8Array {
  const sealed = seal(unlocked.key, envelope, binding(ref))
  return encodeSecretFile({ header: unlocked.header, sealed, publicKey })
}

/**
 * Reads the file of an entry and opens the vault's own seal; `undefined` when there is no file.
 *
 * @remarks The key decides, not the header copy: a damaged copy costs nothing while the vault is open.
 * @throws VersionUnsupported, MalformedVault, Corruption, UnsupportedEnvelopeVersion; errno errors.
 */
export function readEntry(path: string, ref: SecretRef, key: Uint8Array): OpenEntry | undefined {
  let bytes: Uint8Array
  try {
    bytes = readBounded(path, vaultFileBytesMax)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
  const file = decodeSecretFile(bytes, describeSecret(ref))
  const envelope = unseal(key, file.sealed, binding(ref))
  if (envelope === undefined) throw new Corruption(ref, 'it does not open here')
  try {
    return { envelope: decodeEnvelope(ref, envelope), publicKey: file.publicKey }
  } finally {
    wipe(envelope)
  }
}

function binding(ref: SecretRef): Uint8Array {
  return boundTo('PWSV-ENTRY-AAD-v2', vaultFormatVersion, fromHex(ref.walletId), ref.label)
}
