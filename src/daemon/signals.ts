import type { DaemonLog } from './log.js'
import { describeCauses } from './log-fields.js'

/** A wish from outside that this process end. */
export type StopRequest = {
  readonly signal: AbortSignal
  /** The name of the signal that came; undefined before one did. */
  readonly by: () => string | undefined
  /** Leaves signals to the runtime again. */
  readonly end: () => void
}

const signalNames = ['SIGINT', 'SIGTERM'] as const

/** Notes SIGINT and SIGTERM; a second one ends the process at once. */
export function stopOnSignals(log: DaemonLog): StopRequest {
  const stop = new AbortController()
  let by: string | undefined
  const take = (name: NodeJS.Signals): void => {
    if (by !== undefined) {
      log.fatal({ signal: name }, 'daemon: asked to stop again, ends at once')
      log.flush()
      process.exit(1)
    }
    by = name
    log.info({ signal: name }, 'daemon: asked to stop')
    stop.abort(new RangeError(`daemon: ${name}`))
  }
  for (const name of signalNames) process.on(name, take)
  return {
    signal: stop.signal,
    by: () => by,
    end() {
      for (const name of signalNames) process.off(name, take)
    },
  }
}

/**
 * Logs an error that nobody caught and ends the process: nothing is known of its state, and the next start settles it.
 *
 * @returns how to stop
 */
export function endOnCrash(log: DaemonLog): () => void {
  const crash = (error: unknown): void => {
    const frames = error instanceof Error ? (error.stack ?? '').match(/^ +at .*$/gm) : undefined
    const at = frames?.slice(0, 10).map((frame) => frame.trim())
    log.fatal({ cause: describeCauses(error), at }, 'daemon: an error that nobody caught')
    log.flush()
    process.exit(1)
  }
  process.on('uncaughtException', crash)
  return () => void process.off('uncaughtException', crash)
}
