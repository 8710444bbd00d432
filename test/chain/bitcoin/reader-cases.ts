import type { BitcoinReader, Lookup } from '../../../src/chain/bitcoin/reader.js'
import { confirmations, type World } from './world.js'

/** A question to a source, and its answer without the sources that gave it. */
export type ReaderCase = {
  readonly name: string
  ask(reader: BitcoinReader, world: World, signal: AbortSignal): Promise<Lookup<unknown>>
  /** undefined stands for "not found". */
  expected(world: World, knows: { blockSpender: boolean }): unknown
  /** The transaction that is asked for. */
  txid(world: World): string | undefined
}

const raw = (
  name: string,
  pick: (world: World) => { txid: string; raw: Uint8Array },
): ReaderCase => ({
  name: `raw transaction: ${name}`,
  ask: (reader, world, signal) => reader.rawTransaction(pick(world).txid, signal),
  expected: (world) => new Uint8Array(pick(world).raw),
  txid: (world) => pick(world).txid,
})

const depth = (
  name: string,
  pick: (world: World) => { txid: string },
  blocks: number,
): ReaderCase => ({
  name: `confirmations: ${name}`,
  ask: (reader, world, signal) => reader.confirmations(pick(world).txid, signal),
  expected: () => blocks,
  txid: (world) => pick(world).txid,
})

const status = (
  name: string,
  pick: (world: World) => { txid: string; vout: number },
  expected: ReaderCase['expected'],
): ReaderCase => ({
  name: `output status: ${name}`,
  ask: (reader, world, signal) => {
    const { txid, vout } = pick(world)
    return reader.outputStatus(txid, vout, signal)
  },
  expected,
  txid: (world) => pick(world).txid,
})

const unknown = (world: World) => ({ txid: world.unknownTxid, vout: 0 })

/** What both adapters must answer on the same chain. */
export const readerCases: readonly ReaderCase[] = [
  raw('in a block', (world) => world.unspent),
  raw('in the mempool', (world) => world.unconfirmed),
  depth('in a block', (world) => world.unspent, confirmations),
  depth('in the mempool', (world) => world.unconfirmed, 0),
  depth('in the mempool on top of another', (world) => ({ txid: world.unconfirmedAndSpent.by }), 0),
  status(
    'unspent',
    (world) => world.unspent,
    () => ({ kind: 'unspent' }),
  ),
  status(
    'unspent and unconfirmed',
    (world) => world.unconfirmed,
    () => ({ kind: 'unspent' }),
  ),
  status(
    'spent in a block',
    (world) => world.spentInBlock,
    (world, knows) => ({
      kind: 'spent',
      by: knows.blockSpender ? world.spentInBlock.by : undefined,
    }),
  ),
  status(
    'spent in the mempool',
    (world) => world.spentInMempool,
    (world) => ({
      kind: 'spentInMempool',
      by: world.spentInMempool.by,
    }),
  ),
  status(
    'unconfirmed and spent',
    (world) => world.unconfirmedAndSpent,
    (world) => ({
      kind: 'spentInMempool',
      by: world.unconfirmedAndSpent.by,
    }),
  ),
  {
    name: 'tip',
    ask: (reader, _, signal) => reader.tipHeight(signal),
    expected: () => 453,
    txid: () => undefined,
  },
  {
    name: 'raw transaction: unknown',
    ask: (reader, world, signal) => reader.rawTransaction(world.unknownTxid, signal),
    expected: () => undefined,
    txid: () => undefined,
  },
  {
    name: 'confirmations: unknown',
    ask: (reader, world, signal) => reader.confirmations(world.unknownTxid, signal),
    expected: () => undefined,
    txid: () => undefined,
  },
  { ...status('of an unknown transaction', unknown, () => undefined), txid: () => undefined },
  {
    ...status(
      'beyond the outputs',
      (world) => ({ ...world.unspent, vout: 2 }),
      () => undefined,
    ),
    txid: () => undefined,
  },
]
