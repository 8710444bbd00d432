import type { Address, Hex } from 'viem'
import { anvilProgram, connect, devnetChainId, type EvmChain, startAnvil } from './evm-chain.js'
import { type Contracts, deployContracts, missingContracts } from './evm-contracts.js'
import {
  challengeFraud,
  type DevnetWallet,
  defeatFraud,
  type FraudProof,
  finishClosing,
  prepareOperators,
  registerWallet,
  startClosing,
  terminate,
  writeState,
} from './evm-wallets.js'

export { type DevnetWallet, type FraudProof, signPreimage } from './evm-wallets.js'

/** A throw-away chain on loopback with the published Bridge and WalletRegistry. */
export type EvmDevnet = {
  readonly url: string
  readonly chainId: bigint
  readonly bridge: Address
  readonly registry: Address
  /** Clients and contracts, for what has no method here. */
  readonly chain: EvmChain
  readonly contracts: Contracts
  /** Registers a Live wallet with this one key, by the contracts' own code. */
  createWallet(secret: Uint8Array): Promise<DevnetWallet>
  /** Live to Closing, by a failed heartbeat. */
  startClosing(wallet: DevnetWallet): Promise<void>
  /** Live to Closed; the registry entry is gone afterwards. */
  closeWallet(wallet: DevnetWallet): Promise<void>
  /** Live to Terminated, by a fraud challenge that nobody defeats. */
  terminateWallet(wallet: DevnetWallet): Promise<void>
  /** Writes a state, 0 to 5, into the Bridge's storage. */
  setWalletState(pkh20: Uint8Array, state: number): Promise<void>
  /** Rejects when the Bridge does not take the proof. */
  challengeFraud(wallet: DevnetWallet, proof: FraudProof): Promise<void>
  /** Rejects when the Bridge does not see the challenge as defeated. */
  defeatFraud(wallet: DevnetWallet, proof: FraudProof): Promise<void>
  /** Replaces the registry's code; 0x takes it away. */
  setRegistryCode(code: Hex): Promise<void>
  /** Gives the registry its own code back. */
  restoreRegistryCode(): Promise<void>
  snapshot(): Promise<Hex>
  /** Goes back to a snapshot, which is used up by it. */
  revert(snapshot: Hex): Promise<void>
  mine(blocks: number): Promise<void>
  height(): Promise<bigint>
  stop(): Promise<void>
}

/** A running devnet, or why there is none on this machine. */
export type StartedEvm =
  | { readonly kind: 'started'; readonly devnet: EvmDevnet }
  | { readonly kind: 'missing'; readonly reason: string }

/**
 * Starts the node and deploys the contracts.
 *
 * @returns `missing` when a package is not installed; everything else that goes wrong rejects
 */
export async function startEvmDevnet(): Promise<StartedEvm> {
  const program = anvilProgram()
  if (program === undefined) {
    const reason = `anvil is not installed for ${process.platform} ${process.arch}`
    return { kind: 'missing', reason }
  }
  const missing = missingContracts()
  if (missing !== undefined) return { kind: 'missing', reason: missing }
  const anvil = await startAnvil(program)
  try {
    const chain = await connect(anvil.url)
    const contracts = await deployContracts(chain)
    await prepareOperators(chain, contracts)
    return { kind: 'started', devnet: await devnetOf(chain, contracts, anvil) }
  } catch (error) {
    await anvil.stop()
    throw error
  }
}

async function devnetOf(
  chain: EvmChain,
  contracts: Contracts,
  anvil: { stop(): Promise<void> },
): Promise<EvmDevnet> {
  const { admin, reader } = chain
  const registry = contracts.registry.address
  const registryCode = await reader.getCode({ address: registry })
  if (registryCode === undefined) throw new Error('registry: it has no code after its deployment')
  return {
    url: chain.url,
    chainId: BigInt(devnetChainId),
    bridge: contracts.bridge.address,
    registry,
    chain,
    contracts,
    createWallet: (secret) => registerWallet(chain, contracts, secret),
    startClosing: (wallet) => startClosing(chain, contracts, wallet),
    async closeWallet(wallet) {
      await startClosing(chain, contracts, wallet)
      await finishClosing(chain, contracts, wallet)
    },
    terminateWallet: (wallet) => terminate(chain, contracts, wallet),
    setWalletState: (pkh20, state) => writeState(chain, contracts, pkh20, state),
    challengeFraud: (wallet, proof) => challengeFraud(chain, contracts, wallet, proof),
    defeatFraud: (wallet, proof) => defeatFraud(chain, contracts, wallet, proof),
    setRegistryCode: (bytecode) => admin.setCode({ address: registry, bytecode }),
    restoreRegistryCode: () => admin.setCode({ address: registry, bytecode: registryCode }),
    snapshot: () => admin.snapshot(),
    revert: (id) => admin.revert({ id }),
    mine: (blocks) => admin.mine({ blocks }),
    height: () => reader.getBlockNumber({ cacheTime: 0 }),
    stop: () => anvil.stop(),
  }
}
