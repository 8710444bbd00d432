/**
 * Two script interpreters and two sighashes that nobody here wrote: what both accept or refuse judges ours.
 */
import { createRequire } from 'node:module'
import { toHex } from '../../src/base/bytes.js'

// Before bcoin is loaded: its cryptography then needs no native code.
process.env.NODE_BACKEND = 'js'
const require = createRequire(import.meta.url)

type BcoinScript = object
type BcoinTx = {
  toNormal(): Buffer
  readonly inputs: readonly { readonly script: BcoinScript; readonly witness: object }[]
  txid(): string
  signatureHash(
    index: number,
    script: BcoinScript,
    value: number,
    type: number,
    version: number,
  ): Uint8Array
}
type BcoinScripts = {
  fromRaw(raw: Buffer): BcoinScript
  verify(
    input: BcoinScript,
    witness: object,
    output: BcoinScript,
    tx: BcoinTx,
    index: number,
    value: number,
    flags: number,
  ): void
}
type BitcoreTx = { readonly hash: string; readonly inputs: readonly { witnesses: Buffer[] }[] }
type BitcoreInterpreter = {
  errstr?: string
  verify(
    input: object,
    output: object,
    tx: BitcoreTx,
    index: number,
    flags: number,
    witnesses: readonly Buffer[],
    value: number,
  ): boolean
}
type Bitcore = {
  readonly Transaction: new (raw: Buffer) => BitcoreTx
  readonly Script: (new (
    raw: Buffer | string,
  ) => object) & {
    readonly Interpreter: (new () => BitcoreInterpreter) & Readonly<Record<string, number>>
  }
}
type BitcoreSighash = {
  sighash(tx: BitcoreTx, type: number, index: number, script: Buffer, value: Buffer): Buffer
}

const bcoinTx = require('bcoin/lib/primitives/tx') as {
  fromRaw(raw: Buffer): BcoinTx
  fromOptions(options: object): BcoinTx
}
const bcoinScript = require('bcoin/lib/script/script') as BcoinScripts
const { flags: bcoinFlags } = require('bcoin/lib/script/common') as {
  readonly flags: { readonly STANDARD_VERIFY_FLAGS: number }
}
const bitcore = require('bitcore-lib') as Bitcore
const bitcoreSighash = require('bitcore-lib/lib/transaction/sighashwitness') as BitcoreSighash

/** What is judged: a whole transaction whose first input spends `scriptPubKey`. */
export type Judged = {
  readonly transaction: Uint8Array
  readonly scriptPubKey: Uint8Array
  readonly valueSats: bigint
}

/** 'ok', or bcoin's code of refusal. */
export function judgeByBcoin({ transaction, scriptPubKey, valueSats }: Judged): string {
  const tx = bcoinTx.fromRaw(Buffer.from(transaction))
  const [input] = tx.inputs
  if (input === undefined) return 'no input'
  const output = bcoinScript.fromRaw(Buffer.from(scriptPubKey))
  const value = Number(valueSats)
  try {
    const rules = bcoinFlags.STANDARD_VERIFY_FLAGS
    bcoinScript.verify(input.script, input.witness, output, tx, 0, value, rules)
    return 'ok'
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    return code ?? message
  }
}

const { Interpreter } = bitcore.Script
// CLEANSTACK fails every valid P2WSH spend in this interpreter; the others are about taproot or legacy scripts.
const leftOut = /CLEANSTACK|TAPROOT|OP_SUCCESS|CONST|UPGRADABLE_PUBKEYTYPE/
const bitcoreFlags = Object.entries(Interpreter)
  .filter(([name]) => name.startsWith('SCRIPT_VERIFY_') && !leftOut.test(name))
  .reduce((all, [, flag]) => all | flag, 0)

/** 'ok', or bitcore's words of refusal. */
export function judgeByBitcore({ transaction, scriptPubKey, valueSats }: Judged): string {
  const tx = new bitcore.Transaction(Buffer.from(transaction))
  const interpreter = new Interpreter()
  const output = new bitcore.Script(Buffer.from(scriptPubKey))
  const witness = tx.inputs[0]?.witnesses ?? []
  const value = Number(valueSats)
  try {
    const bare = new bitcore.Script('')
    const isGood = interpreter.verify(bare, output, tx, 0, bitcoreFlags, witness, value)
    return isGood ? 'ok' : interpreter.errstr || 'refused'
  } catch (error) {
    return `throws ${(error as Error).message}`
  }
}

/** A covenant spend built by bcoin from its figures, without witnesses. */
export function builtByBcoin(figures: {
  readonly txid: string
  readonly vout: number
  readonly destination: Uint8Array
  readonly destinationValueSats: bigint
  readonly lockTime: number
}): string {
  const tx = bcoinTx.fromOptions({
    version: 1,
    inputs: [
      {
        // bcoin writes hashes in the order of the wire.
        prevout: {
          hash: Buffer.from(figures.txid, 'hex').reverse().toString('hex'),
          index: figures.vout,
        },
        sequence: 0xfffffffd,
      },
    ],
    outputs: [
      {
        value: Number(figures.destinationValueSats),
        script: bcoinScript.fromRaw(Buffer.from(figures.destination)),
      },
      { value: 330, script: bcoinScript.fromRaw(Buffer.from(anchor, 'hex')) },
    ],
    locktime: figures.lockTime,
  })
  return tx.toNormal().toString('hex')
}

const anchor = '00204ae81572f06e1b88fd5ced7a1a000945432e83e1551e6f721ee9c00b8cc33260'

/** Txid and BIP-143 sighash of a spend's first input as the two libraries compute them. */
export function secondOpinions(
  transaction: Uint8Array,
  script: Uint8Array,
  valueSats: bigint,
): readonly { readonly txid: string; readonly sighash: string }[] {
  const byBcoin = bcoinTx.fromRaw(Buffer.from(transaction))
  const compiled = bcoinScript.fromRaw(Buffer.from(script))
  const byBitcore = new bitcore.Transaction(Buffer.from(transaction))
  const value = Buffer.alloc(8)
  value.writeBigUInt64LE(valueSats)
  const prefixed = Buffer.concat([countOf(script.length), script])
  return [
    {
      txid: byBcoin.txid(),
      sighash: toHex(byBcoin.signatureHash(0, compiled, Number(valueSats), 1, 1)),
    },
    {
      txid: byBitcore.hash,
      sighash: toHex(bitcoreSighash.sighash(byBitcore, 1, 0, prefixed, value)),
    },
  ]
}

function countOf(length: number): Buffer {
  return length < 0xfd ? Buffer.of(length) : Buffer.of(0xfd, length & 0xff, length >> 8)
}
