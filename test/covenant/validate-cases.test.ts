import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeSubmit } from '../../src/covenant/decode.js'
import { InvalidInput } from '../../src/covenant/invalid-input.js'
import { normalizeRequest } from '../../src/covenant/normalize.js'
import type { SubmitInput } from '../../src/covenant/request.js'
import { noTrustRoots, parseTrustRoots, type QuoteRoot } from '../../src/covenant/trust.js'
import { type SubmitContext, validatePoll, validateSubmit } from '../../src/covenant/validate.js'
import { HostHeightUnavailable } from '../../src/covenant/validate-certificate.js'
import {
  draftOf,
  encodeSubmit,
  keys,
  makeContext,
  makeSubmit,
  pinningRoots,
  quoteIssuer,
  type SubmitOptions,
  seal,
  signQuote,
  some,
  testNowMs,
} from './factory.js'

const routeOf = (options: SubmitOptions) => options.route ?? 'self_v1'

/** The text a submit is refused with, or "accepted". */
function submit(
  options: SubmitOptions,
  context: Partial<SubmitContext> = {},
  input: SubmitInput = makeSubmit(options),
): string {
  return outcome(() =>
    validateSubmit(input, routeOf(options), { ...makeContext(options, input), ...context }),
  )
}

function poll(
  options: SubmitOptions,
  context: Partial<SubmitContext> & { readonly depositorEthAddress?: string } = {},
  input: SubmitInput = makeSubmit(options),
): string {
  const { domain, hostHeight } = { ...makeContext(options, input), ...context }
  const { depositorEthAddress } = context
  return outcome(() =>
    validatePoll({ ...input, requestId: 'kcs_qc_0' }, routeOf(options), {
      domain,
      hostHeight,
      depositorEthAddress,
    }),
  )
}

function outcome(validate: () => void): string {
  try {
    validate()
    return 'accepted'
  } catch (error) {
    if (error instanceof InvalidInput) return error.message
    throw error
  }
}

/** The same input with every hex digit in upper case; the prefix stays. */
function upperCased(input: SubmitInput): SubmitInput {
  const text = new TextDecoder().decode(encodeSubmit(input))
  const upper = text.replace(/"0x[0-9a-f]*"/g, (hex) => `"0x${hex.slice(3).toUpperCase()}`)
  return decodeSubmit(new TextEncoder().encode(upper))
}

const routes = ['self_v1', 'qc_v1'] as const
const qcFull: SubmitOptions = { route: 'qc_v1', certificate: true, quote: true }

