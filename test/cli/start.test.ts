import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { holdfast } from './command.js'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-start-cli-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('holdfast start on the command line', () => {
  it('has nothing to do while the port is 0, says so, and makes nothing', () => {
    const data = join(folder, 'data')
    const plain = holdfast(['start', '--data-dir', data])
    expect(plain).toEqual({
      status: 0,
      stderr: '',
      stdout: 'covenantSigner.port is 0: the covenant signer is off, there is nothing to do\n',
    })
    const json = holdfast(['start', '--json', '--data-dir', data])
    expect(json.status).toBe(0)
    expect(JSON.parse(json.stdout)).toEqual({ started: false, why: plain.stdout.trim() })
    expect(existsSync(data)).toBe(false)
  })

  it('ends with 2 for settings that cannot be read, with 3 for those that are refused', () => {
    const file = join(folder, 'h.toml')
    writeFileSync(file, '[covenantSigner]\nprot = 1\n', { mode: 0o600 })
    const unread = holdfast(['start', '--json', '--config', file])
    expect([unread.status, JSON.parse(unread.stdout).error.code]).toEqual([2, 'ConfigMalformed'])
    const refused = holdfast(['start', '--json', '--covenantSigner.port', '65536'])
    expect([refused.status, JSON.parse(refused.stdout).error.code]).toEqual([3, 'ConfigRefused'])
    expect(holdfast(['start', '--config', join(folder, 'none.toml')]).status).toBe(2)
  })
})
