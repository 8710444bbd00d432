import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The built command line. */
export const command = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))

const commandTimeoutMs = 30_000

/** The temporary folder that a demo happens in. */
export type Site = {
  readonly folder: string
  readonly dataDir: string
  /** File with the vault's passphrase. */
  readonly passphrase: string
  /** Writes a file for its owner's eyes only. */
  writeSecret(name: string, text: string): string
  /** Runs the product's command as a user would and answers what it printed as JSON. */
  holdfast(...args: readonly string[]): Promise<Ran>
  /** Runs a command and shows what it prints for people. */
  show(...args: readonly string[]): Promise<{ readonly status: number | null }>
  remove(): void
}

export type Ran = {
  readonly status: number | null
  readonly json: Readonly<Record<string, unknown>>
}

export function openSite(): Site {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-demo-'))
  const dataDir = join(folder, 'data')
  const writeSecret = (name: string, text: string): string => {
    const path = join(folder, name)
    writeFileSync(path, `${text}\n`, { mode: 0o600 })
    return path
  }
  const run = (args: readonly string[], hidden: readonly string[]): Promise<Output> => {
    const shown = args.map((arg) => arg.replace(`${folder}/`, ''))
    say(`$ holdfast ${shown.join(' ')}`)
    return outputOf([command, ...args, ...hidden])
  }
  return {
    folder,
    dataDir,
    passphrase: writeSecret('passphrase', 'a passphrase for the demo only'),
    writeSecret,
    async holdfast(...args) {
      // A configuration names the data directory itself.
      const place = args.includes('--config') ? [] : ['--data-dir', dataDir]
      const { status, stdout } = await run(args, [...place, '--json'])
      return { status, json: JSON.parse(stdout) as Record<string, unknown> }
    },
    async show(...args) {
      const { status, stdout, stderr } = await run(args, [])
      for (const line of `${stdout}${stderr}`.trimEnd().split('\n')) say(`  ${line}`)
      return { status }
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

type Output = {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Not at a standstill: the proxies before the chains are in this process. */
async function outputOf(args: readonly string[]): Promise<Output> {
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: commandTimeoutMs,
  })
  const [stdout, stderr] = [textOf(child.stdout), textOf(child.stderr)]
  await once(child, 'close')
  return { status: child.exitCode, stdout: await stdout, stderr: await stderr }
}

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of stream) pieces.push(piece)
  return Buffer.concat(pieces).toString('utf8')
}

export function say(text = ''): void {
  process.stdout.write(`${text}\n`)
}

/** Ends the demo when something is not as it must be. */
export function expect(what: string, holds: boolean): void {
  if (!holds) throw new Error(what)
}

/** The beginning of a long id. */
export const short = (id: unknown): string => `${String(id).slice(0, 20)}…`
