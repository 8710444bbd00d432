import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isHoldfastError } from '../../src/base/errors.js'
import { adminAnswerBytesMax } from '../../src/base/limits.js'
import { connectAdmin } from '../../src/cli/client.js'
import { freePort } from '../daemon/start-process.js'

const token = 'canary-token-77e1'
let folder = ''
let tokenFile = ''
const servers: Server[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-client-'))
  tokenFile = join(folder, 'admin-token')
  writeFileSync(tokenFile, `${token}\n`, { mode: 0o600 })
})
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  rmSync(folder, { recursive: true, force: true })
})

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** A client of a listener that answers as the test says. */
async function clientOf(handler: Handler, listenAddress = '127.0.0.1') {
  const server = createServer(handler)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new TypeError('no port')
  return connectAdmin({ admin: { port: address.port, listenAddress, tokenFile } })
}

const answering =
  (status: number, body: string): Handler =>
  (_request, response) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(body)

/** Code, retry, message and remedy of what a call throws. */
async function failureOf(call: Promise<unknown>): Promise<Record<string, unknown>> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!isHoldfastError(error)) throw new TypeError(`no failure of ours: ${String(error)}`)
  const { code, retry, message, remedy } = error
  return { code, retry, message, remedy }
}

describe('the client of the admin listener', () => {
  it('sends method, path, token and body, and hands out the answer', async () => {
    const seen: unknown[] = []
    const client = await clientOf((request, response) => {
      let body = ''
      request.on('data', (piece) => {
        body += piece
      })
      request.on('end', () => {
        seen.push([request.method, request.url, request.headers.authorization, body])
        response.end('{"done":true}')
      })
    }, '0.0.0.0')
    expect(await client.post('/ledger/verify', '{"a":1}')).toEqual({ done: true })
    expect(await client.get('/jobs?limit=1')).toEqual({ done: true })
    expect(await client.read('/state')).toEqual({ status: 200, body: { done: true } })
    expect(seen).toEqual([
      ['POST', '/admin/v1/ledger/verify', `Bearer ${token}`, '{"a":1}'],
      ['GET', '/admin/v1/jobs?limit=1', `Bearer ${token}`, ''],
      ['GET', '/state', undefined, ''],
    ])
  })

  it('throws what a problem document tells, with code, retry and remedy', async () => {
    const problem = {
      ...{ type: 'urn:x', title: 'Refused', status: 409, detail: 'record: cannot be resolved so' },
      ...{ code: 'ResolutionRefused', retryable: false, remedy: 'Type the key.' },
    }
    const client = await clientOf(answering(409, JSON.stringify(problem)))
    expect(await failureOf(client.get('/quarantine'))).toEqual({
      ...{ code: 'ResolutionRefused', retry: 'after-fix' },
      ...{ message: 'record: cannot be resolved so', remedy: 'Type the key.' },
    })
    const again = { ...problem, code: 'DaemonNotReady', retryable: true }
    const busy = await clientOf(answering(503, JSON.stringify(again)))
    expect(await failureOf(busy.get('/jobs'))).toMatchObject({
      ...{ code: 'DaemonNotReady', retry: 'safe' },
    })
  })

  it.each([
    ['text', 200, 'hello'],
    ['an array', 200, '[]'],
    ['a failure without a code', 500, '{"detail":"x"}'],
    ['a code that is none', 500, '{"code":"\\u001b[2J"}'],
    ['nothing', 204, ''],
    ['JSON that was cut short', 200, '{"a":'],
  ])('says that the daemon is out of reach for %s', async (_what, status, body) => {
    const client = await clientOf(answering(status, body))
    expect(await failureOf(client.get('/jobs'))).toMatchObject({ code: 'DaemonUnreachable' })
  })

  it('gives up on silence, on a connection that ends, and on an answer without end', async () => {
    const silent = await clientOf(() => undefined)
    expect((await failureOf(silent.post('/x', '{}', 50))).message).toContain('no answer within')
    const ending = await clientOf((request) => request.socket.destroy())
    expect(await failureOf(ending.get('/x'))).toMatchObject({ code: 'DaemonUnreachable' })
    const half = await clientOf((_request, response) => {
      response.writeHead(200, { 'content-length': 100 }).write('{"a"')
      setImmediate(() => response.destroy())
    })
    expect(await failureOf(half.get('/x'))).toMatchObject({ code: 'DaemonUnreachable' })
    const piece = Buffer.alloc(1 << 20, ' ')
    let sent = 0
    const endless = await clientOf((_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(piece)) sent += piece.length
        response.once('drain', more)
      }
      more()
    })
    expect((await failureOf(endless.get('/x'))).message).toContain(String(adminAnswerBytesMax))
    expect(sent).toBeLessThan(2 * adminAnswerBytesMax)
  })

  it('is out of reach where nobody listens, when it is off, and without a usable token', async () => {
    const port = await freePort()
    const nobody = connectAdmin({ admin: { port, listenAddress: '', tokenFile } })
    expect((await failureOf(nobody.get('/x'))).message).toContain('nobody listens there')
    const off = { admin: { port: 0, listenAddress: '', tokenFile } }
    expect(() => connectAdmin(off)).toThrow('admin.port is 0')
    const missing = { port, listenAddress: '', tokenFile: join(folder, 'none') }
    const without = connectAdmin({ admin: missing })
    expect((await failureOf(without.get('/x'))).message).toContain('ENOENT')
    writeFileSync(tokenFile, `${token}\nx\r\n`)
    expect(await failureOf(nobody.get('/x'))).toMatchObject({ code: 'DaemonUnreachable' })
    expect(JSON.stringify(await failureOf(nobody.get('/x')))).not.toContain(token)
  })

  it('reads a token through a link, as secrets are mounted, and never shows it', async () => {
    const link = join(folder, 'link')
    symlinkSync(tokenFile, link)
    tokenFile = link
    const client = await clientOf((request, response) => {
      const isGood = request.headers.authorization === `Bearer ${token}`
      response.writeHead(isGood ? 200 : 401).end('{"ok":true}')
    })
    expect(await client.get('/x')).toEqual({ ok: true })
    const refusing = await clientOf(answering(401, '{"code":"AdminTokenWanted","detail":"no"}'))
    expect(JSON.stringify(await failureOf(refusing.get('/x')))).not.toContain(token)
  })
})
