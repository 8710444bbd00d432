import type { Logger } from '../base/log.js'
import { endsWithin, systemScheduler } from '../covenant/schedule.js'

/** What a daemon has opened, in order. */
export interface Parts {
  add(name: string, close: () => Promise<void> | void): void
  /**
   * Closes the parts, the last one first, each one also when another failed.
   *
   * @returns the first part that could not be closed, or that was still closing when the time was over
   */
  closeAll(limitMs: number): Promise<Unclosed | undefined>
}

export type Unclosed = { readonly name: string; readonly cause: unknown }

export function createParts(log: Logger): Parts {
  const parts: { readonly name: string; readonly close: () => Promise<void> | void }[] = []
  let closing = ''
  let first: Unclosed | undefined

  async function closeEach(): Promise<void> {
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
      closing = part.name
      try {
        await part.close()
      } catch (cause) {
        log.warn({ part: part.name, cause }, 'daemon: a part could not be closed')
        first ??= { name: part.name, cause }
      }
    }
  }

  return {
    add: (name, close) => void parts.push({ name, close }),
    async closeAll(limitMs) {
      if (await endsWithin(systemScheduler, [closeEach()], limitMs)) return first
      log.warn({ part: closing, limitMs }, 'daemon: a part takes too long to close')
      return first ?? { name: closing, cause: undefined }
    },
  }
}
