import { bitcoinSourcesMax } from '../base/limits.js'
import { isLoopback, listenHost } from '../base/loopback.js'
import type { Problem } from './problem.js'
import type { BitcoinSourceSetting, Settings, TrustRootLists } from './settings.js'

/** A rule of the start; it is judged when every setting that it looks at could be read. */
export type Rule = {
  /** Its place among the refusals (covenant signer specification, 16.3); ours come after. */
  readonly place: number
  readonly keys: readonly string[]
  readonly judge: (settings: Settings) => readonly Problem[]
}

/** Place of the refusal of a single value that is out of its bounds; by key, ours come last. */
export function placeOf(key: string): number {
  const placesByKey: Readonly<Record<string, number>> = {
    'covenantSigner.port': 1,
    'covenantSigner.eip712Salt': 4,
    'covenantSigner.migrationPlanQuoteTrustRoots': 6,
    'covenantSigner.depositorTrustRoots': 6,
    'covenantSigner.custodianTrustRoots': 6,
  }
  return Object.hasOwn(placesByKey, key) ? (placesByKey[key] ?? ownPlace) : ownPlace
}

const ownPlace = 12

const signer = (...names: readonly string[]): readonly string[] =>
  names.map((name) => `covenantSigner.${name}`)

/** The refusals that settings alone decide; the daemon judges those that need its engine or a socket. */
export const rules: readonly Rule[] = [
  {
    place: 2,
    keys: signer('port', 'listenAddress', 'authToken'),
    judge: (settings) => wantToken(settings, 'authToken'),
  },
  {
    place: 3,
    keys: signer('port', 'listenAddress', 'adminAuthToken'),
    judge: (settings) => wantToken(settings, 'adminAuthToken'),
  },
  {
    place: 7,
    keys: signer(
      'port',
      'listenAddress',
      'requireApprovalTrustRoots',
      'enableSelfV1',
      'depositorTrustRoots',
      'custodianTrustRoots',
    ),
    judge: (settings) => (rootsAreRequired(settings) ? missingRoots(settings).map(refuseRoot) : []),
  },
  {
    place: 8,
    keys: signer('eip712ChainId', 'depositorTrustRoots'),
    judge: ({ covenantSigner }) => {
      const { eip712ChainId, depositorTrustRoots } = covenantSigner
      const pins = depositorTrustRoots.some(({ ethAddress = '' }) => ethAddress !== '')
      if (eip712ChainId !== 0n || !pins) return []
      const wrong = '0 while depositorTrustRoots pin an ethAddress, want the id of the chain'
      return [refuse('covenantSigner.eip712ChainId', wrong, 'Set it to the chain of the Bridge.')]
    },
  },
  {
    place: ownPlace,
    keys: [...signer('bridgeCovenantFraudDefenseConfirmed'), 'ethereum.bridgeAddress'],
    judge: ({ covenantSigner, ethereum }) => {
      const confirmed = covenantSigner.bridgeCovenantFraudDefenseConfirmed
      if (!confirmed || ethereum.bridgeAddress !== undefined) return []
      const key = 'covenantSigner.bridgeCovenantFraudDefenseConfirmed'
      const wrong = 'true without ethereum.bridgeAddress, want the Bridge it was confirmed for'
      return [refuse(key, wrong, 'Set bridgeAddress under [ethereum], or set this to false.')]
    },
  },
  {
    place: ownPlace,
    keys: ['ethereum.bridgeAddress', 'ethereum.endpoints', 'bitcoin.sources'],
    judge: ({ ethereum, bitcoin }) => {
      const hosts = ethereum.endpoints.length
      const remedy = 'Set it under [ethereum].'
      if (hosts === 0 && bitcoin.sources.length > 0) {
        return [refuse('ethereum.endpoints', 'empty beside bitcoin.sources', remedy)]
      }
      if (hosts === 0 || ethereum.bridgeAddress !== undefined) return []
      return [refuse('ethereum.bridgeAddress', 'missing beside ethereum.endpoints', remedy)]
    },
  },
  {
    place: ownPlace,
    keys: ['bitcoin.sources'],
    judge: ({ bitcoin: { sources } }) => {
      const wrong = `${sources.length} entries, want at most ${bitcoinSourcesMax}`
      return sources.length > bitcoinSourcesMax
        ? [refuse('bitcoin.sources', wrong, 'Leave some out.')]
        : sources.flatMap(judgeSource)
    },
  },
  {
    place: ownPlace,
    keys: ['admin.port', 'admin.listenAddress', ...signer('port', 'listenAddress')],
    judge: ({ admin, covenantSigner }) => {
      const differs =
        admin.port !== covenantSigner.port ||
        listenHost(admin.listenAddress) !== listenHost(covenantSigner.listenAddress)
      if (admin.port === 0 || differs) return []
      const wrong = `${admin.port} is covenantSigner.port too, want a port of its own`
      return [refuse('admin.port', wrong, 'Give the admin listener another port.')]
    },
  },
  {
    place: ownPlace,
    keys: ['limits.retryMinMs', 'limits.retryMaxMs'],
    judge: ({ limits }) => {
      if (limits.retryMinMs <= limits.retryMaxMs) return []
      const wrong = `${limits.retryMaxMs}, want at least limits.retryMinMs (${limits.retryMinMs})`
      return [refuse('limits.retryMaxMs', wrong, 'Raise it, or lower retryMinMs.')]
    },
  },
]

