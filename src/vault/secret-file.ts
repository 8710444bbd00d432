import { equalBytes, fromHex, toHex } from '../base/bytes.js'
import { HoldfastError } from '../base/errors.js'
import { secretBytesMax, vaultFileBytesMax } from '../base/limits.js'
import { nonceBytes, type Sealed, tagBytes } from './aead.js'
import { type KdfParameters, kdfWithin } from './kdf.js'

/** Version of both documents in this file. */
export const vaultFormatVersion: number = 1
/** Sealed in every header, so that a passphrase can be checked before any entry is touched. */
export const verifyToken: Uint8Array = new TextEncoder().encode('PWSVAULT-VERIFY-v1')

/** How the vault key comes from the passphrase; nothing in it is secret. */
export type VaultHeader = {
  readonly kdf: KdfParameters
  /** 32 random bytes, one salt per vault. */
  readonly salt: Uint8Array
  /** The sealed verify token. */
  readonly verify: Sealed
}

/** One secret as it lies in the folder: its sealed envelope beside a copy of the vault header. */
export type SecretFile = {
  readonly header: VaultHeader
  readonly sealed: Sealed
  /** 33 bytes: the public key that this secret signs for; whoever signs compares it with the secret again. */
  readonly publicKey?: Uint8Array | undefined
}

type Json = { readonly [key: string]: unknown }

// {"kdf":{"id":1,"m_kib","p","t"},"salt":hex32,"verify_ct":hex34,"verify_nonce":hex24,"version":1}
/** The header file's bytes: one line of JSON, keys sorted. */
export function encodeHeader(header: VaultHeader): Uint8Array {
  return toBytes(headerDocument(header))
}

/** Reads what `encodeHeader` writes and nothing else. @throws VersionUnsupported, MalformedVault */
export function decodeHeader(bytes: Uint8Array): VaultHeader {
  const what = 'vault header'
  const header = parseHeader(parseDocument(bytes, what), what)
  if (!equalBytes(encodeHeader(header), bytes)) throw new MalformedVault(what, 'not canonical')
  return header
}

// {"ciphertext":hex,"header":{...},"nonce":hex24,["public_key":hex33,]"version":1}
/** A secret file's bytes: one line of JSON, keys sorted. */
export function encodeSecretFile(file: SecretFile): Uint8Array {
  return toBytes({
    ciphertext: toHex(file.sealed.ciphertext),
    header: headerDocument(file.header),
    nonce: toHex(file.sealed.nonce),
    ...(file.publicKey === undefined ? {} : { public_key: toHex(file.publicKey) }),
    version: vaultFormatVersion,
  })
}

/**
 * Reads what `encodeSecretFile` writes and nothing else: one content has exactly one spelling.
 *
 * @param what Names the file in messages.
 * @throws VersionUnsupported, MalformedVault
 */
export function decodeSecretFile(bytes: Uint8Array, what: string): SecretFile {
  const document = parseDocument(bytes, what)
  const isBound = Object.hasOwn(document, 'public_key')
  const keys = ['ciphertext', 'header', 'nonce', ...(isBound ? ['public_key'] : []), 'version']
  expectKeys(document, keys, what)
  const header = asObject(document.header, what)
  checkVersion(header, what)
  const file: SecretFile = {
    header: parseHeader(header, what),
    sealed: {
      nonce: parseHex(document.nonce, nonceBytes, nonceBytes, what),
      ciphertext: parseHex(document.ciphertext, tagBytes, secretBytesMax + tagBytes, what),
    },
    ...(isBound ? { publicKey: parseHex(document.public_key, 33, 33, what) } : {}),
  }
  if (!equalBytes(encodeSecretFile(file), bytes)) throw new MalformedVault(what, 'not canonical')
  return file
}

