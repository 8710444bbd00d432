// Covenant signer specification, sections 2.1 to 2.5 and 10.4; cases G of its list.
import { describe, expect, it } from 'vitest'
import { HoldfastError } from '../../src/base/errors.js'
import { JobNotFound, KeyFenced } from '../../src/covenant/answer.js'
import { InvalidInput } from '../../src/covenant/index.js'
import type { StepResult } from '../../src/covenant/job.js'
import {
  asAdmin,
  asClient,
  issueBody,
  openTestListener,
  paths,
  pendingText,
  pollBody,
  requestId,
  submitBody,
} from './compatible-fixture.js'
import type { RawAnswer } from './raw-http.js'

class Scripted extends HoldfastError {
  readonly code: string
  constructor(code: string, message: string, cause?: unknown) {
    super(message, { retry: 'safe', remedy: 'None.', cause })
    this.code = code
  }
}

const textHeaders = [
  ['content-type', 'text/plain; charset=utf-8'],
  ['x-content-type-options', 'nosniff'],
]

/** Checks a plain-text error and that it has no header beyond those of the contract. */
function expectText(
  answer: RawAnswer,
  status: number,
  message: string,
  extra: readonly (readonly [string, string])[] = [],
): void {
  expect(answer.body).toBe(`${message}\n`)
  expect(answer.status).toBe(status)
  const { date, ...headers } = Object.fromEntries(answer.headers)
  expect(headers).toEqual({
    ...Object.fromEntries([...textHeaders, ...extra]),
    'content-length': String(Buffer.byteLength(message) + 1),
    connection: 'close',
  })
  expect(date).toMatch(/^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/)
}

function expectJson(answer: RawAnswer, body: string): void {
  expect(answer.body).toBe(body)
  expect(answer.status).toBe(200)
  const { date: _, ...headers } = Object.fromEntries(answer.headers)
  expect(headers).toEqual({
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
  })
}

const missing = [401, 'missing bearer token', [['www-authenticate', 'Bearer']]] as const
const invalid = [401, 'invalid bearer token', [['www-authenticate', 'Bearer']]] as const

describe('health', () => {
  it('answers GET without a credential and without a line feed', async () => {
    const { ask } = await openTestListener()
    expectJson(await ask({ method: 'GET', path: '/healthz', headers: [] }), '{"status":"ok"}')
    expectJson(await ask({ method: 'GET', path: '/health%7A?x=1', headers: [] }), '{"status":"ok"}')
  })

  it('asks other methods for the credential', async () => {
    const { ask } = await openTestListener()
    expectText(await ask({ path: '/healthz', headers: [] }), ...missing)
    const wrong = await ask({ path: '/healthz' })
    expectText(wrong, 405, 'Method Not Allowed', [['allow', 'GET, HEAD']])
  })

  it('answers HEAD with the headers of GET and no body', async () => {
    const { ask } = await openTestListener()
    const head = await ask({ method: 'HEAD', path: '/healthz' })
    expect(head).toMatchObject({ status: 200, body: '' })
    expect(head.headers.get('content-length')).toBe('15')
  })
})

