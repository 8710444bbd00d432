/** Entries of an empty heap. */
const slotsMin = 256

/**
 * When each waiting job is due, by the sequence of the job; in memory, filled anew at every opening.
 *
 * @remarks A binary heap beside a map. An entry of the heap counts only while the map has the same time for its
 * job; the others are skipped when they come to the top.
 */
export class JobSchedule {
  readonly #dueMs = new Map<number, number>()
  readonly #listeners = new Set<() => void>()
  #times: Float64Array = new Float64Array(slotsMin)
  #seqs: Float64Array = new Float64Array(slotsMin)
  #length = 0

  /** Jobs that wait. */
  get size(): number {
    return this.#dueMs.size
  }

  /** Lets a job wait until then, whatever was planned for it before. */
  set(seq: bigint, dueMs: number): void {
    const before = this.nextDueMs()
    const key = Number(seq)
    if (this.#dueMs.get(key) === dueMs) return
    this.#dueMs.set(key, dueMs)
    this.#push(dueMs, key)
    if (before !== undefined && before <= dueMs) return
    for (const listener of this.#listeners) listener()
  }

  /** Brings a waiting job forward; no-op for one that does not wait or is due sooner. */
  hasten(seq: bigint, dueMs: number): void {
    const planned = this.#dueMs.get(Number(seq))
    if (planned !== undefined && planned > dueMs) this.set(seq, dueMs)
  }

  remove(seq: bigint): void {
    this.#dueMs.delete(Number(seq))
  }

  /** Takes the job that is due first out, if it is due at all. */
  take(nowMs: number): bigint | undefined {
    const due = this.nextDueMs()
    const seq = this.#seqs[0]
    if (due === undefined || due > nowMs || seq === undefined) return undefined
    this.#dueMs.delete(seq)
    return BigInt(seq)
  }

  nextDueMs(): number | undefined {
    for (;;) {
      const [time, seq] = [this.#times[0], this.#seqs[0]]
      if (this.#length === 0 || time === undefined || seq === undefined) return undefined
      if (this.#dueMs.get(seq) === time) return time
      this.#pop()
    }
  }

  /** Calls the listener when a job became due earlier than `nextDueMs` said. Returns how to stop. */
  onDue(listener: () => void): () => void {
    // Each call is its own subscription, also when one function is handed in twice.
    const own = (): void => listener()
    this.#listeners.add(own)
    return () => void this.#listeners.delete(own)
  }

  #push(time: number, seq: number): void {
    if (this.#length === this.#times.length) this.#grow()
    let at = this.#length
    this.#length += 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#isAfter(parent, time, seq)) break
      this.#copy(parent, at)
      at = parent
    }
    this.#times[at] = time
    this.#seqs[at] = seq
  }

  #pop(): void {
    this.#length -= 1
    const time = this.#times[this.#length] ?? 0
    const seq = this.#seqs[this.#length] ?? 0
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= this.#length) break
      const right = child + 1
      if (right < this.#length && this.#isAfter(child, this.#times[right], this.#seqs[right])) {
        child = right
      }
      if (this.#isAfter(child, time, seq)) break
      this.#copy(child, at)
      at = child
    }
    this.#times[at] = time
    this.#seqs[at] = seq
  }

  #isAfter(slot: number, time = 0, seq = 0): boolean {
    const held = this.#times[slot] ?? 0
    return held > time || (held === time && (this.#seqs[slot] ?? 0) > seq)
  }

  #copy(from: number, to: number): void {
    this.#times[to] = this.#times[from] ?? 0
    this.#seqs[to] = this.#seqs[from] ?? 0
  }

  #grow(): void {
    const [times, seqs] = [this.#times, this.#seqs]
    this.#times = new Float64Array(2 * times.length)
    this.#seqs = new Float64Array(2 * seqs.length)
    this.#times.set(times)
    this.#seqs.set(seqs)
  }
}
