import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { CheckRequest, Reference, Verdict } from './checker.js'
import type { Start } from './starts.js'
import type { Answer, Request } from './worker.js'

/** A resident process that opens data directories through the product, so that the lab itself never does. */
export interface Helper {
  check(request: CheckRequest): Promise<Verdict>
  makeWhole(start: Start, dataDir: string, dist: string): Promise<void>
  referenceOf(start: Start, dataDir: string, dist: string): Promise<Reference>
  end(): void
}

/** Milliseconds one answer may take before the helper counts as hung. */
const answerTimeoutMs = 60_000

/** Starts a helper; a hung or dead one is replaced, and its question answered with an error. */
export function startHelper(): Helper {
  let child: ChildProcess | undefined
  const start = (): ChildProcess =>
    fork(fileURLToPath(new URL('worker.ts', import.meta.url)), { stdio: 'inherit' })

  const ask = (request: Request): Promise<unknown> =>
    new Promise((resolve, reject) => {
      child ??= start()
      const asked = child
      const give = (action: () => void): void => {
        clearTimeout(timer)
        asked.off('message', heard)
        asked.off('exit', died)
        action()
      }
      const replace = (why: string): void => {
        child = undefined
        asked.kill('SIGKILL')
        give(() => reject(new Error(`checker: ${why}`)))
      }
      const heard = (answer: Answer): void =>
        give(() => (answer.ok ? resolve(answer.value) : reject(new Error(answer.problem))))
      const died = (): void => replace('it died')
      const timer = setTimeout(() => replace('it did not answer'), answerTimeoutMs)
      asked.on('message', heard)
      asked.on('exit', died)
      asked.send(request)
    })

  return {
    check: (request) => ask({ kind: 'check', request }) as Promise<Verdict>,
    makeWhole: (start, dataDir, dist) =>
      ask({ kind: 'whole', start, dataDir, dist }) as Promise<undefined>,
    referenceOf: (start, dataDir, dist) =>
      ask({ kind: 'reference', start, dataDir, dist }) as Promise<Reference>,
    end: () => {
      const last = child
      child = undefined
      last?.disconnect()
    },
  }
}
