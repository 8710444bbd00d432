import { equalBytes } from '../base/bytes.js'
import { isCompressedPoint } from '../base/curve.js'
import { isLowS, parseDerSignature } from './der.js'
import { op, pushOf, timeLockMin } from './script.js'
import { checkScriptKeySignature } from './signatures.js'

/** Why a script refuses its witness. */
export type ScriptFault =
  | 'foreignOpcode'
  | 'minimalPush'
  | 'pushSize'
  | 'stackShort'
  | 'minimalIf'
  | 'unbalancedConditional'
  | 'signatureEncoding'
  | 'highS'
  | 'sighashType'
  | 'publicKey'
  | 'nullDummy'
  | 'nullFail'
  | 'minimalNumber'
  | 'lockTimeUnsatisfied'
  | 'evaluatesFalse'
  | 'cleanStack'

/** What a script sees of the transaction that spends it. */
export type ScriptSurroundings = {
  /** What a SIGHASH_ALL signature covers, 32 bytes. */
  readonly sighash: Uint8Array
  readonly lockTime: number
  readonly sequence: number
}

type Machine = {
  readonly stack: Uint8Array[]
  /** One per open IF: whether its branch runs. */
  readonly branches: boolean[]
  readonly around: ScriptSurroundings
}

/** Thrown inside the machine alone; `runScript` answers with it. */
class Fault extends Error {
  readonly fault: ScriptFault
  constructor(fault: ScriptFault) {
    super(fault)
    this.fault = fault
  }
}

const truth = Uint8Array.of(1)
const finalSequence = 0xffffffff
/** Bytes that lock time operands may have (BIP-65). */
const lockTimeBytesMax = 5

/**
 * Executes a version 0 witness script over its witness, under the rules that nodes relay by.
 *
 * @param witness items below the script, bottom to top
 * @returns why it refuses; `undefined` when it is satisfied
 * @remarks It knows the opcodes of covenant scripts and no other, and of sighash types only ALL: what it accepts, every
 * node accepts, and the reverse is not promised.
 */
export function runScript(
  script: Uint8Array,
  witness: readonly Uint8Array[],
  around: ScriptSurroundings,
): ScriptFault | undefined {
  const machine: Machine = { stack: [...witness], branches: [], around }
  try {
    for (let at = 0; at < script.length; ) at = step(machine, script, at)
    if (machine.branches.length > 0) return 'unbalancedConditional'
    const top = pop(machine)
    if (!isTrue(top)) return 'evaluatesFalse'
    return machine.stack.length > 0 ? 'cleanStack' : undefined
  } catch (error) {
    if (error instanceof Fault) return error.fault
    throw error
  }
}

/** Executes what stands at `at`; answers where the next opcode stands. */
function step(machine: Machine, script: Uint8Array, at: number): number {
  const code = script[at] ?? 0
  const runs = machine.branches.every((branch) => branch)
  if (code <= 75) {
    const data = script.subarray(at + 1, at + 1 + code)
    if (data.length !== code) throw new Fault('pushSize')
    if (runs) {
      const shortest = pushOf(data)
      if (!equalBytes(shortest, script.subarray(at, at + 1 + code))) throw new Fault('minimalPush')
      machine.stack.push(data)
    }
    return at + 1 + code
  }
  if (code > 0x50 && code <= 0x60) {
    if (runs) machine.stack.push(Uint8Array.of(code - 0x50))
    return at + 1
  }
  execute(machine, code, runs)
  return at + 1
}

function execute(machine: Machine, code: number, runs: boolean): void {
  switch (code) {
    case op.if:
      machine.branches.push(runs ? selected(pop(machine)) : false)
      return
    case op.else: {
      const branch = machine.branches.pop()
      if (branch === undefined) throw new Fault('unbalancedConditional')
      machine.branches.push(!branch)
      return
    }
    case op.endif:
      if (machine.branches.pop() === undefined) throw new Fault('unbalancedConditional')
      return
    case op.drop:
      if (runs) pop(machine)
      return
    case op.checkLockTime:
      if (runs) checkLockTime(machine)
      return
    case op.checkSig:
      if (runs) checkSig(machine)
      return
    case op.checkMultisig:
      if (runs) checkMultisig(machine)
      return
    default:
      throw new Fault('foreignOpcode')
  }
}

