import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { decodeSubmit } from '../../src/covenant/decode.js'
import { approvalDigest, canonicalRequest, requestDigest } from '../../src/covenant/digest.js'
import { validateSubmit } from '../../src/covenant/validate.js'
import {
  encodeSubmit,
  makeContext,
  makeSubmit,
  type SubmitOptions,
  some,
  testDomain,
} from './factory.js'

type WorkedExample = {
  readonly canonicalRequestJson: string
  readonly requestDigest: string
  readonly approvalDigest: string
}
const worked = JSON.parse(
  readFileSync(new URL('../vectors/covenant_v2_worked_examples.json', import.meta.url), 'utf8'),
) as { readonly examples: Readonly<Record<string, WorkedExample>> }

const recipes: Readonly<Record<string, SubmitOptions>> = {
  self_v1_migration: {},
  qc_v1_migration: { route: 'qc_v1' },
  qc_v1_migration_with_certificate: { route: 'qc_v1', certificate: true },
  self_v1_redeem: { action: 'REDEEM' },
  self_v1_renew: { action: 'RENEW' },
  self_v1_presign: { requestType: 'presign_self_v1' },
  self_v1_mainnet_domain: { domain: { chainId: 1n } },
}

describe('the request factory of the covenant tests', () => {
  it.each(Object.keys(worked.examples))(
    'reproduces the worked example %s byte for byte',
    (name) => {
      const options = {
        ...some(recipes[name]),
        activeOutpoint: { txid: '0x0102', vout: 1, scriptHash: '0x0304' },
        seed: 123,
      }
      const { request } = makeSubmit(options)
      const example = some(worked.examples[name])
      expect(canonicalRequest(request)).toBe(example.canonicalRequestJson)
      expect(requestDigest(request)).toBe(example.requestDigest)
      const payload = some(request.artifactApprovals).payload
      expect(approvalDigest(payload, options.domain ?? testDomain)).toBe(example.approvalDigest)
    },
  )

  it('makes different requests of different seeds, and the same of the same', () => {
    const digests = Array.from({ length: 50 }, (_, seed) =>
      requestDigest(makeSubmit({ seed }).request),
    )
    expect(new Set(digests).size).toBe(50)
    expect(makeSubmit({ seed: 7, quote: true })).toEqual(makeSubmit({ seed: 7, quote: true }))
  })

  it('encodes bodies that decode to what was encoded', () => {
    const options: SubmitOptions = { route: 'qc_v1', certificate: true, quote: true }
    const input = makeSubmit(options)
    const decoded = decodeSubmit(encodeSubmit(input))
    expect(decoded).toEqual(input)
    expect(() => validateSubmit(decoded, 'qc_v1', makeContext(options))).not.toThrow()
  })
})
