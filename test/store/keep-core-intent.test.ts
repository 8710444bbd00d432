import { hash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Job, Outpoint } from '../../src/covenant/job.js'
import type { Intent } from '../../src/covenant/store.js'
import { signedIntents } from '../../src/store/keep-core/signed-intent.js'
import { makeSubmit } from '../covenant/factory.js'
import { keepCoreJob, readyJob } from './keep-core-files.js'

/**
 * Transactions of both templates (engine and chain specification, section 9): outpoint 000102...1f:0.
 * The sighashes were made by third-party libraries.
 */
const txid = Array.from({ length: 32 }, (_, at) => at.toString(16).padStart(2, '0')).join('')
const outpoint = `${txid}:0` as Outpoint
const head = '01000000'
const input = '011f1e1d1c1b1a191817161514131211100f0e0d0c0b0a090807060504030201000000000000fdffffff'
const anchor =
  '4a010000000000002200204ae81572f06e1b88fd5ced7a1a000945432e83e1551e6f721ee9c00b8cc33260'
const lockTime = 'd9eb0d00'
const paidTo = '2200208532ec6785e391b2af968b5728d574e271c7f46658f5ed10845d9ad5b23ac6d3'
const [depositor, custodian, signer] = [
  '210324653eac434488002cc06bbfb7f10fe18991e35f9fe4302dbea6d2353dc0ab1c',
  '210219ce4d0ef6710afaf62a5edd8e739bd05198823e7e66f05df41cd8f410bcb665',
  '2102989c0b76cb563971fdc9bef31ec06c3560f3249d6ee9e5d83c57625596e05f6f',
]
const timed = `03b9fc0db175${depositor}ac`

const self = {
  script: `6352${depositor}${signer}52ae676303d9eb0db175${signer}ac67${timed}6868`,
  outputs: `02703a0f0000000000${paidTo}${anchor}`,
  signature:
    '3045022100a599fa0e97d8bc648aa0df96b5fe2875acf5a0f359c89dc8cad737b5eedda70e02206b7ecdb2d3e1d938d913d2663ca52c292e597156385933839e1b5de9edf69e3601',
  sighash: '0xc77bb50e7eda54e6a0a876446423a0f4b96550112d9e9dca6c1a015b977fed5e',
}
const qc = {
  script: `6353${depositor}${custodian}${signer}53ae676303d9eb0db17552${signer}${custodian}52ae67630349eb0db17552${depositor}${custodian}52ae67${timed}686868`,
  outputs: `02bc7a1e0000000000${paidTo}${anchor}`,
  sighash: '0xbb305d0d4b9a779aead8171bef824fedcda503b9b944a65e38d2d5ea8cd24cf4',
}
const unsigned = (outputs: string): string => `${head}${input}${outputs}${lockTime}`
const item = (hex: string): string => (hex.length / 2).toString(16).padStart(2, '0') + hex
const witness = `04${item(self.signature)}${item('01')}00${item(self.script)}`
const signed = `${head}0001${input}${self.outputs}${witness}${lockTime}`

/** A ready job that spends the vectors' outpoint, whose input has that many satoshis. */
function ready(inputValueSats: bigint, changes: Partial<Job>): Job {
  const edit = { activeOutpoint: { txid: `0x${txid}`, vout: 0, scriptHash: '' } }
  const { request } = makeSubmit({ ...edit, seed: 1 })
  const plan = request.migrationTransactionPlan
  if (plan === undefined) throw new RangeError('request: has no plan')
  const migrationTransactionPlan = { ...plan, inputValueSats }
  return readyJob(1, { outpoint, request: { ...request, migrationTransactionPlan }, ...changes })
}

function intentOf(job: Job): Intent | undefined {
  const intents = signedIntents(job, job)
  expect(intents).toHaveLength(1)
  return intents[0]
}

function expectMarker(job: Job): void {
  expect(intentOf(job)).toEqual({
    outpoint: job.outpoint,
    sighash: `0x${hash('sha256', `holdfast: signed elsewhere ${job.requestId} ${job.outpoint}`)}`,
    unsignedTransaction: '0x',
  })
}

const handoff = {
  unsignedTransactionHex: `0x${unsigned(qc.outputs)}`,
  witnessScript: `0x${qc.script}`,
  sighashType: 1,
}

describe('what was signed for a ready job', () => {
  it('is the sighash of its transaction for self_v1, and the transaction without witness', () => {
    expect(intentOf(ready(1_000_000n, { transactionHex: `0x${signed}` }))).toEqual({
      outpoint,
      sighash: self.sighash,
      unsignedTransaction: `0x${unsigned(self.outputs)}`,
    })
  })

  it('is the sighash of the unsigned transaction for qc_v1', () => {
    const job = ready(2_000_000n, { state: 'HANDOFF_READY', handoff })
    expect(intentOf(job)).toEqual({
      outpoint,
      sighash: qc.sighash,
      unsignedTransaction: handoff.unsignedTransactionHex,
    })
  })

  it('is a marker that no transaction has when the transaction says nothing that fits', () => {
    const one = `0x${signed}`
    expectMarker(ready(1_000_000n, { transactionHex: '0x' }))
    expectMarker(ready(1_000_000n, { transactionHex: 'no hex' }))
    expectMarker(ready(1_000_000n, { transactionHex: `${one}00` }))
    expectMarker(ready(1_000_000n, { transactionHex: one.slice(0, -2) }))
    expectMarker(ready(1_000_000n, { transactionHex: `0x${unsigned(self.outputs)}` }))
    expectMarker(ready(1_000_000n, { transactionHex: one.replace('9e3601', '9e3603') }))
    expectMarker(ready(1_000_000n, { transactionHex: one, outpoint: `${txid}:1` as Outpoint }))
    expectMarker(ready(1n, { state: 'HANDOFF_READY', handoff: { ...handoff, sighashType: 3 } }))
    expectMarker(ready(1n, { state: 'HANDOFF_READY', handoff: {} }))
    expectMarker(readyJob(1))
  })

  it('never reads beyond a transaction that is cut off anywhere', () => {
    for (let size = 0; size < signed.length; size += 2) {
      expectMarker(ready(1_000_000n, { transactionHex: `0x${signed.slice(0, size)}` }))
    }
  })

  it('is nothing for any other job', () => {
    const other = keepCoreJob(1, { transactionHex: `0x${signed}` })
    expect(signedIntents(other, other)).toEqual([])
    const failed = ready(1_000_000n, { state: 'FAILED', transactionHex: `0x${signed}` })
    expect(signedIntents(failed, failed)).toEqual([])
  })
})
