import { keccak_256 } from '@noble/hashes/sha3.js'
import { fromHex, sha256, toHex } from '../base/bytes.js'
import { hash160, uncompressPoint } from '../base/curve.js'
import { throwIfAborted } from '../base/errors.js'
import {
  type ChainFault,
  ChainUnavailable,
  type Hex32,
  type RegistryView,
  type WalletChainData,
  WalletNotFound,
  type WalletReader,
  type WalletState,
} from '../chain/ethereum/reader.js'

/** Bridge and WalletRegistry in memory, whose wallets, heights and faults a test can set. */
export interface MemoryEthereum extends WalletReader {
  /** Height of the host chain in blocks. */
  height: bigint
  /** Names of the endpoints that tell the height. */
  sources: readonly string[]
  /** How often a wallet was looked up. */
  readonly looks: number
  /** Registers a wallet with its members, Live unless said otherwise. @param publicKey 33 bytes, compressed, hex with 0x */
  register(publicKey: string, state?: WalletState): WalletChainData
  setState(publicKey: string, state: WalletState): void
  /** Replaces what the registry says of every wallet; undefined brings back what was registered. */
  setRegistry(view: RegistryView | undefined): void
  /** Removes a wallet from Bridge and registry. */
  forget(publicKey: string): void
  /** Calls find the host chain away, until it is called without a fault. @param what default: `all` */
  fail(fault?: ChainFault, what?: 'wallets' | 'heights' | 'all'): void
}

const registryAddress = `0x${'4e'.repeat(20)}` as const
const zero: Hex32 = `0x${'00'.repeat(32)}`

export function memoryEthereum(options: { readonly height?: bigint } = {}): MemoryEthereum {
  const wallets = new Map<string, WalletChainData>()
  let registry: RegistryView | undefined
  const faults = new Map<'wallets' | 'heights', ChainFault | undefined>()
  let looks = 0

  function requireReachable(what: 'wallets' | 'heights'): void {
    const fault = faults.get(what)
    if (fault !== undefined) throw new ChainUnavailable(fault, 'scripted to fail')
  }

  const chain: MemoryEthereum = {
    height: options.height ?? 100_000n,
    sources: ['memory'],
    get looks() {
      return looks
    },
    register(publicKey, state = 'Live') {
      const wallet = walletOf(publicKey, state, chain.height)
      wallets.set(hashOf(publicKey), wallet)
      return wallet
    },
    setState(publicKey, state) {
      const wallet = wallets.get(hashOf(publicKey))
      if (wallet === undefined) throw new RangeError('memory ethereum: no such wallet')
      wallets.set(hashOf(publicKey), { ...wallet, state })
    },
    setRegistry(view) {
      registry = view
    },
    forget: (publicKey) => void wallets.delete(hashOf(publicKey)),
    fail(fault, what = 'all') {
      if (what !== 'heights') faults.set('wallets', fault)
      if (what !== 'wallets') faults.set('heights', fault)
    },
    async getWallet(pkh20, signal) {
      looks += 1
      throwIfAborted(signal, 'getWallet')
      requireReachable('wallets')
      const wallet = wallets.get(toHex(pkh20))
      if (wallet === undefined) throw new WalletNotFound(toHex(pkh20))
      return { ...wallet, atBlock: chain.height, registry: registry ?? wallet.registry }
    },
    async heights(signal) {
      throwIfAborted(signal, 'heights')
      requireReachable('heights')
      return chain.sources.map((source) => ({ source, height: chain.height }))
    },
  }
  return chain
}

function hashOf(publicKey: string): string {
  return toHex(hash160(fromHex(publicKey.slice(2))))
}

function walletOf(publicKey: string, state: WalletState, atBlock: bigint): WalletChainData {
  const point = uncompressPoint(fromHex(publicKey.slice(2))).subarray(1)
  return {
    walletId: `0x${toHex(keccak_256(point))}`,
    mainUtxoHash: zero,
    pendingRedemptionsValue: 0n,
    createdAt: 1_700_000_000,
    movingFundsRequestedAt: 0,
    closingStartedAt: 0,
    pendingMovedFundsSweepRequestsCount: 0,
    state,
    movingFundsTargetWalletsCommitmentHash: zero,
    atBlock,
    registryAddress,
    registry: {
      status: 'available',
      membersIdsHash: `0x${toHex(sha256(point))}`,
      publicKey: `0x${toHex(point)}`,
    },
  }
}