describe('credentials', () => {
  it('opens with the right token alone', async () => {
    const { ask, asked } = await openTestListener()
    const submit = (headers: string[]): Promise<RawAnswer> =>
      ask({ path: paths.submit, body: submitBody, headers })
    expectText(await submit([]), ...missing)
    expectText(await submit(['Authorization: Basic client-token']), ...missing)
    expectText(await submit(['Authorization: bearer client-token']), ...missing)
    expectText(await submit(['Authorization: Bearer']), ...missing)
    expectText(await submit(['Authorization: Bearer wrong']), ...invalid)
    expectText(await submit(['Authorization: Bearer client-token2']), ...invalid)
    expectText(await submit(['Authorization: Bearer client-toke']), ...invalid)
    expect(asked).toEqual([])
    expectJson(await submit([asClient]), pendingText)
    expectJson(await submit(['authorization: Bearer  client-token ']), pendingText)
  })

  it('comes before everything else, for unknown paths too', async () => {
    const { ask } = await openTestListener()
    expectText(await ask({ method: 'GET', path: '/nope', headers: [] }), ...missing)
    expectText(await ask({ method: 'GET', path: paths.pollPath('x'), headers: [] }), ...missing)
    expectText(await ask({ path: paths.pollPath('a%2Fb'), headers: [] }), ...missing)
  })

  it('never takes one token for the other', async () => {
    const { ask } = await openTestListener({ issue: () => Promise.reject(new Error('not asked')) })
    expectText(await ask({ path: paths.issue, body: issueBody }), ...invalid)
    expectText(await ask({ path: '/v1/admin/anything', headers: [asClient] }), ...invalid)
    expectText(await ask({ path: '/v1%2Fadmin/anything', headers: [asClient] }), ...invalid)
    expectText(await ask({ path: paths.submit, headers: [asAdmin] }), ...invalid)
    expectText(
      await ask({ path: '/v1/admin/anything', headers: [asAdmin] }),
      404,
      '404 page not found',
    )
  })

  it('lets every client in without a configured token, but no administrator', async () => {
    const { ask } = await openTestListener({}, { authToken: ' ', adminAuthToken: '' })
    expectJson(await ask({ path: paths.submit, body: submitBody, headers: [] }), pendingText)
    expectText(await ask({ path: paths.issue, body: issueBody, headers: [] }), ...missing)
    expectText(
      await ask({ path: paths.issue, body: issueBody, headers: ['Authorization: Bearer '] }),
      ...missing,
    )
    expectText(
      await ask({ path: paths.issue, body: issueBody, headers: ['Authorization: Bearer x'] }),
      ...invalid,
    )
  })

  it('compares tokens that are not ASCII by their UTF-8 bytes', async () => {
    const { ask } = await openTestListener({}, { authToken: 'clé à' })
    const header = `Authorization: Bearer ${Buffer.from('clé à').toString('latin1')}`
    expectJson(await ask({ path: paths.submit, body: submitBody, headers: [header] }), pendingText)
  })

  it('refuses repeated use of a wrong token without spending a token of the bucket', async () => {
    const bucket = { capacity: 1, refillMs: 12_000 }
    const { ask } = await openTestListener({}, { buckets: { submit: bucket } })
    for (let i = 0; i < 3; i++) {
      expectText(
        await ask({ path: paths.submit, headers: ['Authorization: Bearer x'] }),
        ...invalid,
      )
    }
    expectJson(await ask({ path: paths.submit, body: submitBody }), pendingText)
  })
})

