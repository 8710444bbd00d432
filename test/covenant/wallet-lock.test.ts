import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createWalletLocks } from '../../src/covenant/wallet-lock.js'
import { refusal } from './service-world.js'

const never = new AbortController().signal

function gate() {
  let open = (): void => undefined
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open() }
}

describe('the lock of a wallet', () => {
  it('is never held twice and always passed on, whoever gives up or fails', async () => {
    const members = fc.array(
      fc.record({
        key: fc.constantFrom('a', 'b'),
        turns: fc.nat(5),
        how: fc.constantFrom('works', 'fails', 'gives up', 'extends'),
      }),
      { maxLength: 30 },
    )
    const property = fc.asyncProperty(members, async (plan) => {
      const locks = createWalletLocks()
      const inside = new Map<string, number>()
      const order = new Map<string, number[]>()
      const turnsOf = async (count: number): Promise<void> => {
        for (let turn = 0; turn < count; turn++) await Promise.resolve()
      }
      const runs = plan.map(({ key, turns, how }, at) => {
        const patience = new AbortController()
        const run = locks.run(key, patience.signal, async (extend) => {
          inside.set(key, (inside.get(key) ?? 0) + 1)
          expect(inside.get(key)).toBe(1)
          order.set(key, [...(order.get(key) ?? []), at])
          const work = turnsOf(turns).then(() => void inside.set(key, 0))
          if (how === 'extends') void extend(work)
          else await work
          if (how === 'fails') throw new RangeError('failed')
        })
        if (how === 'gives up') void turnsOf(turns).then(() => patience.abort())
        return run
      })
      await Promise.allSettled(runs)
      await turnsOf(100)
      for (const seen of order.values()) expect(seen).toEqual([...seen].sort((a, b) => a - b))
      expect(locks.size).toBe(0)
    })
    await fc.assert(property)
  })

  it('says that it is overdue as long as its holder’s work goes on without it', async () => {
    const locks = createWalletLocks()
    const { opened, open } = gate()
    await locks.run('a', never, async (extend) => void extend(opened))
    expect(locks.isOverdue('a')).toBe(true)
    const patience = new AbortController()
    const waiting = refusal(locks.run('a', patience.signal, async () => undefined))
    patience.abort()
    expect(await waiting).toMatchObject({ code: 'Aborted' })
    expect(locks.isOverdue('a')).toBe(true)
    open()
    expect(await locks.run('a', never, async () => 'mine')).toBe('mine')
    expect(locks.isOverdue('a')).toBe(false)
  })
})
