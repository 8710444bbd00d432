import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { hasBcoin } from '../../../devnet/bitcoin.js'
import { startElectrumServer } from '../../../devnet/electrum-server.js'
import {
  startTcpFaultProxy,
  type TcpFault,
  type TcpFaultProxy,
} from '../../../devnet/fault-proxy-tcp.js'
import { neverAborted } from '../../../src/base/abort.js'
import { bitcoinReader } from '../../../src/chain/bitcoin/combined.js'
import { electrumReader } from '../../../src/chain/bitcoin/electrum.js'
import type {
  BitcoinNetwork,
  CheckedBitcoinReader,
  Lookup,
  OutputStatus,
} from '../../../src/chain/bitcoin/reader.js'
import { bitcoinRpcReader } from '../../../src/chain/bitcoin/rpc.js'
import { bitcoinSource } from '../../../src/chain/bitcoin/source.js'
import { electrumScriptHash } from '../../../src/chain/bitcoin/transaction.js'
import { readerCases } from './reader-cases.js'
import { startWorld, type World } from './world.js'

const isInstalled = hasBcoin()
if (!isInstalled)
  console.warn('SKIPPED: bcoin is not installed, no Bitcoin reader was tested on a node')

type Making = { port: number; network?: BitcoinNetwork; requestTimeoutMs?: number }
type Adapter = {
  readonly name: string
  readonly knows: { readonly blockSpender: boolean }
  serverPort(): number
  make(making: Making): CheckedBitcoinReader
}

let world: World
const adapters: readonly Adapter[] = [
  {
    name: 'JSON-RPC',
    knows: { blockSpender: false },
    serverPort: () => Number(new URL(world.devnet.rpcUrl).port),
    make: ({ port, network = 'regtest', requestTimeoutMs = 10_000 }) => {
      const { user, password } = world.devnet
      const url = `http://127.0.0.1:${port}`
      return bitcoinRpcReader({ url, user, password, network, requestTimeoutMs })
    },
  },
  {
    name: 'Electrum',
    knows: { blockSpender: true },
    serverPort: () => world.electrum.port,
    make: ({ port, network = 'regtest', requestTimeoutMs = 10_000 }) =>
      electrumReader({ host: '127.0.0.1', port, tls: false, network, requestTimeoutMs }),
  },
]

/** The same answer from a source that does not tell who spends: a bit in the name of a field has that effect. */
function unnamed(answer: Lookup<unknown>): unknown {
  if (answer.kind !== 'found' || answer.value instanceof Uint8Array) return answer
  const status = answer.value as OutputStatus
  return status.kind === 'unspent' ? answer : { ...answer, value: { ...status, by: undefined } }
}

async function independentClient() {
  const ElectrumClient = createRequire(import.meta.url)('@mempool/electrum-client')
  const quiet = { onLog: () => undefined }
  const client = new ElectrumClient(world.electrum.port, '127.0.0.1', 'tcp', null, quiet)
  return client.initElectrum({ client: 'test', version: '1.4' })
}

