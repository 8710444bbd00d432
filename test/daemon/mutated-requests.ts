import type { RawAnswer } from './raw-http.js'
import { type Address, openRaw } from './raw-http.js'

/** Requests that were changed at random, the same for the same seed, and what became of them. */

export type MutatedReport = {
  /** How many answers of each status; 0 counts connections that ended without one. */
  readonly statuses: ReadonlyMap<number, number>
  /** Requests that were answered as they must not be, at most ten. */
  readonly offences: readonly { readonly request: string; readonly answer: RawAnswer }[]
}

type Random = (below: number) => number

/** Sends `count` changed requests, each on a connection of its own that is half closed after it. */
export async function sendMutated(
  address: Address,
  bases: readonly Uint8Array[],
  options: { readonly count: number; readonly seed: number; readonly lanes: number },
  isAllowed: (answer: RawAnswer) => boolean,
): Promise<MutatedReport> {
  const statuses = new Map<number, number>()
  const offences: { request: string; answer: RawAnswer }[] = []
  const count = (status: number): void => void statuses.set(status, (statuses.get(status) ?? 0) + 1)
  let left = options.count
  const lane = async (random: Random): Promise<void> => {
    while (left-- > 0 && offences.length < 10) {
      const request = mutateRequest(bases[random(bases.length)] ?? new Uint8Array(), random)
      const answers = await exchange(address, request, random)
      if (answers.length === 0) count(0)
      for (const answer of answers) {
        count(answer.status)
        if (!isAllowed(answer)) {
          offences.push({ request: Buffer.from(request).toString('latin1'), answer })
        }
      }
    }
  }
  const lanes = Array.from({ length: options.lanes }, (_, i) => lane(randomFrom(options.seed + i)))
  await Promise.all(lanes)
  return { statuses, offences }
}

async function exchange(
  address: Address,
  request: Uint8Array,
  random: Random,
): Promise<readonly RawAnswer[]> {
  const connection = await openRaw(address)
  const cut = random(4) === 0 ? random(request.length + 1) : request.length
  connection.send(request.subarray(0, cut))
  if (cut < request.length) connection.send(request.subarray(cut))
  connection.finish()
  const answers: RawAnswer[] = []
  for (;;) {
    const answer = await connection.answer()
    if (answer === undefined) break
    answers.push(answer)
  }
  connection.destroy()
  return answers
}

/** A small generator of evenly spread numbers (mulberry32). */
function randomFrom(seed: number): Random {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % Math.max(1, below)
  }
}

/** Changes a request's bytes, in its body more often than in its head; the announced length is made right mostly. */
function mutateRequest(request: Uint8Array, random: Random): Uint8Array {
  const at = Buffer.from(request).indexOf('\r\n\r\n') + 4
  let head = request.subarray(0, at)
  let body = request.subarray(at)
  for (let rounds = random(3); rounds >= 0; rounds--) {
    if (random(4) === 0) head = mutate(head, random)
    else body = mutate(body, random)
  }
  if (random(8) !== 0) head = withLength(head, body.length)
  return Buffer.concat([head, body])
}

function withLength(head: Uint8Array, length: number): Uint8Array {
  const text = Buffer.from(head).toString('latin1')
  return Buffer.from(text.replace(/Content-Length: \d+/, `Content-Length: ${length}`), 'latin1')
}

const pieces = [
  '\r\n',
  '\r\n\r\n',
  ' ',
  '%',
  '%2F',
  '%zz',
  '\0',
  '\xff',
  ':',
  'Transfer-Encoding: chunked\r\n',
  'Content-Length: 7\r\n',
  'Connection: close\r\n',
  'Expect: 100-continue\r\n',
  '{',
  '}',
  '[[[[',
  '"',
  'null',
  '-1',
  '1e9',
  '18446744073709551616',
  '"\\ud800"',
  '"__proto__":{},',
  'self_v1',
  'qc_v1',
  'REDEEM',
  '0x',
]

function mutate(bytes: Uint8Array, random: Random): Uint8Array {
  const from = random(bytes.length)
  const to = Math.min(bytes.length, from + random(12))
  const put = (middle: Uint8Array | string, until: number): Uint8Array =>
    Buffer.concat([
      bytes.subarray(0, from),
      typeof middle === 'string' ? Buffer.from(middle, 'latin1') : middle,
      bytes.subarray(until),
    ])
  switch (random(6)) {
    case 0:
      return put(Uint8Array.of((bytes[from] ?? 0) ^ (1 << random(8))), from + 1)
    case 1:
      return put('', to)
    case 2:
      return put(bytes.subarray(from, to), from)
    case 3:
      return put(pieces[random(pieces.length)] ?? '', from)
    case 4:
      return put(pieces[random(pieces.length)] ?? '', to)
    default:
      return random(5) === 0 ? bytes.subarray(0, from) : put(Uint8Array.of(random(256)), from + 1)
  }
}
