import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** The built command line when it is as new as its source, otherwise the source: first arguments of Node. */
export const program: readonly string[] = findProgram()

function findProgram(): readonly string[] {
  const built = join(root, 'dist', 'cli', 'main.js')
  const builtMs = lstatSync(built, { throwIfNoEntry: false })?.mtimeMs ?? 0
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  const newestMs = Math.max(...sources.map((name) => lstatSync(join(root, 'src', name)).mtimeMs))
  if (builtMs >= newestMs) return [built]
  return ['--import', import.meta.resolve('tsx'), join(root, 'src', 'cli', 'main.ts')]
}

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
