import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { holdfast } from './command.js'

let folder = ''
let file = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-config-cli-'))
  file = join(folder, 'h.toml')
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

function write(text: string): void {
  writeFileSync(file, text)
  chmodSync(file, 0o600)
}

type Check = { name: string; ok: boolean; detail: string; remedy?: string }

function check(...args: readonly string[]): {
  status: number | null
  ok: boolean
  checks: Check[]
} {
  const done = holdfast(['config', 'check', '--json', '--config', file, ...args])
  expect(done.stderr).toBe('')
  return { status: done.status, ...JSON.parse(done.stdout) }
}

describe('config check', () => {
  it('says what a good file would start, with status 0', () => {
    write(`dataDir = "${folder}/data"\n[covenantSigner]\nport = 9702\nauthToken = "s3cret"\n`)
    const { status, ok, checks } = check('--covenantSigner.enableSelfV1')
    expect([status, ok]).toEqual([0, true])
    expect(checks.find(({ name }) => name === 'covenant signer')?.detail).toBe(
      '127.0.0.1:9702, client token on, admin token off, self_v1 on',
    )
    const plain = holdfast(['config', 'check', '--config', file])
    expect(plain).toMatchObject({ status: 0, stderr: '' })
    expect(plain.stdout).toMatch(/fraud defence\tok\tnot confirmed: nothing will be signed/)
    expect(plain.stdout).not.toContain('s3cret')
  })

  it('ends with 2 for bad form and names the line', () => {
    write('[covenantSigner]\nport = nine\n')
    const { status, ok, checks } = check()
    expect([status, ok]).toEqual([2, false])
    expect(checks).toEqual([
      {
        name: file,
        ok: false,
        detail: 'line 2, column 8: invalid value',
        remedy: 'Correct that line; a text wants quotes around it.',
      },
    ])
  })

  it('ends with 3 for a refusal, judges trust roots too, and says what to do', () => {
    write('[covenantSigner]\nport = 1\nlistenAddress = "0.0.0.0"\nauthToken = "s3cret"\n')
    const entry = '{"route":"qc_v1","reserve":"0x00","network":"n","publicKey":"0x02"}'
    write(
      `[covenantSigner]\nport = 1\nadminAuthToken = "s3cret"\nauthToken = "s3cret"\ndepositorTrustRoots = [${entry.replaceAll('":', '"=')}]\n`,
    )
    const { status, checks } = check('--covenantSigner.listenAddress', '0.0.0.0')
    expect(status).toBe(3)
    expect(checks.map(({ name }) => name)).toEqual([
      'covenantSigner.depositorTrustRoots[0].publicKey',
      'covenantSigner.custodianTrustRoots',
    ])
    const plain = holdfast(['config', 'check', '--config', file, '--covenantSigner.port', '-1'])
    expect(plain.status).toBe(3)
    expect(plain.stdout).toMatch(
      /covenantSigner\.port\tNOT OK\t-1, want .*\. Correct it \(flag --covenantSigner\.port\)\./,
    )
    expect(plain.stdout + plain.stderr).not.toContain('s3cret')
  })
})

describe('config show', () => {
  it('has every setting with its origin, and masks the tokens', () => {
    write('[covenantSigner]\nauthToken = "s3cret"\neip712ChainId = 9223372036854775807\n')
    const args = ['config', 'show', '--origin', '--config', file, '--data-dir', folder]
    const done = holdfast([...args, '--json'])
    expect(done.status).toBe(0)
    const { settings } = JSON.parse(done.stdout)
    const find = (key: string) => settings.find((one: { key: string }) => one.key === key)
    expect(find('dataDir')).toMatchObject({ value: folder, origin: 'flag', from: '--data-dir' })
    expect(find('covenantSigner.authToken')).toMatchObject({
      value: '********',
      origin: 'file',
      from: file,
    })
    expect(find('covenantSigner.adminAuthToken')).toMatchObject({ value: '', origin: 'default' })
    expect(find('covenantSigner.eip712ChainId').value).toBe('9223372036854775807')
    expect(find('vault.fd').value).toBe(null)
    const plain = holdfast(args)
    expect(plain.stdout).toContain(`covenantSigner.authToken\t********\tfile ${file}`)
    expect(done.stdout + done.stderr + plain.stdout + plain.stderr).not.toContain('s3cret')
  })

  it('refuses a configuration that is wrong with everything that is wrong', () => {
    write('[covenantSigner]\nprot = 1\n')
    const done = holdfast(['config', 'show', '--json', '--config', file])
    expect(done.status).not.toBe(0)
    expect(JSON.parse(done.stdout).error).toMatchObject({
      code: 'ConfigMalformed',
      retry: 'after-fix',
    })
    expect(done.stdout).toContain('did you mean port?')
  })
})
