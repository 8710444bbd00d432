import { normalizedDigest } from './digest.js'
import { type JobIdentity, outpointOf, type RequestId, timestamp, walletKeyOf } from './job.js'
import type { Request, Route } from './request.js'

/** What a job is made from, besides what its request says by itself. */
export type JobOrigin = {
  readonly requestId: RequestId
  readonly route: Route
  readonly routeRequestId: string
  readonly depositorEthAddress: string
  /** Normalised. */
  readonly request: Request
  readonly nowMs: number
}

/** The fixed part of a job for a normalised request. @throws RangeError unless its outpoint is hex */
export function identityOf(origin: JobOrigin): JobIdentity {
  // Field by field: taking one out and spreading the rest is a twentieth of the work of a submit.
  const { requestId, route, routeRequestId, depositorEthAddress, request, nowMs } = origin
  return {
    requestId,
    route,
    routeRequestId,
    requestDigest: normalizedDigest(request),
    depositorEthAddress,
    outpoint: outpointOf(request.activeOutpoint),
    walletKey: walletKeyOf(request.scriptTemplate),
    endBlock: request.signerApproval?.endBlock ?? undefined,
    createdAt: timestamp(nowMs),
    request,
  }
}