describe('places', () => {
  const notFound = [404, '404 page not found'] as const

  it('knows no other path', async () => {
    const { ask } = await openTestListener()
    for (const path of [
      '/',
      '/nope',
      '/healthz/',
      '/HEALTHZ',
      '/v1',
      '/v1/qc_v1/signer',
      '/v1/QC_v1/signer/requests',
      '/v1/qc_v2/signer/requests',
      '/v1/qc_v1/signer/requests%2Fabc:poll',
      '/v1/qc_v1/signer/requests:polls',
      '/v1/admin',
      '*',
    ]) {
      expectText(await ask({ path }), ...notFound)
    }
  })

  it('takes escaped, absolute and queried forms of a path for the same', async () => {
    const { ask } = await openTestListener()
    for (const path of [
      '/v1/qc%5Fv1/signer/%72equests',
      `http://signer.example${paths.submit}`,
      `${paths.submit}?a=b`,
    ]) {
      expectJson(await ask({ path, body: submitBody }), pendingText)
    }
    expectJson(
      await ask({ path: '/v1/qc_v1/signer/requests%3Apoll', body: pollBody() }),
      pendingText,
    )
  })

  it('hides the paths of self_v1 while it is switched off', async () => {
    const { ask, asked } = await openTestListener({}, { enableSelfV1: false })
    const self = '/v1/self_v1/signer/requests'
    for (const path of [self, `${self}:poll`, `${self}/x:poll`]) {
      expectText(await ask({ path, body: submitBody }), ...notFound)
    }
    expect(asked).toEqual([])
    expectJson(await ask({ path: paths.submit, body: submitBody }), pendingText)
  })

  it('hands the route of the path on', async () => {
    const { ask, asked } = await openTestListener()
    await ask({ path: '/v1/self_v1/signer/requests', body: submitBody })
    await ask({ path: '/v1/self_v1/signer/requests:poll', body: pollBody() })
    await ask({ path: paths.submit, body: submitBody })
    expect(asked.map((one) => 'route' in one && one.route)).toEqual(['self_v1', 'self_v1', 'qc_v1'])
  })

  it('refuses other methods on the path form of poll in words of its own', async () => {
    const { ask } = await openTestListener()
    for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS']) {
      const answer = await ask({ method, path: paths.pollPath('abc') })
      expectText(answer, 405, 'method not allowed', [['allow', 'POST']])
    }
    const bad = await ask({ method: 'GET', path: '/v1/qc_v1/signer/requests/a%2Fb' })
    expectText(bad, 405, 'method not allowed', [['allow', 'POST']])
  })

  it('refuses other methods elsewhere', async () => {
    const { ask } = await openTestListener()
    for (const path of [paths.submit, paths.poll]) {
      const answer = await ask({ method: 'GET', path })
      expectText(answer, 405, 'Method Not Allowed', [['allow', 'POST']])
    }
    const issue = await ask({ method: 'DELETE', path: paths.issue, headers: [asAdmin] })
    expectText(issue, 405, 'Method Not Allowed', [['allow', 'POST']])
    const head = await ask({ method: 'HEAD', path: paths.submit })
    expect(head).toMatchObject({ status: 405, body: '' })
  })

  it('decodes the id of a poll path for the second time', async () => {
    const { ask, asked } = await openTestListener()
    const ids = async (written: string): Promise<string | undefined> => {
      await ask({ path: paths.pollPath(written), body: pollBody('') })
      const last = asked.at(-1)
      return last?.kind === 'poll' ? last.input.requestId : undefined
    }
    expect(await ids('abc')).toBe('abc')
    expect(await ids('a%3Ab')).toBe('a:b')
    expect(await ids('a%2541')).toBe('aA')
    expect(await ids('a:poll')).toBe('a:poll')
    expect(await ids('%25C3%25A9')).toBe('é')
    expect(await ids('%C3%A9')).toBe('é')
  })

  it('knows no poll path whose id is empty, holds a slash, or does not decode', async () => {
    const { ask, asked } = await openTestListener()
    for (const path of [
      paths.pollPath(''),
      paths.pollPath('a/b'),
      paths.pollPath('a%2Fb'),
      paths.pollPath('a%252Fb'),
      paths.pollPath('a%25zz'),
      paths.pollPath('a%25'),
      '/v1/qc_v1/signer/requests/',
      '/v1/qc_v1/signer/requests/abc',
      '/v1/qc_v1/signer/requests/abc:poll/',
    ]) {
      expectText(await ask({ path, body: pollBody('') }), ...notFound)
    }
    expect(asked).toEqual([])
  })
})

