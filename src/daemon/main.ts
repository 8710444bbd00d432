import { systemClock } from '../base/clock.js'
import { HoldfastError } from '../base/errors.js'
import { notifyServiceManager } from '../base/service-manager.js'
import type { Config } from '../config.js'
import {
  type ApprovalDomain,
  type CovenantService,
  openCovenantService,
  parseTrustRoots,
  systemScheduler,
} from '../covenant/index.js'
import { passiveEngine, passiveSettings, passiveSigner } from '../covenant/passive-engine.js'
import type { JobStore } from '../covenant/store.js'
import { type HoldfastWithJobs, openHoldfast } from '../holdfast.js'
import { openSigning, type Signing } from '../signing.js'
import { type AdminListener, openAdminListener } from './admin.js'
import { openAdminToken } from './admin-token.js'
import { type CompatibleListener, openCompatibleListener } from './compatible.js'
import type { CompatibleService } from './compatible-service.js'
import { createDaemonStatus, type DaemonStatus } from './daemon-status.js'
import { requireFit } from './engine-fit.js'
import { engineName, engineStatus, tellEngine } from './engine-status.js'
import { createJobCensus } from './job-census.js'
import { ListenFailed } from './listen.js'
import type { DaemonLog } from './log.js'
import { createMetrics, type Metrics } from './metrics.js'
import { createParts, type Parts } from './parts.js'
import { createReadiness } from './readiness.js'
import { readinessSources } from './readiness-sources.js'
import { watchStore } from './store-watch.js'
import { packageVersion } from './version.js'

export type DaemonOptions = {
  /** Its `covenantSigner.port` is not 0. */
  readonly config: Config
  readonly log: DaemonLog
  /** Fires when the daemon is to stop. */
  readonly stop: AbortSignal
  /** Opens the vault; the caller wipes it. */
  readonly passphrase?: Uint8Array | undefined
}

/** Milliseconds that closing may take beside what signatures in flight are given. */
const closingMs = 30_000

/**
 * Runs the covenant signer until it is asked to stop, and closes everything in reverse order.
 *
 * Reads top to bottom as the start: the listener for operators, the data directory with its stores, what the engine
 * must be able to do, the service, the listener for clients, and only then the runner (covenant signer specification, 16.3).
 *
 * @throws what `openHoldfast` throws, TrustRootInvalid, ConfigRefused, ListenFailed, DaemonFailed. Everything that was
 * opened has been closed by then, also the lock of the data directory.
 */
export async function runDaemon(options: DaemonOptions): Promise<void> {
  const { config, log, stop } = options
  const parts = createParts(log)
  const status = createDaemonStatus(config, systemClock)
  status.add({ engine: { name: 'passive', signs: false } })
  let failure: { readonly cause: unknown } | undefined
  try {
    const admin = await openAdmin(options, status, parts)
    status.enter('loading')
    const directory = await openDirectory(options, { status, parts, admin })
    // Opening may take a while, and nobody is served any more when the stop came meanwhile.
    if (!stop.aborted) await serve(options, directory, { status, parts, admin })
  } catch (cause) {
    failure = { cause }
    status.enter('failed', cause instanceof HoldfastError ? cause.code : 'Unexpected')
  }
  if (failure === undefined) status.enter('draining')
  await tellServiceManager(['STOPPING=1'], log)
  const unclosed = await parts.closeAll(config.limits.stopMs + closingMs)
  if (failure !== undefined) throw failure.cause
  if (unclosed !== undefined) {
    throw new DaemonFailed(`${unclosed.name} could not be closed`, unclosed.cause)
  }
  log.info({}, 'daemon: stopped')
}

/** What the steps of a start hand on. */
type Started = { readonly status: DaemonStatus; readonly parts: Parts; readonly admin: Admin }

/** What operators see and use; without a port there is no listener. */
type Admin = {
  readonly metrics: Metrics | undefined
  readonly listener: AdminListener | undefined
  /** Why the port could not be bound; told after what comes first (covenant signer specification, 16.3). */
  readonly failure: ListenFailed | undefined
}

/** Opens the admin listener first of all and closes it last of all, so that it can always say what goes on. */
async function openAdmin(
  { config, log }: DaemonOptions,
  status: DaemonStatus,
  parts: Parts,
): Promise<Admin> {
  if (config.admin.port === 0)
    return { metrics: undefined, listener: undefined, failure: undefined }
  const version = packageVersion()
  const metrics = await createMetrics(version)
  const readiness = createReadiness(readinessSources(status), systemClock)
  try {
    const listener = await openAdminListener({
      ...{ settings: config.admin, status, readiness, metrics, version },
      log,
    })
    parts.add('admin listener', () => listener.close())
    return { metrics, listener, failure: undefined }
  } catch (cause) {
    if (!(cause instanceof ListenFailed)) throw cause
    return { metrics, listener: undefined, failure: cause }
  }
}

/** What a start needs of the data directory. */
type Directory = { readonly jobs: JobStore; readonly vault: HoldfastWithJobs['vault'] }

