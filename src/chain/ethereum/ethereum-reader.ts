import { toHex } from '../../base/bytes.js'
import { type Clock, systemClock } from '../../base/clock.js'
import { throwIfAborted } from '../../base/errors.js'
import { hostEndpointsMax } from '../../base/limits.js'
import { type Logger, silent } from '../../base/log.js'
import type { HexData } from './contracts.js'
import { within } from './deadline.js'
import { type Endpoint, loadViem, openEndpoint } from './endpoint.js'
import { checkEndpoint, type EndpointCheck } from './endpoint-check.js'
import type { Answer, EndpointFault } from './fault.js'
import { type BridgeRead, contractReads, type WalletRead } from './read-wallet.js'
import {
  type ChainFault,
  ChainUnavailable,
  type RegistryFault,
  type RegistryOutage,
  type WalletChainData,
  WalletNotFound,
  type WalletReader,
} from './reader.js'
import { walletWarnings } from './warnings.js'

/** An endpoint that failed is asked after the others for so long. */
const restMs = 30_000
/** Chains whose blocks come so regularly that an old one means a node that fell behind. */
const steadyChains: readonly bigint[] = [1n, 11_155_111n]
const steadyBlockAgeMs = 600_000

export type EthereumReaderOptions = {
  /** JSON-RPC endpoints, http or https, in the order in which they are tried; 1 to 64. */
  readonly endpoints: readonly string[]
  /** 20 bytes: 0x and hex. */
  readonly bridgeAddress: string
  /** Chain that every endpoint must be on. */
  readonly chainId: bigint
  /** Milliseconds one endpoint may take for what is read of the Bridge; default 10 000. */
  readonly requestTimeoutMs?: number | undefined
  /** Milliseconds after the Bridge's answer in which the registry may answer; default 2000. */
  readonly registryTimeoutMs?: number | undefined
  /**
   * Age of the latest block, in milliseconds, from which a node counts as not synced.
   * Default: 600 000 on Ethereum mainnet and Sepolia, none elsewhere.
   */
  readonly blockAgeMaxMs?: number | undefined
  /** Hears of registries that are away, once a minute and wallet. */
  readonly log?: Logger | undefined
  readonly clock?: Clock | undefined
}

/** Reads tBTC's contracts over JSON-RPC. */
export interface EthereumReader extends WalletReader {
  /** Asks every endpoint anew whether wallets can be read through it. @throws Aborted */
  check(signal?: AbortSignal): Promise<readonly EndpointCheck[]>
  /** Why the registry's part of the last read is missing; undefined once one had it. */
  registryOutage(): RegistryOutage | undefined
  /** How often the wallet registry could not be read, by cause. */
  faults(): ReadonlyMap<RegistryFault, number>
  /** How often an endpoint gave no usable answer of the Bridge or of its height, by cause. */
  endpointFaults(): ReadonlyMap<ChainFault, number>
}

/**
 * A reader over JSON-RPC endpoints; nothing is asked, and the client library is not loaded, before the first call.
 *
 * @remarks Both contracts are read at one block of one endpoint. When an endpoint's Bridge answer is unusable the next
 * endpoint is tried; when only its registry answer is, another one is asked for both at the same block, within the
 * registry's time. Nothing of a wallet is cached.
 * @throws RangeError for options out of their bounds
 */