describe('acceptance', () => {
  it.each(['REDEEM', 'RENEW'] as const)(
    'takes %s without a quote where quote roots are configured, and ignores one that is sent (B3)',
    (action) => {
      const options: SubmitOptions = { route: 'qc_v1', action }
      const roots = parseTrustRoots({ migrationPlanQuoteTrustRoots: [quoteIssuer] })
      expect(submit(options, { trustRoots: roots })).toBe('accepted')
      const quoted = draftOf(makeSubmit(options))
      quoted.request.migrationPlanQuote = {
        ...some(makeSubmit({ quote: true }).request.migrationPlanQuote),
        quoteVersion: 9,
      }
      expect(submit(options, { trustRoots: roots }, quoted)).toBe('accepted')
      expect(poll(options, {}, quoted)).toBe('accepted')
    },
  )

  it.each(routes)('takes a %s body in upper case, at submit and at poll (B5, F1)', (route) => {
    const options: SubmitOptions = { ...qcFull, route, depositorForm: 'ethereum' }
    const input = upperCased(makeSubmit(options))
    expect(input.request.reserve).toBe(
      makeSubmit(options).request.reserve.toUpperCase().replace('X', 'x'),
    )
    const trustRoots = pinningRoots(makeSubmit(options), options)
    expect(submit(options, { trustRoots }, input)).toBe('accepted')
    const depositorEthAddress = keys.depositor.ethAddress.toUpperCase().replace('X', 'x')
    expect(poll(options, { depositorEthAddress }, input)).toBe('accepted')
  })

  it('takes approvals in the order C, D while artifactSignatures stay in the order D, C (F1)', () => {
    const input = draftOf(makeSubmit({ route: 'qc_v1' }))
    some(some(input.request.artifactApprovals).approvals).reverse()
    expect(submit({ route: 'qc_v1' }, {}, input)).toBe('accepted')
    expect(poll({ route: 'qc_v1' }, {}, input)).toBe('accepted')
  })

  it('takes what normalisation makes of a request it took', () => {
    const input = upperCased(makeSubmit(qcFull))
    const normalised = { ...input, request: normalizeRequest(input.request) }
    expect(submit(qcFull, {}, normalised)).toBe('accepted')
  })

  it.each(routes)(
    'takes %s with its depositor pinned, in mixed case and upper-case network (B6)',
    (route) => {
      const options: SubmitOptions = { route }
      const trustRoots = parseTrustRoots({
        depositorTrustRoots: [
          {
            route,
            reserve: makeSubmit().request.reserve,
            network: ' REGTEST ',
            publicKey: keys.depositor.compressed.toUpperCase().replace('X', 'x'),
          },
        ],
      })
      expect(submit(options, { trustRoots })).toBe('accepted')
    },
  )

  it('takes qc_v1 with its custodian pinned, alone and beside the depositor (B6)', () => {
    const both = pinningRoots(makeSubmit({ route: 'qc_v1' }))
    expect(submit({ route: 'qc_v1' }, { trustRoots: both })).toBe('accepted')
    const custodian = { ...both, depositorTrustRoots: [] }
    expect(submit({ route: 'qc_v1' }, { trustRoots: custodian })).toBe('accepted')
  })

  it('asks self_v1 for no custodian root', () => {
    const { custodianTrustRoots } = pinningRoots(makeSubmit({ route: 'qc_v1' }))
    expect(submit({}, { trustRoots: { ...noTrustRoots, custodianTrustRoots } })).toBe('accepted')
  })

  it.each(['MIGRATION', 'REDEEM', 'RENEW'] as const)(
    'takes a wallet-signed %s under a pinned address, at submit and at poll (B8, F4)',
    (action) => {
      const options: SubmitOptions = { action, depositorForm: 'ethereum', domain: { chainId: 1n } }
      expect(submit(options)).toBe('accepted')
      const { ethAddress } = keys.depositor
      expect(poll(options, { depositorEthAddress: ethAddress })).toBe('accepted')
    },
  )

  it.each(['der', 'compact', 'recoverable', 'ethereum'] as const)(
    'takes a depositor who signs as %s with the script key',
    (depositorForm) => {
      expect(submit({ depositorForm }, { trustRoots: noTrustRoots })).toBe('accepted')
    },
  )

  it('does not read the script key of a wallet-signed poll as a point', () => {
    const options: SubmitOptions = {
      depositorForm: 'ethereum',
      edit: (request) => {
        Object.assign(request.scriptTemplate, { depositorPublicKey: '0x02' })
      },
    }
    const depositorEthAddress = keys.depositor.ethAddress
    expect(poll(options, { depositorEthAddress })).toBe('accepted')
    expect(poll(options)).toContain('must be a compressed secp256k1 public key')
  })

  it('takes an endBlock above 2^32 at submit and poll, up to the last of 64 bits (B9)', () => {
    for (const endBlock of [2n ** 32n + 123_456n, 2n ** 64n - 1n]) {
      const options: SubmitOptions = { route: 'qc_v1', certificate: { endBlock } }
      const input = decodeSubmit(encodeSubmit(makeSubmit(options)))
      expect(input.request.signerApproval?.endBlock).toBe(endBlock)
      expect(submit(options, { hostHeight: 2n ** 32n + 123_456n }, input)).toBe('accepted')
      expect(poll(options, { hostHeight: 2n ** 32n + 123_456n }, input)).toBe('accepted')
    }
  })

  it('takes blanks around a network, and ids of 255 characters', () => {
    const edit: SubmitOptions['edit'] = (request) => {
      some(request.migrationDestination).network = ' regtest\n'
      request.facadeRequestId = 'a'.repeat(255)
      request.idempotencyKey = 'Z_9-'
    }
    expect(submit({ ...qcFull, edit })).toBe('accepted')
  })
})

