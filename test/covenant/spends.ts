import { concatBytes, fromHex, sha256 } from '../../src/base/bytes.js'
import type { Request } from '../../src/covenant/request.js'
import { buildSpend, type UnsignedSpend, withSighashType } from '../../src/covenant/spend.js'
import { parseTransaction } from '../../src/covenant/transaction.js'
import { makeSubmit, type SubmitOptions, signAs, some, type TestKey, testKey } from './factory.js'

/** The keys of the published figures (engine specification, section 9). */
export const figureKeys = { D: testKey(0x42), C: testKey(0x24), S: testKey(0x07) } as const

export type SpendOptions = SubmitOptions & {
  readonly maturityHeight?: bigint
  readonly delta2?: bigint
  readonly beta?: bigint
  readonly inputValueSats?: bigint
  readonly feeSats?: bigint
  readonly keys?: { readonly D: TestKey; readonly C: TestKey; readonly S: TestKey }
}

/** A request whose covenant and plan are as asked for; commitments are sound. */
export function spendRequest(options: SpendOptions = {}): Request {
  const { keys = figureKeys, maturityHeight = 912_345n, delta2 = 4320n, beta = 144n } = options
  const { inputValueSats = 1_000_000n, feeSats = 1_670n } = options
  const { route = 'self_v1' } = options
  const { request } = makeSubmit({
    ...options,
    signer: keys.S,
    edit(draft) {
      draft.maturityHeight = maturityHeight
      const template = {
        template: route,
        depositorPublicKey: keys.D.compressed,
        signerPublicKey: keys.S.compressed,
        delta2,
      }
      draft.scriptTemplate =
        route === 'qc_v1' ? { ...template, custodianPublicKey: keys.C.compressed, beta } : template
      const plan = some(draft.migrationTransactionPlan)
      plan.lockTime = Number(maturityHeight)
      plan.inputValueSats = inputValueSats
      plan.feeSats = feeSats
      plan.destinationValueSats = inputValueSats - feeSats - 330n
      if (draft.redeemDestination) {
        draft.redeemDestination.outputValueSats = plan.destinationValueSats
      }
      if (draft.renewDestination) {
        draft.renewDestination.outputValueSats = plan.destinationValueSats
      }
      options.edit?.(draft)
    },
  })
  return request
}

/** The requests of the published figures; their approvals are signed by other keys. */
export function figureRequest(route: 'self_v1' | 'qc_v1'): Request {
  const txid = `0x${Array.from({ length: 32 }, (_, at) => at.toString(16).padStart(2, '0')).join('')}`
  return spendRequest({
    route,
    activeOutpoint: { txid, vout: 0, scriptHash: '' },
    ...(route === 'self_v1'
      ? { inputValueSats: 1_000_000n, feeSats: 1_670n }
      : { inputValueSats: 2_000_000n, feeSats: 2_170n }),
  })
}

/** A DER signature over the spend, as a signer gives it. */
export function signSpend(spend: Pick<UnsignedSpend, 'sighash'>, key: TestKey): Uint8Array {
  return fromHex(signAs('der', spend.sighash, key.secret).slice(2))
}

/** A signature as a witness holds it. */
export function witnessSignature(spend: Pick<UnsignedSpend, 'sighash'>, key: TestKey): Uint8Array {
  return withSighashType(signSpend(spend, key))
}

/** A transaction whose output 1 is the covenant of a request that names it. */
export function fundedRequest(options: SpendOptions = {}): {
  readonly funding: Uint8Array
  readonly request: Request
} {
  const { scriptPubKey, inputValueSats } = buildSpend(spendRequest(options))
  const value = new Uint8Array(8)
  new DataView(value.buffer).setBigUint64(0, inputValueSats, true)
  // version | 1 input: txid, vout, no script, sequence | 2 outputs: 1000 sat to OP_TRUE, the covenant | lock time
  const funding = concatBytes(
    fromHex('0200000001'),
    sha256(new TextEncoder().encode(`funding ${options.seed ?? 1}`)),
    fromHex('0000000000ffffffff02e8030000000000000151'),
    value,
    Uint8Array.of(scriptPubKey.length),
    scriptPubKey,
    fromHex('00000000'),
  )
  const { txid } = parseTransaction(funding)
  const activeOutpoint = { txid: `0x${txid}`, vout: 1, scriptHash: '' }
  return { funding, request: spendRequest({ activeOutpoint, ...options }) }
}
