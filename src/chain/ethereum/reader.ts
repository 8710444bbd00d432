import { HoldfastError } from '../../base/errors.js'

/** `0x` and 64 lower-case hex digits. */
export type Hex32 = `0x${string}`

export const walletStates = [
  'Unknown',
  'Live',
  'MovingFunds',
  'Closing',
  'Closed',
  'Terminated',
] as const
/** A wallet's state in the Bridge; its place in the list is the number in the contract. */
export type WalletState = (typeof walletStates)[number]

/** Why nothing is known of the registry; the same names everywhere an operator reads them. */
export type RegistryFault =
  | 'timeout'
  | 'connection'
  | 'http'
  | 'rpc'
  | 'revert'
  | 'no-code'
  | 'bad-data'

/**
 * What the WalletRegistry says of a wallet. No members hash can be reached before `status` was looked at
 * (engine specification, 8.2).
 */
export type RegistryView =
  | {
      readonly status: 'available'
      readonly membersIdsHash: Hex32
      /** X and Y, 64 bytes. */
      readonly publicKey: `0x${string}`
    }
  /** The registry answered and holds no such wallet. */
  | { readonly status: 'absent' }
  /** Bridge and registry contradict each other, or the key is not the one that was asked for. */
  | { readonly status: 'inconsistent'; readonly detail: string }
  /** Nothing is known. */
  | { readonly status: 'unavailable'; readonly cause: RegistryFault; readonly detail: string }

/** A wallet as Bridge and WalletRegistry have it at one block. */
export type WalletChainData = {
  readonly walletId: Hex32
  readonly mainUtxoHash: Hex32
  /** Satoshis. */
  readonly pendingRedemptionsValue: bigint
  /** Seconds since 1970, as the next two. */
  readonly createdAt: number
  readonly movingFundsRequestedAt: number
  readonly closingStartedAt: number
  readonly pendingMovedFundsSweepRequestsCount: number
  readonly state: WalletState
  readonly movingFundsTargetWalletsCommitmentHash: Hex32
  /** Number of the block that both contracts were read at. */
  readonly atBlock: bigint
  /** Address of the registry that was asked. */
  readonly registryAddress: `0x${string}`
  readonly registry: RegistryView
}

export type ChainFault = RegistryFault | 'wrong-network' | 'not-synced'

/** What is known of a registry that could not be read. */
export type RegistryOutage = {
  readonly address: string
  readonly walletId: string
  readonly cause: RegistryFault
  readonly detail: string
}

/** Reads tBTC's contracts. */
export interface WalletReader {
  /**
   * Reads a wallet from the Bridge and the registry, both at one block.
   *
   * @param pkh20 HASH160 of the compressed wallet key, 20 bytes
   * @returns data also while the registry is away: `registry` says so
   * @throws WalletNotFound; ChainUnavailable when the Bridge cannot be read
   */
  getWallet(pkh20: Uint8Array, signal?: AbortSignal): Promise<WalletChainData>
  /**
   * Heights of the host chain in blocks, from every endpoint that answers.
   *
   * @throws ChainUnavailable when none does
   */
  heights(
    signal?: AbortSignal,
  ): Promise<readonly { readonly source: string; readonly height: bigint }[]>
}

/** The Bridge answered and knows no wallet of this key hash. */
export class WalletNotFound extends HoldfastError {
  readonly code = 'WalletNotFound'
  constructor(pkhHex: string) {
    super(`wallet ${pkhHex}: the Bridge has none of this public key hash`, {
      retry: 'after-fix',
      remedy:
        'Check the 20-byte hash, and that ethereum.bridgeAddress names the Bridge of this network.',
    })
  }
}

/** The host chain gave no usable answer. */
export class ChainUnavailable extends HoldfastError {
  readonly code = 'ChainUnavailable'
  readonly fault: ChainFault
  constructor(fault: ChainFault, detail: string, cause?: unknown) {
    super(`host chain: ${detail}`, {
      retry: 'safe',
      remedy:
        'Check the endpoints under [ethereum] and that the node is synced; the call can be repeated.',
      cause,
    })
    this.fault = fault
  }
}
