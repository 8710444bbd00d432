import { toHex } from '../base/bytes.js'
import { hash160 } from '../base/curve.js'
import { throwIfAborted } from '../base/errors.js'
import type { BitcoinReader } from '../chain/bitcoin/reader.js'
import { ChainUnavailable, type WalletReader } from '../chain/ethereum/reader.js'
import { artefactOf, publishedArtefact } from './artefact.js'
import { findWallet, signCertificate, signerKeyOf, verifyApproval } from './certificate.js'
import { isSigningState } from './covenant-wallet.js'
import type { Engine, Finished, Prepared } from './engine.js'
import { InvalidInput } from './invalid-input.js'
import type { Job } from './job.js'
import { awayVerdict, findCovenantOutput, type OutputVerdict, transactionOf } from './outpoint.js'
import type { ApprovalDomain, Hex } from './request.js'
import { witnessScript, witnessScriptHashOutput } from './script.js'
import { createSightings } from './sightings.js'
import type { Signer } from './signer.js'
import { buildSpend, type SpendLimits, templateOf, type UnsignedSpend } from './spend.js'
import type { Intent } from './store.js'

/**
 * Whether covenants may be signed at all (engine specification, 2.1): to a Bridge without a defence such a signature is
 * a fraud that costs the wallet its stake.
 */
export type SigningGate = {
  readonly confirmed: boolean
  /** The Bridge whose defence was confirmed; 20 bytes. Wanted when `confirmed`. */
  readonly bridgeAddress: string | undefined
}

export type SigningEngineDeps = {
  readonly wallets: WalletReader
  readonly bitcoin: BitcoinReader
  readonly signer: Signer
  readonly gate: SigningGate
  /** The domain of approval digests. */
  readonly domain: ApprovalDomain
  /** Members of a wallet that must sign together; the live network has 51. */
  readonly honestThreshold: number
  /** Depth of the covenant output in blocks; 0 or absent stands for 6. */
  readonly minConfirmations?: number
  /** Highest fee that is signed for, in satoshis; default 1 000 000. */
  readonly feeSatsMax?: bigint
}

const usualConfirmations = 6
const usualFeeSatsMax = 1_000_000n
const signerAway = 'the signer could not say whether it holds the wallet; it is asked again'

/**
 * The engine that signs covenants: it reads both chains, builds the one spend of a request, and verifies what was signed.
 *
 * @throws RangeError when the gate is open for no Bridge in particular
 */
export function signingEngine(deps: SigningEngineDeps): Engine {
  const { wallets, gate, feeSatsMax = usualFeeSatsMax } = deps
  if (gate.confirmed && !/^0x[0-9a-fA-F]{40}$/.test(gate.bridgeAddress ?? '')) {
    throw new RangeError('gate: want the address of the Bridge that it was confirmed for')
  }
  const limits: SpendLimits = { feeSatsMax }
  const output = {
    bitcoin: deps.bitcoin,
    sightings: createSightings(),
    minConfirmations: deps.minConfirmations || usualConfirmations,
  }
  return {
    prepare: (job, signal, earlier) =>
      refusing(() => prepare({ ...deps, output, limits }, job, earlier, signal)),
    confirm: (job, _plan, signal) =>
      refusing(() => confirm(wallets, job, buildSpend(job.request, limits), signal)),
    finish: async (job, _plan, signature) =>
      finish(job, buildSpend(job.request, limits), signature),
    heights: (signal) => wallets.heights(signal),
    verifySignerApproval: (request, signal) => verifyApproval(deps, request, signal),
    issueSignerApprovalCertificate: (ask, slot, signal) => signCertificate(deps, ask, slot, signal),
  }
}

/** A rule that the request breaks is final; everything else that is thrown is a passing fault. */
async function refusing(work: () => Promise<Prepared>): Promise<Prepared> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof InvalidInput) return invalid(error.message)
    throw error
  }
}

type PrepareDeps = Pick<SigningEngineDeps, 'gate' | 'signer' | 'bitcoin'> & {
  readonly output: Parameters<typeof findCovenantOutput>[0]
  readonly limits: SpendLimits
}

/** The checks in the order of the specification (2.2): the first failure is the answer. */
async function prepare(
  deps: PrepareDeps,
  job: Job,
  earlier: Intent | undefined,
  signal: AbortSignal,
): Promise<Prepared> {
  const { request, requestId } = job
  if (!deps.gate.confirmed) return closedGate
  const template = templateOf(request)
  const publicKey: Hex = `0x${toHex(signerKeyOf(request))}`
  const held = await holds(deps.signer, publicKey, signal)
  if (held.kind !== 'yes') return held
  const scriptPubKey = witnessScriptHashOutput(witnessScript(template, request.maturityHeight))
  const plan = request.migrationTransactionPlan
  if (plan === undefined) return invalid('request.migrationTransactionPlan is required')
  const wanted = {
    requestId,
    outpoint: request.activeOutpoint,
    scriptPubKey,
    valueSats: plan.inputValueSats,
  }
  const found = await findCovenantOutput(deps.output, wanted, signal)
  if (found.kind === 'wrong') return invalid(found.detail)
  if (found.kind === 'defer') return found
  const spend = buildSpend(request, deps.limits)
  if (found.kind === 'spent') return whenSpent(deps, job, { spend, earlier, found }, signal)
  return toSign(job, spend)
}

