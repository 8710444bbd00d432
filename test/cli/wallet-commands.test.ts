import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
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
import { deriveWallet } from '../../src/wallet/derive.js'
import { type Finished, filesBelow, holdfast, program, words } from './command.js'

let parent = ''
let dataDir = ''
let wordsFile = ''

beforeEach(() => {
  parent = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-cli-')))
  dataDir = join(parent, 'data')
  wordsFile = join(parent, 'words')
  writeFileSync(wordsFile, `${words}\n`, { mode: 0o600 })
})

afterEach(() => {
  chmodSync(parent, 0o700)
  rmSync(parent, { recursive: true, force: true })
})

const create = (...more: string[]): Finished =>
  holdfast(['wallet', 'create', '--network', 'testnet', '--data-dir', dataDir, '--json', ...more])

const made = (): string => {
  const done = create('--words-file', wordsFile)
  expect(done.stderr).toBe('')
  expect(done.status).toBe(0)
  return String(JSON.parse(done.stdout).walletId)
}

function expectFailure(done: Finished, status: number, code: string): void {
  const cause = code === 'Aborted' ? { cause: expect.stringMatching(/./) } : {}
  expect(JSON.parse(done.stdout)).toEqual({
    error: {
      code,
      message: expect.stringMatching(/./),
      retry: expect.stringMatching(/^(safe|after-fix|never)$/),
      remedy: expect.stringMatching(/./),
      ...cause,
    },
  })
  expect(done.status).toBe(status)
}

function writePassphrase(text: string): string {
  const path = join(parent, 'passphrase')
  writeFileSync(path, text, { mode: 0o600 })
  return path
}

