import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { SourceHeight } from '../../src/covenant/engine.js'
import { createHeightGuard, expiryAt, rise, riseFrom } from '../../src/covenant/height.js'
import { requestIdOf } from '../../src/covenant/job.js'
import { createLapseWatch } from '../../src/covenant/lapse.js'
import { memoryJobStore } from '../../src/store/memory-jobs.js'
import { manualTime } from '../../src/testing/manual-time.js'
import { refusal } from './service-world.js'

const signal = new AbortController().signal

function guardOver(durable?: bigint) {
  const time = manualTime(1_000_000)
  const store = memoryJobStore({ clock: time })
  if (durable !== undefined) store.noteHostHeight(durable)
  let answer: readonly SourceHeight[] | Error = []
  const heights = async (): Promise<readonly SourceHeight[]> => {
    if (answer instanceof Error) throw answer
    return answer
  }
  const guard = createHeightGuard({ heights, store, clock: time })
  const read = (...claims: readonly bigint[]) => {
    answer = claims.map((height, source) => ({ source: `source ${source}`, height }))
    return guard.read(signal)
  }
  const fail = (error: Error) => {
    answer = error
    return guard.read(signal)
  }
  return { time, store, guard, read, fail }
}

describe('the height of the host chain', () => {
  it('is the highest of the sources and of what was ever relied on', async () => {
    const { store, read } = guardOver(1000n)
    expect((await read(990n, 1010n, 1005n)).height).toBe(1010n)
    expect(store.hostHeight()).toBe(1010n)
    expect((await read(900n)).height).toBe(1010n)
  })

  it('is believed the first time, when nothing is known', async () => {
    const { store, read } = guardOver()
    expect((await read(20_000_000n)).height).toBe(20_000_000n)
    expect(store.hostHeight()).toBe(20_000_000n)
  })

  it('rises by a block a second and a hundred more', async () => {
    const { time, store, read } = guardOver(1000n)
    expect(await read(10n ** 18n)).toMatchObject({ height: 1100n, claimed: 10n ** 18n })
    expect((await read(10n ** 18n)).height).toBe(1100n)
    time.advance(7_500)
    expect((await read(10n ** 18n)).height).toBe(1107n)
    expect(store.hostHeight()).toBe(1107n)
  })

  it('rises anew from where an operator has reset it', async () => {
    let durable: bigint | undefined = 9000n
    const store = {
      hostHeight: () => durable,
      noteHostHeight: (height: bigint) => {
        durable = height
      },
    }
    const heights = async () => [{ source: 'a', height: 1000n }]
    const guard = createHeightGuard({ heights, store, clock: manualTime(0) })
    expect((await guard.read(signal)).height).toBe(9000n)
    durable = 950n
    expect((await guard.read(signal)).height).toBe(1000n)
    expect(durable).toBe(1000n)
  })

  it('is unavailable when every source fails or none answers, with the cause', async () => {
    const { read, fail, guard } = guardOver(1000n)
    const cause = new RangeError('down')
    expect(await refusal(fail(cause))).toMatchObject({ code: 'HostHeightUnavailable', cause })
    expect(await refusal(read())).toMatchObject({ code: 'HostHeightUnavailable' })
    expect(guard.sourcesSeen).toBe(0)
  })

  it('never rises faster than time allows, whatever is claimed and when', () => {
    const readings = fc.array(
      fc.record({ waitMs: fc.nat(5000), claim: fc.bigInt(0n, 1n << 64n) }),
      { maxLength: 50 },
    )
    fc.assert(
      fc.property(fc.bigInt(0n, 1n << 40n), readings, (start, steps) => {
        let budget = riseFrom(start, 0)
        let nowMs = 0
        for (const { waitMs, claim } of steps) {
          nowMs += waitMs
          const before = budget.height
          budget = rise(budget, claim, nowMs)
          expect(budget.height >= before).toBe(true)
          expect(budget.height <= (claim > before ? claim : before)).toBe(true)
          expect(budget.height <= start + BigInt(Math.floor(nowMs / 1000)) + 100n).toBe(true)
        }
      }),
    )
  })

  it('follows an honest chain however often it is read', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(200_000), { minLength: 1, maxLength: 200 }), (waits) => {
        let budget = riseFrom(1000n, 0)
        let nowMs = 0
        for (const waitMs of waits) {
          nowMs += waitMs
          const honest = 1000n + BigInt(Math.floor(nowMs / 12_000))
          budget = rise(budget, honest, nowMs)
          expect(budget.height).toBe(honest)
        }
      }),
    )
  })

  it('does not save up what an honest chain did not use', () => {
    let budget = riseFrom(1000n, 0)
    for (let day = 1; day <= 10; day++) {
      budget = rise(budget, 1000n + BigInt(day) * 7200n, day * 86_400_000)
    }
    expect(rise(budget, 1n << 60n, 864_001_000).height).toBe(budget.height + 101n)
  })

  it('survives a clock that goes back', () => {
    const budget = rise(riseFrom(1000n, 10_000), 1010n, 0)
    expect(budget).toMatchObject({ height: 1010n, atMs: 10_000 })
  })
})

describe('a certificate held against a height', () => {
  const reading = (height: bigint, claimed = height) => ({
    height,
    claimed,
    sources: [{ source: 'a', height: claimed }],
  })

  it('is good up to and with its end', () => {
    expect(expiryAt(reading(999n), 1000n)).toBe('timely')
    expect(expiryAt(reading(1000n), 1000n)).toBe('timely')
    expect(expiryAt(reading(1001n), 1000n)).toBe('lapsed')
    expect(expiryAt(reading(999n, 1001n), 1000n)).toBe('disputed')
  })

  it('is not failed by the durable maximum alone', () => {
    const watch = createLapseWatch({ sourcesSeen: 1 })
    const id = requestIdOf('qc_v1', new Uint8Array(8))
    const stale = { height: 1500n, claimed: 1500n, sources: [{ source: 'a', height: 900n }] }
    expect(watch.confirm(id, 1000n, stale)).toBe(false)
    expect(watch.confirm(id, 1000n, { ...stale, height: 1501n })).toBe(false)
    expect(watch.confirm(id, 1000n, reading(1501n))).toBe(false)
    expect(watch.confirm(id, 1000n, reading(1501n))).toBe(false)
    expect(watch.confirm(id, 1000n, reading(1502n))).toBe(true)
  })
})
