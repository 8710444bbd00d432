import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isLoopback } from '../src/base/loopback.js'
import { loadConfig } from '../src/config.js'
import { parseTrustRoots } from '../src/covenant/trust.js'
import { filesOf, lines, refusal, toml } from './config-sources.js'

const key = '0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798'
const root = (route: string, more = '') =>
  `{ route = "${route}", reserve = "0x0a", network = "n", publicKey = "${key}"${more} }`
const signer = (text: string) =>
  toml(`[covenantSigner]\n${text}`, { checkTrustRoots: parseTrustRoots })
const qc = `depositorTrustRoots = [${root('qc_v1')}]\ncustodianTrustRoots = [${root('qc_v1')}]`
const tokens = 'authToken = "a"\nadminAuthToken = "b"'
const exposed = 'port = 1\nlistenAddress = "0.0.0.0"'

/** The rules in the order of the specification, each with the least that breaks it alone. */
const refusals: readonly (readonly [name: string, text: string, lines: readonly string[]])[] = [
  [
    'a port out of range',
    'port = -1',
    ['covenantSigner.port: -1, want a whole number from 0 to 65535'],
  ],
  [
    'a reachable address without client token',
    `${exposed}\nadminAuthToken = "b"\n${qc}`,
    [
      'covenantSigner.authToken: empty while covenantSigner.listenAddress can be reached from other machines',
    ],
  ],
  [
    'a reachable address with a blank admin token',
    `${exposed}\nauthToken = "a"\nadminAuthToken = "  "\n${qc}`,
    [
      'covenantSigner.adminAuthToken: empty while covenantSigner.listenAddress can be reached from other machines',
    ],
  ],
  [
    'a salt that is not 32 bytes',
    'eip712Salt = "0x00"',
    ['covenantSigner.eip712Salt: something else, want 32 bytes of hex'],
  ],
  [
    'a trust root that breaks a rule',
    `depositorTrustRoots = [${root('qc_v1')}, ${root('zz')}]\ncustodianTrustRoots = [${root('qc_v1')}, ${root('qc_v1')}]`,
    [
      'covenantSigner.depositorTrustRoots[1].route: unknown, want self_v1 or qc_v1',
      'covenantSigner.custodianTrustRoots[1]: repeats route, reserve and network, want one',
    ],
  ],
  [
    'missing trust roots where they are required',
    'port = 1\nrequireApprovalTrustRoots = true\nenableSelfV1 = true',
    [
      'depositorTrustRoots: no entry for self_v1',
      'depositorTrustRoots: no entry for qc_v1',
      'custodianTrustRoots: no entry for qc_v1',
    ].map(
      (line) => `covenantSigner.${line}, want one (requireApprovalTrustRoots, or not on loopback)`,
    ),
  ],
  [
    'missing trust roots on a reachable address',
    `${exposed}\n${tokens}\ndepositorTrustRoots = [${root('qc_v1')}]`,
    [
      'covenantSigner.custodianTrustRoots: no entry for qc_v1, want one (requireApprovalTrustRoots, or not on loopback)',
    ],
  ],
  [
    'a pinned address without chain id',
    `depositorTrustRoots = [${root('qc_v1', `, ethAddress = "${'11'.repeat(20)}"`)}]`,
    [
      'covenantSigner.eip712ChainId: 0 while depositorTrustRoots pin an ethAddress, want the id of the chain',
    ],
  ],
  [
    'a confirmed fraud defence without Bridge',
    'bridgeCovenantFraudDefenseConfirmed = true',
    [
      'covenantSigner.bridgeCovenantFraudDefenseConfirmed: true without ethereum.bridgeAddress, want the Bridge it was confirmed for',
    ],
  ],
  [
    'a Bridge at zero',
    `[ethereum]\nbridgeAddress = "0x${'00'.repeat(20)}"`,
    ['ethereum.bridgeAddress: zero, want the address of a contract'],
  ],
  [
    'one address for both listeners',
    'port = 9703\nlistenAddress = "localhost"',
    ['admin.port: 9703 is covenantSigner.port too, want a port of its own'],
  ],
  [
    'waits in the wrong order',
    '[limits]\nretryMinMs = 10\nretryMaxMs = 9',
    ['limits.retryMaxMs: 9, want at least limits.retryMinMs (10)'],
  ],
  [
    'an unknown log level',
    '[log]\nlevel = "warning"',
    [
      'log.level: unknown (did you mean warn?), want one of silent, fatal, error, warn, info, debug, trace',
    ],
  ],
  [
    'a credential that is a path',
    '[vault]\ncredential = "../x"',
    ['vault.credential: not a name, want a name of letters, digits, ".", "_" and "-"'],
  ],
]

