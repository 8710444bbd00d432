import { neverAborted, untilAborted } from '../../base/abort.js'
import { Aborted, throwIfAborted } from '../../base/errors.js'
import { type Answer, faultOf } from './fault.js'

/**
 * Gives work so much time; what comes later is a fault, and the work's signal has fired by then.
 *
 * @throws Aborted when the caller's signal fires first
 */
export async function within<T>(
  timeoutMs: number,
  callerSignal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<Answer<T>>,
): Promise<Answer<T>> {
  const what = 'host chain read'
  const signal = callerSignal ?? neverAborted
  throwIfAborted(signal, what)
  const inner = new AbortController()
  const pass = (): void => inner.abort(signal.reason)
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    inner.abort(new Error('the time is up'))
  }, timeoutMs)
  signal.addEventListener('abort', pass, { once: true })
  try {
    return await untilAborted(work(inner.signal), inner.signal, what)
  } catch (error) {
    if (signal.aborted) throw new Aborted(what, signal.reason)
    if (isLate) return faultOf('timeout', `no answer within ${timeoutMs} ms`)
    throw error
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', pass)
  }
}
