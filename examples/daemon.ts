import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { requestJson } from '../devnet/request-json.js'
import type { StackFiles } from '../devnet/stack-files.js'
import type { SubmitInput } from '../src/covenant/index.js'
import { command, type Site, say } from './site.js'

const startTimeoutMs = 30_000
const answerTimeoutMs = 30_000

/** An answer over HTTP, as it came. */
export type Answer = {
  readonly status: number
  readonly text: string
  readonly json: Readonly<Record<string, unknown>>
}

/** `holdfast start` as a process of its own, and a client of it. */
export type Daemon = {
  readonly pid: number | undefined
  readonly log: string
  submit(input: SubmitInput): Promise<Answer>
  poll(input: SubmitInput, requestId: string): Promise<Answer>
  /** The last line of the log with this message; the log may come a little later than the answer. */
  logged(message: string): Promise<Readonly<Record<string, unknown>>>
  /** Ends it by SIGKILL, as the end of the demo does. */
  kill(): Promise<void>
  stop(): Promise<void>
}

/** Starts the daemon and waits until it is ready. */
export async function startDaemon(site: Site, files: StackFiles): Promise<Daemon> {
  say('$ holdfast start --config files/holdfast.toml &')
  const log = join(site.folder, 'daemon.log')
  const output = openSync(log, 'a', 0o600)
  const args = [command, 'start', '--config', files.config]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', output] })
  closeSync(output)
  const kill = (): void => void child.kill('SIGKILL')
  process.once('exit', kill)
  child.once('exit', () => process.removeListener('exit', kill))
  await untilReady(child, files.adminPort)
  const base = `http://127.0.0.1:${files.port}/v1`
  const post = (path: string, body: object): Promise<Answer> =>
    call(`${base}/${path}`, files.token, body)
  const end = async (signal: 'SIGKILL' | 'SIGTERM'): Promise<void> => {
    if (hasEnded(child)) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }
  return {
    pid: child.pid,
    log,
    submit: (input) => post(`${input.request.route}/signer/requests`, input),
    poll: (input, requestId) =>
      post(`${input.request.route}/signer/requests:poll`, { ...input, requestId }),
    logged: (message) => lastLine(log, message),
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  }
}

async function untilReady(child: ChildProcess, adminPort: number): Promise<void> {
  const endMs = performance.now() + startTimeoutMs
  while (performance.now() < endMs) {
    if (hasEnded(child)) throw new Error('the daemon ended at its start; see daemon.log')
    if (await isReady(adminPort)) return
    await sleep(50)
  }
  throw new Error('the daemon was not ready in time; see daemon.log')
}

async function isReady(adminPort: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${adminPort}/readyz`)).ok
  } catch {
    // Nobody listens yet.
    return false
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null
}

async function call(url: string, token: string, body: object): Promise<Answer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: requestJson(body),
    signal: AbortSignal.timeout(answerTimeoutMs),
  })
  const text = await response.text()
  const json = response.ok ? (JSON.parse(text) as Record<string, unknown>) : {}
  return { status: response.status, text, json }
}

async function lastLine(log: string, message: string): Promise<Record<string, unknown>> {
  const endMs = performance.now() + answerTimeoutMs
  while (performance.now() < endMs) {
    const lines = readFileSync(log, 'utf8').split('\n')
    const line = lines.findLast((text) => text.includes(`"msg":${JSON.stringify(message)}`))
    if (line !== undefined) return JSON.parse(line) as Record<string, unknown>
    await sleep(20)
  }
  throw new Error(`the log has no line "${message}"`)
}
