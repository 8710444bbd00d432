import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Call, callsIn, type Fault } from '../points.js'
import type { Ran } from '../run.js'
import type { LifeConfig } from './life.mjs'
import { eventsIn, runLife, saidOf } from './run.js'
import type { Start } from './starts.js'

export type AfterError = LifeConfig['afterError']

/** One place where one thing goes wrong. */
export type Point = {
  readonly start: Start
  readonly name: string
  readonly step: string
  /** What the process does once somebody is told of an error; each is a run of its own. */
  readonly afterErrors: readonly AfterError[]
} & (
  | {
      readonly kind: 'call'
      readonly call: Call
      readonly fault: Fault
      /** False for a call that only looks. */
      readonly isChanging: boolean
    }
  | { readonly kind: 'named'; readonly point: string; readonly action: 'die' | 'fail' }
)

const watched =
  'openat,open,pread64,pwrite64,pwritev,read,write,writev,fsync,fdatasync,ftruncate,fallocate,rename,renameat,renameat2,' +
  'unlink,unlinkat,rmdir,mkdir,mkdirat,fchmod,fchown,fcntl,close,statx,newfstatat,access,faccessat,faccessat2,' +
  'statfs,getdents64,readlink,lseek'
const failWithEio =
  /^(openat|open|pread64|pwrite64|pwritev|read|fsync|fdatasync|ftruncate|fallocate|rename|renameat2?|unlink|unlinkat|rmdir|mkdir|mkdirat|statx|newfstatat|access|getdents64)$/
const failWithEnospc =
  /^(pwrite64|pwritev|fsync|fdatasync|ftruncate|fallocate|rename|renameat2?|unlink|unlinkat|mkdir|mkdirat)$/
const changing = /^(pwrite64|fsync|fdatasync|ftruncate|rename|unlink|mkdir)$/
const writing = /^(pwrite64|fsync|fdatasync)$/

/** What one life without faults did. */
export type Enumerated = {
  readonly calls: readonly Call[]
  readonly named: readonly string[]
  readonly ran: Ran
}

/** Traces one whole life; names of points are longer than what strace shows of a text by itself. */
export async function enumerate(config: LifeConfig, root: string): Promise<Enumerated> {
  const log = join(root, '..', 'trace.log')
  const ran = await runLife(config, ['-y', '-s', '256', '-o', log, '-e', `trace=${watched}`])
  const named = new Set(saidOf<string>(eventsIn(ran.lines), 'AT'))
  return { calls: callsIn(readFileSync(log, 'utf8'), root), named: [...named], ran }
}

/**
 * The last call of a name in the first stretch of a step: of the syncs of a commit, the one that decides.
 *
 * @throws Error when there is none
 */
export function decidingCall(calls: readonly Call[], name: string, step: string): Call {
  const from = calls.findIndex((call) => call.step === step)
  const stretch = from === -1 ? [] : calls.slice(from)
  const end = stretch.findIndex((call) => call.step !== step)
  const found = stretch
    .slice(0, end === -1 ? undefined : end)
    .findLast((call) => call.name === name)
  if (found === undefined) throw new Error(`trace: no ${name} in ${step}`)
  return found
}

/** Every point of one start: each call killed, failed and filled up; each named point killed and failed. */
export function pointsOf(start: Start, { calls, named }: Enumerated): readonly Point[] {
  const steps = ['open', ...named]
  const first = start.from === undefined ? 0 : steps.indexOf(start.from)
  const end = start.to === undefined ? steps.length : steps.indexOf(start.to)
  // Points come again: the first passing decides where the part begins, the last call of its steps where it ends.
  const inside = new Set(steps.slice(first, end))
  const from = calls.findIndex(({ step }) => inside.has(step))
  const ours = calls.slice(from).filter(({ step }) => start.to === undefined || inside.has(step))
  const points = ours.flatMap((call) => callPoints(start, call))
  const passed = start.op === 'batch' ? [] : steps.slice(Math.max(first, 1), end)
  for (const point of passed) {
    const isOurs = point === 'opened' || point === 'close'
    for (const action of isOurs ? (['die'] as const) : (['die', 'fail'] as const)) {
      const name = `${start.name}/${action}/${point}`
      points.push({ kind: 'named', start, name, step: point, afterErrors: ['goOn'], point, action })
    }
  }
  return points
}

function callPoints(start: Start, call: Call): Point[] {
  return faultsFor(start, call).map((fault) => {
    const name = `${start.name}/${fault}/${call.name}#${call.nth}`
    const afterErrors = start.op === 'batch' ? (['goOn'] as const) : aftersFor(call, fault)
    const isChanging = changing.test(call.name)
    return { kind: 'call', start, name, step: call.step, call, fault, isChanging, afterErrors }
  })
}

function faultsFor(start: Start, call: Call): readonly Fault[] {
  if (call.where.startsWith('stdout')) return ['KILL']
  // Thousands of pages are written before this commit; what differs is only when the disk is full.
  if (start.op === 'batch') {
    return call.name === 'pwrite64' && call.nth % 401 === 0 ? ['ENOSPC', 'FULL', 'EIO'] : []
  }
  return [
    'KILL',
    ...(failWithEio.test(call.name) ? ['EIO' as const] : []),
    ...(failWithEnospc.test(call.name) ? ['ENOSPC' as const] : []),
    ...(call.step !== 'open' && changing.test(call.name) ? ['DEAD' as const] : []),
    ...(call.step !== 'open' && call.name === 'pwrite64' ? ['FULL' as const] : []),
  ]
}

/** A failed write or sync is followed by both, each in a run of its own; elsewhere the calls take turns. */
function aftersFor(call: Call, fault: Fault): readonly AfterError[] {
  if (fault === 'KILL') return ['goOn']
  if (writing.test(call.name) && (fault === 'EIO' || fault === 'ENOSPC')) return ['goOn', 'die']
  return [call.nth % 2 === 0 ? 'goOn' : 'die']
}
