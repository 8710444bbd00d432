import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadConfig } from '../src/config.js'
import { filesOf, lines, refusal, toml } from './config-sources.js'

let folder = ''
let file = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-config-'))
  file = join(folder, 'h.toml')
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

function write(text: string | Uint8Array, mode: number): void {
  writeFileSync(file, text)
  chmodSync(file, mode)
}

describe('a configuration file', () => {
  it.each([
    [0o600, 'authToken = "a"', undefined],
    [0o400, 'authToken = "a"', undefined],
    [0o644, 'authToken = ""', undefined],
    [0o644, 'port = 1', undefined],
    [0o640, 'authToken = "a"', 'others can read its secrets'],
    [0o604, 'adminAuthToken = "a"', 'others can read its secrets'],
    [0o660, 'port = 1', 'others can change it'],
    [0o602, 'port = 1', 'others can change it'],
  ])('of mode %o with %s is judged: %s', (mode, text, wrong) => {
    write(`[covenantSigner]\n${text}\n`, mode)
    const octal = mode.toString(8).padStart(4, '0')
    const found = refusal({ file, env: {} })
    expect(lines({ file, env: {} })).toEqual(
      wrong === undefined ? [] : [`${file}: mode ${octal}: ${wrong}`],
    )
    if (wrong !== undefined) {
      expect(found.code).toBe('ConfigRefused')
      expect(found.problems[0]?.remedy).toMatch(/^Run "chmod (600|go-w)"/)
    }
  })

  it('of another user is refused, and one of root is not', () => {
    const owned = (ownerId: number) =>
      lines({ file: '/f', env: {}, readFile: filesOf({ '/f': { ownerId } }) })
    expect(owned(4_000_000)).toEqual(['/f: owned by user 4000000, want this user or root'])
    expect(owned(0)).toEqual([])
  })

  it('that is missing, a directory, a pipe or too large is refused before it is read', () => {
    expect(lines({ file, env: {} })).toEqual([`${file}: not found`])
    mkdirSync(join(folder, 'd'))
    expect(lines({ file: join(folder, 'd'), env: {} })).toEqual([
      `${join(folder, 'd')}: not a regular file`,
    ])
    const pipe = join(folder, 'pipe')
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0)
    expect(lines({ file: pipe, env: {} })).toEqual([`${pipe}: not a regular file`])
    write('', 0o600)
    truncateSync(file, 64 * 1024 ** 3)
    expect(lines({ file, env: {} })).toEqual([`${file}: larger than 4194304 bytes`])
    expect(refusal({ file, env: {} }).code).toBe('ConfigMalformed')
  })

  it.each([
    ['port = ', /^line 3, column \d+: /],
    ['port = nine', /^line 3, column 8: invalid value$/],
    ['port = 1\nport = 2', /^line 4, column 1: trying to redefine/],
    ['authToken = "unfinished', /^line 3, column \d+: /],
    ['port = 1_', /^line 3, column \d+: /],
    [`depositorTrustRoots = ${'['.repeat(100_000)}`, /^line 3, column \d+: .*nested/],
  ])('with bad TOML is refused with its line: %j', (text, wrong) => {
    const [problem, ...others] = refusal(toml(`# first\n[covenantSigner]\n${text}`)).problems
    expect(others).toEqual([])
    expect(problem).toMatchObject({ key: '/etc/h.toml', kind: 'malformed' })
    expect(problem?.wrong).toMatch(wrong)
  })

  it('that is not UTF-8 is refused', () => {
    write(Uint8Array.of(0x23, 0xff, 0xfe), 0o600)
    expect(lines({ file, env: {} })).toEqual([`${file}: not UTF-8`])
  })
})

