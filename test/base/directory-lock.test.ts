import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  acquireDirectory,
  DataDirLocked,
  DataDirLockLost,
  holdIfFree,
} from '../../src/base/directory-lock.js'
import { LockHelperFailed, LockHelperMissing, lockByFlock } from '../../src/base/lock-file.js'
import { lockBySqlite } from '../../src/base/lock-file-sqlite.js'

let directory = ''
let children: ChildProcess[] = []

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-lock-'))
})

afterEach(async () => {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  children = []
  rmSync(directory, { recursive: true, force: true })
})

type Opener = { ask(order: string): Promise<string>; kill(): Promise<void> }

async function startOpener(): Promise<Opener> {
  const program = fileURLToPath(new URL('directory-lock-child.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', program, directory], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  children.push(child)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async (): Promise<string> => String((await lines.next()).value)
  expect(await next()).toBe('ready')
  return {
    async ask(order) {
      child.stdin.write(`${order}\n`)
      return next()
    },
    async kill() {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

describe('between processes', () => {
  it('refuses a second process at once and lets it in after the first gave the lock back', async () => {
    const first = await startOpener()
    const second = await startOpener()
    expect(await first.ask('acquire')).toBe('ok')
    expect(await second.ask('acquire')).toBe('DataDirLocked')
    expect(() => acquireDirectory(directory)).toThrow(DataDirLocked)
    expect(await first.ask('release')).toBe('ok')
    expect(await second.ask('acquire')).toBe('ok')
  })

  it('is free again after the holder was killed', async () => {
    const first = await startOpener()
    expect(await first.ask('acquire')).toBe('ok')
    await first.kill()
    const lock = acquireDirectory(directory)
    lock.assertHeld()
    lock.release()
  })

  it('makes the holder stop when its lock file was deleted, also after somebody else locked', async () => {
    const first = await startOpener()
    expect(await first.ask('acquire')).toBe('ok')
    expect(await first.ask('check')).toBe('ok')
    rmSync(join(directory, 'lock'))
    expect(await first.ask('check')).toBe('DataDirLockLost')
    const second = acquireDirectory(directory)
    expect(await first.ask('check')).toBe('DataDirLockLost')
    expect(await first.ask('acquire')).toBe('DataDirLockLost')
    second.assertHeld()
    second.release()
  })

  it('has exactly one winner when eight processes open together', async () => {
    const openers = await Promise.all(Array.from({ length: 8 }, startOpener))
    const answers = await Promise.all(openers.map((opener) => opener.ask('acquire')))
    expect(answers.filter((answer) => answer === 'ok')).toHaveLength(1)
    expect(answers.filter((answer) => answer === 'DataDirLocked')).toHaveLength(7)
  })
})

describe('within a process', () => {
  it('is shared by count, and unlocks with the last holder', async () => {
    const other = await startOpener()
    const first = acquireDirectory(directory)
    const second = acquireDirectory(join(directory, '.'))
    first.release()
    first.release()
    second.assertHeld()
    expect(() => first.assertHeld()).toThrow(DataDirLockLost)
    expect(await other.ask('acquire')).toBe('DataDirLocked')
    second.release()
    expect(await other.ask('acquire')).toBe('ok')
  })

  it('makes the lock file with mode 0600 and never deletes it', () => {
    acquireDirectory(directory).release()
    const stats = lstatSync(join(directory, 'lock'))
    expect(stats.mode & 0o777).toBe(0o600)
    acquireDirectory(directory).release()
    expect(lstatSync(join(directory, 'lock')).ino).toBe(stats.ino)
  })

  it.runIf(process.platform === 'linux')('gives the descriptor to no child', () => {
    const lock = acquireDirectory(directory)
    const seen = spawnSync('ls', ['-l', '/proc/self/fd'], { encoding: 'utf8' })
    expect(seen.stdout).toContain('/proc/')
    expect(seen.stdout).not.toContain(directory)
    lock.release()
  })

  it('looks without touching: absent, free, held', () => {
    expect(holdIfFree(directory)).toBe('absent')
    expect(holdIfFree(join(directory, 'missing'))).toBe('absent')
    acquireDirectory(directory).release()
    const free = holdIfFree(directory)
    expect(free).toMatchObject({ path: directory })
    expect(holdIfFree(directory)).toBe('held')
    if (typeof free === 'object') free.release()
  })
})

describe('a lock file that cannot be trusted', () => {
  it('is refused when it is a symbolic link', () => {
    writeFileSync(join(directory, 'elsewhere'), '')
    symlinkSync(join(directory, 'elsewhere'), join(directory, 'lock'))
    expect(() => lockByFlock(join(directory, 'lock'))).toThrow(/symbolic link/)
    expect(() => lockBySqlite(join(directory, 'lock'))).toThrow(/symbolic link/)
  })

  it('is refused when it is a directory', () => {
    mkdirSync(join(directory, 'lock'))
    expect(() => acquireDirectory(directory)).toThrow(LockHelperFailed)
  })
})

describe.runIf(process.platform === 'linux')('flock(1)', () => {
  const pathBefore = process.env.PATH

  afterEach(() => {
    process.env.PATH = pathBefore
  })

  function pretend(script: string): void {
    const bin = join(directory, 'bin')
    mkdirSync(bin)
    writeFileSync(join(bin, 'flock'), `#!/bin/sh\n${script}\n`)
    chmodSync(join(bin, 'flock'), 0o755)
    process.env.PATH = bin
  }

  it('is asked for by name when it is missing, and nothing else locks in its place', () => {
    process.env.PATH = join(directory, 'nothing')
    expect(() => acquireDirectory(directory)).toThrow(LockHelperMissing)
  })

  it('is not believed when the file is not locked afterwards', () => {
    pretend('exit 0')
    expect(() => acquireDirectory(directory)).toThrow(/not locked/)
  })

  it('fails with its own status when it cannot lock', () => {
    pretend('exit 71')
    expect(() => acquireDirectory(directory)).toThrow(/status 71/)
  })
})

describe('the lock of other platforms', () => {
  it('holds against another connection, writes nothing and ends with close', () => {
    const path = join(directory, 'lock')
    const first = lockBySqlite(path)
    expect(first?.identity).toMatch(/^\d+:\d+$/)
    expect(lockBySqlite(path)).toBeUndefined()
    first?.close()
    const second = lockBySqlite(path)
    expect(second?.identity).toBe(first?.identity)
    second?.close()
    expect(readFileSync(path)).toHaveLength(0)
    expect(lstatSync(path).mode & 0o777).toBe(0o600)
  })
})
