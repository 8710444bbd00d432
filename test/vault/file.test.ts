import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { noWallet } from '../../src/base/ids.js'
import { secretBytesMax } from '../../src/base/limits.js'
import { createFileVault, findFileVault, openFileVault } from '../../src/vault/file.js'
import { kdfFloor } from '../../src/vault/kdf.js'
import {
  bytes,
  dataDir,
  fileOf,
  freshVault,
  newAttempt,
  passphrase,
  seedOfA,
  snapshot,
  walletA,
  walletB,
} from './fixture.js'

const code = (name: string) => expect.objectContaining({ code: name })

describe('creating', () => {
  it('makes a private folder with a private header', async () => {
    const { folder } = await freshVault()
    expect(statSync(folder).mode & 0o777).toBe(0o700)
    expect(readdirSync(folder)).toEqual(['header'])
    expect(statSync(join(folder, 'header')).mode & 0o777).toBe(0o600)
  })

  it('refuses where a vault is, also one that has lost its header', async () => {
    const { dir, folder, vault } = await freshVault()
    await expect(createFileVault(dir, passphrase, { kdf: kdfFloor })).rejects.toEqual(
      code('VaultExists'),
    )
    await vault.put(seedOfA, bytes('secret'))
    rmSync(join(folder, 'header'))
    const before = snapshot(folder)
    await expect(createFileVault(dir, passphrase, { kdf: kdfFloor })).rejects.toEqual(
      code('VaultExists'),
    )
    expect(snapshot(folder)).toEqual(before)
  })

  it('lets one of two concurrent calls win, and the winner can be opened', async () => {
    const dir = dataDir()
    const other = bytes('another passphrase')
    const made = await Promise.allSettled([
      createFileVault(dir, passphrase, { kdf: kdfFloor }),
      createFileVault(dir, other, { kdf: kdfFloor }),
    ])
    expect(made.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    const winner = made[0].status === 'fulfilled' ? passphrase : other
    expect((await openFileVault(dir, winner)).locked).toBe(false)
  })

  it('goes on where a killed creation left an empty folder and a temporary file', async () => {
    const dir = dataDir()
    const folder = join(dir, 'vault')
    mkdirSync(folder)
    writeFileSync(join(folder, '.holdfast-0123456789abcdef.tmp'), 'half')
    await expect(openFileVault(dir, passphrase)).rejects.toEqual(code('VaultMissing'))
    const vault = await createFileVault(dir, passphrase, { kdf: kdfFloor })
    await vault.put(seedOfA, bytes('secret'))
    expect(readdirSync(folder).sort()).toEqual([`${walletA}.seed`, 'header'])
  })

  it('refuses costs outside the bounds before it derives anything', async () => {
    const dir = dataDir()
    const costs = [
      { ...kdfFloor, memoryKib: kdfFloor.memoryKib - 1 },
      { ...kdfFloor, memoryKib: 1_048_577 },
      { ...kdfFloor, iterations: 1 },
      { ...kdfFloor, iterations: 17 },
      { ...kdfFloor, parallelism: 0 },
      { ...kdfFloor, iterations: 2.5 },
    ]
    for (const kdf of costs) {
      await expect(createFileVault(dir, passphrase, { kdf })).rejects.toThrow(RangeError)
    }
    expect(readdirSync(dir)).toEqual([])
  })

  it('leaves nothing behind when the header cannot be written', async () => {
    const dir = join(dataDir(), 'missing')
    await expect(createFileVault(dir, passphrase, { kdf: kdfFloor })).rejects.toEqual(
      expect.objectContaining({ code: 'VaultIoFailed', kind: 'fatal', errno: 'ENOENT' }),
    )
  })
})

describe('passphrases', () => {
  it('tells a wrong passphrase from one that is too short or too long', async () => {
    const { dir } = await freshVault()
    const open = (length: number) => openFileVault(dir, new Uint8Array(length).fill(0x61))
    await expect(open(7)).rejects.toEqual(code('PassphraseLength'))
    await expect(open(8)).rejects.toEqual(code('WrongPassphrase'))
    await expect(open(4080)).rejects.toEqual(code('WrongPassphrase'))
    await expect(open(4081)).rejects.toEqual(code('PassphraseLength'))
  })

  it('does not count ASCII white space around a passphrase, but does inside', async () => {
    const { dir } = await freshVault()
    const vault = await openFileVault(dir, bytes('\r\n\t correct horse battery \v\f\n'))
    expect(vault.locked).toBe(false)
    await expect(openFileVault(dir, bytes('correct  horse battery'))).rejects.toEqual(
      code('WrongPassphrase'),
    )
    await expect(openFileVault(dir, bytes('   eight888   '))).rejects.toEqual(
      code('WrongPassphrase'),
    )
    await expect(openFileVault(dir, bytes('   seven77   '))).rejects.toEqual(
      code('PassphraseLength'),
    )
  })

  it('says when there is no vault at all', async () => {
    const dir = dataDir()
    await expect(openFileVault(dir, passphrase)).rejects.toEqual(code('VaultMissing'))
    await expect(openFileVault(dir, undefined)).rejects.toEqual(code('VaultMissing'))
    await expect(findFileVault(dir, passphrase)).rejects.toEqual(code('VaultMissing'))
    expect(await findFileVault(dir, undefined)).toBeUndefined()
    expect(readdirSync(dir)).toEqual([])
  })
})

describe('entries', () => {
  it('round-trips, overwrites, removes twice, and answers undefined for what is not there', async () => {
    const { dir, vault } = await freshVault()
    await vault.put(seedOfA, bytes('first'))
    await vault.put(seedOfA, bytes('second'))
    const again = await openFileVault(dir, passphrase)
    expect(await again.read(seedOfA)).toEqual(bytes('second'))
    expect(await again.read({ walletId: walletB, label: 'seed' })).toBeUndefined()
    await again.remove(seedOfA)
    await again.remove(seedOfA)
    expect(await again.read(seedOfA)).toBeUndefined()
    expect(await again.list()).toEqual([])
  })

  it('keeps empty secrets and the largest ones, and refuses a larger one without a trace', async () => {
    const { folder, vault } = await freshVault()
    const largest = new Uint8Array(secretBytesMax - 6).fill(7)
    const empty = { walletId: noWallet, label: 'empty' }
    await vault.put(empty, new Uint8Array())
    await vault.put(seedOfA, largest)
    expect(await vault.read(empty)).toEqual(new Uint8Array())
    expect(await vault.read(seedOfA)).toEqual(largest)
    const before = snapshot(folder)
    await expect(vault.put(seedOfA, new Uint8Array(secretBytesMax))).rejects.toEqual(
      code('SecretTooLarge'),
    )
    await expect(vault.put(seedOfA, new Uint8Array(1 << 20))).rejects.toEqual(
      code('SecretTooLarge'),
    )
    expect(snapshot(folder)).toEqual(before)
  })

  it('lists by name in order, with state and tag, and counts foreign files without touching them', async () => {
    const { folder, vault } = await freshVault()
    const { attempt, tag } = newAttempt()
    await vault.put({ walletId: walletB, label: 'seed' }, bytes('b'))
    await vault.stage(seedOfA, bytes('a'), attempt)
    writeFileSync(join(folder, 'notes.txt'), 'mine')
    writeFileSync(join(folder, `${walletA}.SEED`), 'mine')
    expect(await vault.list()).toEqual([
      { walletId: walletA, label: 'seed', state: 'staged', attemptTag: tag },
      { walletId: walletB, label: 'seed', state: 'final', attemptTag: undefined },
    ])
    expect(await vault.countForeignFiles()).toBe(2)
    expect(readFileSync(join(folder, 'notes.txt'), 'utf8')).toBe('mine')
  })

  it('refuses labels that could not be told from states, or leave the folder', async () => {
    const { folder, vault } = await freshVault()
    const labels = [
      '',
      '.seed',
      'Seed',
      '../seed',
      'a/b',
      'a.staged-b',
      'a.previous-',
      'x'.repeat(41),
    ]
    for (const label of labels) {
      await expect(vault.put({ walletId: walletA, label }, bytes('s'))).rejects.toEqual(
        code('LabelInvalid'),
      )
    }
    expect(readdirSync(folder)).toEqual(['header'])
  })

  it('calls an entry that was moved to another wallet or label corrupt', async () => {
    const { folder, vault } = await freshVault()
    await vault.put(seedOfA, bytes('secret of a'))
    const elsewhere = [
      { walletId: walletB, label: 'seed' },
      { walletId: walletA, label: 'seed2' },
    ]
    for (const ref of elsewhere) {
      copyFileSync(fileOf(folder, seedOfA), fileOf(folder, ref))
      await expect(vault.read(ref)).rejects.toEqual(code('Corruption'))
    }
    expect(await vault.read(seedOfA)).toEqual(bytes('secret of a'))
  })

  it('calls an entry of another vault corrupt, although its own copy of the header is whole', async () => {
    const one = await freshVault()
    const other = await freshVault()
    await other.vault.put(seedOfA, bytes('secret'))
    copyFileSync(fileOf(other.folder, seedOfA), fileOf(one.folder, seedOfA))
    await expect(one.vault.read(seedOfA)).rejects.toEqual(code('Corruption'))
  })

  it('names a file that is cut short, and reads its neighbour', async () => {
    const { folder, vault } = await freshVault()
    const neighbour = { walletId: walletB, label: 'seed' }
    await vault.put(seedOfA, bytes('secret'))
    await vault.put(neighbour, bytes('other'))
    writeFileSync(fileOf(folder, seedOfA), readFileSync(fileOf(folder, seedOfA)).subarray(0, 100))
    await expect(vault.read(seedOfA)).rejects.toMatchObject({
      code: 'MalformedVault',
      message: expect.stringContaining(walletA),
    })
    expect(await vault.read(neighbour)).toEqual(bytes('other'))
  })

  it('refuses a symlink in place of an entry, a header or the folder', async () => {
    const { dir, folder, vault } = await freshVault()
    await vault.put(seedOfA, bytes('secret'))
    const moved = join(dir, 'elsewhere')
    renameSync(fileOf(folder, seedOfA), moved)
    symlinkSync(moved, fileOf(folder, seedOfA))
    await expect(vault.read(seedOfA)).rejects.toMatchObject({
      code: 'VaultIoFailed',
      errno: 'ELOOP',
    })
    renameSync(join(folder, 'header'), `${moved}-header`)
    symlinkSync(`${moved}-header`, join(folder, 'header'))
    await expect(openFileVault(dir, passphrase)).rejects.toEqual(code('VaultIoFailed'))
    renameSync(folder, `${moved}-folder`)
    symlinkSync(`${moved}-folder`, folder)
    await expect(openFileVault(dir, passphrase)).rejects.toEqual(code('MalformedVault'))
  })

  it('refuses an oversized file without reading it', async () => {
    const { folder, vault } = await freshVault()
    writeFileSync(fileOf(folder, seedOfA), new Uint8Array(70_000))
    await expect(vault.read(seedOfA)).rejects.toMatchObject({
      code: 'VaultIoFailed',
      errno: 'EFBIG',
    })
  })

  it('reports a file system that refuses, and leaves the folder as it was', async () => {
    const { folder, vault } = await freshVault()
    mkdirSync(fileOf(folder, seedOfA))
    await expect(vault.put(seedOfA, bytes('secret'))).rejects.toMatchObject({
      code: 'VaultIoFailed',
      kind: 'fatal',
      retry: 'after-fix',
    })
    expect(readdirSync(folder).sort()).toEqual([`${walletA}.seed`, 'header'])
  })

  it('says that the folder is gone instead of listing nothing', async () => {
    const { folder, vault } = await freshVault()
    rmSync(folder, { recursive: true })
    await expect(vault.list()).rejects.toEqual(code('VaultMissing'))
    await expect(vault.remove(seedOfA)).rejects.toEqual(code('VaultIoFailed'))
    await expect(vault.put(seedOfA, bytes('s'))).rejects.toEqual(code('VaultMissing'))
  })
})

describe('staging', () => {
  it('writes a private file under the staged name only', async () => {
    const { folder, vault } = await freshVault()
    const { attempt, tag } = newAttempt()
    await vault.stage(seedOfA, bytes('secret'), attempt)
    expect(readdirSync(folder).sort()).toEqual([`${walletA}.seed.staged-${tag}`, 'header'])
    expect(statSync(fileOf(folder, seedOfA, `.staged-${tag}`)).mode & 0o777).toBe(0o600)
    expect(await vault.read(seedOfA)).toBeUndefined()
  })

  it('discards its own attempt only, and twice without complaint', async () => {
    const { vault } = await freshVault()
    const one = newAttempt()
    const other = newAttempt()
    await vault.stage(seedOfA, bytes('one'), one.attempt)
    await vault.stage(seedOfA, bytes('other'), other.attempt)
    await vault.discardStaged(seedOfA, one.tag)
    await vault.discardStaged(seedOfA, one.tag)
    expect((await vault.list()).map(({ attemptTag }) => attemptTag)).toEqual([other.tag])
  })

  it('never overwrites a staged secret', async () => {
    const { folder, vault } = await freshVault()
    const { attempt } = newAttempt()
    await vault.stage(seedOfA, bytes('one'), attempt)
    const before = snapshot(folder)
    await expect(vault.stage(seedOfA, bytes('two'), attempt)).rejects.toEqual(code('VaultIoFailed'))
    expect(snapshot(folder)).toEqual(before)
  })
})

describe('a locked vault', () => {
  it('lists, finalises, discards and removes by name, and refuses what needs the key', async () => {
    const { dir, vault } = await freshVault()
    const one = newAttempt()
    const other = newAttempt()
    await vault.stage(seedOfA, bytes('one'), one.attempt)
    await vault.stage(seedOfA, bytes('other'), other.attempt)
    const locked = await openFileVault(dir, undefined)
    expect(locked.locked).toBe(true)
    await expect(locked.read(seedOfA)).rejects.toEqual(code('VaultLocked'))
    await expect(locked.put(seedOfA, bytes('x'))).rejects.toEqual(code('VaultLocked'))
    await expect(locked.stage(seedOfA, bytes('x'), newAttempt().attempt)).rejects.toEqual(
      code('VaultLocked'),
    )
    await expect(locked.reprotect(seedOfA, undefined, undefined)).rejects.toEqual(
      code('VaultLocked'),
    )
    expect(await locked.finalise(seedOfA, one.tag)).toBe('moved')
    await locked.discardStaged(seedOfA, other.tag)
    expect((await locked.list()).map(({ state }) => state)).toEqual(['final'])
    expect(await vault.read(seedOfA)).toEqual(bytes('one'))
    await locked.remove(seedOfA)
    expect(await locked.list()).toEqual([])
  })

  it('is what a closed vault becomes, also for a call that is still deriving', async () => {
    const { vault } = await freshVault()
    const writing = vault.put(seedOfA, bytes('secret'), bytes('object password'))
    vault.close()
    await expect(writing).rejects.toEqual(code('VaultLocked'))
    await expect(vault.read(seedOfA)).rejects.toEqual(code('VaultLocked'))
    expect(await vault.list()).toEqual([])
  })
})

describe('the header and its copies', () => {
  it('opens by a copy when the header is missing, says so, and heals it with the next write', async () => {
    const { dir, folder, vault } = await freshVault()
    await vault.put(seedOfA, bytes('secret'))
    const header = readFileSync(join(folder, 'header'))
    rmSync(join(folder, 'header'))
    const before = snapshot(folder)
    const reopened = await openFileVault(dir, passphrase)
    expect(reopened.warnings).toEqual(['headerMissing'])
    expect(await reopened.read(seedOfA)).toEqual(bytes('secret'))
    expect(snapshot(folder)).toEqual(before)
    await reopened.put({ walletId: walletB, label: 'seed' }, bytes('more'))
    expect(readFileSync(join(folder, 'header'))).toEqual(header)
    expect((await openFileVault(dir, passphrase)).warnings).toEqual([])
  })

  it('opens by a copy when a digit of the header changed, and still knows a wrong passphrase', async () => {
    const { dir, folder, vault } = await freshVault()
    await vault.put(seedOfA, bytes('secret'))
    const header = readFileSync(join(folder, 'header'), 'utf8')
    const salted = header.replace(
      /"salt":"(.)/,
      (_, digit) => `"salt":"${digit === '0' ? '1' : '0'}`,
    )
    expect(salted).not.toBe(header)
    writeFileSync(join(folder, 'header'), salted)
    const reopened = await openFileVault(dir, passphrase)
    expect(reopened.warnings).toEqual(['headerDamaged'])
    expect(await reopened.read(seedOfA)).toEqual(bytes('secret'))
    await expect(openFileVault(dir, bytes('wrong passphrase'))).rejects.toEqual(
      code('WrongPassphrase'),
    )
  })

  it('names a damaged header when no copy can serve', async () => {
    const { dir, folder, vault } = await freshVault()
    writeFileSync(join(folder, 'header'), '{"version":1')
    await expect(openFileVault(dir, passphrase)).rejects.toEqual(code('MalformedVault'))
    await vault.put(seedOfA, bytes('secret'))
    rmSync(join(folder, 'header'))
    writeFileSync(fileOf(folder, seedOfA), 'torn')
    await expect(openFileVault(dir, passphrase)).rejects.toEqual(code('MalformedVault'))
    expect((await openFileVault(dir, undefined)).warnings).toEqual(['headerMissing'])
  })

  it('refuses a newer format, locked or not', async () => {
    const { dir, folder, vault } = await freshVault()
    await vault.put(seedOfA, bytes('secret'))
    const newer = { version: 2, anything: ['else'] }
    writeFileSync(join(folder, 'header'), JSON.stringify(newer))
    await expect(openFileVault(dir, passphrase)).rejects.toEqual(code('VersionUnsupported'))
    await expect(openFileVault(dir, undefined)).rejects.toEqual(code('VersionUnsupported'))
  })

  it('does not depend on the mode of the header it reads', async () => {
    const { dir, folder } = await freshVault()
    chmodSync(join(folder, 'header'), 0o400)
    expect((await openFileVault(dir, passphrase)).locked).toBe(false)
  })
})
