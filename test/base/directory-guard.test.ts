import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  checkDirectory,
  createDirectory,
  DataDirMissing,
  InsecureDataDir,
  InsecureParentDir,
  NotWritable,
  SymlinkRefused,
  UnsupportedFileSystem,
} from '../../src/base/directory-guard.js'

let parent = ''
let directory = ''

beforeEach(() => {
  parent = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-guard-')))
  directory = join(parent, 'data')
  mkdirSync(directory, { mode: 0o700 })
})

afterEach(() => {
  chmodSync(parent, 0o700)
  rmSync(parent, { recursive: true, force: true })
})

describe('checkDirectory', () => {
  it('answers the absolute real path', () => {
    expect(checkDirectory(`${directory}/../data/`)).toBe(directory)
    symlinkSync(parent, join(parent, 'way'))
    expect(checkDirectory(join(parent, 'way', 'data'))).toBe(directory)
  })

  it('refuses a missing directory', () => {
    expect(() => checkDirectory(join(parent, 'none'))).toThrow(DataDirMissing)
  })

  it('refuses a file', () => {
    writeFileSync(join(parent, 'file'), '', { mode: 0o600 })
    expect(() => checkDirectory(join(parent, 'file'))).toThrow(InsecureDataDir)
  })

  it('refuses a symbolic link at the path', () => {
    symlinkSync(directory, join(parent, 'link'))
    expect(() => checkDirectory(join(parent, 'link'))).toThrow(SymlinkRefused)
    expect(() => createDirectory(join(parent, 'link'))).toThrow(SymlinkRefused)
  })

  it('refuses a link that leads nowhere, and does not create through it', () => {
    symlinkSync(join(parent, 'none'), join(parent, 'link'))
    expect(() => createDirectory(join(parent, 'link'))).toThrow(SymlinkRefused)
    expect(existsSync(join(parent, 'none'))).toBe(false)
  })

  it.each(['wallets.db', 'wallets.db-wal', 'lock', 'vault'])(
    'refuses a symbolic link at %s inside',
    (name) => {
      symlinkSync(join(parent, 'none'), join(directory, name))
      expect(() => checkDirectory(directory)).toThrow(SymlinkRefused)
    },
  )

  it.each(['0710', '0750', '0701', '0770', '0777', '1777'])('refuses mode %s', (mode) => {
    chmodSync(directory, Number.parseInt(mode, 8))
    expect(() => checkDirectory(directory)).toThrow(InsecureDataDir)
  })

  it.each(['0500', '0600', '0300'])('refuses mode %s, which its owner cannot use', (mode) => {
    chmodSync(directory, Number.parseInt(mode, 8))
    expect(() => checkDirectory(directory)).toThrow(NotWritable)
  })

  it.runIf(process.geteuid?.() === 0)('refuses the directory of another user', () => {
    chownSync(directory, 12345, 12345)
    expect(() => checkDirectory(directory)).toThrow(InsecureDataDir)
  })

  it.each(['0720', '0702', '0777'])('refuses an ancestor with mode %s', (mode) => {
    const inner = join(directory, 'a')
    mkdirSync(join(inner, 'b'), { recursive: true, mode: 0o700 })
    chmodSync(parent, Number.parseInt(mode, 8))
    expect(() => checkDirectory(join(inner, 'b'))).toThrow(InsecureParentDir)
    expect(() => createDirectory(join(inner, 'new'))).toThrow(InsecureParentDir)
    expect(existsSync(join(inner, 'new'))).toBe(false)
  })

  it('accepts a writable ancestor with the sticky bit', () => {
    chmodSync(parent, 0o1777)
    expect(checkDirectory(directory)).toBe(directory)
  })

  it('refuses network file systems, whatever the sign of their number', () => {
    for (const type of [0x6969, 0xff534d42, -11317950]) {
      const refusal = (): unknown => checkDirectory(directory, { fileSystemType: () => type })
      expect(refusal).toThrow(UnsupportedFileSystem)
    }
    expect(() =>
      checkDirectory(directory, { fileSystemType: () => 0x6969, allowFuse: true }),
    ).toThrow(UnsupportedFileSystem)
    expect(() => createDirectory(join(parent, 'new'), { fileSystemType: () => 0x6969 })).toThrow(
      UnsupportedFileSystem,
    )
    expect(existsSync(join(parent, 'new'))).toBe(false)
  })

  it('accepts FUSE only when the operator says so', () => {
    const fileSystemType = (): number => 0x65735546
    expect(() => checkDirectory(directory, { fileSystemType })).toThrow(UnsupportedFileSystem)
    expect(checkDirectory(directory, { fileSystemType, allowFuse: true })).toBe(directory)
  })
})

describe('createDirectory', () => {
  it('makes it with mode 0700 and may be repeated', () => {
    const path = join(parent, 'new')
    expect(createDirectory(path)).toBe(path)
    expect(lstatSync(path).mode & 0o7777).toBe(0o700)
    expect(createDirectory(path)).toBe(path)
  })

  it('wants the parent to exist', () => {
    expect(() => createDirectory(join(parent, 'a', 'b'))).toThrow(DataDirMissing)
    expect(existsSync(join(parent, 'a'))).toBe(false)
  })

  it('makes the parents of the default location, none of them open to others', () => {
    const path = join(parent, 'a', 'b', 'c')
    expect(createDirectory(path, { parents: true })).toBe(path)
    for (const made of [path, join(parent, 'a', 'b'), join(parent, 'a')]) {
      expect(lstatSync(made).mode & 0o777).toBe(0o700)
    }
  })

  it('repairs no directory that is insecure', () => {
    chmodSync(directory, 0o755)
    expect(() => createDirectory(directory)).toThrow(InsecureDataDir)
    expect(lstatSync(directory).mode & 0o777).toBe(0o755)
  })
})
