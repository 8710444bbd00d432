import { createHash } from 'node:crypto'
import { closeSync, constants, fsyncSync, openSync, writeSync } from 'node:fs'
import { errnoOf, readBounded, replaceFile, writeNew } from '../../base/durable-file.js'
import { type Generation, parseGeneration, parseWalletId, type WalletId } from '../../base/ids.js'
import { inventoryBytesMax } from '../../base/limits.js'
import type { Logger } from '../../base/log.js'

/** One durable decision about a wallet. */
export type InventoryEntry = {
  readonly kind: 'promote' | 'delete'
  readonly walletId: WalletId
  readonly generation: Generation
  /** Digest of the wallet's own row, 64 hex digits. */
  readonly digest: string
}

/** Lines below which rewriting the file is not worth it. */
const compactLinesMin = 64
const line =
  /^(\{"v":1,"kind":"(promote|delete)","walletId":"([0-9a-f]{64})","generation":"([0-9a-f]{32})","digest":"([0-9a-f]{64})"),"sum":"([0-9a-f]{64})"\}$/

/**
 * The second witness of the wallet store: a file of lines beside the database, one for every promote and delete.
 *
 * @remarks A flipped bit in SQLite's log drops acknowledged rows without an error. A line is written and synced
 * after each commit, so rows may be ahead of the lines by what a crash cut off, and never behind.
 */
export class Inventory {
  /** True when the file was not there and had to be made. */
  readonly created: boolean
  readonly #descriptor: number
  readonly #logger: Logger
  readonly #last = new Map<WalletId, InventoryEntry>()
  readonly #superseded = new Set<string>()
  #waiting: string[] = []
  #end: number

  /**
   * Reads the file, or makes it; drops a torn tail and unreadable lines, and compacts when most lines are dead.
   *
   * @throws Node's errno errors
   */
  constructor(path: string, logger: Logger) {
    this.#logger = logger
    const { entries, unreadable, created } = readEntries(path)
    this.created = created
    for (const entry of entries) this.#note(entry)
    if (unreadable > 0) logger.warn({ lines: unreadable }, 'wallet inventory: unreadable lines')
    const alive = [...this.#last.values()].filter(({ kind }) => kind === 'promote')
    const compact = entries.length > compactLinesMin && entries.length > 2 * alive.length
    const kept = compact ? alive : entries
    const bytes = Buffer.from(kept.map(format).join(''))
    if (unreadable > 0 || compact) replaceFile(path, bytes)
    this.#end = bytes.length
    this.#descriptor = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW)
  }

  /** Ids whose last line says that the wallet exists. */
  alive(): WalletId[] {
    return [...this.#last.values()]
      .filter(({ kind }) => kind === 'promote')
      .map(({ walletId }) => walletId)
  }

  /** Whether the id's last line says that the wallet exists. */
  isAlive(id: WalletId): boolean {
    return this.#last.get(id)?.kind === 'promote'
  }

  /** What the lines say of a row that the database holds; `ahead` is a row they do not know yet. */
  judge(row: {
    readonly walletId: WalletId
    readonly generation: Generation
    readonly digest: string
  }): 'known' | 'ahead' | 'superseded' | 'changed' {
    const last = this.#last.get(row.walletId)
    if (last?.generation === row.generation) {
      if (last.kind === 'delete') return 'superseded'
      return last.digest === row.digest ? 'known' : 'changed'
    }
    return this.#superseded.has(row.walletId + row.generation) ? 'superseded' : 'ahead'
  }

  /**
   * Adds lines and syncs them together.
   *
   * @remarks Never throws: the rows are committed, so a failure waits for the next `catchUp` or the next open.
   */
  append(entries: readonly InventoryEntry[]): void {
    for (const entry of entries) {
      this.#note(entry)
      this.#waiting.push(format(entry))
    }
    this.catchUp()
  }

  /** Writes what earlier failures left waiting; never throws. */
  catchUp(): void {
    if (this.#waiting.length === 0) return
    try {
      const bytes = Buffer.from(this.#waiting.join(''))
      writeAll(this.#descriptor, bytes, this.#end)
      fsyncSync(this.#descriptor)
      this.#end += bytes.length
      this.#waiting = []
    } catch (error) {
      // The same bytes go to the same place next time, so a half-written line is overwritten.
      const fields = { lines: this.#waiting.length, errno: errnoOf(error) }
      this.#logger.warn(fields, 'wallet inventory: append failed')
    }
  }

  close(): void {
    this.catchUp()
    closeSync(this.#descriptor)
  }

  #note(entry: InventoryEntry): void {
    const before = this.#last.get(entry.walletId)
    if (before !== undefined && before.generation !== entry.generation) {
      this.#superseded.add(before.walletId + before.generation)
    }
    this.#last.set(entry.walletId, entry)
  }
}

function readEntries(path: string): {
  readonly entries: readonly InventoryEntry[]
  readonly unreadable: number
  readonly created: boolean
} {
  let bytes: Buffer
  try {
    const read = readBounded(path, inventoryBytesMax)
    bytes = Buffer.from(read.buffer, read.byteOffset, read.length)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
    writeNew(path, new Uint8Array(0))
    return { entries: [], unreadable: 0, created: true }
  }
  const entries: InventoryEntry[] = []
  let unreadable = 0
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(0x0a, at)
    const entry = end === -1 ? undefined : parse(bytes.toString('latin1', at, end))
    if (entry === undefined) unreadable += 1
    else entries.push(entry)
    at = end === -1 ? bytes.length : end + 1
  }
  return { entries, unreadable, created: false }
}

function parse(text: string): InventoryEntry | undefined {
  const [, body, kind, walletId, generation, digest, sum] = line.exec(text) ?? []
  if (body === undefined || walletId === undefined || generation === undefined) return undefined
  if (digest === undefined || sum !== sumOf(body)) return undefined
  return {
    kind: kind === 'delete' ? 'delete' : 'promote',
    walletId: parseWalletId(walletId),
    generation: parseGeneration(generation),
    digest,
  }
}

function format({ kind, walletId, generation, digest }: InventoryEntry): string {
  const fields = JSON.stringify({ v: 1, kind, walletId, generation, digest })
  const body = fields.slice(0, -1)
  return `${body},"sum":"${sumOf(body)}"}\n`
}

function sumOf(body: string): string {
  return createHash('sha256').update(body).digest('hex')
}

function writeAll(descriptor: number, bytes: Uint8Array, position: number): void {
  let at = 0
  while (at < bytes.length) {
    at += writeSync(descriptor, bytes, at, bytes.length - at, position + at)
  }
}