export function ethereumReader(options: EthereumReaderOptions): EthereumReader {
  const { requestTimeoutMs, registryTimeoutMs, bridge, endpoints, log, clock } = checked(options)
  const reads = contractReads(bridge)
  const warn = walletWarnings(log, clock)
  const faults = new Map<RegistryFault, number>()
  let outage: RegistryOutage | undefined
  const endpointFaults = new Map<ChainFault, number>()
  const failedAtMs = new Map<Endpoint, number>()

  function isResting(endpoint: Endpoint): boolean {
    const sinceMs = clock.nowMs() - (failedAtMs.get(endpoint) ?? Number.NEGATIVE_INFINITY)
    return sinceMs >= 0 && sinceMs < restMs
  }

  /** Endpoints in their order, those that failed lately after the others. */
  function inOrder(): readonly Endpoint[] {
    return [
      ...endpoints.filter((one) => !isResting(one)),
      ...endpoints.filter((one) => isResting(one)),
    ]
  }

  /** Runs one read of an endpoint in its time and remembers how it went. */
  async function attempt<T>(
    endpoint: Endpoint,
    signal: AbortSignal | undefined,
    read: (signal: AbortSignal) => Promise<Answer<T>>,
  ): Promise<Answer<T>> {
    // To load a library is not the endpoint's time.
    await loadViem()
    const answer = await within(requestTimeoutMs, signal, read)
    if (answer.kind === 'fault') {
      failedAtMs.set(endpoint, clock.nowMs())
      count(endpointFaults, answer.fault)
    } else failedAtMs.delete(endpoint)
    return answer
  }

  /** The registry's part: from the endpoint that answered for the Bridge, or both from another at the same block. */
  async function complete(first: BridgeRead, signal: AbortSignal | undefined): Promise<WalletRead> {
    const endMs = performance.now() + registryTimeoutMs
    const degraded = await reads.registry(first, registryTimeoutMs, signal)
    if (degraded.registry.status !== 'unavailable') return degraded
    for (const endpoint of inOrder().filter((other) => other !== first.endpoint)) {
      const leftMs = Math.floor(endMs - performance.now())
      if (leftMs < 1) break
      const second = await within(leftMs, signal, (inner) =>
        reads.both(endpoint, first.pkh, first.atBlock, leftMs, inner),
      )
      if (second.kind === 'known') return second.value
    }
    return degraded
  }

  async function getWallet(pkh20: Uint8Array, signal?: AbortSignal): Promise<WalletChainData> {
    if (pkh20.length !== 20) throw new RangeError('public key hash: want 20 bytes')
    const pkh = toHex(pkh20)
    throwIfAborted(signal, 'host chain read')
    const failures: Failure[] = []
    for (const endpoint of inOrder()) {
      const answer = await attempt(endpoint, signal, (inner) =>
        reads.bridge(endpoint, pkh, undefined, inner),
      )
      if (answer.kind === 'fault') {
        failures.push({ source: endpoint.source, ...answer })
        continue
      }
      if (answer.value === undefined) throw new WalletNotFound(pkh)
      const { source, ...read } = await complete(answer.value, signal)
      outage = outageIn(read)
      if (outage !== undefined) count(faults, outage.cause)
      warn(read, source)
      return read
    }
    throw unavailable(failures)
  }

  async function heights(
    signal?: AbortSignal,
  ): Promise<readonly { readonly source: string; readonly height: bigint }[]> {
    const failures: Failure[] = []
    // One that hangs holds up nobody twice; it is asked again when no other answers.
    for (const group of [false, true].map((resting) =>
      endpoints.filter((one) => isResting(one) === resting),
    )) {
      const answers = await Promise.all(
        group.map(async (endpoint) => {
          const answer = await attempt(endpoint, signal, (inner) => endpoint.height(inner))
          return { source: endpoint.source, ...answer }
        }),
      )
      const found = answers.flatMap((answer) =>
        answer.kind === 'known' ? [{ source: answer.source, height: answer.value }] : [],
      )
      if (found.length > 0) return found
      failures.push(...answers.flatMap((answer) => (answer.kind === 'fault' ? [answer] : [])))
    }
    throw unavailable(failures)
  }

  return {
    getWallet,
    heights,
    check: (signal) =>
      Promise.all(
        endpoints.map(async (endpoint) => {
          const answer = await attempt(endpoint, signal, (inner) => reads.probe(endpoint, inner))
          return checkEndpoint(endpoint.source, bridge, answer)
        }),
      ),
    registryOutage: () => outage,
    faults: () => new Map(faults),
    endpointFaults: () => new Map(endpointFaults),
  }
}

function outageIn(read: WalletChainData): RegistryOutage | undefined {
  const { registry, registryAddress: address, walletId } = read
  if (registry.status !== 'unavailable') return undefined
  return { address, walletId, cause: registry.cause, detail: registry.detail }
}

type Failure = EndpointFault & { readonly source: string }

/** All that went wrong in one error, which is of the kind of the first endpoint's fault. */
function unavailable(failures: readonly Failure[]): ChainUnavailable {
  const told = failures.map(({ source, detail }) => `${source}: ${detail}`).join('; ')
  return new ChainUnavailable(failures[0]?.fault ?? 'connection', told)
}

function count<Cause>(counts: Map<Cause, number>, cause: Cause): void {
  counts.set(cause, (counts.get(cause) ?? 0) + 1)
}

type Checked = {
  readonly requestTimeoutMs: number
  readonly registryTimeoutMs: number
  readonly bridge: HexData
  readonly endpoints: readonly Endpoint[]
  readonly log: Logger
  readonly clock: Clock
}

function checked(options: EthereumReaderOptions): Checked {
  const { bridgeAddress, chainId, log = silent, clock = systemClock } = options
  if (!/^0x[0-9a-f]{40}$/i.test(bridgeAddress)) {
    throw new RangeError('Bridge address: want 0x and 40 hex digits')
  }
  const bridge = bridgeAddress.toLowerCase() as HexData // Just checked.
  const { length } = options.endpoints
  if (length < 1 || length > hostEndpointsMax) {
    throw new RangeError(`endpoints: ${length}, want 1 to ${hostEndpointsMax}`)
  }
  const steady = steadyChains.includes(chainId) ? steadyBlockAgeMs : undefined
  const { blockAgeMaxMs = steady } = options
  const sources = sourceNames(options.endpoints)
  const endpoints = options.endpoints.map((url, at) =>
    openEndpoint({ url, source: sources[at] ?? String(at), chainId, blockAgeMaxMs, clock }),
  )
  const requestTimeoutMs = milliseconds('requestTimeoutMs', options.requestTimeoutMs ?? 10_000)
  const registryTimeoutMs = milliseconds('registryTimeoutMs', options.registryTimeoutMs ?? 2000)
  return { requestTimeoutMs, registryTimeoutMs, bridge, endpoints, log, clock }
}

/** Host and port of each URL, numbered where two are alike: the rest of a URL may hold a key. */
function sourceNames(urls: readonly string[]): readonly string[] {
  const hosts = urls.map((url, at) => {
    const { protocol = '', host = '' } = URL.canParse(url) ? new URL(url) : {}
    if (!/^https?:$/.test(protocol)) {
      throw new RangeError(`endpoint ${at + 1}: want an http or https URL`)
    }
    return host
  })
  return hosts.map((host, at) => {
    const isAlone = hosts.indexOf(host) === hosts.lastIndexOf(host)
    return isAlone ? host : `${host} (${at + 1})`
  })
}

function milliseconds(name: string, value: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= 600_000) return value
  throw new RangeError(`${name}: ${value}, want a whole number from 1 to 600000`)
}
