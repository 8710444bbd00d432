import { setMaxListeners } from 'node:events'
import { untilAborted } from '../../base/abort.js'
import { throwIfAborted } from '../../base/errors.js'
import { BitcoinUnavailable, faultOf } from './fault.js'
import type { Lookup } from './reader.js'

/** One question to one source. */
export type Question = {
  readonly source: string
  /** For the abort error: what was asked. */
  readonly what: string
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/**
 * Asks one source, with one deadline for everything that the answer takes.
 *
 * @param work undefined stands for "not found"; its signal fires with the caller's, or with a `BitcoinUnavailable` as
 * its reason when time is up
 * @throws Aborted when the caller's signal fires
 */
export async function lookUp<T extends NonNullable<unknown>>(
  question: Question,
  work: (signal: AbortSignal) => Promise<T | undefined>,
): Promise<Lookup<T>> {
  const { source, what, timeoutMs, signal } = question
  throwIfAborted(signal, what)
  const both = new AbortController()
  const onAbort = (): void => both.abort(signal.reason)
  // One signal may stand behind many questions at once; every listener is taken off again.
  setMaxListeners(0, signal)
  signal.addEventListener('abort', onAbort, { once: true })
  const timer = setTimeout(() => {
    both.abort(new BitcoinUnavailable(source, 'timeout', `no answer within ${timeoutMs} ms`))
  }, timeoutMs)
  try {
    const value = await untilAborted(work(both.signal), both.signal, what)
    if (value === undefined) return { kind: 'notFound', sources: [source] }
    return { kind: 'found', value, sources: [source] }
  } catch (cause) {
    throwIfAborted(signal, what)
    const fault = both.signal.aborted ? both.signal.reason : cause
    if (!(fault instanceof BitcoinUnavailable)) throw cause
    return { kind: 'unavailable', causes: [faultOf(fault)] }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}

/** @throws RangeError unless it is 64 lower-case hex digits */
export function mustBeTxid(txid: string): void {
  if (!/^[0-9a-f]{64}$/.test(txid)) throw new RangeError('txid: want 64 lower-case hex digits')
}

/** @throws RangeError unless it is an unsigned 32-bit integer */
export function mustBeVout(vout: number): void {
  if (!Number.isInteger(vout) || vout < 0 || vout > 0xffff_ffff) {
    throw new RangeError('vout: want an integer from 0 to 4294967295')
  }
}
