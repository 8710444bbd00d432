import { concatBytes } from '../base/bytes.js'
import { hash160 } from '../base/curve.js'
import type { AccountKey, AccountType } from './account.js'
import type { PublicNode } from './extended-key.js'
import { childKeys, derivePublic } from './hd.js'
import { normal } from './paths.js'
import type { NodeKey } from './slip10.js'

/** `single_hardened` pools hold Ed25519 keys that only the seed can extend. */
export const chains = ['external', 'internal', 'single', 'single_hardened'] as const
export type Chain = (typeof chains)[number]

/** Bytes of one packed entry. */
export const entryBytes = 58
/** First byte of an entry. */
export const entryStates = { available: 0, reserved: 1, used: 2 } as const

/**
 * One chain of addresses of one account, packed: entry `n` belongs to index `n`.
 *
 * An entry is
 * state(1) | reservedAtS(4, BE) | hash160(20) | publicKey(33)
 * An Ed25519 key fills the public key's field with one zero byte and 32 key bytes; its hash160 field holds the
 * node id (first 20 bytes of SHA-256).
 */
export type Pool = {
  readonly account: AccountKey
  readonly chain: Chain
  /** Unused entries kept past the highest used index. */
  readonly gap: number
  /** Highest index seen in use; it only grows. */
  readonly highestUsed: number | undefined
  readonly entries: Uint8Array
}

/** One entry of a pool, unpacked; the byte arrays are copies. */
export type PoolEntry = {
  readonly index: number
  readonly state: keyof typeof entryStates
  /** Seconds since 1970-01-01 UTC; 0 unless reserved. */
  readonly reservedAtS: number
  /** HASH160 of the public key; the node id in a `single_hardened` pool. */
  readonly hash160: Uint8Array
  /** Compressed secp256k1 key, 33 bytes; Ed25519 key, 32 bytes, in a `single_hardened` pool. */
  readonly publicKey: Uint8Array
}

/** Answers the compressed public key at an index of one chain. */
export type KeySource = (index: number) => Uint8Array

const hashAt = 5
const keyAt = 25
const states = ['available', 'reserved', 'used'] as const

/**
 * The keys of one chain of an account.
 *
 * @param node - the account's public node
 * @throws RangeError for `single_hardened`: no public node leads there
 */
export function chainKeys(node: PublicNode, type: AccountType, chain: Chain): KeySource {
  if (chain === 'single_hardened') throw new RangeError('node keys: only the seed has them')
  const level = chainLevel(type, chain)
  return childKeys(level === undefined ? node : derivePublic(node, [normal(level)]))
}

/** The level between account and address, where there is one. */
function chainLevel(type: AccountType, chain: Chain): number | undefined {
  if (chain === 'internal') return 1
  return chain === 'external' || type === 'coinjoin' ? 0 : undefined
}

/** Path of one address. @param accountPath - as the account keeps it, for example `m/44'/5'/0'` */
export function entryPath(accountPath: string, pool: Pool, index: number): string {
  const level = chainLevel(pool.account.type, pool.chain)
  const leaf = pool.chain === 'single_hardened' ? `${index}'` : `${index}`
  return level === undefined ? `${accountPath}/${leaf}` : `${accountPath}/${level}/${leaf}`
}

/** A fresh pool: `gap` entries, none used. */
export function buildPool(about: Pick<Pool, 'account' | 'chain' | 'gap'>, keys: KeySource): Pool {
  const { account, chain, gap } = about
  const entries = deriveEntries(keys, { first: 0, end: gap })
  return { account, chain, gap, highestUsed: undefined, entries }
}

/** The pool of a wallet's Ed25519 node keys. */
export function buildNodePool(account: AccountKey, gap: number, keys: readonly NodeKey[]): Pool {
  const entries = concatBytes(...keys.map((key) => packEntry(key.nodeId, key.publicKey)))
  return { account, chain: 'single_hardened', gap, highestUsed: undefined, entries }
}

/** Number of entries, used ones included. */
export const entryCount = (pool: Pool): number => Math.floor(pool.entries.length / entryBytes)

/** @throws RangeError when the pool has no such entry, or its state byte is unknown */
export function entryAt(pool: Pool, index: number): PoolEntry {
  const start = entryStart(pool, index)
  const entry = Buffer.from(pool.entries.slice(start, start + entryBytes))
  const state = states[entry.readUInt8(0)]
  if (state === undefined) throw new RangeError('pool entry: unknown state byte')
  return {
    index,
    state,
    reservedAtS: entry.readUInt32BE(1),
    hash160: new Uint8Array(entry.subarray(hashAt, keyAt)),
    publicKey: new Uint8Array(entry.subarray(pool.chain === 'single_hardened' ? keyAt + 1 : keyAt)),
  }
}

/** The available entry of the lowest index; `undefined` when every one is reserved or used. */
export function nextUnused(pool: Pool): PoolEntry | undefined {
  for (let index = 0; index < entryCount(pool); index++) {
    if (pool.entries[index * entryBytes] === entryStates.available) return entryAt(pool, index)
  }
  return undefined
}

/**
 * Marks an entry used, and derives entries up to `gap` past it.
 *
 * @param extend - the pool's own keys (`chainKeys`); without them, as for node keys, the pool keeps its length
 * @throws RangeError when the pool has no such entry: an address is seen in use only after it was derived
 */
export function markUsed(pool: Pool, index: number, extend?: KeySource): Pool {
  const used = withState(pool, index, entryStates.used, 0)
  const highestUsed = Math.max(pool.highestUsed ?? 0, index)
  if (extend === undefined) return { ...used, highestUsed }
  const missing = { first: entryCount(pool), end: highestUsed + pool.gap + 1 }
  return {
    ...used,
    highestUsed,
    entries: concatBytes(used.entries, deriveEntries(extend, missing)),
  }
}

/**
 * Sets an available entry aside for one payer.
 *
 * @param atS - seconds since 1970-01-01 UTC
 * @throws RangeError when the pool has no such entry, or it is reserved or used
 */
export function markReserved(pool: Pool, index: number, atS: number): Pool {
  if (entryAt(pool, index).state !== 'available') throw new RangeError('pool entry: not available')
  if (!(Number.isInteger(atS) && atS >= 0 && atS < 2 ** 32)) {
    throw new RangeError('reservation time: want whole seconds below 2^32')
  }
  return withState(pool, index, entryStates.reserved, atS)
}

function withState(pool: Pool, index: number, state: number, reservedAtS: number): Pool {
  const start = entryStart(pool, index)
  const entries = Uint8Array.from(pool.entries)
  entries[start] = state
  new DataView(entries.buffer).setUint32(start + 1, reservedAtS)
  return { ...pool, entries }
}

function entryStart(pool: Pool, index: number): number {
  if (!(Number.isInteger(index) && index >= 0 && index < entryCount(pool))) {
    throw new RangeError('pool entry: no such index')
  }
  return index * entryBytes
}

function deriveEntries(
  keys: KeySource,
  range: { readonly first: number; readonly end: number },
): Uint8Array {
  const count = Math.max(0, range.end - range.first)
  return concatBytes(
    ...Array.from({ length: count }, (_, n) => {
      const key = keys(range.first + n)
      return packEntry(hash160(key), key)
    }),
  )
}

/** An available entry; a 32-byte key is padded in front with one zero byte. */
function packEntry(hash: Uint8Array, publicKey: Uint8Array): Uint8Array {
  const entry = new Uint8Array(entryBytes)
  entry.set(hash, hashAt)
  entry.set(publicKey, entryBytes - publicKey.length)
  return entry
}
