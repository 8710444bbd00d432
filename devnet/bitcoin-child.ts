// A bcoin full node on regtest, in memory, in a process of its own; it is told what to do over the IPC channel.
import { createRequire } from 'node:module'
import type { ChainBlock, ChainTransaction, ChildRequest } from './bitcoin-messages.js'

type Tx = {
  txid(): string
  toRaw(): Buffer
  inputs: { prevout: { txid(): string; index: number } }[]
  outputs: { value: number; script: { toRaw(): Buffer } }[]
}
type Block = { txs: Tx[]; rhash(): string; toHeaders(): { toRaw(): Buffer } }
type Entry = { height: number }
type Args = readonly unknown[]
type Call = (args: Args, help: boolean) => Promise<unknown>
type Node = {
  open(): Promise<void>
  close(): Promise<void>
  network: unknown
  http: { http: { address(): { port: number } } }
  rpc: { calls: Record<string, Call> }
  miner: {
    addresses: unknown[]
    addAddress(address: unknown): void
    mineBlock(tip: Entry, address: null): Promise<Block>
  }
  chain: {
    height: number
    tip: Entry
    add(block: Block): Promise<unknown>
    reset(height: number): Promise<void>
    getBlock(height: number): Promise<Block>
  }
  mempool: {
    addTX(tx: Tx): Promise<unknown>
    has(hash: string): boolean
    reset(): Promise<void>
    map: Map<unknown, { tx: Tx }>
    isSpent(hash: string, index: number): boolean
    getSpent(hash: string, index: number): { tx: Tx } | null
  }
}
type Funding = Tx & {
  addTX(tx: Tx, index: number, height: number): void
  addOutput(output: unknown): void
  sign(ring: unknown): void
  toTX(): Tx
}

const require = createRequire(import.meta.url)
const FullNode = require('bcoin/lib/node/fullnode') as new (options: unknown) => Node
const KeyRing = require('bcoin/lib/primitives/keyring') as {
  generate(network: unknown): { getAddress(): unknown }
}
const MTX = require('bcoin/lib/primitives/mtx') as new () => Funding
const TX = require('bcoin/lib/primitives/tx') as { fromRaw(raw: Buffer): Tx }
const Script = require('bcoin/lib/script/script') as { fromRaw(raw: Buffer): unknown }

const apiKey = process.env.HOLDFAST_DEVNET_KEY ?? ''
const feeSats = 10_000
const maturityBlocks = 100

const node = new FullNode({
  network: 'regtest',
  memory: true,
  workers: false,
  listen: false,
  httpHost: '127.0.0.1',
  httpPort: Number(process.env.HOLDFAST_DEVNET_PORT),
  apiKey,
  indexTX: true,
})
await node.open()
const miner = KeyRing.generate(node.network)
node.miner.addresses = []
node.miner.addAddress(miner.getAddress())
let nextCoinbase = 1

// The original falls back to the chain when the mempool says "spent"; Bitcoin Core does not.
const { gettxout } = node.rpc.calls
if (!gettxout) throw new Error('bcoin has no gettxout')
node.rpc.calls.gettxout = async function answerLikeCore(this: unknown, args, help) {
  const [txid, vout, withMempool = true] = args
  if (withMempool && node.mempool.isSpent(internal(String(txid)), Number(vout))) return null
  return gettxout.call(this, args, help)
}
node.rpc.calls.gettxspendingprevout = async (args) => {
  const [outpoints] = args as [{ txid: string; vout: number }[]]
  return outpoints.map(({ txid, vout }) => {
    const spender = node.mempool.getSpent(internal(txid), vout)
    return { txid, vout, ...(spender ? { spendingtxid: spender.tx.txid() } : {}) }
  })
}

process.on('disconnect', () => process.exit(0))
process.on('message', (message: ChildRequest) => {
  act(message).then(
    (value) => process.send?.({ id: message.id, value }),
    (error: unknown) => process.send?.({ id: message.id, error: String(error) }),
  )
})
process.send?.({ ready: true })

async function act(request: ChildRequest): Promise<unknown> {
  switch (request.op) {
    case 'tip':
      return node.chain.height
    case 'mine':
      return mine(request.count)
    case 'fund':
      return fund(Buffer.from(request.script, 'hex'), request.sats)
    case 'broadcast':
      return broadcast(Buffer.from(request.raw, 'hex'))
    case 'blocks':
      return blocks(request.from, request.countMax)
    case 'mempool':
      return [...node.mempool.map.values()].map(({ tx }) => plain(tx))
    case 'rewind':
      await node.chain.reset(request.height)
      await node.mempool.reset()
      return node.chain.height
  }
}

async function mine(count: number): Promise<number> {
  for (let mined = 0; mined < count; mined++) {
    await node.chain.add(await node.miner.mineBlock(node.chain.tip, null))
  }
  return node.chain.height
}

async function fund(script: Buffer, sats: number): Promise<unknown> {
  const tx = new MTX()
  let have = 0
  while (have < sats + feeSats) {
    const height = nextCoinbase
    if (height + maturityBlocks > node.chain.height) throw new Error('no mature coinbase')
    // Taken before anything is waited for: another payment may be under way.
    nextCoinbase += 1
    const [coinbase] = (await node.chain.getBlock(height)).txs
    if (!coinbase) throw new Error('block without coinbase')
    tx.addTX(coinbase, 0, height)
    have += coinbase.outputs[0]?.value ?? 0
  }
  tx.addOutput({ script: Script.fromRaw(script), value: sats })
  const change = have - sats - feeSats
  if (change > feeSats) tx.addOutput({ address: miner.getAddress(), value: change })
  tx.sign(miner)
  const raw = tx.toRaw()
  const said = await broadcast(raw)
  if (said.kind === 'refused') throw new Error(`funding refused: ${said.reason}`)
  return { txid: tx.txid(), vout: 0, raw: raw.toString('hex') }
}

async function broadcast(
  raw: Buffer,
): Promise<{ kind: 'accepted'; txid: string } | { kind: 'refused'; reason: string }> {
  const tx = TX.fromRaw(raw)
  try {
    await node.mempool.addTX(tx)
  } catch (error) {
    const { reason, message } = error as { reason?: string; message: string }
    return { kind: 'refused', reason: reason ?? message }
  }
  if (!node.mempool.has(internal(tx.txid()))) return { kind: 'refused', reason: 'not kept' }
  return { kind: 'accepted', txid: tx.txid() }
}

async function blocks(from: number, countMax: number): Promise<ChainBlock[]> {
  const found: ChainBlock[] = []
  const end = Math.min(node.chain.height + 1, from + countMax)
  for (let height = from; height < end; height++) {
    const block = await node.chain.getBlock(height)
    const header = block.toHeaders().toRaw().toString('hex')
    found.push({ height, hash: block.rhash(), header, transactions: block.txs.map(plain) })
  }
  return found
}

function plain(tx: Tx): ChainTransaction {
  return {
    txid: tx.txid(),
    raw: tx.toRaw().toString('hex'),
    inputs: tx.inputs.map(({ prevout }) => ({ txid: prevout.txid(), vout: prevout.index })),
    outputs: tx.outputs.map(({ value, script }) => ({
      sats: value,
      script: script.toRaw().toString('hex'),
    })),
  }
}

/** A transaction id in the order in which nodes keep it. */
function internal(txid: string): string {
  return Buffer.from(txid, 'hex').reverse().toString('hex')
}
