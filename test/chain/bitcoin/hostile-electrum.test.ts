import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { neverAborted } from '../../../src/base/abort.js'
import { genesisHashes } from '../../../src/chain/bitcoin/answer.js'
import { type ElectrumOptions, electrumReader } from '../../../src/chain/bitcoin/electrum.js'
import type { CheckedBitcoinReader } from '../../../src/chain/bitcoin/reader.js'
import { decodeTransaction } from '../../../src/chain/bitcoin/transaction.js'
import { type Asked, startScriptedElectrum } from './scripted-servers.js'
import { fundedSats, spendOf } from './world.js'

const raw = spendOf({ txid: '11'.repeat(32), vout: 0 }, 1)
const txid = decodeTransaction(raw)?.txid ?? ''
const sats = Number(fundedSats - 10_000n)
const spender = spendOf({ txid, vout: 0 }, 2)
const spenderId = decodeTransaction(spender)?.txid ?? ''
const known = new Map([raw, spender].map((bytes) => [decodeTransaction(bytes)?.txid, bytes]))
const unspent = { tx_hash: txid, tx_pos: 0, height: 98, value: sats }
const ours = { tx_hash: txid, height: 98 }
const regtestHeader =
  '0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e' +
  '67768f617fc81bc3888a51323a9fb8aa4b1e5e4adae5494dffff7f2002000000'
const get = 'blockchain.transaction.get'
const history = 'blockchain.scripthash.get_history'
const listunspent = 'blockchain.scripthash.listunspent'
const subscribe = 'blockchain.headers.subscribe'

type Said = { result: unknown } | { error: unknown }

/** A server with one unspent output, three blocks deep. */
function honest({ method, params }: Asked): Said {
  switch (method) {
    case 'server.version':
      return { result: ['scripted', '1.4'] }
    case 'server.features':
      return { result: { genesis_hash: genesisHashes.regtest[0] } }
    case subscribe:
      return { result: { height: 100, hex: regtestHeader } }
    case history:
      return { result: [ours] }
    case listunspent:
      return { result: [unspent] }
    case get: {
      const found = known.get(String(params[0]))
      if (found) return { result: found.toString('hex') }
      return { error: { code: 2, message: 'No such mempool or blockchain transaction.' } }
    }
    default:
      return { error: { code: -32601, message: `unknown method ${method}` } }
  }
}

const manyAt = (height: number): object[] =>
  Array.from({ length: 90 }, (_, n) => ({ tx_hash: `${n + 10}`.repeat(32), height }))

const line = ({ id }: Asked, said: Said): string => JSON.stringify({ jsonrpc: '2.0', id, ...said })