describe('a start is refused for', () => {
  it.each(refusals)('%s', (_name, text, wrong) => {
    expect(lines(signer(text))).toEqual(wrong)
    expect(refusal(signer(text)).code).toBe('ConfigRefused')
    for (const { remedy } of refusal(signer(text)).problems) expect(remedy).toMatch(/^[A-Z].+\.$/)
  })

  it('everything at once, in the order of the specification, whatever their order in the file', () => {
    const parts = [
      'bridgeCovenantFraudDefenseConfirmed = true',
      `depositorTrustRoots = [${root('zz', `, ethAddress = "${'11'.repeat(20)}"`)}]`,
      'eip712Salt = "zz"',
      'listenAddress = "::"',
      'port = 1',
    ]
    const wanted = [
      'covenantSigner.authToken',
      'covenantSigner.adminAuthToken',
      'covenantSigner.eip712Salt',
      'covenantSigner.depositorTrustRoots[0].route',
      'covenantSigner.depositorTrustRoots',
      'covenantSigner.custodianTrustRoots',
      'covenantSigner.eip712ChainId',
      'covenantSigner.bridgeCovenantFraudDefenseConfirmed',
    ]
    fc.assert(
      fc.property(fc.shuffledSubarray(parts, { minLength: parts.length }), (shuffled) => {
        const { problems } = refusal(signer(shuffled.join('\n')))
        expect(problems.map((one) => one.key)).toEqual(wanted)
      }),
      { numRuns: 20 },
    )
  })

  it('form before rules, and the worse of the two names the error', () => {
    const both = signer('port = 70000\nnope = 1')
    expect(refusal(both).code).toBe('ConfigMalformed')
    expect(refusal(both).problems.map((one) => one.key)).toEqual([
      'covenantSigner.nope',
      'covenantSigner.port',
    ])
  })

  it('no more than what is wrong: a setting that cannot be read is not judged by rules too', () => {
    expect(
      lines(
        signer(
          'listenAddress = "0.0.0.0"\nport = 1\nauthToken = 5\nadminAuthToken = "b"\ncustodianTrustRoots = 5',
        ),
      ),
    ).toEqual([
      'covenantSigner.authToken: a number, want text without line breaks of at most 4096 bytes',
      'covenantSigner.custodianTrustRoots: a number, want a list of tables with route, reserve, network, publicKey (as JSON outside the file)',
    ])
  })
})

describe('a start is not refused', () => {
  it.each([
    [
      'with the service off',
      'port = 0\nlistenAddress = "0.0.0.0"\nrequireApprovalTrustRoots = true',
    ],
    ['on a reachable address with tokens and roots', `${exposed}\n${tokens}\n${qc}`],
    [
      'with a pinned address on a chain',
      `eip712ChainId = 1\ndepositorTrustRoots = [${root('qc_v1', `, ethAddress = "0x${'11'.repeat(20)}"`)}]`,
    ],
    [
      'with an empty ethAddress on no chain',
      `depositorTrustRoots = [${root('qc_v1', ', ethAddress = ""')}]`,
    ],
    ['with one port on two addresses', 'port = 9703\nlistenAddress = "127.0.0.2"'],
    [
      'with the defence confirmed for a Bridge',
      `bridgeCovenantFraudDefenseConfirmed = true\n[ethereum]\nbridgeAddress = "0x${'11'.repeat(20)}"`,
    ],
  ])('%s', (_name, text) => {
    expect(lines(signer(text))).toEqual([])
  })

  it('on loopback, however it is written', () => {
    const octet = fc.integer({ min: 0, max: 255 })
    const loopback = fc.oneof(
      fc.constantFrom(
        '',
        ' ',
        'localhost',
        'LocalHost',
        '::1',
        '[::1]',
        '[127.0.0.1]',
        '[LOCALHOST]',
      ),
      fc.tuple(octet, octet, octet).map((parts) => `127.${parts.join('.')}`),
    )
    fc.assert(
      fc.property(loopback, (address) => {
        expect(isLoopback(address)).toBe(true)
        expect(lines(signer(`port = 1\nlistenAddress = "${address}"`))).toEqual([])
      }),
    )
    for (const address of [
      '0.0.0.0',
      '::',
      '[::]',
      '128.0.0.1',
      '10.0.0.1',
      'example.org',
      '127.0.0.1.example.org',
      'localhost.example.org',
      '::2',
      '[::1',
      '1270.0.0.1',
    ]) {
      expect(refusal(signer(`port = 1\nlistenAddress = "${address}"`)).code).toBe('ConfigRefused')
    }
  })
})