describe('script template', () => {
  const decoded = (template: object) => {
    const draft = {
      ...makeSubmit(),
      request: { ...makeSubmit().request, scriptTemplate: template },
    }
    return decodeSubmit(encodeSubmit(draft))
  }
  const { scriptTemplate } = makeSubmit().request

  it('is invalid with an extra field, which waits for its turn (C17, G2)', () => {
    const input = decoded({ ...scriptTemplate, extra: 1n })
    expect(submit({}, {}, input)).toMatch(/^request\.scriptTemplate is invalid for self_v1: /)
    const broken = { ...input, stage: '' }
    expect(submit({}, {}, broken)).toBe('stage must be SIGNER_COORDINATION')
  })

  it('is invalid with the fields of the other route', () => {
    const input = decoded({ ...makeSubmit({ route: 'qc_v1' }).request.scriptTemplate })
    expect(submit({}, {}, input)).toMatch(/^request\.scriptTemplate is invalid for self_v1: /)
    const typed = draftOf(makeSubmit())
    typed.request.scriptTemplate = {
      ...makeSubmit({ route: 'qc_v1' }).request.scriptTemplate,
      template: 'self_v1',
    } as typeof typed.request.scriptTemplate
    expect(submit({}, {}, typed)).toMatch(/^request\.scriptTemplate is invalid for self_v1: /)
  })

  it('of null leads to the text of the template name', () => {
    const text = new TextDecoder().decode(encodeSubmit(makeSubmit()))
    const body = text.replace(/"scriptTemplate":\{[^}]*\}/, '"scriptTemplate":null')
    const input = decodeSubmit(new TextEncoder().encode(body))
    expect(submit({}, {}, input)).toBe('request.scriptTemplate.template must be self_v1')
  })
})

describe('trust roots', () => {
  it.each(routes)('refuse %s for a reserve or network that is not listed (C11)', (route) => {
    const listed = makeSubmit({ route })
    const trustRoots = pinningRoots(listed)
    const elsewhere: SubmitOptions = {
      route,
      edit: (request) => {
        request.reserve = `0x${'8'.repeat(40)}`
        some(request.migrationDestination).reserve = request.reserve
      },
    }
    const other: SubmitOptions = {
      route,
      edit: (request) => {
        some(request.migrationDestination).network = 'mainnet'
      },
    }
    const text = `request.scriptTemplate.depositorPublicKey requires a matching configured depositorTrustRoots entry for ${route}`
    expect(submit(elsewhere, { trustRoots })).toBe(text)
    expect(submit(other, { trustRoots })).toBe(text)
    expect(poll(elsewhere)).toBe('accepted')
  })

  it('hold the template to the pinned key also where an address is pinned (C11)', () => {
    const options: SubmitOptions = { depositorForm: 'ethereum' }
    const roots = makeContext(options).trustRoots
    const [root] = roots.depositorTrustRoots
    const trustRoots = {
      ...roots,
      depositorTrustRoots: [{ ...some(root), publicKey: keys.other.compressed }],
    }
    expect(submit(options, { trustRoots })).toBe(
      'request.scriptTemplate.depositorPublicKey must match the configured depositorTrustRoots publicKey for self_v1',
    )
  })

  it('refuse a script-key signature where an address is pinned', () => {
    const trustRoots = makeContext({ depositorForm: 'ethereum' }).trustRoots
    expect(submit({ depositorForm: 'compact' }, { trustRoots })).toBe(
      'request.artifactApprovals.approvals[0].signature must be a 65-byte secp256k1 signature',
    )
  })

  it('bind an approval to chain and salt', () => {
    const text = 'does not verify against the required public key'
    expect(submit({}, { domain: { chainId: 1n } })).toContain(text)
    expect(poll({}, { domain: { chainId: 0n } })).toContain(text)
  })
})

