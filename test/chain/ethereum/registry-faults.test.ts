import { toFunctionSelector } from 'viem'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { DevnetWallet } from '../../../devnet/evm.js'
import type { HttpFault } from '../../../devnet/fault-proxy-http.js'
import {
  type EthereumReader,
  type EthereumReaderOptions,
  ethereumReader,
  type RegistryFault,
  type WalletChainData,
} from '../../../src/chain/index.js'
import { keptWarnings, missing, secretOf, tbtc } from './tbtc.js'

/** Long enough for a busy machine; what hangs is given little. */
const registryTimeoutMs = 15_000
const hurriedMs = 300
const vectorWalletId = '0x704f64d16f07c8f7e50973174a62316623ad457f02cdc5d997ded67a383ec569'
const word = (digit: string): string => digit.repeat(64)

/** What of a wallet the Bridge alone says. */
function bridgeFields({ registry: _, atBlock: __, ...fields }: WalletChainData): unknown {
  return fields
}

describe.runIf(missing === undefined)('a wallet read while the registry fails', () => {
  const world = tbtc()
  const { devnet } = world
  let wallet: DevnetWallet
  let healthy: WalletChainData

  const reader = (more: Partial<EthereumReaderOptions> = {}): EthereumReader =>
    ethereumReader({
      endpoints: [world.proxy.url],
      bridgeAddress: devnet.bridge,
      chainId: devnet.chainId,
      registryTimeoutMs,
      ...more,
    })

  beforeAll(async () => {
    wallet = await devnet.createWallet(secretOf(7))
    healthy = await reader().getWallet(wallet.pkh20)
  })
  afterEach(async () => {
    world.proxy.heal()
    await devnet.restoreRegistryCode()
  })

  it('is complete while nothing fails', () => {
    expect(healthy).toMatchObject({
      walletId: vectorWalletId,
      state: 'Live',
      mainUtxoHash: `0x${word('0')}`,
      pendingRedemptionsValue: 0n,
      registryAddress: devnet.registry.toLowerCase(),
      registry: {
        status: 'available',
        membersIdsHash: wallet.membersIdsHash,
        publicKey: `${wallet.x}${wallet.y.slice(2)}`,
      },
    })
    expect(healthy.createdAt).toBeGreaterThan(1_600_000_000)
    expect(healthy.atBlock).toBeGreaterThan(0n)
  })

  /** Reads through what fails now and expects the Bridge's fields, the cause, one warning and the deadline kept. */
  async function expectUnavailable(cause: RegistryFault): Promise<void> {
    const { log, warnings } = keptWarnings()
    const isHurried = cause === 'timeout'
    const degraded = reader({ log, ...(isHurried ? { registryTimeoutMs: hurriedMs } : {}) })
    const startedMs = performance.now()
    const read = await degraded.getWallet(wallet.pkh20)
    expect(performance.now() - startedMs).toBeLessThan(hurriedMs + 10_000)
    expect(bridgeFields(read)).toEqual(bridgeFields(healthy))
    expect(read.registry).toMatchObject({ status: 'unavailable', cause })
    expect([...degraded.faults()]).toEqual([[cause, 1]])
    const address = devnet.registry.toLowerCase()
    expect(degraded.registryOutage()).toMatchObject({ address, walletId: vectorWalletId, cause })
    if (!isHurried) {
      world.proxy.heal()
      await devnet.restoreRegistryCode()
      await degraded.getWallet(wallet.pkh20)
      expect(degraded.registryOutage()).toBeUndefined()
    }
    expect(degraded.endpointFaults().size).toBe(0)
    expect(warnings).toHaveLength(1)
    expect(warnings[0]?.fields).toMatchObject({
      walletId: vectorWalletId,
      registryAddress: devnet.registry.toLowerCase(),
      cause,
    })
  }

  const codes: readonly (readonly [string, `0x${string}`, RegistryFault])[] = [
    ['has no code', '0x', 'no-code'],
    ['reverts', '0x60006000fd', 'revert'],
    ['runs into an invalid opcode', '0xfe', 'revert'],
    ['loops until the gas is used up', '0x5b600056', 'revert'],
    ['answers one word of three', '0x60206000f3', 'bad-data'],
    ['answers four words', '0x60806000f3', 'bad-data'],
  ]
  it.each(codes)('keeps the Bridge fields when the registry %s', async (_, code, cause) => {
    await devnet.setRegistryCode(code)
    await expectUnavailable(cause)
  })

  const rpc = (code: number, message: string): HttpFault => ({ kind: 'rpc-error', code, message })
  const faults: readonly (readonly [string, HttpFault, RegistryFault])[] = [
    ['never answers', { kind: 'hang' }, 'timeout'],
    ['answers too late', { kind: 'delay', delayMs: 20_000 }, 'timeout'],
    ['answers with HTTP 500', { kind: 'status', status: 500 }, 'http'],
    ['answers with HTTP 401', { kind: 'status', status: 401 }, 'http'],
    ['limits the rate', rpc(-32005, 'limit exceeded'), 'rpc'],
    ['has an internal error', rpc(-32603, 'internal error'), 'rpc'],
    ['lacks the block', rpc(-32000, 'header not found'), 'rpc'],
    ['reverts without code 3', rpc(-32000, 'execution reverted'), 'revert'],
    ['reverts as other nodes say it', rpc(-32015, 'VM execution error.'), 'revert'],
    ['resets the connection', { kind: 'reset' }, 'connection'],
    ['answers with a web page', { kind: 'html' }, 'bad-data'],
    ['breaks off in the JSON', { kind: 'half-json' }, 'bad-data'],
    ['answers with an empty object', { kind: 'body', body: '{}' }, 'bad-data'],
    ['answers null', { kind: 'body', body: 'null' }, 'bad-data'],
    ['answers with nothing', { kind: 'body', body: '' }, 'bad-data'],
    ['answers a number', { kind: 'result', result: 7 }, 'bad-data'],
    ['redirects', { kind: 'status', status: 307 }, 'http'],
    ['answers without end', { kind: 'body', body: ' '.repeat(3_000_000) }, 'bad-data'],
  ]
  it.each(faults)('keeps the Bridge fields when the endpoint %s', async (_, fault, cause) => {
    world.proxy.fail({ method: 'eth_call', to: devnet.registry }, fault)
    await expectUnavailable(cause)
  })

  it('keeps nothing of an outage: the next read is complete', async () => {
    const same = reader()
    world.proxy.fail({ to: devnet.registry }, { kind: 'reset' })
    expect((await same.getWallet(wallet.pkh20)).registry.status).toBe('unavailable')
    world.proxy.heal()
    expect((await same.getWallet(wallet.pkh20)).registry).toEqual(healthy.registry)
  })

  it('warns once a minute and wallet, and says how often it kept quiet', async () => {
    const { log, warnings } = keptWarnings()
    let nowMs = 1_700_000_000_000
    const limited = reader({ log, clock: { nowMs: () => nowMs } })
    await devnet.setRegistryCode('0x')
    for (let n = 0; n < 3; n += 1) await limited.getWallet(wallet.pkh20)
    expect(warnings.map(({ fields }) => fields.unsaid)).toEqual([0])
    nowMs += 60_000
    await limited.getWallet(wallet.pkh20)
    expect(warnings.map(({ fields }) => fields.unsaid)).toEqual([0, 2])
    expect(limited.faults().get('no-code')).toBe(4)
  })

  it('asks the Bridge anew when the registry it knew has no code any more', async () => {
    const references = `0x${['a1', 'a2', 'a3', 'a4'].map((one) => one.padStart(64, '0')).join('')}`
    const match = { to: devnet.bridge, data: selectors.contractReferences }
    world.proxy.fail(match, { kind: 'result', result: references })
    const moved = reader()
    const before = await moved.getWallet(wallet.pkh20)
    expect(before.registryAddress).toBe(`0x${'a3'.padStart(40, '0')}`)
    expect(before.registry).toMatchObject({ status: 'unavailable', cause: 'no-code' })
    world.proxy.heal()
    expect(await moved.getWallet(wallet.pkh20)).toMatchObject({
      registryAddress: healthy.registryAddress,
      registry: healthy.registry,
    })
    world.proxy.forget()
    await moved.getWallet(wallet.pkh20)
    expect(world.proxy.seen.map(({ params }) => JSON.stringify(params))).not.toContainEqual(
      expect.stringContaining(selectors.contractReferences),
    )
  })

  it('fails closed on an entry of another key, and on a key without members', async () => {
    const { log, warnings } = keptWarnings()
    const entry = (members: string, x: string, y: string): HttpFault => ({
      kind: 'result',
      result: `0x${members}${x.replace('0x', '')}${y.replace('0x', '')}`,
    })
    const strict = reader({ log })
    const statusOf = async (fault: HttpFault): Promise<unknown> => {
      world.proxy.fail({ to: devnet.registry }, fault)
      const { registry } = await strict.getWallet(wallet.pkh20)
      return registry
    }
    expect(await statusOf(entry(word('1'), word('2'), wallet.y))).toEqual({
      status: 'inconsistent',
      detail: expect.stringContaining(vectorWalletId),
    })
    expect(await statusOf(entry(word('0'), wallet.x, wallet.y))).toEqual({
      status: 'inconsistent',
      detail: expect.stringContaining('no members hash'),
    })
    expect(strict.faults().size).toBe(0)
    expect(warnings[0]?.message).toContain('contradict')
  })

  it('calls a Live wallet without a registry entry absent, and warns', async () => {
    const { log, warnings } = keptWarnings()
    await devnet.setRegistryCode('0x60606000f3')
    const read = await reader({ log }).getWallet(wallet.pkh20)
    expect([read.state, read.registry]).toEqual(['Live', { status: 'absent' }])
    expect(warnings.map(({ fields }) => fields.walletId)).toEqual([vectorWalletId])
  })

  it.each(['closeWallet', 'terminateWallet'] as const)(
    'finds no entry and no outage after %s, by the contracts own code',
    async (end) => {
      const { log, warnings } = keptWarnings()
      const gone = await devnet.createWallet(secretOf(end.length))
      await devnet[end](gone)
      const over = reader({ log })
      const read = await over.getWallet(gone.pkh20)
      expect(read.state).toBe(end === 'closeWallet' ? 'Closed' : 'Terminated')
      expect(read.walletId).toBe(gone.walletId)
      expect(read.registry).toEqual({ status: 'absent' })
      expect(warnings).toEqual([])
      expect(over.faults().size).toBe(0)
    },
  )

  it('reads both contracts at one block, also when the wallet is closed in between', async () => {
    const closing = await devnet.createWallet(secretOf(21))
    const pinned = reader()
    await pinned.heights()
    world.proxy.forget()
    world.proxy.fail({ to: devnet.registry }, { kind: 'delay', delayMs: 400 })
    const reading = pinned.getWallet(closing.pkh20)
    await untilTrue(() => callsTo(devnet.registry).length > 0)
    await devnet.closeWallet(closing)
    const read = await reading
    expect([read.state, read.registry.status]).toEqual(['Live', 'available'])
    const blocks = [...callsTo(devnet.bridge), ...callsTo(devnet.registry)].map(
      ({ block }) => block,
    )
    expect(new Set(blocks)).toEqual(new Set([`0x${read.atBlock.toString(16)}`]))
    world.proxy.heal()
    expect(await pinned.getWallet(closing.pkh20)).toMatchObject({
      state: 'Closed',
      registry: { status: 'absent' },
    })
  })

  type ContractCall = { readonly to: string; readonly block: unknown }
  function callsTo(address: string): readonly ContractCall[] {
    return world.proxy.seen
      .filter(({ method }) => method === 'eth_call')
      .map(({ params: [call, block] }) => ({ to: (call as { to: string }).to, block }))
      .filter(({ to }) => to.toLowerCase() === address.toLowerCase())
  }
})

/** First four bytes of the calls. */
const selectors = { contractReferences: toFunctionSelector('contractReferences()') }

/** Waits for something that another part of this process brings about. */
async function untilTrue(condition: () => boolean): Promise<void> {
  const endMs = performance.now() + 20_000
  while (!condition()) {
    if (performance.now() > endMs) throw new Error('it did not come about')
    await new Promise((resolve) => setImmediate(resolve))
  }
}
