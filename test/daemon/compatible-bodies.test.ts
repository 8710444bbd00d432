// Covenant signer specification, sections 2.6 and 3 on the wire; cases G2 to G4 of its list.
import { describe, expect, it } from 'vitest'
import { covenantBodyBytesMax } from '../../src/base/limits.js'
import {
  asClient,
  openTestListener,
  paths,
  pendingText,
  pollBody,
  requestId,
  submitBody,
} from './compatible-fixture.js'
import { openRaw, type RawAnswer, requestBytes } from './raw-http.js'

const malformed = { status: 400, body: 'malformed request body\n' }
const accepted = { status: 200, body: pendingText }
/** A sound body, made longer by blanks. */
const padded = (sizeBytes: number): string => submitBody.padEnd(sizeBytes, ' ')
/** Each byte of a body as a chunk of its own. */
const chunked = (body: string, size: number): string => {
  const chunks: string[] = []
  for (let at = 0; at < body.length; at += size) {
    const piece = body.slice(at, at + size)
    chunks.push(`${piece.length.toString(16)}\r\n${piece}\r\n`)
  }
  return `${chunks.join('')}0\r\n\r\n`
}
const asChunks = [asClient, 'Transfer-Encoding: chunked']

describe('bodies', () => {
  it('are refused in the same words whatever is wrong with them', async () => {
    const { ask, asked } = await openTestListener()
    const inEnvelope = submitBody.replace('{', '{"surprise":1,')
    const inRequest = submitBody.replace('"request":{', '"request":{"surprise":1,')
    for (const body of [
      '',
      ' ',
      '{',
      'null}',
      '[]',
      '"text"',
      '{}{}',
      `${submitBody}{}`,
      `${submitBody}x`,
      '\ufeff{}',
      inEnvelope,
      inRequest,
      submitBody.replace(/"epoch":\d+/, '"epoch":1.0'),
      submitBody.replace(/"epoch":\d+/, '"epoch":"12"'),
      `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
    ]) {
      for (const path of [paths.submit, paths.poll, paths.pollPath(requestId)]) {
        expect(await ask({ path, body })).toMatchObject(malformed)
      }
    }
    expect(asked).toEqual([])
  })

  it('may hold white space after their value, and need no content type', async () => {
    const { ask } = await openTestListener()
    expect(await ask({ path: paths.submit, body: `${submitBody} \n\t\r` })).toMatchObject(accepted)
    const headers = [asClient, 'Content-Type: image/png', 'Content-Encoding: nonsense']
    expect(await ask({ path: paths.submit, body: submitBody, headers })).toMatchObject(accepted)
  })

  it('of a poll carry an id that those of a submit must not', async () => {
    const { ask } = await openTestListener()
    expect(await ask({ path: paths.submit, body: pollBody() })).toMatchObject(malformed)
    expect(await ask({ path: paths.poll, body: submitBody })).toMatchObject(accepted)
  })

  it('may be 2 MiB long and not a byte longer, blanks included', async () => {
    const { ask } = await openTestListener()
    const longest = padded(covenantBodyBytesMax)
    expect(await ask({ path: paths.submit, body: longest })).toMatchObject(accepted)
    expect(await ask({ path: paths.submit, body: `${longest} ` })).toMatchObject(malformed)
  })

  it('are held to their limit in chunks too, and answered while the client still sends', async () => {
    const { ask, address } = await openTestListener()
    const longest = padded(covenantBodyBytesMax)
    const body = chunked(longest, 65_536)
    expect(await ask({ path: paths.submit, headers: asChunks, body })).toMatchObject(accepted)
    const endless = await openRaw(address)
    endless.send(requestBytes({ path: paths.submit, headers: asChunks }))
    endless.send(chunked(`${longest} `, 65_536).slice(0, -5))
    const answer = await endless.answer()
    expect(answer).toMatchObject(malformed)
    expect(answer?.headers.get('connection')).toBe('close')
    await endless.ended
    endless.destroy()
  })

  it('whose announced length is beyond the limit are answered before they come', async () => {
    const { address } = await openTestListener()
    const connection = await openRaw(address)
    const headers = [asClient, 'Content-Length: 99999999999999999']
    connection.send(requestBytes({ path: paths.submit, headers }))
    const answer = await connection.answer()
    expect(answer).toMatchObject(malformed)
    expect(answer?.headers.get('connection')).toBe('close')
    await connection.ended
    connection.destroy()
  })

  it('may come in as many pieces as they have bytes', async () => {
    const { ask, address } = await openTestListener()
    const body = chunked(submitBody, 1)
    expect(await ask({ path: paths.submit, headers: asChunks, body })).toMatchObject(accepted)
    const connection = await openRaw(address)
    const bytes = requestBytes({ path: paths.submit, headers: [asClient], body: submitBody })
    for (const byte of bytes) {
      await new Promise<void>((resolve) => {
        connection.socket.write(Uint8Array.of(byte), () => setImmediate(resolve))
      })
    }
    expect(await connection.answer()).toMatchObject(accepted)
    connection.destroy()
  })

  it('may follow their headers at any distance', async () => {
    const { ask, address } = await openTestListener()
    const connection = await openRaw(address)
    const bytes = requestBytes({ path: paths.submit, headers: [asClient], body: submitBody })
    const headEnd = bytes.indexOf('\r\n\r\n') + 4
    for (const piece of [bytes.subarray(0, 40), bytes.subarray(40, headEnd)]) connection.send(piece)
    // Another client is served meanwhile.
    expect(await ask({ path: paths.submit, body: submitBody })).toMatchObject(accepted)
    connection.send(bytes.subarray(headEnd, headEnd + 100))
    expect(await ask({ path: paths.submit, body: submitBody })).toMatchObject(accepted)
    connection.send(bytes.subarray(headEnd + 100))
    expect(await connection.answer()).toMatchObject(accepted)
    connection.destroy()
  })

  it('that end early or are chunked wrongly are malformed', async () => {
    const { address } = await openTestListener()
    const answerTo = async (headers: string[], body: string): Promise<RawAnswer | undefined> => {
      const connection = await openRaw(address)
      connection.send(requestBytes({ path: paths.submit, headers, body }))
      connection.finish()
      const answer = await connection.answer()
      await connection.ended
      connection.destroy()
      return answer
    }
    const short = [asClient, `Content-Length: ${submitBody.length + 1}`]
    expect(await answerTo(short, submitBody)).toMatchObject(malformed)
    expect(await answerTo(asChunks, '5\r\nabc')).toMatchObject(malformed)
    expect(await answerTo(asChunks, 'xyz\r\n{}\r\n0\r\n\r\n')).toMatchObject(malformed)
    expect(await answerTo(asChunks, chunked(submitBody, 100))).toMatchObject(accepted)
  })

  it('are asked for when the client waits for that, and not when they are not wanted', async () => {
    const { address } = await openTestListener()
    const expecting = (extra: string[]): Buffer =>
      requestBytes({
        path: paths.submit,
        headers: [...extra, 'Expect: 100-continue', `Content-Length: ${submitBody.length}`],
      })
    const wanted = await openRaw(address)
    wanted.send(expecting([asClient]))
    expect(await wanted.answer()).toMatchObject({ status: 100, reason: 'Continue' })
    wanted.send(submitBody)
    const answer = await wanted.answer()
    expect(answer).toMatchObject(accepted)
    expect(answer?.headers.has('connection')).toBe(false)
    wanted.destroy()
    const unwanted = await openRaw(address)
    unwanted.send(expecting([]))
    const refusal = await unwanted.answer()
    expect(refusal).toMatchObject({ status: 401, body: 'missing bearer token\n' })
    expect(refusal?.headers.get('connection')).toBe('close')
    await unwanted.ended
    unwanted.destroy()
  })

  it('are not read under an expectation that nobody knows', async () => {
    const { ask } = await openTestListener()
    const headers = [asClient, 'Expect: a-miracle']
    const answer = await ask({ path: paths.submit, headers, body: submitBody })
    expect(answer).toMatchObject({ status: 417, body: '' })
  })
})
