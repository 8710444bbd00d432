import { RawOldTx, RawTx } from '@scure/btc-signer/script.js'
import { SigHash, Transaction } from '@scure/btc-signer/transaction.js'
import { concatBytes, fromHex, toHex } from '../base/bytes.js'
import { unreachable } from '../base/errors.js'
import { parseDerSignature } from './der.js'
import { type Outpoint, outpointOf } from './job.js'
import { standardOutput } from './output-script.js'
import type { Hex, QcTemplate, Request, Route, SelfTemplate } from './request.js'
import { isRoute } from './request.js'
import { isWitnessScriptHash, witnessScript, witnessScriptHashOutput } from './script.js'
import { checkScriptKeySignature } from './signatures.js'
import { sha256Twice } from './transaction.js'
import { type CheckedDestination, checkDestination } from './validate-destination.js'
import { hexBytes, rule } from './validate-fields.js'
import { checkPlan } from './validate-plan.js'

/** The one spend that a request stands for, before it is signed. */
export type UnsignedSpend = {
  readonly route: Route
  readonly outpoint: Outpoint
  /** Value of the output that is spent, which the signature covers. */
  readonly inputValueSats: bigint
  readonly witnessScript: Uint8Array
  /** Output script of the covenant that is spent. */
  readonly scriptPubKey: Uint8Array
  /** Serialised without witnesses. */
  readonly unsignedTransaction: Uint8Array
  /** 64 lower-case hex digits in display order; signing does not change it. */
  readonly txid: string
  /** 32 bytes: what the signer signs as it is (BIP-143, SIGHASH_ALL). */
  readonly sighash: Uint8Array
}

/** What an operator allows besides the rules of the specification. */
export type SpendLimits = {
  /** Highest fee in satoshis; no bound without it. */
  readonly feeSatsMax?: bigint | undefined
}

/** Appended to every signature that goes into a witness. */
export const sighashAll = 1

/** P2WSH of the one-byte script OP_TRUE: an output that anybody may spend to raise the fee. */
const anchorScript: Uint8Array = witnessScriptHashOutput(Uint8Array.of(0x51))
const int64Max = 2n ** 63n - 1n

/**
 * Builds the transaction that spends a covenant on its maturity path (engine specification, section 5).
 *
 * @remarks REDEEM and RENEW take the same path: nothing is ever built for the cooperative one. The same request gives
 * the same bytes.
 * @throws InvalidInput
 */
export function buildSpend(request: Request, limits: SpendLimits = {}): UnsignedSpend {
  const template = templateOf(request)
  const script = witnessScript(template, request.maturityHeight)
  const checked = checkDestination(request)
  const plan = checkPlan(request)
  const { destinationValueSats, anchorValueSats, feeSats, inputValueSats } = plan
  const int64 = destinationValueSats <= int64Max && anchorValueSats <= int64Max
  rule(int64, 'request.migrationTransactionPlan values must fit in int64')
  const { feeSatsMax } = limits
  rule(
    feeSatsMax === undefined || feeSats <= feeSatsMax,
    `request.migrationTransactionPlan.feeSats must be at most ${feeSatsMax}`,
  )
  const destination = destinationScript(checked, destinationValueSats)
  const { txid, vout } = request.activeOutpoint
  const parts = {
    version: 1,
    inputs: [
      {
        txid: txidBytes(txid),
        index: vout,
        finalScriptSig: new Uint8Array(),
        sequence: plan.inputSequence,
      },
    ],
    outputs: [
      { amount: destinationValueSats, script: destination },
      { amount: anchorValueSats, script: anchorScript },
    ],
    lockTime: plan.lockTime,
  }
  const unsignedTransaction = RawOldTx.encode(parts)
  return {
    route: isSelf(template) ? 'self_v1' : 'qc_v1',
    outpoint: outpointOf(request.activeOutpoint),
    inputValueSats,
    witnessScript: script,
    scriptPubKey: witnessScriptHashOutput(script),
    unsignedTransaction,
    txid: toHex(sha256Twice(unsignedTransaction).reverse()),
    sighash: sighashOf(unsignedTransaction, script, inputValueSats),
  }
}

