import type { JobStore } from '../../../src/covenant/store.js'

/** What one life is told. */
export type LifeConfig = {
  /** Folder of the built product. */
  readonly dist: string
  readonly dataDir: string
  /** Counts the lives over one directory, from 1; each begins an hour after the one before. */
  readonly life: number
  /**
   * `serve`: clients send requests; `resume`: what is there comes to its end; `batch`: large jobs in one commit;
   * `hold`: opens, says so and waits to be killed.
   */
  readonly op: 'serve' | 'resume' | 'batch' | 'hold'
  /** File with the requests that clients send. */
  readonly requests: string
  /** The signer's own record, outside of the data directory. */
  readonly asked: string
  readonly engine: 'steady' | 'drifting'
  readonly nonce: 'deterministic' | 'random'
  readonly batch: number
  /** What the process does after the first error that somebody is told of. */
  readonly afterError: 'goOn' | 'die'
  /** Each happens once, at the first passing. */
  readonly faults: readonly { readonly point: string; readonly action: 'die' | 'fail' }[]
}

/** A client's request as it goes over the wire. */
export type WireRequest = {
  readonly name: string
  readonly round: number
  readonly route: 'self_v1' | 'qc_v1'
  readonly body: string
}

/** A running life, as `ask` gets it. */
export interface OpenLife {
  readonly store: JobStore
  requests(): readonly WireRequest[]
  submit(request: WireRequest): Promise<string | undefined>
  finish(ids: readonly string[]): Promise<void>
  finishAll(): Promise<void>
  drive<T>(work: Promise<T>): Promise<T | undefined>
}

export function live(
  config: LifeConfig,
  tell: (word: string, detail: unknown) => void,
  reach: (point: string) => void,
  ask?: (life: OpenLife) => Promise<void>,
): Promise<void>
