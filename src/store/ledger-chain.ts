import { createHash, type Hash, hash } from 'node:crypto'
import { ledgerDamageMax } from '../base/limits.js'
import type { RepairEntry } from './ledger-entry.js'
import { type LineHead, zeroHash } from './ledger-line.js'

/** The last line of a ledger; sequence 0 and zeros before the first. */
export type Head = { readonly seq: bigint; readonly hash: string }

export const emptyHead: Head = { seq: 0n, hash: zeroHash }

/** A place where the ledger does not say what it once said. */
export type Damage = {
  /** Name of the file, where the active one counts under the name it will get. */
  readonly segment: string
  /** Of the first unreadable byte, or of the line behind the missing ones. */
  readonly offset: number
  readonly sizeBytes: number
  /** `missing`: lines are gone without a trace; `fork`: a line follows another one than the line before it. */
  readonly reason: 'unreadable' | 'missing' | 'fork'
  /** Lost lines, both ends included; `toSeq` is `fromSeq` - 1 when none is lost. */
  readonly fromSeq: bigint
  readonly toSeq: bigint
  /** True when no good line follows: `toSeq` is then a guess from the line feeds. */
  readonly atEnd: boolean
  /** SHA-256 of the unreadable bytes; of no bytes for `missing`; the line's own hash for `fork`. */
  readonly foundHash: string
}

/** A damage that a later line declared; `rewritten` lines of it were written again. */
export type RepairedDamage = Damage & { readonly rewritten: number }

/** SHA-256 of nothing: what is found where lines are just missing. */
export const nothingFound: string = hash('sha256', '', 'hex')

type Place = { readonly segment: string; readonly offset: number }
type Open = Place & { readonly hash: Hash; sizeBytes: number; feeds: number }

/**
 * Follows the chain line by line and keeps account of what is wrong with it.
 *
 * @remarks A good line continues the chain when its sequence is the next one and its `prev` the last hash. What
 * lies between two good lines is lost until a repair line declares exactly that; one that declares the loss of
 * the last lines stands right behind them.
 */
export class Chain {
  #head: Head = emptyHead
  #open: Open | undefined
  readonly #damaged: Damage[] = []
  readonly #repaired: { -readonly [Field in keyof RepairedDamage]: RepairedDamage[Field] }[] = []

  get head(): Head {
    return this.#head
  }

  get damaged(): readonly Damage[] {
    return this.#damaged
  }

  get repaired(): readonly RepairedDamage[] {
    return this.#repaired
  }

  /** Notes bytes that are no line. */
  spoil(bytes: Uint8Array, terminated: boolean, segment: string, offset: number): void {
    this.#open ??= { segment, offset, hash: createHash('sha256'), sizeBytes: 0, feeds: 0 }
    this.#open.hash.update(bytes)
    this.#open.sizeBytes += bytes.length
    if (terminated) this.#open.feeds += 1
  }

  /** True when the line goes on from here; false for one that stands out of order, which is then to be spoilt. */
  take(line: LineHead, segment: string, offset: number, repair: RepairEntry | undefined): boolean {
    const { seq } = this.#head
    if (line.seq <= seq) return false
    const linked = line.prev === this.#head.hash
    if (this.#open !== undefined) this.#close(this.#open, line.seq - 1n, false)
    else if (line.seq > seq + 1n)
      this.#lose('missing', { segment, offset }, line.seq - 1n, nothingFound)
    if (line.seq === seq + 1n && !linked)
      this.#lose('fork', { segment, offset }, line.seq, line.hash)
    this.#head = { seq: line.seq, hash: line.hash }
    if (repair !== undefined) this.#repair(repair)
    if (line.again !== undefined) this.#rewrite(line.again)
    return true
  }

  /** Ends the account: what is still unreadable has no good line behind it. */
  finish(): void {
    if (this.#open === undefined) return
    this.#close(this.#open, this.#head.seq + BigInt(this.#open.feeds), true)
  }

  #close({ segment, offset, sizeBytes, hash }: Open, toSeq: bigint, atEnd: boolean): void {
    this.#open = undefined
    const foundHash = hash.digest('hex')
    const place = { segment, offset, sizeBytes }
    this.#add({
      ...place,
      reason: 'unreadable',
      fromSeq: this.#head.seq + 1n,
      toSeq,
      atEnd,
      foundHash,
    })
  }

  #lose(reason: 'missing' | 'fork', place: Place, toSeq: bigint, foundHash: string): void {
    const fromSeq = this.#head.seq + 1n
    this.#add({ ...place, sizeBytes: 0, reason, fromSeq, toSeq, atEnd: false, foundHash })
  }

  #add(damage: Damage): void {
    const last = this.#damaged.at(-1)
    if (last === undefined || this.#damaged.length < ledgerDamageMax) {
      this.#damaged.push(damage)
      return
    }
    const { toSeq, atEnd } = damage
    const sizeBytes = last.sizeBytes + damage.sizeBytes
    const foundHash = hash('sha256', last.foundHash + damage.foundHash, 'hex')
    this.#damaged[this.#damaged.length - 1] = { ...last, toSeq, atEnd, sizeBytes, foundHash }
  }

  #repair({ fromSeq, toSeq, foundHash }: RepairEntry): void {
    const at = this.#damaged.findIndex(
      (known) =>
        known.fromSeq === fromSeq && known.toSeq === toSeq && known.foundHash === foundHash,
    )
    const [found] = at === -1 ? [] : this.#damaged.splice(at, 1)
    if (found !== undefined) this.#repaired.push({ ...found, rewritten: 0 })
  }

  #rewrite(seq: bigint): void {
    const range = this.#repaired.find(({ fromSeq, toSeq }) => fromSeq <= seq && seq <= toSeq)
    if (range !== undefined) range.rewritten += 1
  }
}