describe('certificate', () => {
  it('is good up to and with its endBlock, at submit and at poll (C10, F5)', () => {
    for (const run of [submit, poll]) {
      expect(run(qcFull, { hostHeight: 1n })).toBe('accepted')
      expect(run(qcFull, { hostHeight: 123_456n })).toBe('accepted')
      const expired = 'signer approval certificate has expired'
      expect(run(qcFull, { hostHeight: 123_457n })).toBe(expired)
    }
  })

  it('is refused without a height, after every other rule but the last (D1, D2)', () => {
    for (const run of [submit, poll]) {
      const refused = () => run(qcFull, { hostHeight: undefined })
      expect(refused).toThrow(HostHeightUnavailable)
      expect(refused).toThrow('no current block height is available')
    }
    const unverified = { hostHeight: undefined, verifiesCertificates: false }
    expect(() => submit(qcFull, unverified)).toThrow(HostHeightUnavailable)
    const broken = { ...makeSubmit(qcFull), stage: '' }
    expect(submit(qcFull, { hostHeight: undefined }, broken)).toContain('stage must be')
  })

  it('needs no height where there is none', () => {
    expect(submit({}, { hostHeight: undefined })).toBe('accepted')
    expect(poll({}, { hostHeight: undefined })).toBe('accepted')
  })

  it('over a payload whose hashes are no hashes is answered with the text of the payload', () => {
    const input = draftOf(makeSubmit(qcFull))
    some(input.request.artifactApprovals).payload.planCommitmentHash = '0x11'
    const text =
      'request.artifactApprovals.payload.planCommitmentHash must be a 32-byte 0x-prefixed hex string'
    expect(submit(qcFull, {}, input)).toBe(text)
  })

  it('may name an empty list of members', () => {
    const input = draftOf(makeSubmit(qcFull))
    some(input.request.signerApproval).activeMembers = []
    some(input.request.signerApproval).inactiveMembers = []
    expect(submit(qcFull, {}, input)).toBe('accepted')
  })
})

