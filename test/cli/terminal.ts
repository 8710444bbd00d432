import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'

/** Whether script(1) can give a command a terminal here. */
export const hasTerminal: boolean =
  spawnSync('script', ['--version'], { stdio: 'ignore' }).status === 0

/** A command that runs on a terminal of its own, and the text it has shown. */
export class TerminalRun {
  readonly #child: ChildProcess
  #shown = ''
  #read = 0
  #ended = false
  #wake: () => void = () => undefined

  constructor(command: readonly string[]) {
    const line = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')
    this.#child = spawn('script', ['-qefc', `stty cols 100 rows 40; exec ${line}`, '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, TERM: 'xterm', CI: '' },
    })
    this.#child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      this.#shown += chunk
      this.#wake()
    })
    this.#child.on('exit', () => {
      this.#ended = true
      this.#wake()
    })
  }

  /** Everything shown so far, escape sequences included. */
  get shown(): string {
    return this.#shown
  }

  /** Waits until new text matches; later waits look behind the match. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.#shown.slice(this.#read))
      if (match !== null) {
        this.#read += match.index + match[0].length
        return match
      }
      if (this.#ended) throw new Error(`ended without ${pattern}: ${this.#shown.slice(this.#read)}`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  type(text: string): void {
    this.#child.stdin?.write(text)
  }

  /** The exit status of the command. */
  async end(): Promise<number> {
    if (this.#child.exitCode === null) await once(this.#child, 'exit')
    return this.#child.exitCode ?? -1
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}
