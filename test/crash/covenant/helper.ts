import { type ChildProcess, fork } from 'node:child_process'
import type { LifeConfig } from './life.mjs'
import type { Event } from './run.js'
import { workerFile } from './starts.js'

/** One job as a life left it. */
export type JobSeen = {
  readonly requestId: string
  /** Route and routeRequestId. */
  readonly key: string
  readonly state: string
  /** What a client reads of it, as JSON. */
  readonly result: string
}
export type Found = {
  readonly id: string
  readonly kind: string
  readonly state: string | undefined
}

/** What a directory came to: the raw witnesses, a life that ends everything, and one more opening. */
export type Findings = {
  /** `outpoint sighash` of every intent, before anything was opened. */
  readonly witnesses: { readonly rows: readonly string[]; readonly lines: readonly string[] }
  readonly first: {
    readonly events: readonly Event[]
    readonly found:
      | {
          /** Jobs whose taking was confirmed, before their clients came back. */
          readonly atFirst: readonly Found[]
          readonly atLast: readonly Found[]
          readonly ended: readonly JobSeen[]
          readonly jobs: readonly JobSeen[]
          readonly quarantined: readonly { readonly id: string; readonly reason: string }[]
          readonly newKeys: boolean
          readonly resent: readonly { readonly name: string; readonly requestId?: string }[]
          readonly again: { readonly linesAppended: number; readonly fenced: number }
        }
      | undefined
  }
  readonly second: {
    readonly events: readonly Event[]
    readonly found:
      | {
          readonly jobs: readonly JobSeen[]
          readonly quarantined: number
          readonly newKeys: boolean
        }
      | undefined
  }
  readonly ledger: { readonly damaged: readonly string[]; readonly isTorn: boolean }
}

type Question =
  | {
      readonly kind: 'judge'
      readonly config: LifeConfig
      readonly scratch: string
      readonly taken: readonly string[]
    }
  | { readonly kind: 'stale'; readonly config: LifeConfig }
type Answer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly problem: string }

/** A resident process that opens directories through the product. */
export interface Helper {
  judge(config: LifeConfig, scratch: string, taken: readonly string[]): Promise<Findings>
  /** Tries leases that ended on a fresh directory; answers what they could do. */
  stale(config: LifeConfig): Promise<readonly string[]>
  end(): void
}

/** Milliseconds one answer may take before the helper counts as hung. */
const answerTimeoutMs = 120_000

/** Starts a helper; a hung or dead one is replaced, and its question answered with an error. */
export function startHelper(): Helper {
  let child: ChildProcess | undefined
  const ask = (question: Question): Promise<unknown> =>
    new Promise((resolve, reject) => {
      child ??= fork(workerFile, { stdio: 'inherit', execArgv: [] })
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
        give(() => reject(new Error(`judge: ${why}`)))
      }
      const heard = (answer: Answer): void =>
        give(() => (answer.ok ? resolve(answer.value) : reject(new Error(answer.problem))))
      const died = (): void => replace('it died')
      const timer = setTimeout(() => replace('it did not answer'), answerTimeoutMs)
      asked.on('message', heard)
      asked.on('exit', died)
      asked.send(question)
    })
  return {
    judge: (config, scratch, taken) =>
      ask({ kind: 'judge', config, scratch, taken }) as Promise<Findings>,
    stale: (config) => ask({ kind: 'stale', config }) as Promise<readonly string[]>,
    end() {
      const last = child
      child = undefined
      last?.disconnect()
    },
  }
}
