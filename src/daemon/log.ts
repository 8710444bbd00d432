import { pino } from 'pino'
import { logBacklogBytesMax } from '../base/limits.js'
import type { Logger } from '../base/log.js'
import type { LogSettings } from '../config.js'
import { createFieldCleaner } from './log-fields.js'

/** The daemon's log: one JSON object a line. */
export type DaemonLog = Logger & {
  /** For what ends the process. */
  fatal(fields: Readonly<Record<string, unknown>>, message: string): void
  /** Hides one more secret text from now on. */
  hide(secret: string): void
  /** Writes what waits, at once. */
  flush(): void
}

export type LogOptions = {
  readonly level: LogSettings['level']
  /** Texts that never stand in the log: the configured tokens. */
  readonly secrets: readonly string[]
  /** Descriptor to write to. Default: 2, standard error. */
  readonly descriptor?: number
}

/**
 * Opens the log.
 *
 * @remarks A reader that stalls or is gone never holds up the daemon: lines beyond the backlog are dropped and counted.
 * When the process ends in the middle of a write, the last lines may change places or stand twice; each has its time.
 */
export function openLog({ level, secrets, descriptor = 2 }: LogOptions): DaemonLog {
  const destination = pino.destination({
    fd: descriptor,
    sync: false,
    maxLength: logBacklogBytesMax,
  })
  const out = pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  )
  const clean = createFieldCleaner(secrets)
  let dropped = 0
  destination.on('drop', () => {
    dropped++
  })
  destination.on('drain', () => {
    if (dropped === 0) return
    const lines = dropped
    dropped = 0
    out.warn({ lines }, 'log: lines were dropped, nobody took them')
  })
  // A log that cannot be written, as on a full disk, is tried again with the next line; custody goes on.
  destination.on('error', () => undefined)
  return {
    info: (fields, message) => out.info(clean.fields(fields), clean.text(message)),
    warn: (fields, message) => out.warn(clean.fields(fields), clean.text(message)),
    fatal: (fields, message) => out.fatal(clean.fields(fields), clean.text(message)),
    hide: (secret) => clean.hide(secret),
    flush() {
      try {
        destination.flushSync()
      } catch {
        // Nobody takes the lines; there is no other place to say so.
      }
    },
  }
}