function pop({ stack }: Machine): Uint8Array {
  const item = stack.pop()
  if (item === undefined) throw new Fault('stackShort')
  return item
}

/** MINIMALIF: a selector is `01` or empty. */
function selected(item: Uint8Array): boolean {
  if (item.length > 0 && !equalBytes(item, truth)) throw new Fault('minimalIf')
  return item.length > 0
}

/** Anything but zero; negative zero is zero. */
function isTrue(item: Uint8Array): boolean {
  return item.some((byte, at) => byte !== 0 && !(byte === 0x80 && at === item.length - 1))
}

/** BIP-65: the lock time has reached the operand, both are of one kind, and the input is not final. */
function checkLockTime({ stack, around }: Machine): void {
  const operand = stack.at(-1)
  if (operand === undefined) throw new Fault('stackShort')
  const wanted = numberOf(operand, lockTimeBytesMax)
  const lockTime = BigInt(around.lockTime)
  const sameKind = wanted < timeLockMin === lockTime < timeLockMin
  if (!sameKind || lockTime < wanted || around.sequence === finalSequence) {
    throw new Fault('lockTimeUnsatisfied')
  }
}

/** A number of a script that must not be negative, in its shortest form. */
function numberOf(item: Uint8Array, sizeMax: number): bigint {
  const top = item.at(-1) ?? 0
  const padded = item.length > 0 && (top & 0x7f) === 0 && ((item.at(-2) ?? 0) & 0x80) === 0
  if (item.length > sizeMax || padded) throw new Fault('minimalNumber')
  if ((top & 0x80) !== 0) throw new Fault('lockTimeUnsatisfied')
  return item.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n)
}

function checkSig(machine: Machine): void {
  const key = pop(machine)
  const signature = pop(machine)
  const isGood = verifies(signature, key, machine.around)
  if (!isGood && signature.length > 0) throw new Fault('nullFail')
  machine.stack.push(isGood ? truth : new Uint8Array())
}

/** Signatures must stand in the order of their keys; a key that was passed over is not looked at again. */
function checkMultisig(machine: Machine): void {
  const keys = popMany(machine)
  const signatures = popMany(machine)
  if (signatures.length > keys.length) throw new Fault('stackShort')
  const dummy = pop(machine)
  let at = 0
  let found = 0
  while (found < signatures.length && signatures.length - found <= keys.length - at) {
    const [signature, key] = [signatures[found], keys[at]]
    if (signature === undefined || key === undefined) throw new Fault('stackShort')
    if (verifies(signature, key, machine.around)) found += 1
    at += 1
  }
  const isGood = found === signatures.length
  if (!isGood && signatures.some(({ length }) => length > 0)) throw new Fault('nullFail')
  if (dummy.length > 0) throw new Fault('nullDummy')
  machine.stack.push(isGood ? truth : new Uint8Array())
}

/** The items under their count, topmost first: as they stand in the script, from the last to the first. */
function popMany(machine: Machine): readonly Uint8Array[] {
  const count = Number(numberOf(pop(machine), 1))
  return Array.from({ length: count }, () => pop(machine))
}

/** Strict DER, low S, SIGHASH_ALL and a compressed key, or it is a fault; an empty signature just does not verify. */
function verifies(signature: Uint8Array, key: Uint8Array, around: ScriptSurroundings): boolean {
  if (signature.length > 0) {
    const der = signature.subarray(0, -1)
    const compact = parseDerSignature(der)
    if (compact === undefined) throw new Fault('signatureEncoding')
    if (!isLowS(compact)) throw new Fault('highS')
    if (signature.at(-1) !== 1) throw new Fault('sighashType')
  }
  if (!isCompressedPoint(key)) throw new Fault('publicKey')
  if (signature.length === 0) return false
  const compact = parseDerSignature(signature.subarray(0, -1)) ?? new Uint8Array()
  return checkScriptKeySignature(compact, around.sighash, key) === 'valid'
}
