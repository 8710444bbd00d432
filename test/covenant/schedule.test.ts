import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createBackoff } from '../../src/covenant/backoff.js'
import { requestIdOf } from '../../src/covenant/job.js'
import { deadline, endsWithin, sleep, within } from '../../src/covenant/schedule.js'
import { manualTime } from '../../src/testing/manual-time.js'
import { refusal } from './service-world.js'

const id = requestIdOf('qc_v1', new Uint8Array(8))

describe('a deadline', () => {
  it('fires with the first of its parents and lets go of all of them', () => {
    const time = manualTime(0)
    const parents = [new AbortController(), new AbortController()] as const
    const signals = parents.map(({ signal }) => signal)
    const [first, second] = [deadline(time, 1000, signals), deadline(time, 2000, signals)]
    second.end()
    expect(time.pending).toBe(1)
    parents[1].abort('gone')
    expect(first.signal).toMatchObject({ aborted: true, reason: 'gone' })
    expect(first.expired()).toBe(false)
    expect(second.signal.aborted).toBe(false)
    expect(deadline(time, 1000, signals).signal.aborted).toBe(true)
  })

  it('fires when its time is over', () => {
    const time = manualTime(0)
    const limit = deadline(time, 1000, [])
    time.advance(999)
    expect(limit.signal.aborted).toBe(false)
    time.advance(1)
    expect(limit.expired()).toBe(true)
    expect(limit.signal.aborted).toBe(true)
  })
})

describe('waiting', () => {
  it('says whether work ended in time', async () => {
    const time = manualTime(0)
    const ended = endsWithin(time, [Promise.resolve(), Promise.reject(new RangeError('x'))], 1000)
    expect(await ended).toBe(true)
    const late = endsWithin(time, [new Promise(() => undefined)], 1000)
    time.advance(1000)
    expect(await late).toBe(false)
    expect(time.pending).toBe(0)
  })

  it('sleeps until the time or a parent wakes it', async () => {
    const time = manualTime(0)
    const parent = new AbortController()
    const slept = sleep(time, 1000, [])
    time.advance(1000)
    await slept
    const woken = sleep(time, 1000, [parent.signal])
    parent.abort()
    await woken
    expect(time.pending).toBe(0)
  })

  it('drops what fails after nobody waits for it any more', async () => {
    const failing = Promise.reject(new RangeError('late'))
    expect(await refusal(within(failing, AbortSignal.abort(), 'work'))).toMatchObject({
      code: 'Aborted',
    })
  })
})

describe('the wait between two tries', () => {
  it('stays within its bounds and never shrinks below the smallest', () => {
    const bounds = fc.record({ min: fc.integer({ min: 1, max: 10_000 }), times: fc.nat(1000) })
    fc.assert(
      fc.property(bounds, fc.integer({ min: 1, max: 100 }), ({ min, times }, tries) => {
        const settings = { retryMinMs: min, retryMaxMs: min * (1 + times), random: randomBytes }
        const backoff = createBackoff(settings)
        for (let at = 0; at < tries; at++) {
          const delayMs = backoff.nextDelayMs(id, 'prepare')
          expect(delayMs).toBeGreaterThanOrEqual(min)
          expect(delayMs).toBeLessThanOrEqual(settings.retryMaxMs)
        }
      }),
    )
  })

  it('begins anew at another step and after the job was forgotten', () => {
    const random = (size: number): Uint8Array => new Uint8Array(size)
    const backoff = createBackoff({ retryMinMs: 1000, retryMaxMs: 300_000, random })
    const delays = () => [1, 2, 3].map(() => backoff.nextDelayMs(id, 'prepare'))
    expect(delays()).toEqual([2000, 4000, 8000])
    expect(backoff.nextDelayMs(id, 'sign')).toBe(2000)
    backoff.forget(id)
    expect(delays()).toEqual([2000, 4000, 8000])
  })
})
