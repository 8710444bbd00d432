import { connect, type Socket } from 'node:net'

/** HTTP over a bare socket: what is sent and what comes back are seen byte for byte. */

export type RawAnswer = {
  readonly status: number
  /** Without version and status. */
  readonly reason: string
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

export type RawRequest = {
  readonly method?: string
  readonly path: string
  /** Lines without line ends; `Host` and `Content-Length` are added unless given. */
  readonly headers?: readonly string[]
  readonly body?: string | Uint8Array
}

export interface RawConnection {
  readonly socket: Socket
  send(piece: string | Uint8Array): void
  /** Closes this half of the connection. */
  finish(): void
  /** The next answer, or undefined when the connection ends before it is whole. */
  answer(method?: string): Promise<RawAnswer | undefined>
  /** Resolves when the other side has ended the connection. */
  readonly ended: Promise<void>
  destroy(): void
}

export type Address = { readonly host: string; readonly port: number }

export async function openRaw({ host, port }: Address): Promise<RawConnection> {
  const socket = connect({ host, port, allowHalfOpen: true, noDelay: true })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  let received = Buffer.alloc(0)
  let isOver = false
  let wake: () => void = () => undefined
  const ended = new Promise<void>((resolve) => {
    const over = (): void => {
      isOver = true
      wake()
      resolve()
    }
    socket.once('end', over)
    socket.once('close', over)
  })
  // A reset is an end like any other; the answer that came before it is what counts.
  socket.on('error', () => undefined)
  socket.on('data', (piece) => {
    received = Buffer.concat([received, piece])
    wake()
  })
  return {
    socket,
    send: (piece) => void socket.write(piece),
    finish: () => void socket.end(),
    async answer(method = 'POST') {
      for (;;) {
        const found = cutAnswer(received, isOver, method)
        if (found !== undefined) {
          received = received.subarray(found.sizeBytes)
          return found.answer
        }
        if (isOver) return undefined
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
    ended,
    destroy: () => void socket.destroy(),
  }
}

/** The bytes of one request. */
export function requestBytes({
  method = 'POST',
  path,
  headers = [],
  body = '',
}: RawRequest): Buffer {
  const bytes = Buffer.from(body as Uint8Array)
  const has = (name: string): boolean =>
    headers.some((line) => line.toLowerCase().startsWith(`${name}:`))
  const lines = [`${method} ${path} HTTP/1.1`, ...headers]
  if (!has('host')) lines.push('Host: signer.example')
  if (!has('content-length') && !has('transfer-encoding')) {
    lines.push(`Content-Length: ${bytes.length}`)
  }
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), bytes])
}

/** Sends one request on a connection of its own; undefined when the connection ended without an answer. */
export async function ask(address: Address, request: RawRequest): Promise<RawAnswer | undefined> {
  const connection = await openRaw(address)
  try {
    connection.send(
      requestBytes({ ...request, headers: ['Connection: close', ...(request.headers ?? [])] }),
    )
    return await connection.answer(request.method ?? 'POST')
  } finally {
    connection.destroy()
  }
}

function cutAnswer(
  received: Buffer,
  isOver: boolean,
  method: string,
): { readonly answer: RawAnswer; readonly sizeBytes: number } | undefined {
  const headEnd = received.indexOf('\r\n\r\n')
  if (headEnd < 0) return undefined
  const [first = '', ...lines] = received.subarray(0, headEnd).toString('latin1').split('\r\n')
  const [, status = '', reason = ''] = /^HTTP\/1\.1 (\d{3}) (.*)$/.exec(first) ?? []
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(': ')
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 2)] as const
    }),
  )
  const bodyAt = headEnd + 4
  const length = headers.get('content-length')
  const hasBody = method !== 'HEAD' && !status.startsWith('1')
  const announced = length === undefined ? received.length - bodyAt : Number(length)
  if (hasBody && length === undefined && !isOver) return undefined
  const end = bodyAt + (hasBody ? announced : 0)
  if (received.length < end) return undefined
  const body = received.subarray(bodyAt, end).toString('utf8')
  return { answer: { status: Number(status), reason, headers, body }, sizeBytes: end }
}
