import { Transaction } from '@scure/btc-signer'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decodeTransaction,
  displayHash,
  electrumScriptHash,
  isUnspendable,
} from '../../../src/chain/bitcoin/transaction.js'
import { spendOf } from './world.js'

const bytes = (min: number, max: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: min, maxLength: max })

const madeTransaction = fc
  .record({
    version: fc.constantFrom(1, 2),
    lockTime: fc.integer({ min: 0, max: 0xffff_ffff }),
    inputs: fc.array(
      fc.record({
        txid: bytes(32, 32),
        index: fc.integer({ min: 0, max: 0xffff_ffff }),
        script: bytes(1, 300),
        witness: fc.array(bytes(0, 300), { minLength: 1, maxLength: 4 }),
      }),
      { minLength: 1, maxLength: 5 },
    ),
    outputs: fc.array(
      fc.record({
        amount: fc.bigInt({ min: 0n, max: 2_100_000_000_000_000n }),
        script: bytes(1, 300),
      }),
      { minLength: 1, maxLength: 5 },
    ),
    hasWitness: fc.boolean(),
  })
  .map(({ version, lockTime, inputs, outputs, hasWitness }) => {
    const tx = new Transaction({
      version,
      lockTime,
      allowUnknownInputs: true,
      allowUnknownOutputs: true,
      disableScriptCheck: true,
    })
    for (const { txid, index, script, witness } of inputs) {
      const final = hasWitness ? { finalScriptWitness: witness } : {}
      tx.addInput({ txid, index, finalScriptSig: script, ...final }, true)
    }
    for (const { amount, script } of outputs) tx.addOutput({ amount, script }, true)
    return { inputs, outputs, id: tx.id, raw: tx.toBytes(true, hasWitness) }
  })

describe('decodeTransaction', () => {
  test('reads what an independent library writes, and finds the same id', () => {
    fc.assert(
      fc.property(madeTransaction, ({ inputs, outputs, id, raw }) => {
        const decoded = decodeTransaction(raw)
        expect(decoded?.txid).toBe(id)
        expect(decoded?.inputs).toEqual(
          inputs.map(({ txid, index }) => ({
            txid: Buffer.from(txid).toString('hex'),
            vout: index,
          })),
        )
        expect(decoded?.outputs).toEqual(
          outputs.map(({ amount, script }) => ({ valueSats: amount, script })),
        )
      }),
      { numRuns: 100 },
    )
  })

  test('knows the first transaction of all', () => {
    const raw = Buffer.from(
      '01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d' +
        '04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272' +
        '696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a010000004341' +
        '04678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51e' +
        'c112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000',
      'hex',
    )
    expect(decodeTransaction(raw)).toMatchObject({
      txid: '4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b',
      outputs: [{ valueSats: 5_000_000_000n }],
    })
  })

  test('refuses every other length and every longer way to write a number', () => {
    const raw = spendOf({ txid: '11'.repeat(32), vout: 7 }, 1)
    expect(decodeTransaction(raw)).toMatchObject({ inputs: [{ txid: '11'.repeat(32), vout: 7 }] })
    for (let size = 0; size < raw.length; size++) {
      expect(decodeTransaction(raw.subarray(0, size)), `${size} bytes`).toBeUndefined()
    }
    expect(decodeTransaction(Buffer.concat([raw, Buffer.from([0])]))).toBeUndefined()
    const long = Buffer.concat([raw.subarray(0, 6), Buffer.from([0xfd, 1, 0]), raw.subarray(7)])
    expect(decodeTransaction(long)).toBeUndefined()
    const many = Buffer.concat([
      raw.subarray(0, 6),
      Buffer.from([0xff, 0, 0, 0, 0, 1, 0, 0, 0]),
      raw.subarray(7),
    ])
    expect(decodeTransaction(many)).toBeUndefined()
    expect(decodeTransaction(new Uint8Array(4_000_001))).toBeUndefined()
  })

  test('answers something to any bytes', () => {
    fc.assert(
      fc.property(
        madeTransaction,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (made, at, change) => {
          const raw = Uint8Array.from(made.raw)
          raw[at % raw.length] = (raw[at % raw.length] ?? 0) ^ change
          const decoded = decodeTransaction(raw)
          if (decoded) expect(decoded.txid).toMatch(/^[0-9a-f]{64}$/)
        },
      ),
    )
    fc.assert(fc.property(bytes(0, 200), (any) => decodeTransaction(any) === undefined))
  })
})

test('a script hash is the reversed SHA-256, as in the Electrum protocol', () => {
  const script = Buffer.from('76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac', 'hex')
  expect(electrumScriptHash(script)).toBe(
    '8b01df4e368ea28f8dc0423bcf7a4923e3a12d307c875e47a0cfbf90b5c39161',
  )
})

test('a block is named by the double SHA-256 of its header', () => {
  const header =
    '0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e' +
    '67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c'
  expect(displayHash(Buffer.from(header, 'hex'))).toBe(
    '000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f',
  )
})

test('an output of data can never be spent', () => {
  expect(isUnspendable(Buffer.from('6a0401020304', 'hex'))).toBe(true)
  expect(isUnspendable(new Uint8Array(10_001))).toBe(true)
  expect(isUnspendable(Buffer.from([0x51]))).toBe(false)
})