describe('wallet create', () => {
  it('registers a wallet and prints one JSON document, as derive does without writing', () => {
    const derive = ['wallet', 'derive', '--network', 'testnet', '--words-file', '-', '--json']
    const derived = JSON.parse(holdfast(derive, words).stdout)
    expect(existsSync(dataDir)).toBe(false)
    const done = create('--words-file', wordsFile)
    const wallet = JSON.parse(done.stdout)
    expect(wallet).toEqual({ ...derived, generation: expect.stringMatching(/^[0-9a-f]{32}$/) })
    expect(wallet.walletId).toBe(deriveWallet({ phrase: words, network: 'testnet' }).walletId)
    expect(Object.keys(wallet.accounts[0])).toEqual(['type', 'path', 'xpub'])
    expect(lstatSync(dataDir).mode & 0o777).toBe(0o700)
  })

  it('takes words from a descriptor', () => {
    const descriptor = openSync(wordsFile, 'r')
    const args = ['wallet', 'derive', '--network', 'regtest', '--words-file', 'fd:3', '--json']
    const { stdout } = spawnSync(process.execPath, [...program, ...args], {
      stdio: ['ignore', 'pipe', 'inherit', descriptor],
      encoding: 'utf8',
      timeout: 30_000,
    })
    closeSync(descriptor)
    const { walletId } = deriveWallet({ phrase: words, network: 'regtest' })
    expect(JSON.parse(stdout).walletId).toBe(walletId)
    expectFailure(holdfast(args), 1, 'SecretInputFailed')
  })

  it('writes new words to a file of its own, which make the same wallet again', () => {
    const out = join(parent, 'new-words')
    const done = create('--words-out', out)
    expect(done.status).toBe(0)
    expect(lstatSync(out).mode & 0o777).toBe(0o600)
    const phrase = readFileSync(out, 'utf8').trim()
    expect(phrase.split(' ')).toHaveLength(24)
    const { walletId } = deriveWallet({ phrase, network: 'testnet' })
    expect(JSON.parse(done.stdout).walletId).toBe(walletId)
    expect(done.stdout + done.stderr).not.toContain(phrase.split(' ').slice(0, 2).join(' '))
  })

  it('overwrites no file with new words', () => {
    expectFailure(create('--words-out', wordsFile), 3, 'WordsFileExists')
    expect(readFileSync(wordsFile, 'utf8')).toBe(`${words}\n`)
  })

  it('puts no words into the data directory', () => {
    expectFailure(create('--words-out', join(dataDir, 'words')), 2, 'Usage')
    expect(existsSync(join(dataDir, 'words'))).toBe(false)
  })

  it('removes the new words again when a person stops the registration', () => {
    made()
    const out = join(parent, 'new-words')
    const before = filesBelow(parent)
    const interrupt = `process.on('newListener', (name) => {
      if (name === 'SIGINT') queueMicrotask(() => process.emit('SIGINT'))
    })`
    const args = ['wallet', 'create', '--network', 'testnet', '--words-out', out, '--json']
    const preload = ['--import', `data:text/javascript,${encodeURIComponent(interrupt)}`]
    const { status, stdout } = spawnSync(
      process.execPath,
      [...preload, ...program, ...args, '--data-dir', dataDir],
      { encoding: 'utf8', timeout: 30_000 },
    )
    expectFailure({ status, stdout, stderr: '' }, 1, 'Aborted')
    expect(Object.keys(filesBelow(parent))).toEqual(Object.keys(before))
    const list = holdfast(['wallet', 'list', '--json', '--data-dir', dataDir])
    expect(JSON.parse(list.stdout).wallets).toHaveLength(1)
  })

  it('makes nothing without words and without a terminal', () => {
    expectFailure(create(), 2, 'Usage')
    expect(existsSync(dataDir)).toBe(false)
  })

  it.each([
    ['a mistaken word', words.replace('about', 'abouf'), /word 12 /],
    ['a wrong checksum', words.replace('about', 'abandon'), /checksum/],
    ['a missing word', words.replace(' about', ''), /number of words/],
  ])('refuses %s and changes nothing', (_what, phrase, message) => {
    made()
    const before = filesBelow(parent)
    const args = ['wallet', 'create', '--network', 'mainnet', '--data-dir', dataDir, '--json']
    const done = holdfast([...args, '--words-file', '-'], phrase)
    expectFailure(done, 3, 'InvalidMnemonic')
    expect(JSON.parse(done.stdout).error.message).toMatch(message)
    expect(done.stdout + done.stderr).not.toMatch(/abandon|about|abouf/)
    expect(filesBelow(parent)).toEqual(before)
  })

  it('refuses a wrong network before it makes anything', () => {
    const args = ['wallet', 'create', '--network', 'main', '--words-file', wordsFile]
    expectFailure(holdfast([...args, '--data-dir', dataDir, '--json']), 2, 'InvalidNetwork')
    expect(existsSync(dataDir)).toBe(false)
  })

  it('refuses a wallet that is there and changes nothing', () => {
    made()
    const before = filesBelow(parent)
    expectFailure(create('--words-file', wordsFile), 3, 'WalletAlreadyExists')
    expect(filesBelow(parent)).toEqual(before)
  })

  it('refuses a words file that is too large, missing, or no text', () => {
    writeFileSync(wordsFile, words.repeat(200))
    expectFailure(create('--words-file', wordsFile), 1, 'SecretInputFailed')
    expectFailure(create('--words-file', join(parent, 'none')), 1, 'SecretInputFailed')
    writeFileSync(wordsFile, Uint8Array.of(0xff, 0xfe, 0x00))
    expectFailure(create('--words-file', wordsFile), 1, 'SecretInputFailed')
    expect(existsSync(dataDir)).toBe(false)
  })
})

