import { systemClock } from '../base/clock.js'
import { HoldfastError } from '../base/errors.js'
import { notifyServiceManager } from '../base/service-manager.js'
import type { Config } from '../config.js'
import {
  type CovenantService,
  openCovenantService,
  parseTrustRoots,
  systemScheduler,
} from '../covenant/index.js'
import { passiveEngine, passiveSettings, passiveSigner } from '../covenant/passive-engine.js'
import type { JobStore } from '../covenant/store.js'
import { openHoldfast } from '../holdfast.js'
import { type CompatibleListener, openCompatibleListener } from './compatible.js'
import { requireFit } from './engine-fit.js'
import type { DaemonLog } from './log.js'
import { createParts, type Parts } from './parts.js'
import { watchStore } from './store-watch.js'

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
 * Reads top to bottom as the start: the data directory with its stores, what the engine must be able to do, the
 * service, the listener, and only then the runner (covenant signer specification, 16.3).
 *
 * @throws what `openHoldfast` throws, TrustRootInvalid, ConfigRefused, ListenFailed, DaemonFailed. Everything that was
 * opened has been closed by then, also the lock of the data directory.
 */
export async function runDaemon(options: DaemonOptions): Promise<void> {
  const { config, log, stop } = options
  const parts = createParts(log)
  let failure: { readonly cause: unknown } | undefined
  try {
    const jobs = await openDirectory(options, parts)
    // Opening may take a while, and nobody is served any more when the stop came meanwhile.
    if (!stop.aborted) await serve(options, jobs, parts)
  } catch (cause) {
    failure = { cause }
  }
  await tellServiceManager(['STOPPING=1'], log)
  const unclosed = await parts.closeAll(config.limits.stopMs + closingMs)
  if (failure !== undefined) throw failure.cause
  if (unclosed !== undefined) {
    throw new DaemonFailed(`${unclosed.name} could not be closed`, unclosed.cause)
  }
  log.info({}, 'daemon: stopped')
}

async function openDirectory(
  { config, log, passphrase }: DaemonOptions,
  parts: Parts,
): Promise<JobStore> {
  const holdfast = await openHoldfast({
    dataDir: config.dataDir,
    allowFuse: config.allowFuse,
    log,
    ...(passphrase === undefined ? {} : { passphrase }),
    jobs: { witnessPath: config.ledger.witnessPath },
  })
  parts.add('data directory', holdfast.close)
  log.info({ dataDir: config.dataDir }, 'daemon: data directory open')
  return holdfast.jobs
}

/** Serves until the stop, or until the store has died. */
async function serve(options: DaemonOptions, jobs: JobStore, parts: Parts): Promise<void> {
  const { config, log, stop } = options
  const notices = requireFit(config, passiveEngine)
  const service = openService(options, jobs)
  parts.add('covenant service', () => service.stop())
  const listener = await openListener(options, service)
  parts.add('listener', () => listener.close())
  for (const notice of [...config.notices, ...notices]) log.warn({}, notice)
  log.warn({ engine: 'passive' }, 'passive engine: requests are accepted, nothing is signed')
  service.start()
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
  void tellServiceManager(['READY=1', `STATUS=passive engine on ${host}:${port}`], log)
  await ended
}

function openService(
  { config, log }: Pick<DaemonOptions, 'config' | 'log'>,
  store: JobStore,
): CovenantService {
  const { covenantSigner, limits } = config
  const { eip712ChainId: chainId, eip712Salt: salt } = covenantSigner
  const { submitWaitMs, callMs, attemptMs, walletWaitMs, inFlightMax, stopMs } = limits
  return openCovenantService({
    store,
    engine: passiveEngine,
    signer: passiveSigner,
    trustRoots: parseTrustRoots(covenantSigner),
    domain: salt === undefined ? { chainId } : { chainId, salt },
    log,
    settings: {
      ...{ submitWaitMs, callMs, attemptMs, walletWaitMs, inFlightMax, stopMs },
      ...passiveSettings,
    },
  })
}

function openListener(
  { config, log }: Pick<DaemonOptions, 'config' | 'log'>,
  service: CovenantService,
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
