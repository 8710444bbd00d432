import { fromHex } from '../base/bytes.js'
import { InvalidInput } from './invalid-input.js'

/** Throws InvalidInput with this text unless the rule holds. */
export function rule(holds: boolean, text: string): asserts holds {
  if (!holds) throw new InvalidInput(text)
}

/** H: 0x and an even number of hex digits, at least one byte. */
export function requireHex(text: string, name: string): void {
  if (text.length > 2 && text.length % 2 === 0 && /^0x[0-9a-fA-F]+$/.test(text)) return
  // The even length is one of UTF-8 bytes: a two-byte letter is a bad digit, not an odd length.
  const shaped = text.startsWith('0x') && text.length > 2 && Buffer.byteLength(text) % 2 === 0
  rule(shaped, `${name} must be a 0x-prefixed even-length hex string`)
  throw new InvalidInput(`${name} must be valid hex`)
}

/** A: hex of 20 bytes. */
export function requireAddress(text: string, name: string): void {
  requireHex(text, name)
  rule(sizeBytes(text) === 20, `${name} must be a 20-byte 0x-prefixed hex address`)
}

/** B: hex of 32 bytes. */
export function requireBytes32(text: string, name: string): void {
  requireHex(text, name)
  rule(sizeBytes(text) === 32, `${name} must be a 32-byte 0x-prefixed hex string`)
}

/** Bytes that a checked hex field stands for. */
export function sizeBytes(hex: string): number {
  return (hex.length - 2) / 2
}

/** The bytes of a checked hex field. */
export function hexBytes(hex: string): Uint8Array {
  return fromHex(hex.slice(2))
}

/** Whether two hex fields stand for the same bytes; letter case does not count. */
export function sameHex(a: string, b: string): boolean {
  return a === b || a.toLowerCase() === b.toLowerCase()
}

/** Whether a text holds nothing but white space. */
export function isBlank(text: string): boolean {
  return text.trim() === ''
}
