import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What runs the command line from source, as the first arguments of Node. */
export const program: readonly string[] = [
  '--import',
  import.meta.resolve('tsx'),
  fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url)),
]

/** 12 words that everybody knows. */
export const words =
  'abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about'

export type Finished = { status: number | null; stdout: string; stderr: string }

/** Runs a command to its end, without a terminal. */
export function holdfast(args: readonly string[], input = ''): Finished {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...program, ...args], {
    input,
    encoding: 'utf8',
    timeout: 30_000,
    env: { ...process.env, HOLDFAST_DATA_DIR: '' },
  })
  return { status, stdout, stderr }
}

/** Name, mode and content of every file and directory below a path; the lock file is left out. */
export function filesBelow(path: string): Record<string, string> {
  const files: Record<string, string> = {}
  for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) {
    if (entry.name === 'lock') continue
    const at = join(entry.parentPath, entry.name)
    const mode = (lstatSync(at).mode & 0o7777).toString(8)
    files[at] = `${mode} ${entry.isDirectory() ? '' : contentOf(at, entry.isSymbolicLink())}`
  }
  return files
}

function contentOf(path: string, isLink: boolean): string {
  const content = isLink ? readlinkSync(path) : readFileSync(path)
  return createHash('sha256').update(content).digest('hex')
}
