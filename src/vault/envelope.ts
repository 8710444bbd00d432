import { randomBytes } from 'node:crypto'
import { decodeFirst, encodeInto } from 'cborg'
import { fromHex, wipe } from '../base/bytes.js'
import { HoldfastError } from '../base/errors.js'
import { secretBytesMax } from '../base/limits.js'
import { boundTo, nonceBytes, type Sealed, seal, tagBytes, unseal } from './aead.js'
import { deriveKey, type KdfParameters, kdfDefault, kdfWithin, passphraseFits } from './kdf.js'
import { describeSecret } from './secret-name.js'
import type { SecretRef } from './vault.js'

const envelopeVersion = 1
const kdfId = 1
/** Room that the CBOR around a payload may take. */
const framingBytesMax = 160

type PasswordEnvelope = {
  readonly scheme: 1
  readonly kdf: KdfParameters
  readonly salt: Uint8Array
  readonly sealed: Sealed
}

/** What lies inside a sealed entry: the secret itself, or the secret under an object password. */
export type Envelope = { readonly scheme: 0; readonly secret: Uint8Array } | PasswordEnvelope

/**
 * Wraps a secret; with an object password its bytes are encrypted before the vault sees them.
 *
 * @remarks The result of scheme 0 is secret: the caller wipes it.
 * @throws PassphraseLength, SecretTooLarge
 */
export async function wrapSecret(
  ref: SecretRef,
  secret: Uint8Array,
  objectPassword: Uint8Array | undefined,
  kdf: KdfParameters,
): Promise<Uint8Array> {
  if (secret.length > secretBytesMax) throw new SecretTooLarge(ref)
  if (objectPassword === undefined) return encodeEnvelope(ref, { scheme: 0, secret })
  const salt = new Uint8Array(randomBytes(32))
  const key = await deriveKey(objectPassword, salt, kdf)
  try {
    const sealed = seal(key, secret, binding(ref, salt, kdf))
    return encodeEnvelope(ref, { scheme: 1, kdf, salt, sealed })
  } finally {
    wipe(key)
  }
}

/**
 * Takes the secret out. The caller says whether a password is expected, and is refused when the entry
 * says otherwise.
 *
 * @throws NeedsPassword, WrongPassword, ExpectedProtectedButUnsealed
 */
export async function unwrapSecret(
  ref: SecretRef,
  envelope: Envelope,
  objectPassword: Uint8Array | undefined,
): Promise<Uint8Array> {
  if (envelope.scheme === 0) {
    if (objectPassword === undefined) return envelope.secret
    wipe(envelope.secret)
    throw new ExpectedProtectedButUnsealed(ref)
  }
  if (objectPassword === undefined) throw new NeedsPassword(ref)
  if (!passphraseFits(objectPassword)) throw new WrongPassword(ref)
  const key = await deriveKey(objectPassword, envelope.salt, envelope.kdf)
  const secret = unseal(key, envelope.sealed, binding(ref, envelope.salt, envelope.kdf))
  wipe(key)
  if (secret === undefined) throw new WrongPassword(ref)
  return secret
}

// [version, 0, secret] or [version, 1, [kdfId, memoryKib, iterations, parallelism], salt(32), nonce(24), ciphertext]
function encodeEnvelope(ref: SecretRef, envelope: Envelope): Uint8Array {
  const fields =
    envelope.scheme === 0
      ? [envelopeVersion, 0, envelope.secret]
      : [
          envelopeVersion,
          1,
          kdfFields(envelope.kdf),
          envelope.salt,
          envelope.sealed.nonce,
          envelope.sealed.ciphertext,
        ]
  const payload = envelope.scheme === 0 ? envelope.secret : envelope.sealed.ciphertext
  // Encoding into our own buffer: the package's shared one would keep the secret after the call.
  const buffer = new Uint8Array(payload.length + framingBytesMax)
  const { written } = encodeInto(fields, buffer)
  if (written > secretBytesMax) {
    wipe(buffer)
    throw new SecretTooLarge(ref)
  }
  return buffer.subarray(0, written)
}

/** Reads an envelope out of decrypted bytes. @throws Corruption, UnsupportedEnvelopeVersion */
export function decodeEnvelope(ref: SecretRef, bytes: Uint8Array): Envelope {
  const fields = decodeArray(ref, bytes)
  if (!Number.isSafeInteger(fields[0])) throw new Corruption(ref, 'envelope without version')
  if (fields[0] !== envelopeVersion) throw new UnsupportedEnvelopeVersion(ref)
  const envelope = fields[1] === 0 ? plainEnvelope(fields) : passwordEnvelope(fields)
  if (envelope === undefined) throw new Corruption(ref, 'envelope of unknown shape')
  return envelope
}

