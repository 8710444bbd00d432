import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { JobSchedule } from '../../src/store/job-schedule.js'

type Step =
  | { readonly kind: 'set' | 'hasten'; readonly seq: bigint; readonly dueMs: number }
  | { readonly kind: 'remove'; readonly seq: bigint }
  | { readonly kind: 'take'; readonly nowMs: number }

const seq = fc.bigInt(1n, 12n)
const time = fc.integer({ min: 0, max: 20 })
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), seq, dueMs: time }),
  fc.record({ kind: fc.constant('hasten' as const), seq, dueMs: time }),
  fc.record({ kind: fc.constant('remove' as const), seq }),
  fc.record({ kind: fc.constant('take' as const), nowMs: time }),
)

/** The plainest schedule there is. */
class Model {
  readonly due = new Map<bigint, number>()

  first(): { readonly seq: bigint; readonly dueMs: number } | undefined {
    const all = [...this.due].map(([seq, dueMs]) => ({ seq, dueMs }))
    return all.sort((a, b) => a.dueMs - b.dueMs || Number(a.seq - b.seq))[0]
  }

  take(nowMs: number): bigint | undefined {
    const first = this.first()
    if (first === undefined || first.dueMs > nowMs) return undefined
    this.due.delete(first.seq)
    return first.seq
  }
}

describe('the schedule of jobs', () => {
  it('is what a sorted list would be', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const [schedule, model] = [new JobSchedule(), new Model()]
        for (const each of steps) {
          if (each.kind === 'take') expect(schedule.take(each.nowMs)).toBe(model.take(each.nowMs))
          else if (each.kind === 'remove') {
            schedule.remove(each.seq)
            model.due.delete(each.seq)
          } else if (each.kind === 'set') {
            schedule.set(each.seq, each.dueMs)
            model.due.set(each.seq, each.dueMs)
          } else {
            schedule.hasten(each.seq, each.dueMs)
            const planned = model.due.get(each.seq)
            if (planned !== undefined) model.due.set(each.seq, Math.min(planned, each.dueMs))
          }
          expect(schedule.nextDueMs()).toBe(model.first()?.dueMs)
          expect(schedule.size).toBe(model.due.size)
        }
      }),
    )
  })

  it('tells listeners when something became due sooner, and only then', () => {
    const schedule = new JobSchedule()
    const heard: (number | undefined)[] = []
    const stop = schedule.onDue(() => void heard.push(schedule.nextDueMs()))
    schedule.set(1n, 10)
    schedule.set(2n, 20)
    schedule.hasten(2n, 5)
    schedule.set(2n, 5)
    stop()
    schedule.set(3n, 1)
    expect(heard).toEqual([10, 5])
  })

  it('holds many jobs and gives them out in order', () => {
    const schedule = new JobSchedule()
    for (let n = 1; n <= 5000; n += 1) schedule.set(BigInt(n), (n * 7919) % 5003)
    const times: (number | undefined)[] = []
    while (schedule.size > 0) {
      times.push(schedule.nextDueMs())
      schedule.take(5003)
    }
    expect(times).toEqual([...times].sort((a, b) => Number(a) - Number(b)))
    expect(times).toHaveLength(5000)
  })
})
