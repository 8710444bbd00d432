import { wipe } from './base/bytes.js'
import type { Clock } from './base/clock.js'
import type { Logger } from './base/log.js'
import { bitcoinReader } from './chain/bitcoin/combined.js'
import type { CheckedBitcoinReader } from './chain/bitcoin/reader.js'
import { bitcoinSource } from './chain/bitcoin/source.js'
import { type EthereumReader, ethereumReader } from './chain/ethereum/ethereum-reader.js'
import {
  type BitcoinSettings,
  type BitcoinSourceSetting,
  type Config,
  readSourcePassword,
} from './config.js'
import type { Engine } from './covenant/engine.js'
import type { ApprovalDomain } from './covenant/request.js'
import type { Signer } from './covenant/signer.js'
import { signingEngine } from './covenant/signing-engine.js'
import { openVaultSigner } from './signer/vault-signer.js'
import { type Vault, VaultLocked } from './vault/vault.js'

/** What signs covenants in this process, and what it reads. */
export type Signing = {
  readonly engine: Engine
  readonly signer: Signer
  /** Compressed keys of the wallets that can be signed for. */
  readonly publicKeys: readonly string[]
  readonly ethereum: EthereumReader
  readonly bitcoin: CheckedBitcoinReader
  readonly close: () => Promise<void>
}

export type SigningOptions = {
  readonly config: Pick<Config, 'covenantSigner' | 'ethereum' | 'bitcoin'>
  /** Holds the keys that were bound with `covenant bind`. */
  readonly vault: Vault | undefined
  readonly domain: ApprovalDomain
  readonly log?: Logger
  readonly clock?: Clock
}

/**
 * Opens the signing engine over the chains that the settings name; `undefined` where they name none.
 *
 * @remarks Nothing is asked of a chain yet: one that is away shows in readiness, and jobs wait for it.
 * @throws VaultLocked without an open vault; ConfigRefused for a password file that cannot be used
 */
export async function openSigning(options: SigningOptions): Promise<Signing | undefined> {
  const { config, vault, domain, log, clock } = options
  const { covenantSigner, ethereum: host, bitcoin: chain } = config
  if (host.endpoints.length === 0 || chain.sources.length === 0) return undefined
  if (vault === undefined) throw new VaultLocked()
  // That it is there is a rule of the configuration.
  const bridgeAddress = host.bridgeAddress ?? ''
  const signer = await openVaultSigner(vault)
  const ethereum = ethereumReader({ ...host, bridgeAddress, log, clock })
  const bitcoin = bitcoinReader(chain.sources.map((source, at) => openSource(chain, source, at)))
  const engine = signingEngine({
    wallets: ethereum,
    bitcoin,
    signer,
    domain,
    gate: { confirmed: covenantSigner.bridgeCovenantFraudDefenseConfirmed, bridgeAddress },
    honestThreshold: covenantSigner.honestThreshold,
    minConfirmations: covenantSigner.minActiveOutpointConfirmations,
    feeSatsMax: chain.feeSatsMax,
  })
  const { publicKeys } = signer
  return { engine, signer, publicKeys, ethereum, bitcoin, close: () => bitcoin.close() }
}

function openSource(
  { network, requestTimeoutMs }: BitcoinSettings,
  { passwordFile, ...source }: BitcoinSourceSetting,
  index: number,
): CheckedBitcoinReader {
  const password = passwordFile === undefined ? undefined : readSourcePassword(index, passwordFile)
  try {
    return bitcoinSource({ ...source, password, network, requestTimeoutMs })
  } finally {
    if (password !== undefined) wipe(password)
  }
}