async function openDirectory(
  { config, log, passphrase }: DaemonOptions,
  { status, parts, admin }: Started,
): Promise<Directory> {
  const census = createJobCensus(log, admin.metrics?.events)
  status.add({ census })
  const holdfast = await openHoldfast({
    dataDir: config.dataDir,
    allowFuse: config.allowFuse,
    log: census.log,
    ...(passphrase === undefined ? {} : { passphrase }),
    jobs: { witnessPath: config.ledger.witnessPath },
  })
  parts.add('data directory', holdfast.close)
  log.info({ dataDir: config.dataDir }, 'daemon: data directory open')
  const jobs = census.watch(holdfast.jobs)
  const directory = { jobs, vault: holdfast.vault }
  if (config.admin.port === 0) return directory
  if (admin.failure !== undefined) throw admin.failure
  const token = openAdminToken(config.admin.tokenFile)
  log.hide(token)
  status.add({ jobs, wallets: holdfast.wallets })
  parts.add('admin calls', async () => {
    await admin.listener?.giveUp()
    status.forget()
  })
  admin.listener?.admit(token)
  return directory
}

/** Serves until the stop, or until the store has died. */
async function serve(
  options: DaemonOptions,
  { jobs, vault }: Directory,
  { status, parts, admin }: Started,
): Promise<void> {
  const { config, log, stop } = options
  const domain = domainOf(config)
  const signing = await openSigning({ config, vault, domain, log })
  if (signing !== undefined) parts.add('chain readers', signing.close)
  const notices = requireFit(config, signing?.engine ?? passiveEngine)
  const service = openService(options, { jobs, signing, domain, metrics: admin.metrics })
  parts.add('covenant service', () => service.stop())
  const listener = await openListener(options, admin.metrics?.watch(service) ?? service)
  parts.add('listener', () => listener.close())
  for (const notice of [...config.notices, ...notices]) log.warn({}, notice)
  tellEngine(options, signing)
  service.start()
  status.add({ service, compatible: listener, ...engineStatus(config, signing) })
  status.enter('serving')
  const ended = new Promise<void>((resolve, reject) => {
    const onDead = (detail: string): void => {
      reject(new DaemonFailed(`the job store can no longer be used: ${detail}`))
    }
    parts.add('store watch', watchStore({ store: jobs, scheduler: systemScheduler, log, onDead }))
    if (stop.aborted) resolve()
    stop.addEventListener('abort', () => resolve(), { once: true })
  })
  const { host, port } = listener.address
  // Whoever stops the daemon now need not wait for the messenger.
  void tellServiceManager(
    ['READY=1', `STATUS=${engineName(signing)} engine on ${host}:${port}`],
    log,
  )
  await ended
}

/** Where approvals of this deployment are signed for. */
function domainOf({ covenantSigner }: Config): ApprovalDomain {
  const { eip712ChainId: chainId, eip712Salt: salt } = covenantSigner
  return salt === undefined ? { chainId } : { chainId, salt }
}

type ServiceParts = {
  readonly jobs: JobStore
  readonly signing: Signing | undefined
  readonly domain: ApprovalDomain
  readonly metrics: Metrics | undefined
}

function openService(
  { config, log }: Pick<DaemonOptions, 'config' | 'log'>,
  { jobs, signing, domain, metrics }: ServiceParts,
): CovenantService {
  const { covenantSigner, limits } = config
  const { submitWaitMs, callMs, attemptMs, walletWaitMs, inFlightMax, stopMs } = limits
  const { retryMinMs, retryMaxMs, nudgeEveryMs } = limits
  const signer = signing?.signer ?? passiveSigner
  return openCovenantService({
    store: jobs,
    engine: signing?.engine ?? passiveEngine,
    signer: metrics?.watchSigner(signer) ?? signer,
    trustRoots: parseTrustRoots(covenantSigner),
    domain,
    log,
    settings: {
      ...{ submitWaitMs, callMs, attemptMs, walletWaitMs, inFlightMax, stopMs },
      ...(signing === undefined ? passiveSettings : { retryMinMs, retryMaxMs, nudgeEveryMs }),
    },
  })
}

function openListener(
  { config, log }: Pick<DaemonOptions, 'config' | 'log'>,
  service: CompatibleService,
): Promise<CompatibleListener> {
  const { limits } = config
  return openCompatibleListener({
    service,
    settings: {
      ...config.covenantSigner,
      buckets: {
        submit: { capacity: limits.submitCapacity, refillMs: limits.submitRefillMs },
        poll: { capacity: limits.pollCapacity, refillMs: limits.pollRefillMs },
      },
      times: { workMs: limits.callMs },
    },
    clock: systemClock,
    log,
  })
}

async function tellServiceManager(states: readonly string[], log: DaemonLog): Promise<void> {
  const answer = await notifyServiceManager(states)
  if (answer.kind === 'failed') log.warn({ why: answer.why }, 'daemon: systemd could not be told')
}

/** The daemon had to end, or did not end as it should; what was answered is durable. */
export class DaemonFailed extends HoldfastError {
  readonly code = 'DaemonFailed'
  constructor(what: string, cause?: unknown) {
    super(`daemon: ${what}`, {
      retry: 'after-fix',
      remedy: 'Look at the log and at the disk, then start it again; the start settles the rest.',
      cause,
    })
  }
}