describe('plan quote', () => {
  const options: SubmitOptions = { quote: true }
  const rootsWith = (
    publicKeyPem: string,
    keyId = quoteIssuer.keyId,
  ): SubmitContext['trustRoots'] => ({
    ...noTrustRoots,
    migrationPlanQuoteTrustRoots: [{ keyId, publicKeyPem }],
  })
  const pemOf = (key: KeyObject, type: 'spki' | 'pkcs8') =>
    key.export({ type, format: 'pem' }).toString()

  it('is accepted up to and with its last millisecond, and at poll for ever (B7, C12, F3)', () => {
    const last = testNowMs + 900_000
    expect(submit(options, { nowMs: last })).toBe('accepted')
    expect(submit(options, { nowMs: last + 1 })).toBe('request.migrationPlanQuote is expired')
    expect(poll(options, { nowMs: last + 1 })).toBe('accepted')
    expect(poll(options, { trustRoots: noTrustRoots })).toBe('accepted')
  })

  it('is needed at submit only where issuers are configured (C12, F3)', () => {
    const trustRoots = rootsWith(quoteIssuer.publicKeyPem)
    expect(submit({}, { trustRoots })).toContain('is required when migrationPlanQuoteTrustRoots')
    expect(poll({}, { trustRoots })).toBe('accepted')
  })

  it('is checked with a PEM that is written with \\n, with CR LF, or with blanks around', () => {
    const pem = quoteIssuer.publicKeyPem
    for (const form of [pem.replaceAll('\n', '\\n'), pem.replaceAll('\n', '\r\n'), ` ${pem} `]) {
      expect(submit(options, { trustRoots: rootsWith(form) })).toBe('accepted')
    }
  })

  it('names a root whose key cannot be used, when the quote needs it (I7)', () => {
    const ed25519 = generateKeyPairSync('ed25519')
    const elliptic = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
    const root = 'migrationPlanQuoteTrustRoots[0].publicKeyPem must be a PEM-encoded '
    const garbage = '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n'
    for (const pem of ['', garbage, pemOf(ed25519.privateKey, 'pkcs8')]) {
      expect(submit(options, { trustRoots: rootsWith(pem) })).toBe(`${root}public key`)
    }
    const notEd25519 = rootsWith(pemOf(elliptic.publicKey, 'spki'))
    expect(submit(options, { trustRoots: notEd25519 })).toBe(`${root}Ed25519 public key`)
    expect(submit(options, { trustRoots: rootsWith('', 'another') })).toContain(
      'keyId does not match',
    )
  })

  it('is checked with the first root of its key id', () => {
    const good: QuoteRoot = quoteIssuer
    const bad: QuoteRoot = { keyId: good.keyId, publicKeyPem: 'no PEM' }
    const other: QuoteRoot = { keyId: 'another', publicKeyPem: 'no PEM' }
    const within = (...list: QuoteRoot[]) => ({
      trustRoots: { ...noTrustRoots, migrationPlanQuoteTrustRoots: list },
    })
    expect(submit(options, within(other, good, bad))).toBe('accepted')
    expect(submit(options, within(other, bad, good))).toContain('migrationPlanQuoteTrustRoots[1]')
  })

  it('may differ in letter case of hex and in blanks around the network', () => {
    const input = draftOf(makeSubmit(options))
    const quote = some(input.request.migrationPlanQuote)
    quote.network = ' regtest '
    quote.planCommitmentHash = quote.planCommitmentHash.toUpperCase().replace('X', 'x')
    const nested = some(quote.migrationTransactionPlan)
    nested.planCommitmentHash = quote.planCommitmentHash
    quote.signature.signature = signQuote(quote).toUpperCase().replace('X', 'x')
    expect(submit(options, {}, input)).toBe('accepted')
  })

  it('must carry the reservation id byte for byte', () => {
    const input = draftOf(makeSubmit(options))
    const quote = some(input.request.migrationPlanQuote)
    quote.reservationId = `${quote.reservationId} `
    quote.signature.signature = signQuote(quote)
    expect(submit(options, {}, input)).toContain('reservationId must match')
  })

  it('takes every moment that Date.toISOString writes in years 0 to 9999', () => {
    const min = new Date('0000-01-01T00:00:00.000Z')
    const max = new Date('9999-12-31T23:00:00.000Z')
    fc.assert(
      fc.property(fc.date({ min, max, noInvalidDate: true }), (date) => {
        const dated: SubmitOptions = { quote: { issuedAtMs: date.getTime() } }
        expect(submit(dated, { nowMs: date.getTime() })).toBe('accepted')
      }),
      { numRuns: 100 },
    )
  })

  it.each([
    '2026-01-01T00:00:60.000Z',
    '2026-01-01T00:60:00.000Z',
    '2025-02-29T00:00:00.000Z',
    '2026-13-01T00:00:00.000Z',
    '2026-00-01T00:00:00.000Z',
    '2026-04-31T00:00:00.000Z',
  ])('refuses %s, which is no time of any day', (issuedAt) => {
    const input = draftOf(makeSubmit(options))
    some(input.request.migrationPlanQuote).issuedAt = issuedAt
    expect(poll(options, {}, input)).toBe(
      'request.migrationPlanQuote.issuedAt must be a parseable UTC ISO-8601 timestamp',
    )
  })

  it.each([
    '2026-01-01T00:00:00.000z',
    '2026-01-01 00:00:00.000Z',
    '2026-01-01T00:00:00.0000Z',
    '+002026-01-01T00:00:00.000Z',
    '2026-01-01T00:00:00.000Z\n',
    '',
  ])('refuses %j, which Date.toISOString never writes', (expiresAt) => {
    const input = draftOf(makeSubmit(options))
    some(input.request.migrationPlanQuote).expiresAt = expiresAt
    expect(poll(options, {}, input)).toBe(
      'request.migrationPlanQuote.expiresAt must be a UTC ISO-8601 timestamp from Date.toISOString()',
    )
  })
})

describe('plan sums', () => {
  const uint64 = fc.oneof(
    fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
    fc.bigInt({ min: 1n, max: 5000n }),
    fc.bigInt({ min: 2n ** 64n - 400n, max: 2n ** 64n - 1n }),
  )

  it('accept a plan exactly where input = destination + 330 + fee without wrapping at 64 bits', () => {
    const wrapped = (value: bigint) => BigInt.asUintN(64, value)
    fc.assert(
      fc.property(uint64, uint64, uint64, fc.boolean(), (destination, fee, any, exact) => {
        const sum = destination + 330n + fee
        const input = exact ? wrapped(sum) : any
        const draft = draftOf(makeSubmit())
        const plan = some(draft.request.migrationTransactionPlan)
        plan.inputValueSats = input
        plan.destinationValueSats = destination
        plan.feeSats = fee
        seal(draft.request)
        const holds = input === sum
        if (input !== 0n) expect(submit({}, {}, draft) === 'accepted').toBe(holds)
      }),
      { numRuns: 300 },
    )
  })
})
