import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Ran, runOp } from './run.js'
import type { OpConfig, Start } from './starts.js'

/** One system call of the traced process that touches the data directory, or says something. */
export type Call = {
  readonly name: string
  /** Counts the calls of this name that touch our files, from 1. */
  readonly nth: number
  /** Counts all calls of this name, from 1: what strace counts by. */
  readonly when: number
  /** The `when` that the next call of each changing name would have, this one counted as still to come. */
  readonly next: Readonly<Record<string, number>>
  /** The file, without random parts; two files for a rename. */
  readonly where: string
  /** The last named point before it; `open` before the first, `close` after the answer. */
  readonly step: string
}

/**
 * What meets a call. `KILL`: the process dies before it. `EIO`, `ENOSPC`: this one call fails. `DEAD`: from here on
 * whatever would change the disk fails with EIO. `FULL`: from here on every write fails with ENOSPC.
 */
export type Fault = 'KILL' | 'EIO' | 'ENOSPC' | 'DEAD' | 'FULL'
export type AfterError = 'close' | 'die' | 'retry'

/** One place where one thing goes wrong. */
export type Point = {
  readonly start: Start
  readonly name: string
  readonly step: string
  /** What the process does once it got an error; each is a run of its own. */
  readonly afterErrors: readonly AfterError[]
} & (
  | { readonly kind: 'call'; readonly call: Call; readonly fault: Fault }
  | { readonly kind: 'named'; readonly point: string; readonly action: Action }
)
export type Action = 'die' | 'stop' | 'transient' | 'constraint' | 'fatal'

const watched =
  'openat,open,pread64,pwrite64,pwritev,read,write,writev,fsync,fdatasync,ftruncate,fallocate,rename,renameat,renameat2,' +
  'unlink,unlinkat,rmdir,mkdir,mkdirat,fchmod,fchown,fcntl,close,statx,newfstatat,access,faccessat,faccessat2,' +
  'statfs,getdents64,readlink,lseek'
const failWithEio =
  /^(openat|open|pread64|pwrite64|pwritev|read|fsync|fdatasync|ftruncate|fallocate|rename|renameat2?|unlink|unlinkat|rmdir|mkdir|mkdirat|statx|newfstatat|access|getdents64)$/
const failWithEnospc =
  /^(pwrite64|pwritev|fsync|fdatasync|ftruncate|fallocate|rename|renameat2?|unlink|unlinkat|mkdir|mkdirat)$/

const changing = ['pwrite64', 'fsync', 'fdatasync', 'ftruncate', 'rename', 'unlink', 'mkdir']
const growing = ['pwrite64']

/** The step of every call after the answer. */
export const closing = 'close'

/** Replaces what differs from run to run: the root, and random digits in names. */
export function steadyPath(text: string, root: string): string {
  return text
    .replaceAll(' (deleted)', '')
    .replaceAll(root, '~')
    .replace(/[0-9a-f]{16,}/g, '*')
}

/** The files a traced call names: its descriptor's path, or its quoted ones. */
function pathsOf(args: string): string {
  const described = /^\d+<([^>]*)>/.exec(args)?.[1]
  const quoted = [...args.matchAll(/"([^"]*)"/g)].map((found) => found[1])
  return described ?? quoted.join(' -> ')
}

/** Reads a trace: the calls on files below `root`, and the lines written to standard output. */
export function callsIn(trace: string, root: string): readonly Call[] {
  const seen = new Map<string, number>()
  const ours = new Map<string, number>()
  const count = (map: Map<string, number>, name: string): number => {
    const next = (map.get(name) ?? 0) + 1
    map.set(name, next)
    return next
  }
  const calls: Call[] = []
  let step = 'open'
  for (const line of trace.split('\n')) {
    const [, name, args] = /^(\w+)\((.*)/.exec(line) ?? []
    if (name === undefined || args === undefined) continue
    const when = count(seen, name)
    const printed = name.startsWith('write') && args.startsWith('1<')
    const text = printed ? (/"([^"]*)"/.exec(args)?.[1] ?? '') : ''
    const at = /^AT (.*)\\n$/.exec(text)?.[1]
    if (at !== undefined) {
      step = at
      continue
    }
    const said = /^(ACK|OPEN|ERR|DONE)$/.test(text)
    const path = pathsOf(args)
    if (!said && !path.startsWith(root)) continue
    const where = said ? `stdout ${text}` : steadyPath(path, root)
    const next = Object.fromEntries(changing.map((each) => [each, (seen.get(each) ?? 0) + 1]))
    calls.push({
      name,
      nth: count(ours, name),
      when,
      next: { ...next, [name]: when },
      where,
      step,
    })
    // From its answer on a process only closes.
    if (said) step = closing
  }
  return calls
}

