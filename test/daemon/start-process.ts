import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'vitest'
import type { SubmitInput } from '../../src/covenant/index.js'
import { program } from '../cli/command.js'
import { encodeSubmit } from '../covenant/factory.js'
import { type Address, ask, type RawAnswer } from './raw-http.js'

/** `holdfast start` as a process of its own, and a folder for its configuration and data. */

export const clientToken = 'canary-client-token-5b1f'
export const adminToken = 'canary-admin-token-90ce'

const folders: string[] = []
const children = new Set<ChildProcess>()

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  await Promise.all([...children].map(ended))
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

export type LogLine = Readonly<Record<string, unknown>> & { readonly msg: string }

export type Exit = { readonly status: number | null; readonly signal: string | null }

export type Daemon = {
  readonly child: ChildProcess
  readonly stdout: () => string
  readonly stderr: () => string
  /** The lines of the log so far. */
  readonly lines: () => readonly LogLine[]
  /** Waits for a line of the log; rejects when the process ends before. */
  readonly line: (message: string) => Promise<LogLine>
  readonly exit: Promise<Exit>
}

export type Site = {
  readonly folder: string
  readonly dataDir: string
  readonly config: string
  readonly address: Address
  /** Of the listener for operators. */
  readonly admin: Address
  /** Writes the configuration anew; `more` follows the section of the covenant signer. */
  configure(more: string, top?: string): void
  /** Starts a process; it may be gone at once. */
  run(options?: RunOptions): Daemon
  /** Starts a process and waits until it serves. */
  start(options?: RunOptions): Promise<Daemon>
  submit(input: SubmitInput): Promise<RawAnswer>
}

export type RunOptions = {
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

const plenty = '[limits]\nsubmitCapacity = 100000\nsubmitRefillMs = 1\n'

export async function createSite(more: string = plenty): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-start-'))
  folders.push(folder)
  const dataDir = join(folder, 'data')
  const config = join(folder, 'holdfast.toml')
  const address = { host: '127.0.0.1', port: await freePort() }
  const admin = { host: '127.0.0.1', port: await freePort() }

  function configure(given: string, top = ''): void {
    const signer = [
      `port = ${address.port}`,
      `authToken = "${clientToken}"`,
      `adminAuthToken = "${adminToken}"`,
      'enableSelfV1 = true',
      `eip712Salt = "0x${'00'.repeat(32)}"`,
    ].join('\n')
    const text = `dataDir = "${dataDir}"\n${top}\n[admin]\nport = ${admin.port}\n[covenantSigner]\n${signer}\n${given}\n`
    writeFileSync(config, text)
    chmodSync(config, 0o600)
  }

  const run = (options: RunOptions = {}): Daemon =>
    launch(['start', '--config', config, ...(options.args ?? [])], options.env ?? {})

  configure(more)
  return {
    ...{ folder, dataDir, config, address, admin, configure, run },
    async start(options) {
      const daemon = run(options)
      await daemon.line('job store: jobs loaded')
      await daemon.line('covenant signer endpoint enabled')
      return daemon
    },
    async submit(input) {
      const path = `/v1/${input.request.route}/signer/requests`
      return post(address, path, Buffer.from(encodeSubmit(input)).toString())
    },
  }
}

/** One request as a client with the right token. */
export async function post(address: Address, path: string, body: string): Promise<RawAnswer> {
  const headers = [`Authorization: Bearer ${clientToken}`]
  const answer = await ask(address, { path, body, headers })
  if (answer === undefined) throw new TypeError('the connection ended without an answer')
  return answer
}

function launch(args: readonly string[], env: Readonly<Record<string, string>>): Daemon {
  const child = spawn(process.execPath, [...program, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH ?? '', ...env },
  })
  children.add(child)
  let stdout = ''
  let stderr = ''
  let isOver = false
  let wake = (): void => undefined
  child.stdout.on('data', (piece) => {
    stdout += piece
  })
  child.stderr.on('data', (piece) => {
    stderr += piece
    wake()
  })
  const exit = ended(child)
  void exit.then(() => {
    isOver = true
    wake()
  })
  const lines = (): readonly LogLine[] =>
    stderr
      .split('\n')
      .slice(0, -1)
      .filter((text) => text.startsWith('{'))
      .map((text) => JSON.parse(text))
  return {
    ...{ child, exit, lines },
    stdout: () => stdout,
    stderr: () => stderr,
    async line(message) {
      for (;;) {
        const found = lines().find(({ msg }) => msg === message)
        if (found !== undefined) return found
        if (isOver) throw new TypeError(`ended before "${message}": ${stderr}`)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
  }
}

/** Resolves when the process is gone and everything it wrote has been read. */
function ended(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve) => {
    const done = (): void => {
      children.delete(child)
      resolve({ status: child.exitCode, signal: child.signalCode })
    }
    if (!children.has(child)) done()
    else child.once('close', done)
  })
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new TypeError('no port')
  return address.port
}
