import { fromHex } from '../base/bytes.js'
import { HoldfastError } from '../base/errors.js'
import { approvalDigest } from './digest.js'
import type { CertificateSlot, Engine } from './engine.js'
import type { HeightGuard } from './height.js'
import type { Hex, IssueInput, SignerApproval } from './request.js'
import { deadline, type Scheduler } from './schedule.js'
import type { CertificateNote } from './store.js'
import { type IssueContext, validateIssue } from './validate-issue.js'
import type { Extend, WalletLocks } from './wallet-lock.js'

export type IssueDeps = IssueContext & {
  readonly engine: Required<Pick<Engine, 'issueSignerApprovalCertificate'>>
  readonly guard: HeightGuard
  readonly locks: WalletLocks
  readonly scheduler: Scheduler
  /** Resolves when the note is synced; nothing is signed when it rejects. */
  readonly record: (note: CertificateNote) => Promise<void>
  /** How long a call waits for its wallet before it is sent away. */
  readonly walletWaitMs: number
}

/**
 * Issues a signer approval certificate (covenant signer specification, 10.4).
 *
 * Reads top to bottom as the protocol: judge the approvals, derive the digest, check the wallet, and inside the
 * wallet's lock record and sign. Nothing is stored of the certificate; a lost answer is asked for again.
 *
 * @throws InvalidInput (400), IssuerBusy (503), and what engine, store and host chain throw (500)
 */
export async function issueCertificate(
  deps: IssueDeps,
  input: IssueInput,
  signal: AbortSignal,
): Promise<SignerApproval> {
  validateIssue(input, deps)
  const digest = approvalDigest(input.artifactApprovals.payload, deps.domain)
  const { endBlock } = input
  const walletPublicKeyHash = fromHex(input.walletPublicKeyHash.slice(2))
  const slot: CertificateSlot = {
    heightBlocks: async (until) => (await deps.guard.read(until)).claimed,
    alone: (walletKey, work) =>
      alone(deps, walletKey, signal, async (extend) => {
        await deps.record({ walletKey, approvalDigest: digest, endBlock })
        return work(extend)
      }),
  }
  const ask = { walletPublicKeyHash, approvalDigest: digest, endBlock }
  return deps.engine.issueSignerApprovalCertificate(ask, slot, signal)
}

/** Only the wait for the wallet is bounded here; a signing that has begun ends in its own time. */
async function alone<T>(
  { locks, scheduler, walletWaitMs }: IssueDeps,
  walletKey: Hex,
  signal: AbortSignal,
  work: (extend: Extend) => Promise<T>,
): Promise<T> {
  if (locks.isOverdue(walletKey)) throw new IssuerBusy(walletKey)
  const patience = deadline(scheduler, walletWaitMs, [signal])
  let hasBegun = false
  try {
    return await locks.run(walletKey, patience.signal, (extend) => {
      hasBegun = true
      return work(extend)
    })
  } catch (cause) {
    throw !hasBegun && patience.expired() ? new IssuerBusy(walletKey, cause) : cause
  } finally {
    patience.end()
  }
}

/** The wallet is being signed with; a certificate waits its turn for a bounded time only. */
export class IssuerBusy extends HoldfastError {
  readonly code = 'IssuerBusy'
  constructor(walletKey: string, cause?: unknown) {
    super(`wallet ${walletKey}: it is being signed with, want it free`, {
      retry: 'safe',
      remedy: 'Ask for the certificate again in a few seconds; nothing was signed.',
      cause,
    })
  }
}
