import type { EIP1193RequestFn } from 'viem'
import type { Clock } from '../../base/clock.js'
import { hostAnswerBytesMax } from '../../base/limits.js'
import type { ContractCall, HexData } from './contracts.js'
import { type Answer, faultOf, known, requestFault } from './fault.js'

/** How long an endpoint that was found in order is not asked for its chain again. */
const checkedForMs = 30_000

type Viem = typeof import('viem')
let loading: Promise<Viem> | undefined

/** Loads the client library, which takes a moment, once. */
export function loadViem(): Promise<Viem> {
  loading ??= import('viem')
  return loading
}

export type EndpointSettings = {
  readonly url: string
  /** What the endpoint is called in texts. */
  readonly source: string
  /** Chain that it must be on. */
  readonly chainId: bigint
  /** Age of the latest block from which the endpoint counts as not synced; `undefined` for none. */
  readonly blockAgeMaxMs: number | undefined
  readonly clock: Clock
}

/** One JSON-RPC endpoint. It rejects only after a signal has fired. */
export interface Endpoint {
  readonly source: string
  /** Height of the latest block, from an endpoint that is on the right chain and synced. */
  height(signal: AbortSignal): Promise<Answer<bigint>>
  /** The same, and the chain is looked at anew. */
  heightChecked(signal: AbortSignal): Promise<Answer<bigint>>
  /** Calls a contract at a block. */
  call<T>(
    to: HexData,
    contractCall: ContractCall<T>,
    atBlock: bigint,
    signal: AbortSignal,
  ): Promise<Answer<T>>
}

/** The endpoint at a URL; nothing is asked yet. */
export function openEndpoint(settings: EndpointSettings): Endpoint {
  const { url, source, chainId, blockAgeMaxMs, clock } = settings
  const conceal = concealer(url)
  let request: EIP1193RequestFn | undefined
  let checkedAtMs: number | undefined

  async function ask(
    method: string,
    params: readonly unknown[],
    signal: AbortSignal,
  ): Promise<Answer<unknown>> {
    request ??= await requestFunction(url)
    try {
      return known(await request({ method, params }, { signal }))
    } catch (error) {
      // Whoever fired the signal knows why; everything else is this endpoint's fault.
      if (signal.aborted) throw error
      return requestFault(error, conceal)
    }
  }

  async function askNumber(method: string, signal: AbortSignal): Promise<Answer<bigint>> {
    const answer = await ask(method, [], signal)
    return answer.kind === 'known' ? quantity(answer.value, method) : answer
  }

  /** Wrong chain first: what a node of another chain says about itself does not matter. */
  async function check(signal: AbortSignal): Promise<Answer<undefined>> {
    const [id, syncing, block] = await Promise.all([
      askNumber('eth_chainId', signal),
      ask('eth_syncing', [], signal),
      blockAgeMaxMs === undefined
        ? known(undefined)
        : ask('eth_getBlockByNumber', ['latest', false], signal),
    ])
    if (id.kind === 'fault') return id
    if (id.value !== chainId) {
      return faultOf('wrong-network', `it is on chain ${id.value}, want ${chainId}`)
    }
    if (syncing.kind === 'fault' && syncing.isUnknownMethod !== true) return syncing
    if (syncing.kind === 'known' && syncing.value !== false) {
      return faultOf('not-synced', 'the node says that it is still syncing')
    }
    if (block.kind === 'fault') return block
    return blockAgeMaxMs === undefined
      ? known(undefined)
      : freshness(block.value, clock.nowMs(), blockAgeMaxMs)
  }

  async function checkOnce(signal: AbortSignal): Promise<Answer<undefined>> {
    const sinceMs = clock.nowMs() - (checkedAtMs ?? Number.NEGATIVE_INFINITY)
    if (sinceMs >= 0 && sinceMs < checkedForMs) return known(undefined)
    const checked = await check(signal)
    checkedAtMs = checked.kind === 'known' ? clock.nowMs() : undefined
    return checked
  }

  async function height(signal: AbortSignal): Promise<Answer<bigint>> {
    const [checked, number] = await Promise.all([
      checkOnce(signal),
      askNumber('eth_blockNumber', signal),
    ])
    return checked.kind === 'fault' ? checked : number
  }

  return {
    source,
    height,
    heightChecked(signal) {
      checkedAtMs = undefined
      return height(signal)
    },
    async call(to, { data, decode }, atBlock, signal) {
      const params = [{ to, data }, `0x${atBlock.toString(16)}`]
      const answer = await ask('eth_call', params, signal)
      if (answer.kind === 'fault') return answer
      const { value } = answer
      return isHexData(value) ? decode(value) : faultOf('bad-data', 'the answer is no hex')
    },
  }
}

async function requestFunction(url: string): Promise<EIP1193RequestFn> {
  const { createClient, http } = await loadViem()
  const transport = http(url, {
    // Deadlines are the caller's; a call that fails is not tried again behind its back.
    timeout: 0,
    retryCount: 0,
    maxResponseBodySize: hostAnswerBytesMax,
    fetchOptions: { redirect: 'manual' },
    fetchFn: fetchOk,
  })
  return createClient({ transport }).request as EIP1193RequestFn // Without a list of known methods.
}

/** The library looks at the status only after it has read the body as JSON: too late for a page that says 500. */
async function fetchOk(...request: Parameters<typeof fetch>): Promise<Response> {
  const response = await fetch(...request)
  if (response.ok) return response
  await response.body?.cancel()
  const { status } = response
  throw Object.assign(new Error(`HTTP status ${status}`), { status })
}

/** Takes out of a text what of a URL may be a key: user, password, path and query. */
function concealer(url: string): (text: string) => string {
  const { username, password, pathname, search, href } = new URL(url)
  const parts = [username, password, ...pathname.split('/'), ...search.slice(1).split(/[&=]/)]
  const secrets = [href, ...parts.filter((part) => part.length >= 6)]
  return (text) => secrets.reduce((rest, secret) => rest.replaceAll(secret, '…'), text)
}

function quantity(value: unknown, method: string): Answer<bigint> {
  return typeof value === 'string' && /^0x[0-9a-f]{1,16}$/i.test(value)
    ? known(BigInt(value))
    : faultOf('bad-data', `${method} did not answer a number`)
}

function freshness(block: unknown, nowMs: number, ageMaxMs: number): Answer<undefined> {
  const timestamp =
    typeof block === 'object' && block !== null && 'timestamp' in block
      ? block.timestamp
      : undefined
  const seconds = quantity(timestamp, 'the time of the latest block')
  if (seconds.kind === 'fault') return seconds
  const ageS = Math.floor(nowMs / 1000) - Number(seconds.value)
  return ageS * 1000 <= ageMaxMs
    ? known(undefined)
    : faultOf('not-synced', `its latest block is ${ageS} s old, want at most ${ageMaxMs / 1000}`)
}

const isHexData = (value: unknown): value is HexData =>
  typeof value === 'string' && value.length % 2 === 0 && /^0x[0-9a-f]*$/i.test(value)
