import { concatBytes, sha256, toHex } from '../../base/bytes.js'
import { bitcoinTransactionBytesMax } from '../../base/limits.js'

export type Outpoint = {
  /** Display order. */
  readonly txid: string
  readonly vout: number
}

/** What a transaction's id vouches for. */
export type DecodedTransaction = {
  readonly txid: string
  readonly inputs: readonly Outpoint[]
  readonly outputs: readonly {
    readonly valueSats: bigint
    /** scriptPubKey. */
    readonly script: Uint8Array
  }[]
}

// Smallest input: outpoint(36) | script length(1) | sequence(4). Smallest output: value(8) | script length(1).
const inputBytesMin = 41
const outputBytesMin = 9
const satsMax = 2_100_000_000_000_000n

/**
 * Reads a serialised transaction, with or without witnesses.
 *
 * @returns undefined when the bytes are not exactly one transaction
 * @remarks The id is the double SHA-256 of the serialisation without witnesses, so it vouches for everything here and
 * for no witness.
 * @see BIP-144
 */
export function decodeTransaction(bytes: Uint8Array): DecodedTransaction | undefined {
  if (bytes.length > bitcoinTransactionBytesMax) return undefined
  try {
    return readTransaction(new ByteReader(bytes))
  } catch (error) {
    // Bytes from a server are no mistake of the program: the caller says whose they were.
    if (error instanceof UnreadableBytes) return undefined
    throw error
  }
}

/** Whether no transaction can ever spend an output with this script, so that nodes do not keep it. */
export function isUnspendable(script: Uint8Array): boolean {
  const opReturn = 0x6a
  return script[0] === opReturn || script.length > 10_000
}

/** Electrum's name of a script: its SHA-256 in reversed order, hex. */
export function electrumScriptHash(script: Uint8Array): string {
  return toHex(sha256(script).reverse())
}

/** The double SHA-256 of bytes in display order, hex. */
export function displayHash(...parts: readonly Uint8Array[]): string {
  return toHex(sha256(sha256(...parts)).reverse())
}

// version(4) | [marker(1) = 0 | flag(1) = 1] | inputs | outputs | [witnesses] | lockTime(4)
function readTransaction(reader: ByteReader): DecodedTransaction {
  const version = reader.take(4)
  const hasWitness = reader.peek() === 0
  if (hasWitness && reader.uint16() !== 0x0100) throw new UnreadableBytes()
  const bodyAt = reader.at
  const inputs = reader.list(inputBytesMin, readInput)
  const outputs = reader.list(outputBytesMin, readOutput)
  const body = reader.since(bodyAt)
  if (inputs.length === 0 || outputs.length === 0) throw new UnreadableBytes()
  if (hasWitness) for (const _ of inputs) reader.list(1, readScript)
  const lockTime = reader.take(4)
  reader.end()
  return { txid: displayHash(concatBytes(version, body, lockTime)), inputs, outputs }
}

function readInput(reader: ByteReader): Outpoint {
  const txid = toHex(reader.take(32).slice().reverse())
  const vout = reader.uint32()
  readScript(reader)
  reader.take(4)
  return { txid, vout }
}

function readOutput(reader: ByteReader): { valueSats: bigint; script: Uint8Array } {
  const valueSats = reader.uint64()
  if (valueSats > satsMax) throw new UnreadableBytes()
  return { valueSats, script: readScript(reader).slice() }
}

function readScript(reader: ByteReader): Uint8Array {
  return reader.take(reader.compactSize())
}

class ByteReader {
  at = 0
  readonly #bytes: Buffer

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  take(count: number): Uint8Array {
    const end = this.at + count
    if (end > this.#bytes.length) throw new UnreadableBytes()
    const part = this.#bytes.subarray(this.at, end)
    this.at = end
    return new Uint8Array(part.buffer, part.byteOffset, part.byteLength)
  }

  peek(): number | undefined {
    return this.#bytes[this.at]
  }

  since(start: number): Uint8Array {
    return this.#bytes.subarray(start, this.at)
  }

  uint16(): number {
    this.take(2)
    return this.#bytes.readUInt16LE(this.at - 2)
  }

  uint32(): number {
    this.take(4)
    return this.#bytes.readUInt32LE(this.at - 4)
  }

  uint64(): bigint {
    this.take(8)
    return this.#bytes.readBigUInt64LE(this.at - 8)
  }

  /** The variable-length integer of Bitcoin's serialisation; only the shortest form counts. */
  compactSize(): number {
    const [first = 0] = this.take(1)
    if (first < 0xfd) return first
    const value =
      first === 0xfd ? this.uint16() : first === 0xfe ? this.uint32() : Number(this.uint64())
    const least = first === 0xfd ? 0xfd : first === 0xfe ? 0x1_0000 : 0x1_0000_0000
    if (value < least) throw new UnreadableBytes()
    return value
  }

  list<T>(itemBytesMin: number, read: (reader: ByteReader) => T): readonly T[] {
    const count = this.compactSize()
    if (count * itemBytesMin > this.#bytes.length - this.at) throw new UnreadableBytes()
    return Array.from({ length: count }, () => read(this))
  }

  end(): void {
    if (this.at !== this.#bytes.length) throw new UnreadableBytes()
  }
}

/** Stays inside this module. */
class UnreadableBytes extends Error {}
