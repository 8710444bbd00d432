import { fromHex, toHex } from '../base/bytes.js'
import {
  type EthereumReader,
  ethereumReader,
  type RegistryView,
  type WalletChainData,
} from '../chain/index.js'
import { type Config, ConfigRefused, loadConfig, type Problem } from '../config.js'
import { type ConfigFlags, sourcesOf } from './config-flags.js'
import { note, printResult, renderFacts } from './output.js'
import { type Context, Usage } from './usage.js'

const refused = 3
const unavailable = 4

/**
 * `chain wallet`: a wallet as Bridge and WalletRegistry have it; status 3 when they contradict each other, 4 when the
 * registry is away (the Bridge's data is printed all the same).
 */
export async function chainWallet(
  context: Context,
  pkhText: string,
  flags: ConfigFlags,
): Promise<void> {
  const pkh20 = parseKeyHash(pkhText)
  const config = loadConfig(sourcesOf(flags, context.dataDir))
  const wallet = await readerOf(config).getWallet(pkh20)
  const verdict = verdictOn(wallet)
  if (verdict.status !== 0) process.exitCode = verdict.status
  await printResult(context.output, plain(pkh20, wallet), () => render(pkh20, wallet))
  if (verdict.note !== undefined) note(context.output, verdict.note)
}

/** @throws Usage */
function parseKeyHash(text: string): Uint8Array {
  const digits = text.replace(/^0x/i, '')
  if (!/^[0-9a-f]{40}$/i.test(digits)) {
    throw new Usage('the wallet wants its public key hash: 20 bytes of hex')
  }
  return fromHex(digits)
}

/** @throws ConfigRefused when there is nothing to read from */
function readerOf({ ethereum }: Config): EthereumReader {
  const { endpoints, bridgeAddress, chainId, requestTimeoutMs, registryTimeoutMs } = ethereum
  if (endpoints.length === 0 || bridgeAddress === undefined) {
    const missing = (key: string, remedy: string): Problem => {
      return {
        key,
        kind: 'refused',
        wrong: 'not set, and no wallet can be read without it',
        remedy,
      }
    }
    throw new ConfigRefused([
      ...(endpoints.length === 0
        ? [missing('ethereum.endpoints', 'Name the JSON-RPC endpoint of an Ethereum node.')]
        : []),
      ...(bridgeAddress === undefined
        ? [missing('ethereum.bridgeAddress', 'Name the address of the tBTC Bridge.')]
        : []),
    ])
  }
  return ethereumReader({
    endpoints,
    bridgeAddress,
    chainId,
    requestTimeoutMs,
    registryTimeoutMs,
  })
}

type Verdict = { readonly status: number; readonly note?: string }

/** What the data is good for, in the order in which covenant signing looks at it. */
function verdictOn({ registry, state }: WalletChainData): Verdict {
  const signing = 'covenant signing and approval certificates are refused'
  switch (registry.status) {
    case 'available':
      return { status: 0 }
    case 'absent':
      return state === 'Closed' || state === 'Terminated'
        ? { status: 0 }
        : { status: refused, note: `The registry has no entry of a wallet in use: ${signing}.` }
    case 'inconsistent':
      return { status: refused, note: `Bridge and registry contradict each other: ${signing}.` }
    case 'unavailable':
      return {
        status: unavailable,
        note: `The fields above come from the Bridge and are good; the members and the key are unknown, so ${signing} until the registry answers.`,
      }
  }
}

/** The data as JSON has it: whole numbers that may be large are decimal strings. */
function plain(pkh20: Uint8Array, wallet: WalletChainData): Readonly<Record<string, unknown>> {
  return {
    walletPublicKeyHash: `0x${toHex(pkh20)}`,
    ...wallet,
    pendingRedemptionsValue: String(wallet.pendingRedemptionsValue),
    atBlock: String(wallet.atBlock),
  }
}

function render(pkh20: Uint8Array, wallet: WalletChainData): string {
  return renderFacts([
    ['public key hash', `0x${toHex(pkh20)}`],
    ['wallet id', wallet.walletId],
    ['state', wallet.state],
    ['created', instant(wallet.createdAt)],
    ['main UTXO hash', orNone(wallet.mainUtxoHash)],
    ['pending redemptions', `${wallet.pendingRedemptionsValue} sat`],
    ['moving funds requested', instant(wallet.movingFundsRequestedAt)],
    ['moving funds commitment', orNone(wallet.movingFundsTargetWalletsCommitmentHash)],
    ['moved funds sweeps pending', String(wallet.pendingMovedFundsSweepRequestsCount)],
    ['closing started', instant(wallet.closingStartedAt)],
    ['at block', String(wallet.atBlock)],
    ['wallet registry', wallet.registryAddress],
    ...registryFacts(wallet.registry),
  ])
}

function registryFacts(registry: RegistryView): readonly (readonly [string, string])[] {
  switch (registry.status) {
    case 'available':
      return [
        ['registry status', 'available'],
        ['members hash', registry.membersIdsHash],
        ['public key', registry.publicKey],
      ]
    case 'absent':
      return [['registry status', 'absent: it holds no such wallet']]
    case 'inconsistent':
      return [['registry status', `INCONSISTENT: ${registry.detail}`]]
    case 'unavailable':
      return [['registry status', `UNAVAILABLE (${registry.cause}): ${registry.detail}`]]
  }
}

const instant = (seconds: number): string =>
  seconds === 0 ? '-' : new Date(seconds * 1000).toISOString()

const orNone = (word: string): string => (/^0x0+$/.test(word) ? '-' : word)
