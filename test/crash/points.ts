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
  /** The file, without random parts; two files for a rename. */
  readonly where: string
  /** The last named point before it; `start` before the first. */
  readonly step: string
}

export type Fault = 'KILL' | 'EIO' | 'ENOSPC'
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
  'openat,open,pread64,pwrite64,pwritev,read,write,fsync,fdatasync,ftruncate,fallocate,rename,renameat,renameat2,' +
  'unlink,unlinkat,rmdir,mkdir,mkdirat,fchmod,fchown,fcntl,close,statx,newfstatat,access,faccessat,faccessat2,' +
  'statfs,getdents64,readlink,lseek'
const failWithEio =
  /^(openat|open|pread64|pwrite64|pwritev|read|fsync|fdatasync|ftruncate|fallocate|rename|renameat2?|unlink|unlinkat|rmdir|mkdir|mkdirat|statx|newfstatat|access|getdents64)$/
const failWithEnospc =
  /^(pwrite64|pwritev|fsync|fdatasync|ftruncate|fallocate|rename|renameat2?|unlink|unlinkat|mkdir|mkdirat)$/

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
  let step = 'start'
  for (const line of trace.split('\n')) {
    const [, name, args] = /^(\w+)\((.*)/.exec(line) ?? []
    if (name === undefined || args === undefined) continue
    const when = count(seen, name)
    const line1 =
      name === 'write' && args.startsWith('1<') ? /"([^"]*)"/.exec(args)?.[1] : undefined
    const at = line1 === undefined ? undefined : /^AT (.*)\\n$/.exec(line1)?.[1]
    if (at !== undefined) {
      step = at
      continue
    }
    const said = line1 !== undefined && /^(ACK|OPEN|DONE)/.test(line1)
    const path = pathsOf(args)
    if (!said && !path.startsWith(root)) continue
    const where = said ? `stdout ${line1.slice(0, 4).trim()}` : steadyPath(path, root)
    const stepNow = said || step !== 'start' ? step : 'open'
    calls.push({ name, nth: count(ours, name), when, where, step: stepNow })
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
  for (const call of calls) {
    for (const fault of faultsFor(call)) {
      const name = `${start.name}/${fault}/${call.name}#${call.nth}`
      const afterErrors = fault === 'KILL' ? ['die' as const] : aftersFor(start)
      points.push({ kind: 'call', start, name, step: call.step, call, fault, afterErrors })
    }
  }
  for (const point of named) {
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
  ]
}

/** What the process does after an error; a recovery has nothing to retry. */
const aftersFor = (start: Start): readonly AfterError[] =>
  start.op === 'register' ? ['close', 'die', 'retry'] : ['close', 'die']

/** Named failures share the ways on between them: system calls try every way on at every call. */
const afterOf: Readonly<Record<Action, AfterError>> = {
  die: 'die',
  stop: 'die',
  transient: 'retry',
  constraint: 'die',
  fatal: 'close',
}

function actionsFor(point: string): readonly Action[] {
  const fail = ['transient', 'constraint', 'fatal'] as const
  return point.startsWith('promote.') ? ['die', 'stop', ...fail] : ['die', ...fail]
}

/** strace's arguments that make this call go wrong and log it. */
export function injection(call: Call, fault: Fault, log: string): readonly string[] {
  const what = fault === 'KILL' ? 'signal=KILL' : `error=${fault}`
  const inject = `inject=${call.name}:${what}:when=${call.when}`
  return ['-y', '-o', log, '-e', `trace=${call.name}`, '-e', inject]
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
