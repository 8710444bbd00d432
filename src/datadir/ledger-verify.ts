import { closeSync, fstatSync } from 'node:fs'
import { type DirectoryLock, holdIfFree } from '../base/directory-lock.js'
import { errnoOf } from '../base/durable-file.js'
import type { Head } from '../store/ledger-chain.js'
import { decodeLine, type LedgerLine, type LineHead } from '../store/ledger-line.js'
import { ledgerChecks, type ReplayReport, replayLedger } from '../store/ledger-replay.js'
import { findLine, openSegment } from '../store/ledger-segments.js'
import { readTail } from '../store/ledger-tail.js'
import { readWitness } from '../store/ledger-witness.js'
import { type Check, failed } from './check.js'
import type { Diagnosis } from './doctor.js'
import { findJobFiles, type JobFiles } from './job-files.js'

/** Store ids that are told apart. */
const storesMax = 4

/** The last line of a ledger; sequence 0 and zeros when there is none. */
export type LedgerHead = {
  readonly seq: bigint
  readonly hash: string
  /** RFC 3339, UTC. */
  readonly at: string | undefined
  /** Lines behind it that cannot be read. */
  readonly unreadable: number
}

export type WitnessOptions = {
  /** The file on another disk that has the ledger's head, which the ledger must then reach. */
  readonly witnessPath?: string | undefined
}

/**
 * Reads a ledger from end to end, checks every line, and changes nothing.
 *
 * @throws what `findJobFiles` throws
 * @remarks The directory is held meanwhile when it is free; a ledger that another process writes is read up to
 * where it ended when the reading began.
 */
export async function verifyLedger(
  directory: string,
  options: WitnessOptions = {},
): Promise<Diagnosis> {
  const files = findJobFiles(directory)
  if (files === undefined) {
    return { ok: true, checks: [{ name: 'files', ok: true, detail: 'no ledger yet' }] }
  }
  let lock: DirectoryLock | 'held' | 'absent'
  try {
    lock = holdIfFree(files.root)
  } catch (error) {
    return { ok: false, checks: [failed('lock', error)] }
  }
  try {
    const state = lock === 'held' ? 'held by a process, which may add lines meanwhile' : 'free'
    const checks = [
      { name: 'lock', ok: true, detail: state },
      ...(await checkLedger(files, options)),
    ]
    return { ok: checks.every(({ ok }) => ok), checks }
  } finally {
    if (typeof lock === 'object') lock.release()
  }
}

/** The checks of every line of a ledger. */
export async function checkLedger(
  { root }: JobFiles,
  { witnessPath }: WitnessOptions = {},
): Promise<readonly Check[]> {
  // Read first: a ledger that is written to meanwhile only gets ahead of it.
  const witness = witnessPath === undefined ? undefined : await checkWitness(witnessPath)
  const counts = new Map<string, number>()
  const stores = new Set<string>()
  const strange = { count: 0, first: '' }
  let report: ReplayReport
  const take = ({ seq, kind }: LineHead, read: () => LedgerLine): void => {
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
    const entry = contentOf(read)
    if (entry === undefined) {
      strange.count += 1
      if (strange.count === 1) strange.first = String(seq)
    } else if ('storeId' in entry && stores.size < storesMax) stores.add(entry.storeId)
  }
  try {
    const expect = witness?.head
    report = await replayLedger(root, take, expect === undefined ? {} : { expect })
  } catch (error) {
    return [failed('files', error)]
  }
  const kinds = [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ')
  return [
    ...ledgerChecks(report),
    ...(witness === undefined ? [] : [witness.check]),
    strange.count === 0
      ? { name: 'lines', ok: true, detail: kinds === '' ? 'none' : kinds }
      : {
          name: 'lines',
          ok: false,
          detail: `${strange.count} not of this version, from ${strange.first} on`,
        },
    stores.size < 2
      ? { name: 'store', ok: true, detail: [...stores].join() || 'not named' }
      : { name: 'store', ok: false, detail: `lines of several stores: ${[...stores].join(', ')}` },
  ]
}

/** What the witness file says; whether the ledger has that line shows in the check of its head. */
async function checkWitness(
  path: string,
): Promise<{ readonly check: Check; readonly head: Head | undefined }> {
  const name = 'witness'
  try {
    const head = await readWitness(path)
    if (head !== undefined) return { check: { name, ok: true, detail: `line ${head.seq}` }, head }
    const check = { name, ok: false, detail: 'the file is not the head of a ledger' }
    return { check, head: undefined }
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === undefined) throw error
    const detail = errno === 'ENOENT' ? 'there is no such file' : `it cannot be read: ${errno}`
    return { check: { name, ok: false, detail }, head: undefined }
  }
}

function contentOf(read: () => LedgerLine): LedgerLine['entry'] | undefined {
  try {
    return read().entry
  } catch {
    // A line whose hash is right and whose fields are not: another program made it, and its check says so.
    return undefined
  }
}

/**
 * Reads the last line of a ledger from the end of its newest file, and changes nothing.
 *
 * @throws what `findJobFiles` throws; LedgerForeign
 * @remarks Only that line is checked against its hash; the chain before it is `verifyLedger`'s matter.
 */
export function readLedgerHead(directory: string): LedgerHead {
  const segments = findJobFiles(directory)?.segments ?? []
  let unreadable = 0
  for (const { path } of [...segments].reverse()) {
    const descriptor = openSegment(path, 'read')
    if (descriptor === undefined) continue
    try {
      const { head, damage, endOffset } = readTail(descriptor, fstatSync(descriptor).size)
      unreadable += damage?.lines ?? 0
      if (head === undefined) continue
      return { ...head, at: timeOfLine(descriptor, head.seq, endOffset), unreadable }
    } finally {
      closeSync(descriptor)
    }
  }
  return { seq: 0n, hash: '0'.repeat(64), at: undefined, unreadable }
}

function timeOfLine(descriptor: number, seq: bigint, endOffset: number): string | undefined {
  const bytes = findLine(descriptor, seq, endOffset)
  const decoded = bytes && decodeLine(bytes)
  return decoded?.kind === 'line' ? decoded.line.at : undefined
}
