import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { type OpConfig, opFile } from './starts.js'

/** How one child process ended, and the lines it printed. */
export type Ran = {
  readonly lines: readonly string[]
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly timedOut: boolean
  readonly stderr: string
}

/** What an operation said of itself, from its lines. */
export type Said = {
  readonly began: boolean
  readonly acked: { readonly id: string; readonly warnings: readonly string[] } | undefined
  readonly opened:
    | {
        readonly loaded: readonly string[]
        readonly skipped: readonly unknown[]
        readonly report: { readonly deferred: readonly string[] }
      }
    | undefined
  readonly error: Failure | undefined
  readonly closeError: Failure | undefined
  readonly retry:
    | Partial<Failure & { readonly id: string; readonly warnings: readonly string[] }>
    | undefined
  readonly done: boolean
}

/** An error as `op.mjs` describes it. */
export type Failure = {
  readonly stage: 'open' | 'register' | 'close' | 'retry'
  readonly code?: string
  readonly typed: boolean
  readonly cleanup?: 'done' | 'deferred'
  /** The seed or the passphrase stood in it. */
  readonly leak: boolean
  readonly visible: boolean
  readonly shown: string
}

/** One thread and no optimiser: the n-th system call is the same call in every run. Lazy: most runs end early. */
const steady = ['--single-threaded', '--no-opt', '--liftoff-only', '--max-lazy']
const timeoutMs = 60_000

/** Processes that still run, so that an aborted lab leaves none behind. */
const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) killGroup(child)
})

/** Starts the operation, under strace when arguments for it are given. */
export function startOp(
  dataDir: string,
  config: OpConfig,
  strace: readonly string[] | undefined,
): ChildProcess {
  const node = [process.execPath, ...steady, opFile, dataDir, JSON.stringify(config)]
  const [command = '', ...args] = strace === undefined ? node : ['strace', ...strace, ...node]
  const { NODE_OPTIONS: _, NODE_EXTRA_CA_CERTS: __, ...env } = process.env
  // A group of its own: strace and what it traces end together.
  const child = spawn(command, args, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  child.on('close', () => running.delete(child))
  return child
}

/** Waits for a child and collects what it printed; kills it when it hangs. */
export function finish(child: ChildProcess): Promise<Ran> {
  return new Promise((resolve, reject) => {
    let stdout = ''
    let stderr = ''
    let timedOut = false
    child.stdout?.on('data', (chunk) => (stdout += chunk))
    child.stderr?.on('data', (chunk) => (stderr += chunk))
    const timer = setTimeout(() => {
      timedOut = true
      killGroup(child)
    }, timeoutMs)
    child.on('error', reject)
    child.on('close', (status, signal) => {
      clearTimeout(timer)
      const lines = stdout.split('\n').filter((line) => line !== '')
      resolve({ lines, status, signal, timedOut, stderr: stderr.slice(-4000) })
    })
  })
}

/** Runs the operation to its end. */
export function runOp(dataDir: string, config: OpConfig, strace?: readonly string[]): Promise<Ran> {
  return finish(startOp(dataDir, config, strace))
}

export function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // It has ended meanwhile.
  }
}

/** Resolves when the child has printed a line that begins with the text; false when it ended before. */
export function waitForLine(child: ChildProcess, text: string): Promise<boolean> {
  return new Promise((resolve) => {
    let seen = ''
    child.stdout?.on('data', (chunk) => {
      seen += chunk
      if (seen.split('\n').some((line) => line.startsWith(text))) resolve(true)
    })
    child.on('close', () => resolve(false))
  })
}

/** Resolves when the kernel says that the process is stopped (`T`). */
export async function waitForStop(pid: number): Promise<void> {
  for (let round = 0; round < 1000; round += 1) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    if (stat.slice(stat.lastIndexOf(')') + 2).startsWith('T')) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error(`process ${pid}: did not stop`)
}

/** Reads the events out of the lines that `op.mjs` printed. */
export function saidIn(lines: readonly string[]): Said {
  const find = (word: string): unknown => {
    const line = lines.find((one) => one.startsWith(`${word} `))
    return line === undefined ? undefined : JSON.parse(line.slice(word.length + 1))
  }
  const errors = lines
    .filter((line) => line.startsWith('ERR '))
    .map((line) => JSON.parse(line.slice(4)) as Failure)
  return {
    began: lines.includes('BEGIN'),
    acked: find('ACK') as Said['acked'],
    opened: find('OPEN') as Said['opened'],
    error: errors.find(({ stage }) => stage !== 'close'),
    closeError: errors.find(({ stage }) => stage === 'close'),
    retry: find('RETRY') as Said['retry'],
    done: lines.includes('DONE'),
  }
}
