// Covenant signer specification, sections 2.6, 12.5 and 17; cases G10 and I1, I2, I4 of its list.
import { describe, expect, it } from 'vitest'
import type { StepResult } from '../../src/covenant/job.js'
import {
  asClient,
  deferred,
  openTestListener,
  paths,
  pending,
  pendingText,
  pollBody,
  requestId,
  submitBody,
} from './compatible-fixture.js'
import { openRaw, requestBytes } from './raw-http.js'

const accepted = { status: 200, body: pendingText }
const submit = requestBytes({ path: paths.submit, headers: [asClient], body: submitBody })
const poll = requestBytes({ path: paths.poll, headers: [asClient], body: pollBody() })
const healthy = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'
const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))

describe('connections', () => {
  it('are used again, without headers that say so', async () => {
    const { address } = await openTestListener()
    const connection = await openRaw(address)
    for (let i = 0; i < 3; i++) {
      connection.send(submit)
      const answer = await connection.answer()
      expect(answer).toMatchObject(accepted)
      expect([...(answer?.headers.keys() ?? [])].sort()).toEqual([
        'content-length',
        'content-type',
        'date',
      ])
    }
    connection.send(requestBytes({ path: paths.submit, body: submitBody }))
    expect(await connection.answer()).toMatchObject({ status: 401 })
    connection.send(requestBytes({ path: '/nope', headers: [asClient], body: submitBody }))
    expect(await connection.answer()).toMatchObject({ status: 404 })
    connection.send(submit)
    expect(await connection.answer()).toMatchObject(accepted)
    connection.destroy()
  })

  it('have their requests answered in order, each begun when the one before has ended', async () => {
    const first = deferred<StepResult>()
    const { address, asked } = await openTestListener({ submit: () => first.promise })
    const connection = await openRaw(address)
    connection.send(Buffer.concat([submit, poll, Buffer.from(healthy), poll]))
    const other = await openRaw(address)
    other.send(poll)
    expect(await other.answer()).toMatchObject(accepted)
    expect(asked.map(({ kind }) => kind)).toEqual(['submit', 'poll'])
    first.resolve({ ...pending, detail: 'first' })
    expect((await connection.answer())?.body).toContain('"detail":"first"')
    expect(await connection.answer()).toMatchObject(accepted)
    expect(await connection.answer()).toMatchObject({ body: '{"status":"ok"}' })
    expect(await connection.answer()).toMatchObject(accepted)
    expect(asked.map(({ kind }) => kind)).toEqual(['submit', 'poll', 'poll', 'poll'])
    connection.destroy()
    other.destroy()
  })

  it('carry thousands of requests that were sent at once', async () => {
    const { address } = await openTestListener()
    const connection = await openRaw(address)
    const count = 5000
    connection.send(healthy.repeat(count))
    connection.send(poll)
    for (let i = 0; i < count; i++) {
      expect((await connection.answer())?.body).toBe('{"status":"ok"}')
    }
    expect(await connection.answer()).toMatchObject(accepted)
    connection.destroy()
  })

  it('are not read on while too many requests wait for their turn', async () => {
    const first = deferred<StepResult>()
    const { address, ask } = await openTestListener({ submit: () => first.promise })
    const connection = await openRaw(address)
    connection.send(submit)
    const pieces = 400
    const piece = Buffer.from(healthy.repeat(2000))
    let taken = 0
    const next = (): void => {
      taken++
      if (taken < pieces) connection.socket.write(piece, next)
    }
    connection.socket.write(piece, next)
    // The rest is stuck when nothing has moved for as long as others need to be served fifty times.
    for (let seen = -1, same = 0; same < 50; same = taken === seen ? same + 1 : 0) {
      seen = taken
      await ask({ method: 'GET', path: '/healthz' })
    }
    expect(taken).toBeLessThan(pieces)
    first.resolve(pending)
    expect(await connection.answer()).toMatchObject(accepted)
    for (let i = 0; i < 5000; i++) {
      expect((await connection.answer())?.body).toBe('{"status":"ok"}')
    }
    connection.destroy()
  })

  it('may be half closed by a client that has asked everything', async () => {
    const first = deferred<StepResult>()
    const { address, ask } = await openTestListener({ submit: () => first.promise })
    const connection = await openRaw(address)
    connection.send(Buffer.concat([submit, poll]))
    connection.finish()
    // The other half's end has come when other clients have been answered.
    for (let i = 0; i < 5; i++) await ask({ method: 'GET', path: '/healthz' })
    first.resolve(pending)
    expect(await connection.answer()).toMatchObject(accepted)
    expect(await connection.answer()).toMatchObject(accepted)
    await connection.ended
    connection.destroy()
  })

  it('are not reset under a client that still sends what nobody reads', async () => {
    const { address } = await openTestListener({}, { times: { lingerMs: 20_000 } })
    const connection = await openRaw(address)
    let resets = 0
    connection.socket.on('error', () => {
      resets++
    })
    const pieces = 64
    const piece = Buffer.alloc(65_536)
    connection.send(
      requestBytes({
        path: '/nope',
        headers: [asClient, `Content-Length: ${pieces * piece.length}`],
      }),
    )
    const answer = await connection.answer()
    expect(answer).toMatchObject({ status: 404, body: '404 page not found\n' })
    expect(answer?.headers.get('connection')).toBe('close')
    for (let sent = 0; sent < pieces; sent++) {
      await new Promise<void>((resolve) => {
        connection.socket.write(piece, () => resolve())
      })
    }
    await connection.ended
    expect(resets).toBe(0)
    connection.destroy()
  })

  it('end when the client asks for it, and nothing that was sent after it is done', async () => {
    const { address, asked } = await openTestListener()
    const last = requestBytes({
      path: paths.poll,
      headers: [asClient, 'Connection: close'],
      body: pollBody(),
    })
    const connection = await openRaw(address)
    connection.send(Buffer.concat([last, submit]))
    const answer = await connection.answer()
    expect(answer?.headers.get('connection')).toBe('close')
    await connection.ended
    expect(asked.map(({ kind }) => kind)).toEqual(['poll'])
    connection.destroy()
  })

  it('of HTTP/1.0 end with the answer unless they are to be kept', async () => {
    const { address } = await openTestListener()
    const once = await openRaw(address)
    once.send('GET /healthz HTTP/1.0\r\n\r\n')
    expect((await once.answer())?.headers.get('connection')).toBe('close')
    await once.ended
    once.destroy()
    const kept = await openRaw(address)
    for (let i = 0; i < 2; i++) {
      kept.send('GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
      expect((await kept.answer())?.headers.get('connection')).toBe('keep-alive')
    }
    kept.destroy()
  })

  it('end with plain words when what comes is no request', async () => {
    const { address, asked } = await openTestListener()
    const head = (lines: string): string => `POST ${paths.submit} HTTP/1.1\r\n${lines}\r\n\r\n`
    const cases: readonly (readonly [string, number, string])[] = [
      ['nonsense\r\n\r\n', 400, '400 Bad Request'],
      ['GET /healthz\r\n\r\n', 400, '400 Bad Request'],
      ['GET healthz HTTP/1.1\r\nHost: x\r\n\r\n', 400, '400 Bad Request'],
      ['GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n', 400, '400 Bad Request'],
      [head('Host: x\r\nContent-Length: -1'), 400, '400 Bad Request'],
      [head('Host: x\r\nContent-Length: 1\r\nContent-Length: 2'), 400, '400 Bad Request'],
      [head('Host: x\r\nHost: y'), 400, '400 Bad Request'],
      [head('Host: x\r\nbad header'), 400, '400 Bad Request'],
      [head('X: y'), 400, '400 Bad Request: missing required Host header'],
      [
        'GET / HTTP/3.1\r\nHost: x\r\n\r\n',
        505,
        '505 HTTP Version Not Supported: unsupported protocol version',
      ],
      [head('Host: x\r\nTransfer-Encoding: gzip, chunked'), 501, 'Unsupported transfer encoding'],
      [head(`Host: x\r\nX: ${'y'.repeat(16_000)}`), 431, '431 Request Header Fields Too Large'],
    ]
    for (const [bytes, status, body] of cases) {
      const connection = await openRaw(address)
      connection.send(bytes)
      const answer = await connection.answer()
      expect(answer, bytes.slice(0, 60)).toMatchObject({ status, body })
      expect(answer?.headers.get('content-type')).toBe('text/plain; charset=utf-8')
      expect(answer?.headers.get('connection')).toBe('close')
      await connection.ended
      connection.destroy()
    }
    expect(asked).toEqual([])
  })

  it('take headers of 8192 bytes', async () => {
    const { ask } = await openTestListener()
    const headers = [asClient, `X-Long: ${'y'.repeat(8000)}`]
    expect(await ask({ path: paths.submit, headers, body: submitBody })).toMatchObject(accepted)
    const many = Array.from({ length: 1900 }, () => 'a:')
    const answer = await ask({ path: paths.submit, headers: [...many, asClient], body: submitBody })
    expect(answer).toMatchObject(accepted)
  })

  it('answer what came before nonsense first', async () => {
    const first = deferred<StepResult>()
    const { address, asked } = await openTestListener({ submit: () => first.promise })
    const connection = await openRaw(address)
    connection.send(Buffer.concat([submit, poll, Buffer.from('nonsense\r\n\r\n')]))
    const other = await openRaw(address)
    other.send(poll)
    await other.answer()
    expect(asked).toHaveLength(2)
    first.resolve(pending)
    expect(await connection.answer()).toMatchObject(accepted)
    expect(await connection.answer()).toMatchObject(accepted)
    expect(await connection.answer()).toMatchObject({ status: 400, body: '400 Bad Request' })
    await connection.ended
    connection.destroy()
    other.destroy()
  })
})

describe('clients that leave', () => {
  it('do not stop a submit', async () => {
    const begun = deferred<AbortSignal>()
    const { address, ask, listener } = await openTestListener({
      submit(signal) {
        begun.resolve(signal)
        return aborted(signal).then(() => pending)
      },
    })
    const connection = await openRaw(address)
    connection.send(submit)
    const signal = await begun.promise
    connection.socket.resetAndDestroy()
    // Whatever the reset brings with it has come when other clients have been answered.
    for (let i = 0; i < 5; i++) await ask({ path: paths.poll, body: pollBody() })
    expect(signal.aborted).toBe(false)
    await listener.close()
    expect(signal.aborted).toBe(true)
  })

  it.each(['resetAndDestroy', 'destroy'] as const)(
    'stop the poll that they asked for, and leave no word in the log (%s)',
    async (leave) => {
      const begun = deferred<AbortSignal>()
      const ended = deferred<void>()
      const { address, ask, logged } = await openTestListener(
        {
          async poll(signal) {
            begun.resolve(signal)
            await aborted(signal)
            ended.resolve()
            throw new Error('aborted')
          },
        },
        { times: { halfClosedMs: 20 } },
      )
      const connection = await openRaw(address)
      connection.send(poll)
      expect((await begun.promise).aborted).toBe(false)
      connection.socket[leave]()
      await ended.promise
      await ask({ method: 'GET', path: '/healthz' })
      expect(logged).toHaveLength(1)
    },
  )

  it('leave what they had queued undone', async () => {
    const first = deferred<StepResult>()
    const begun = deferred<AbortSignal>()
    const { address, asked, ask } = await openTestListener({
      submit(signal) {
        begun.resolve(signal)
        return first.promise
      },
    })
    const connection = await openRaw(address)
    connection.send(Buffer.concat([submit, poll]))
    await begun.promise
    connection.socket.resetAndDestroy()
    await ask({ method: 'GET', path: '/healthz' })
    first.resolve(pending)
    await ask({ path: paths.pollPath('after'), body: pollBody('') })
    expect(asked.map(({ kind }) => kind)).toEqual(['submit', 'poll'])
    expect(asked.at(-1)?.input).toMatchObject({ requestId: 'after' })
  })
})

describe('times', () => {
  it('end a connection whose headers do not come, without a word', async () => {
    const { address } = await openTestListener({}, { times: { headersMs: 80 } })
    for (const bytes of ['', 'GET /healthz HT', 'GET /healthz HTTP/1.1\r\nHost: x\r\n']) {
      const connection = await openRaw(address)
      connection.send(bytes)
      expect(await connection.answer()).toBeUndefined()
      connection.destroy()
    }
  })

  it('make a body malformed that does not come', async () => {
    const { address } = await openTestListener({}, { times: { headersMs: 80, requestMs: 150 } })
    const connection = await openRaw(address)
    connection.send(submit.subarray(0, submit.length - 1))
    const answer = await connection.answer()
    expect(answer).toMatchObject({ status: 400, body: 'malformed request body\n' })
    expect(answer?.headers.get('connection')).toBe('close')
    await connection.ended
    connection.destroy()
  })

  it('take the answer from a client whose submit is slow, and not the work', async () => {
    const begun = deferred<AbortSignal>()
    const times = { responseMs: 100, workMs: 400 }
    const { address, logged } = await openTestListener(
      {
        submit(signal) {
          begun.resolve(signal)
          return aborted(signal).then(() => pending)
        },
      },
      { times },
    )
    const connection = await openRaw(address)
    connection.send(submit)
    const signal = await begun.promise
    expect(await connection.answer()).toBeUndefined()
    expect(signal.aborted).toBe(false)
    await aborted(signal)
    expect(String(signal.reason)).toContain('work limit')
    expect(logged).toHaveLength(1)
    connection.destroy()
  })

  it('end an idle connection', async () => {
    const { address } = await openTestListener({}, { times: { idleMs: 50 } })
    const connection = await openRaw(address)
    connection.send(healthy)
    expect(await connection.answer('GET')).toMatchObject({ status: 200 })
    await connection.ended
    connection.destroy()
  })

  it('end a connection whose refused body does not come', async () => {
    const { address } = await openTestListener({}, { times: { headersMs: 80, requestMs: 150 } })
    const connection = await openRaw(address)
    connection.send(requestBytes({ path: '/nope', headers: [asClient, 'Content-Length: 100'] }))
    expect(await connection.answer()).toMatchObject({ status: 404 })
    await connection.ended
    connection.destroy()
  })
})

describe('closing', () => {
  it('ends the work, answers open requests, and takes no more', async () => {
    const begun = deferred<AbortSignal>()
    const { address, listener } = await openTestListener({
      submit(signal) {
        begun.resolve(signal)
        return aborted(signal).then(() => pending)
      },
    })
    const busy = await openRaw(address)
    const idle = await openRaw(address)
    const silent = await openRaw(address)
    idle.send(healthy)
    await idle.answer('GET')
    busy.send(Buffer.concat([submit, poll]))
    await begun.promise
    const closed = listener.close()
    expect(listener.close()).toBe(closed)
    const answer = await busy.answer()
    expect(answer).toMatchObject(accepted)
    expect(answer?.headers.get('connection')).toBe('close')
    await Promise.all([busy.ended, idle.ended, silent.ended, closed])
    await expect(openRaw(address)).rejects.toThrow('ECONNREFUSED')
    for (const connection of [busy, idle, silent]) connection.destroy()
  })

  it('waits for connections that do not end only as long as it is given', async () => {
    const never = new Promise<StepResult>(() => undefined)
    for (const [shutdownMs, signal] of [
      [50, undefined],
      [600_000, AbortSignal.timeout(50)],
      [600_000, AbortSignal.abort()],
    ] as const) {
      const begun = deferred<AbortSignal>()
      const { address, listener } = await openTestListener(
        {
          poll(given) {
            begun.resolve(given)
            return never
          },
        },
        { times: { shutdownMs } },
      )
      const connection = await openRaw(address)
      connection.send(poll)
      const given = await begun.promise
      await listener.close(signal)
      await connection.ended
      if (!given.aborted) await aborted(given)
      connection.destroy()
    }
  })
})

describe('opening', () => {
  it('says where it listens and which checks are on, never the tokens', async () => {
    const { logged, address } = await openTestListener({}, { adminAuthToken: '' })
    expect(logged).toEqual([
      {
        message: 'covenant signer endpoint enabled',
        fields: { ...address, auth: 'on', adminAuth: 'off', selfV1: 'on' },
      },
    ])
  })

  it('fails where it cannot listen', async () => {
    const { address } = await openTestListener()
    const again = openTestListener({}, { port: address.port })
    await expect(again).rejects.toMatchObject({ code: 'ListenFailed' })
    for (const port of [-1, 65_536]) {
      await expect(openTestListener({}, { port })).rejects.toMatchObject({ code: 'ListenFailed' })
    }
  })

  it('refuses other machines without both tokens', async () => {
    const far = { listenAddress: '0.0.0.0' }
    const open = (authToken: string, adminAuthToken: string): Promise<unknown> =>
      openTestListener({}, { ...far, authToken, adminAuthToken })
    const message = (token: string): string => `0.0.0.0 is not loopback, want ${token} to be set`
    await expect(open('', 'a')).rejects.toThrow(message('authToken'))
    await expect(open('', '')).rejects.toThrow(message('authToken'))
    await expect(open('c', ' ')).rejects.toThrow(message('adminAuthToken'))
    await expect(open('c', '')).rejects.toMatchObject({ code: 'ListenerUnprotected' })
    await open('c', 'a')
  })

  it('takes a bracketed loopback address for what it is', async () => {
    const settings = { listenAddress: '[::1]', authToken: '', adminAuthToken: '' }
    const { ask, address } = await openTestListener({}, settings)
    expect(address.host).toBe('::1')
    const answer = await ask({ path: paths.pollPath(requestId), body: pollBody() })
    expect(answer).toMatchObject(accepted)
  })
})
