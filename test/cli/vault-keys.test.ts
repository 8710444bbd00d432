import { createECDH } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Finished, filesBelow, holdfast } from './command.js'

const digits = `${'c0ffee'.padStart(63, '1')}5`
const ecdh = createECDH('secp256k1')
ecdh.setPrivateKey(digits, 'hex')
const publicKey = `0x${ecdh.getPublicKey('hex', 'compressed')}`
let folder = ''
let dataDir = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-keys-'))
  dataDir = join(folder, 'data')
  writeFileSync(join(folder, 'pass'), 'correct horse battery\n')
  writeFileSync(join(folder, 'key'), `0x${digits.toUpperCase()}\n`)
  expect(run('vault', 'init', '--passphrase-file', file('pass')).status).toBe(0)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const file = (name: string): string => join(folder, name)
const said: string[] = []
function run(...args: string[]): Finished {
  const done = holdfast([...args, '--data-dir', dataDir, '--json'])
  said.push(done.stdout, done.stderr)
  return done
}
const add = (label: string, key = file('key')): Finished =>
  run('vault', 'add', '--label', label, '--key-file', key, '--passphrase-file', file('pass'))
const bind = (key: string, label: string, pass = file('pass')): Finished =>
  run('covenant', 'bind', key, '--secret', label, '--passphrase-file', pass)
const codeOf = ({ status, stdout }: Finished): unknown => [status, JSON.parse(stdout).error?.code]

describe('a key in the vault', () => {
  it('is added once, bound to its public key, listed with it, and shown nowhere', () => {
    const added = add('wallet-1')
    expect(JSON.parse(added.stdout)).toEqual({ label: 'wallet-1', publicKey, added: true })
    expect(added.stderr).toContain(`holdfast covenant bind ${publicKey} --secret wallet-1`)
    expect(JSON.parse(add('wallet-1').stdout)).toMatchObject({ added: false })
    const entry = { walletId: '0'.repeat(64), label: 'wallet-1', state: 'final' }
    expect(JSON.parse(run('vault', 'list').stdout)).toEqual({ secrets: [entry] })
    const bound = bind(publicKey.toUpperCase().replace('0X', '0x'), 'wallet-1')
    expect(JSON.parse(bound.stdout)).toEqual({ publicKey, label: 'wallet-1' })
    expect(JSON.parse(run('vault', 'list').stdout)).toEqual({ secrets: [{ ...entry, publicKey }] })
    const everything = said.splice(0).join('\n').toLowerCase()
    expect(everything).not.toContain(digits.toLowerCase())
    expect(JSON.stringify(filesBelow(dataDir))).not.toContain(digits)
  })

  it('is never replaced by another one under the same label', () => {
    add('wallet-1')
    writeFileSync(file('other'), 'ab'.repeat(32))
    const before = filesBelow(dataDir)
    expect(codeOf(add('wallet-1', file('other')))).toEqual([3, 'LabelTaken'])
    expect(filesBelow(dataDir)).toEqual(before)
  })

  it('is not bound to the public key of another one, by a wrong label or a wrong passphrase', () => {
    add('wallet-1')
    const before = filesBelow(dataDir)
    const other = createECDH('secp256k1')
    other.setPrivateKey('ab'.repeat(32), 'hex')
    const stranger = other.getPublicKey('hex', 'compressed')
    expect(codeOf(bind(stranger, 'wallet-1'))).toEqual([3, 'KeyMismatch'])
    expect(codeOf(bind(publicKey, 'wallet-2'))).toEqual([1, 'NoEntry'])
    writeFileSync(file('wrong'), 'another passphrase')
    expect(codeOf(bind(publicKey, 'wallet-1', file('wrong')))).toEqual([3, 'WrongPassphrase'])
    expect(codeOf(bind(`02${'f'.repeat(64)}`, 'wallet-1'))).toEqual([2, 'Usage'])
    expect(filesBelow(dataDir)).toEqual(before)
  })

  it.each([
    ['no digits', 'zz'.repeat(32)],
    ['too few digits', 'ab'.repeat(31)],
    ['zero', '00'.repeat(32)],
    ['the order of the curve', 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141'],
    ['nothing', ''],
  ])('is refused when its file holds %s', (_what, text) => {
    writeFileSync(file('key'), text)
    expect(codeOf(add('wallet-1'))).toEqual([1, 'SecretInputFailed'])
  })
})
