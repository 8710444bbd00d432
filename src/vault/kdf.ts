import { argon2id } from 'hash-wasm'
import { HoldfastError } from '../base/errors.js'

/** Cost of one Argon2id derivation. */
export type KdfParameters = {
  /** Memory in KiB: default 65536, at least 19456, at most 1048576. */
  readonly memoryKib: number
  /** Passes over the memory: default 3, at least 2, at most 16. */
  readonly iterations: number
  /** Lanes: default 1, at least 1, at most 4. */
  readonly parallelism: number
}

/** What a new vault uses, and the most an object password's envelope may ask for. */
export const kdfDefault: KdfParameters = { memoryKib: 65_536, iterations: 3, parallelism: 1 }
/** The cheapest derivation that is accepted. */
export const kdfFloor: KdfParameters = { memoryKib: 19_456, iterations: 2, parallelism: 1 }
const kdfCeiling: KdfParameters = { memoryKib: 1_048_576, iterations: 16, parallelism: 4 }

const passphraseBytesMin = 8
const passphraseBytesMax = 4080

/** Whether parameters lie between the floor and a ceiling, each of them a whole number. */
export function kdfWithin(kdf: KdfParameters, ceiling: KdfParameters = kdfCeiling): boolean {
  const fits = (value: number, low: number, high: number): boolean =>
    Number.isInteger(value) && value >= low && value <= high
  return (
    fits(kdf.memoryKib, kdfFloor.memoryKib, ceiling.memoryKib) &&
    fits(kdf.iterations, kdfFloor.iterations, ceiling.iterations) &&
    fits(kdf.parallelism, kdfFloor.parallelism, ceiling.parallelism)
  )
}

/** The cost for an object password: the vault's own, but never above the default. */
export function kdfForEnvelope(kdf: KdfParameters): KdfParameters {
  return {
    memoryKib: Math.min(kdf.memoryKib, kdfDefault.memoryKib),
    iterations: Math.min(kdf.iterations, kdfDefault.iterations),
    parallelism: Math.min(kdf.parallelism, kdfDefault.parallelism),
  }
}

/**
 * A 32-byte key from a passphrase; ASCII white space at both ends does not count.
 *
 * @param salt 32 bytes
 * @throws PassphraseLength before any derivation; RangeError for parameters out of bounds.
 */
export async function deriveKey(
  passphrase: Uint8Array,
  salt: Uint8Array,
  kdf: KdfParameters,
): Promise<Uint8Array> {
  const password = trimAscii(passphrase)
  if (!passphraseFits(password)) throw new PassphraseLength()
  if (!kdfWithin(kdf)) throw new RangeError('kdf parameters: out of bounds')
  return argon2id({
    password,
    salt,
    memorySize: kdf.memoryKib,
    iterations: kdf.iterations,
    parallelism: kdf.parallelism,
    hashLength: 32,
    outputType: 'binary',
  })
}

/** Whether a passphrase has a length that any vault or envelope could have been made with. */
export function passphraseFits(passphrase: Uint8Array): boolean {
  const { length } = trimAscii(passphrase)
  return length >= passphraseBytesMin && length <= passphraseBytesMax
}

/** A view without leading and trailing tab, line feed, vertical tab, form feed, return and space. */
function trimAscii(bytes: Uint8Array): Uint8Array {
  const isSpace = (byte: number | undefined): boolean =>
    byte === 0x20 || (byte !== undefined && byte >= 0x09 && byte <= 0x0d)
  let start = 0
  let end = bytes.length
  while (start < end && isSpace(bytes[start])) start += 1
  while (end > start && isSpace(bytes[end - 1])) end -= 1
  return bytes.subarray(start, end)
}

/** A passphrase or object password is too short or too long. */
export class PassphraseLength extends HoldfastError {
  readonly code = 'PassphraseLength'
  constructor() {
    super(
      `passphrase: wrong length, want ${passphraseBytesMin} to ${passphraseBytesMax} bytes ` +
        'without the white space around it',
      { retry: 'after-fix', remedy: 'Choose a passphrase of the wanted length.' },
    )
  }
}
