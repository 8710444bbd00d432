import { createHash } from 'node:crypto'
import type { ChainView } from './bitcoin.js'
import type { ChainBlock, ChainTransaction } from './bitcoin-messages.js'

/** A transaction with its place: 0 in the mempool, -1 there on top of another that is in no block either. */
export type Placed = ChainTransaction & { readonly height: number }

/** A chain and its mempool, by transaction and by script, at one moment. */
export type ScriptIndex = {
  readonly blocks: readonly ChainBlock[]
  readonly transactions: ReadonlyMap<string, Placed>
  /** Transactions that touch a script, blocks first, in their order; by Electrum's script hash. */
  readonly histories: ReadonlyMap<string, readonly Placed[]>
  /** Outpoints `txid:vout` that something spends. */
  readonly spent: ReadonlySet<string>
}

const blocksPerRead = 200

/** Reads blocks that were added since `known`, and all of the mempool. */
export async function readScriptIndex(
  chain: ChainView,
  known: readonly ChainBlock[],
): Promise<ScriptIndex> {
  const blocks = await currentBlocks(chain, known)
  const waiting = await chain.mempool()
  const waitingIds = new Set(waiting.map(({ txid }) => txid))
  const placed = blocks.flatMap(({ height, transactions }) =>
    transactions.map((transaction) => ({ ...transaction, height })),
  )
  for (const transaction of waiting) {
    const isOnTop = transaction.inputs.some(({ txid }) => waitingIds.has(txid))
    placed.push({ ...transaction, height: isOnTop ? -1 : 0 })
  }
  return { blocks, ...indexed(placed) }
}

async function currentBlocks(
  chain: ChainView,
  known: readonly ChainBlock[],
): Promise<readonly ChainBlock[]> {
  const last = known.at(-1)
  const [same] = last ? await chain.blocks(last.height, 1) : []
  // Another block, or none, at that height: the chain was reorganised.
  const blocks = same && same.hash === last?.hash ? [...known] : []
  for (;;) {
    const more = await chain.blocks(blocks.length, blocksPerRead)
    blocks.push(...more)
    if (more.length < blocksPerRead) return blocks
  }
}

function indexed(placed: readonly Placed[]): Omit<ScriptIndex, 'blocks'> {
  const transactions = new Map(placed.map((transaction) => [transaction.txid, transaction]))
  const histories = new Map<string, Placed[]>()
  const spent = new Set<string>()
  for (const transaction of placed) {
    const touched = new Set(transaction.outputs.map(({ script }) => script))
    for (const { txid, vout } of transaction.inputs) {
      spent.add(`${txid}:${vout}`)
      const script = transactions.get(txid)?.outputs[vout]?.script
      if (script !== undefined) touched.add(script)
    }
    for (const script of touched) {
      const hash = scriptHash(script)
      const history = histories.get(hash) ?? []
      history.push(transaction)
      histories.set(hash, history)
    }
  }
  return { transactions, histories, spent }
}

/** SHA-256 of a script in reversed order, hex. */
export function scriptHash(script: string): string {
  return createHash('sha256').update(Buffer.from(script, 'hex')).digest().reverse().toString('hex')
}