/** Traces one whole run over `root`/data; answers its calls and the named points it passed. */
export async function enumerate(
  config: OpConfig,
  root: string,
): Promise<{
  readonly calls: readonly Call[]
  readonly named: readonly string[]
  readonly ran: Ran
}> {
  const log = join(root, '..', 'trace.log')
  const strace = ['-y', '-o', log, '-e', `trace=${watched}`]
  const ran = await runOp(join(root, 'data'), config, strace)
  const named = ran.lines.filter((line) => line.startsWith('AT ')).map((line) => line.slice(3))
  return { calls: callsIn(readFileSync(log, 'utf8'), root), named: [...new Set(named)], ran }
}

/** Every point of one start: each call killed, failed and filled up; each named point killed, stopped and failed. */
export function pointsOf(
  start: Start,
  calls: readonly Call[],
  named: readonly string[],
): readonly Point[] {
  const points: Point[] = []
  const { from } = start
  const first = from === undefined ? 0 : calls.findIndex(({ step }) => step === from)
  for (const call of calls.slice(first)) {
    for (const fault of faultsFor(call)) {
      const name = `${start.name}/${fault}/${call.name}#${call.nth}`
      const afterErrors = aftersFor(call, fault, start)
      points.push({ kind: 'call', start, name, step: call.step, call, fault, afterErrors })
    }
  }
  for (const point of named.slice(from === undefined ? 0 : named.indexOf(from) + 1)) {
    for (const action of actionsFor(point)) {
      const name = `${start.name}/${action}/${point}`
      const afterErrors = [afterOf[action]]
      points.push({ kind: 'named', start, name, step: point, afterErrors, point, action })
    }
  }
  return points
}

function faultsFor(call: Call): readonly Fault[] {
  if (call.where.startsWith('stdout')) return ['KILL']
  return [
    'KILL',
    ...(failWithEio.test(call.name) ? ['EIO' as const] : []),
    ...(failWithEnospc.test(call.name) ? ['ENOSPC' as const] : []),
    ...(call.step !== 'open' && changing.includes(call.name) ? ['DEAD' as const] : []),
    ...(call.step !== 'open' && growing.includes(call.name) ? ['FULL' as const] : []),
  ]
}

/**
 * What the process does after an error, each in a run of its own. All three follow a single error of a registration;
 * elsewhere the calls take turns. A recovery has nothing to retry, and after the answer nothing is decided any more.
 */
function aftersFor(call: Call, fault: Fault, start: Start): readonly AfterError[] {
  if (fault === 'KILL' || call.step === closing) return ['close']
  if (start.op === 'recover') return [call.nth % 2 === 0 ? 'close' : 'die']
  const all = ['close', 'die', 'retry'] as const
  if (fault === 'EIO' && call.step !== 'open') return all
  if (fault === 'DEAD') return ['close', 'die']
  if (fault === 'FULL') return [call.nth % 2 === 0 ? 'close' : 'die']
  return [all[call.nth % all.length] ?? 'close']
}

/** Named failures share the ways on between them: system calls try every way on at every call. */
const afterOf: Readonly<Record<Action, AfterError>> = {
  die: 'die',
  stop: 'die',
  transient: 'retry',
  constraint: 'die',
  fatal: 'close',
}

/** The rows of a promote are alike: the first two may do everything, the others die. */
function actionsFor(point: string): readonly Action[] {
  const fail = ['transient', 'constraint', 'fatal'] as const
  if (Number(/^promote\.row:(\d+)$/.exec(point)?.[1]) > 2) return ['die']
  return point.startsWith('promote.') ? ['die', 'stop', ...fail] : ['die', ...fail]
}

/** strace's arguments that make this call go wrong and log it. */
export function injection(call: Call, fault: Fault, log: string): readonly string[] {
  const names = fault === 'DEAD' ? changing : fault === 'FULL' ? growing : [call.name]
  const lasting = fault === 'DEAD' || fault === 'FULL' ? '+' : ''
  const what =
    fault === 'KILL' ? 'signal=KILL' : `error=${/^(ENOSPC|FULL)$/.test(fault) ? 'ENOSPC' : 'EIO'}`
  const injects = names.flatMap((name) => [
    '-e',
    `inject=${name}:${what}:when=${call.next[name] ?? call.when}${lasting}`,
  ])
  return ['-y', '-o', log, '-e', `trace=${names.join(',')}`, ...injects]
}

/** Whether the log of a run shows that the fault met the call that was meant. */
export function wasHit(trace: string, call: Call, fault: Fault, root: string): boolean {
  const lines = trace.split('\n').filter((line) => line.startsWith(`${call.name}(`))
  const line = lines[call.when - 1]
  if (line === undefined) return false
  if (fault !== 'KILL' && !line.includes('(INJECTED)')) return false
  if (call.where.startsWith('stdout')) return line.includes(call.where.slice(7))
  return steadyPath(pathsOf(line.slice(call.name.length + 1)), root) === call.where
}
