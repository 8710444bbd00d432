import { type ChildProcess, spawn } from 'node:child_process'
import { finish, killGroup, type Ran } from '../run.js'
import type { LifeConfig } from './life.mjs'
import { opFile } from './starts.js'

/** One line that a life printed: a word, and what belongs to it. */
export type Event = { readonly word: string; readonly detail: unknown }

/** One thread and no optimiser: the n-th system call is the same call in every run. Lazy: most runs end early. */
const steady = ['--single-threaded', '--no-opt', '--liftoff-only', '--max-lazy']

/** Processes that still run, so that an aborted lab leaves none behind. */
const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) killGroup(child)
})

/** Starts a life in a process of its own, under strace when arguments for it are given. */
export function startLife(config: LifeConfig, strace?: readonly string[]): ChildProcess {
  const node = [process.execPath, ...steady, opFile, JSON.stringify(config)]
  const [command = '', ...args] = strace === undefined ? node : ['strace', ...strace, ...node]
  const { NODE_OPTIONS: _, NODE_EXTRA_CA_CERTS: __, ...env } = process.env
  // A group of its own: strace and what it traces end together.
  const child = spawn(command, args, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  child.on('close', () => running.delete(child))
  return child
}

/** Runs a life to its end, or to its death. */
export function runLife(config: LifeConfig, strace?: readonly string[]): Promise<Ran> {
  return finish(startLife(config, strace))
}

/** The events in what a life printed; a line that was cut off is left out. */
export function eventsIn(lines: readonly string[]): readonly Event[] {
  return lines.flatMap((line) => {
    const at = line.indexOf(' ')
    const word = at === -1 ? line : line.slice(0, at)
    if (word === 'AT') return [{ word, detail: line.slice(3) }]
    if (at === -1) return [{ word, detail: undefined }]
    try {
      return [{ word, detail: JSON.parse(line.slice(at + 1)) as unknown }]
    } catch {
      // The process died while it wrote.
      return []
    }
  })
}

/** What events of one word say. */
export function saidOf<T>(events: readonly Event[], word: string): readonly T[] {
  return events.filter((event) => event.word === word).map(({ detail }) => detail as T)
}
