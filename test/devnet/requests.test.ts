import { describe, expect, it } from 'vitest'
import type { DevnetWallet } from '../../devnet/evm-wallets.js'
import { requestJson } from '../../devnet/request-json.js'
import { devnetSecrets } from '../../devnet/request-keys.js'
import {
  covenantOutput,
  covenantRequest,
  devnetTrustRoots,
  type RequestOptions,
} from '../../devnet/requests.js'
import { devnetDomain } from '../../devnet/stack-files.js'
import { hash160, publicKeyOf } from '../../src/base/curve.js'
import { decodeSubmit } from '../../src/covenant/decode.js'
import type { Route } from '../../src/covenant/request.js'
import { buildSpend } from '../../src/covenant/spend.js'
import { parseTrustRoots } from '../../src/covenant/trust.js'
import { validateSubmit } from '../../src/covenant/validate.js'

const nowMs = 1_767_323_045_678
const compressedKey = publicKeyOf(devnetSecrets.wallet)
const wallet: DevnetWallet = {
  secret: devnetSecrets.wallet,
  compressedKey,
  pkh20: hash160(compressedKey),
  x: '0x',
  y: '0x',
  walletId: `0x${'01'.repeat(32)}`,
  members: [1],
  membersIdsHash: `0x${'02'.repeat(32)}`,
}

function options(route: Route): RequestOptions {
  const terms = { route, walletKey: compressedKey, maturityHeight: 1500 }
  const covenant = { ...terms, txid: 'ab'.repeat(32), vout: 0, valueSats: 1_000_000n }
  return { covenant, wallet, name: 'one', domain: devnetDomain }
}

function judge(route: Route, more: Partial<RequestOptions>, quotes: boolean): void {
  const input = covenantRequest({ ...options(route), ...more })
  const trustRoots = parseTrustRoots(devnetTrustRoots(route, { quotes }))
  const context = { trustRoots, domain: devnetDomain, verifiesCertificates: true }
  validateSubmit(input, route, { ...context, hostHeight: 40n, nowMs })
}

describe('requests of the devnet', () => {
  for (const route of ['self_v1', 'qc_v1'] as const) {
    it(`are accepted by every rule under their trust roots: ${route}`, () => {
      expect(() => judge(route, {}, false)).not.toThrow()
      expect(() => judge(route, { quotedAtMs: nowMs }, true)).not.toThrow()
    })

    it(`lack a quote unless one is asked for: ${route}`, () => {
      expect(() => judge(route, {}, true)).toThrow('migrationPlanQuote')
    })

    it(`come whole out of their JSON: ${route}`, () => {
      const input = covenantRequest({ ...options(route), quotedAtMs: nowMs })
      expect(decodeSubmit(new TextEncoder().encode(requestJson(input)))).toEqual(input)
    })

    it(`spend the output that they are made for: ${route}`, () => {
      const made = options(route)
      const { request } = covenantRequest(made)
      expect(buildSpend(request).scriptPubKey).toEqual(covenantOutput(made.covenant))
    })
  }
})
