import { HoldfastError } from '../base/errors.js'

/** One level of a derivation path. */
export type ChildNumber = {
  /** Below 2^31, or (DIP-14) from 2^32 to 2^256 - 1. */
  readonly index: bigint
  readonly hardened: boolean
}

/** Levels of a path; the depth of an extended key is one byte. */
const levelsMax = 255
const narrowEnd = 2n ** 31n
const wideStart = 2n ** 32n
const wideEnd = 2n ** 256n

/** True when the child number takes 32 bytes instead of four (DIP-14). */
export const isWide = (child: ChildNumber): boolean => child.index >= wideStart

/** A hardened level, written with an apostrophe. */
export const hardened = (index: number | bigint): ChildNumber => childNumber(index, true)

/** A level that the public key alone can derive. */
export const normal = (index: number | bigint): ChildNumber => childNumber(index, false)

function childNumber(value: number | bigint, isHardened: boolean): ChildNumber {
  const index = BigInt(value)
  if (!isIndex(index)) throw new RangeError('child number: want 0 to 2^31 - 1, or 2^32 and above')
  return { index, hardened: isHardened }
}

/** Numbers from 2^31 to 2^32 - 1 are left out: BIP-32 reads their first bit as the hardened mark. */
const isIndex = (index: bigint): boolean =>
  (index >= 0n && index < narrowEnd) || (index >= wideStart && index < wideEnd)

/** Writes a path as `m/9'/5'/17'`; numbers of 256 bits as `0x` and 64 digits. */
export function formatPath(path: readonly ChildNumber[]): string {
  return ['m', ...path.map(formatLevel)].join('/')
}

function formatLevel(child: ChildNumber): string {
  const number = isWide(child)
    ? `0x${child.index.toString(16).padStart(64, '0')}`
    : child.index.toString()
  return child.hardened ? `${number}'` : number
}

/**
 * Reads a path as `m/9'/5'/17'/0'/0'/3`.
 *
 * @param text - `m` and up to 255 levels; a level is a decimal number, or `0x` and 64 hex digits, and an
 * apostrophe when it is hardened
 * @throws InvalidPath
 */
export function parsePath(text: string): readonly ChildNumber[] {
  const [root, ...levels] = text.split('/', levelsMax + 2)
  if (root !== 'm') throw new InvalidPath('does not start with "m"')
  if (levels.length > levelsMax) throw new InvalidPath(`has more than ${levelsMax} levels`)
  return levels.map(parseLevel)
}

function parseLevel(text: string, at: number): ChildNumber {
  const match = /^(0x[0-9a-fA-F]{64}|0|[1-9][0-9]{0,9})('?)$/.exec(text)
  const number = match?.[1] ?? ''
  const index = BigInt(number === '' ? -1 : number)
  const isDecimal = !number.startsWith('0x')
  if (!isIndex(index) || (isDecimal && index >= narrowEnd)) {
    throw new InvalidPath(`level ${at + 1} is not a child number`)
  }
  return { index, hardened: match?.[2] === "'" }
}

/** A derivation path that cannot be read, or that leads to no key. */
export class InvalidPath extends HoldfastError {
  readonly code = 'InvalidPath'
  constructor(detail: string) {
    super(`derivation path: ${detail}, want for example m/44'/5'/0'/0/3`, {
      retry: 'after-fix',
      remedy:
        'Write "m" and numbers below 2147483648 (or 0x and 64 digits), hardened ones with an apostrophe.',
    })
  }
}