function decodeArray(ref: SecretRef, bytes: Uint8Array): readonly unknown[] {
  let decoded: [unknown, Uint8Array]
  try {
    decoded = decodeFirst(bytes, { allowIndefinite: false, strict: true })
  } catch {
    // The decoder's message may quote decrypted bytes, so it is not kept as a cause.
    throw new Corruption(ref, 'envelope is not CBOR')
  }
  const [value, rest] = decoded
  if (!Array.isArray(value)) throw new Corruption(ref, 'envelope is not an array')
  const fields: readonly unknown[] = value
  // An unknown version may well be longer; it is named as such before anything else is looked at.
  if (rest.length > 0 && fields[0] === envelopeVersion) throw new Corruption(ref, 'trailing bytes')
  return fields
}

function plainEnvelope(fields: readonly unknown[]): Envelope | undefined {
  const secret = fields[2]
  if (fields.length !== 3 || !(secret instanceof Uint8Array)) return undefined
  return { scheme: 0, secret }
}

function passwordEnvelope(fields: readonly unknown[]): Envelope | undefined {
  const [, scheme, cost, salt, nonce, ciphertext] = fields
  if (fields.length !== 6 || scheme !== 1 || !Array.isArray(cost) || cost.length !== 4) {
    return undefined
  }
  const [id, memoryKib, iterations, parallelism]: readonly unknown[] = cost
  const kdf = {
    memoryKib: Number(memoryKib),
    iterations: Number(iterations),
    parallelism: Number(parallelism),
  }
  // Bounded before any derivation: a damaged or planted cost must not stall the reader.
  if (id !== kdfId || !kdfWithin(kdf, kdfDefault)) return undefined
  if (!(salt instanceof Uint8Array) || salt.length !== 32) return undefined
  if (!(nonce instanceof Uint8Array) || nonce.length !== nonceBytes) return undefined
  if (!(ciphertext instanceof Uint8Array) || ciphertext.length < tagBytes) return undefined
  return { scheme: 1, kdf, salt, sealed: { nonce, ciphertext } }
}

function binding(ref: SecretRef, salt: Uint8Array, kdf: KdfParameters): Uint8Array {
  const slot = [fromHex(ref.walletId), ref.label] as const
  return boundTo('PWSEV-TIER2-AAD-v2', envelopeVersion, 1, kdfFields(kdf), salt, ...slot)
}

function kdfFields(kdf: KdfParameters): readonly number[] {
  return [kdfId, kdf.memoryKib, kdf.iterations, kdf.parallelism]
}

/** The entry's bytes are not what was written: damaged, or moved from another wallet, label or vault. */
export class Corruption extends HoldfastError {
  readonly code = 'Corruption'
  constructor(ref: SecretRef, reason: string) {
    super(`${describeSecret(ref)}: damaged or moved here (${reason}), want the bytes as written`, {
      retry: 'after-fix',
      remedy: 'Restore this one vault file from a backup; other entries are not affected.',
    })
  }
}

/** The entry opens, but its envelope is of a format that this version does not know. */
export class UnsupportedEnvelopeVersion extends HoldfastError {
  readonly code = 'UnsupportedEnvelopeVersion'
  constructor(ref: SecretRef) {
    super(`${describeSecret(ref)}: unknown envelope version, want ${envelopeVersion}`, {
      retry: 'after-fix',
      remedy: 'Open it with the newer Holdfast that wrote it.',
    })
  }
}

/** The entry is under an object password and none was given. */
export class NeedsPassword extends HoldfastError {
  readonly code = 'NeedsPassword'
  constructor(ref: SecretRef) {
    super(`${describeSecret(ref)}: no object password given, want the one it was stored with`, {
      retry: 'after-fix',
      remedy: 'Give the object password of this entry.',
    })
  }
}

/** The object password does not open the entry. */
export class WrongPassword extends HoldfastError {
  readonly code = 'WrongPassword'
  constructor(ref: SecretRef) {
    super(`${describeSecret(ref)}: wrong object password, want the one it was stored with`, {
      retry: 'after-fix',
      remedy: 'Try the password again; it cannot be recovered.',
    })
  }
}

/** A password was given for an entry that has none: somebody may have put another entry there. */
export class ExpectedProtectedButUnsealed extends HoldfastError {
  readonly code = 'ExpectedProtectedButUnsealed'
  constructor(ref: SecretRef) {
    super(
      `${describeSecret(ref)}: has no object password, want one that the given password opens`,
      {
        retry: 'after-fix',
        remedy: 'Find out who replaced the entry; read it without a password if that was you.',
      },
    )
  }
}

/** The secret does not fit into one entry. */
export class SecretTooLarge extends HoldfastError {
  readonly code = 'SecretTooLarge'
  constructor(ref: SecretRef) {
    super(
      `${describeSecret(ref)}: secret too large, want at most ${secretBytesMax} bytes wrapped`,
      {
        retry: 'after-fix',
        remedy: 'Store a smaller secret.',
      },
    )
  }
}
