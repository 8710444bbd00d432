import { createHash, timingSafeEqual } from 'node:crypto'

/** Lower-case hex without 0x. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

/** @throws RangeError unless the text is an even number of hex digits. */
export function fromHex(text: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) {
    throw new RangeError('hex: want an even number of hex digits')
  }
  return new Uint8Array(Buffer.from(text, 'hex'))
}

/** Overwrites secret bytes in place. JavaScript may have made other copies; this is a limit, not a proof. */
export function wipe(...arrays: readonly (Uint8Array | undefined)[]): void {
  for (const bytes of arrays) bytes?.fill(0)
}

/** Compares without leaking where the first difference is; lengths are not secret. */
export function equalConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}
