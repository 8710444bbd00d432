import { toHex } from '../../src/base/bytes.js'
import type { Signer } from '../../src/covenant/signer.js'

/** A signer that is watched, and busy when it is told to be. */
export type WatchedSigner = Signer & {
  /** Digests that it was asked to sign for a job, in order. */
  asked(requestId: string): readonly string[]
  /** How many of the next signings it refuses. */
  busyTimes: number
}

export function watchedSigner(signer: Signer): WatchedSigner {
  const asked: { readonly requestId: string; readonly digest: string }[] = []
  const watched: WatchedSigner = {
    busyTimes: 0,
    asked: (requestId) =>
      asked.filter((one) => one.requestId === requestId).map(({ digest }) => digest),
    controls: (publicKey, signal) => signer.controls(publicKey, signal),
    async sign(publicKey, digest32, context, signal) {
      asked.push({ requestId: context.requestId, digest: toHex(digest32) })
      if (watched.busyTimes > 0) {
        watched.busyTimes -= 1
        throw new Error('the signer is busy')
      }
      return signer.sign(publicKey, digest32, context, signal)
    },
  }
  return watched
}
