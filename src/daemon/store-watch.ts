import type { Logger } from '../base/log.js'
import type { Scheduler } from '../covenant/index.js'
import type { JobStore } from '../covenant/store.js'

/** Milliseconds between two looks. */
const lookEveryMs = 1000

/**
 * Tells the log when a check of the store fails or is good again.
 *
 * @param deps.onDead called once when the database cannot be used any more: only a new start helps
 * @returns how to stop
 */
export function watchStore(deps: {
  readonly store: Pick<JobStore, 'readiness'>
  readonly scheduler: Scheduler
  readonly log: Logger
  readonly onDead: (detail: string) => void
}): () => void {
  const { store, scheduler, log, onDead } = deps
  const failing = new Set<string>()
  let cancel = scheduler.after(lookEveryMs, look)

  function look(): void {
    const { newKeys, checks } = store.readiness()
    for (const { name, ok, detail, remedy } of checks) {
      if (ok === !failing.has(name)) continue
      if (ok) {
        failing.delete(name)
        log.info({ check: name, detail, newKeys }, 'job store: a check is good again')
        continue
      }
      failing.add(name)
      log.warn({ check: name, detail, remedy, newKeys }, 'job store: a check fails')
      if (name !== 'database') continue
      onDead(detail)
      return
    }
    cancel = scheduler.after(lookEveryMs, look)
  }

  return () => cancel()
}
