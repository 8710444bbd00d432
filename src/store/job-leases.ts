import type { RequestId } from '../covenant/job.js'
import type { Lease } from '../covenant/store.js'

/** Lease tokens of one opening; a later opening begins above all of them. */
const tokensPerOpening = 1n << 32n

/** Who may advance which job; in memory, so that an opening voids every lease of those before it. */
export class JobLeases {
  readonly #held = new Map<RequestId, { readonly token: bigint; readonly seq: bigint }>()
  #last: bigint

  /** @param opening counts the openings of the store */
  constructor(opening: bigint) {
    this.#last = opening * tokensPerOpening
  }

  has(requestId: RequestId): boolean {
    return this.#held.has(requestId)
  }

  grant(requestId: RequestId, seq: bigint, owner: string): Lease {
    this.#last += 1n
    this.#held.set(requestId, { token: this.#last, seq })
    return { requestId, owner, fencingToken: this.#last }
  }

  /** Sequence of the leased job; undefined when the lease is void. */
  seqOf({ requestId, fencingToken }: Lease): bigint | undefined {
    const held = this.#held.get(requestId)
    return held?.token === fencingToken ? held.seq : undefined
  }

  end({ requestId }: Pick<Lease, 'requestId'>): void {
    this.#held.delete(requestId)
  }
}
