import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { neverAborted } from '../../../src/base/abort.js'
import { genesisHashes } from '../../../src/chain/bitcoin/answer.js'
import type { CheckedBitcoinReader } from '../../../src/chain/bitcoin/reader.js'
import { type BitcoinRpcOptions, bitcoinRpcReader } from '../../../src/chain/bitcoin/rpc.js'
import { decodeTransaction } from '../../../src/chain/bitcoin/transaction.js'
import { type Reply, startScriptedNode } from './scripted-servers.js'
import { fundedSats, payToWitnessScriptHash, spendOf, witnessScript } from './world.js'

const raw = spendOf({ txid: '11'.repeat(32), vout: 0 }, 1)
const txid = decodeTransaction(raw)?.txid ?? ''
const sats = Number(fundedSats - 10_000n)
const scriptHex = payToWitnessScriptHash(witnessScript(65)).toString('hex')
const spender = spendOf({ txid, vout: 0 }, 2)
const spenderId = decodeTransaction(spender)?.txid ?? ''
const [regtest] = genesisHashes.regtest
const coin = { value: sats / 1e8, scriptPubKey: { hex: scriptHex }, confirmations: 3 }
const chainInfo = { blocks: 100, headers: 100, initialblockdownload: false }
const unknown = { error: { code: -5, message: 'No such mempool or blockchain transaction.' } }

/** A node as Bitcoin Core is, with one unspent output. */
function honest(method: string, params: readonly unknown[]): Reply {
  switch (method) {
    case 'getblockhash':
      return { result: regtest }
    case 'getblockchaininfo':
      return { result: chainInfo }
    case 'getindexinfo':
      return { result: { txindex: { synced: true, best_block_height: 100 } } }
    case 'getblockcount':
      return { result: 100 }
    case 'gettxout':
      return { result: coin }
    case 'gettxspendingprevout':
      return { result: [{ txid, vout: 0, spendingtxid: spenderId }] }
    case 'getrawtransaction': {
      const known = new Map([
        [txid, raw],
        [spenderId, spender],
      ]).get(String(params[0]))
      if (!known) return unknown
      const hex = known.toString('hex')
      return { result: params[1] ? { hex, confirmations: 3, blockhash: regtest } : hex }
    }
    default:
      return { error: { code: -32601, message: 'Method not found' } }
  }
}

