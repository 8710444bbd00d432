import { describe, expect, it } from 'vitest'
import { fromHex, toHex } from '../../src/base/bytes.js'
import {
  completeHandoff,
  handoffBundle,
  handoffContext,
  handoffPayloadHash,
  verifyHandoff,
} from '../../src/covenant/handoff.js'
import { InvalidInput } from '../../src/covenant/invalid-input.js'
import { buildSpend } from '../../src/covenant/spend.js'
import { checkSpend } from '../../src/covenant/spend-check.js'
import { judgeByBcoin, judgeByBitcore } from './interpreters.js'
import { figureKeys, figureRequest, signSpend, spendRequest } from './spends.js'

const { C, D, S } = figureKeys
const request = figureRequest('qc_v1')
const spend = buildSpend(request)
const { destinationCommitmentHash } = request
const job = { requestId: 'kcs_qc_0011223344556677', destinationCommitmentHash }
const bundle = handoffBundle(spend, signSpend(spend, S), job)
/** As a client reads it. */
const wired = (): Record<string, unknown> => JSON.parse(JSON.stringify(bundle))
const verdict = (changed: Record<string, unknown>, of = request): string => {
  const judged = verifyHandoff(changed, of)
  return judged.kind === 'valid' ? 'valid' : judged.reason
}

describe('the handoff bundle', () => {
  it('has the published payload hash', () => {
    const published = handoffBundle(spend, signSpend(spend, S), {
      requestId: 'any',
      destinationCommitmentHash: `0x${'ab'.repeat(32)}`,
    })
    const hash = '0x749af147c6e580681409cc0d84d137f92b9c56a20e37a336c303270d2078b9a5'
    expect(published.payloadHash).toBe(hash)
    expect(published.bundleId).toBe(hash)
  })

  it('has the fields of the wire and no other', () => {
    expect(wired()).toEqual({
      kind: 'qc_v1_signer_handoff_v1',
      signerRequestId: job.requestId,
      bundleId: bundle.payloadHash,
      destinationCommitmentHash,
      payloadHash: bundle.payloadHash,
      unsignedTransactionHex: `0x${toHex(spend.unsignedTransaction)}`,
      witnessScript: `0x${toHex(spend.witnessScript)}`,
      signerSignature: `0x${toHex(signSpend(spend, S))}01`,
      selectorWitnessItems: ['0x01', '0x'],
      requiresDummy: true,
      sighashType: 1,
    })
  })

  it('hashes everything that a custodian acts on', () => {
    for (const field of ['unsignedTransactionHex', 'witnessScript', 'signerSignature'] as const) {
      expect(handoffPayloadHash({ ...bundle, [field]: '0x00' })).not.toBe(bundle.payloadHash)
    }
    const other = { ...bundle, destinationCommitmentHash: '0x00' }
    expect(handoffPayloadHash(other)).not.toBe(bundle.payloadHash)
  })

  it('leaves value and keys to a context beside it', () => {
    expect(handoffContext(request)).toEqual({
      inputValueSats: 2_000_000n,
      signerPublicKey: S.compressed,
      custodianPublicKey: C.compressed,
    })
    expect(() => handoffContext(figureRequest('self_v1'))).toThrow(InvalidInput)
  })
})

describe('a custodian', () => {
  it('completes the bundle to a spend that both interpreters take', () => {
    const judged = verifyHandoff(wired(), request)
    if (judged.kind !== 'valid') throw new RangeError(`test: refused for ${judged.reason}`)
    const signature = signSpend(judged.spend, C)
    const transaction = completeHandoff(judged.spend, judged.bundle, signature)
    const { scriptPubKey, inputValueSats: valueSats } = judged.spend
    const finished = { transaction, scriptPubKey, valueSats }
    expect(checkSpend(finished).kind).toBe('valid')
    expect([judgeByBcoin(finished), judgeByBitcore(finished)]).toEqual(['ok', 'ok'])
  })

  it('can build the same spend from the bundle alone', () => {
    const read = wired() as { unsignedTransactionHex: string; witnessScript: string }
    const own = {
      ...spend,
      unsignedTransaction: fromHex(read.unsignedTransactionHex.slice(2)),
      witnessScript: fromHex(read.witnessScript.slice(2)),
    }
    const made = completeHandoff(own, bundle, signSpend(spend, C))
    expect(toHex(made)).toBe(toHex(completeHandoff(spend, bundle, signSpend(spend, C))))
  })

  const rehashed = (change: Record<string, unknown>): Record<string, unknown> => {
    const changed = { ...bundle, ...change }
    const payloadHash = handoffPayloadHash(changed)
    return { ...changed, payloadHash, bundleId: payloadHash }
  }
  it.each([
    ['another kind', { ...bundle, kind: 'qc_v1_signer_handoff_v2' }, 'form'],
    ['a field too many', { ...bundle, more: 1 }, 'form'],
    ['a field too few', { ...bundle, sighashType: undefined }, 'form'],
    ['another sighash type', { ...bundle, sighashType: 3 }, 'form'],
    ['other selectors', { ...bundle, selectorWitnessItems: ['0x', '0x01'] }, 'form'],
    ['upper-case hex', { ...bundle, witnessScript: bundle.witnessScript.toUpperCase() }, 'form'],
    ['a hash of something else', { ...bundle, signerSignature: '0x01' }, 'payloadHash'],
    ['another bundle id', { ...bundle, bundleId: `0x${'00'.repeat(32)}` }, 'payloadHash'],
    ['another destination', rehashed({ destinationCommitmentHash: '0x00' }), 'destination'],
    ['another script', rehashed({ witnessScript: '0x51' }), 'witnessScript'],
    ['another transaction', rehashed({ unsignedTransactionHex: '0x00' }), 'unsignedTransaction'],
    [
      'the signature of somebody else',
      rehashed({ signerSignature: `0x${toHex(signSpend(spend, D))}01` }),
      'signerSignature',
    ],
    [
      'another sighash type in the signature',
      rehashed({ signerSignature: `0x${toHex(signSpend(spend, S))}02` }),
      'signerSignature',
    ],
  ])('refuses %s', (_, changed, reason) => {
    expect(verdict(changed)).toBe(reason)
  })

  it('refuses a bundle that answers another request', () => {
    expect(verdict(wired())).toBe('valid')
    expect(verdict(wired(), spendRequest({ route: 'qc_v1', seed: 2 }))).not.toBe('valid')
    const dearer = spendRequest({
      route: 'qc_v1',
      activeOutpoint: request.activeOutpoint,
      inputValueSats: 2_000_001n,
      feeSats: 2_171n,
    })
    // The same transaction, but not the same sighash: the value is signed too.
    expect(verdict(wired(), dearer)).toBe('signerSignature')
  })
})
