import { equalBytes } from '../base/bytes.js'
import { witnessScriptHashOutput } from './script.js'
import { runScript, type ScriptFault } from './script-run.js'
import {
  littleEndian32,
  parseTransaction,
  type Transaction,
  witnessSighash,
} from './transaction.js'

/** Why a spend is refused: what is wrong around the script, or what the script says. */
export type SpendFault =
  | 'malformedTransaction'
  | 'inputCount'
  | 'scriptSigPresent'
  | 'witnessMissing'
  | 'witnessItems'
  | 'otherScript'
  | ScriptFault

export type SpendVerdict =
  | { readonly kind: 'valid'; readonly transaction: Transaction }
  | { readonly kind: 'refused'; readonly reason: SpendFault }

/** Items below the script that nodes relay at most, and bytes of each. */
const witnessItemsMax = 100
const witnessItemBytesMax = 80

/**
 * Executes a covenant spend as a node would that relays it.
 *
 * It computes the sighash and reads the transaction by itself, so that it judges what was built and not how.
 *
 * @param input.transaction with its witness
 * @param input.scriptPubKey output script of the covenant that is spent
 * @param input.valueSats value of that output
 * @remarks For covenant scripts with one input alone; the height of the chain is not looked at.
 */
export function checkSpend(input: {
  readonly transaction: Uint8Array
  readonly scriptPubKey: Uint8Array
  readonly valueSats: bigint
}): SpendVerdict {
  const transaction = parsed(input.transaction)
  if (transaction === undefined) return refused('malformedTransaction')
  const [spending, second] = transaction.inputs
  if (spending === undefined || second !== undefined) return refused('inputCount')
  if (spending.scriptSig.length > 0) return refused('scriptSigPresent')
  const items = spending.witness.slice(0, -1)
  const script = spending.witness.at(-1)
  if (script === undefined) return refused('witnessMissing')
  if (!equalBytes(witnessScriptHashOutput(script), input.scriptPubKey)) {
    return refused('otherScript')
  }
  const isLong = items.some(({ length }) => length > witnessItemBytesMax)
  if (items.length > witnessItemsMax || isLong) return refused('witnessItems')
  const reason = runScript(script, items, {
    sighash: witnessSighash(transaction, 0, script, input.valueSats),
    lockTime: littleEndian32(transaction.lockTime),
    sequence: littleEndian32(spending.sequence),
  })
  return reason === undefined ? { kind: 'valid', transaction } : refused(reason)
}

function parsed(bytes: Uint8Array): Transaction | undefined {
  try {
    return parseTransaction(bytes)
  } catch (error) {
    // A spend that cannot be read is one more spend that is refused.
    if (error instanceof RangeError) return undefined
    throw error
  }
}

function refused(reason: SpendFault): SpendVerdict {
  return { kind: 'refused', reason }
}