/** What an operator should know and what does not stop the start. */
export function noticesOn(settings: Settings): readonly string[] {
  const { covenantSigner } = settings
  if (covenantSigner.port === 0) return ['covenantSigner.port is 0: the covenant signer is off']
  const missing = rootsAreRequired(settings) ? [] : missingRoots(settings)
  const notices = missing.map((root) => tellMissing(settings, root))
  if (!covenantSigner.bridgeCovenantFraudDefenseConfirmed) {
    notices.push('bridgeCovenantFraudDefenseConfirmed is false: nothing will be signed')
  }
  if (covenantSigner.eip712Salt === undefined) {
    notices.push('eip712Salt is not set: approvals of other deployments on this chain fit here too')
  }
  const token = covenantSigner.authToken.trim()
  if (token !== '' && token === covenantSigner.adminAuthToken.trim()) {
    notices.push('adminAuthToken is authToken: every client may have certificates issued')
  }
  return notices
}

type Token = 'authToken' | 'adminAuthToken'

function wantToken({ covenantSigner }: Settings, name: Token): readonly Problem[] {
  const isExposed = covenantSigner.port !== 0 && !isLoopback(covenantSigner.listenAddress)
  if (!isExposed || covenantSigner[name].trim() !== '') return []
  const wrong = 'empty while covenantSigner.listenAddress can be reached from other machines'
  const remedy = `Set ${name}File to a file of mode 0600, or listen on 127.0.0.1.`
  return [refuse(`covenantSigner.${name}`, wrong, remedy)]
}

function judgeSource(source: BitcoinSourceSetting, index: number): readonly Problem[] {
  const key = `bitcoin.sources[${index}]`
  const remedy = 'Use http:// or https:// for a node, tcp:// or ssl:// for an Electrum server.'
  const { protocol, hostname, port, username, password } = URL.canParse(source.url)
    ? new URL(source.url)
    : { protocol: '', hostname: '', port: '', username: '', password: '' }
  const isNode = /^https?:$/.test(protocol)
  const isElectrum = /^(tcp|ssl):$/.test(protocol) && port !== ''
  if (hostname === '' || !(isNode || isElectrum)) return [refuse(key, 'url is no source', remedy)]
  if (username !== '' || password !== '') {
    return [refuse(key, 'url holds a user name', 'Use the keys user and passwordFile.')]
  }
  const pinned = source.fingerprint?.replaceAll(':', '')
  if (pinned !== undefined && !(protocol === 'ssl:' && /^[0-9a-f]{64}$/i.test(pinned))) {
    return [refuse(key, 'no fingerprint of an ssl server', 'Want the SHA-256 of its certificate.')]
  }
  const isNamed = source.user !== undefined || source.passwordFile !== undefined
  if (isElectrum && isNamed) return [refuse(key, 'a user for an Electrum server', 'Leave it out.')]
  return []
}

type MissingRoot = { readonly list: keyof TrustRootLists; readonly route: 'self_v1' | 'qc_v1' }

function rootsAreRequired({ covenantSigner }: Settings): boolean {
  const { port, listenAddress, requireApprovalTrustRoots } = covenantSigner
  return port !== 0 && (requireApprovalTrustRoots || !isLoopback(listenAddress))
}

function missingRoots({ covenantSigner }: Settings): readonly MissingRoot[] {
  const { depositorTrustRoots, custodianTrustRoots, enableSelfV1 } = covenantSigner
  const has = (list: readonly { readonly route: string }[], wanted: string): boolean =>
    list.some(({ route }) => route === wanted)
  const missing: MissingRoot[] = []
  if (enableSelfV1 && !has(depositorTrustRoots, 'self_v1')) {
    missing.push({ list: 'depositorTrustRoots', route: 'self_v1' })
  }
  if (!has(depositorTrustRoots, 'qc_v1')) {
    missing.push({ list: 'depositorTrustRoots', route: 'qc_v1' })
  }
  if (!has(custodianTrustRoots, 'qc_v1')) {
    missing.push({ list: 'custodianTrustRoots', route: 'qc_v1' })
  }
  return missing
}

function refuseRoot({ list, route }: MissingRoot): Problem {
  const wrong = `no entry for ${route}, want one (requireApprovalTrustRoots, or not on loopback)`
  const remedy = `Add [[covenantSigner.${list}]] with route = "${route}".`
  return refuse(`covenantSigner.${list}`, wrong, remedy)
}

function tellMissing({ covenantSigner }: Settings, { list, route }: MissingRoot): string {
  return covenantSigner[list].length === 0
    ? `${list} is empty: the keys in ${route} requests are trusted as they are`
    : `${list} has no entry for ${route}: every ${route} request will be refused`
}

function refuse(key: string, wrong: string, remedy: string): Problem {
  return { key, kind: 'refused', wrong, remedy }
}
