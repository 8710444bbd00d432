import {
  type BridgeRecord,
  type HexData,
  type RegistryEntry,
  registryAddressCall,
  registryEntryCall,
  walletsCall,
} from './contracts.js'
import { within } from './deadline.js'
import { type Endpoint, loadViem } from './endpoint.js'
import { type Answer, faultOf, known } from './fault.js'
import type { ChainFault, RegistryFault, RegistryView, WalletChainData } from './reader.js'
import { viewOf } from './registry-view.js'

/** What an endpoint's Bridge says of a wallet at a block. */
export type BridgeRead = {
  readonly endpoint: Endpoint
  /** HASH160 of the wallet's key, lower-case hex without 0x. */
  readonly pkh: string
  readonly atBlock: bigint
  readonly record: BridgeRecord
  readonly registryAddress: HexData
}

/** A wallet as both contracts have it, and which endpoint said so. */
export type WalletRead = WalletChainData & { readonly source: string }

/** What a probe saw. */
export type Probe = { readonly height: bigint; readonly registryAddress: HexData }

/** The reads of one Bridge and its registry. */
export type ContractReads = {
  /**
   * The Bridge's record at a block, the latest one when none is given.
   *
   * @returns `undefined` for a hash that the Bridge does not know
   */
  bridge(
    endpoint: Endpoint,
    pkh: string,
    atBlock: bigint | undefined,
    signal: AbortSignal,
  ): Promise<Answer<BridgeRead | undefined>>
  /** The registry's entry for what the Bridge said, at the same block of the same endpoint. @throws Aborted */
  registry(
    read: BridgeRead,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<WalletRead>
  /** Both at a block, or a fault when either cannot be read. */
  both(
    endpoint: Endpoint,
    pkh: string,
    atBlock: bigint,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<Answer<WalletRead>>
  /** Looks whether wallets can be read through an endpoint at all; nothing is taken from memory. */
  probe(endpoint: Endpoint, signal: AbortSignal): Promise<Answer<Probe>>
}

const zeroWord: HexData = `0x${'00'.repeat(32)}`

/** The reads of the Bridge at an address; its registry's address is asked for once. */
export function contractReads(bridge: HexData): ContractReads {
  let registryAddress: HexData | undefined

  /** A Bridge does neither of these, whatever it is asked. */
  function explain<T>(answer: Answer<T>): Answer<T> {
    if (answer.kind === 'known') return answer
    const { fault, detail } = answer
    if (fault !== 'revert' && fault !== 'no-code') return answer
    return faultOf(fault, `${bridge} is no Bridge on this chain: ${detail}`)
  }

  async function referencedRegistry(
    endpoint: Endpoint,
    atBlock: bigint,
    signal: AbortSignal,
  ): Promise<Answer<HexData>> {
    const call = registryAddressCall(await loadViem())
    const answer = explain(await endpoint.call(bridge, call, atBlock, signal))
    if (answer.kind === 'known') registryAddress = answer.value
    return answer
  }

  async function readBridge(
    endpoint: Endpoint,
    pkh: string,
    atBlock: bigint | undefined,
    signal: AbortSignal,
  ): Promise<Answer<BridgeRead | undefined>> {
    const head = await endpoint.height(signal)
    if (head.kind === 'fault') return head
    const block = atBlock ?? head.value
    const call = walletsCall(await loadViem(), `0x${pkh}`)
    const [wallet, registry] = await Promise.all([
      endpoint.call(bridge, call, block, signal),
      registryAddress === undefined
        ? referencedRegistry(endpoint, block, signal)
        : known(registryAddress),
    ])
    const record = explain(wallet)
    if (record.kind === 'fault') return record
    if (registry.kind === 'fault') return registry
    if (record.value === undefined) return known(undefined)
    return known({
      endpoint,
      pkh,
      atBlock: block,
      record: record.value,
      registryAddress: registry.value,
    })
  }

  /** The entry, and where it was found; an address without code may be that of an earlier registry. */
  async function readEntry(
    { endpoint, atBlock, record, registryAddress: address }: BridgeRead,
    signal: AbortSignal,
    moved: (to: HexData) => void,
  ): Promise<Answer<RegistryEntry>> {
    const call = registryEntryCall(await loadViem(), record.walletId)
    const answer = await endpoint.call(address, call, atBlock, signal)
    if (answer.kind === 'known' || answer.fault !== 'no-code') return answer
    const anew = await referencedRegistry(endpoint, atBlock, signal)
    if (anew.kind === 'fault' || anew.value === address) return answer
    moved(anew.value)
    return endpoint.call(anew.value, call, atBlock, signal)
  }

  async function readRegistry(
    read: BridgeRead,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<WalletRead> {
    let address = read.registryAddress
    const entry = await within(timeoutMs, signal, (inner) =>
      readEntry(read, inner, (to) => {
        address = to
      }),
    )
    const { endpoint, atBlock, record, pkh } = read
    const registry: RegistryView =
      entry.kind === 'known'
        ? viewOf(entry.value, record.walletId, pkh)
        : { status: 'unavailable', cause: registryFault(entry.fault), detail: entry.detail }
    return { ...record, atBlock, registryAddress: address, registry, source: endpoint.source }
  }

  return {
    bridge: readBridge,
    registry: readRegistry,
    async both(endpoint, pkh, atBlock, timeoutMs, signal) {
      const read = await readBridge(endpoint, pkh, atBlock, signal)
      if (read.kind === 'fault') return read
      if (read.value === undefined) return faultOf('bad-data', 'it does not know the wallet')
      const whole = await readRegistry(read.value, timeoutMs, signal)
      const { registry } = whole
      return registry.status === 'unavailable'
        ? faultOf(registry.cause, registry.detail)
        : known(whole)
    },
    async probe(endpoint, signal) {
      const head = await endpoint.heightChecked(signal)
      if (head.kind === 'fault') return head
      const registry = await referencedRegistry(endpoint, head.value, signal)
      if (registry.kind === 'fault') return registry
      const call = registryEntryCall(await loadViem(), zeroWord)
      const entry = await endpoint.call(registry.value, call, head.value, signal)
      if (entry.kind === 'fault') {
        return faultOf(entry.fault, `wallet registry ${registry.value}: ${entry.detail}`)
      }
      return known({ height: head.value, registryAddress: registry.value })
    },
  }
}

/** A contract call does not ask for the chain, so the last two cannot come of it. */
function registryFault(fault: ChainFault): RegistryFault {
  return fault === 'wrong-network' || fault === 'not-synced' ? 'bad-data' : fault
}
