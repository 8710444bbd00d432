import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { toHex } from '../src/base/bytes.js'
import type { ApprovalDomain } from '../src/covenant/index.js'
import { devnetTrustRoots } from './requests.js'
import type { DevnetStack } from './stack.js'

/** What a daemon on the devnet is configured with. */
export type StackFiles = {
  /** The daemon's configuration. */
  readonly config: string
  /** Key of the devnet's wallet, for `vault add --key-file`. */
  readonly keyFile: string
  readonly port: number
  readonly adminPort: number
  readonly token: string
}

export type StackFileOptions = {
  readonly dataDir: string
  /** Holds the vault's passphrase. */
  readonly passphraseFile: string
  /** JSON-RPC of the host chain; default the stack's own. */
  readonly ethereumUrl?: string
  /** JSON-RPC of the Bitcoin node; default the stack's own. */
  readonly bitcoinUrl?: string
}

/** Where approvals on the devnet are signed for. */
export const devnetDomain: Required<ApprovalDomain> = {
  chainId: 31_337n,
  salt: `0x${'d0'.repeat(32)}`,
}
/** Clients send it; it guards nothing but a devnet. */
const token = 'devnet-client-token'

/** Writes what `holdfast start --config` needs to sign on the devnet, into a folder that it makes. */
export async function writeStackFiles(
  folder: string,
  stack: DevnetStack,
  options: StackFileOptions,
): Promise<StackFiles> {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const write = (name: string, text: string): string => {
    const path = join(folder, name)
    writeFileSync(path, `${text}\n`, { mode: 0o600 })
    return path
  }
  const { wallet, bitcoin } = stack
  const keyFile = write('wallet-key', toHex(wallet.secret))
  const passwordFile = write('bitcoin-password', Buffer.from(bitcoin.password).toString())
  const [port, adminPort] = await freePorts()
  const config = write(
    'holdfast.toml',
    configText(stack, { ...options, passwordFile, port, adminPort }),
  )
  return { config, keyFile, port, adminPort, token }
}

function configText(
  { evm, bitcoin, electrum }: DevnetStack,
  options: StackFileOptions & {
    readonly passwordFile: string
    readonly port: number
    readonly adminPort: number
  },
): string {
  const { ethereumUrl = evm.url, bitcoinUrl = bitcoin.rpcUrl } = options
  const [self, qc] = [devnetTrustRoots('self_v1'), devnetTrustRoots('qc_v1', { quotes: true })]
  const sources = [
    { url: bitcoinUrl, user: bitcoin.user, passwordFile: options.passwordFile },
    { url: `tcp://${electrum.host}:${electrum.port}` },
  ]
  return [
    `dataDir = ${tomlOf(options.dataDir)}`,
    '[covenantSigner]',
    `port = ${options.port}`,
    `authToken = ${tomlOf(token)}`,
    'enableSelfV1 = true',
    'requireApprovalTrustRoots = true',
    'bridgeCovenantFraudDefenseConfirmed = true',
    `eip712ChainId = ${devnetDomain.chainId}`,
    `eip712Salt = ${tomlOf(devnetDomain.salt)}`,
    `depositorTrustRoots = ${tomlOf([...self.depositorTrustRoots, ...qc.depositorTrustRoots])}`,
    `custodianTrustRoots = ${tomlOf(qc.custodianTrustRoots)}`,
    `migrationPlanQuoteTrustRoots = ${tomlOf(qc.migrationPlanQuoteTrustRoots)}`,
    '[ethereum]',
    `endpoints = ${tomlOf([ethereumUrl])}`,
    `bridgeAddress = ${tomlOf(evm.bridge)}`,
    `chainId = ${evm.chainId}`,
    '[bitcoin]',
    'network = "regtest"',
    `sources = ${tomlOf(sources)}`,
    '[admin]',
    `port = ${options.adminPort}`,
    '[vault]',
    `passphraseFile = ${tomlOf(options.passphraseFile)}`,
    '[limits]',
    'submitCapacity = 100',
    'submitRefillMs = 100',
  ].join('\n')
}

/** Strings, lists and tables in one line; a string of JSON is one of TOML. */
function tomlOf(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(tomlOf).join(', ')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const fields = Object.entries(value).map(([name, field]) => `${name} = ${tomlOf(field)}`)
  return `{ ${fields.join(', ')} }`
}

/** Two ports that nobody listens on now. */
async function freePorts(): Promise<readonly [number, number]> {
  const servers = [createServer(), createServer()] as const
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject)
          server.listen(0, '127.0.0.1', () => {
            const address = server.address()
            resolve(typeof address === 'object' && address !== null ? address.port : 0)
          })
        }),
    ),
  )
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  const [first = 0, second = 0] = ports
  return [first, second]
}