describe('submit and poll', () => {
  it('answers submit and both forms of poll with the same job', async () => {
    const { ask, asked } = await openTestListener()
    expectJson(await ask({ path: paths.submit, body: submitBody }), pendingText)
    expectJson(await ask({ path: paths.pollPath(requestId), body: pollBody('') }), pendingText)
    expectJson(await ask({ path: paths.pollPath(requestId), body: pollBody() }), pendingText)
    expectJson(await ask({ path: paths.pollPath(requestId), body: submitBody }), pendingText)
    expectJson(await ask({ path: paths.poll, body: pollBody() }), pendingText)
    expect(asked.map(({ kind }) => kind)).toEqual(['submit', 'poll', 'poll', 'poll', 'poll'])
    for (const one of asked.slice(1)) expect(one.input).toMatchObject({ requestId })
  })

  it('refuses a body id that is not the one of the path', async () => {
    const { ask, asked } = await openTestListener()
    const answer = await ask({ path: paths.pollPath(requestId), body: pollBody('other') })
    expectText(answer, 400, 'requestId in body does not match path')
    expect(asked).toEqual([])
  })

  it('writes the fields of a finished job in order, sorted and escaped', async () => {
    const result: StepResult = {
      handoff: { z: [{ b: 1, a: 'x' }], ä: null, Z: true, n: 18446744073709551615n },
      transactionHex: '0x02',
      psbtHash: '0x01',
      detail: 'a <b> & "c"\u2028\n\u007f',
      requestId,
      status: 'READY',
    }
    const { ask } = await openTestListener({ submit: () => Promise.resolve(result) })
    const answer = await ask({ path: paths.submit, body: submitBody })
    expectJson(
      answer,
      `{"status":"READY","requestId":"${requestId}",` +
        '"detail":"a \\u003cb\\u003e \\u0026 \\"c\\"\\u2028\\n\u007f","psbtHash":"0x01","transactionHex":"0x02",' +
        '"handoff":{"Z":true,"n":18446744073709551615,"z":[{"a":"x","b":1}],"ä":null}}\n',
    )
  })

  it('answers a failed job with 200 and its reason, and leaves empty fields out', async () => {
    const failed: StepResult = {
      status: 'FAILED',
      requestId,
      detail: '',
      reason: 'JOB_NOT_FOUND',
      psbtHash: '',
      handoff: {},
    }
    const { ask } = await openTestListener({ poll: () => Promise.resolve(failed) })
    const answer = await ask({ path: paths.poll, body: pollBody() })
    expectJson(answer, `{"status":"FAILED","requestId":"${requestId}","reason":"JOB_NOT_FOUND"}\n`)
  })

  it('turns each error of the service into its answer', async () => {
    let thrown: unknown
    const { ask, logged } = await openTestListener({ poll: () => Promise.reject(thrown) })
    const poll = (error: unknown): Promise<RawAnswer> => {
      thrown = error
      return ask({ path: paths.poll, body: pollBody() })
    }
    const before = logged.length
    expectText(await poll(new InvalidInput('requestId is required')), 400, 'requestId is required')
    const unknown = await poll(new JobNotFound())
    expectText(unknown, 404, 'covenant signer job not found')
    const fenced = await poll(new KeyFenced({ recordId: '7', reason: 'lost' }))
    expectText(fenced, 503, 'covenant signer job is closed by quarantine record 7: lost')
    expect(logged).toHaveLength(before)
  })

  it('says nothing of other errors to the client, and everything but secrets to the log', async () => {
    const cause = new Scripted('StoreFailed', 'store: disk is gone', new Error('EIO'))
    const { ask, logged } = await openTestListener({
      submit: () => Promise.reject(cause),
      poll: () => Promise.reject(undefined),
    })
    expectText(await ask({ path: paths.submit, body: submitBody }), 500, 'internal server error')
    expectText(await ask({ path: paths.poll, body: pollBody() }), 500, 'internal server error')
    expect(logged.slice(1)).toEqual([
      {
        message: 'covenant signer request failed',
        fields: {
          call: 'submit',
          status: 500,
          cause: 'StoreFailed: store: disk is gone < Error: EIO',
        },
      },
      {
        message: 'covenant signer request failed',
        fields: { call: 'poll', status: 500, cause: 'thrown: undefined' },
      },
    ])
    const text = JSON.stringify(logged)
    for (const secret of ['client-token', 'admin-token', 'facadeRequestId']) {
      expect(text).not.toContain(secret)
    }
  })
})

