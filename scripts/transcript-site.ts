import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

/** Milliseconds that one command, and the start of a daemon, may take. */
const commandMsMax = 30_000

/** A folder in which one session is played with the real command line. */
export class Site {
  readonly path: string = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-transcript-')))
  readonly clientPort: number
  readonly adminPort: number
  readonly #lines: string[] = []
  #daemon: ChildProcess | undefined

  constructor(program: readonly string[], ports: readonly [number, number]) {
    this.clientPort = ports[0]
    this.adminPort = ports[1]
    mkdirSync(join(this.path, 'bin'))
    const words = [process.execPath, ...program].map((word) => `'${word}'`).join(' ')
    this.write('bin/holdfast', `#!/bin/sh\nexec ${words} "$@"\n`, 0o700)
    this.configure('')
  }

  at(...names: readonly string[]): string {
    return join(this.path, ...names)
  }

  write(name: string, content: string | Uint8Array, mode = 0o600): void {
    writeFileSync(this.at(name), content)
    chmodSync(this.at(name), mode)
  }

  /** Writes holdfast.toml. @param more what follows the ports */
  configure(more: string): void {
    const text = `dataDir = "data"\n[admin]\nport = ${this.adminPort}\n[covenantSigner]\nport = ${this.clientPort}\n${more}`
    this.write('holdfast.toml', text)
  }

  /** Puts a sentence between the commands. */
  say(text: string): void {
    this.#lines.push(`# ${text}`)
  }

  /** Runs a command and keeps it with its output and its status. */
  run(command: string): string {
    const { status, output } = this.#shell(command)
    this.#lines.push(`$ ${command}`, ...linesOf(output))
    if (status !== 0) this.#lines.push(`[exit ${status}]`)
    return output
  }

  /** Runs a command that belongs to no transcript and must succeed. */
  prepare(command: string): void {
    const { status, output } = this.#shell(command)
    if (status !== 0) throw new Error(`${command}: ended with ${status}\n${output}`)
  }

  /** Starts the daemon and waits until it serves. */
  async start(): Promise<void> {
    this.write('log', '')
    const child = spawn(
      '/bin/sh',
      ['-c', 'exec holdfast start --config holdfast.toml 2>>log >/dev/null'],
      { cwd: this.path, env: this.#environment(), stdio: 'ignore' },
    )
    this.#daemon = child
    const endMs = Date.now() + commandMsMax
    while (!this.log().includes('job store: jobs loaded')) {
      if (child.exitCode !== null || Date.now() > endMs) throw new Error(`start: ${this.log()}`)
      await wait(50)
    }
    await wait(300)
  }

  log(): string {
    return readFileSync(this.at('log'), 'utf8')
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#daemon
    this.#daemon = undefined
    if (child === undefined || child.exitCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }

  /** Puts the lines of the daemon's log that match into the transcript. */
  showLog(pattern: RegExp): void {
    this.#lines.push(...linesOf(this.log()).filter((line) => pattern.test(line)))
  }

  async remove(): Promise<void> {
    await this.stop('SIGKILL')
    rmSync(this.path, { recursive: true, force: true })
  }

  /** What was typed and printed, with everything replaced that differs from run to run. */
  transcript(): string {
    return normalised(
      this.#lines
        .join('\n')
        .replaceAll(this.path, '/srv/holdfast')
        .replaceAll(`:${this.clientPort}`, ':9702')
        .replaceAll(`:${this.adminPort}`, ':9703')
        .replace(/^(listeners\.compatible\.port: +)\d+$/gm, (_, name: string) => `${name}9702`)
        .replace(/^(listeners\.admin\.port: +)\d+$/gm, (_, name: string) => `${name}9703`)
        .replaceAll(`"port":${this.clientPort}`, '"port":9702')
        .replaceAll(`"port":${this.adminPort}`, '"port":9703'),
    )
  }

  #shell(command: string): { readonly status: number | null; readonly output: string } {
    const { status, stdout } = spawnSync('/bin/bash', ['-c', `exec 2>&1; ${command}`], {
      cwd: this.path,
      env: this.#environment(),
      encoding: 'utf8',
      timeout: commandMsMax,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return { status, output: stdout }
  }

  #environment(): NodeJS.ProcessEnv {
    const { PATH = '' } = process.env
    return {
      PATH: `${this.at('bin')}:${PATH}`,
      HOME: this.path,
      LC_ALL: 'C.UTF-8',
      USER: 'holdfast',
    }
  }
}

function linesOf(text: string): readonly string[] {
  const whole = text.replace(/\n+$/, '')
  return whole === '' ? [] : whole.split('\n')
}

function normalised(text: string): string {
  return text
    .replace(/"time":"[^"]*","pid":\d+,/g, '')
    .replace(/\b(20(?!26-01-02)\d\d-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z/g, '2026-01-03T00:00:00Z')
    .replace(/(?<!0x)\b[0-9a-f]{64}\b(?!:\d)/g, '<64 hex digits>')
    .replace(/(?<!0x)\b[0-9a-f]{32}\b/g, '<32 hex digits>')
    .replace(/\b\d+ MiB free/g, '12345 MiB free')
    .replace(/\b(write took|slowest for|uptime) \d+ ms/g, '$1 1 ms')
    .replace(/[ \t]+$/gm, '')
}

/** Two ports that were free a moment ago. */
export async function freePorts(): Promise<readonly [number, number]> {
  const servers = [createServer(), createServer()]
  const ports = await Promise.all(
    servers.map(async (server) => {
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const address = server.address()
      return typeof address === 'object' && address !== null ? address.port : 0
    }),
  )
  for (const server of servers) server.close()
  return [ports[0] ?? 0, ports[1] ?? 0]
}
