import { type BitcoinDevnet, hasBcoin, startBitcoinDevnet } from './bitcoin.js'
import { type ElectrumServer, startElectrumServer } from './electrum-server.js'
import { type EvmDevnet, startEvmDevnet } from './evm.js'
import type { DevnetWallet } from './evm-wallets.js'
import { devnetSecrets } from './request-keys.js'
import { type Covenant, covenantOutput } from './requests.js'

/** Everything that covenant signing reads, on loopback. */
export type DevnetStack = {
  readonly evm: EvmDevnet
  readonly bitcoin: BitcoinDevnet
  readonly electrum: ElectrumServer
  /** A Live wallet of the Bridge. */
  readonly wallet: DevnetWallet
  /** Pays to a covenant of a wallet and buries it. */
  fundCovenant(options: FundOptions): Promise<Covenant>
  /** Ends every process. */
  stop(): Promise<void>
}

export type FundOptions = Pick<Covenant, 'route'> & {
  /** Default: 100 blocks above the tip. */
  readonly maturityHeight?: number
  /** Default 1 000 000. */
  readonly valueSats?: bigint
  /** Blocks to mine over it; default 6. 0 leaves it in the mempool. */
  readonly confirmations?: number
  /** Default: the stack's own. */
  readonly wallet?: DevnetWallet
}

/** A running devnet, or why there is none on this machine. */
export type StartedStack =
  | { readonly kind: 'started'; readonly stack: DevnetStack }
  | { readonly kind: 'missing'; readonly reason: string }

const usualMaturityBlocks = 100

/**
 * Starts both chains and the Electrum server, and has the contracts make a Live wallet.
 *
 * @param options.walletSecret key of the wallet; default: one that everybody knows
 * @returns `missing` when a program is not installed; everything else that goes wrong rejects, and nothing is left
 */
export async function startDevnetStack(
  options: { readonly walletSecret?: Uint8Array } = {},
): Promise<StartedStack> {
  if (!hasBcoin()) return { kind: 'missing', reason: 'bcoin is not installed' }
  const { walletSecret = devnetSecrets.wallet } = options
  const [host, chain] = await Promise.allSettled([startHost(walletSecret), startChain()])
  const stopAll = async (): Promise<void> => {
    const stops = [
      ...(chain.status === 'fulfilled' ? [chain.value.stop()] : []),
      ...(host.status === 'fulfilled' && host.value.kind === 'started'
        ? [host.value.evm.stop()]
        : []),
    ]
    await Promise.all(stops)
  }
  if (host.status === 'rejected' || chain.status === 'rejected') {
    await stopAll()
    throw host.status === 'rejected' ? host.reason : (chain as PromiseRejectedResult).reason
  }
  if (host.value.kind === 'missing') {
    await stopAll()
    return host.value
  }
  const { evm, wallet } = host.value
  const { bitcoin, electrum } = chain.value
  const fundCovenant = (wanted: FundOptions): Promise<Covenant> =>
    fund(bitcoin, { wallet, ...wanted })
  return {
    kind: 'started',
    stack: { evm, bitcoin, electrum, wallet, fundCovenant, stop: stopAll },
  }
}

type Host =
  | { readonly kind: 'started'; readonly evm: EvmDevnet; readonly wallet: DevnetWallet }
  | { readonly kind: 'missing'; readonly reason: string }

async function startHost(walletSecret: Uint8Array): Promise<Host> {
  const started = await startEvmDevnet()
  if (started.kind === 'missing') return started
  const evm = started.devnet
  try {
    return { kind: 'started', evm, wallet: await evm.createWallet(walletSecret) }
  } catch (error) {
    await evm.stop()
    throw error
  }
}

async function startChain(): Promise<{
  readonly bitcoin: BitcoinDevnet
  readonly electrum: ElectrumServer
  stop(): Promise<void>
}> {
  const bitcoin = await startBitcoinDevnet()
  try {
    const electrum = await startElectrumServer(bitcoin)
    const stop = async (): Promise<void> => {
      await electrum.stop()
      await bitcoin.stop()
    }
    return { bitcoin, electrum, stop }
  } catch (error) {
    await bitcoin.stop()
    throw error
  }
}

async function fund(
  bitcoin: BitcoinDevnet,
  options: FundOptions & { readonly wallet: DevnetWallet },
): Promise<Covenant> {
  const { route, wallet, valueSats = 1_000_000n, confirmations = 6 } = options
  const { maturityHeight = (await bitcoin.tip()) + usualMaturityBlocks } = options
  const terms = { route, walletKey: wallet.compressedKey, maturityHeight }
  const { txid, vout } = await bitcoin.fund(covenantOutput(terms), valueSats)
  if (confirmations > 0) await bitcoin.mine(confirmations)
  return { ...terms, txid, vout, valueSats }
}
