import type { Operator } from '../covenant/store.js'

/** Which jobs came from elsewhere and wait for an operator, and which imports were not ended. */
export class ImportMarks {
  readonly #open = new Map<string, bigint>()
  readonly #begun = new Set<string>()
  /** Between these lines every accepted job was an imported one, since no other key was taken. */
  readonly #ranges: { readonly from: bigint; readonly to: bigint }[] = []
  readonly #adopted = new Set<bigint>()
  readonly #resumed = new Set<bigint>()
  /** Who began the last import. */
  by: Operator | undefined

  begin(importId: string, seq: bigint, by: Operator): void {
    this.by = by
    this.#begun.add(importId)
    if (!this.#open.has(importId)) this.#open.set(importId, seq)
  }

  end(importId: string, seq: bigint): void {
    const from = this.#open.get(importId)
    if (from === undefined) return
    this.#open.delete(importId)
    this.#ranges.push({ from, to: seq })
  }

  isOpen(importId: string): boolean {
    return this.#open.has(importId)
  }

  wasBegun(importId: string): boolean {
    return this.#begun.has(importId)
  }

  adopt(job: bigint): void {
    this.#adopted.add(job)
  }

  resume(job: bigint): void {
    this.#resumed.add(job)
  }

  /** Whether a job that has not ended waits for an operator; `job` is the sequence of its accept line. */
  isHeld(job: bigint): boolean {
    if (this.#resumed.has(job)) return false
    if (this.#adopted.has(job)) return true
    for (const from of this.#open.values()) if (from < job) return true
    return this.#ranges.some(({ from, to }) => from < job && job < to)
  }
}