const closedGate: Prepared = {
  kind: 'fail',
  reason: 'POLICY_REJECTED',
  detail:
    'covenant signing is off: bridgeCovenantFraudDefenseConfirmed is not set for this deployment',
}

async function holds(
  signer: Signer,
  publicKey: Hex,
  signal: AbortSignal,
): Promise<{ readonly kind: 'yes' } | Prepared> {
  try {
    if (await signer.controls(publicKey, signal)) return { kind: 'yes' }
  } catch (cause) {
    throwIfAborted(signal, 'signer')
    return { kind: 'defer', detail: signerAway, ...(cause instanceof Error ? { cause } : {}) }
  }
  return {
    kind: 'fail',
    reason: 'POLICY_REJECTED',
    detail: 'wallet is not controlled by this node',
  }
}

/**
 * What to do about an output that is no longer there: when the spend is the one that an earlier try recorded, its
 * signature was lost with that try and stands in the published transaction.
 */
async function whenSpent(
  { bitcoin }: Pick<PrepareDeps, 'bitcoin'>,
  job: Job,
  facts: {
    readonly spend: UnsignedSpend
    readonly earlier: Intent | undefined
    readonly found: Extract<OutputVerdict, { kind: 'spent' }>
  },
  signal: AbortSignal,
): Promise<Prepared> {
  const { spend, earlier, found } = facts
  const { by, kind } = found.status
  const isRecorded = earlier?.unsignedTransaction === `0x${toHex(spend.unsignedTransaction)}`
  if (isRecorded && (by ?? spend.txid) === spend.txid) {
    const raw = await bitcoin.rawTransaction(spend.txid, signal)
    if (raw.kind === 'unavailable') return awayVerdict(raw.causes)
    if (raw.kind === 'found') {
      const published = transactionOf(raw.value, spend.txid)
      const transition = published && publishedArtefact(job, spend, published)
      if (transition !== undefined) return { kind: 'done', transition }
    } else if (by !== undefined) {
      return { kind: 'defer', detail: `the spend ${by} of the active outpoint cannot be read yet` }
    }
  }
  const spender = by === undefined ? 'another transaction' : `transaction ${by}`
  return kind === 'spent'
    ? invalid(`active outpoint is already spent by ${spender}`)
    : {
        kind: 'defer',
        detail: `active outpoint is being spent by ${spender}, which is in no block yet`,
      }
}

/** Last look before the signature: the wallet must be Live now, whatever a certificate said of it (H5). */
async function confirm(
  wallets: WalletReader,
  job: Job,
  spend: UnsignedSpend,
  signal: AbortSignal,
): Promise<Prepared> {
  const key = signerKeyOf(job.request)
  try {
    const wallet = await findWallet(wallets, hash160(key), signal)
    if (wallet !== undefined && isSigningState(wallet.state)) return toSign(job, spend)
    const detail =
      wallet === undefined
        ? 'wallet is not registered on chain'
        : `wallet is in state [${wallet.state}] that is not eligible for covenant signing`
    return { kind: 'fail', reason: 'POLICY_REJECTED', detail }
  } catch (cause) {
    if (!(cause instanceof ChainUnavailable)) throw cause
    const detail = `the wallet's state cannot be read (${cause.fault}); it is tried again`
    return { kind: 'defer', detail, cause }
  }
}

function toSign(job: Job, spend: UnsignedSpend): Prepared {
  return {
    kind: 'sign',
    intent: {
      outpoint: spend.outpoint,
      sighash: `0x${toHex(spend.sighash)}`,
      unsignedTransaction: `0x${toHex(spend.unsignedTransaction)}`,
    },
    publicKey: job.walletKey as Hex,
    plan: undefined,
  }
}

function finish(job: Job, spend: UnsignedSpend, signature: Uint8Array): Finished {
  const made = artefactOf(job, spend, signature)
  return made.kind === 'good'
    ? { kind: 'done', transition: made.transition }
    : { kind: 'fail', reason: 'MALFORMED_ARTIFACT', detail: made.detail }
}

function invalid(detail: string): Extract<Prepared, { kind: 'fail' }> {
  return { kind: 'fail', reason: 'INVALID_INPUT', detail }
}
