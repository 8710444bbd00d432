import { beforeAll, describe, expect, it } from 'vitest'
import { type DevnetWallet, signPreimage } from '../../../devnet/evm.js'
import { fromHex } from '../../../src/base/bytes.js'
import { missing, secretOf, tbtc } from './tbtc.js'

// A BIP-143 preimage: version, hashes of outpoints and sequences, outpoint, script, amount, sequence, hash of outputs,
// lock time, SIGHASH_ALL.
const covenantPreimage = fromHex(
  [
    '01000000',
    'a1'.repeat(32),
    'b2'.repeat(32),
    `${'c3'.repeat(32)}00000000`,
    '0351ad51',
    '40420f0000000000',
    'fdffffff',
    'd4'.repeat(32),
    'd9eb0d00',
    '01000000',
  ].join(''),
)

// Why nothing is signed before bridgeCovenantFraudDefenseConfirmed is set.
describe.runIf(missing === undefined)('the published Bridge', () => {
  const { devnet } = tbtc()
  let wallet: DevnetWallet
  beforeAll(async () => {
    wallet = await devnet.createWallet(secretOf(7))
  })

  it('takes a covenant signature of a Live wallet for a proof of fraud', async () => {
    const proof = signPreimage(wallet, covenantPreimage)
    await expect(devnet.challengeFraud(wallet, proof)).resolves.toBeUndefined()
  })

  it('does not let the wallet defeat that proof', async () => {
    const proof = signPreimage(wallet, covenantPreimage)
    await expect(devnet.defeatFraud(wallet, proof)).rejects.toThrow('reverted on chain')
  })

  it('refuses a signature of another key', async () => {
    const proof = signPreimage({ ...wallet, secret: secretOf(8) }, fromHex('aa'.repeat(100)))
    await expect(devnet.challengeFraud(wallet, proof)).rejects.toThrow('reverted on chain')
  })
})
