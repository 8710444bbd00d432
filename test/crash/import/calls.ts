import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Call, callsIn, type Fault } from '../points.js'
import { finish, type Ran } from '../run.js'

/** One thread and no optimiser: the n-th system call is the same call in every run. */
const steady = ['--single-threaded', '--no-opt', '--liftoff-only', '--max-lazy']
const watched =
  'openat,pread64,pwrite64,pwritev,read,write,writev,fsync,fdatasync,ftruncate,fallocate,rename,renameat,' +
  'renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,fchmod,close,statx,newfstatat,access,statfs,getdents64'
const changing = /^(pwrite64|pwritev|write|fsync|fdatasync|ftruncate|rename|unlink|mkdir)$/
const fails =
  /^(openat|pread64|pwrite64|pwritev|read|fsync|fdatasync|ftruncate|rename|unlink|mkdir)$/

/** One place where one thing goes wrong. */
export type Point = {
  readonly name: string
  readonly call: Call
  readonly fault: Fault
  /** False for a call that only looks: what it leaves is what the call before left. */
  readonly isChanging: boolean
}

/** Where an import is made: from `source` into `root`/data, with a built product. */
export type Place = { readonly root: string; readonly source: string; readonly dist: string }

/** Runs `holdfast covenant import` in a process of its own, under strace when arguments for it are given. */
export function runImport({ root, source, dist }: Place, strace?: readonly string[]): Promise<Ran> {
  const main = join(dist, 'cli', 'main.js')
  const flags = ['--yes', '--reason', 'the crash lab', '--json', '--data-dir', join(root, 'data')]
  const node = [process.execPath, ...steady, main, 'covenant', 'import', source, ...flags]
  const [command = '', ...args] = strace === undefined ? node : ['strace', ...strace, ...node]
  const { NODE_OPTIONS: _, NODE_EXTRA_CA_CERTS: __, ...env } = process.env
  const stdio = ['ignore', 'pipe', 'pipe'] as const
  // A group of its own: strace and what it traces end together.
  return finish(spawn(command, args, { env, detached: true, stdio: [...stdio] }))
}

/** Traces one import without faults; answers every call on the data directory. */
export async function enumerateCalls(
  place: Place,
): Promise<{ readonly calls: readonly Call[]; readonly ran: Ran }> {
  const log = join(place.root, '..', 'trace.log')
  const ran = await runImport(place, ['-y', '-o', log, '-e', `trace=${watched}`])
  return { calls: callsIn(readFileSync(log, 'utf8'), place.root), ran }
}

/** Every call killed; those that can fail failed, and from the writing ones on the disk full or dead. */
export function pointsOf(calls: readonly Call[]): readonly Point[] {
  return calls.flatMap((call) =>
    faultsFor(call).map((fault) => ({
      name: `${fault}/${call.name}#${call.nth}`,
      call,
      fault,
      isChanging: changing.test(call.name),
    })),
  )
}

function faultsFor({ name }: Call): readonly Fault[] {
  return [
    'KILL',
    ...(fails.test(name) ? ['EIO' as const] : []),
    ...(changing.test(name) && fails.test(name) ? ['DEAD' as const] : []),
    ...(name === 'pwrite64' ? ['FULL' as const] : []),
  ]
}
