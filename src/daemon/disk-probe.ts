import { lstat, open, statfs, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '../base/durable-file.js'
import type { Finding } from './readiness.js'

/** A name that an interrupted write may leave behind. */
const probeName = '.holdfast-0000000000000000.tmp'
const probeBytes = Buffer.alloc(4096)
const mebibyte = 1024 * 1024
/** Free bytes below which an operator should act, and below which nothing may be promised any more. */
const lowBytes = 256 * mebibyte
const fullBytes = 32 * mebibyte

/** Asks how much room is left, and whether a write to the directory reaches the disk. */
export async function probeDisk(directory: string): Promise<readonly Finding[]> {
  const { bavail, bsize } = await statfs(directory)
  const freeBytes = bavail * bsize
  const free = `${Math.floor(freeBytes / mebibyte)} MiB free`
  const low = { name: 'disk', ok: false, detail: free, remedy: 'Free disk space.' } as const
  if (freeBytes < fullBytes) return [{ ...low, severity: 'notReady' }]
  const beganMs = performance.now()
  await writeProbe(join(directory, probeName))
  const tookMs = Math.round(performance.now() - beganMs)
  if (freeBytes < lowBytes) return [{ ...low, severity: 'degraded' }]
  return [{ name: 'disk', ok: true, detail: `${free}, a write took ${tookMs} ms`, remedy: '' }]
}

async function writeProbe(path: string): Promise<void> {
  const file = await open(path, 'w', 0o600)
  try {
    await file.write(probeBytes, 0, probeBytes.length, 0)
    await file.sync()
  } finally {
    await file.close()
    await unlink(path)
  }
}

/** A file that must stay where it is, unless another one may take its name. */
export type WatchedFile = { readonly path: string; readonly mayBeReplaced: boolean }

/** Tells which files are not any more what they were at the first look. */
export interface FileWatch {
  look(): Promise<readonly { readonly name: string; readonly isThere: boolean }[]>
}

/**
 * Watches files by their names; opens none of them, since closing one would give up SQLite's locks.
 */
export function watchFiles(files: Readonly<Record<string, WatchedFile>>): FileWatch {
  const first = new Map<string, string>()
  return {
    look: () =>
      Promise.all(
        Object.entries(files).map(async ([name, { path, mayBeReplaced }]) => {
          const identity = await identityAt(path)
          const before = first.get(name) ?? identity
          if (before !== undefined) first.set(name, before)
          const isSame = mayBeReplaced || identity === before
          return { name, isThere: identity !== undefined && isSame }
        }),
      ),
  }
}

async function identityAt(path: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await lstat(path, { bigint: true })
    return `${dev}:${ino}`
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}
