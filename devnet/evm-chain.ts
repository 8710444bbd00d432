import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import {
  type Abi,
  type Address,
  createPublicClient,
  createTestClient,
  createWalletClient,
  defineChain,
  type Hex,
  http,
  type TransactionReceipt,
} from 'viem'

const startTimeoutMs = 20_000
const requestTimeoutMs = 20_000
export const devnetChainId = 31_337

const findPackages = createRequire(import.meta.url)

/** Directory of an installed package, or undefined. */
export function packageFolder(name: string): string | undefined {
  try {
    return dirname(findPackages.resolve(`${name}/package.json`))
  } catch {
    // It is not installed: the caller says so.
    return undefined
  }
}

/** Where the local node's program is, or undefined when it is not installed for this platform. */
export function anvilProgram(): string | undefined {
  const system = process.platform === 'win32' ? 'win32' : process.platform
  const machine = process.arch === 'x64' ? 'amd64' : process.arch
  const folder = packageFolder(`@foundry-rs/anvil-${system}-${machine}`)
  if (folder === undefined) return undefined
  const path = join(folder, 'bin', process.platform === 'win32' ? 'anvil.exe' : 'anvil')
  return existsSync(path) ? path : undefined
}

// The node ends when its standard input's writer is gone, however that writer ended.
const guard = 'exec 3<&0; "$@" & node=$!; (cat <&3 >/dev/null; kill "$node") & wait "$node"'

/** Starts the local node on a free loopback port; `stop` ends exactly this process, as the end of ours does. */
export async function startAnvil(
  program: string,
): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const args = ['--host', '127.0.0.1', '--port', '0', '--chain-id', String(devnetChainId)]
  const child = spawn('/bin/sh', ['-c', guard, 'sh', program, ...args], { stdio: 'pipe' })
  const stop = (): Promise<void> => endOf(child)
  try {
    return { url: await urlOf(child), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function urlOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = ''
    const timer = setTimeout(() => reject(new Error('anvil: not up in time')), startTimeoutMs)
    const read = (chunk: Buffer): void => {
      // Only the beginning matters; the pipe is drained for as long as the process lives.
      if (output.length < 65_536) output += chunk.toString('utf8')
      const [, address] = /Listening on (127\.0\.0\.1:\d+)/.exec(output) ?? []
      if (address === undefined) return
      clearTimeout(timer)
      resolve(`http://${address}`)
    }
    child.stdout?.on('data', read)
    child.stderr?.on('data', read)
    child.once('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    child.once('exit', (code) => {
      clearTimeout(timer)
      reject(new Error(`anvil: ended with ${code}: ${output.slice(0, 500)}`))
    })
  })
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.stdin?.end()
  await ended
}

/** A contract at an address. */
export type Contract = { readonly address: Address; readonly abi: Abi }

export type SendOptions = { readonly account?: Address; readonly value?: bigint }

export type EvmChain = Awaited<ReturnType<typeof connect>>

/** Clients of a node that keeps unlocked accounts; nothing is tried twice. */
export async function connect(url: string) {
  const chain = defineChain({
    id: devnetChainId,
    name: 'devnet',
    nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
    rpcUrls: { default: { http: [url] } },
  })
  const transport = http(url, { timeout: requestTimeoutMs, retryCount: 0 })
  const reader = createPublicClient({ chain, transport, pollingInterval: 20 })
  const admin = createTestClient({ chain, mode: 'anvil', transport })
  const writer = createWalletClient({ chain, transport })
  const [deployer] = await writer.getAddresses()
  if (deployer === undefined) throw new Error(`${url}: has no unlocked account`)

  async function mined(hash: Hex, what: string): Promise<TransactionReceipt> {
    const receipt = await reader.waitForTransactionReceipt({ hash })
    if (receipt.status !== 'success') throw new Error(`${what}: reverted on chain`)
    return receipt
  }

  return {
    url,
    reader,
    admin,
    deployer,
    async deploy(abi: Abi, bytecode: Hex, args: readonly unknown[]): Promise<Address> {
      const hash = await writer.deployContract({
        account: deployer,
        abi,
        bytecode,
        args: [...args],
      })
      const { contractAddress } = await mined(hash, 'deployment')
      if (!contractAddress) throw new Error('deployment: it has no address')
      return contractAddress
    },
    /** Sends a call and waits. The gas is fixed: estimates are too low where gas is paid back. */
    async send(
      { address, abi }: Contract,
      functionName: string,
      args: readonly unknown[] = [],
      { account = deployer, value = 0n }: SendOptions = {},
    ): Promise<TransactionReceipt> {
      const gas = 5_000_000n
      const call = { account, address, abi, functionName, args, value, gas }
      return mined(await writer.writeContract(call), functionName)
    },
    async pay(to: Address, value: bigint): Promise<void> {
      await mined(await writer.sendTransaction({ account: deployer, to, value }), 'payment')
    },
    read({ address, abi }: Contract, functionName: string, args: readonly unknown[] = []) {
      return reader.readContract({ address, abi, functionName, args })
    },
    /** Lets `action` send from an account whose key nobody has. */
    async as<T>(account: Address, action: (options: SendOptions) => Promise<T>): Promise<T> {
      await admin.impersonateAccount({ address: account })
      await admin.setBalance({ address: account, value: 10n ** 20n })
      try {
        return await action({ account })
      } finally {
        await admin.stopImpersonatingAccount({ address: account })
      }
    },
    /** Lets time pass and a block be mined. */
    async later(seconds: number): Promise<void> {
      await admin.increaseTime({ seconds })
      await admin.mine({ blocks: 1 })
    },
  }
}
