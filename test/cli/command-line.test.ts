import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { holdfast, words } from './command.js'

let parent = ''

beforeEach(() => {
  parent = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-line-')))
})

afterEach(() => {
  rmSync(parent, { recursive: true, force: true })
})

describe('the command line', () => {
  it.each([
    [['wallet', 'lst'], /unknown command 'lst' \(Did you mean list\?\)/],
    [['walet', 'list'], /Did you mean wallet\?/],
    [['wallet', 'list', '--jsn'], /Did you mean --json\?/],
    [['wallet', 'list', 'more'], /too many arguments/],
    [['wallet', 'show'], /missing required argument 'id'/],
    [['wallet', 'create'], /--network <name>/],
    [['wallet', 'list', '--data-dir', ''], /--data-dir/],
    [
      ['wallet', 'create', '--network', 'testnet', '--word-count', '13'],
      /Want 12, 15, 18, 21 or 24/,
    ],
    [['wallet', 'create', '--network', 'testnet', '--birth-height', '-1'], /whole number/],
    [
      ['wallet', 'create', '--network', 'testnet', '--label', 'x', '--words-file', '-'],
      /--keep-secret/,
    ],
    [
      ['wallet', 'create', '--network', 'testnet', '--words-file', 'a', '--words-out', 'b'],
      /choose one/,
    ],
    [['wallet'], /command is missing/],
    [[], /command is missing/],
  ])('refuses %j with status 2', (args, message) => {
    const plain = holdfast(args)
    expect(plain.stderr).toMatch(message)
    expect(plain.stdout).toBe('')
    expect(plain.status).toBe(2)
  })

  it('prints a mistake as the one JSON document when asked for JSON', () => {
    const done = holdfast(['--json', 'wallet', 'lst'])
    expect(done.status).toBe(2)
    expect(done.stderr).toBe('')
    expect(JSON.parse(done.stdout).error).toMatchObject({ code: 'Usage', retry: 'after-fix' })
  })

  it('repeats no value that was given where a secret does not belong', () => {
    for (const args of [[`--words=${words}`], ['--word-count', words]]) {
      const done = holdfast(['wallet', 'create', '--network', 'testnet', ...args])
      expect(done.status).toBe(2)
      expect(done.stdout + done.stderr).not.toContain('abandon')
    }
  })

  it('prints help and version on standard output', () => {
    const help = holdfast(['wallet', 'create', '--help'])
    expect(help).toMatchObject({ status: 0, stderr: '' })
    expect(help.stdout).toContain('--words-file')
    expect(help.stdout).toContain('--data-dir')
    const manifest = JSON.parse(
      readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
    )
    expect(holdfast(['--version']).stdout).toBe(`${manifest.version}\n`)
  })

  it('doctor answers 0 for a good directory and 3 for a bad one, and makes neither', () => {
    const missing = holdfast(['doctor', '--json', '--data-dir', join(parent, 'none')])
    expect(missing.status).toBe(3)
    expect(JSON.parse(missing.stdout)).toMatchObject({ ok: false })
    expect(existsSync(join(parent, 'none'))).toBe(false)
    mkdirSync(join(parent, 'data'), { mode: 0o700 })
    const good = holdfast(['doctor', '--json', '--data-dir', join(parent, 'data')])
    expect(good.status).toBe(0)
    for (const check of JSON.parse(good.stdout).checks) {
      expect(Object.keys(check)).toEqual(['name', 'ok', 'detail'])
      expect(check.ok).toBe(true)
    }
  })
})
