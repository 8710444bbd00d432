import { randomBytes } from 'node:crypto'
import * as secp256k1 from 'tiny-secp256k1'
import { fromHex, toHex } from '../base/bytes.js'
import { isLowS, parseDerSignature } from '../covenant/der.js'
import type { RequestId } from '../covenant/job.js'
import type { Hex } from '../covenant/request.js'
import type { Signer } from '../covenant/signer.js'
import { type ScriptedStep, scriptedStep } from './scripted-step.js'

/** What the signer was asked to sign. */
export type SignAsked = {
  readonly requestId: RequestId
  /** Compressed, lower case. */
  readonly publicKey: Hex
  readonly sighash: Hex
}

/** A signer with test keys in memory, whose every answer a test can set. */
export interface ScriptedSigner extends Signer {
  readonly script: {
    readonly controls: ScriptedStep<Hex, boolean>
    /** Usual answer: a real signature. */
    readonly sign: ScriptedStep<SignAsked, Uint8Array>
  }
  /** Every signing that was asked for, in order, whatever became of it. */
  readonly asked: readonly SignAsked[]
  /** The most signings that ever went on at one time for one key. */
  readonly atOnceMax: number
}

export type ScriptedSignerOptions = {
  /** 32 bytes each; test keys only. */
  readonly secrets: readonly Uint8Array[]
  /** `random`: another valid signature each time, as threshold signers give. Default `deterministic` (RFC 6979). */
  readonly nonce?: 'deterministic' | 'random'
}

/** @throws RangeError for bytes that are no secret key */
export function scriptedSigner(options: ScriptedSignerOptions): ScriptedSigner {
  const { nonce = 'deterministic' } = options
  const secrets = new Map(options.secrets.map((secret) => [publicKeyOf(secret), secret]))
  const running = new Map<Hex, number>()
  let atOnceMax = 0
  const controls = scriptedStep<Hex, boolean>((publicKey) => secrets.has(publicKey))
  const sign = scriptedStep<SignAsked, Uint8Array>(({ publicKey, sighash }) => {
    const secret = secrets.get(publicKey)
    if (secret === undefined) return new RangeError('scripted signer: no such key')
    // A process that starts again must not repeat itself: that would hide a second artefact.
    const entropy = randomBytes(32)
    const digest = fromHex(sighash.slice(2))
    const compact = secp256k1.sign(digest, secret, nonce === 'random' ? entropy : undefined)
    return encodeDer(compact)
  })
  return {
    script: { controls, sign },
    asked: sign.asked,
    get atOnceMax() {
      return atOnceMax
    },
    controls: (publicKey, signal) => controls.play(lowerCase(publicKey), signal),
    async sign(publicKey, digest32, { requestId }, signal) {
      const key = lowerCase(publicKey)
      const atOnce = (running.get(key) ?? 0) + 1
      running.set(key, atOnce)
      atOnceMax = Math.max(atOnceMax, atOnce)
      try {
        const asked = { requestId, publicKey: key, sighash: `0x${toHex(digest32)}` as const }
        return await sign.play(asked, signal)
      } finally {
        running.set(key, (running.get(key) ?? 1) - 1)
      }
    },
  }
}

/** Whether a strict DER, low-S signature over 32 bytes is the key's. */
export function verifiesDer(signature: Uint8Array, digest32: Uint8Array, publicKey: Hex): boolean {
  const compact = parseDerSignature(signature)
  if (compact === undefined || !isLowS(compact)) return false
  return secp256k1.verify(digest32, fromHex(publicKey.slice(2)), compact, true)
}

function publicKeyOf(secret: Uint8Array): Hex {
  const point = secp256k1.pointFromScalar(secret, true)
  if (point === null) throw new RangeError('scripted signer: want a secret key of 32 bytes')
  return `0x${toHex(point)}`
}

function lowerCase(publicKey: Hex): Hex {
  return `0x${publicKey.slice(2).toLowerCase()}`
}

/** The minimal DER encoding of r(32) | s(32). */
function encodeDer(compact: Uint8Array): Uint8Array {
  const body = [...derInteger(compact.subarray(0, 32)), ...derInteger(compact.subarray(32))]
  return Uint8Array.of(0x30, body.length, ...body)
}

function derInteger(scalar: Uint8Array): readonly number[] {
  const first = scalar.findIndex((byte) => byte !== 0)
  const digits = [...scalar.subarray(first)]
  if ((digits[0] ?? 0) >= 0x80) digits.unshift(0)
  return [0x02, digits.length, ...digits]
}
