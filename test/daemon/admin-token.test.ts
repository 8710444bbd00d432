import { chmodSync, lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openAdminToken } from '../../src/daemon/admin-token.js'
import { folderForTest } from './admin-fixture.js'

const refused = (problem: RegExp): object =>
  expect.objectContaining({ code: 'AdminTokenRefused', message: expect.stringMatching(problem) })

describe('the file of the admin token', () => {
  it('is made once: 32 random bytes as hex, for its owner alone', () => {
    const path = join(folderForTest(), 'admin-token')
    const token = openAdminToken(path)
    expect(token).toMatch(/^[0-9a-f]{64}$/)
    expect(lstatSync(path).mode & 0o777).toBe(0o600)
    const before = lstatSync(path)
    expect(openAdminToken(path)).toBe(token)
    expect(lstatSync(path)).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs })
    expect(readFileSync(path, 'utf8')).toBe(`${token}\n`)
    expect(openAdminToken(join(folderForTest(), 'admin-token'))).not.toBe(token)
  })

  it.each([0o640, 0o604, 0o660, 0o602])('is refused with mode %o, and not changed', (mode) => {
    const path = join(folderForTest(), 'admin-token')
    writeFileSync(path, 'canary-token-of-others\n')
    chmodSync(path, mode)
    expect(() => openAdminToken(path)).toThrow(refused(/lets others in/))
    expect(lstatSync(path).mode & 0o777).toBe(mode)
    expect(readFileSync(path, 'utf8')).toBe('canary-token-of-others\n')
  })

  it.each(['', '\n', 'short', `two\nlines-of-a-token-${'x'.repeat(20)}`, 'ü'.repeat(40)])(
    'is refused when it holds no token: %j',
    (text) => {
      const path = join(folderForTest(), 'admin-token')
      writeFileSync(path, text, { mode: 0o600 })
      expect(() => openAdminToken(path)).toThrow(refused(/holds no token/))
      expect(readFileSync(path, 'utf8')).toBe(text)
    },
  )

  it('is refused where it cannot be made, where it is a folder, and behind a link', () => {
    const folder = folderForTest()
    expect(() => openAdminToken(join(folder, 'none', 'admin-token'))).toThrow(refused(/ENOENT/))
    mkdirSync(join(folder, 'taken'), { mode: 0o700 })
    expect(() => openAdminToken(join(folder, 'taken'))).toThrow(refused(/cannot be made or read/))
    writeFileSync(join(folder, 'real'), 'x'.repeat(40), { mode: 0o600 })
    symlinkSync(join(folder, 'real'), join(folder, 'link'))
    expect(() => openAdminToken(join(folder, 'link'))).toThrow(refused(/lets others in|ELOOP/))
  })
})