describe('an unknown key', () => {
  it.each([
    ['[covenantSigner]\nprot = 1', 'covenantSigner.prot: unknown key (did you mean port?)'],
    ['[covenantSigner]\nPort = 1', 'covenantSigner.Port: unknown key (did you mean port?)'],
    [
      '[covenantSigner]\nauth_token = "a"',
      'covenantSigner.auth_token: unknown key (did you mean authToken?)',
    ],
    ['[covenantSigner]\nzzz = 1', 'covenantSigner.zzz: unknown key'],
    ['[CovenantSigner]\nport = 1', 'CovenantSigner: unknown key (did you mean covenantSigner?)'],
    ['data-dir = "x"', 'data-dir: unknown key (did you mean dataDir?)'],
    [
      '"covenantSigner.port" = 1',
      'covenantSigner.port: unknown key (did you mean covenantSigner?)',
    ],
    ['[limits]\nsubmitWait = 1', 'limits.submitWait: unknown key (did you mean submitWaitMs?)'],
    [
      '[ethereum]\nbridgeAdress = ""',
      'ethereum.bridgeAdress: unknown key (did you mean bridgeAddress?)',
    ],
    ['tbtc = 1', 'tbtc: unknown key'],
    ['[admin.port]\nx = 1', 'admin.port: a table, want a whole number from 0 to 65535'],
    ['admin = 1', 'admin: a number, want a table'],
    ['[[admin]]\nport = 1', 'admin: a list, want a table'],
    ['__proto__ = 1', '__proto__: unknown key'],
    ['[__proto__]\nport = 1', '__proto__: unknown key'],
    ['[covenantSigner.__proto__]\nport = 1', 'covenantSigner.__proto__: unknown key'],
    ['[admin]\nconstructor = 1\ntoString = 1', 'admin.constructor: unknown key'],
    [
      '[covenantSigner]\nport = 1979-05-27',
      'covenantSigner.port: a date, want a whole number from 0 to 65535',
    ],
    ['[admin]\nport = 1.5', 'admin.port: a number, want a whole number from 0 to 65535'],
    [
      '[admin]\nport = 99999999999999999999',
      'admin.port: 99999999999999999999, want a whole number from 0 to 65535',
    ],
    ['[admin]\nport = nan', 'admin.port: a number, want a whole number from 0 to 65535'],
    ['dataDir = "a\\u0000b"', 'dataDir: not one short line, want a path'],
    [`dataDir = "${'a'.repeat(5000)}"`, 'dataDir: not one short line, want a path'],
    ['"\\u001b[31mred" = 1', '?[31mred: unknown key'],
  ])('or a hostile value is named: %j', (text, line) => {
    expect(lines(toml(text))[0]).toBe(line)
    expect(Object.prototype).not.toHaveProperty('port')
  })

  it('of the environment is an error where it looks like a setting', () => {
    const linesOf = (env: Record<string, string>) => lines({ env })
    expect(linesOf({ HOLDFAST_COVENANT_SIGNER__PROT: '1' })).toEqual([
      'HOLDFAST_COVENANT_SIGNER__PROT: unknown setting (did you mean HOLDFAST_COVENANT_SIGNER__PORT?)',
    ])
    expect(linesOf({ HOLDFAST_ADMIN_PORT: '1' })).toEqual([
      'HOLDFAST_ADMIN_PORT: unknown setting (did you mean HOLDFAST_ADMIN__PORT?)',
    ])
    expect(linesOf({ HOLDFAST___PROTO__: '1' })).toHaveLength(1)
    expect(linesOf({ HOLDFAST_ADMIN__PORT: '1', HOLDFAST_ADMIN__P_ORT: '2' })).toEqual([
      'HOLDFAST_ADMIN__P_ORT: given together with HOLDFAST_ADMIN__PORT, want one of them',
    ])
  })

  it('within a trust root is named with its entry', () => {
    const entries = (json: string) =>
      lines({ env: { HOLDFAST_COVENANT_SIGNER__CUSTODIAN_TRUST_ROOTS: json } })
    const at = 'HOLDFAST_COVENANT_SIGNER__CUSTODIAN_TRUST_ROOTS[0]'
    const whole = '"route":"qc_v1","reserve":"0x","network":"n"'
    expect(entries(`[{${whole},"publickey":"x"}]`)).toEqual([
      `${at}.publicKey: missing, want a text`,
      `${at}.publickey: unknown key (did you mean publicKey?)`,
    ])
    expect(entries(`[{${whole},"publicKey":5,"__proto__":{"a":1}}]`)).toEqual([
      `${at}.publicKey: a number, want a text`,
      `${at}.__proto__: unknown key`,
    ])
    expect(entries('[null]')).toEqual([`${at}: null, want a table`])
    expect(entries('{')[0]).toMatch(
      /: a text, want a list of tables with .* \(as JSON outside the file\)$/,
    )
    expect(entries(JSON.stringify(Array.from({ length: 4097 }, () => 1)))[0]).toMatch(
      /: 4097 entries, want at most 4096$/,
    )
  })

  it('costs bounded work and a bounded message, however many there are', () => {
    const many = Array.from({ length: 200_000 }, (_, index) => `portt${index} = 1`).join('\n')
    const startMs = performance.now()
    expect(lines(toml(`[covenantSigner]\n${many}`))).toHaveLength(50)
    const entry = `{${Array.from({ length: 100 }, (_, index) => `a${index}=1`).join(',')}}`
    const entries = Array.from({ length: 4000 }, () => entry).join(',')
    expect(lines(toml(`[covenantSigner]\ncustodianTrustRoots = [${entries}]`))).toHaveLength(20)
    expect(performance.now() - startMs).toBeLessThan(20_000)
  })
})

describe("keep-core's own file", () => {
  it('is taken as it is: what is not ours is ignored with one notice', () => {
    const config = loadConfig(
      toml(`
        [ethereum]
        URL = "ws://127.0.0.1:8546"
        KeyFile = "/k"
        bridgeAddress = "0x${'11'.repeat(20)}"
        [bitcoin.electrum]
        url = "tcp://127.0.0.1:50001"
        [Network]
        Port = 3919
        [storage]
        Dir = "/s"
        [clientInfo]
        Port = 9601
        [maintainer.spv]
        enabled = true
        [tbtc]
        preParamsPoolSize = 1
        [developer]
        bridgeAddress = "0x00"
        [covenantSigner]
        port = 9702
        requireApprovalTrustRoots = false
      `),
    )
    expect(config.covenantSigner.port).toBe(9702)
    expect(config.ethereum.bridgeAddress).toBe(`0x${'11'.repeat(20)}`)
    expect(config.notices.filter((notice) => notice.startsWith('ignored'))).toEqual([
      "ignored, since they are keep-core's own: ethereum.URL, ethereum.KeyFile, bitcoin.electrum, [Network], [storage], [clientInfo], [maintainer], [tbtc], [developer]",
    ])
  })

  it('may write the section that both have in its own letter case', () => {
    const text = `[Ethereum]\nURL = "x"\nbridgeAddress = "0x${'22'.repeat(20)}"`
    expect(loadConfig(toml(text)).ethereum.bridgeAddress).toBe(`0x${'22'.repeat(20)}`)
  })
})
