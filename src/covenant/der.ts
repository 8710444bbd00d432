/** Bytes of one secp256k1 scalar. */
const scalarBytes = 32
const integerTag = 0x02
const sequenceTag = 0x30
/** Largest strict encoding: two 33-byte integers with their headers, and the outer header. */
const derBytesMax = 72

/** Order of secp256k1, big-endian (SEC 2, section 2.4.1). */
const order: Uint8Array = new Uint8Array(
  Buffer.from('fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141', 'hex'),
)
/** floor(order / 2): the largest S that is still low. */
const halfOrder: Uint8Array = new Uint8Array(
  Buffer.from('7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0', 'hex'),
)

/**
 * Reads a strict DER signature into r(32, BE) | s(32, BE).
 *
 * @returns `undefined` unless the bytes are the one canonical encoding: short lengths, minimal positive
 * integers, nothing after the end, and 0 < r, s < order.
 * @see X.690 section 10 (DER); BIP-66 pins the same form for signatures on Bitcoin.
 */
export function parseDerSignature(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length > derBytesMax || bytes[0] !== sequenceTag) return undefined
  if (bytes[1] !== bytes.length - 2) return undefined
  const compact = new Uint8Array(2 * scalarBytes)
  const afterR = readInteger(bytes, 2, compact.subarray(0, scalarBytes))
  if (afterR === undefined) return undefined
  const afterS = readInteger(bytes, afterR, compact.subarray(scalarBytes))
  return afterS === bytes.length ? compact : undefined
}

/** True when S of r(32) | s(32) is at most floor(order / 2). */
export function isLowS(compact: Uint8Array): boolean {
  return Buffer.compare(compact.subarray(scalarBytes), halfOrder) <= 0
}

/** True when both scalars of r(32) | s(32) are between 1 and order - 1. */
export function scalarsInRange(compact: Uint8Array): boolean {
  return (
    scalarInRange(compact.subarray(0, scalarBytes)) && scalarInRange(compact.subarray(scalarBytes))
  )
}

/** Copies the integer at `at`, right-aligned, into `out`; answers where the next element starts. */
function readInteger(bytes: Uint8Array, at: number, out: Uint8Array): number | undefined {
  const size = bytes[at + 1]
  const first = bytes[at + 2]
  const start = at + 2
  if (bytes[at] !== integerTag || size === undefined || first === undefined) return undefined
  if (size === 0 || start + size > bytes.length || first >= 0x80) return undefined
  const padded = first === 0 && size > 1
  if (padded && (bytes[start + 1] ?? 0) < 0x80) return undefined
  const digits = bytes.subarray(padded ? start + 1 : start, start + size)
  if (digits.length > scalarBytes) return undefined
  out.set(digits, scalarBytes - digits.length)
  return scalarInRange(out) ? start + size : undefined
}

function scalarInRange(scalar: Uint8Array): boolean {
  return scalar.some((byte) => byte !== 0) && Buffer.compare(scalar, order) < 0
}
