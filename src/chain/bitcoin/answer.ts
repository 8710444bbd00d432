import { bitcoinHeightMax } from '../../base/limits.js'
import { BitcoinUnavailable, quoted } from './fault.js'
import type { BitcoinNetwork } from './reader.js'
import { type DecodedTransaction, decodeTransaction } from './transaction.js'

/** What a server says to one request: JSON, or its own refusal. */
export type ServerAnswer =
  | { readonly kind: 'result'; readonly value: unknown }
  | { readonly kind: 'error'; readonly code: number | undefined; readonly message: string }

/** Hashes of the first blocks, display order; "testnet" is testnet3 or testnet4. */
export const genesisHashes: Readonly<Record<BitcoinNetwork, readonly string[]>> = {
  mainnet: ['000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f'],
  testnet: [
    '000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943',
    '00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043',
  ],
  regtest: ['0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206'],
}

/** Turns the hash of a source's first block into a fault unless it is the network's. */
export function mustBeGenesis(source: string, network: BitcoinNetwork, hash: unknown): void {
  if (typeof hash !== 'string' || !/^[0-9a-f]{64}$/.test(hash)) {
    throw badData(source, 'the hash of the first block is no hash')
  }
  if (genesisHashes[network].includes(hash)) return
  throw new BitcoinUnavailable(source, 'wrongNetwork', `not on ${network}, first block ${hash}`)
}

/** The result of an answer; a refusal becomes a fault. */
export function resultOf(source: string, what: string, answer: ServerAnswer): unknown {
  if (answer.kind === 'result') return answer.value
  throw refusal(source, what, answer)
}

/** A server's refusal as a fault. */
export function refusal(
  source: string,
  what: string,
  answer: ServerAnswer & { readonly kind: 'error' },
): BitcoinUnavailable {
  const { code, message } = answer
  const detail = `${what} refused: ${quoted(message)} (code ${code ?? 'none'})`
  return new BitcoinUnavailable(source, code === -28 ? 'notSynced' : 'rpc', detail)
}

/**
 * Whether a refusal means that the source knows no such transaction.
 *
 * @remarks Bitcoin Core answers -5 and, on an incomplete index, says so in the text: that is no "not found". Other
 * nodes answer -1, Electrum servers 1, 2 or a code of their own; there the text decides.
 */
export function isUnknownTransaction(answer: ServerAnswer & { readonly kind: 'error' }): boolean {
  const { code, message } = answer
  if (code === -32601 || lacksIndex(message)) return false
  if (code === -5) return true
  return /no such (mempool|transaction)|transaction not found|missing transaction|unknown transaction/i.test(
    message,
  )
}

/** Whether a node says that it cannot look up every transaction. */
export function lacksIndex(message: string): boolean {
  return /txindex|being indexed|still in the process/i.test(message)
}

export function badData(source: string, detail: string, cause?: unknown): BitcoinUnavailable {
  return new BitcoinUnavailable(source, 'badData', detail, { cause })
}

/** @throws BitcoinUnavailable (badData) unless it is an object with fields */
export function fieldsOf(
  source: string,
  value: unknown,
  what: string,
): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw badData(source, `${what} is no object`)
  }
  return value as Readonly<Record<string, unknown>>
}

/** @throws BitcoinUnavailable (badData) unless it is a height or a number of blocks */
export function heightOf(source: string, value: unknown, what: string): number {
  if (typeof value === 'number' && Number.isInteger(value)) {
    if (value >= 0 && value <= bitcoinHeightMax) return value
  }
  throw badData(source, `${what} is no height`)
}

/** A transaction that was checked against the id it was asked for. */
export type ProvenTransaction = { readonly bytes: Uint8Array; readonly decoded: DecodedTransaction }

/** @throws BitcoinUnavailable (badData) unless it is the hex of the transaction with this id */
export function provenTransaction(source: string, txid: string, hex: unknown): ProvenTransaction {
  if (typeof hex !== 'string' || hex.length % 2 !== 0 || !/^[0-9a-fA-F]+$/.test(hex)) {
    throw badData(source, `transaction ${txid} is no hex`)
  }
  const bytes = new Uint8Array(Buffer.from(hex, 'hex'))
  const decoded = decodeTransaction(bytes)
  if (!decoded) throw badData(source, `transaction ${txid} cannot be read`)
  if (decoded.txid !== txid) {
    throw badData(source, `asked for transaction ${txid}, got ${decoded.txid}`)
  }
  return { bytes, decoded }
}