describe.skipIf(!isInstalled)('Bitcoin readers on a real node', () => {
  const opened: { close(): Promise<void> }[] = []
  beforeAll(async () => {
    world = await startWorld()
  }, 60_000)
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((each) => each.close()))
  })
  afterAll(async () => {
    await world?.stop()
  })
  const keep = <T extends { close(): Promise<void> }>(each: T): T => {
    opened.push(each)
    return each
  }

  describe.each(adapters)('$name', (adapter) => {
    let proxy: TcpFaultProxy
    beforeAll(async () => {
      proxy = await startTcpFaultProxy(adapter.serverPort())
    })
    afterAll(async () => {
      await proxy?.stop()
    })
    afterEach(() => proxy.set({ kind: 'none' }))
    const open = (more: Partial<Making> = {}): CheckedBitcoinReader =>
      keep(adapter.make({ port: proxy.port, ...more }))
    const rightAnswer = (each: (typeof readerCases)[number], source: string): Lookup<unknown> => {
      const value = each.expected(world, adapter.knows)
      if (value === undefined) return { kind: 'notFound', sources: [source] }
      return { kind: 'found', value, sources: [source] }
    }
    const sourceOf = async (reader: CheckedBitcoinReader): Promise<string> =>
      (await reader.check(neverAborted))[0]?.source ?? ''

    test.each(readerCases)('answers $name', async (each) => {
      const reader = open()
      const answer = await each.ask(reader, world, neverAborted)
      expect(answer).toEqual(rightAnswer(each, await sourceOf(reader)))
    })

    test('answers all questions at once over the connections it has', async () => {
      const reader = open()
      const source = await sourceOf(reader)
      const answers = readerCases.map((each) => each.ask(reader, world, neverAborted))
      const expected = readerCases.map((each) => rightAnswer(each, source))
      expect(await Promise.all(answers)).toEqual(expected)
    })

    test.each<{ fault: TcpFault; kinds: string[]; timeoutMs?: number }>([
      { fault: { kind: 'hang' }, kinds: ['timeout'], timeoutMs: 200 },
      { fault: { kind: 'delay', ms: 5000 }, kinds: ['timeout'], timeoutMs: 200 },
      { fault: { kind: 'reset' }, kinds: ['connection'] },
      { fault: { kind: 'refuse' }, kinds: ['connection'] },
      { fault: { kind: 'truncate', bytes: 20 }, kinds: ['connection', 'badData'] },
      { fault: { kind: 'truncate', bytes: 0 }, kinds: ['connection'] },
    ])('says "unavailable" to every question under $fault', async ({ fault, kinds, timeoutMs }) => {
      proxy.set(fault)
      for (const answer of await Promise.all(
        readerCases.map((each) =>
          each.ask(open({ requestTimeoutMs: timeoutMs ?? 10_000 }), world, neverAborted),
        ),
      )) {
        expect(answer.kind).toBe('unavailable')
        if (answer.kind === 'unavailable') expect(kinds).toContain(answer.causes[0]?.kind)
      }
    })

    test.each<TcpFault>([{ kind: 'hang' }, { kind: 'reset' }, { kind: 'truncate', bytes: 20 }])(
      'works again after $kind on a connection that had worked',
      async (fault) => {
        const reader = open({ requestTimeoutMs: fault.kind === 'hang' ? 300 : 10_000 })
        await vi.waitFor(async () => {
          expect((await reader.tipHeight(neverAborted)).kind).toBe('found')
        }, 10_000)
        proxy.set(fault)
        expect((await reader.tipHeight(neverAborted)).kind).toBe('unavailable')
        proxy.set({ kind: 'none' })
        await vi.waitFor(async () => {
          expect((await reader.tipHeight(neverAborted)).kind).toBe('found')
        }, 10_000)
      },
    )

    test('waits for an answer that is late but in time', async () => {
      proxy.set({ kind: 'delay', ms: 30 })
      expect(await open().tipHeight(neverAborted)).toMatchObject({ kind: 'found', value: 453 })
    })

    test('takes no other transaction for the one it asked for', async () => {
      const to = world.alsoUnspent.txid
      const asking = readerCases.filter((each) => each.txid(world) !== undefined)
      expect(asking.length).toBeGreaterThan(8)
      for (const each of asking) {
        const reader = open()
        expect((await reader.tipHeight(neverAborted)).kind).toBe('found')
        proxy.set({ kind: 'ask', from: each.txid(world) ?? '', to })
        const answer = await each.ask(reader, world, neverAborted)
        expect(answer, each.name).toMatchObject({
          kind: 'unavailable',
          causes: [{ kind: 'badData' }],
        })
      }
    })

    test('takes no transaction of which one digit is wrong', async () => {
      const from = Buffer.from(world.unspent.scriptPubKey).toString('hex')
      const to = `${from.slice(0, -1)}${from.endsWith('0') ? '1' : '0'}`
      const reader = open()
      proxy.set({ kind: 'say', from, to })
      const { txid, vout } = world.unspent
      for (const answer of [
        await reader.rawTransaction(txid, neverAborted),
        await reader.confirmations(txid, neverAborted),
        await reader.outputStatus(txid, vout, neverAborted),
      ]) {
        expect(answer).toMatchObject({ kind: 'unavailable', causes: [{ kind: 'badData' }] })
      }
    })

    test('never answers wrongly when one bit of the answers is flipped', async () => {
      const asked = readerCases.filter(({ name }) =>
        /raw transaction: in a block|status: (unspent|spent in the mempool)$/.test(name),
      )
      expect(asked).toHaveLength(3)
      const source = await sourceOf(open())
      for (const each of asked) {
        proxy.set({ kind: 'none' })
        await each.ask(open(), world, neverAborted)
        const size = proxy.passedBytes()
        const right = rightAnswer(each, source)
        const places = 25
        let unavailable = 0
        for (let place = 0; place < places; place++) {
          const at = Math.floor(((place + 0.5) * size) / places)
          proxy.set({ kind: 'flip', at, bit: place % 8 })
          const reader = open({ requestTimeoutMs: 300 })
          const answer = await each.ask(reader, world, neverAborted)
          await reader.close()
          if (answer.kind === 'unavailable') unavailable += 1
          else expect([right, unnamed(right)], `${each.name}, byte ${at}`).toContainEqual(answer)
        }
        expect(unavailable).toBeGreaterThan(0)
      }
    })

    test('refuses a source on another network', async () => {
      const reader = open({ network: 'mainnet' })
      for (const each of readerCases) {
        const answer = await each.ask(reader, world, neverAborted)
        expect(answer).toMatchObject({ kind: 'unavailable', causes: [{ kind: 'wrongNetwork' }] })
      }
      const [check] = await reader.check(neverAborted)
      expect(check).toMatchObject({ ok: false, detail: expect.stringContaining('not on mainnet') })
      expect(check?.remedy).toContain('bitcoin.network')
    })

    test('is ready on the right network, and says with which height', async () => {
      const [check, ...others] = await open().check(neverAborted)
      expect(others).toEqual([])
      expect(check).toMatchObject({ ok: true, detail: expect.stringContaining('height 453') })
    })

    test('rejects only for its caller: when the signal fires, and for what is no id', async () => {
      proxy.set({ kind: 'hang' })
      const reader = open()
      const abort = new AbortController()
      const waiting = reader.tipHeight(abort.signal)
      abort.abort()
      await expect(waiting).rejects.toMatchObject({ code: 'Aborted' })
      await expect(reader.tipHeight(abort.signal)).rejects.toMatchObject({ code: 'Aborted' })
      await expect(reader.rawTransaction('AB'.repeat(32), neverAborted)).rejects.toThrow(RangeError)
      const { txid } = world.unspent
      await expect(reader.outputStatus(txid, -1, neverAborted)).rejects.toThrow(RangeError)
    })
  })

  describe('Electrum over TLS', () => {
    const open = (tls: boolean | { pinnedFingerprint: string }): CheckedBitcoinReader => {
      const port = world.electrum.tlsPort
      const host = '127.0.0.1'
      const requestTimeoutMs = 10_000
      return keep(electrumReader({ host, port, tls, network: 'regtest', requestTimeoutMs }))
    }

    test('accepts the pinned certificate', async () => {
      const { fingerprint } = world.electrum.certificate
      const colons = fingerprint.toUpperCase().match(/../g)?.join(':') ?? ''
      for (const pinnedFingerprint of [fingerprint, colons]) {
        const answer = await open({ pinnedFingerprint }).rawTransaction(
          world.unspent.txid,
          neverAborted,
        )
        expect(answer).toMatchObject({ kind: 'found' })
      }
    })

    test('accepts a certificate of an authority that this process trusts, for its name only', async () => {
      const dir = mkdtempSync(join(tmpdir(), 'holdfast-tls-'))
      try {
        const authority = join(dir, 'authority.pem')
        writeFileSync(authority, world.electrum.certificate.cert)
        const child = fileURLToPath(new URL('./ask-tip.ts', import.meta.url))
        const command = ['--import', import.meta.resolve('tsx'), child]
        const ask = (host: string): Promise<string> =>
          promisify(execFile)(
            process.execPath,
            [...command, `ssl://${host}:${world.electrum.tlsPort}`],
            { env: { ...process.env, NODE_EXTRA_CA_CERTS: authority } },
          ).then(({ stdout }) => stdout.trim())
        const said = await Promise.all(['127.0.0.1', 'localhost', '127.1'].map(ask))
        expect(said).toEqual(['found', 'found', 'connection'])
      } finally {
        rmSync(dir, { recursive: true })
      }
    })

    test('refuses another certificate than the pinned one, and one that nobody vouches for', async () => {
      for (const tls of [true, { pinnedFingerprint: '00'.repeat(32) }]) {
        const answer = await open(tls).tipHeight(neverAborted)
        expect(answer).toMatchObject({ kind: 'unavailable', causes: [{ kind: 'connection' }] })
      }
    })
  })

  test('keeps one Electrum connection, and opens another after the server has ended it', async () => {
    const electrum = await startElectrumServer(world.devnet)
    try {
      const { port } = electrum
      const url = `tcp://127.0.0.1:${port}`
      const reader = keep(bitcoinSource({ url, network: 'regtest', requestTimeoutMs: 10_000 }))
      for (const each of readerCases) await each.ask(reader, world, neverAborted)
      expect(electrum.connections()).toBe(1)
      electrum.disconnectAll()
      await vi.waitFor(async () => {
        expect((await reader.tipHeight(neverAborted)).kind).toBe('found')
      }, 10_000)
    } finally {
      await electrum.stop()
    }
  })

  test('the Electrum server tells an independent client the same', async () => {
    const client = await independentClient()
    try {
      const { txid, raw, scriptPubKey } = world.spentInBlock
      const hash = electrumScriptHash(new Uint8Array(scriptPubKey))
      expect(client.versionInfo).toEqual(['devnet 1', '1.4'])
      expect(await client.blockchainTransaction_get(txid)).toBe(Buffer.from(raw).toString('hex'))
      await expect(client.blockchainTransaction_get(txid, true)).rejects.toThrow(/verbose/)
      expect(await client.blockchainScripthash_getHistory(hash)).toEqual([
        { tx_hash: txid, height: 451 },
        { tx_hash: world.spentInBlock.by, height: 452 },
      ])
      expect(await client.blockchainScripthash_listunspent(hash)).toEqual([])
      const unspentHash = electrumScriptHash(new Uint8Array(world.unspent.scriptPubKey))
      expect(await client.blockchainScripthash_listunspent(unspentHash)).toEqual([
        { tx_hash: world.unspent.txid, tx_pos: world.unspent.vout, height: 451, value: 1_000_000 },
      ])
      expect(await client.blockchainHeaders_subscribe()).toMatchObject({ height: 453 })
    } finally {
      client.close()
    }
  })

  test('follows the chain: a spend gets its block, a reorganisation takes it back', async () => {
    const { txid, vout, by } = world.spentInMempool
    const sources = [
      { url: world.devnet.rpcUrl, user: world.devnet.user, password: world.devnet.password },
      { url: `tcp://127.0.0.1:${world.electrum.port}` },
    ].map((each) => bitcoinSource({ ...each, network: 'regtest', requestTimeoutMs: 10_000 }))
    const names = (await Promise.all(sources.map((each) => each.check(neverAborted))))
      .flat()
      .map(({ source }) => source)
    const reader = keep(bitcoinReader(sources))
    const ask = (): Promise<unknown> => reader.outputStatus(txid, vout, neverAborted)
    const client = await independentClient()
    try {
      const announced = new Promise((resolve) => {
        client.subscribe.on('blockchain.headers.subscribe', resolve)
      })
      await client.blockchainHeaders_subscribe()
      const value = { kind: 'spentInMempool', by }
      expect(await ask()).toEqual({ kind: 'found', value, sources: names })
      const tip = await world.devnet.mine(1)
      expect(await announced).toMatchObject([{ height: tip }])
      expect(await ask()).toEqual({ kind: 'found', value: { kind: 'spent', by }, sources: names })
      await world.devnet.rewind(tip - 1)
      expect(await ask()).toMatchObject({ kind: 'found', value: { kind: 'unspent' } })
      const missing = await reader.confirmations(by, neverAborted)
      expect(missing).toEqual({ kind: 'notFound', sources: names })
    } finally {
      client.close()
    }
  })
})
