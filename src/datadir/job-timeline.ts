import { isFinal, type Job } from '../covenant/job.js'
import type { LedgerEntry } from '../store/ledger-entry.js'
import type { LedgerLine, LineHead } from '../store/ledger-line.js'
import { replayLedger } from '../store/ledger-replay.js'

/** One thing that happened to a job. */
export type TimelineEntry = {
  /** RFC 3339, UTC. */
  readonly at: string
  readonly what: 'accept' | 'intend' | 'settle' | 'operate' | 'defer'
  readonly detail: string
  /** Sequence of the ledger line; undefined for what the database alone tells. */
  readonly seq: bigint | undefined
}

/** Reads what the ledger says of a job, in the order of its lines; what it lost is filled in from the job. */
export async function readTimeline(root: string, job: Job): Promise<readonly TimelineEntry[]> {
  const found: TimelineEntry[] = []
  const subjects = new Set([`job-${job.seq}`])
  await replayLedger(root, (line, read) => {
    if (!concerns(line, job.seq)) return
    const entry = entryOf(line, read)
    if (entry === undefined) return
    if (entry.what === 'intend') subjects.add(`intent-${entry.seq}`)
    if (entry.what !== 'operate' || isAbout(entry.subject, subjects)) found.push(entry.shown)
  })
  return complete(found, job)
}

function concerns({ seq, again, job, kind }: LineHead, jobSeq: bigint): boolean {
  return (again ?? seq) === jobSeq || job === jobSeq || kind === 'operate'
}

/** `job-7`, or `TXID:VOUT intent-9`. */
function isAbout(subject: string, subjects: ReadonlySet<string>): boolean {
  return subjects.has(subject.slice(subject.lastIndexOf(' ') + 1))
}

type Told = {
  readonly what: TimelineEntry['what']
  readonly seq: bigint
  readonly subject: string
  readonly shown: TimelineEntry
}

function entryOf({ seq, again }: LineHead, read: () => LedgerLine): Told | undefined {
  let line: LedgerLine
  try {
    line = read()
  } catch {
    // A line of another version: the job itself fills in what it would have told.
    return undefined
  }
  const told = tell(line.entry)
  if (told === undefined) return undefined
  const original = again ?? seq
  const suffix = again === undefined ? '' : ' (line written again)'
  const detail = `${told.detail}${suffix}`
  const shown = { at: line.at, what: told.what, detail, seq }
  return { what: told.what, seq: original, subject: told.subject, shown }
}

function tell(
  entry: LedgerEntry,
): { readonly what: TimelineEntry['what']; detail: string; subject: string } | undefined {
  switch (entry.kind) {
    case 'accept':
      return { what: 'accept', detail: entry.requestDigest, subject: '' }
    case 'intend':
      return { what: 'intend', detail: `sighash ${entry.sighash}`, subject: '' }
    case 'settle': {
      const { state, detail } = entry.transition
      const freed = entry.releasedIntent ? ', outpoint freed' : ''
      return { what: 'settle', detail: `${state}${freed}: ${detail}`, subject: '' }
    }
    case 'operate': {
      const { what, who, why, subject } = entry
      return { what: 'operate', detail: `${what} by ${who}: ${why}`, subject }
    }
    default:
      return undefined
  }
}

function complete(found: readonly TimelineEntry[], job: Job): readonly TimelineEntry[] {
  const has = (what: TimelineEntry['what']): boolean => found.some((entry) => entry.what === what)
  const { createdAt, updatedAt, state, detail, attempts } = job
  const first = {
    at: createdAt,
    what: 'accept',
    detail: job.requestDigest,
    seq: undefined,
  } as const
  const all = has('accept') ? [...found] : [first, ...found]
  if (isFinal(state)) {
    const last = { at: updatedAt, what: 'settle', detail: `${state}: ${detail}` } as const
    return has('settle') ? all : [...all, { ...last, seq: undefined }]
  }
  if (attempts === 0) return all
  return [...all, { at: updatedAt, what: 'defer', detail, seq: undefined }]
}
