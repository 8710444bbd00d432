import type { Job, RequestId } from '../covenant/job.js'
import type { Lease } from '../covenant/store.js'

/** Lease tokens of one opening; a later opening begins above all of them. */
const tokensPerOpening = 1n << 32n

/** Who may advance which job; in memory, so that an opening voids every lease of those before it. */
export class JobLeases {
  readonly #held = new Map<RequestId, { readonly token: bigint; readonly job: Job }>()
  #last: bigint

  /** @param opening counts the openings of the store */
  constructor(opening: bigint) {
    this.#last = opening * tokensPerOpening
  }

  has(requestId: RequestId): boolean {
    return this.#held.has(requestId)
  }

  grant(job: Job, owner: string): Lease {
    const { requestId } = job
    this.#last += 1n
    this.#held.set(requestId, { token: this.#last, job })
    return { requestId, owner, fencingToken: this.#last }
  }

  /** The leased job as it was claimed; undefined when the lease is void. */
  jobOf({ requestId, fencingToken }: Lease): Job | undefined {
    const held = this.#held.get(requestId)
    return held?.token === fencingToken ? held.job : undefined
  }

  end({ requestId }: Pick<Lease, 'requestId'>): void {
    this.#held.delete(requestId)
  }
}
