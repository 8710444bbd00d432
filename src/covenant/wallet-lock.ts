import { untilAborted } from '../base/abort.js'
import { throwIfAborted } from '../base/errors.js'

/** Hands the promise back, and keeps the key closed until it ends. */
export type Extend = <T>(work: Promise<T>) => Promise<T>

/** One signing at a time per wallet key, in the order they asked; different wallets never wait for each other. */
export interface WalletLocks {
  /**
   * Runs `work` when every earlier holder of the key has ended.
   *
   * @remarks A promise given to `extend` keeps the key closed until it ends, also when the work stops waiting for it:
   * a signer that does not hear its signal may still be signing.
   * @throws Aborted when the signal fires while waiting; `work` then never starts
   */
  run<T>(key: string, signal: AbortSignal, work: (extend: Extend) => Promise<T>): Promise<T>
  /** Whether the key is kept closed by something that its holder no longer waits for. */
  isOverdue(key: string): boolean
  /** Keys that are held or waited for. */
  readonly size: number
}

type Line = { last: Promise<void>; members: number; overdue: number }

/** Makes the locks of one process. */
export function createWalletLocks(): WalletLocks {
  const lines = new Map<string, Line>()

  /** Takes the next place in a key's line; those behind wait until it is left. */
  function join(key: string): { line: Line; before: Promise<void>; leave: () => void } {
    const line = lines.get(key) ?? { last: Promise.resolve(), members: 0, overdue: 0 }
    const before = line.last
    let resolve = (): void => undefined
    const left = new Promise<void>((done) => {
      resolve = done
    })
    // One who stops waiting keeps its place: those behind still wait for those before it.
    line.last = before.then(() => left)
    line.members++
    lines.set(key, line)
    const leave = (): void => {
      resolve()
      line.members--
      if (line.members === 0) lines.delete(key)
    }
    return { line, before, leave }
  }

  return {
    async run(key, signal, work) {
      throwIfAborted(signal, `wallet ${key}`)
      const { line, before, leave } = join(key)
      const pending = new Set<Promise<unknown>>()
      try {
        await untilAborted(before, signal, `wallet ${key}`)
        return await work((extended) => {
          pending.add(extended)
          const ended = (): void => void pending.delete(extended)
          extended.then(ended, ended)
          return extended
        })
      } finally {
        if (pending.size === 0) leave()
        else {
          line.overdue++
          void Promise.allSettled(pending).then(() => {
            line.overdue--
            leave()
          })
        }
      }
    },
    isOverdue: (key) => (lines.get(key)?.overdue ?? 0) > 0,
    get size() {
      return lines.size
    },
  }
}