describe('issue', () => {
  const certificate = {
    certificateVersion: 2,
    signatureAlgorithm: 'tecdsa-secp256k1',
    approvalDigest: '0xaa',
    walletPublicKey: '0x04',
    signerSetHash: '0xbb',
    signature: '0x30',
    activeMembers: [1, 2],
    inactiveMembers: [],
    endBlock: 18446744073709551615n,
  }
  const issue = { path: paths.issue, body: issueBody, headers: [asAdmin] }

  it('answers with the certificate and hands the input on unchanged', async () => {
    const { ask, asked } = await openTestListener({ issue: () => Promise.resolve(certificate) })
    expectJson(
      await ask(issue),
      '{"certificateVersion":2,"signatureAlgorithm":"tecdsa-secp256k1","approvalDigest":"0xaa",' +
        '"walletPublicKey":"0x04","signerSetHash":"0xbb","signature":"0x30","activeMembers":[1,2],' +
        '"endBlock":18446744073709551615}\n',
    )
    expect(asked).toMatchObject([
      { kind: 'issue', input: { endBlock: 123_456n, walletPublicKeyHash: `0x${'7'.repeat(40)}` } },
    ])
  })

  it('is not supported by a service that cannot, but only for a body that decodes', async () => {
    const { ask } = await openTestListener()
    const unsupported =
      'covenant signer engine does not support signer approval certificate issuance'
    expectText(await ask(issue), 501, unsupported)
    expectText(await ask({ ...issue, body: '{}' }), 501, unsupported)
    const unknown = issueBody.replace('{', '{"approvalDigest":"0x00",')
    expectText(await ask({ ...issue, body: unknown }), 400, 'malformed request body')
  })

  it('says when to come back while the engine is busy, and what is wrong with the input', async () => {
    let code = 'IssuerBusy'
    const { ask } = await openTestListener({
      issue: () => Promise.reject(new Scripted(code, 'endBlock is required')),
    })
    const busy = 'covenant signer engine is busy signing for this wallet'
    expectText(await ask(issue), 503, busy, [['retry-after', '5']])
    code = 'InvalidInput'
    expectText(await ask(issue), 400, 'endBlock is required')
  })
})

describe('rate buckets', () => {
  const usual = { buckets: {} }

  it('lets five submits and issues through, and one more every 12 seconds', async () => {
    const { ask, clock } = await openTestListener({}, usual)
    const self = '/v1/self_v1/signer/requests'
    for (const path of [paths.submit, self, paths.submit, self]) {
      expect((await ask({ path, body: submitBody })).status).toBe(200)
    }
    const issue = { path: paths.issue, headers: [asAdmin], body: issueBody }
    expect((await ask(issue)).status).toBe(501)
    expectText(await ask({ path: paths.submit, body: submitBody }), 429, 'rate limit exceeded')
    expectText(await ask(issue), 429, 'rate limit exceeded')
    clock.advance(11_999)
    expect((await ask({ path: self, body: submitBody })).status).toBe(429)
    clock.advance(1)
    expect((await ask({ path: self, body: submitBody })).status).toBe(200)
    expect((await ask({ path: self, body: submitBody })).status).toBe(429)
    expect((await ask({ path: paths.poll, body: pollBody() })).status).toBe(200)
  })

  it('lets sixty polls of either form through, and one more every second', async () => {
    const { ask, clock } = await openTestListener({}, usual)
    for (let i = 0; i < 30; i++) {
      expect((await ask({ path: paths.poll, body: '' })).status).toBe(400)
      expect((await ask({ path: paths.pollPath('a%2Fb') })).status).toBe(404)
    }
    expectText(await ask({ path: paths.poll, body: pollBody() }), 429, 'rate limit exceeded')
    expectText(await ask({ path: paths.pollPath('a%2Fb') }), 429, 'rate limit exceeded')
    clock.advance(1000)
    expect((await ask({ path: paths.pollPath(requestId), body: pollBody() })).status).toBe(200)
    expect((await ask({ path: paths.poll, body: pollBody() })).status).toBe(429)
    expect((await ask({ path: paths.submit, body: submitBody })).status).toBe(200)
  })

  it('spends tokens on malformed bodies, and none on wrong methods and unknown paths', async () => {
    const bucket = { capacity: 2, refillMs: 12_000 }
    const { ask } = await openTestListener({}, { buckets: { submit: bucket } })
    expect((await ask({ method: 'GET', path: paths.submit })).status).toBe(405)
    expect((await ask({ path: '/v1/qc_v1/signer/request' })).status).toBe(404)
    expect((await ask({ path: paths.submit, body: '{' })).status).toBe(400)
    expect((await ask({ path: paths.submit, body: submitBody })).status).toBe(200)
    expect((await ask({ path: paths.submit, body: submitBody })).status).toBe(429)
  })
})
