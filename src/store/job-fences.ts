import { hash } from 'node:crypto'
import type { Outpoint, RequestId } from '../covenant/job.js'
import type { Route } from '../covenant/request.js'
import type { Fence, QuarantineRecord } from '../covenant/store.js'

/** A route key as one text; a client may choose any `routeRequestId`, the route has no colon. */
export function keyText(route: Route, routeRequestId: string): string {
  return `${route}:${routeRequestId}`
}

/** Records that are set aside, and what they close; several may close the same key. */
export class JobFences {
  readonly #records = new Map<string, QuarantineRecord>()
  readonly #keys = new Map<string, readonly string[]>()
  readonly #outpoints = new Map<Outpoint, readonly string[]>()
  readonly #requestIds = new Map<RequestId, readonly string[]>()
  readonly #closingAll = new Set<string>()
  #open = 0

  get size(): number {
    return this.#records.size
  }

  /** Records that somebody has to look at. */
  get open(): number {
    return this.#open
  }

  /** The record that forbids every new key, if there is one. */
  get everyNewKey(): QuarantineRecord | undefined {
    const [id] = this.#closingAll
    return id === undefined ? undefined : this.#records.get(id)
  }

  add(record: QuarantineRecord): void {
    const { id, blocks } = record
    this.remove(id)
    this.#records.set(id, record)
    if (record.state === 'open') this.#open += 1
    if (blocks.everyNewKey) this.#closingAll.add(id)
    for (const key of blocks.keys) {
      close(this.#keys, keyText(key.route, key.routeRequestId), id)
    }
    for (const outpoint of blocks.outpoints) close(this.#outpoints, outpoint, id)
    if (record.requestId !== undefined) close(this.#requestIds, record.requestId, id)
  }

  remove(id: string): void {
    const record = this.#records.get(id)
    if (record === undefined) return
    const { blocks } = record
    this.#records.delete(id)
    if (record.state === 'open') this.#open -= 1
    this.#closingAll.delete(id)
    for (const key of blocks.keys) {
      release(this.#keys, keyText(key.route, key.routeRequestId), id)
    }
    for (const outpoint of blocks.outpoints) release(this.#outpoints, outpoint, id)
    if (record.requestId !== undefined) release(this.#requestIds, record.requestId, id)
  }

  get(id: string): QuarantineRecord | undefined {
    return this.#records.get(id)
  }

  /** Open records first, each kind in the order they were found. */
  list(limit: number): readonly QuarantineRecord[] {
    const found: QuarantineRecord[] = []
    for (const state of ['open', 'retired'] as const) {
      for (const record of this.#records.values()) {
        if (found.length === limit) return found
        if (record.state === state) found.push(record)
      }
    }
    return found
  }

  byKey(route: Route, routeRequestId: string): Fence | undefined {
    return this.#fence(this.#keys.get(keyText(route, routeRequestId)))
  }

  /** Ids of every record that closes a key. */
  closing(route: Route, routeRequestId: string): readonly string[] {
    return this.#keys.get(keyText(route, routeRequestId)) ?? []
  }

  byOutpoint(outpoint: Outpoint): Fence | undefined {
    return this.#fence(this.#outpoints.get(outpoint))
  }

  byRequestId(id: RequestId): Fence | undefined {
    return this.#fence(this.#requestIds.get(id))
  }

  #fence([id]: readonly string[] = []): Fence | undefined {
    const record = id === undefined ? undefined : this.#records.get(id)
    return record && fenceOf(record)
  }
}

function close<Key>(map: Map<Key, readonly string[]>, key: Key, id: string): void {
  map.set(key, [...(map.get(key) ?? []), id])
}

function release<Key>(map: Map<Key, readonly string[]>, key: Key, id: string): void {
  const left = (map.get(key) ?? []).filter((one) => one !== id)
  if (left.length === 0) map.delete(key)
  else map.set(key, left)
}

export function fenceOf({ id, reason }: QuarantineRecord): Fence {
  return { recordId: id, reason }
}

/** SHA-256 and size of a record's bytes as they were found. */
export function rawSummary(raw: Uint8Array): Pick<QuarantineRecord, 'sha256' | 'sizeBytes'> {
  return { sha256: hash('sha256', raw, 'hex'), sizeBytes: raw.length }
}
