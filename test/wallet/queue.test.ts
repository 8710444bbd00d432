import { describe, expect, it } from 'vitest'
import { neverAborted } from '../../src/base/abort.js'
import { Aborted } from '../../src/base/errors.js'
import { parseWalletId } from '../../src/base/ids.js'
import { createQueues } from '../../src/wallet/queue.js'

const one = parseWalletId('1'.repeat(64))
const two = parseWalletId('2'.repeat(64))

function gate(): { open: () => void; passed: Promise<void> } {
  let open: () => void = () => undefined
  const passed = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open, passed }
}

describe('the queue of a wallet', () => {
  it('runs calls for one id in the order they came, one at a time', async () => {
    const queues = createQueues()
    const seen: string[] = []
    const first = gate()
    const calls = [
      queues.run(one, neverAborted, async () => {
        seen.push('first begins')
        await first.passed
        seen.push('first ends')
      }),
      queues.run(one, neverAborted, async () => {
        seen.push('second')
      }),
      queues.run(one, neverAborted, async () => {
        seen.push('third')
      }),
    ]
    first.open()
    await Promise.all(calls)
    expect(seen).toEqual(['first begins', 'first ends', 'second', 'third'])
  })

  it('does not make different ids wait for each other', async () => {
    const queues = createQueues()
    const held = gate()
    const slow = queues.run(one, neverAborted, () => held.passed)
    await expect(queues.run(two, neverAborted, async () => 'done')).resolves.toBe('done')
    held.open()
    await slow
  })

  it('lets a waiting call give up without letting those behind it overtake', async () => {
    const queues = createQueues()
    const held = gate()
    const seen: string[] = []
    const stop = new AbortController()
    const first = queues.run(one, neverAborted, async () => {
      await held.passed
      seen.push('first')
    })
    const second = queues.run(one, stop.signal, async () => {
      seen.push('second')
    })
    const third = queues.run(one, neverAborted, async () => {
      seen.push('third')
    })
    stop.abort()
    await expect(second).rejects.toBeInstanceOf(Aborted)
    expect(seen).toEqual([])
    held.open()
    await Promise.all([first, third])
    expect(seen).toEqual(['first', 'third'])
  })

  it('goes on after a call that failed', async () => {
    const queues = createQueues()
    const failing = queues.run(one, neverAborted, () => Promise.reject(new Error('no')))
    await expect(failing).rejects.toThrow('no')
    await expect(queues.run(one, neverAborted, async () => 1)).resolves.toBe(1)
  })

  it('drains everything that was queued', async () => {
    const queues = createQueues()
    let ended = 0
    for (let n = 0; n < 5; n++) {
      void queues.run(n % 2 === 0 ? one : two, neverAborted, async () => {
        await Promise.resolve()
        ended++
      })
    }
    await queues.drain()
    expect(ended).toBe(5)
  })
})
