import { setMaxListeners } from 'node:events'
import type { Clock } from '../base/clock.js'
import { HoldfastError } from '../base/errors.js'
import { type Logger, silent } from '../base/log.js'
import { isLoopback, listenHost } from '../base/loopback.js'
import { checkBearer, requireBearer } from './bearer.js'
import { type BucketSettings, createBuckets } from './buckets.js'
import { answerCall } from './compatible-calls.js'
import type { CompatibleService } from './compatible-service.js'
import type { ListenAddress } from './listen.js'
import { openWireServer, usualWireTimes, type WireLoad, type WireTimes } from './wire-server.js'
import { withWorkLimit } from './work-limit.js'

/** Limits of time, in milliseconds; the defaults are those of the contract. */
export type CompatibleTimes = WireTimes & {
  /** For the work of one submit or issue, whether or not its client still waits; default 300 000. */
  readonly workMs: number
}

export type CompatibleSettings = {
  /** 0 lets the system choose one; that 0 switches the service off is the configuration's business. */
  readonly port: number
  readonly listenAddress: string
  /** Empty: everybody is a client. */
  readonly authToken: string
  /** Empty: nobody is an administrator. */
  readonly adminAuthToken: string
  readonly enableSelfV1: boolean
  readonly buckets?: BucketSettings
  readonly times?: Partial<CompatibleTimes>
}

export type CompatibleDeps = {
  readonly service: CompatibleService
  readonly settings: CompatibleSettings
  readonly clock: Clock
  readonly log?: Logger
}

/** The listener that clients of the covenant signer talk to. */
export type CompatibleListener = {
  readonly address: ListenAddress
  /**
   * Ends the service's signal, takes no more connections, and waits for open ones as long as they are given.
   *
   * @param signal cuts the waiting short
   */
  readonly close: (signal?: AbortSignal) => Promise<void>
  /** What clients keep it busy with now. */
  readonly load: () => WireLoad
}

const usualTimes: CompatibleTimes = { ...usualWireTimes, workMs: 300_000 }

/**
 * Opens the listener that speaks the covenant signer's contract byte for byte, and nothing else.
 *
 * @throws ListenerUnprotected, ListenFailed; RangeError for bucket settings out of their bounds
 */
export async function openCompatibleListener(deps: CompatibleDeps): Promise<CompatibleListener> {
  const { service, settings, clock, log = silent } = deps
  requireProtection(settings)
  const times = { ...usualTimes, ...settings.times }
  const work = new AbortController()
  // Every submit in flight listens to it.
  setMaxListeners(0, work.signal)
  const callDeps = {
    service,
    client: checkBearer(settings.authToken),
    admin: requireBearer(settings.adminAuthToken),
    buckets: createBuckets(settings.buckets ?? {}, clock),
    enableSelfV1: settings.enableSelfV1,
    underWorkLimit: <T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> =>
      withWorkLimit(work.signal, times.workMs, run),
    log,
  }
  const server = openWireServer({
    answer: (call) => answerCall(callDeps, call),
    isClosing: () => work.signal.aborted,
    times,
    onRefused: warnRarely(clock, log),
  })
  const address = await server.listen(listenHost(settings.listenAddress), settings.port)
  const onOff = (token: string): string => (token.trim() === '' ? 'off' : 'on')
  log.info(
    {
      ...address,
      auth: onOff(settings.authToken),
      adminAuth: onOff(settings.adminAuthToken),
      selfV1: settings.enableSelfV1 ? 'on' : 'off',
    },
    'covenant signer endpoint enabled',
  )
  let closing: Promise<void> | undefined
  return {
    address,
    load: () => server.load(),
    close(signal) {
      closing ??= (async () => {
        work.abort(new RangeError('compatible listener: it is closing'))
        await server.close(signal)
      })()
      return closing
    },
  }
}

function requireProtection({ listenAddress, authToken, adminAuthToken }: CompatibleSettings): void {
  if (isLoopback(listenAddress)) return
  if (authToken.trim() === '') throw new ListenerUnprotected(listenAddress, 'authToken')
  if (adminAuthToken.trim() === '') throw new ListenerUnprotected(listenAddress, 'adminAuthToken')
}

const refusedWarningEveryMs = 60_000

/** Tells the log of refused connections, once a minute at most. */
function warnRarely(clock: Clock, log: Logger): (connectionsMax: number) => void {
  let warnedAtMs = Number.NEGATIVE_INFINITY
  return (connectionsMax) => {
    const nowMs = clock.nowMs()
    if (Math.abs(nowMs - warnedAtMs) < refusedWarningEveryMs) return
    warnedAtMs = nowMs
    log.warn({ connectionsMax }, 'covenant signer connection refused')
  }
}

/** The listener would be open to other machines without the token that its clients or administrators need. */
export class ListenerUnprotected extends HoldfastError {
  readonly code = 'ListenerUnprotected'
  constructor(listenAddress: string, token: 'authToken' | 'adminAuthToken') {
    super(`compatible listener: ${listenAddress} is not loopback, want ${token} to be set`, {
      retry: 'after-fix',
      remedy: `Set covenantSigner.${token}, or listen on 127.0.0.1.`,
    })
  }
}