function headerDocument(header: VaultHeader): Json {
  const { memoryKib, iterations, parallelism } = header.kdf
  return {
    kdf: { id: 1, m_kib: memoryKib, p: parallelism, t: iterations },
    salt: toHex(header.salt),
    verify_ct: toHex(header.verify.ciphertext),
    verify_nonce: toHex(header.verify.nonce),
    version: vaultFormatVersion,
  }
}

function toBytes(document: Json): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(document)}\n`)
}

function parseDocument(bytes: Uint8Array, what: string): Json {
  if (bytes.length > vaultFileBytesMax) throw new MalformedVault(what, 'too large')
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  } catch {
    // The parser's message quotes the file's text, so it is not kept as a cause.
    throw new MalformedVault(what, 'not a JSON document')
  }
  const document = asObject(value, what)
  checkVersion(document, what)
  return document
}

function checkVersion(document: Json, what: string): void {
  const version = document.version
  if (!Number.isSafeInteger(version)) throw new MalformedVault(what, 'no version')
  if (version !== vaultFormatVersion) throw new VersionUnsupported(what, Number(version))
}

function parseHeader(document: Json, what: string): VaultHeader {
  expectKeys(document, ['kdf', 'salt', 'verify_ct', 'verify_nonce', 'version'], what)
  const parameters = asObject(document.kdf, what)
  expectKeys(parameters, ['id', 'm_kib', 'p', 't'], what)
  if (parameters.id !== 1) throw new MalformedVault(what, 'unknown key derivation')
  const kdf: KdfParameters = {
    memoryKib: parseNumber(parameters.m_kib, what),
    iterations: parseNumber(parameters.t, what),
    parallelism: parseNumber(parameters.p, what),
  }
  if (!kdfWithin(kdf)) throw new MalformedVault(what, 'key derivation cost out of bounds')
  const tokenBytes = verifyToken.length + tagBytes
  return {
    kdf,
    salt: parseHex(document.salt, 32, 32, what),
    verify: {
      nonce: parseHex(document.verify_nonce, nonceBytes, nonceBytes, what),
      ciphertext: parseHex(document.verify_ct, tokenBytes, tokenBytes, what),
    },
  }
}

function asObject(value: unknown, what: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new MalformedVault(what, 'a field is not an object')
  }
  return value as Json
}

function expectKeys(document: Json, keys: readonly string[], what: string): void {
  const found = Object.keys(document)
  if (found.length !== keys.length || !keys.every((key) => Object.hasOwn(document, key))) {
    throw new MalformedVault(what, 'missing or unknown field')
  }
}

function parseNumber(value: unknown, what: string): number {
  if (typeof value !== 'number') throw new MalformedVault(what, 'a field is not a number')
  return value
}

function parseHex(value: unknown, bytesMin: number, bytesMax: number, what: string): Uint8Array {
  const fits =
    typeof value === 'string' &&
    value.length >= bytesMin * 2 &&
    value.length <= bytesMax * 2 &&
    value.length % 2 === 0 &&
    /^[0-9a-f]*$/.test(value)
  if (!fits) throw new MalformedVault(what, 'a field is not hex of the wanted length')
  return fromHex(value)
}

/** A vault file was written in a format that this version does not know. */
export class VersionUnsupported extends HoldfastError {
  readonly code = 'VersionUnsupported'
  constructor(what: string, version: number) {
    super(`${what}: format version ${version}, want ${vaultFormatVersion}`, {
      retry: 'after-fix',
      remedy:
        'Open it with a newer Holdfast. Where none was ever used the file is damaged: restore it from a backup ' +
        '(a header alone may be moved away, its copies serve).',
    })
  }
}

/** A vault file does not have the exact shape of its format: damaged, cut short or foreign. */
export class MalformedVault extends HoldfastError {
  readonly code = 'MalformedVault'
  constructor(what: string, reason: string) {
    super(`${what}: malformed (${reason}), want a whole vault document`, {
      retry: 'after-fix',
      remedy: 'Restore this one file from a backup; other entries are not affected.',
    })
  }
}
