import type { SubmitInput } from '../../../src/covenant/request.js'
import { encodeSubmit } from '../../covenant/factory.js'
import { type Address, openRaw, type RawAnswer, requestBytes } from '../../daemon/raw-http.js'

/** The bytes of a submit, or of a poll when there is an id. */
export function bytesOf(input: SubmitInput, requestId?: string): Buffer {
  const place = `/v1/${input.request.route}/signer/requests`
  return requestId === undefined
    ? requestBytes({ path: place, body: encodeSubmit(input) })
    : requestBytes({ path: `${place}:poll`, body: encodeSubmit({ ...input, requestId }) })
}

/**
 * Sends everything over connections that are kept, on each one request at a time.
 *
 * @param onAnswer undefined when the connection ended without an answer; no more is sent on it then
 * @param prepare makes the bytes when it is an item's turn
 */
export async function sendAll<T>(
  address: Address,
  items: readonly T[],
  connectionsMax: number,
  work: {
    readonly prepare: (item: T) => Buffer
    readonly onAnswer: (item: T, answer: RawAnswer | undefined) => void
  },
): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    const connection = await openRaw(address)
    try {
      for (let item = items[next++]; item !== undefined; item = items[next++]) {
        connection.send(work.prepare(item))
        const answer = await connection.answer()
        work.onAnswer(item, answer)
        if (answer === undefined) return
      }
    } finally {
      connection.destroy()
    }
  }
  const lanes = Math.min(connectionsMax, items.length)
  await Promise.all(Array.from({ length: lanes }, lane))
}

/** The request id of a job's answer; undefined for any other answer. */
export function idIn(answer: RawAnswer | undefined): string | undefined {
  if (answer?.status !== 200) return undefined
  return /^\{"status":"[A-Z]+","requestId":"(kcs_(?:qc|self)_[0-9a-f]{16})"/.exec(answer.body)?.[1]
}
