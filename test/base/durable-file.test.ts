import { execFileSync } from 'node:child_process'
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  errnoOf,
  isTemporaryName,
  moveNew,
  readBounded,
  removeFile,
  replaceFile,
  syncFolder,
  writeNew,
} from '../../src/base/durable-file.js'

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-file-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** The errno name of what a call throws. */
function refusalOf(call: () => unknown): string {
  try {
    call()
    return 'none'
  } catch (error) {
    return errnoOf(error) ?? String(error)
  }
}

const some = new TextEncoder().encode('some bytes')
const other = new TextEncoder().encode('other')

describe('writeNew and readBounded', () => {
  it('keep any bytes, in a file for the owner only', () => {
    const path = join(folder(), 'file')
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000 }), (bytes) => {
        writeNew(path, bytes)
        expect(statSync(path).mode & 0o777).toBe(0o600)
        expect(readBounded(path, 5000)).toEqual(bytes)
        removeFile(path)
      }),
      { numRuns: 20 },
    )
  })

  it('refuse a name that is taken, also by a dangling symlink, and leave it alone', () => {
    const dir = folder()
    writeNew(join(dir, 'file'), some)
    symlinkSync(join(dir, 'target'), join(dir, 'link'))
    expect(refusalOf(() => writeNew(join(dir, 'file'), other))).toBe('EEXIST')
    expect(refusalOf(() => writeNew(join(dir, 'link'), other))).toBe('EEXIST')
    expect(readBounded(join(dir, 'file'), 100)).toEqual(some)
    expect(readdirSync(dir).sort()).toEqual(['file', 'link'])
  })

  it('read a file of exactly the bound and none above it', () => {
    const path = join(folder(), 'file')
    writeNew(path, some)
    expect(readBounded(path, some.length)).toEqual(some)
    expect(refusalOf(() => readBounded(path, some.length - 1))).toBe('EFBIG')
  })

  it('refuse to read a symlink, a folder or a named pipe, without waiting', () => {
    const dir = folder()
    writeNew(join(dir, 'file'), some)
    symlinkSync(join(dir, 'file'), join(dir, 'link'))
    mkdirSync(join(dir, 'folder'))
    execFileSync('mkfifo', [join(dir, 'pipe')])
    expect(refusalOf(() => readBounded(join(dir, 'link'), 100))).toBe('ELOOP')
    expect(refusalOf(() => readBounded(join(dir, 'folder'), 100))).toBe('EINVAL')
    expect(refusalOf(() => readBounded(join(dir, 'pipe'), 100))).toBe('EINVAL')
    expect(refusalOf(() => readBounded(join(dir, 'none'), 100))).toBe('ENOENT')
  })
})

describe('a write that the system cuts short', () => {
  // A file size limit: the first write comes back short, the next one fails.
  const run = (how: string, path: string): string =>
    execFileSync(
      'sh',
      [
        '-c',
        'ulimit -f 8; exec "$@"',
        'sh',
        process.execPath,
        '--import',
        'tsx',
        fileURLToPath(new URL('durable-file-child.ts', import.meta.url)),
        how,
        path,
        '20000',
      ],
      { encoding: 'utf8', env: { ...process.env, TSX_DISABLE_CACHE: '1' } },
    )

  it('leaves nothing of a new file', () => {
    const dir = folder()
    expect(run('writeNew', join(dir, 'file'))).toBe('EFBIG')
    expect(readdirSync(dir)).toEqual([])
  })

  it('leaves the old file when it was to be replaced', () => {
    const dir = folder()
    writeNew(join(dir, 'file'), some)
    expect(run('replaceFile', join(dir, 'file'))).toBe('EFBIG')
    expect(readdirSync(dir)).toEqual(['file'])
    expect(readBounded(join(dir, 'file'), 100)).toEqual(some)
  })
})

describe('replaceFile', () => {
  it('puts new bytes under the name and leaves nothing else', () => {
    const dir = folder()
    const path = join(dir, 'file')
    replaceFile(path, some)
    replaceFile(path, other)
    expect(readBounded(path, 100)).toEqual(other)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readdirSync(dir)).toEqual(['file'])
  })

  it('makes a new file instead of writing into the old one', () => {
    const dir = folder()
    writeNew(join(dir, 'file'), some)
    linkSync(join(dir, 'file'), join(dir, 'old'))
    replaceFile(join(dir, 'file'), other)
    expect(readBounded(join(dir, 'old'), 100)).toEqual(some)
  })

  it('removes its temporary file when the name cannot be taken', () => {
    const dir = folder()
    mkdirSync(join(dir, 'file'))
    expect(refusalOf(() => replaceFile(join(dir, 'file'), some))).toBe('EISDIR')
    expect(readdirSync(dir)).toEqual(['file'])
  })

  it('has temporary names that can be told from others', () => {
    expect(isTemporaryName('.holdfast-0123456789abcdef.tmp')).toBe(true)
    for (const name of ['file', '.holdfast-0123.tmp', 'x.holdfast-0123456789abcdef.tmp', '.tmp']) {
      expect(isTemporaryName(name)).toBe(false)
    }
  })
})

describe('moveNew and removeFile', () => {
  it('move onto a free name only', () => {
    const dir = folder()
    const [from, to] = [join(dir, 'from'), join(dir, 'to')]
    writeNew(from, some)
    writeNew(to, other)
    expect(refusalOf(() => moveNew(from, to))).toBe('EEXIST')
    expect([readFileSync(from), readFileSync(to)]).toEqual([Buffer.from(some), Buffer.from(other)])
    removeFile(to)
    moveNew(from, to)
    expect(existsSync(from)).toBe(false)
    expect(readBounded(to, 100)).toEqual(some)
    expect(refusalOf(() => moveNew(from, join(dir, 'third')))).toBe('ENOENT')
  })

  it('take a dangling symlink for a taken name', () => {
    const dir = folder()
    writeNew(join(dir, 'from'), some)
    symlinkSync(join(dir, 'nowhere'), join(dir, 'to'))
    expect(refusalOf(() => moveNew(join(dir, 'from'), join(dir, 'to')))).toBe('EEXIST')
  })

  it('remove twice without complaint, but not in a folder that is gone', () => {
    const dir = folder()
    writeFileSync(join(dir, 'file'), some)
    removeFile(join(dir, 'file'))
    removeFile(join(dir, 'file'))
    expect(readdirSync(dir)).toEqual([])
    expect(refusalOf(() => removeFile(join(dir, 'gone', 'file')))).toBe('ENOENT')
    expect(refusalOf(() => syncFolder(join(dir, 'gone')))).toBe('ENOENT')
  })
})

it('takes no error for one of the system unless it came from a call', () => {
  expect(errnoOf(Object.assign(new Error('x'), { code: 'ERR_INVALID_ARG_TYPE' }))).toBeUndefined()
  expect(errnoOf('ENOENT')).toBeUndefined()
})
