import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { type AddressInfo, createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { ChainBlock, ChainTransaction, ChildOrder, ChildReply } from './bitcoin-messages.js'

export type Broadcast =
  | { readonly kind: 'accepted'; readonly txid: string }
  | { readonly kind: 'refused'; readonly reason: string }

/** A chain as an Electrum server reads it. */
export type ChainView = {
  tip(): Promise<number>
  /** Blocks of consecutive heights. */
  blocks(from: number, countMax: number): Promise<readonly ChainBlock[]>
  mempool(): Promise<readonly ChainTransaction[]>
  /** Calls back after every change of the tip; the answer ends that. */
  onTip(listener: () => void): () => void
}

/** A regtest node in a process of its own, with its JSON-RPC on loopback. */
export type BitcoinDevnet = ChainView & {
  readonly rpcUrl: string
  readonly user: string
  readonly password: Uint8Array
  /** @returns the new height */
  mine(count: number): Promise<number>
  /** Pays to a script from the miner's coins; the transaction waits in the mempool. */
  fund(
    scriptPubKey: Uint8Array,
    sats: bigint,
  ): Promise<{ readonly txid: string; readonly vout: number; readonly raw: Uint8Array }>
  /** Hands a transaction to the mempool and says what became of it; the node's RPC would not. */
  broadcast(raw: Uint8Array): Promise<Broadcast>
  /** Takes blocks off the tip and empties the mempool. */
  rewind(height: number): Promise<number>
  stop(): Promise<void>
}

/** Height from which OP_CHECKLOCKTIMEVERIFY, and with it every covenant, is in force on bcoin's regtest. */
export const locktimeHeight = 1360
/** Height from which segregated witness is in force on bcoin's regtest. */
export const segwitHeight = 450

/** Whether the node is installed; npm leaves optional packages out where they do not build. */
export function hasBcoin(): boolean {
  try {
    createRequire(import.meta.url).resolve('bcoin/package.json')
    return true
  } catch {
    return false
  }
}

/** Starts a node and mines its first blocks. */
export async function startBitcoinDevnet(
  options: { readonly blocks?: number } = {},
): Promise<BitcoinDevnet> {
  const port = await freePort()
  const password = randomBytes(16).toString('hex')
  const child = fork(fileURLToPath(new URL('./bitcoin-child.ts', import.meta.url)), {
    execArgv: ['--import', import.meta.resolve('tsx')],
    env: {
      ...process.env,
      NODE_BACKEND: 'js',
      HOLDFAST_DEVNET_KEY: password,
      HOLDFAST_DEVNET_PORT: String(port),
    },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const order = await orders(child)
  const listeners = new Set<() => void>()
  const moved = async (what: ChildOrder): Promise<number> => {
    const tip = (await order(what)) as number
    for (const listener of listeners) listener()
    return tip
  }
  await order({ op: 'mine', count: options.blocks ?? locktimeHeight })
  return {
    rpcUrl: `http://127.0.0.1:${port}`,
    user: 'x',
    password: Buffer.from(password),
    tip: async () => (await order({ op: 'tip' })) as number,
    mine: (count) => moved({ op: 'mine', count }),
    rewind: (height) => moved({ op: 'rewind', height }),
    fund: async (scriptPubKey, sats) => {
      const script = Buffer.from(scriptPubKey).toString('hex')
      const funded = await order({ op: 'fund', script, sats: Number(sats) })
      const { txid, vout, raw } = funded as { txid: string; vout: number; raw: string }
      return { txid, vout, raw: Buffer.from(raw, 'hex') }
    },
    broadcast: async (raw) => {
      return (await order({
        op: 'broadcast',
        raw: Buffer.from(raw).toString('hex'),
      })) as Broadcast
    },
    blocks: async (from, countMax) =>
      (await order({ op: 'blocks', from, countMax })) as readonly ChainBlock[],
    mempool: async () => (await order({ op: 'mempool' })) as readonly ChainTransaction[],
    onTip: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.disconnect()
      await ended
    },
  }
}

async function orders(child: ChildProcess): Promise<(order: ChildOrder) => Promise<unknown>> {
  type Waiting = { resolve(value: unknown): void; reject(error: Error): void }
  const waiting = new Map<number, Waiting>()
  const ready = new Promise<void>((resolve, reject) => {
    child.on('message', (reply: ChildReply) => {
      if ('ready' in reply) return resolve()
      const { resolve: done, reject: failed } = waiting.get(reply.id) ?? {}
      waiting.delete(reply.id)
      if ('error' in reply) failed?.(new Error(`devnet node: ${reply.error}`))
      else done?.(reply.value)
    })
    child.once('exit', (code, signal) => {
      const error = new Error(`devnet node: ended with ${signal ?? code}`)
      reject(error)
      for (const each of waiting.values()) each.reject(error)
    })
  })
  await ready
  let lastId = 0
  return (order) =>
    new Promise((resolve, reject) => {
      lastId += 1
      waiting.set(lastId, { resolve, reject })
      child.send({ ...order, id: lastId }, (error) => {
        if (error) reject(error)
      })
    })
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
