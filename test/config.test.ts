import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { variableOf } from '../src/config/environment.js'
import { schema } from '../src/config/schema.js'
import { dataDirectory, loadConfig, originOf, passphraseSource } from '../src/config.js'
import { readSettings } from '../src/covenant/settings.js'
import { noTrustRoots, parseTrustRoots } from '../src/covenant/trust.js'
import { filesOf, lines, toml } from './config-sources.js'

const whole = (max: number) => fc.option(fc.integer({ min: 1, max }), { nil: undefined })

describe('a setting', () => {
  it('is the flag, else the variable, else the file, else the default, and says which', () => {
    fc.assert(
      fc.property(whole(65_535), whole(65_535), whole(65_535), (flag, variable, inFile) => {
        const config = loadConfig(
          toml(inFile === undefined ? '' : `[covenantSigner]\nport = ${inFile}`, {
            flags: { 'covenantSigner.port': flag?.toString() },
            env: { HOLDFAST_COVENANT_SIGNER__PORT: variable?.toString() },
          }),
        )
        const given = [
          [flag, { kind: 'flag', name: '--covenantSigner.port' }],
          [variable, { kind: 'environment', name: 'HOLDFAST_COVENANT_SIGNER__PORT' }],
          [inFile, { kind: 'file', name: '/etc/h.toml' }],
          [0, { kind: 'default', name: '' }],
        ] as const
        const [value, origin] = given.find(([one]) => one !== undefined) ?? []
        expect(config.covenantSigner.port).toBe(value)
        expect(originOf(config, 'covenantSigner.port')).toEqual(origin)
      }),
    )
  })

  it('is the same through the file and through its variable', () => {
    const values: Readonly<Record<string, string>> = {
      'covenantSigner.enableSelfV1': 'true',
      'covenantSigner.eip712ChainId': '9223372036854775807',
      'limits.inFlightMax': '17',
      'covenantSigner.migrationPlanQuoteTrustRoots': '[{"keyId":"k","publicKeyPem":"p\\\\n"}]',
    }
    for (const [key, text] of Object.entries(values)) {
      const [section = '', name = ''] = key.split('.')
      const written = text.replaceAll('":', '"=').replaceAll(/"(\w+)"=/g, '$1=')
      const one = loadConfig(toml(`[${section}]\n${name} = ${written}`))
      const other = loadConfig({ env: { [variableOf(key)]: text } })
      expect({ ...one, file: 0, origins: 0 }).toEqual({ ...other, file: 0, origins: 0 })
      expect(originOf(one, key).kind).toBe('file')
      expect(originOf(other, key).kind).toBe('environment')
    }
  })

  it('has a variable of its own, whatever the underscores within its names', () => {
    expect(variableOf('covenantSigner.authToken')).toBe('HOLDFAST_COVENANT_SIGNER__AUTH_TOKEN')
    expect(variableOf('dataDir')).toBe('HOLDFAST_DATA_DIR')
    expect(new Set([...schema.keys()].map(variableOf)).size).toBe(schema.size)
    for (const name of [
      'HOLDFAST_COVENANTSIGNER__ENABLESELFV1',
      'HOLDFAST_covenantSigner__enableSelfV1',
    ]) {
      expect(loadConfig({ env: { [name]: '1' } }).covenantSigner.enableSelfV1).toBe(true)
    }
  })

  it('is not overridden by an empty variable, and foreign variables are left alone', () => {
    const env = { HOLDFAST_ADMIN__PORT: '', HOLDFAST_TEST_REPORT: 'x', PATH: '/bin' }
    expect(loadConfig(toml('[admin]\nport = 5', { env })).admin.port).toBe(5)
  })

  it('may be a flag without a value where it is a switch', () => {
    const flags = { 'covenantSigner.enableSelfV1': true }
    const inFile = '[covenantSigner]\nenableSelfV1 = false'
    expect(loadConfig(toml(inFile, { flags })).covenantSigner.enableSelfV1).toBe(true)
    const off = { 'covenantSigner.enableSelfV1': 'false' }
    expect(loadConfig({ env: {}, flags: off }).covenantSigner.enableSelfV1).toBe(false)
  })

  it('is not looked at where something overrides it', () => {
    const flags = { 'covenantSigner.port': '9702' }
    const config = loadConfig(toml('[covenantSigner]\nport = 99999', { flags }))
    expect(config.covenantSigner.port).toBe(9702)
  })

  it('cannot be changed or invented afterwards', () => {
    const config = loadConfig({ env: {} })
    expect(Object.isFrozen(config.covenantSigner.depositorTrustRoots)).toBe(true)
    expect(() => Object.assign(config.limits, { stopMs: 1 })).toThrow(TypeError)
    expect(() => originOf(config, 'covenantSigner.__proto__')).toThrow(RangeError)
    expect(() => loadConfig({ env: {}, flags: { 'no.such': '1' } })).toThrow(RangeError)
  })
})

