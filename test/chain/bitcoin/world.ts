import { createHash } from 'node:crypto'
import { type BitcoinDevnet, segwitHeight, startBitcoinDevnet } from '../../../devnet/bitcoin.js'
import { type ElectrumServer, startElectrumServer } from '../../../devnet/electrum-server.js'

export type Funded = {
  readonly txid: string
  readonly vout: number
  readonly raw: Uint8Array
  readonly scriptPubKey: Uint8Array
}
export type Spent = Funded & { readonly by: string }

/** A regtest chain on which an output of every kind exists, behind a node's RPC and an Electrum server. */
export type World = {
  readonly devnet: BitcoinDevnet
  readonly electrum: ElectrumServer
  readonly unspent: Funded
  readonly alsoUnspent: Funded
  readonly spentInBlock: Spent
  readonly spentInMempool: Spent
  readonly unconfirmed: Funded
  readonly unconfirmedAndSpent: Spent
  readonly unknownTxid: string
  stop(): Promise<void>
}

export const fundedSats = 1_000_000n
/** Confirmations of what is in a block. */
export const confirmations = 3

/** Starts the node and the server; every output is made anew, each with a script of its own. */
export async function startWorld(): Promise<World> {
  const devnet = await startBitcoinDevnet({ blocks: segwitHeight })
  const electrum = await startElectrumServer(devnet)
  const fund = async (n: number): Promise<Funded> => {
    const scriptPubKey = payToWitnessScriptHash(witnessScript(n))
    return { ...(await devnet.fund(scriptPubKey, fundedSats)), scriptPubKey }
  }
  const spend = async (funded: Funded, n: number): Promise<Spent> => {
    const said = await devnet.broadcast(spendOf(funded, n))
    if (said.kind === 'refused') throw new Error(`spend refused: ${said.reason}`)
    return { ...funded, by: said.txid }
  }
  const [unspent, alsoUnspent, second, third] = [
    await fund(1),
    await fund(2),
    await fund(3),
    await fund(4),
  ]
  await devnet.mine(1)
  const spentInBlock = await spend(second, 3)
  await devnet.mine(confirmations - 1)
  const spentInMempool = await spend(third, 4)
  const unconfirmed = await fund(5)
  const unconfirmedAndSpent = await spend(await fund(6), 6)
  return {
    devnet,
    electrum,
    unspent,
    alsoUnspent,
    spentInBlock,
    spentInMempool,
    unconfirmed,
    unconfirmedAndSpent,
    unknownTxid: 'ab'.repeat(32),
    stop: async () => {
      await electrum.stop()
      await devnet.stop()
    },
  }
}

/** Pushes a number, drops it and is content. */
export function witnessScript(n: number): Buffer {
  // The shortest form is asked for, and up to 16 that is no push of a byte.
  return Buffer.from([0x01, n + 16, 0x75, 0x51])
}

export function payToWitnessScriptHash(script: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([0, 32]), createHash('sha256').update(script).digest()])
}

/** A transaction that pays an output of `fund` to another script. */
export function spendOf(funded: { txid: string; vout: number }, n: number): Buffer {
  const number32 = (value: number): Buffer => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32LE(value)
    return bytes
  }
  const sats = Buffer.alloc(8)
  sats.writeBigUInt64LE(fundedSats - 10_000n)
  const target = payToWitnessScriptHash(witnessScript(n + 64))
  const script = witnessScript(n)
  return Buffer.concat([
    number32(2),
    Buffer.from([0, 1, 1]),
    Buffer.from(funded.txid, 'hex').reverse(),
    number32(funded.vout),
    Buffer.from([0]),
    number32(0xffff_ffff),
    Buffer.from([1]),
    sats,
    Buffer.from([target.length]),
    target,
    Buffer.from([1, script.length]),
    script,
    number32(0),
  ])
}
