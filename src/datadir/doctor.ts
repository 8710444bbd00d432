import { spawnSync } from 'node:child_process'
import { lstatSync, readdirSync, statfsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { checkDirectory, exposure } from '../base/directory-guard.js'
import { type DirectoryLock, holdIfFree } from '../base/directory-lock.js'
import { errnoOf } from '../base/durable-file.js'
import { type FileSystemOptions, refusedFileSystem } from '../base/file-system-type.js'
import { type Check, failed, probe } from './check.js'
import { checkVault, checkWallets } from './doctor-wallets.js'
import { databaseFiles, fileNames, layoutOf } from './layout.js'

/** What doctor found; `ok` when every check is. */
export type Diagnosis = { readonly ok: boolean; readonly checks: readonly Check[] }

/** Oldest Node that Holdfast runs on. */
const nodeFloor: readonly [number, number] = [20, 19]
/** Bytes to be free beyond what the log of the database takes when it is copied back. */
const spareBytes = 64 * 1024 * 1024
/** Files whose permissions are looked at. */
const filesMax = 200_000

/**
 * Looks at the machine and at a data directory, and changes nothing in it.
 *
 * @remarks The wallet database is read from a private copy, and only while no process holds the directory.
 * Doctor holds the lock itself for that moment.
 */
export async function doctor(
  directory: string,
  options: FileSystemOptions = {},
): Promise<Diagnosis> {
  const root = resolve(directory)
  const checks = [checkNode(), checkFlock(), await checkDriver()]
  const present = checkPlace(root, options)
  checks.push(present)
  if (lstatSync(root, { throwIfNoEntry: false })?.isDirectory() === true) {
    checks.push(
      checkFileSystemType(root, options),
      checkPermissions(root),
      checkSpace(root),
      ...(await checkContents(root)),
    )
  }
  return { ok: checks.every(({ ok }) => ok), checks }
}

function checkNode(): Check {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const [floorMajor, floorMinor] = nodeFloor
  const ok = major > floorMajor || (major === floorMajor && minor >= floorMinor)
  return {
    name: 'node',
    ok,
    detail: `${process.versions.node}, want ${nodeFloor.join('.')} or newer`,
  }
}

function checkFlock(): Check {
  if (process.platform !== 'linux') {
    return { name: 'flock', ok: true, detail: 'not needed on this platform' }
  }
  const { error } = spawnSync('flock', ['--version'], { stdio: 'ignore', timeout: 5000 })
  const missing = errnoOf(error) === 'ENOENT'
  return {
    name: 'flock',
    ok: !missing,
    detail: missing ? 'flock(1) is not on the PATH; install util-linux' : 'flock(1) is there',
  }
}

function checkDriver(): Promise<Check> {
  return probe('sqlite', async () => {
    const { loadDriver } = await import('../store/sqlite/driver.js')
    const open = await loadDriver()
    open(':memory:', { readonly: false, timeoutMs: 0 }).close()
    return 'the SQLite driver loads'
  })
}

function checkPlace(root: string, options: FileSystemOptions): Check {
  try {
    return { name: 'directory', ok: true, detail: checkDirectory(root, options) }
  } catch (error) {
    return failed('directory', error)
  }
}

function checkFileSystemType(root: string, options: FileSystemOptions): Check {
  const refused = refusedFileSystem(root, options)
  return {
    name: 'fileSystem',
    ok: refused === undefined,
    detail: refused === undefined ? 'local' : `${refused} does not keep locks and syncs`,
  }
}

function checkPermissions(root: string): Check {
  const problems: string[] = []
  let files = 0
  const pending = [root]
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const stats = lstatSync(path, { throwIfNoEntry: false })
    if (stats === undefined) continue
    files += 1
    if (files > filesMax) {
      problems.push(`more than ${filesMax} files, the rest was not looked at`)
      break
    }
    const problem = stats.isSymbolicLink() ? 'is a symbolic link' : exposure(stats)
    if (problem !== undefined) problems.push(`${path}: ${problem}`)
    if (stats.isDirectory()) pending.push(...readdirSync(path).map((name) => join(path, name)))
  }
  const shown = problems.slice(0, 10).join('; ')
  const more = problems.length > 10 ? `; and ${problems.length - 10} more` : ''
  return {
    name: 'permissions',
    ok: problems.length === 0,
    detail: problems.length === 0 ? `${files} files and directories, ours alone` : shown + more,
  }
}

function checkSpace(root: string): Check {
  const { bavail, bsize } = statfsSync(root, { bigint: true })
  const freeBytes = bavail * bsize
  const layout = layoutOf(root)
  const logs = [layout.wallets, layout.jobs].flatMap((path) => databaseFiles(path).slice(1))
  const logBytes = logs.reduce((sum, path) => sum + sizeOf(path), 0)
  const wantedBytes = BigInt(logBytes) + BigInt(spareBytes)
  const inMib = (bytes: bigint): string => `${bytes / 1_048_576n} MiB`
  return {
    name: 'space',
    ok: freeBytes >= wantedBytes,
    detail: `${inMib(freeBytes)} free, want ${inMib(wantedBytes)}`,
  }
}

async function checkContents(root: string): Promise<readonly Check[]> {
  let lock: DirectoryLock | 'held' | 'absent'
  try {
    lock = holdIfFree(root)
  } catch (error) {
    return [failed('lock', error)]
  }
  if (lock === 'held') {
    return [{ name: 'lock', ok: true, detail: 'held by a process; the database was not looked at' }]
  }
  try {
    const state = lock === 'absent' ? 'never locked' : 'free'
    const names = [fileNames.wallets, fileNames.inventory].filter(
      (name) => sizeOf(join(root, name)) > 0,
    )
    const checks: Check[] = [{ name: 'lock', ok: true, detail: state }]
    if (names.length === 0) {
      checks.push({ name: 'wallets', ok: true, detail: 'none yet' })
      return [...checks, await checkVault(layoutOf(root), [])]
    }
    return [...checks, ...(await checkWallets(layoutOf(root)))]
  } finally {
    if (lock !== 'absent') lock.release()
  }
}

function sizeOf(path: string): number {
  return lstatSync(path, { throwIfNoEntry: false })?.size ?? 0
}
