import { isHoldfastError } from '../base/errors.js'
import {
  type Config,
  ConfigMalformed,
  ConfigRefused,
  describeOrigin,
  type ListedSetting,
  listSettings,
  loadConfig,
  originOf,
} from '../config.js'
import { parseTrustRoots } from '../covenant/trust.js'
import { type ConfigFlags, sourcesOf } from './config-flags.js'
import { note, printResult, renderTable } from './output.js'
import type { Context } from './usage.js'

/** One line of `config check`; `remedy` stands where something is wrong. */
type Check = {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
  readonly remedy?: string
}

/** `config check`: prints what is wrong and what to do; status 2 for bad form, 3 for a refusal. */
export async function configCheck(context: Context, flags: ConfigFlags): Promise<void> {
  const { status, checks } = judge(context, flags)
  if (status !== 0) process.exitCode = status
  await printResult(context.output, { ok: status === 0, checks }, () =>
    renderTable({
      columns: ['check', '', 'detail'],
      rows: checks.map(({ name, ok, detail, remedy }) => [
        name,
        ok ? 'ok' : 'NOT OK',
        remedy === undefined ? detail : `${detail}. ${remedy}`,
      ]),
    }),
  )
}

/** `config show`: every setting, with `--origin` where it came from; secrets are masked. */
export async function configShow(
  context: Context,
  flags: ConfigFlags & { readonly origin?: boolean },
): Promise<void> {
  const config = read(context, flags)
  for (const notice of config.notices) note(context.output, notice)
  const listed = listSettings(config)
  const settings = listed.map(({ key, value, origin }) =>
    flags.origin ? { key, value, origin: origin.kind, from: origin.name } : { key, value },
  )
  await printResult(context.output, { settings }, () =>
    renderTable({
      columns: ['setting', 'value', ...(flags.origin ? ['origin'] : [])],
      rows: listed.map((one) => [
        one.key,
        shownValue(one),
        ...(flags.origin ? [describeOrigin(one.origin)] : []),
      ]),
    }),
  )
}

function judge(context: Context, flags: ConfigFlags): { status: number; checks: readonly Check[] } {
  try {
    return { status: 0, checks: describe(read(context, flags)) }
  } catch (error) {
    if (!(isHoldfastError(error) && isConfigError(error))) throw error
    const checks = error.problems.map(({ key, wrong, remedy }) => ({
      name: key,
      ok: false,
      detail: wrong,
      remedy,
    }))
    return { status: error.code === 'ConfigMalformed' ? 2 : 3, checks }
  }
}

function isConfigError(error: unknown): error is ConfigMalformed | ConfigRefused {
  return error instanceof ConfigMalformed || error instanceof ConfigRefused
}

function read({ dataDir }: Context, flags: ConfigFlags): Config {
  return loadConfig({ ...sourcesOf(flags, dataDir), checkTrustRoots: parseTrustRoots })
}

/** What a good configuration would start, in the words of an operator. */
function describe(config: Config): readonly Check[] {
  const { covenantSigner: signer, admin, ethereum, bitcoin } = config
  const signs = ethereum.endpoints.length > 0 && bitcoin.sources.length > 0
  const onOff = (on: boolean): string => (on ? 'on' : 'off')
  const tokens = `client token ${onOff(signer.authToken.trim() !== '')}, admin token ${onOff(signer.adminAuthToken.trim() !== '')}`
  const roots = `depositor ${signer.depositorTrustRoots.length}, custodian ${signer.custodianTrustRoots.length}, quote ${signer.migrationPlanQuoteTrustRoots.length}`
  const defence = signer.bridgeCovenantFraudDefenseConfirmed
    ? `confirmed for ${ethereum.bridgeAddress}`
    : `not confirmed: ${signs ? 'every job fails as POLICY_REJECTED' : 'nothing will be signed'}`
  const engine = signs
    ? `signing: ${ethereum.endpoints.length} Ethereum endpoints, ${bitcoin.sources.length} Bitcoin sources on ${bitcoin.network}`
    : 'passive: requests are accepted, nothing is signed'
  return [
    good('file', config.file ?? 'none'),
    good('data directory', `${config.dataDir} (${describeOrigin(originOf(config, 'dataDir'))})`),
    good(
      'covenant signer',
      signer.port === 0
        ? 'off'
        : `${addressOf(signer)}, ${tokens}, self_v1 ${onOff(signer.enableSelfV1)}`,
    ),
    good('trust roots', roots),
    good('engine', engine),
    good('fraud defence', defence),
    good('admin', admin.port === 0 ? 'off' : addressOf(admin)),
    ...config.notices.map((notice) => good('notice', notice)),
  ]
}

const good = (name: string, detail: string): Check => ({ name, ok: true, detail })

function addressOf({ listenAddress, port }: { listenAddress: string; port: number }): string {
  return `${listenAddress.trim() || '127.0.0.1'}:${port}`
}

function shownValue({ value }: ListedSetting): string {
  if (value === null || value === '') return '-'
  if (Array.isArray(value)) return value.length === 1 ? '1 entry' : `${value.length} entries`
  return String(value)
}
