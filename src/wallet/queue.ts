import { untilAborted } from '../base/abort.js'
import { HoldfastError, throwIfAborted } from '../base/errors.js'
import type { WalletId } from '../base/ids.js'
import { queuedPerWalletMax } from '../base/limits.js'

/** One first-in first-out queue per wallet id; different ids never wait for each other. */
export type WalletQueues = {
  /**
   * Runs `work` when every earlier call for the id has ended.
   *
   * @throws Aborted when the signal fires while waiting (`work` then never starts), QueueFull
   */
  readonly run: <T>(id: WalletId, signal: AbortSignal, work: () => Promise<T>) => Promise<T>
  /** Resolves when everything queued so far has ended. */
  readonly drain: () => Promise<void>
}

export function createQueues(): WalletQueues {
  const tails = new Map<WalletId, { last: Promise<void>; waiting: number }>()

  async function run<T>(id: WalletId, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    throwIfAborted(signal, `wallet ${id}`)
    const queue = tails.get(id) ?? { last: Promise.resolve(), waiting: 0 }
    if (queue.waiting >= queuedPerWalletMax) throw new QueueFull(id)
    const before = queue.last
    let leave: () => void = () => undefined
    const ended = new Promise<void>((resolve) => {
      leave = resolve
    })
    queue.waiting++
    // A caller that stops waiting keeps its place: those behind it still wait for those before it.
    queue.last = before.then(() => ended)
    tails.set(id, queue)
    try {
      await untilAborted(before, signal, `wallet ${id}`)
      return await work()
    } finally {
      leave()
      queue.waiting--
      if (queue.waiting === 0) tails.delete(id)
    }
  }

  return {
    run,
    async drain() {
      await Promise.all([...tails.values()].map(({ last }) => last))
    },
  }
}

/** Too many calls wait for one wallet. */
export class QueueFull extends HoldfastError {
  readonly code = 'QueueFull'
  constructor(id: WalletId) {
    super(`wallet ${id}: ${queuedPerWalletMax} calls are already waiting for it`, {
      retry: 'safe',
      remedy: 'Wait for the earlier calls of this wallet, then try again.',
    })
  }
}
