import {
  address,
  bigWhole,
  type Codec,
  fileName,
  hex,
  oneOf,
  optionalWhole,
  path,
  secretText,
  tables,
  text,
  webAddresses,
  whole,
  withPath,
  yesOrNo,
} from './codec.js'
import {
  type BitcoinSourceSetting,
  bitcoinNetworkNames,
  type DepositorRootSetting,
  logLevels,
  type QuoteRootSetting,
  type ScopedRoot,
  type SectionSettings,
  type Settings,
  type TopSettings,
} from './settings.js'

type Codecs<T> = { readonly [Name in keyof T]: Codec<T[Name]> }

const top: Codecs<TopSettings> = { dataDir: path(), allowFuse: yesOrNo(false) }

const scope = ['route', 'reserve', 'network', 'publicKey'] as const
const hourMs = 3_600_000
const dayMs = 24 * hourMs

const sections: { readonly [Name in keyof SectionSettings]: Codecs<SectionSettings[Name]> } = {
  covenantSigner: {
    port: whole(0, 0, 65_535),
    listenAddress: text('127.0.0.1'),
    authToken: secretText(),
    adminAuthToken: secretText(),
    authTokenFile: path(),
    adminAuthTokenFile: path(),
    enableSelfV1: yesOrNo(false),
    requireApprovalTrustRoots: yesOrNo(false),
    bridgeCovenantFraudDefenseConfirmed: yesOrNo(false),
    migrationPlanQuoteTrustRoots: tables<QuoteRootSetting>(['keyId', 'publicKeyPem']),
    depositorTrustRoots: tables<DepositorRootSetting>(scope, ['ethAddress']),
    custodianTrustRoots: tables<ScopedRoot>(scope),
    minActiveOutpointConfirmations: whole(0, 0, 1_000_000),
    eip712ChainId: bigWhole(0n),
    eip712Salt: hex(32),
    honestThreshold: whole(51, 1, 255),
  },
  ethereum: {
    bridgeAddress: address(),
    endpoints: webAddresses(8),
    chainId: bigWhole(1n),
    requestTimeoutMs: whole(10_000, 1, 600_000),
    registryTimeoutMs: whole(2000, 1, 600_000),
  },
  bitcoin: {
    network: oneOf(bitcoinNetworkNames, 'mainnet'),
    sources: withPath(
      tables<BitcoinSourceSetting>(['url'], ['user', 'passwordFile', 'fingerprint']),
      'passwordFile',
    ),
    feeSatsMax: bigWhole(1_000_000n),
    requestTimeoutMs: whole(10_000, 1, 600_000),
  },
  admin: { port: whole(9703, 0, 65_535), listenAddress: text('127.0.0.1'), tokenFile: path() },
  ledger: { witnessPath: path() },
  vault: { passphraseFile: path(), credential: fileName(), fd: optionalWhole(3, 1023) },
  limits: {
    submitWaitMs: whole(20_000, 0, 600_000),
    callMs: whole(300_000, 1, hourMs),
    attemptMs: whole(300_000, 1, hourMs),
    walletWaitMs: whole(30_000, 1, hourMs),
    inFlightMax: whole(64, 1, 4096),
    retryMinMs: whole(1000, 1, hourMs),
    retryMaxMs: whole(300_000, 1, dayMs),
    nudgeEveryMs: whole(1000, 0, hourMs),
    stopMs: whole(10_000, 0, 600_000),
    submitCapacity: whole(5, 1, 1_000_000),
    submitRefillMs: whole(12_000, 1, dayMs),
    pollCapacity: whole(60, 1, 1_000_000),
    pollRefillMs: whole(1000, 1, dayMs),
  },
  log: { level: oneOf(logLevels, 'info') },
}

/** Every setting by its key: `dataDir`, `covenantSigner.port`. */
export const schema: ReadonlyMap<string, Codec<unknown>> = new Map([
  ...Object.entries<Codec<unknown>>(top),
  ...Object.entries(sections).flatMap(([section, codecs]) =>
    Object.entries<Codec<unknown>>(codecs).map(
      ([name, codec]) => [`${section}.${name}`, codec] as const,
    ),
  ),
])

/** The names of our sections. */
export const sectionNames: readonly string[] = Object.keys(sections)

/** Other names of a setting, as keep-core has them. */
export const aliases: ReadonlyMap<string, string> = new Map([['covenantSigner.dataDir', 'dataDir']])

/** The keys that are flags of the command line too, named `--<key>`. */
export const flagKeys: readonly string[] = [
  'covenantSigner.port',
  'covenantSigner.listenAddress',
  'covenantSigner.authToken',
  'covenantSigner.adminAuthToken',
  'covenantSigner.enableSelfV1',
  'covenantSigner.requireApprovalTrustRoots',
  'covenantSigner.bridgeCovenantFraudDefenseConfirmed',
]

/** The settings with one value each, found by key. */
export function settingsFrom(find: (key: string) => unknown): Settings {
  const read = (prefix: string, codecs: object): object =>
    Object.fromEntries(Object.keys(codecs).map((name) => [name, find(`${prefix}${name}`)]))
  const tables = Object.fromEntries(
    Object.entries(sections).map(([name, codecs]) => [name, read(`${name}.`, codecs)]),
  )
  // The names are those of the two tables above, which the settings' own types check; so are the values.
  return { ...read('', top), ...tables } as object as Settings
}
