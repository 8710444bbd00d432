import { EventEmitter } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import { neverAborted, untilAborted } from '../../src/base/abort.js'

const unhandled: unknown[] = []
const note = (error: unknown): void => void unhandled.push(error)
process.on('unhandledRejection', note)
afterEach(() => unhandled.splice(0))

/** A turn of the event loop, after which an unhandled rejection was reported. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('waiting for work or a signal', () => {
  it('answers what the work answers while the signal is quiet', async () => {
    await expect(untilAborted(Promise.resolve(1), new AbortController().signal, 'x')).resolves.toBe(
      1,
    )
    await expect(untilAborted(Promise.resolve(2), neverAborted, 'x')).resolves.toBe(2)
  })

  it('ends with the signal, and drops a later failure of the work', async () => {
    const stop = new AbortController()
    let fail: (error: Error) => void = () => undefined
    const work = new Promise<never>((_, reject) => {
      fail = reject
    })
    const waiting = untilAborted(work, stop.signal, 'x')
    stop.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'Aborted' })
    fail(new Error('late'))
    await turn()
    expect(unhandled).toEqual([])
  })

  it('drops a failure of the work also when the signal had fired before', async () => {
    const work = Promise.reject(new Error('early'))
    await expect(untilAborted(work, AbortSignal.abort(), 'x')).rejects.toMatchObject({
      code: 'Aborted',
    })
    await turn()
    expect(unhandled).toEqual([])
  })

  it('leaves no listener on the signal', async () => {
    const { signal } = new AbortController()
    await untilAborted(Promise.resolve(), signal, 'x')
    expect(EventEmitter.getEventListeners(signal, 'abort')).toEqual([])
  })
})
