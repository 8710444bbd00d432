import { concatBytes, equalBytes, fromHex, sha256 } from '../base/bytes.js'
import { isCompressedPoint } from '../base/curve.js'
import type { QcTemplate, SelfTemplate } from './request.js'
import { rule } from './validate-fields.js'

/** The opcodes that covenant scripts are made of; no other one is ever executed. */
export const op = {
  two: 0x52,
  three: 0x53,
  if: 0x63,
  else: 0x67,
  endif: 0x68,
  drop: 0x75,
  checkSig: 0xac,
  checkMultisig: 0xae,
  checkLockTime: 0xb1,
} as const

/** From here on Bitcoin reads a lock time as seconds since 1970, not as a height (BIP-65). */
export const timeLockMin = 500_000_000n

const name = 'request.scriptTemplate'

/**
 * The witness script of a covenant (engine specification, section 3).
 *
 * @param maturityHeight Bitcoin block height
 * @returns 159 bytes for self_v1 and 309 for qc_v1 at today's heights
 * @throws InvalidInput for heights out of their limits, keys that are no compressed points, and keys that repeat
 */
export function witnessScript(
  template: SelfTemplate | QcTemplate,
  maturityHeight: bigint,
): Uint8Array {
  const { delta2 } = template
  rule(maturityHeight > 0n, 'request.maturityHeight must be greater than zero')
  rule(delta2 >= 0n, `${name}.delta2 must not be negative`)
  // 2^32 - 1, the limit of the lock time field, is beyond this one: such a height would count as a moment in 1985.
  rule(
    maturityHeight + delta2 < timeLockMin,
    `request.maturityHeight plus ${name}.delta2 must be a block height below ${timeLockMin}`,
  )
  return 'custodianPublicKey' in template
    ? qcScript(template, maturityHeight)
    : selfScript(template, maturityHeight)
}

function selfScript(template: SelfTemplate, maturityHeight: bigint): Uint8Array {
  const [depositor, signer] = keysOf([
    ['depositorPublicKey', template.depositorPublicKey],
    ['signerPublicKey', template.signerPublicKey],
  ])
  return concatBytes(
    Uint8Array.of(op.if),
    ...multisig(op.two, [depositor, signer]),
    Uint8Array.of(op.else, op.if),
    ...notBefore(maturityHeight),
    ...single(signer),
    Uint8Array.of(op.else),
    ...notBefore(maturityHeight + template.delta2),
    ...single(depositor),
    Uint8Array.of(op.endif, op.endif),
  )
}

function qcScript(template: QcTemplate, maturityHeight: bigint): Uint8Array {
  const { beta, delta2 } = template
  rule(beta >= 0n, `${name}.beta must not be negative`)
  rule(beta < maturityHeight, `${name}.beta must be less than request.maturityHeight`)
  const [depositor, custodian, signer] = keysOf([
    ['depositorPublicKey', template.depositorPublicKey],
    ['custodianPublicKey', template.custodianPublicKey],
    ['signerPublicKey', template.signerPublicKey],
  ])
  return concatBytes(
    Uint8Array.of(op.if),
    ...multisig(op.three, [depositor, custodian, signer]),
    Uint8Array.of(op.else, op.if),
    ...notBefore(maturityHeight),
    ...multisig(op.two, [signer, custodian]),
    Uint8Array.of(op.else, op.if),
    ...notBefore(maturityHeight - beta),
    ...multisig(op.two, [depositor, custodian]),
    Uint8Array.of(op.else),
    ...notBefore(maturityHeight + delta2),
    ...single(depositor),
    Uint8Array.of(op.endif, op.endif, op.endif),
  )
}

type Keys<Fields extends readonly unknown[]> = { readonly [At in keyof Fields]: Uint8Array }

/** The keys' bytes; they must be points, and pairwise different: one holder of two keys would be two signers. */
function keysOf<const Fields extends readonly (readonly [field: string, hex: string])[]>(
  fields: Fields,
): Keys<Fields> {
  const seen = new Map<string, string>()
  const keys = fields.map(([field, hex]) => {
    const key = keyBytes(hex)
    const digits = hex.toLowerCase()
    rule(isCompressedPoint(key), `${name}.${field} must be a compressed secp256k1 public key`)
    const earlier = seen.get(digits)
    rule(earlier === undefined, `${name}.${field} must differ from ${name}.${earlier}`)
    seen.set(digits, field)
    return key
  })
  return keys as unknown as Keys<Fields> // map keeps the length
}

function keyBytes(hex: string): Uint8Array {
  return /^0x[0-9a-fA-F]{66}$/.test(hex) ? fromHex(hex.slice(2)) : new Uint8Array()
}

function multisig(count: number, keys: readonly Uint8Array[]): readonly Uint8Array[] {
  const wanted = Uint8Array.of(count)
  return [wanted, ...keys.map(pushOf), wanted, Uint8Array.of(op.checkMultisig)]
}

function single(key: Uint8Array): readonly Uint8Array[] {
  return [pushOf(key), Uint8Array.of(op.checkSig)]
}

function notBefore(heightBlocks: bigint): readonly Uint8Array[] {
  return [pushOf(scriptNumber(heightBlocks)), Uint8Array.of(op.checkLockTime, op.drop)]
}

/**
 * A number as scripts hold it: little-endian, a zero byte added when the top bit is set; empty for 0.
 *
 * @throws RangeError for a negative number
 */
export function scriptNumber(value: bigint): Uint8Array {
  if (value < 0n) throw new RangeError('script number: want no negative number')
  const digits: number[] = []
  for (let rest = value; rest > 0n; rest >>= 8n) digits.push(Number(rest & 0xffn))
  if ((digits.at(-1) ?? 0) & 0x80) digits.push(0)
  return Uint8Array.from(digits)
}

/** The shortest opcode that pushes these bytes. @throws RangeError for more than 75 bytes */
export function pushOf(data: Uint8Array): Uint8Array {
  const [first = 0] = data
  if (data.length === 0) return Uint8Array.of(0)
  if (data.length === 1 && first >= 1 && first <= 16) return Uint8Array.of(0x50 + first)
  if (data.length > 75) throw new RangeError('push: want at most 75 bytes')
  return concatBytes(Uint8Array.of(data.length), data)
}

/** The output script that pays to a witness script: `00 20 sha256(script)` (BIP-141). */
export function witnessScriptHashOutput(script: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(0x00, 0x20), sha256(script))
}

/** True for the 34 bytes of an output that pays to a witness script. */
export function isWitnessScriptHash(output: Uint8Array): boolean {
  return output.length === 34 && equalBytes(output.subarray(0, 2), Uint8Array.of(0x00, 0x20))
}