describe('a directory that cannot be used', () => {
  it('is refused when its parent is missing', () => {
    dataDir = join(parent, 'no', 'data')
    expectFailure(create('--words-file', wordsFile), 1, 'DataDirMissing')
    expect(existsSync(join(parent, 'no'))).toBe(false)
  })

  it('is refused when others may enter it', () => {
    mkdirSync(dataDir, { mode: 0o700 })
    chmodSync(dataDir, 0o750)
    expectFailure(create('--words-file', wordsFile), 3, 'InsecureDataDir')
    expectFailure(
      holdfast(['wallet', 'list', '--json', '--data-dir', dataDir]),
      3,
      'InsecureDataDir',
    )
    expect(filesBelow(dataDir)).toEqual({})
  })

  it('is refused when others may replace it', () => {
    chmodSync(parent, 0o770)
    expectFailure(create('--words-file', wordsFile), 3, 'InsecureParentDir')
    expect(existsSync(dataDir)).toBe(false)
  })

  it('is refused when it, or a file in it, is a symbolic link', () => {
    mkdirSync(join(parent, 'real'), { mode: 0o700 })
    symlinkSync(join(parent, 'real'), dataDir)
    expectFailure(create('--words-file', wordsFile), 3, 'SymlinkRefused')
    dataDir = join(parent, 'real')
    symlinkSync(join(parent, 'elsewhere'), join(dataDir, 'wallets.db'))
    expectFailure(create('--words-file', wordsFile), 3, 'SymlinkRefused')
    expect(existsSync(join(parent, 'elsewhere'))).toBe(false)
  })

  it('is refused while another process holds it, and nothing changes', () => {
    made()
    const before = filesBelow(parent)
    const lock = acquireDirectory(dataDir)
    expectFailure(create('--words-file', wordsFile), 3, 'DataDirLocked')
    // A list asks the process that holds the directory.
    const { status, stdout } = holdfast(['wallet', 'list', '--json', '--data-dir', dataDir])
    expect([status, JSON.parse(stdout).error.code]).toEqual([4, 'DaemonUnreachable'])
    lock.assertHeld()
    lock.release()
    expect(filesBelow(parent)).toEqual(before)
  })

  it('is refused when its database is no database of ours, which keeps every byte', () => {
    mkdirSync(dataDir, { mode: 0o700 })
    writeFileSync(join(dataDir, 'wallets.db'), 'something else '.repeat(500), { mode: 0o600 })
    const before = filesBelow(parent)
    const done = create('--words-file', wordsFile)
    expect(done.status).toBe(3)
    expect(JSON.parse(done.stdout).error.code).toMatch(/^(NotAWalletDb|IntegrityCheckFailed)$/)
    expect(filesBelow(parent)).toEqual(before)
  })
})

describe('reading commands', () => {
  it('list nothing in a missing or empty directory, and make nothing', () => {
    const list = ['wallet', 'list', '--json', '--data-dir', dataDir]
    expect(JSON.parse(holdfast(list).stdout)).toEqual({ wallets: [], quarantined: [] })
    expect(existsSync(dataDir)).toBe(false)
    mkdirSync(dataDir, { mode: 0o700 })
    expect(JSON.parse(holdfast(list).stdout)).toEqual({ wallets: [], quarantined: [] })
    expect(filesBelow(dataDir)).toEqual({})
  })

  it('show a wallet with its addresses and give the next one of each kind', () => {
    const walletId = made()
    const list = holdfast(['wallet', 'list', '--json', '--data-dir', dataDir])
    expect(JSON.parse(list.stdout)).toEqual({
      wallets: [{ walletId, network: 'testnet', state: 'active' }],
      quarantined: [],
    })
    const shown = JSON.parse(
      holdfast(['wallet', 'show', walletId, '--json', '--data-dir', dataDir]).stdout,
    )
    expect(shown).toMatchObject({ walletId, network: 'testnet', balance: { kind: 'unavailable' } })
    for (const [kind, flags] of [
      ['platform', []],
      ['core', ['--core']],
    ] as const) {
      const args = ['wallet', 'address', walletId, ...flags, '--data-dir', dataDir]
      const next = JSON.parse(holdfast([...args, '--json']).stdout)
      expect(Object.keys(next)).toEqual(['address', 'path', 'index'])
      expect(next).toEqual(shown.addresses[kind][0])
      expect(holdfast(args).stdout).toBe(`${next.address}\n`)
    }
  })

  it('know no other id, and change nothing while they say so', () => {
    made()
    const before = filesBelow(parent)
    for (const verb of ['show', 'address']) {
      const args = ['wallet', verb, 'ab'.repeat(32), '--json', '--data-dir', dataDir]
      expectFailure(holdfast(args), 1, 'WalletNotFound')
    }
    expectFailure(holdfast(['wallet', 'show', 'AB', '--json', '--data-dir', dataDir]), 2, 'Usage')
    expect(filesBelow(parent)).toEqual(before)
  })

  it('print lines without colour or borders on a pipe', () => {
    const walletId = made()
    const list = holdfast(['wallet', 'list', '--data-dir', dataDir])
    expect(list.stdout).toBe(`${walletId}\ttestnet\tactive\n`)
    const missing = holdfast(['wallet', 'show', 'ab'.repeat(32), '--data-dir', dataDir])
    expect(missing.stdout).toBe('')
    expect(missing.stderr).toMatch(/^WalletNotFound: .+\n {2}\S/)
  })

  it('find a directory by the environment', () => {
    const walletId = made()
    const { stdout } = spawnSync(process.execPath, [...program, 'wallet', 'list', '--json'], {
      encoding: 'utf8',
      env: { ...process.env, HOLDFAST_DATA_DIR: dataDir },
    })
    expect(JSON.parse(stdout).wallets).toHaveLength(1)
    expect(stdout).toContain(walletId)
  })

  it('make a default directory, with its parents, only when a wallet is created', () => {
    const env = {
      ...process.env,
      HOLDFAST_DATA_DIR: '',
      XDG_DATA_HOME: join(parent, 'xdg', 'share'),
    }
    const run = (...args: string[]): string =>
      spawnSync(process.execPath, [...program, ...args, '--json'], { encoding: 'utf8', env }).stdout
    expect(JSON.parse(run('wallet', 'list'))).toEqual({ wallets: [], quarantined: [] })
    expect(existsSync(join(parent, 'xdg'))).toBe(false)
    run('wallet', 'create', '--network', 'devnet', '--words-file', wordsFile)
    expect(existsSync(join(parent, 'xdg', 'share', 'holdfast', 'wallets.db'))).toBe(true)
  })
})

