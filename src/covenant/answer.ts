import { HoldfastError } from '../base/errors.js'
import { type HeightGuard, heightForCertificate } from './height.js'
import { type Job, type StepResult, stepResult } from './job.js'
import type { SignerApproval } from './request.js'
import type { Fence, FindOutcome } from './store.js'
import { checkCertificateTimely } from './validate-certificate.js'

/**
 * What a client is told of a job, unless its certificate has lapsed: then not even a finished result is shown.
 *
 * @throws InvalidInput, HostHeightUnavailable
 */
export async function answerFor(
  guard: HeightGuard,
  job: Job,
  signal: AbortSignal,
): Promise<StepResult> {
  await requireTimely(guard, job.request.signerApproval, signal)
  return stepResult(job)
}

/** Reads the height and holds a certificate against it. @throws InvalidInput, HostHeightUnavailable */
export async function requireTimely(
  guard: HeightGuard,
  certificate: SignerApproval | undefined,
  signal: AbortSignal,
): Promise<void> {
  checkCertificateTimely(certificate, await heightForCertificate(guard, certificate, signal))
}

/** @throws JobNotFound, KeyFenced */
export function requireFound(found: FindOutcome): Job {
  if (found.kind === 'found') return found.job
  throw found.kind === 'absent' ? new JobNotFound() : new KeyFenced(found.fence)
}

/** No such job (HTTP status 404); `message` is the exact text of the answer's body. */
export class JobNotFound extends HoldfastError {
  readonly code = 'JobNotFound'
  constructor() {
    super('covenant signer job not found', {
      retry: 'after-fix',
      remedy: 'Check the request id and the route; submit the request when it never was.',
    })
  }
}

/** The record of a key cannot be trusted, so nothing is said or signed for it (HTTP status 503). */
export class KeyFenced extends HoldfastError {
  readonly code = 'KeyFenced'
  /** Id of the quarantine record that closes the key. */
  readonly recordId: string
  constructor({ recordId, reason }: Fence) {
    super(`covenant signer job is closed by quarantine record ${recordId}: ${reason}`, {
      retry: 'after-fix',
      remedy: 'Let an operator resolve the named record, then send the same request again.',
    })
    this.recordId = recordId
  }
}
