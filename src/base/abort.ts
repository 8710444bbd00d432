import { Aborted, throwIfAborted } from './errors.js'

/**
 * Waits for `work` or for the signal, whichever comes first.
 *
 * @throws Aborted when the signal fires first; `work` then goes on unobserved and its outcome is dropped.
 */
export async function untilAborted<T>(
  work: Promise<T>,
  signal: AbortSignal,
  what: string,
): Promise<T> {
  if (signal === neverAborted) return work
  // Whoever loses the race may still reject, also when the signal had fired before: nobody waits for it then.
  work.catch(() => undefined)
  throwIfAborted(signal, what)
  let stop: () => void = () => undefined
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(new Aborted(what, signal.reason))
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** A signal that never fires, for callers that gave none. */
export const neverAborted: AbortSignal = new AbortController().signal
