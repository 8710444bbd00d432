import { createReadStream, fstatSync } from 'node:fs'
import { wipe } from '../base/bytes.js'
import { isPrivateKey } from '../base/curve.js'
import { HoldfastError, isHoldfastError } from '../base/errors.js'
import { Usage } from './usage.js'

/** Bytes of a words or passphrase file; 24 words and the longest passphrase are shorter. */
const sourceBytesMax = 8192
/** Highest descriptor that `fd:N` may name. */
const descriptorMax = 1023

/**
 * Reads a recovery phrase as text.
 *
 * @param source - a file name, `-` for standard input, or `fd:N` for an open descriptor
 * @throws SecretInputFailed, Usage
 */
export async function readPhrase(source: string): Promise<string> {
  const bytes = await readSource('words', source)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes).trim()
  } catch {
    // The decoder's error says nothing that the caller may not see, and nothing useful either.
    throw new SecretInputFailed('words', 'not UTF-8 text')
  } finally {
    wipe(bytes)
  }
}

/**
 * Reads a passphrase as bytes, without the line break at its end; the caller wipes it.
 *
 * @throws SecretInputFailed, Usage
 */
export async function readPassphrase(source: string): Promise<Uint8Array> {
  const bytes = await readSource('passphrase', source)
  let end = bytes.length
  if (bytes[end - 1] === 0x0a) end -= 1
  if (bytes[end - 1] === 0x0d) end -= 1
  const passphrase = bytes.slice(0, end)
  wipe(bytes)
  return passphrase
}

/**
 * Reads a private key of 32 bytes written as 64 hex digits; the caller wipes it.
 *
 * @throws SecretInputFailed, Usage
 */
export async function readPrivateKey(source: string): Promise<Uint8Array> {
  const bytes = await readSource('key', source)
  try {
    const key = decodeHex(bytes)
    if (key !== undefined && isPrivateKey(key)) return key
    wipe(key)
    throw new SecretInputFailed('key', 'want 64 hex digits, a number within the curve order')
  } finally {
    wipe(bytes)
  }
}

/** 64 hex digits with or without 0x, between blanks; no text is made of them, since text cannot be wiped. */
function decodeHex(bytes: Uint8Array): Uint8Array | undefined {
  let start = 0
  let end = bytes.length
  while (end > start && isBlank(bytes[end - 1])) end -= 1
  while (start < end && isBlank(bytes[start])) start += 1
  if (bytes[start] === 0x30 && bytes[start + 1] === 0x78) start += 2
  if (end - start !== 64) return undefined
  const key = new Uint8Array(32)
  for (let at = 0; at < 32; at += 1) {
    const high = digitOf(bytes[start + 2 * at])
    const low = digitOf(bytes[start + 2 * at + 1])
    if (high === undefined || low === undefined) {
      wipe(key)
      return undefined
    }
    key[at] = high * 16 + low
  }
  return key
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d
}

function digitOf(byte: number | undefined): number | undefined {
  if (byte === undefined) return undefined
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : undefined
}

async function readSource(what: string, source: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of openSource(what, source)) {
      chunks.push(chunk)
      size += chunk.length
      if (size > sourceBytesMax) {
        throw new SecretInputFailed(what, `larger than ${sourceBytesMax} bytes`)
      }
    }
    const whole = new Uint8Array(size)
    let at = 0
    for (const chunk of chunks) {
      whole.set(chunk, at)
      at += chunk.length
    }
    return whole
  } catch (error) {
    if (isHoldfastError(error)) throw error
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    throw new SecretInputFailed(what, `it cannot be read (${code})`)
  } finally {
    wipe(...chunks)
  }
}

function openSource(what: string, source: string): AsyncIterable<Uint8Array> {
  if (source === '-') return process.stdin
  if (!source.startsWith('fd:')) return createReadStream(source, { highWaterMark: sourceBytesMax })
  const descriptor = Number(source.slice(3))
  if (!/^fd:\d{1,4}$/.test(source) || descriptor > descriptorMax) {
    throw new Usage(`--${what}-file fd: wants the number of an open descriptor`)
  }
  // Numbers that nobody handed over belong to the runtime itself: its event queues must be neither read nor closed.
  const stats = fstatSync(descriptor)
  if (!(stats.isFile() || stats.isFIFO() || stats.isSocket() || stats.isCharacterDevice())) {
    throw new SecretInputFailed(what, `descriptor ${descriptor} was not handed over`)
  }
  const shared = { fd: descriptor, autoClose: false, highWaterMark: sourceBytesMax }
  return createReadStream('', shared)
}

/** A file, standard input or a descriptor did not give a usable secret. */
export class SecretInputFailed extends HoldfastError {
  readonly code = 'SecretInputFailed'
  constructor(what: string, problem: string) {
    super(`${what} input: ${problem}`, {
      retry: 'after-fix',
      remedy: 'Name a small readable file, "-" for standard input, or "fd:N" for a descriptor.',
    })
  }
}