describe('a secret that is kept', () => {
  it('goes to the vault under its label, and never to the output', () => {
    const passphrase = writePassphrase('correct horse\n')
    const keep = ['--words-file', wordsFile, '--keep-secret', '--passphrase-file', passphrase]
    expectFailure(create(...keep), 1, 'VaultMissing')
    expect(existsSync(dataDir)).toBe(false)
    const init = ['vault', 'init', '--passphrase-file', passphrase, '--json', '--data-dir', dataDir]
    expect(holdfast(init).status).toBe(0)
    expectFailure(holdfast(init), 3, 'VaultExists')
    const done = create(...keep, '--label', 'main')
    expect(done.status).toBe(0)
    const { walletId } = JSON.parse(done.stdout)
    const list = holdfast(['vault', 'list', '--json', '--data-dir', dataDir])
    expect(JSON.parse(list.stdout)).toEqual({
      secrets: [{ walletId, label: 'main', state: 'final' }],
    })
    expect(done.stdout + done.stderr + list.stdout).not.toMatch(/correct|abandon/)
  })

  it('is refused with a wrong passphrase, a short one, or a bad label; nothing changes', () => {
    made()
    const passphrase = writePassphrase('correct horse\n')
    holdfast(['vault', 'init', '--passphrase-file', passphrase, '--data-dir', dataDir])
    const before = filesBelow(dataDir)
    const keep = (text: string, ...more: string[]): Finished =>
      holdfast([
        ...['wallet', 'create', '--network', 'mainnet', '--words-file', wordsFile, '--keep-secret'],
        ...['--passphrase-file', writePassphrase(text), '--data-dir', dataDir, '--json', ...more],
      ])
    expectFailure(keep('wrong passphrase'), 3, 'WrongPassphrase')
    expectFailure(keep('short'), 3, 'PassphraseLength')
    expectFailure(keep('correct horse', '--label', '../x'), 2, 'LabelInvalid')
    expect(filesBelow(dataDir)).toEqual(before)
  })

  it('lists an absent vault as empty', () => {
    const list = holdfast(['vault', 'list', '--json', '--data-dir', dataDir])
    expect(JSON.parse(list.stdout)).toEqual({ secrets: [] })
    expect(existsSync(dataDir)).toBe(false)
  })
})
