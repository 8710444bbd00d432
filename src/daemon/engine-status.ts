import { neverAborted } from '../base/abort.js'
import type { RegistryOutage } from '../chain/ethereum/reader.js'
import type { Config } from '../config.js'
import type { Signing } from '../signing.js'
import type { Opened, SourceCheck } from './daemon-status.js'
import type { DaemonLog } from './log.js'

/** The engine's name in the state document and to the service manager. */
export function engineName(signing: Signing | undefined): string {
  return signing === undefined ? 'passive' : 'signing'
}

/** What the admin listener shows of the engine, and how it looks at the chains. */
export function engineStatus(
  config: Config,
  signing: Signing | undefined,
): Required<Pick<Opened, 'engine'>> & Pick<Opened, 'checks'> {
  const name = engineName(signing)
  if (signing === undefined) return { engine: { name, signs: false } }
  const wallets = signing.publicKeys.length
  const signs = config.covenantSigner.bridgeCovenantFraudDefenseConfirmed && wallets > 0
  return { engine: { name, signs, wallets }, checks: () => checkSources(signing) }
}

/** Tells the log what will happen to jobs. */
export function tellEngine(
  { config, log }: { readonly config: Config; readonly log: DaemonLog },
  signing: Signing | undefined,
): void {
  if (signing === undefined) {
    log.warn({ engine: 'passive' }, 'passive engine: requests are accepted, nothing is signed')
    return
  }
  const { bridgeAddress } = config.ethereum
  const wallets = signing.publicKeys.length
  if (!config.covenantSigner.bridgeCovenantFraudDefenseConfirmed) {
    const consequence = 'every request is accepted and fails as POLICY_REJECTED'
    log.warn({ engine: 'signing', wallets }, `fraud defence is not confirmed: ${consequence}`)
    return
  }
  const consequence = 'covenants are signed; a Bridge without that defence punishes each signature'
  log.warn({ engine: 'signing', wallets, bridgeAddress }, `fraud defence confirmed: ${consequence}`)
}

async function checkSources({ ethereum, bitcoin }: Signing): Promise<readonly SourceCheck[]> {
  const [hosts, sources] = await Promise.all([ethereum.check(), bitcoin.check(neverAborted)])
  return [
    ...named('ethereum', hosts),
    ...registryCheck(ethereum.registryOutage()),
    ...named('bitcoin', sources),
  ]
}

type Found = {
  readonly source: string
  readonly ok: boolean
  readonly detail: string
  readonly remedy: string | undefined
}

function named(chain: string, found: readonly Found[]): readonly SourceCheck[] {
  return found.map(({ source, ok, detail, remedy = '' }, index) => ({
    name: `${chain}:${index + 1}`,
    ok,
    detail: `${source}: ${detail}`,
    remedy,
  }))
}

/** The registry as the last wallet was read: nobody asks it for nothing. */
function registryCheck(outage: RegistryOutage | undefined): readonly SourceCheck[] {
  const name = 'ethereum:registry'
  if (outage === undefined) return [{ name, ok: true, detail: 'no outage seen', remedy: '' }]
  const { address, walletId, cause, detail } = outage
  const remedy =
    'Look at the endpoints; certificates and new covenants are refused until it answers.'
  const told = `wallet registry ${address} unavailable: ${cause}, ${detail}; wallet ${walletId}`
  return [{ name, ok: false, detail: told, remedy }]
}