describe('the data directory', () => {
  it("has keep-core's name and its own, at the top and in the section", () => {
    expect(loadConfig(toml('dataDir = "/a"')).dataDir).toBe('/a')
    expect(loadConfig(toml('[covenantSigner]\ndataDir = "/a"')).dataDir).toBe('/a')
    const env = { HOLDFAST_COVENANT_SIGNER__DATA_DIR: '/b' }
    expect(loadConfig(toml('dataDir = "/a"', { env })).dataDir).toBe('/b')
    expect(loadConfig(toml('dataDir = "/a"\n[covenantSigner]\ndataDir = "/a"')).dataDir).toBe('/a')
    expect(lines(toml('dataDir = "/a"\n[covenantSigner]\ndataDir = "/b"'))).toEqual([
      'covenantSigner.dataDir: given together with dataDir, want one of them',
    ])
  })

  it("is the user's data folder when nobody names one, and holds the admin token", () => {
    const { dataDir, admin } = loadConfig({ env: {} })
    expect(dataDir).toBe(dataDirectory(undefined, {}).path)
    expect(admin.tokenFile).toBe(`${dataDir}/admin-token`)
  })

  it('starts from the folder of the file that names it', () => {
    const config = loadConfig(toml('dataDir = "data"\n[ledger]\nwitnessPath = "../w"'))
    expect(config.dataDir).toBe('/etc/data')
    expect(config.ledger.witnessPath).toBe('/w')
    const flagged = loadConfig(toml('dataDir = "data"', { flags: { dataDir: 'here' } }))
    expect(flagged.dataDir).toBe(`${process.cwd()}/here`)
  })
})

describe('the defaults', () => {
  it('are those of the covenant service, which takes all their bounds', () => {
    const { submitCapacity, submitRefillMs, pollCapacity, pollRefillMs, ...limits } = loadConfig({
      env: {},
    }).limits
    expect(limits).toEqual(readSettings({}))
    expect([submitCapacity, submitRefillMs, pollCapacity, pollRefillMs]).toEqual([
      5, 12_000, 60, 1000,
    ])
    for (const name of Object.keys(limits)) {
      const wanted = schema.get(`limits.${name}`)?.wanted ?? ''
      const [, min = '', max = ''] = /from (\d+) to (\d+)$/.exec(wanted) ?? []
      const rest = { retryMinMs: 1, retryMaxMs: 86_400_000 }
      for (const value of [Number(min), Number(max)]) {
        expect(readSettings({ ...rest, [name]: value })).toHaveProperty(name, value)
      }
      expect(() => readSettings({ [name]: Number(max) + 1 })).toThrow(RangeError)
      expect(() => readSettings({ [name]: Number(min) - 1 })).toThrow(RangeError)
    }
  })

  it("fit the covenant room's trust roots", () => {
    expect(parseTrustRoots(loadConfig({ env: {} }).covenantSigner)).toEqual(noTrustRoots)
  })
})

