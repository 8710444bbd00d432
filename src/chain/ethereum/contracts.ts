import type { decodeFunctionResult, encodeFunctionData } from 'viem'
import { type Answer, faultOf, known } from './fault.js'
import { type Hex32, type WalletChainData, walletStates } from './reader.js'

/** 0x and lower-case hex. */
export type HexData = `0x${string}`

/** What of the client library is needed here; it is loaded when it is first used. */
export type Codec = {
  readonly encodeFunctionData: typeof encodeFunctionData
  readonly decodeFunctionResult: typeof decodeFunctionResult
}

// Engine specification, 8.1.
const bridgeAbi = [
  {
    type: 'function',
    name: 'contractReferences',
    stateMutability: 'view',
    inputs: [],
    outputs: [
      { name: 'bank', type: 'address' },
      { name: 'relay', type: 'address' },
      { name: 'ecdsaWalletRegistry', type: 'address' },
      { name: 'reimbursementPool', type: 'address' },
    ],
  },
  {
    type: 'function',
    name: 'wallets',
    stateMutability: 'view',
    inputs: [{ name: 'walletPubKeyHash', type: 'bytes20' }],
    outputs: [
      {
        name: '',
        type: 'tuple',
        components: [
          { name: 'ecdsaWalletID', type: 'bytes32' },
          { name: 'mainUtxoHash', type: 'bytes32' },
          { name: 'pendingRedemptionsValue', type: 'uint64' },
          { name: 'createdAt', type: 'uint32' },
          { name: 'movingFundsRequestedAt', type: 'uint32' },
          { name: 'closingStartedAt', type: 'uint32' },
          { name: 'pendingMovedFundsSweepRequestsCount', type: 'uint32' },
          { name: 'state', type: 'uint8' },
          { name: 'movingFundsTargetWalletsCommitmentHash', type: 'bytes32' },
        ],
      },
    ],
  },
] as const

const registryAbi = [
  {
    type: 'function',
    name: 'getWallet',
    stateMutability: 'view',
    inputs: [{ name: 'walletID', type: 'bytes32' }],
    outputs: [
      {
        name: '',
        type: 'tuple',
        components: [
          { name: 'membersIdsHash', type: 'bytes32' },
          { name: 'publicKeyX', type: 'bytes32' },
          { name: 'publicKeyY', type: 'bytes32' },
        ],
      },
    ],
  },
] as const

/** A wallet as the Bridge alone has it. */
export type BridgeRecord = Omit<WalletChainData, 'atBlock' | 'registryAddress' | 'registry'>

/** A registry entry; all zero for an id that the registry does not hold. */
export type RegistryEntry = {
  readonly membersIdsHash: Hex32
  readonly x: Hex32
  readonly y: Hex32
}

/** Data of a call, and what its answer means. */
export type ContractCall<T> = {
  readonly data: HexData
  readonly decode: (answer: HexData) => Answer<T, 'no-code' | 'bad-data'>
}

/** `Bridge.wallets`; `undefined` for a hash that the Bridge does not know. */
export function walletsCall(codec: Codec, pkh: HexData): ContractCall<BridgeRecord | undefined> {
  const abi = bridgeAbi
  const functionName = 'wallets'
  const input = codec.encodeFunctionData({ abi, functionName, args: [pkh] })
  return call(input, { from: 'Bridge', words: 9 }, (data) => {
    const {
      ecdsaWalletID,
      state: number,
      ...wallet
    } = codec.decodeFunctionResult({
      abi,
      functionName,
      data,
    })
    if (wallet.createdAt === 0) return known(undefined)
    const state = walletStates[number]
    if (state === undefined)
      return faultOf('bad-data', `the wallet has state ${number}, want 0 to 5`)
    const misfit = [
      wallet.createdAt,
      wallet.movingFundsRequestedAt,
      wallet.closingStartedAt,
      wallet.pendingMovedFundsSweepRequestsCount,
    ].some((field) => field > 0xffff_ffff)
    if (misfit || wallet.pendingRedemptionsValue >= 1n << 64n) {
      return faultOf('bad-data', 'a field of the wallet is out of its bounds')
    }
    return known({ walletId: ecdsaWalletID, ...wallet, state })
  })
}

/** The registry's address as `Bridge.contractReferences` has it, in lower case. */
export function registryAddressCall(codec: Codec): ContractCall<HexData> {
  const abi = bridgeAbi
  const functionName = 'contractReferences'
  const input = codec.encodeFunctionData({ abi, functionName })
  return call(input, { from: 'Bridge', words: 4 }, (data) => {
    const [, , registry] = codec.decodeFunctionResult({ abi, functionName, data })
    if (/^0x0+$/.test(registry)) return faultOf('bad-data', 'the Bridge names no wallet registry')
    return known(registry.toLowerCase() as HexData) // An address, in other letters.
  })
}

/** `WalletRegistry.getWallet`. */
export function registryEntryCall(codec: Codec, walletId: Hex32): ContractCall<RegistryEntry> {
  const abi = registryAbi
  const functionName = 'getWallet'
  const input = codec.encodeFunctionData({ abi, functionName, args: [walletId] })
  return call(input, { from: 'wallet registry', words: 3 }, (data) => {
    const entry = codec.decodeFunctionResult({ abi, functionName, data })
    const { membersIdsHash, publicKeyX: x, publicKeyY: y } = entry
    return known({ membersIdsHash, x, y })
  })
}

/** @param right whose answer is expected, and how many 32-byte words it has */
function call<T>(
  data: HexData,
  right: { readonly from: string; readonly words: number },
  read: (answer: HexData) => Answer<T, 'bad-data'>,
): ContractCall<T> {
  const wanted = `want the ${right.words * 32} of a ${right.from}`
  return {
    data,
    decode(answer) {
      if (answer === '0x') return faultOf('no-code', 'no contract code at the address')
      const size = (answer.length - 2) / 2
      if (size !== right.words * 32) {
        return faultOf('bad-data', `the contract's answer has ${size} bytes, ${wanted}`)
      }
      try {
        return read(answer)
      } catch {
        // The library found a word that does not fit its type.
        return faultOf('bad-data', `the contract's answer is not that of a ${right.from}`)
      }
    },
  }
}
