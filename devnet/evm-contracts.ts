import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Abi, type Address, encodeFunctionData, type Hex } from 'viem'
import { type Contract, type EvmChain, packageFolder } from './evm-chain.js'

const bridgePackage = '@keep-network/tbtc-v2'
const registryPackage = '@keep-network/ecdsa'

const bridgeLibraries = ['Deposit', 'DepositSweep', 'Redemption', 'Wallets', 'Fraud', 'MovingFunds']

type Artifact = {
  readonly contractName: string
  readonly abi: Abi
  readonly bytecode: Hex
  readonly linkReferences?: Readonly<
    Record<string, Readonly<Record<string, readonly { start: number; length: number }[]>>>
  >
}

/** The published contracts on the devnet, each behind its proxy as on mainnet. */
export type Contracts = {
  readonly bridge: Contract
  readonly registry: Contract
  readonly pool: Contract
  readonly reimbursement: Contract
  /** Random beacon and staking contract: any call to them succeeds and does nothing. */
  readonly beacon: Address
}

/** What is missing for a deployment, or undefined. */
export function missingContracts(): string | undefined {
  for (const [name, file] of [
    [bridgePackage, 'build/contracts/bridge/Bridge.sol/Bridge.json'],
    [registryPackage, 'build/contracts/WalletRegistry.sol/WalletRegistry.json'],
  ] as const) {
    const folder = packageFolder(name)
    if (folder === undefined) return `package ${name} is not installed`
    if (!existsSync(join(folder, file))) return `package ${name} has no ${file}`
  }
  return undefined
}

// The proxies' admin may not call through them, so it is nobody who calls.
const nobody: Address = '0x000000000000000000000000000000000000dEaD'
const beacon: Address = '0x00000000000000000000000000000000000000be'
const staking: Address = '0x00000000000000000000000000000000000000bf'

/** Deploys libraries, pools, WalletRegistry and Bridge from the installed packages. */
export async function deployContracts(chain: EvmChain): Promise<Contracts> {
  const libraries: Record<string, Address> = {}
  const deploy = async (artifact: Artifact, args: readonly unknown[] = []): Promise<Contract> => {
    const address = await chain.deploy(artifact.abi, link(artifact, libraries), args)
    return { address, abi: artifact.abi }
  }
  for (const name of bridgeLibraries) {
    libraries[name] = (await deploy(bridgePart(name))).address
  }
  const inactivity = 'build/contracts/libraries/EcdsaInactivity.sol/EcdsaInactivity.json'
  libraries.EcdsaInactivity = (await deploy(artifactOf(registryPackage, inactivity))).address
  for (const address of [beacon, staking]) {
    await chain.admin.setCode({ address, bytecode: '0x00' })
  }

  const foreign = (path: string): Artifact =>
    artifactOf(registryPackage, `export/artifacts/@keep-network/${path}`)
  const pool = await deploy(
    foreign('sortition-pools/contracts/SortitionPool.sol/SortitionPool.json'),
    [nobody, 10n ** 18n],
  )
  const validator = await deploy(
    artifactOf(registryPackage, 'build/contracts/EcdsaDkgValidator.sol/EcdsaDkgValidator.json'),
    [pool.address],
  )
  const reimbursement = await deploy(
    foreign('random-beacon/contracts/ReimbursementPool.sol/ReimbursementPool.json'),
    [40_800n, 500n * 10n ** 9n],
  )

  const proxy = artifactOf(
    bridgePackage,
    'export/artifacts/@openzeppelin/contracts/proxy/transparent/TransparentUpgradeableProxy.sol/TransparentUpgradeableProxy.json',
  )
  const behindProxy = async (
    artifact: Artifact,
    args: readonly unknown[],
    initArgs: readonly unknown[],
  ): Promise<Contract> => {
    const implementation = await deploy(artifact, args)
    const { abi } = artifact
    const init = encodeFunctionData({ abi, functionName: 'initialize', args: initArgs })
    const { address } = await deploy(proxy, [implementation.address, nobody, init])
    return { address, abi }
  }
  const registry = await behindProxy(
    artifactOf(registryPackage, 'build/contracts/WalletRegistry.sol/WalletRegistry.json'),
    [pool.address, staking],
    [validator.address, beacon, reimbursement.address],
  )
  const bridge = await behindProxy(
    bridgePart('Bridge'),
    [],
    [nobody, nobody, nobody, registry.address, reimbursement.address, 6n],
  )
  return { bridge, registry, pool, reimbursement, beacon }
}

const bridgePart = (name: string): Artifact =>
  artifactOf(bridgePackage, `build/contracts/bridge/${name}.sol/${name}.json`)

function artifactOf(name: string, file: string): Artifact {
  const folder = packageFolder(name)
  if (folder === undefined) throw new Error(`package ${name} is not installed`)
  return JSON.parse(readFileSync(join(folder, file), 'utf8')) as Artifact
}

/** Writes the libraries' addresses into the byte code, 20 bytes at each recorded offset. */
function link(artifact: Artifact, libraries: Readonly<Record<string, Address>>): Hex {
  let code: string = artifact.bytecode
  for (const file of Object.values(artifact.linkReferences ?? {})) {
    for (const [name, places] of Object.entries(file)) {
      const address = libraries[name]?.slice(2).toLowerCase()
      if (address === undefined) throw new Error(`library ${name} is not deployed`)
      for (const { start, length } of places) {
        const at = 2 + start * 2
        code = code.slice(0, at) + address + code.slice(at + length * 2)
      }
    }
  }
  if (!/^0x[0-9a-f]+$/i.test(code)) throw new Error(`${artifact.contractName}: not fully linked`)
  return code as Hex // Just checked.
}
