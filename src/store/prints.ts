import { hash } from 'node:crypto'
import type { Outpoint } from '../covenant/job.js'
import type { Route } from '../covenant/request.js'

declare const brand: unique symbol
/**
 * 8-byte fingerprint of a route key or an outpoint, 16 lower-case hex digits.
 *
 * @remarks Equal fingerprints mean "look at the row or the line", never "the same key".
 */
export type Print = string & { readonly [brand]: 'Print' }

/** Fingerprint of a route key; salted with the store's id, so that clients cannot aim at collisions. */
export function keyPrint(storeId: string, route: Route, routeRequestId: string): Print {
  return printOf(storeId, 'key', route, routeRequestId)
}

/** Fingerprint of an outpoint, salted like `keyPrint`. */
export function outpointPrint(storeId: string, outpoint: Outpoint): Print {
  return printOf(storeId, 'outpoint', outpoint)
}

/** @throws RangeError unless the text is 16 lower-case hex digits */
export function parsePrint(text: string): Print {
  if (!/^[0-9a-f]{16}$/.test(text)) throw new RangeError('print: want 16 lower-case hex digits')
  return text as Print
}

function printOf(...parts: readonly string[]): Print {
  // Each part carries its length, so that no two lists of parts read the same.
  const text = parts.map((part) => `${part.length}:${part}`).join('')
  return hash('sha256', text, 'hex').slice(0, 16) as Print
}

/** Slots of an empty table; always a power of two. */
const slotsMin = 1024
/** Full above 61 of 64 slots: a million entries fit into 2^20 slots, which is 16 MiB. */
const fullAt = 61 / 64
const none: readonly bigint[] = Object.freeze([])

/**
 * Table from fingerprint to sequences, for keys that may run into the millions.
 *
 * slot: low(4) | high(4) | seq(8, float), an empty slot has seq 0
 *
 * @remarks Open addressing in the order of distance from home ("Robin Hood"), which keeps a table that is
 * almost full quick to search. One fingerprint may have several sequences.
 */
export class Prints {
  #low: Uint32Array = new Uint32Array(slotsMin)
  #high: Uint32Array = new Uint32Array(slotsMin)
  #seq: Float64Array = new Float64Array(slotsMin)
  #mask: number = slotsMin - 1
  #size = 0

  /** Entries, counting each pair of fingerprint and sequence once. */
  get size(): number {
    return this.#size
  }

  /** Memory of the table, bytes. */
  get sizeBytes(): number {
    return 16 * (this.#mask + 1)
  }

  /** Every sequence stored under the fingerprint, in no particular order; empty when there is none. */
  get(print: Print): readonly bigint[] {
    const [low, high] = [lowOf(print), highOf(print)]
    let found: bigint[] | undefined
    for (let slot = low & this.#mask, away = 0; this.#reaches(slot, away); away += 1) {
      if (this.#low[slot] === low && this.#high[slot] === high) {
        found ??= []
        found.push(BigInt(this.#seq[slot] ?? 0))
      }
      slot = (slot + 1) & this.#mask
    }
    return found ?? none
  }

  /**
   * Adds a sequence; no-op when the very pair is there.
   *
   * @throws RangeError unless the sequence is between 1 and 2^53 - 1
   */
  add(print: Print, seq: bigint): void {
    const value = checkedSeq(seq)
    const [low, high] = [lowOf(print), highOf(print)]
    if (this.#slotOf(low, high, value) !== undefined) return
    if (this.#size + 1 > fullAt * (this.#mask + 1)) this.#grow()
    this.#place(low, high, value)
    this.#size += 1
  }

  /** Takes a pair out; false when it is not there. */
  remove(print: Print, seq: bigint): boolean {
    const [low, high] = [lowOf(print), highOf(print)]
    const found = this.#slotOf(low, high, checkedSeq(seq))
    if (found === undefined) return false
    let slot = found
    // What follows moves one slot nearer to its home, up to an entry that is at home or an empty slot.
    for (
      let next = (slot + 1) & this.#mask;
      this.#reaches(next, 1);
      next = (next + 1) & this.#mask
    ) {
      this.#write(slot, this.#low[next] ?? 0, this.#high[next] ?? 0, this.#seq[next] ?? 0)
      slot = next
    }
    this.#write(slot, 0, 0, 0)
    this.#size -= 1
    return true
  }

  #slotOf(low: number, high: number, seq: number): number | undefined {
    for (let slot = low & this.#mask, away = 0; this.#reaches(slot, away); away += 1) {
      const same = this.#low[slot] === low && this.#high[slot] === high
      if (same && this.#seq[slot] === seq) return slot
      slot = (slot + 1) & this.#mask
    }
    return undefined
  }

  /** True while an entry that is this far from home may still stand at the slot or behind it. */
  #reaches(slot: number, away: number): boolean {
    return this.#seq[slot] !== 0 && this.#distance(slot) >= away
  }

  #distance(slot: number): number {
    return (slot - (this.#low[slot] ?? 0)) & this.#mask
  }

  #place(newLow: number, newHigh: number, newSeq: number): void {
    let low = newLow
    let high = newHigh
    let seq = newSeq
    for (let slot = low & this.#mask, away = 0; ; slot = (slot + 1) & this.#mask, away += 1) {
      const [heldLow, heldHigh, heldSeq] = [this.#low[slot], this.#high[slot], this.#seq[slot]]
      if (!heldSeq || heldLow === undefined || heldHigh === undefined) {
        this.#write(slot, low, high, seq)
        return
      }
      const heldAway = this.#distance(slot)
      if (heldAway >= away) continue
      this.#write(slot, low, high, seq)
      low = heldLow
      high = heldHigh
      seq = heldSeq
      away = heldAway
    }
  }

  #write(slot: number, low: number, high: number, seq: number): void {
    this.#low[slot] = low
    this.#high[slot] = high
    this.#seq[slot] = seq
  }

  #grow(): void {
    const [low, high, seq] = [this.#low, this.#high, this.#seq]
    const slots = 2 * (this.#mask + 1)
    this.#low = new Uint32Array(slots)
    this.#high = new Uint32Array(slots)
    this.#seq = new Float64Array(slots)
    this.#mask = slots - 1
    for (let slot = 0; slot < seq.length; slot += 1) {
      const value = seq[slot] ?? 0
      if (value !== 0) this.#place(low[slot] ?? 0, high[slot] ?? 0, value)
    }
  }
}

const lowOf = (print: Print): number => Number.parseInt(print.slice(8), 16)
const highOf = (print: Print): number => Number.parseInt(print.slice(0, 8), 16)

function checkedSeq(seq: bigint): number {
  const value = Number(seq)
  if (value < 1 || !Number.isSafeInteger(value)) {
    throw new RangeError('print: want a sequence between 1 and 2^53 - 1')
  }
  return value
}
