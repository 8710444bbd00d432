/**
 * The minimal DER encoding of r(32, BE) | s(32, BE), at most 72 bytes.
 *
 * @see X.690 section 10; BIP-66
 */
export function encodeDerSignature(compact: Uint8Array): Uint8Array {
  if (compact.length !== 64) throw new RangeError('signature: want r and s of 32 bytes each')
  const body = [...derInteger(compact.subarray(0, 32)), ...derInteger(compact.subarray(32))]
  return Uint8Array.of(0x30, body.length, ...body)
}

function derInteger(scalar: Uint8Array): readonly number[] {
  const first = scalar.findIndex((byte) => byte !== 0)
  if (first < 0) throw new RangeError('signature: want r and s above 0')
  const digits = [...scalar.subarray(first)]
  // An integer whose first bit is set would be negative.
  if ((digits[0] ?? 0) >= 0x80) digits.unshift(0)
  return [0x02, digits.length, ...digits]
}
