import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startTcpFaultProxy } from '../devnet/fault-proxy-tcp.js'
import { covenantRequest } from '../devnet/requests.js'
import { type DevnetStack, startDevnetStack } from '../devnet/stack.js'
import { devnetDomain } from '../devnet/stack-files.js'
import { neverAborted } from '../src/base/abort.js'
import { toHex } from '../src/base/bytes.js'
import { bitcoinConnectionsMax } from '../src/base/limits.js'
import type { SubmitInput } from '../src/covenant/request.js'
import type { Signer } from '../src/covenant/signer.js'
import { scriptedSigner } from '../src/testing/scripted-signer.js'
import { type Chains, type Node, openNode, openReaders } from '../test/devnet/node.js'
import { type Figure, median, timeMs } from './measure.js'

const rounds = 40
const warmUpRounds = 10
const jobs = 100
const answerMs = 500
/** Longer than anything here takes. */
const waitMs = 120_000

/** What issue "Real chains, the signing engine, and the whole main job" asks to be measured. */
export async function* benchDevnet(): AsyncGenerator<Figure> {
  const started = await startDevnetStack()
  if (started.kind === 'missing') throw new Error(`bench devnet: ${started.reason}`)
  const { stack } = started
  try {
    yield await jobAgainstItsReads(stack)
    yield await jobsOverSlowNode(stack)
  } finally {
    await stack.stop()
  }
}

/** A job from submit to READY beside the same chain reads and the same signature, made again one after the other. */
async function jobAgainstItsReads(stack: DevnetStack): Promise<Figure> {
  const chains = chainsOf(stack)
  const { ethereum, bitcoin } = openReaders(chains)
  const kept: Repeat[] = []
  const dataDir = temporary()
  const node = await openNode({
    ...{ chains, dataDir: join(dataDir.path, 'data') },
    readers: { ethereum: recorded(ethereum, kept), bitcoin: recorded(bitcoin, kept) },
    signer: () => recorded(signerOf(stack), kept),
    settings: { submitWaitMs: waitMs },
  })
  const times: { readonly whole: number; readonly alone: number; readonly calls: number }[] = []
  for (const [round, input] of (await fundedRequests(stack, rounds)).entries()) {
    kept.splice(0)
    const whole = await timeMs(() => ready(node, input))
    const calls = [...kept]
    const alone = await timeMs(() => inTurn(calls))
    // The first rounds warm up the compiler and the connections for both alike.
    if (round >= warmUpRounds) times.push({ whole, alone, calls: calls.length })
  }
  await node.close()
  dataDir.remove()
  const middle = (of: 'whole' | 'alone' | 'calls'): number => median(times.map((time) => time[of]))
  return {
    what: 'self_v1 job, submit to READY / its reads and signature alone',
    value: median(times.map(({ whole, alone }) => whole / alone)),
    unit: 'x',
    bound: { kind: 'at most', value: 3 },
    detail: `${middle('whole').toFixed(1)} ms against ${middle('alone').toFixed(1)} ms for its ${middle('calls')} calls, ${times.length} rounds in turn`,
  }
}

/**
 * Many jobs at once over a slow node, beside what the node takes for their questions on as many connections.
 *
 * The Electrum server of the devnet has no figure: it reads the chain anew for each question, which takes longer than
 * the delay.
 */
async function jobsOverSlowNode(stack: DevnetStack): Promise<Figure> {
  const proxy = await startTcpFaultProxy(Number(new URL(stack.bitcoin.rpcUrl).port))
  const chains = chainsOf(stack, `http://127.0.0.1:${proxy.port}`)
  const { ethereum, bitcoin } = openReaders(chains)
  const kept: Repeat[] = []
  const dataDir = temporary()
  const node = await openNode({
    ...{ chains, dataDir: join(dataDir.path, 'data') },
    readers: { ethereum, bitcoin: recorded(bitcoin, kept) },
    signer: () => signerOf(stack),
    settings: { submitWaitMs: waitMs, inFlightMax: jobs },
  })
  const [first, ...others] = await fundedRequests(stack, jobs + 1)
  if (first === undefined) throw new RangeError('bench devnet: want a request')
  await ready(node, first)
  proxy.set({ kind: 'delay', ms: answerMs })
  const oneMs = await timeMs(() => inTurn([...kept]))
  const took = await timeMs(() => Promise.all(others.map((input) => ready(node, input))))
  await node.close()
  await proxy.stop()
  dataDir.remove()
  const nodeMs = (jobs * oneMs) / bitcoinConnectionsMax
  const seconds = (ms: number): string => (ms / 1000).toFixed(1)
  return {
    what: `${jobs} jobs in flight, node answers in ${answerMs} ms / the node alone`,
    value: took / nodeMs,
    unit: 'x',
    bound: { kind: 'at most', value: 1.5 },
    detail: `${seconds(took)} s against ${seconds(nodeMs)} s: ${seconds(oneMs)} s of questions a job, ${bitcoinConnectionsMax} connections`,
  }
}

/** One call that a job made, to be made again. */
type Repeat = () => Promise<unknown>

/** The same port, whose calls are kept. */
function recorded<T extends object>(port: T, kept: Repeat[]): T {
  return new Proxy(port, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name)
      if (typeof method !== 'function') return method
      return (...args: readonly unknown[]): unknown => {
        // What a job's own signal ends is not to be ended again by it.
        const again = args.map((arg) => (arg instanceof AbortSignal ? neverAborted : arg))
        if (name !== 'close') kept.push(() => Reflect.apply(method, target, again))
        return Reflect.apply(method, target, args)
      }
    },
  })
}

async function inTurn(calls: readonly Repeat[]): Promise<void> {
  for (const call of calls) await call()
}

async function ready(node: Node, input: SubmitInput): Promise<void> {
  const { status, detail } = await node.submit(input)
  if (status !== 'READY') throw new Error(`bench devnet: a job is ${status}: ${detail}`)
}

function signerOf({ wallet }: DevnetStack): Signer {
  return scriptedSigner({ secrets: [wallet.secret] })
}

function chainsOf({ evm, bitcoin }: DevnetStack, url: string = bitcoin.rpcUrl): Chains {
  const { user, password } = bitcoin
  return {
    ethereumUrl: evm.url,
    chainId: String(evm.chainId),
    bridge: evm.bridge,
    bitcoin: [{ url, user, password: toHex(password) }],
  }
}

let requests = 0

/** Requests for covenants of their own, all as deep as they must be. */
async function fundedRequests(stack: DevnetStack, count: number): Promise<readonly SubmitInput[]> {
  const made: SubmitInput[] = []
  for (let at = 0; at < count; at++) {
    const covenant = await stack.fundCovenant({ route: 'self_v1', confirmations: 0 })
    requests += 1
    const name = `bench_${requests}`
    const { wallet } = stack
    made.push(covenantRequest({ covenant, wallet, name, domain: devnetDomain }))
  }
  await stack.bitcoin.mine(6)
  return made
}

function temporary(): { readonly path: string; readonly remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-bench-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}
