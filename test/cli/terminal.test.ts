import { existsSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { deriveWallet } from '../../src/wallet/derive.js'
import { program, words } from './command.js'
import { hasTerminal, TerminalRun } from './terminal.js'

let parent = ''
let dataDir = ''
let run: TerminalRun | undefined

beforeEach(() => {
  parent = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-terminal-')))
  dataDir = join(parent, 'data')
})

afterEach(() => {
  run?.kill()
  rmSync(parent, { recursive: true, force: true })
})

function start(...args: string[]): TerminalRun {
  run = new TerminalRun([process.execPath, ...program, ...args, '--data-dir', dataDir])
  return run
}

const create = (): TerminalRun =>
  start('wallet', 'create', '--network', 'testnet', '--word-count', '12')

async function readSheet(terminal: TerminalRun): Promise<string[]> {
  await terminal.until(/Make new words/)
  terminal.type('\r')
  const [, sheet = ''] = await terminal.until(/\[\?1049h([\s\S]*?)Write the words/)
  const numbered = [...sheet.matchAll(/(\d+) {2}([a-z]+)/g)]
  const byNumber = new Map(numbered.map(([, number, word]) => [Number(number), String(word)]))
  return Array.from({ length: 12 }, (_, index) => byNumber.get(index + 1) ?? '')
}

const asked = /◆\S*\s+Word (\d+)/

describe.runIf(hasTerminal)('wallet create on a terminal', () => {
  it('shows new words once, asks for three of them, and registers their wallet', async () => {
    const terminal = create()
    const sheet = await readSheet(terminal)
    terminal.type('\r')
    await terminal.until(/\[\?1049l/)
    const before = terminal.shown.length
    for (let count = 0; count < 3; count += 1) {
      const [, position] = await terminal.until(asked)
      terminal.type(`${sheet[Number(position) - 1]}\r`)
    }
    const { walletId } = deriveWallet({ phrase: sheet.join(' '), network: 'testnet' })
    await terminal.until(new RegExp(walletId))
    expect(await terminal.end()).toBe(0)
    for (const word of sheet) {
      expect(terminal.shown.slice(before)).not.toMatch(new RegExp(`\\b${word}\\b`))
    }
  })

  it('makes nothing after wrong answers', async () => {
    const terminal = create()
    await readSheet(terminal)
    terminal.type('\r')
    for (let count = 0; count < 3; count += 1) {
      await terminal.until(asked)
      terminal.type('wrong\r')
    }
    await terminal.until(/Cancelled/)
    expect(await terminal.end()).toBe(1)
    expect(existsSync(dataDir)).toBe(false)
  })

  it('makes nothing when a person stops at the words', async () => {
    const terminal = create()
    await readSheet(terminal)
    terminal.type('\u0003')
    await terminal.until(/Cancelled/)
    expect(await terminal.end()).toBe(1)
    expect(existsSync(dataDir)).toBe(false)
  })

  it('takes typed words, masked, and says which one is mistaken', async () => {
    const terminal = start('wallet', 'derive', '--network', 'testnet')
    await terminal.until(/Type all words/)
    terminal.type(`${words.replace('about', 'abouf')}\r`)
    await terminal.until(/recovery phrase: word 12 /)
    terminal.type(`\u007ft\r`)
    await terminal.until(new RegExp(deriveWallet({ phrase: words, network: 'testnet' }).walletId))
    expect(await terminal.end()).toBe(0)
    expect(terminal.shown).not.toContain('abandon')
  })
})
