import { createServer } from 'node:net'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { DevnetWallet } from '../../../devnet/evm.js'
import {
  type FaultProxy,
  type HttpFault,
  startFaultProxy,
} from '../../../devnet/fault-proxy-http.js'
import {
  type ChainFault,
  ChainUnavailable,
  type EthereumReader,
  type EthereumReaderOptions,
  ethereumReader,
  WalletNotFound,
  walletStates,
} from '../../../src/chain/index.js'
import { keptWarnings, missing, secretOf, tbtc } from './tbtc.js'

/** Given to what hangs; everything else has time enough for a busy machine. */
const hurriedMs = 400

describe.runIf(missing === undefined)('an Ethereum reader', () => {
  const world = tbtc()
  const { devnet } = world
  let wallet: DevnetWallet
  let second: FaultProxy | undefined

  const reader = (more: Partial<EthereumReaderOptions> = {}): EthereumReader =>
    ethereumReader({
      endpoints: [world.proxy.url],
      bridgeAddress: devnet.bridge,
      chainId: devnet.chainId,
      requestTimeoutMs: 15_000,
      registryTimeoutMs: 15_000,
      ...more,
    })

  /** Reads through the proxy first and through another one after it. */
  async function withSecond(more: Partial<EthereumReaderOptions> = {}): Promise<{
    readonly both: EthereumReader
    readonly other: FaultProxy
  }> {
    const other = await startFaultProxy(devnet.url)
    second = other
    return { both: reader({ endpoints: [world.proxy.url, other.url], ...more }), other }
  }

  beforeAll(async () => {
    wallet = await devnet.createWallet(secretOf(7))
  })
  afterEach(async () => {
    world.proxy.heal()
    await second?.stop()
    second = undefined
  })

  const failure = (read: Promise<unknown>): Promise<unknown> =>
    read.then(
      (value) => value,
      (error: unknown) => error,
    )

  const faults: readonly (readonly [string, HttpFault, ChainFault])[] = [
    ['hangs', { kind: 'hang' }, 'timeout'],
    ['answers HTTP 500', { kind: 'status', status: 500 }, 'http'],
    ['answers HTTP 503 as JSON-RPC', { kind: 'status', status: 503, body: '{}' }, 'http'],
    ['answers an error', { kind: 'rpc-error', code: -32005, message: 'limit exceeded' }, 'rpc'],
    ['reverts', { kind: 'rpc-error', code: 3, message: 'execution reverted' }, 'revert'],
    ['resets', { kind: 'reset' }, 'connection'],
    ['answers a web page', { kind: 'html' }, 'bad-data'],
    ['answers half a JSON text', { kind: 'half-json' }, 'bad-data'],
    ['answers too little', { kind: 'result', result: `0x${'00'.repeat(32)}` }, 'bad-data'],
    ['answers nothing', { kind: 'result', result: '0x' }, 'no-code'],
    ['has an unknown state', { kind: 'result', result: record({ state: 6n }) }, 'bad-data'],
    ['has a state of many bytes', { kind: 'result', result: record({ state: 257n }) }, 'bad-data'],
    [
      'has a field too large',
      { kind: 'result', result: record({ createdAt: 2n ** 40n }) },
      'bad-data',
    ],
  ]
  it.each(faults)('gives no data when the Bridge call %s', async (_, fault, cause) => {
    world.proxy.fail({ method: 'eth_call', to: devnet.bridge }, fault)
    const failing = reader(cause === 'timeout' ? { requestTimeoutMs: hurriedMs } : {})
    const startedMs = performance.now()
    const error = await failure(failing.getWallet(wallet.pkh20))
    expect(performance.now() - startedMs).toBeLessThan(hurriedMs + 10_000)
    expect(error).toBeInstanceOf(ChainUnavailable)
    expect(error).toMatchObject({ code: 'ChainUnavailable', fault: cause, retry: 'safe' })
    expect([...failing.endpointFaults()]).toEqual([[cause, 1]])
    expect(failing.faults().size).toBe(0)
  })

  it('says that a wallet is not known, by type', async () => {
    const pkh = new Uint8Array(20).fill(9)
    const error = await failure(reader().getWallet(pkh))
    expect(error).toBeInstanceOf(WalletNotFound)
    expect(error).toMatchObject({ message: expect.stringContaining('09'.repeat(20)) })
  })

  it.each(walletStates.map((state, number) => [number, state] as const))(
    'reads state %i as %s',
    async (number, state) => {
      await devnet.setWalletState(wallet.pkh20, number)
      expect((await reader().getWallet(wallet.pkh20)).state).toBe(state)
      await devnet.setWalletState(wallet.pkh20, 1)
    },
  )

  it('says so when the address is not a Bridge', async () => {
    const noCode = reader({ bridgeAddress: `0x${'77'.repeat(20)}` })
    expect(await failure(noCode.getWallet(wallet.pkh20))).toMatchObject({
      fault: 'no-code',
      message: expect.stringMatching(/0x7{40} is no Bridge on this chain: no contract code/),
    })
    const other = reader({ bridgeAddress: devnet.registry })
    expect(await failure(other.getWallet(wallet.pkh20))).toMatchObject({
      fault: 'revert',
      message: expect.stringContaining('is no Bridge on this chain'),
    })
  })

  it('does not use an endpoint of another chain, or one that is not synced', async () => {
    const elsewhere = reader({ chainId: 1n, blockAgeMaxMs: 1e12 })
    expect(await failure(elsewhere.getWallet(wallet.pkh20))).toMatchObject({
      fault: 'wrong-network',
      message: expect.stringContaining('it is on chain 31337, want 1'),
    })
    expect(await failure(elsewhere.heights())).toMatchObject({ fault: 'wrong-network' })
    const progress = { startingBlock: '0x0', currentBlock: '0x5', highestBlock: '0x99' }
    world.proxy.fail({ method: 'eth_syncing' }, { kind: 'result', result: progress })
    expect(await failure(reader().getWallet(wallet.pkh20))).toMatchObject({ fault: 'not-synced' })
    const unknown = { kind: 'rpc-error', code: -32601, message: 'no such method' } as const
    world.proxy.fail({ method: 'eth_syncing' }, unknown)
    expect((await reader().getWallet(wallet.pkh20)).state).toBe('Live')
  })

  it('takes a latest block that is too old for a node that fell behind', async () => {
    const clock = { nowMs: () => Date.now() + 3_600_000 }
    const strict = reader({ clock, blockAgeMaxMs: 600_000 })
    expect(await failure(strict.heights())).toMatchObject({
      fault: 'not-synced',
      message: expect.stringMatching(/its latest block is \d+ s old, want at most 600/),
    })
    expect(await reader({ clock }).heights()).toHaveLength(1)
  })

  it('falls back to the next endpoint, and asks a failing one last for a while', async () => {
    let nowMs = 1_700_000_000_000
    const { both, other } = await withSecond({
      clock: { nowMs: () => nowMs },
      requestTimeoutMs: 3000,
    })
    world.proxy.fail({}, { kind: 'hang' })
    expect((await both.getWallet(wallet.pkh20)).registry.status).toBe('available')
    world.proxy.heal()
    world.proxy.forget()
    await both.getWallet(wallet.pkh20)
    expect(world.proxy.seen).toEqual([])
    nowMs += 30_000
    other.forget()
    await both.getWallet(wallet.pkh20)
    expect(world.proxy.seen.length).toBeGreaterThan(2)
    expect(other.seen).toEqual([])
  })

  it('names every endpoint when all fail', async () => {
    const { both, other } = await withSecond()
    world.proxy.fail({}, { kind: 'reset' })
    other.fail({}, { kind: 'status', status: 502 })
    const error = await failure(both.getWallet(wallet.pkh20))
    const [first, last] = [world.proxy.url, other.url].map((url) => new URL(url).host)
    expect(error).toMatchObject({ fault: 'connection' })
    expect(String(error)).toMatch(new RegExp(`${first}: the conn.*; ${last}: HTTP status 502`))
  })

  it('reads both contracts from another endpoint at the same block when the registry fails', async () => {
    const { both, other } = await withSecond()
    world.proxy.fail({ to: devnet.registry }, { kind: 'status', status: 500 })
    await both.heights()
    other.forget()
    other.fail({ method: 'eth_blockNumber' }, { kind: 'result', result: '0x1' })
    const read = await both.getWallet(wallet.pkh20)
    expect(read.registry.status).toBe('available')
    const calls = other.seen.filter(({ method }) => method === 'eth_call')
    const block = `0x${read.atBlock.toString(16)}`
    expect(calls.map(({ params: [, at] }) => at)).toEqual([block, block])
    expect(both.faults().size).toBe(0)
    other.fail({ to: devnet.registry }, { kind: 'reset' })
    expect((await both.getWallet(wallet.pkh20)).registry).toMatchObject({ cause: 'http' })
  })

  it('refuses at once where nobody listens', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => taken.once('listening', resolve))
    const address = taken.address()
    await new Promise((resolve) => taken.close(resolve))
    const port = typeof address === 'object' ? address?.port : undefined
    const closed = reader({ endpoints: [`http://127.0.0.1:${port}`] })
    expect(await failure(closed.getWallet(wallet.pkh20))).toMatchObject({
      fault: 'connection',
      message: expect.stringContaining('ECONNREFUSED'),
    })
  })

  it('ends soon after its signal fires', async () => {
    world.proxy.fail({}, { kind: 'hang' })
    const patient = reader({ requestTimeoutMs: 60_000 })
    for (const read of [patient.getWallet.bind(patient, wallet.pkh20), patient.heights]) {
      const controller = new AbortController()
      const reading = failure(read(controller.signal))
      const startedMs = performance.now()
      controller.abort()
      expect(await reading).toMatchObject({ code: 'Aborted' })
      expect(performance.now() - startedMs).toBeLessThan(10_000)
    }
    expect(await failure(patient.heights(AbortSignal.abort()))).toMatchObject({ code: 'Aborted' })
    expect(patient.endpointFaults().size).toBe(0)
  })

  it('gives the height of every endpoint that answers', async () => {
    const { both, other } = await withSecond({ requestTimeoutMs: 3000 })
    const height = await devnet.height()
    other.fail({ method: 'eth_blockNumber' }, { kind: 'result', result: '0x1fffffffff' })
    const [first, last] = [world.proxy.url, other.url].map((url) => new URL(url).host)
    expect(await both.heights()).toEqual([
      { source: first, height },
      { source: last, height: 0x1fffffffffn },
    ])
    world.proxy.fail({}, { kind: 'hang' })
    expect(await both.heights()).toEqual([{ source: last, height: 0x1fffffffffn }])
    // It rests now and holds nobody up.
    const startedMs = performance.now()
    await both.heights()
    expect(performance.now() - startedMs).toBeLessThan(3000)
    other.fail({ method: 'eth_blockNumber' }, { kind: 'result', result: 'many' })
    expect(await failure(both.heights())).toMatchObject({ fault: 'bad-data' })
  })

  it('checks every endpoint and says what to do', async () => {
    const { both, other } = await withSecond()
    other.fail({ method: 'eth_chainId' }, { kind: 'result', result: '0x5' })
    const [first, last] = [world.proxy.url, other.url].map((url) => new URL(url).host)
    expect(await both.check()).toEqual([
      { source: first, ok: true, detail: expect.stringContaining(devnet.registry.toLowerCase()) },
      {
        source: last,
        ok: false,
        detail: 'it is on chain 5, want 31337',
        remedy: expect.stringContaining('ethereum.chainId'),
      },
    ])
    await devnet.setRegistryCode('0x')
    const [broken] = await reader().check()
    await devnet.restoreRegistryCode()
    expect(broken).toMatchObject({ ok: false, detail: expect.stringContaining('no contract code') })
  })

  it('repeats nothing of a URL that may be a key', async () => {
    const url = `${world.proxy.url.replace('//', '//someuser:passw0rd@')}/v3/s3cr3tkey?token=t0k3nt0k3n`
    const { log, warnings } = keptWarnings()
    const message = `key s3cr3tkey (t0k3nt0k3n) of someuser may not call ${url}`
    world.proxy.fail({ to: devnet.registry }, { kind: 'rpc-error', code: -32001, message })
    const discreet = reader({ endpoints: [url], log })
    const read = await discreet.getWallet(wallet.pkh20)
    world.proxy.fail({}, { kind: 'rpc-error', code: -32001, message })
    const error = await failure(discreet.getWallet(wallet.pkh20))
    expect(error).toBeInstanceOf(ChainUnavailable)
    world.proxy.fail({}, { kind: 'reset' })
    const told = [read.registry, error, await failure(discreet.heights()), warnings]
    const whole = told.map(everything).join()
    expect(whole).toContain('may not call')
    for (const secret of ['s3cr3tkey', 't0k3nt0k3n', 'someuser', 'passw0rd']) {
      expect(whole).not.toContain(secret)
    }
  })

  it('refuses options that make no sense', () => {
    const refused = (more: Partial<EthereumReaderOptions>): void =>
      expect(() => reader(more)).toThrow(RangeError)
    refused({ endpoints: [] })
    refused({ endpoints: ['ws://127.0.0.1:1'] })
    refused({ endpoints: ['no url'] })
    refused({ bridgeAddress: '0x12' })
    refused({ requestTimeoutMs: 0 })
    refused({ registryTimeoutMs: 1.5 })
  })
})

/** A record of the Bridge with some words changed. */
function record({ state = 1n, createdAt = 1_700_000_000n }): string {
  const words = [1n, 0n, 0n, createdAt, 0n, 0n, 0n, state, 0n]
  return `0x${words.map((word) => word.toString(16).padStart(64, '0')).join('')}`
}

/** All that somebody could print of a value, causes included. */
function everything(value: unknown): string {
  if (!(value instanceof Error)) return JSON.stringify(value)
  return [String(value), value.stack, JSON.stringify(value), everything(value.cause ?? null)].join()
}
