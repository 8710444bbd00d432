import { join, resolve } from 'node:path'
import envPaths from 'env-paths'
import { type Environment, type Flags, readEnvironment, readFlags } from './config/environment.js'
import type { Source } from './config/given.js'
import { type Merged, merge, type Placed } from './config/merge.js'
import { type ReadFile, readRegularFile } from './config/private-file.js'
import { configError, type Origin } from './config/problem.js'
import { noticesOn, rules } from './config/rules.js'
import { settingsFrom } from './config/schema.js'
import type { AdminSettings, Settings } from './config/settings.js'
import { readTokenFile } from './config/token-file.js'
import { readConfigFile } from './config/toml.js'
import { type CheckTrustRoots, trustRootProblems } from './config/trust-root-check.js'

export type { Environment, Flags } from './config/environment.js'
export { type ListedSetting, listSettings } from './config/listing.js'
export { type PassphraseSource, passphraseSource } from './config/passphrase-source.js'
export { readSourcePassword } from './config/password-file.js'
export type { FoundFile, ReadFile } from './config/private-file.js'
export {
  ConfigMalformed,
  ConfigRefused,
  describeOrigin,
  type Origin,
  type Problem,
} from './config/problem.js'
export { flagKeys } from './config/schema.js'
export type * from './config/settings.js'
export type { CheckTrustRoots } from './config/trust-root-check.js'

/** Where the data directory is, and who said so. */
export type DataDirectory = {
  readonly path: string
  readonly origin: 'flag' | 'environment' | 'default'
}

/**
 * Where the data directory is: `--data-dir`, else `HOLDFAST_DATA_DIR`, else the user's data folder.
 *
 * @param flag text of `--data-dir`; an empty environment variable counts as absent
 */
export function dataDirectory(
  flag: string | undefined,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): DataDirectory {
  if (flag !== undefined) return { path: resolve(flag), origin: 'flag' }
  const named = environment.HOLDFAST_DATA_DIR
  if (named !== undefined && named !== '') return { path: resolve(named), origin: 'environment' }
  return { path: envPaths('holdfast', { suffix: '' }).data, origin: 'default' }
}

/** What a configuration is read from. */
export type ConfigSources = {
  /** The TOML file; without it there are flags, variables and defaults alone. */
  readonly file?: string | undefined
  /** Default: the environment of this process. */
  readonly env?: Environment | undefined
  readonly flags?: Flags | undefined
  /** Default: reads this machine's files. */
  readonly readFile?: ReadFile | undefined
  /** `parseTrustRoots` of the covenant room; without it the entries' content is not judged here. */
  readonly checkTrustRoots?: CheckTrustRoots | undefined
}

/** Everything the daemon is told, checked and frozen. */
export type Config = Omit<Settings, 'dataDir' | 'admin'> & {
  /** Absolute path of the data directory. */
  readonly dataDir: string
  readonly admin: Omit<AdminSettings, 'tokenFile'> & {
    /** Absolute path of the file that holds the admin token. */
    readonly tokenFile: string
  }
  /** Absolute path of the file that was read. */
  readonly file: string | undefined
  /** Where each setting came from, by key. */
  readonly origins: Readonly<Record<string, Origin>>
  /** What an operator should know; none of it stops the start. */
  readonly notices: readonly string[]
}

/**
 * Reads the configuration: flags before `HOLDFAST_SECTION__KEY` before the file before defaults.
 *
 * @throws ConfigMalformed, ConfigRefused with everything that is wrong, form first, then in the order of the
 * refusals (covenant signer specification, 16.3)
 */
export function loadConfig(sources: ConfigSources = {}): Config {
  const { file, env: environment = process.env, flags = {}, readFile = readRegularFile } = sources
  const read: readonly Source[] = [
    ...(file === undefined ? [] : [readConfigFile(file, readFile)]),
    readEnvironment(environment),
    readFlags(flags),
  ]
  const merged = merge(read.flatMap(({ given }) => given))
  const tokens = readTokens(merged, readFile, environment)
  const settings = settingsFrom((key) => tokens.values.get(key) ?? merged.values.get(key))
  const found = [
    ...read.flatMap(({ problems }) => problems.map((problem) => ({ place: 0, problem }))),
    ...merged.problems,
    ...tokens.problems,
    ...judge(settings, new Set([...merged.broken, ...tokens.broken]), sources.checkTrustRoots),
  ]
  if (found.length > 0) {
    // A stable sort: within one place problems stay in the order in which they were found.
    found.sort((a, b) => a.place - b.place)
    throw configError(found.map(({ problem }) => problem))
  }
  const notices = [...read.flatMap((source) => source.notices), ...noticesOn(settings)]
  const origins = Object.fromEntries([...merged.origins, ...tokens.origins])
  const dataDir = settings.dataDir ?? dataDirectory(undefined, {}).path
  const { tokenFile = join(dataDir, 'admin-token') } = settings.admin
  const admin = { ...settings.admin, tokenFile }
  const path = file === undefined ? undefined : resolve(file)
  return freezeDeep({ ...settings, dataDir, admin, file: path, origins, notices })
}

/**
 * Where a setting came from.
 *
 * @throws RangeError for what is no setting
 */
export function originOf(config: Config, key: string): Origin {
  const origin = Object.hasOwn(config.origins, key) ? config.origins[key] : undefined
  if (origin === undefined) throw new RangeError(`config: ${key} is no setting`)
  return origin
}

/** The tokens that stand in files of their own, under the keys of the tokens. */
function readTokens(merged: Merged, readFile: ReadFile, environment: Environment): Merged {
  const values = new Map<string, unknown>()
  const origins = new Map<string, Origin>()
  const problems: Placed[] = []
  const broken = new Set<string>()
  for (const key of ['covenantSigner.authToken', 'covenantSigner.adminAuthToken']) {
    const path = merged.values.get(`${key}File`)
    if (merged.broken.has(`${key}File`)) broken.add(key)
    if (typeof path !== 'string') continue
    const read = readTokenFile(`${key}File`, path, { readFile, environment })
    if (read.kind === 'token') {
      values.set(key, read.token)
      origins.set(key, { kind: 'file', name: path })
    } else {
      problems.push({ place: 0, problem: read.problem })
      broken.add(key)
    }
  }
  return { values, origins, problems, broken }
}

function judge(
  settings: Settings,
  broken: ReadonlySet<string>,
  check: CheckTrustRoots = () => undefined,
): readonly Placed[] {
  const refusals = rules
    .filter(({ keys }) => !keys.some((key) => broken.has(key)))
    .flatMap(({ place, judge }) => judge(settings).map((problem) => ({ place, problem })))
  const roots = trustRootProblems(settings.covenantSigner, check)
  return [...refusals, ...roots.map((problem) => ({ place: 6, problem }))]
}

function freezeDeep<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const inner of Object.values(value)) freezeDeep(inner)
  return Object.freeze(value)
}
