import { concatBytes, sha256, toHex } from '../base/bytes.js'
import type { Outpoint } from './job.js'

/** One input as it stands in a transaction. */
export type TransactionInput = {
  readonly outpoint: Outpoint
  /** txid(32) | vout(4, LE) */
  readonly prevout: Uint8Array
  readonly scriptSig: Uint8Array
  /** 4 bytes, little-endian. */
  readonly sequence: Uint8Array
  /** Bottom to top; empty without a witness. */
  readonly witness: readonly Uint8Array[]
}

export type TransactionOutput = { readonly valueSats: bigint; readonly script: Uint8Array }

/** A Bitcoin transaction, cut into its parts. */
export type Transaction = {
  /** 4 bytes, little-endian. */
  readonly version: Uint8Array
  readonly inputs: readonly TransactionInput[]
  readonly outputs: readonly TransactionOutput[]
  /** 4 bytes, little-endian. */
  readonly lockTime: Uint8Array
  /** Serialised without witnesses. */
  readonly stripped: Uint8Array
  /** 64 lower-case hex digits in display order. */
  readonly txid: string
}

/** A block has no room for a longer one. */
const transactionBytesMax = 4_000_000

/**
 * Reads a transaction with or without witnesses (BIP-144).
 *
 * @throws RangeError unless the bytes are exactly one transaction in its one encoding
 */
export function parseTransaction(bytes: Uint8Array): Transaction {
  if (bytes.length > transactionBytesMax) throw new RangeError('transaction: longer than a block')
  const reader = new Reader(bytes)
  const version = reader.take(4)
  const segwit = bytes[4] === 0 && bytes[5] === 1
  if (segwit) reader.take(2)
  const bodyFrom = reader.at
  const bare = reader.list(readInput)
  const outputs = reader.list(readOutput)
  const bodyTo = reader.at
  if (bare.length === 0) throw new RangeError('transaction: want an input')
  const inputs = segwit ? bare.map((input) => ({ ...input, witness: readWitness(reader) })) : bare
  if (segwit && inputs.every(({ witness }) => witness.length === 0)) {
    throw new RangeError('transaction: it says that it has witnesses, and has none')
  }
  const lockTime = reader.take(4)
  if (reader.at !== bytes.length) throw new RangeError('transaction: bytes follow its end')
  const stripped = concatBytes(version, bytes.subarray(bodyFrom, bodyTo), lockTime)
  const txid = toHex(sha256Twice(stripped).reverse())
  return { version, inputs, outputs, lockTime, stripped, txid }
}

function readInput(reader: Reader): TransactionInput {
  const prevout = reader.take(36)
  const scriptSig = reader.takeBlock()
  const sequence = reader.take(4)
  return { outpoint: outpointOf(prevout), prevout, scriptSig, sequence, witness: [] }
}

function readOutput(reader: Reader): TransactionOutput {
  const value = reader.take(8)
  return {
    valueSats: new DataView(value.buffer, value.byteOffset).getBigUint64(0, true),
    script: reader.takeBlock(),
  }
}

function readWitness(reader: Reader): readonly Uint8Array[] {
  return reader.list((item) => item.takeBlock())
}

function outpointOf(prevout: Uint8Array): Outpoint {
  const vout = littleEndian32(prevout.subarray(32))
  return `${toHex(prevout.slice(0, 32).reverse())}:${vout}` as Outpoint // both parts are in their form
}

/** The number in 4 little-endian bytes. */
export function littleEndian32(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
}

/**
 * What a SIGHASH_ALL signature over a version 0 witness input covers (BIP-143).
 *
 * @param script the whole witness script
 * @param amountSats value of the output that is spent
 * @returns 32 bytes
 */
export function witnessSighash(
  transaction: Transaction,
  inputIndex: number,
  script: Uint8Array,
  amountSats: bigint,
): Uint8Array {
  const { version, inputs, outputs, lockTime } = transaction
  const input = inputs[inputIndex]
  if (input === undefined) throw new RangeError(`transaction: it has no input ${inputIndex}`)
  const prevouts = concatBytes(...inputs.map(({ prevout }) => prevout))
  const sequences = concatBytes(...inputs.map(({ sequence }) => sequence))
  const written = outputs.map((one) =>
    concatBytes(amountBytes(one.valueSats), countOf(one.script.length), one.script),
  )
  // version | hash of prevouts | hash of sequences | prevout | script | amount | sequence | hash of outputs | ...
  return sha256Twice(
    concatBytes(
      version,
      sha256Twice(prevouts),
      sha256Twice(sequences),
      input.prevout,
      countOf(script.length),
      script,
      amountBytes(amountSats),
      input.sequence,
      sha256Twice(concatBytes(...written)),
      lockTime,
      Uint8Array.of(1, 0, 0, 0),
    ),
  )
}

/** SHA-256 of SHA-256, in internal byte order. */
export function sha256Twice(bytes: Uint8Array): Uint8Array {
  return sha256(sha256(bytes))
}

function amountBytes(sats: bigint): Uint8Array {
  const value = new Uint8Array(8)
  new DataView(value.buffer).setBigUint64(0, sats, true)
  return value
}

/** The variable-length integer of Bitcoin's serialisation. */
function countOf(count: number): Uint8Array {
  if (count < 0xfd) return Uint8Array.of(count)
  const [marker, size] = count <= 0xffff ? [0xfd, 2] : [0xfe, 4]
  const bytes = new Uint8Array(5)
  bytes[0] = marker
  new DataView(bytes.buffer).setUint32(1, count, true)
  return bytes.subarray(0, 1 + size)
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

  takeBlock(): Uint8Array {
    return this.take(this.#takeCount())
  }

  /** Items after their count; each takes a byte at least, so the bytes bound the list. */
  list<Item>(read: (reader: this) => Item): readonly Item[] {
    const count = this.#takeCount()
    const items: Item[] = []
    while (items.length < count) items.push(read(this))
    return items
  }

  #takeCount(): number {
    const first = this.take(1)[0] ?? 0
    if (first < 0xfd) return first
    if (first === 0xff) throw new RangeError('transaction: a count is out of bounds')
    const size = first === 0xfd ? 2 : 4
    const count = littleEndian32(concatBytes(this.take(size), new Uint8Array(4 - size)))
    if (count <= (size === 2 ? 0xfc : 0xffff)) {
      throw new RangeError('transaction: a count is longer than it need be')
    }
    return count
  }
}
