import { describe, expect, it } from 'vitest'
import { StoreFailed } from '../../../src/base/persistence.js'
import { classify, kindOfCode, primaryCodeOf } from '../../../src/store/sqlite/classify.js'

const withCode = (code: string): Error => Object.assign(new Error(code), { code })
const transient = ['BUSY', 'LOCKED', 'NOMEM', 'IOERR', 'FULL'].map((name) => `SQLITE_${name}`)

describe('the kind of a storage error', () => {
  for (const code of Object.keys(kindOfCode)) {
    const kind = transient.includes(code)
      ? 'transient'
      : code === 'SQLITE_CONSTRAINT'
        ? 'constraint'
        : 'fatal'
    it(`is ${kind} for ${code} and its extended codes`, () => {
      expect(classify(withCode(code))).toBe(kind)
      expect(classify(withCode(`${code}_SOMETHING_MORE`))).toBe(kind)
      expect(primaryCodeOf(withCode(`${code}_SOMETHING_MORE`))).toBe(code)
    })
  }

  it('knows every primary code of SQLite', () => {
    expect(Object.keys(kindOfCode)).toHaveLength(31)
  })

  it('is fatal for a code that does not exist and for what is no error', () => {
    expect(classify(withCode('SQLITE_SURPRISE'))).toBe('fatal')
    expect(classify(new Error('no code'))).toBe('fatal')
    expect(classify('text')).toBe('fatal')
    expect(classify(undefined)).toBe('fatal')
    expect(classify({ code: 5 })).toBe('fatal')
  })

  it('is what the error itself says when it says so', () => {
    expect(classify(new StoreFailed('x', 'persisterClosed'))).toBe('persisterClosed')
    expect(classify(Object.assign(withCode('SQLITE_BUSY'), { kind: 'fatal' }))).toBe('fatal')
    expect(classify(Object.assign(withCode('SQLITE_BUSY'), { kind: 'other' }))).toBe('transient')
  })

  it('is transient for a full disk or an I/O error of a file beside the database', () => {
    const errno = (code: string): Error => Object.assign(withCode(code), { syscall: 'write' })
    expect(classify(errno('ENOSPC'))).toBe('transient')
    expect(classify(errno('EIO'))).toBe('transient')
    expect(classify(errno('EACCES'))).toBe('fatal')
  })
})
