import { createHash } from 'node:crypto'
import { decodeRequest } from '../covenant/decode.js'
import { canonicalRequest } from '../covenant/digest.js'
import { type JobIdentity, outpointOf, requestIdOf } from '../covenant/job.js'
import type { Hex } from '../covenant/request.js'
import type { Intent } from '../covenant/store.js'

const digits = (text: string): string => createHash('sha256').update(text).digest('hex')

/**
 * A job with a small request that no rule of validation would pass; the same arguments give the same key,
 * digest and outpoint.
 *
 * @param options.attempt makes another id and time, as a second submit of the same request does
 * @param options.payload changes the request and its digest, but not its key
 */
export function sampleJob(
  number: number,
  options: {
    readonly attempt?: number
    readonly payload?: string
    readonly outpoint?: number
  } = {},
): JobIdentity {
  const { attempt = 0, payload = '', outpoint = number } = options
  const activeOutpoint = { txid: `0x${digits(`outpoint ${outpoint}`)}`, vout: 1, scriptHash: '' }
  const body = {
    facadeRequestId: `facade ${number} ${payload}`,
    idempotencyKey: `idempotency ${number}`,
    route: 'self_v1',
    action: 'REDEEM',
    epoch: 18446744073709551615n,
    activeOutpoint,
    artifacts: { recovery: { psbtHash: '0x01' } },
    scriptTemplate: { template: 'self_v1', signerPublicKey: `0x02${digits(`key ${number % 3}`)}` },
    signing: { signerRequired: true, custodianRequired: false },
  }
  const text = JSON.stringify(body, (_, value) =>
    typeof value === 'bigint' ? 'BIG' : value,
  ).replace('"BIG"', '18446744073709551615')
  const request = decodeRequest(Buffer.from(text))
  return {
    requestId: requestIdOf(
      'self_v1',
      Buffer.from(digits(`id ${number} ${attempt}`).slice(0, 16), 'hex'),
    ),
    route: 'self_v1',
    routeRequestId: `route request "${number}" \u00fc`,
    requestDigest: sha256(`covenant-signer-request-v1:${canonicalRequest(request)}`),
    depositorEthAddress: attempt % 2 === 0 ? '0x00000000000000000000000000000000000000aa' : '',
    outpoint: outpointOf(activeOutpoint),
    walletKey: `0x02${digits(`key ${number % 3}`)}`,
    endBlock: number % 2 === 0 ? 20_000_000n + BigInt(number) : undefined,
    createdAt: `2026-01-02T03:04:${String(attempt % 60).padStart(2, '0')}Z`,
    request,
  }
}

/** What might be signed for a job. */
export function sampleIntent(job: JobIdentity, plan = 1): Intent {
  const { outpoint } = job
  const unsignedTransaction: Hex = `0x0200${digits(`transaction ${plan}`)}`
  return { outpoint, sighash: sha256(`sighash ${outpoint} ${plan}`), unsignedTransaction }
}

function sha256(text: string): Hex {
  return `0x${digits(text)}`
}
