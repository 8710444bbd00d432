import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { inFolder, runMaker } from './covenant-child.js'
import type { Figure } from './measure.js'

type Case = {
  readonly what: string
  readonly how: 'accepting' | 'running'
  readonly inFlight: number
  readonly count: number
  readonly bound: number
  readonly note: string
}

/**
 * Accepts have bounds of their own. A whole life has four syncs where nothing is shared: accept and settle once,
 * the intent in both witnesses; so its bounds are four times those of an accept.
 */
const cases: readonly Case[] = [
  {
    what: 'syncs per accept, one after the other',
    ...{ how: 'accepting', inFlight: 1, count: 1000, bound: 1.1 },
    note: 'with ledger syncs and checkpoints',
  },
  {
    what: 'syncs per accept, 100 in flight',
    ...{ how: 'accepting', inFlight: 100, count: 5000, bound: 0.05 },
    note: 'with ledger syncs and checkpoints',
  },
  {
    what: 'syncs per whole life, one after the other',
    ...{ how: 'running', inFlight: 1, count: 500, bound: 4.4 },
    note: 'accept to settle; bound: four times that of an accept',
  },
  {
    what: 'syncs per whole life, 100 in flight, 128 wallets',
    ...{ how: 'running', inFlight: 100, count: 3000, bound: 0.2 },
    note: 'accept to settle; bound: four times that of an accept',
  },
]

/** Counts the sync calls of a process between two marks that it prints. */
export async function benchSyncs(): Promise<readonly Figure[]> {
  if (spawnSync('strace', ['-V']).error !== undefined) {
    process.stderr.write('bench: strace is missing, syncs per accept were NOT measured\n')
    return []
  }
  const figures: Figure[] = []
  for (const one of cases) figures.push(await measure(one))
  return figures
}

function measure({ what, how, inFlight, count, bound, note }: Case): Promise<Figure> {
  return inFolder(async (root) => {
    const log = join(root, 'trace')
    const args = ['syncs', join(root, 'data'), String(count), String(inFlight), how]
    const calls = 'trace=fsync,fdatasync,sync_file_range,sync,syncfs,msync,write'
    runMaker(args, 'strace', '-f', '--seccomp-bpf', '-o', log, '-e', calls)
    const syncs = countBetweenMarks(readFileSync(log, 'utf8'))
    return {
      what,
      value: syncs / count,
      unit: 'syncs',
      bound: { kind: 'at most', value: bound },
      detail: `${syncs} for ${count} jobs, ${note}`,
    }
  })
}

function countBetweenMarks(trace: string): number {
  const from = trace.indexOf('"BEGIN')
  const to = trace.indexOf('"END')
  if (from < 0 || to < from) throw new Error('bench: the trace lacks its marks')
  const calls = / (fsync|fdatasync|sync_file_range|sync|syncfs|msync)\(/g
  return trace.slice(from, to).match(calls)?.length ?? 0
}