/** The script template of a request, when it is one of the request's route. @throws InvalidInput */
export function templateOf({ route, scriptTemplate }: Request): SelfTemplate | QcTemplate {
  const name = 'request.scriptTemplate'
  rule(isRoute(route), 'unsupported request.route')
  rule(
    !('invalid' in scriptTemplate),
    `${name} is invalid for ${route}: ${'invalid' in scriptTemplate ? scriptTemplate.invalid : ''}`,
  )
  rule(scriptTemplate.template === route, `${name}.template must be ${route}`)
  rule(
    isSelf(scriptTemplate) === (route === 'self_v1'),
    `${name} is invalid for ${route}: the fields of another route`,
  )
  return scriptTemplate
}

function isSelf(template: SelfTemplate | QcTemplate): template is SelfTemplate {
  return !('custodianPublicKey' in template)
}

function txidBytes(txid: string): Uint8Array {
  rule(
    /^(0x)?[0-9a-fA-F]{64}$/.test(txid),
    'request.activeOutpoint.txid must be a 32-byte 0x-prefixed hex string',
  )
  return fromHex(txid.replace(/^0x/, ''))
}

/** The script of output 0, standard and above dust, so that nodes relay the spend. */
function destinationScript(checked: CheckedDestination, valueSats: bigint): Uint8Array {
  const script = paidScript(checked)
  const standard = standardOutput(script)
  rule(
    standard !== undefined,
    'request.redeemDestination.outputScript must be a P2PKH, P2SH, P2WPKH, P2WSH or P2TR script',
  )
  rule(
    valueSats >= standard.dustSats,
    `request.migrationTransactionPlan.destinationValueSats must be at least the dust limit of ${standard.dustSats} sat`,
  )
  return script
}

function paidScript(checked: CheckedDestination): Uint8Array {
  switch (checked.action) {
    case 'MIGRATION':
      // The Bridge derives exactly this from the plain deposit script when the deposit is revealed.
      return witnessScriptHashOutput(hexBytes(checked.destination.depositScript))
    case 'REDEEM':
      return hexBytes(checked.destination.outputScript)
    case 'RENEW': {
      const script = hexBytes(checked.destination.nextCovenantScript)
      rule(
        isWitnessScriptHash(script),
        'request.renewDestination.nextCovenantScript must be a P2WSH output script',
      )
      return script
    }
    default:
      return unreachable(checked)
  }
}

function sighashOf(transaction: Uint8Array, script: Uint8Array, amountSats: bigint): Uint8Array {
  // Nothing is judged here: the scripts are ours, and a custom one is all that the library would object to.
  const parsed = Transaction.fromRaw(transaction, {
    allowUnknownInputs: true,
    allowUnknownOutputs: true,
    disableScriptCheck: true,
  })
  return parsed.preimageWitnessV0(0, script, SigHash.ALL, amountSats)
}

/**
 * The self_v1 spend with its witness for the maturity path: signature, `01`, empty, script.
 *
 * @param signature DER without a sighash type
 */
export function signedSpend(spend: UnsignedSpend, signature: Uint8Array): Uint8Array {
  const selectors = [Uint8Array.of(1), new Uint8Array()]
  return withWitness(spend, [withSighashType(signature), ...selectors, spend.witnessScript])
}

/**
 * Whether a signature is the wallet's over this spend: strict DER and low S, or it is none.
 *
 * @param signature DER without a sighash type
 */
export function verifiesSpend(
  { sighash }: Pick<UnsignedSpend, 'sighash'>,
  signature: Uint8Array,
  publicKey: Hex,
): boolean {
  const compact = parseDerSignature(signature)
  if (compact === undefined) return false
  return checkScriptKeySignature(compact, sighash, hexBytes(publicKey)) === 'valid'
}

/** DER | sighash type(1): a signature as witnesses hold it. */
export function withSighashType(signature: Uint8Array): Uint8Array {
  return concatBytes(signature, Uint8Array.of(sighashAll))
}

/** Serialises a spend with a witness, bottom to top (BIP-144). */
export function withWitness(
  { unsignedTransaction }: Pick<UnsignedSpend, 'unsignedTransaction'>,
  witness: readonly Uint8Array[],
): Uint8Array {
  const parts = RawOldTx.decode(unsignedTransaction)
  return RawTx.encode({ ...parts, segwitFlag: true, witnesses: [[...witness]] })
}

/**
 * The hash that stands beside a finished transaction: SHA-256 twice over the witness serialisation, not reversed.
 *
 * @remarks Despite its name on the wire no PSBT is involved: it is the wtxid of BIP-141 in internal byte order.
 */
export function psbtHash(transaction: Uint8Array): Hex {
  return `0x${toHex(sha256Twice(transaction))}`
}