describe('tokens', () => {
  const file = '[covenantSigner]\nauthTokenFile = "token"'
  const readFile = filesOf({ '/etc/h.toml': file, '/etc/token': ' s3cret \n', '/t': 'other' })

  it('come from files of their own, which are their origin', () => {
    const config = loadConfig({ file: '/etc/h.toml', readFile, env: {} })
    expect(config.covenantSigner.authToken).toBe('s3cret')
    expect(originOf(config, 'covenantSigner.authToken')).toEqual({
      kind: 'file',
      name: '/etc/token',
    })
  })

  it('come from the highest source that gives the token or its file', () => {
    const load = (env: Record<string, string>) =>
      loadConfig({ file: '/etc/h.toml', readFile, env }).covenantSigner
    expect(load({ HOLDFAST_COVENANT_SIGNER__AUTH_TOKEN: 'mine' }).authToken).toBe('mine')
    expect(load({ HOLDFAST_COVENANT_SIGNER__AUTH_TOKEN_FILE: '/t' }).authToken).toBe('other')
    const both = toml('[covenantSigner]\nauthToken = "a"\nauthTokenFile = "b"')
    expect(lines(both)).toEqual([
      'covenantSigner.authTokenFile: given together with covenantSigner.authToken, want one of them',
    ])
  })

  it.each([
    ['gone', {}, 'not found'],
    ['empty', { bytes: Buffer.from(' \n') }, 'empty'],
    ['of two lines', { bytes: Buffer.from('a\nb') }, 'not one line of text'],
    [
      'open to others',
      { bytes: Buffer.from('a'), mode: 0o640 },
      'mode 0640: others can read its secrets',
    ],
    ['too large', { bytes: Buffer.alloc(8193) }, 'larger than 8192 bytes'],
  ])('refuse a file that is %s', (name, found, wrong) => {
    const path = name === 'gone' ? '/none' : '/t'
    const env = { HOLDFAST_COVENANT_SIGNER__ADMIN_AUTH_TOKEN_FILE: path }
    expect(lines({ env, readFile: filesOf({ '/t': found }) })).toEqual([
      `covenantSigner.adminAuthTokenFile: ${path}: ${wrong}`,
    ])
  })

  it('may be systemd credentials, whose mode shows an access list', () => {
    const env = {
      CREDENTIALS_DIRECTORY: '/run/c',
      HOLDFAST_COVENANT_SIGNER__AUTH_TOKEN_FILE: '/run/c/token',
    }
    const found = { bytes: Buffer.from('a'), mode: 0o440 }
    const config = loadConfig({ env, readFile: filesOf({ '/run/c/token': found }) })
    expect(config.covenantSigner.authToken).toBe('a')
  })

  it('are taken as flags, with a notice that others can see them', () => {
    const flags = { 'covenantSigner.authToken': 's3cret' }
    const config = loadConfig({ env: {}, flags })
    expect(config.covenantSigner.authToken).toBe('s3cret')
    expect(config.notices.join()).toMatch(/--covenantSigner.authToken in the process list/)
    expect(config.notices.join()).not.toContain('s3cret')
  })
})

describe('the source of the passphrase', () => {
  it('is a file, a descriptor or a systemd credential', () => {
    const sourceOf = (text: string, env = {}) =>
      passphraseSource(loadConfig(toml(`[vault]\n${text}`)).vault, env)
    expect(sourceOf('')).toBeUndefined()
    expect(sourceOf('passphraseFile = "p"')).toEqual({ kind: 'file', path: '/etc/p' })
    expect(sourceOf('fd = 3')).toEqual({ kind: 'descriptor', fd: 3 })
    const env = { CREDENTIALS_DIRECTORY: '/run/c' }
    expect(sourceOf('credential = "pass"', env)).toEqual({ kind: 'file', path: '/run/c/pass' })
    expect(() => sourceOf('credential = "pass"')).toThrow(/systemd handed over no credentials/)
  })

  it('is one of the three, and a higher source decides', () => {
    expect(lines(toml('[vault]\nfd = 3\ncredential = "c"'))).toEqual([
      'vault.fd: given together with vault.credential, want one of them',
    ])
    const env = { HOLDFAST_VAULT__FD: '4' }
    const { vault } = loadConfig(toml('[vault]\npassphraseFile = "p"', { env }))
    expect(vault).toEqual({ passphraseFile: undefined, credential: undefined, fd: 4 })
  })
})
