import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { errnoOf } from '../base/durable-file.js'
import { witnessCloseMs } from '../base/limits.js'
import { emptyHead, type Head } from './ledger-chain.js'

/** How the copy of the head on another disk stands. */
export type WitnessState =
  | { readonly kind: 'off' }
  /** The file was not read yet. */
  | { readonly kind: 'starting' }
  | { readonly kind: 'ok'; readonly seq: bigint }
  /** The last write failed; the next sync of the ledger tries again. */
  | { readonly kind: 'failing'; readonly cause: unknown }
  /** The file knows a line that the ledger lacks or has otherwise; it is not written any more. */
  | { readonly kind: 'contradicts'; readonly witnessed: Head }
  /** Something else stands under the name; it is not touched. */
  | { readonly kind: 'foreign'; readonly detail: string }

/** seq(12, padded with spaces) space hash(64) line feed */
const headBytes = 78
const form = /^ {0,11}(\d{1,12}) ([0-9a-f]{64})\n$/

/** The 78 bytes that a witness file holds. */
export function formatHead({ seq, hash }: Head): string {
  return `${String(seq).padStart(12)} ${hash}\n`
}

/** Writes the ledger's head to a file on another disk. */
export interface HeadWitness {
  /** Remembers the newest head and writes it when the disk is free; never throws and never waits. */
  note(head: Head): void
  state(): WitnessState
  /** Resolves when the file was compared with the ledger. */
  readonly compared: Promise<void>
  /** Writes on after a contradiction that an operator looked at. */
  acknowledge(): void
  /** Waits, bounded, for the last write. */
  close(): Promise<void>
}

/** The witness of a ledger that has none. */
export const noWitness: HeadWitness = {
  note: () => undefined,
  state: () => ({ kind: 'off' }),
  compared: Promise.resolve(),
  acknowledge: () => undefined,
  close: () => Promise.resolve(),
}

/**
 * Opens a witness file, making it (0600) when it is missing, and compares what it says with the ledger.
 *
 * @param agrees whether the ledger holds this very line
 * @remarks Everything happens in the background, one call at a time: a disk that hangs holds up nobody.
 */
export function openWitness(path: string, agrees: (head: Head) => boolean): HeadWitness {
  let state: WitnessState = { kind: 'starting' }
  let file: FileHandle | undefined
  let latest: Head | undefined
  let busy: Promise<void> | undefined
  let acknowledged = false

  async function compare(): Promise<void> {
    try {
      file ??= await openFile(path)
      if (file === undefined) {
        state = { kind: 'foreign', detail: 'not a regular file' }
        return
      }
      const found = await readHead(file)
      if (found === undefined) {
        state = { kind: 'foreign', detail: 'not the head of a ledger' }
      } else if (found.seq === 0n || acknowledged || agrees(found)) {
        state = { kind: 'ok', seq: found.seq }
      } else {
        state = { kind: 'contradicts', witnessed: found }
      }
    } catch (cause) {
      state = { kind: 'failing', cause }
    }
  }

  async function writeLatest(): Promise<void> {
    if (state.kind === 'failing') await compare()
    while (file !== undefined && latest !== undefined && state.kind === 'ok') {
      const head = latest
      latest = undefined
      try {
        await writeHead(file, head)
        state = { kind: 'ok', seq: head.seq }
      } catch (cause) {
        latest ??= head
        state = { kind: 'failing', cause }
      }
    }
  }

  function start(work: () => Promise<void>): Promise<void> {
    busy ??= work().finally(() => {
      busy = undefined
      // A head that came after the last look at it would otherwise wait for the next sync.
      if (latest !== undefined && state.kind === 'ok') void start(writeLatest)
    })
    return busy
  }

  const compared = start(compare)
  return {
    compared,
    state: () => state,
    note(head) {
      latest = head
      if (state.kind !== 'starting') void start(writeLatest)
    },
    acknowledge() {
      acknowledged = true
      if (state.kind !== 'contradicts') return
      state = { kind: 'ok', seq: state.witnessed.seq }
      void start(writeLatest)
    },
    async close() {
      const stop = new AbortController()
      const { signal } = stop
      const timeUp = setTimeout(witnessCloseMs, undefined, { signal, ref: false })
      // The timer rejects when it is called off.
      await Promise.race([settled(() => busy), timeUp.catch(() => undefined)])
      stop.abort()
      if (busy === undefined) await file?.close()
    },
  }
}

async function settled(busy: () => Promise<void> | undefined): Promise<void> {
  for (let work = busy(); work !== undefined; work = busy()) await work
}

async function openFile(path: string): Promise<FileHandle | undefined> {
  const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants
  try {
    const made = await open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
    await made.sync()
    const folder = await open(dirname(path))
    await folder.sync().finally(() => folder.close())
    return made
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
  }
  try {
    const found = await open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK)
    if ((await found.stat()).isFile()) return found
    await found.close()
  } catch (error) {
    if (errnoOf(error) !== 'ELOOP') throw error
  }
  return undefined
}

/**
 * Reads a witness file and changes nothing; the empty head for an empty file, undefined for anything else.
 *
 * @throws Node's errno errors, ENOENT for a file that is missing
 */
export async function readWitness(path: string): Promise<Head | undefined> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
  const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    return (await file.stat()).isFile() ? await readHead(file) : undefined
  } finally {
    await file.close()
  }
}

/** The head that the file holds, the empty head for an empty file, undefined for anything else. */
async function readHead(file: FileHandle): Promise<Head | undefined> {
  const buffer = Buffer.alloc(headBytes + 1)
  const { bytesRead } = await file.read(buffer, 0, headBytes + 1, 0)
  if (bytesRead === 0) return emptyHead
  const [, seq, hash] = form.exec(buffer.toString('latin1', 0, bytesRead)) ?? []
  return seq === undefined || hash === undefined ? undefined : { seq: BigInt(seq), hash }
}

async function writeHead(file: FileHandle, head: Head): Promise<void> {
  const bytes = Buffer.from(formatHead(head), 'latin1')
  const { bytesWritten } = await file.write(bytes, 0, headBytes, 0)
  if (bytesWritten !== headBytes) throw new RangeError('witness: the disk took a part of the line')
  await file.datasync()
}
