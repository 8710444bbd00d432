import { hash } from 'node:crypto'
import type { Outpoint, RequestId } from '../covenant/job.js'
import type { Route } from '../covenant/request.js'
import type { Fence, QuarantineRecord } from '../covenant/store.js'

/** A route key as one text; a client may choose any `routeRequestId`, the route has no colon. */
export function keyText(route: Route, routeRequestId: string): string {
  return `${route}:${routeRequestId}`
}

/** Records that are set aside, and what they close. */
export class JobFences {
  readonly #records = new Map<string, QuarantineRecord>()
  readonly #keys = new Map<string, string>()
  readonly #outpoints = new Map<Outpoint, string>()
  readonly #requestIds = new Map<RequestId, string>()
  readonly #closingAll = new Set<string>()

  get size(): number {
    return this.#records.size
  }

  /** The record that forbids every new key, if there is one. */
  get everyNewKey(): QuarantineRecord | undefined {
    const [id] = this.#closingAll
    return id === undefined ? undefined : this.#records.get(id)
  }

  add(record: QuarantineRecord): void {
    this.remove(record.id)
    this.#records.set(record.id, record)
    if (record.blocks.everyNewKey) this.#closingAll.add(record.id)
    for (const { route, routeRequestId } of record.blocks.keys) {
      this.#keys.set(keyText(route, routeRequestId), record.id)
    }
    for (const outpoint of record.blocks.outpoints) this.#outpoints.set(outpoint, record.id)
    if (record.requestId !== undefined) this.#requestIds.set(record.requestId, record.id)
  }

  remove(id: string): void {
    const record = this.#records.get(id)
    if (record === undefined) return
    this.#records.delete(id)
    this.#closingAll.delete(id)
    for (const { route, routeRequestId } of record.blocks.keys) {
      this.#release(this.#keys, keyText(route, routeRequestId), id)
    }
    for (const outpoint of record.blocks.outpoints) this.#release(this.#outpoints, outpoint, id)
    if (record.requestId !== undefined) this.#release(this.#requestIds, record.requestId, id)
  }

  get(id: string): QuarantineRecord | undefined {
    return this.#records.get(id)
  }

  /** In the order they were found. */
  list(limit: number): readonly QuarantineRecord[] {
    const found: QuarantineRecord[] = []
    for (const record of this.#records.values()) {
      if (found.length === limit) break
      found.push(record)
    }
    return found
  }

  byKey(route: Route, routeRequestId: string): Fence | undefined {
    return this.#fence(this.#keys.get(keyText(route, routeRequestId)))
  }

  byOutpoint(outpoint: Outpoint): Fence | undefined {
    return this.#fence(this.#outpoints.get(outpoint))
  }

  byRequestId(id: RequestId): Fence | undefined {
    return this.#fence(this.#requestIds.get(id))
  }

  #fence(id: string | undefined): Fence | undefined {
    const record = id === undefined ? undefined : this.#records.get(id)
    return record && fenceOf(record)
  }

  #release<Key>(map: Map<Key, string>, key: Key, id: string): void {
    if (map.get(key) === id) map.delete(key)
  }
}

export function fenceOf({ id, reason }: QuarantineRecord): Fence {
  return { recordId: id, reason }
}

/** SHA-256 and size of a record's bytes as they were found. */
export function rawSummary(raw: Uint8Array): Pick<QuarantineRecord, 'sha256' | 'sizeBytes'> {
  return { sha256: hash('sha256', raw, 'hex'), sizeBytes: raw.length }
}
