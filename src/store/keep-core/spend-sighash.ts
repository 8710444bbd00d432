import { concatBytes, sha256, toHex } from '../../base/bytes.js'
import type { Outpoint } from '../../covenant/job.js'

/** A Bitcoin transaction with one input. */
export type Spend = {
  readonly outpoint: Outpoint
  /** Items of the input's witness; empty when there is none. */
  readonly witness: readonly Uint8Array[]
  /** Serialised without witnesses. */
  readonly unsigned: Uint8Array
  readonly version: Uint8Array
  /** txid(32) | vout(4, LE) */
  readonly prevout: Uint8Array
  readonly sequence: Uint8Array
  /** Every output: value(8, LE) | length | script. */
  readonly outputs: Uint8Array
  readonly lockTime: Uint8Array
}

const witnessItemsMax = 16
const outputsMax = 64

/** Reads a transaction, with or without witnesses. @throws RangeError unless it has exactly one input */
export function parseSpend(bytes: Uint8Array): Spend {
  const reader = new Reader(bytes)
  const version = reader.take(4)
  const segwit = bytes[4] === 0 && bytes[5] === 1
  if (segwit) reader.take(2)
  if (reader.takeCount() !== 1) throw new RangeError('transaction: want one input')
  const prevout = reader.take(36)
  reader.take(reader.takeCount())
  const sequence = reader.take(4)
  const outputsFrom = reader.at
  const count = reader.takeCount()
  if (count < 1 || count > outputsMax) throw new RangeError(`outputs: want 1 to ${outputsMax}`)
  const body = reader.at
  for (let i = 0; i < count; i += 1) {
    reader.take(8)
    reader.take(reader.takeCount())
  }
  const outputsTo = reader.at
  const witness = segwit ? readWitness(reader) : []
  const lockTime = reader.take(4)
  if (reader.at !== bytes.length) throw new RangeError('transaction: bytes follow its end')
  return {
    outpoint: outpointOf(prevout),
    witness,
    unsigned: concatBytes(
      version,
      // One input, whose script is empty.
      Uint8Array.of(1),
      prevout,
      Uint8Array.of(0),
      sequence,
      bytes.subarray(outputsFrom, outputsTo),
      lockTime,
    ),
    ...{ version, prevout, sequence, lockTime },
    outputs: bytes.subarray(body, outputsTo),
  }
}

function readWitness(reader: Reader): readonly Uint8Array[] {
  const count = reader.takeCount()
  if (count > witnessItemsMax) throw new RangeError('witness: too many items')
  return Array.from({ length: count }, () => reader.take(reader.takeCount()))
}

function outpointOf(prevout: Uint8Array): Outpoint {
  const vout = new DataView(prevout.buffer, prevout.byteOffset).getUint32(32, true)
  return `${toHex(prevout.slice(0, 32).reverse())}:${vout}` as Outpoint // both parts are in their form
}

/**
 * What a signature over the input covers with SIGHASH_ALL (BIP-143).
 *
 * @param amountSats value of the output that is spent
 * @returns 32 bytes
 */
export function spendSighash(
  spend: Spend,
  witnessScript: Uint8Array,
  amountSats: bigint,
): Uint8Array {
  const amount = new Uint8Array(8)
  new DataView(amount.buffer).setBigUint64(0, amountSats, true)
  // version | hash of prevouts | hash of sequences | prevout | script | amount | sequence | hash of outputs | ...
  return sha256Twice(
    concatBytes(
      spend.version,
      sha256Twice(spend.prevout),
      sha256Twice(spend.sequence),
      spend.prevout,
      countOf(witnessScript.length),
      witnessScript,
      amount,
      spend.sequence,
      sha256Twice(spend.outputs),
      spend.lockTime,
      Uint8Array.of(1, 0, 0, 0),
    ),
  )
}

function sha256Twice(bytes: Uint8Array): Uint8Array {
  return sha256(sha256(bytes))
}

/** The variable-length integer of Bitcoin's serialisation, up to 2^16 - 1. */
function countOf(count: number): Uint8Array {
  if (count < 0xfd) return Uint8Array.of(count)
  if (count > 0xffff) throw new RangeError('script: want at most 65535 bytes')
  return Uint8Array.of(0xfd, count & 0xff, count >> 8)
}

class Reader {
  readonly #bytes: Uint8Array
  at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  take(count: number): Uint8Array {
    if (count > this.#bytes.length - this.at) throw new RangeError('transaction: it is cut off')
    this.at += count
    return this.#bytes.subarray(this.at - count, this.at)
  }

  takeCount(): number {
    const first = this.take(1)[0] ?? 0
    if (first < 0xfd) return first
    const [low = 0, high = 0] = this.take(2)
    if (first !== 0xfd) throw new RangeError('transaction: a count is out of bounds')
    return low | (high << 8)
  }
}