describe('bitcoinRpcReader before a node that cannot be trusted', () => {
  const opened: { close?(): Promise<void>; stop?(): Promise<void> }[] = []
  afterEach(async () => {
    for (const each of opened.splice(0).reverse()) await (each.close?.() ?? each.stop?.())
  })
  const openWith = async (
    answer: Parameters<typeof startScriptedNode>[0],
    more: Partial<BitcoinRpcOptions> = {},
  ): Promise<CheckedBitcoinReader> => {
    const node = await startScriptedNode(answer)
    opened.push(node)
    const url = `http://127.0.0.1:${node.port}/path-of-a-key`
    const reader = bitcoinRpcReader({ url, network: 'regtest', requestTimeoutMs: 5000, ...more })
    opened.push(reader)
    return reader
  }
  /** Everything is honest but the answer to one method. */
  const openBut = (but: string, reply: Reply): Promise<CheckedBitcoinReader> =>
    openWith(({ method, params }) => (method === but ? reply : honest(method, params)))

  test('reads from a node that behaves', async () => {
    const reader = await openWith(({ method, params }) => honest(method, params))
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
    const [check] = await reader.check(neverAborted)
    expect(check).toMatchObject({
      ok: true,
      source: expect.stringMatching(/^http:\/\/127.0.0.1:\d+$/),
    })
  })

  const hex = raw.toString('hex')
  const other = spender.toString('hex')
  test.each<[string, unknown]>([
    ['getblockcount', -1],
    ['getblockcount', 1.5],
    ['getblockcount', '100'],
    ['getblockcount', 1e300],
    ['getblockcount', 2 ** 31],
    ['getblockcount', null],
    ['getblockhash', 7],
    ['getblockhash', 'x'.repeat(64)],
    ['getblockchaininfo', []],
    ['getblockchaininfo', { blocks: -1, headers: 100 }],
    ['getblockchaininfo', { blocks: 100 }],
  ])('takes no tip when %s says %j', async (method, result) => {
    const answer = await (await openBut(method, { result })).tipHeight(neverAborted)
    expect(answer).toMatchObject({ kind: 'unavailable', causes: [{ kind: 'badData' }] })
  })

  test.each<[string, unknown]>([
    ['number', 5],
    ['null', null],
    ['list', [hex]],
    ['empty text', ''],
    ['no hex', `${hex.slice(0, -2)}zz`],
    ['half a byte', hex.slice(1)],
    ['one byte less', hex.slice(2)],
    ['one byte more', `${hex}00`],
    ['another transaction', other],
  ])('takes no transaction that is %s', async (_, bad) => {
    const reader = await openWith(({ method, params }) => {
      if (method !== 'getrawtransaction') return honest(method, params)
      return { result: params[1] ? { hex: bad, confirmations: 3 } : bad }
    })
    for (const answer of [
      await reader.rawTransaction(txid, neverAborted),
      await reader.confirmations(txid, neverAborted),
      await reader.outputStatus(txid, 0, neverAborted),
    ]) {
      expect(answer).toMatchObject({ kind: 'unavailable', causes: [{ kind: 'badData' }] })
    }
  })

  test.each<[string, unknown]>([
    ['negative', { hex, confirmations: -1 }],
    ['a fraction', { hex, confirmations: 0.5 }],
    ['text', { hex, confirmations: '6' }],
    ['left out in a block', { hex, blockhash: regtest }],
  ])('takes no number of confirmations that is %s', async (_, result) => {
    const reader = await openBut('getrawtransaction', { result })
    for (const answer of [
      await reader.confirmations(txid, neverAborted),
      await reader.outputStatus(txid, 0, neverAborted),
    ]) {
      expect(answer).toMatchObject({ kind: 'unavailable', causes: [{ kind: 'badData' }] })
    }
  })

  test.each<[string, unknown]>([
    ['of another value', { ...coin, value: coin.value + 1e-8 }],
    ['of another script', { ...coin, scriptPubKey: { hex: '51' } }],
    ['without script', { value: coin.value }],
    ['of text', { ...coin, value: '0.0099' }],
    ['that is true', true],
  ])('takes no unspent output %s', async (_, result) => {
    const answer = await (await openBut('gettxout', { result })).outputStatus(txid, 0, neverAborted)
    expect(answer).toMatchObject({ kind: 'unavailable', causes: [{ kind: 'badData' }] })
  })

  test.each<[string, unknown, object]>([
    [
      'does not know the call',
      undefined,
      { kind: 'found', value: { kind: 'spentInMempool', by: undefined } },
    ],
    ['names nobody', [{ txid, vout: 0 }], { value: { kind: 'spentInMempool', by: undefined } }],
    [
      'names the spender',
      [{ spendingtxid: spenderId }],
      { value: { kind: 'spentInMempool', by: spenderId } },
    ],
    ['names another', [{ spendingtxid: txid }], { causes: [{ kind: 'badData' }] }],
    ['names no id', [{ spendingtxid: 4 }], { causes: [{ kind: 'badData' }] }],
    ['gives no list', { spendingtxid: spenderId }, { causes: [{ kind: 'badData' }] }],
  ])('asks who spends in the mempool, and the node %s', async (_, result, expected) => {
    const reader = await openWith(({ method, params }) => {
      if (method === 'gettxout') return { result: params[2] ? null : coin }
      if (method !== 'gettxspendingprevout') return honest(method, params)
      return result === undefined
        ? { error: { code: -32601, message: 'Method not found' } }
        : { result }
    })
    expect(await reader.outputStatus(txid, 0, neverAborted)).toMatchObject(expected)
  })

  test.each<[string, Reply, string]>([
    ['no JSON', { body: '<html>' }, 'badData'],
    ['nothing', { body: '' }, 'badData'],
    ['a list', { body: '[]' }, 'badData'],
    ['no result', { body: '{"id":1}' }, 'badData'],
    ['the answer to another request', { body: '{"id":77,"result":100,"error":null}' }, 'badData'],
    ['an error that is text', { error: 'no' }, 'badData'],
    ['an error without code', { error: { message: 'no' } }, 'badData'],
    ['more than any answer', { body: Buffer.alloc(33 * 1024 * 1024, 0x20) }, 'badData'],
    ['a page of a proxy', { status: 502, body: '<html>' }, 'http'],
    ['a redirection', { status: 302, body: '', location: 'http://127.0.0.1:1/' }, 'http'],
    ['a refusal of our credentials', { status: 401, body: '' }, 'http'],
    ['a failure of its own', { error: { code: -32603, message: 'internal\n\u001b[31m' } }, 'rpc'],
    ['that it warms up', { error: { code: -28, message: 'Loading block index...' } }, 'notSynced'],
  ])('is told %s', async (_, reply, kind) => {
    const answer = await (await openBut('getblockcount', reply)).tipHeight(neverAborted)
    expect(answer).toMatchObject({ kind: 'unavailable', causes: [{ kind }] })
    if (answer.kind !== 'unavailable') return
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none may reach a log
    expect(answer.causes[0]?.error.message).not.toMatch(/[\u0000-\u001f]|path-of-a-key/)
  })

  test.each<[string, object, string]>([
    ['-5', { code: -5, message: 'whatever it says' }, 'notFound'],
    ['-1 with its text', { code: -1, message: 'Transaction not found.' }, 'notFound'],
    [
      '-1 with another text',
      { code: -1, message: 'getrawtransaction "txid" ( verbose )' },
      'unavailable',
    ],
    ['no method', { code: -32601, message: 'Method not found' }, 'unavailable'],
    ['no index', { code: -5, message: 'No such mempool transaction. Use -txindex' }, 'unavailable'],
    [
      'half an index',
      { code: -5, message: 'transactions are still in the process of being indexed' },
      'unavailable',
    ],
  ])('tells "not found" from everything else: %s', async (_, error, kind) => {
    const reader = await openBut('getrawtransaction', { error })
    expect((await reader.rawTransaction(txid, neverAborted)).kind).toBe(kind)
    expect((await reader.confirmations(txid, neverAborted)).kind).toBe(kind)
    expect((await reader.outputStatus(txid, 0, neverAborted)).kind).toBe(kind)
  })

  test('is not ready without transaction index, and says what to do', async () => {
    const lacking: [string, Reply][] = [
      ['getindexinfo', { result: {} }],
      ['getindexinfo', { result: { txindex: { synced: false } } }],
    ]
    for (const [method, reply] of lacking) {
      const [check] = await (await openBut(method, reply)).check(neverAborted)
      expect(check).toMatchObject({
        ok: false,
        detail: expect.stringContaining('transaction index'),
      })
    }
    const old = await openWith(({ method, params }) => {
      if (method === 'getindexinfo') return { error: { code: -32601, message: 'Method not found' } }
      if (method === 'getblock') return { result: { tx: ['33'.repeat(32)] } }
      return honest(method, params)
    })
    const [check] = await old.check(neverAborted)
    expect(check).toMatchObject({ ok: false, remedy: expect.stringContaining('txindex=1') })
  })

  test.each([
    { ...chainInfo, initialblockdownload: true },
    { ...chainInfo, headers: 107 },
  ])('waits for a node that is not synced: %j', async (result) => {
    const reader = await openBut('getblockchaininfo', { result })
    for (const answer of [
      await reader.tipHeight(neverAborted),
      await reader.rawTransaction('22'.repeat(32), neverAborted),
    ]) {
      expect(answer).toMatchObject({ kind: 'unavailable', causes: [{ kind: 'notSynced' }] })
    }
    expect((await reader.check(neverAborted))[0]).toMatchObject({ ok: false })
  })

  test('reads the cookie file again when the node was restarted', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'holdfast-cookie-'))
    const cookieFile = join(dir, '.cookie')
    try {
      let cookie = '__cookie__:first'
      const reader = await openWith(
        ({ method, params }, { authorization }) =>
          authorization === `Basic ${Buffer.from(cookie).toString('base64')}`
            ? honest(method, params)
            : { status: 401, body: '' },
        { cookieFile },
      )
      expect(await reader.tipHeight(neverAborted)).toMatchObject({
        causes: [{ kind: 'connection' }],
      })
      for (cookie of ['__cookie__:first', '__cookie__:second']) {
        writeFileSync(cookieFile, `${cookie}\n`)
        expect(await reader.tipHeight(neverAborted)).toMatchObject({ kind: 'found', value: 100 })
      }
    } finally {
      rmSync(dir, { recursive: true })
    }
  })

  test('sends user and password, keeps a copy of its own, and shows them nowhere', async () => {
    const password = Buffer.from('päss')
    const wanted = `Basic ${Buffer.from('me:päss').toString('base64')}`
    const isRight: boolean[] = []
    const reader = await openWith(
      ({ method, params }, { authorization }) => {
        isRight.push(authorization === wanted)
        return method === 'getblockcount' ? { status: 403, body: '' } : honest(method, params)
      },
      { user: 'me', password },
    )
    password.fill(0)
    const answer = await reader.tipHeight(neverAborted)
    expect(isRight).toEqual([true, true, true])
    expect(JSON.stringify(answer)).not.toContain('päss')
    const kept = Buffer.from('kept')
    await bitcoinRpcReader({
      url: 'http://127.0.0.1:1',
      password: kept,
      network: 'regtest',
      requestTimeoutMs: 1,
    }).close()
    expect(kept.toString()).toBe('kept')
  })

  test('refuses what cannot be meant', () => {
    const options = { network: 'regtest', requestTimeoutMs: 1 } as const
    const password = Buffer.from('p')
    for (const bad of [
      { url: 'ftp://127.0.0.1' },
      { url: 'http://me:secret@127.0.0.1' },
      { url: 'http://127.0.0.1', password, cookieFile: 'x' },
    ]) {
      expect(() => bitcoinRpcReader({ ...options, ...bad })).toThrow(RangeError)
    }
  })

  test('answers something to any JSON, and finds only what proves itself', async () => {
    let said: unknown = null
    let liar = ''
    const reader = await openWith(({ method, params }) =>
      method === liar ? { result: said } : honest(method, params),
    )
    const methods = ['getrawtransaction', 'gettxout', 'gettxspendingprevout', 'getblockcount']
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...methods), fc.jsonValue(), async (method, value) => {
        liar = method
        said = value
        const found = await reader.rawTransaction(txid, neverAborted)
        expect(found.kind).toBe(method === 'getrawtransaction' ? 'unavailable' : 'found')
        const status = await reader.outputStatus(txid, 0, neverAborted)
        if (method === 'gettxout' && value === null) expect(status.kind).toBe('found')
        else expect(status.kind === 'found').toBe(/prevout|count/.test(method))
        await reader.tipHeight(neverAborted)
      }),
      { numRuns: 100 },
    )
  })
})