describe('electrumReader before a server that cannot be trusted', () => {
  const opened: { close?(): Promise<void>; stop?(): Promise<void> }[] = []
  afterEach(async () => {
    for (const each of opened.splice(0).reverse()) await (each.close?.() ?? each.stop?.())
  })
  const openWith = async (
    answer: Parameters<typeof startScriptedElectrum>[0],
    more: Partial<ElectrumOptions> = {},
  ): Promise<CheckedBitcoinReader> => {
    const server = await startScriptedElectrum(answer)
    opened.push(server)
    const { port } = server
    const reader = electrumReader({
      host: '127.0.0.1',
      port,
      tls: false,
      network: 'regtest',
      requestTimeoutMs: 5000,
      ...more,
    })
    opened.push(reader)
    return reader
  }
  const openBut = (lies: Readonly<Record<string, Said>>): Promise<CheckedBitcoinReader> =>
    openWith((asked) => line(asked, lies[asked.method] ?? honest(asked)))

  test('reads from a server that behaves', async () => {
    const reader = await openWith((asked) => line(asked, honest(asked)))
    expect(await reader.rawTransaction(txid, neverAborted)).toMatchObject({
      value: new Uint8Array(raw),
    })
    expect(await reader.confirmations(txid, neverAborted)).toMatchObject({ value: 3 })
    expect(await reader.outputStatus(txid, 0, neverAborted)).toMatchObject({
      value: { kind: 'unspent' },
    })
    expect(await reader.rawTransaction('22'.repeat(32), neverAborted)).toMatchObject({
      kind: 'notFound',
    })
    expect(await reader.check(neverAborted)).toMatchObject([{ ok: true }])
  })

  test.each<[string, unknown]>([
    ['below zero', { height: -1 }],
    ['a fraction', { height: 1.5 }],
    ['text', { height: '100' }],
    ['beyond all heights', { height: 2 ** 31 }],
    ['missing', {}],
    ['a list', [100]],
    ['nothing', null],
  ])('takes no tip that is %s', async (_, result) => {
    const reader = await openBut({ [subscribe]: { result } })
    for (const answer of [
      await reader.tipHeight(neverAborted),
      await reader.confirmations(txid, neverAborted),
    ]) {
      expect(answer).toMatchObject({ kind: 'unavailable', causes: [{ kind: 'badData' }] })
    }
  })

  test.each<[string, unknown]>([
    ['verbose', { hex: raw.toString('hex') }],
    ['null', null],
    ['cut off', raw.toString('hex').slice(2)],
    ['another', spender.toString('hex')],
  ])('takes no transaction that is %s', async (_, result) => {
    const reader = await openBut({ [get]: { result } })
    for (const answer of [
      await reader.rawTransaction(txid, neverAborted),
      await reader.confirmations(txid, neverAborted),
      await reader.outputStatus(txid, 0, neverAborted),
    ]) {
      expect(answer).toMatchObject({ kind: 'unavailable', causes: [{ kind: 'badData' }] })
    }
  })

  test.each<[string, unknown]>([
    ['is no list', {}],
    ['does not have the transaction', []],
    ['has a height below -1', [{ ...ours, height: -2 }]],
    ['has a height of text', [{ ...ours, height: '98' }]],
    ['has an id that is none', [{ tx_hash: txid.toUpperCase(), height: 98 }]],
    ['has entries of another type', [txid]],
    ['is longer than any', Array.from({ length: 100_001 }, () => 0)],
  ])('counts no confirmations from a history that %s', async (_, result) => {
    const reader = await openBut({ [history]: { result } })
    expect(await reader.confirmations(txid, neverAborted)).toMatchObject({
      kind: 'unavailable',
      causes: [{ kind: 'badData' }],
    })
  })

  test.each([
    [0, 0],
    [-1, 0],
    [1, 100],
    [100, 1],
    [101, 0],
    [5000, 0],
  ])('counts the confirmations of height %d below tip 100', async (height, expected) => {
    const reader = await openBut({ [history]: { result: [{ ...ours, height }] } })
    expect(await reader.confirmations(txid, neverAborted)).toMatchObject({ value: expected })
  })

  test('says "unavailable" when a history is too long for the server', async () => {
    const error = { code: 1, message: 'history too large' }
    const reader = await openBut({ [history]: { error }, [listunspent]: { error } })
    for (const answer of [
      await reader.confirmations(txid, neverAborted),
      await reader.outputStatus(txid, 0, neverAborted),
    ]) {
      expect(answer).toMatchObject({ kind: 'unavailable', causes: [{ kind: 'rpc' }] })
    }
  })

  test.each<[string, unknown, object]>([
    [
      'in a block',
      [ours, { tx_hash: spenderId, height: 99 }],
      { value: { kind: 'spent', by: spenderId } },
    ],
    [
      'in the mempool',
      [ours, { tx_hash: spenderId, height: 0 }],
      { value: { kind: 'spentInMempool', by: spenderId } },
    ],
    ['nowhere', [ours], { causes: [{ kind: 'badData' }] }],
    [
      'by a transaction nobody has',
      [ours, { tx_hash: '44'.repeat(32), height: 99 }],
      { causes: [{ kind: 'badData' }] },
    ],
    ['too far back to be found', manyAt(99), { value: { kind: 'spent', by: undefined } }],
    [
      'in the mempool, after many in blocks',
      [...manyAt(99), { tx_hash: spenderId, height: 0 }],
      { value: { kind: 'spentInMempool', by: spenderId } },
    ],
    [
      'among too many in the mempool',
      manyAt(0),
      { value: { kind: 'spentInMempool', by: undefined } },
    ],
  ])('an output that is not listed is spent %s', async (_, result, expected) => {
    const reader = await openBut({ [listunspent]: { result: [] }, [history]: { result } })
    expect(await reader.outputStatus(txid, 0, neverAborted)).toMatchObject(expected)
  })

  test('takes no unspent output of another value', async () => {
    const reader = await openBut({ [listunspent]: { result: [{ ...unspent, value: sats + 1 }] } })
    expect(await reader.outputStatus(txid, 0, neverAborted)).toMatchObject({
      causes: [{ kind: 'badData' }],
    })
  })

  test.each<[string, (asked: Asked) => string]>([
    ['no JSON', () => 'hello'],
    ['an empty line', () => ''],
    ['a list', () => '[]'],
    ['no id', () => '{"jsonrpc":"2.0","result":1}'],
    ['an id nobody used', () => '{"jsonrpc":"2.0","id":99,"result":1}'],
    ['an id of text', ({ id }) => `{"jsonrpc":"2.0","id":"${id}","result":1}`],
    ['no result', ({ id }) => `{"jsonrpc":"2.0","id":${id}}`],
    ['a line without end', () => 'x'.repeat(17 * 1024 * 1024)],
  ])('is told %s', async (_, say) => {
    const reader = await openWith((asked) =>
      asked.method === subscribe ? say(asked) : line(asked, honest(asked)),
    )
    expect(await reader.tipHeight(neverAborted)).toMatchObject({
      kind: 'unavailable',
      causes: [{ kind: 'badData' }],
    })
  })

  test('finds the answers to its questions in any order, between notifications', async () => {
    const held: string[] = []
    const reader = await openWith((asked, socket) => {
      const answer = line(asked, honest(asked))
      if (asked.method !== get) return answer
      held.push(answer, '{"jsonrpc":"2.0","method":"blockchain.headers.subscribe","params":[{}]}')
      if (held.length < 6) return undefined
      // Three lines cut at places that mean nothing.
      const text = Buffer.from(`${held.reverse().join('\n')}\n`)
      for (let at = 0; at < text.length; at += 97) socket.write(text.subarray(at, at + 97))
      return undefined
    })
    const answers = await Promise.all(
      [txid, spenderId, '55'.repeat(32)].map((id) => reader.rawTransaction(id, neverAborted)),
    )
    expect(answers).toMatchObject([
      { value: new Uint8Array(raw) },
      { value: new Uint8Array(spender) },
      { kind: 'notFound' },
    ])
  })

  test('an answer that comes too late belongs to no other question', async () => {
    let late: string | undefined
    const reader = await openWith(
      (asked, socket) => {
        const answer = line(asked, honest(asked))
        if (asked.method !== get) return answer
        if (asked.params[0] === txid) {
          // Something else is said meanwhile: the connection is alive, only this answer is not there.
          socket.write('{"jsonrpc":"2.0","method":"x","params":[]}\n')
          late = answer
          return undefined
        }
        return late === undefined ? answer : `${late}\n${answer}`
      },
      { requestTimeoutMs: 300 },
    )
    expect(await reader.rawTransaction(txid, neverAborted)).toMatchObject({
      causes: [{ kind: 'timeout' }],
    })
    expect(await reader.rawTransaction(spenderId, neverAborted)).toMatchObject({
      value: new Uint8Array(spender),
    })
  })

  test.each<[string, Record<string, Said>, string]>([
    [
      'features of another network',
      { 'server.features': { result: { genesis_hash: genesisHashes.mainnet[0] } } },
      'wrongNetwork',
    ],
    [
      'features with a hash that is none',
      { 'server.features': { result: { genesis_hash: 4 } } },
      'badData',
    ],
    [
      'no features and no first block',
      { 'server.features': { error: { code: -32601, message: 'no' } } },
      'rpc',
    ],
    ['another version of the protocol', { 'server.version': { result: ['x', '1.1'] } }, 'badData'],
    ['no version', { 'server.version': { result: null } }, 'badData'],
    ['a refusal', { 'server.version': { error: 'excessive resource usage' } }, 'rpc'],
  ])('trusts no server that introduces itself with %s', async (_, lies, kind) => {
    const reader = await openBut(lies)
    expect(await reader.tipHeight(neverAborted)).toMatchObject({
      kind: 'unavailable',
      causes: [{ kind }],
    })
    expect(await reader.check(neverAborted)).toMatchObject([{ ok: false }])
  })

  test('knows the network by the first block where a server has no features', async () => {
    const lies = {
      'server.features': { error: { code: -32601, message: 'no' } },
      'blockchain.block.header': { result: regtestHeader },
    }
    expect(await (await openBut(lies)).tipHeight(neverAborted)).toMatchObject({ value: 100 })
    const other = regtestHeader.replace('dae5494d', '29ab5f49')
    const wrong = await openBut({ ...lies, 'blockchain.block.header': { result: other } })
    expect(await wrong.tipHeight(neverAborted)).toMatchObject({
      causes: [{ kind: 'wrongNetwork' }],
    })
  })

  test('waits before it tries a server again that does not let it in', async () => {
    let introductions = 0
    const reader = await openWith((asked) => {
      if (asked.method === 'server.version') introductions += 1
      return line(asked, { error: { code: 1, message: 'go away' } })
    })
    for (let tries = 0; tries < 20; tries++) {
      expect((await reader.tipHeight(neverAborted)).kind).toBe('unavailable')
    }
    expect(introductions).toBeLessThan(5)
    await vi.waitFor(async () => {
      await reader.tipHeight(neverAborted)
      expect(introductions).toBeGreaterThan(1)
    }, 5000)
  })

  test('asks a silent server for a sign of life', async () => {
    const pings: number[] = []
    const reader = await openWith(
      (asked) => {
        if (asked.method === 'server.ping') pings.push(asked.id)
        return line(asked, asked.method === 'server.ping' ? { result: null } : honest(asked))
      },
      { keepAliveMs: 20 },
    )
    await reader.tipHeight(neverAborted)
    await vi.waitFor(() => expect(pings.length).toBeGreaterThan(1), 5000)
  })

  test('drops a connection that does not answer a ping, and makes another when it is asked', async () => {
    let introductions = 0
    const reader = await openWith(
      (asked) => {
        if (asked.method === 'server.ping') return undefined
        if (asked.method === 'server.version') introductions += 1
        return line(asked, honest(asked))
      },
      { keepAliveMs: 20, connectTimeoutMs: 1000 },
    )
    await vi.waitFor(
      async () => {
        expect((await reader.tipHeight(neverAborted)).kind).toBe('found')
        expect(introductions).toBeGreaterThan(1)
      },
      { timeout: 10_000, interval: 1200 },
    )
  })

  test('answers "unavailable" to those who wait when it is closed, and afterwards', async () => {
    const reader = await openWith((asked) =>
      asked.method === subscribe ? undefined : line(asked, honest(asked)),
    )
    expect((await reader.rawTransaction(txid, neverAborted)).kind).toBe('found')
    const waiting = reader.tipHeight(neverAborted)
    await reader.close()
    for (const answer of [await waiting, await reader.tipHeight(neverAborted)]) {
      expect(answer).toMatchObject({ kind: 'unavailable', causes: [{ kind: 'connection' }] })
    }
  })

  test('answers something to any JSON, and finds only what proves itself', async () => {
    let said: unknown = null
    let liar = ''
    const reader = await openWith((asked) =>
      line(asked, asked.method === liar ? { result: said } : honest(asked)),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(get, history, listunspent, subscribe),
        fc.jsonValue(),
        async (method, value) => {
          liar = method
          said = value
          const found = await reader.rawTransaction(txid, neverAborted)
          expect(found.kind).toBe(method === get ? 'unavailable' : 'found')
          const status = await reader.outputStatus(txid, 0, neverAborted)
          expect(status.kind === 'found').toBe(method !== get && method !== listunspent)
          const depth = await reader.confirmations(txid, neverAborted)
          expect(depth.kind === 'found').toBe(method === listunspent)
        },
      ),
      { numRuns: 100 },
    )
  })

  test('refuses what cannot be meant', () => {
    const options = { host: 'h', network: 'regtest', requestTimeoutMs: 1, tls: false } as const
    expect(() => electrumReader({ ...options, port: 0 })).toThrow(RangeError)
    const tls = { pinnedFingerprint: 'abc' }
    expect(() => electrumReader({ ...options, port: 1, tls })).toThrow(RangeError)
  })
})