describe('notices', () => {
  const noticesOf = (text: string) => loadConfig(signer(text)).notices

  it('say what an operator may not expect', () => {
    expect(noticesOf('')).toEqual(['covenantSigner.port is 0: the covenant signer is off'])
    expect(
      noticesOf('port = 1\nenableSelfV1 = true\nauthToken = "a"\nadminAuthToken = "a"'),
    ).toEqual([
      'depositorTrustRoots is empty: the keys in self_v1 requests are trusted as they are',
      'depositorTrustRoots is empty: the keys in qc_v1 requests are trusted as they are',
      'custodianTrustRoots is empty: the keys in qc_v1 requests are trusted as they are',
      'bridgeCovenantFraudDefenseConfirmed is false: nothing will be signed',
      'eip712Salt is not set: approvals of other deployments on this chain fit here too',
      'adminAuthToken is authToken: every client may have certificates issued',
    ])
    expect(noticesOf(`port = 1\ndepositorTrustRoots = [${root('self_v1')}]`)[0]).toBe(
      'depositorTrustRoots has no entry for qc_v1: every qc_v1 request will be refused',
    )
  })
})

describe('values', () => {
  it('of tokens never stand in a message, also not where the value is wrong', () => {
    const secret = 'hunter2-hunter2'
    const wrong = [
      `[covenantSigner]\nauthToken = "${secret}\\n"`,
      `[covenantSigner]\nport = "${secret}"`,
      `[covenantSigner]\neip712Salt = "${secret}"`,
      `[log]\nlevel = "${secret}"`,
      `[covenantSigner]\nauthToken = ${secret}`,
      `[covenantSigner]\nauthToken = "${secret}`,
      `[covenantSigner]\nauthToken = ["${secret}"]`,
      `authToken = "${secret}"`,
      `[covenantSigner]\ndepositorTrustRoots = "${secret}"`,
    ]
    for (const text of wrong) {
      const found = refusal(toml(text))
      expect(found.problems.length).toBeGreaterThan(0)
      expect(JSON.stringify(found)).not.toContain('hunter2')
      try {
        loadConfig(toml(text))
      } catch (error) {
        expect(`${error} ${error instanceof Error && error.cause}`).not.toContain('hunter2')
      }
    }
    const env = { HOLDFAST_COVENANT_SIGNER__AUTH_TOKEN_FILE: '/t' }
    const readFile = filesOf({ '/t': `${secret}\n${secret}` })
    expect(JSON.stringify(refusal({ env, readFile }))).not.toContain('hunter2')
  })

  it('are read as their bounds say, or refused', () => {
    fc.assert(
      fc.property(fc.integer(), (port) => {
        const fits = port >= 0 && port <= 65_535
        const { code } = refusal(toml(`[admin]\nport = ${port}`))
        expect(code).toBe(fits ? undefined : 'ConfigRefused')
        expect(refusal({ env: { HOLDFAST_ADMIN__PORT: `${port}` } }).code).toBe(code)
      }),
    )
    for (const text of ['80.5', '0x50', '1e3', 'true', ' 80', '']) {
      const { code } = refusal({ env: { HOLDFAST_ADMIN__PORT: text } })
      expect([text, code]).toEqual([text, text === '' ? undefined : 'ConfigMalformed'])
    }
    expect(loadConfig(signer(`eip712Salt = "${'AB'.repeat(32)}"`)).covenantSigner.eip712Salt).toBe(
      `0x${'ab'.repeat(32)}`,
    )
    expect(loadConfig(signer('eip712Salt = " "')).covenantSigner.eip712Salt).toBeUndefined()
  })
})
