import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { acquireDirectory } from '../../src/base/directory-lock.js'
import { newAttemptId, noWallet, parseWalletId } from '../../src/base/ids.js'
import { type Diagnosis, doctor } from '../../src/datadir/doctor.js'
import { openHoldfast } from '../../src/holdfast.js'
import { openSqliteWalletStore } from '../../src/store/sqlite/index.js'
import { secretFileName } from '../../src/vault/secret-name.js'

const seed = new Uint8Array(64).fill(7)
let parent = ''
let directory = ''

beforeEach(() => {
  parent = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-doctor-test-')))
  directory = join(parent, 'data')
})

afterEach(() => {
  rmSync(parent, { recursive: true, force: true })
})

async function makeWallet(): Promise<string> {
  const holdfast = await openHoldfast({ dataDir: directory })
  const { id } = await holdfast.wallets.createFromSeedBytes({ seed, network: 'testnet' })
  await holdfast.close()
  return id
}

function check(diagnosis: Diagnosis, name: string): { ok: boolean; detail: string } {
  const found = diagnosis.checks.find((it) => it.name === name)
  if (found === undefined) throw new Error(`no check is called ${name}`)
  return found
}

function fingerprint(path: string): Record<string, string> {
  const files: Record<string, string> = {}
  for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) {
    const at = join(entry.parentPath, entry.name)
    const { mode, mtimeMs } = lstatSync(at)
    const hash = entry.isFile() ? createHash('sha256').update(readFileSync(at)).digest('hex') : ''
    files[at] = `${mode} ${mtimeMs} ${hash}`
  }
  return files
}

describe('doctor', () => {
  it('finds a healthy directory healthy and changes no byte of it', async () => {
    await makeWallet()
    const before = fingerprint(directory)
    const diagnosis = await doctor(directory)
    expect(diagnosis.checks.filter(({ ok }) => !ok)).toEqual([])
    expect(diagnosis.ok).toBe(true)
    expect(check(diagnosis, 'lock').detail).toBe('free')
    expect(check(diagnosis, 'wallets').detail).toBe('1 whole')
    expect(fingerprint(directory)).toEqual(before)
  })

  it('names a missing directory and does not make it', async () => {
    const diagnosis = await doctor(directory)
    expect(diagnosis.ok).toBe(false)
    expect(check(diagnosis, 'directory').detail).toMatch(/^DataDirMissing/)
    expect(existsSync(directory)).toBe(false)
  })

  it('makes nothing in an empty directory', async () => {
    mkdirSync(directory, { mode: 0o700 })
    const diagnosis = await doctor(directory)
    expect(diagnosis.ok).toBe(true)
    expect(check(diagnosis, 'lock').detail).toBe('never locked')
    expect(readdirSync(directory)).toEqual([])
  })

  it('names files that others may read and links that should be files', async () => {
    await makeWallet()
    chmodSync(join(directory, 'wallets.db'), 0o644)
    symlinkSync(join(parent, 'elsewhere'), join(directory, 'admin-token'))
    const diagnosis = await doctor(directory)
    expect(check(diagnosis, 'permissions').ok).toBe(false)
    expect(check(diagnosis, 'permissions').detail).toContain('wallets.db: mode 0644')
    expect(check(diagnosis, 'permissions').detail).toContain('admin-token: is a symbolic link')
    expect(check(diagnosis, 'directory').detail).toMatch(/^SymlinkRefused/)
  })

  it('names a network file system', async () => {
    mkdirSync(directory, { mode: 0o700 })
    const diagnosis = await doctor(directory, { fileSystemType: () => 0x6969 })
    expect(check(diagnosis, 'fileSystem')).toMatchObject({ ok: false })
    expect(check(diagnosis, 'fileSystem').detail).toContain('nfs')
  })

  it('leaves the database alone while somebody holds the directory', async () => {
    await makeWallet()
    const lock = acquireDirectory(directory)
    const diagnosis = await doctor(directory)
    expect(check(diagnosis, 'lock').detail).toMatch(/^held/)
    expect(diagnosis.checks.some(({ name }) => name === 'wallets')).toBe(false)
    lock.assertHeld()
    lock.release()
  })

  it('sees a database that is no database', async () => {
    await makeWallet()
    writeFileSync(join(directory, 'wallets.db'), 'not a database at all, far from it'.repeat(200))
    const diagnosis = await doctor(directory)
    expect(diagnosis.ok).toBe(false)
    expect(check(diagnosis, 'wallets').ok).toBe(false)
  })

  it('sees wallets that vanished from the database', async () => {
    const id = await makeWallet()
    rmSync(join(directory, 'wallets.db'))
    const diagnosis = await doctor(directory)
    expect(check(diagnosis, 'inventory')).toMatchObject({ ok: false })
    expect(check(diagnosis, 'inventory').detail).toContain(id)
    expect(existsSync(join(directory, 'wallets.db'))).toBe(false)
  })

  it('tells of registrations that a stopped process left, and leaves them there', async () => {
    const id = parseWalletId('ab'.repeat(32))
    const attempt = newAttemptId()
    mkdirSync(directory, { mode: 0o700 })
    acquireDirectory(directory).release()
    const store = await openSqliteWalletStore(directory)
    await store.reserve({ walletId: id, attempt, secretLabel: 'seed', createdAtMs: 1 })
    await store.close()
    mkdirSync(join(directory, 'vault'), { mode: 0o700 })
    const name = secretFileName({ walletId: id, label: 'seed' }, 'staged', attempt.slice(0, 16))
    writeFileSync(join(directory, 'vault', name), 'ciphertext', { mode: 0o600 })
    for (const diagnosis of [await doctor(directory), await doctor(directory)]) {
      expect(check(diagnosis, 'pending').detail).toMatch(/^1 left/)
      expect(check(diagnosis, 'stagedSecrets').detail).toMatch(/^1 staged/)
      expect(diagnosis.ok).toBe(true)
    }
  })

  it('names a staged secret that belongs to no registration', async () => {
    await makeWallet()
    mkdirSync(join(directory, 'vault'), { mode: 0o700 })
    const ref = { walletId: noWallet, label: 'only-copy' }
    const name = secretFileName(ref, 'staged', '0123456789abcdef')
    writeFileSync(join(directory, 'vault', name), 'ciphertext', { mode: 0o600 })
    const diagnosis = await doctor(directory)
    expect(diagnosis.ok).toBe(false)
    expect(check(diagnosis, 'stagedSecrets').detail).toContain('only-copy')
  })
})
