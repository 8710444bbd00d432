import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type DevnetWallet, startEvmDevnet } from '../../devnet/evm.js'
import { type Finished, holdfast } from './command.js'

const started = await startEvmDevnet()
if (started.kind === 'missing') console.warn(`NOT RUN, chain wallet: ${started.reason}`)

const unknownPkh = '00'.repeat(20)
let folder = ''
const settings: Record<string, string> = {}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-chain-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
  for (const name of Object.keys(settings)) delete process.env[name]
})

/** Runs the command with these settings in its environment. */
function chainWallet(pkh: string, under: Record<string, string>, ...more: string[]): Finished {
  const named = Object.entries(under).map(([name, value]) => [`HOLDFAST_ETHEREUM__${name}`, value])
  // Endpoints of Ethereum stand beside sources of Bitcoin or not at all; these are never asked.
  if (named.length > 0) named.push(['HOLDFAST_BITCOIN__SOURCES', '[{"url":"http://127.0.0.1:1"}]'])
  for (const [name = '', value = ''] of named) {
    settings[name] = value
    process.env[name] = value
  }
  return holdfast(['chain', 'wallet', pkh, '--data-dir', join(folder, 'data'), ...more])
}

describe('chain wallet without a chain', () => {
  it('refuses what is no key hash', () => {
    const { status, stderr } = chainWallet('12ab', {})
    expect([status, stderr]).toEqual([2, expect.stringContaining('20 bytes of hex')])
  })

  it('names the settings that are missing', () => {
    const { status, stdout } = chainWallet(unknownPkh, {}, '--json')
    expect(status).toBe(3)
    const { error } = JSON.parse(stdout) as { error: { code: string; message: string } }
    expect(error.code).toBe('ConfigRefused')
    expect(error.message).toMatch(
      /ethereum\.endpoints: not set[\s\S]*ethereum\.bridgeAddress: not set/,
    )
  })

  it('ends with status 4 when nobody answers', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => taken.once('listening', resolve))
    const address = taken.address()
    await new Promise((resolve) => taken.close(resolve))
    const port = typeof address === 'object' ? address?.port : undefined
    const { status, stdout } = chainWallet(
      unknownPkh,
      { ENDPOINTS: `["http://127.0.0.1:${port}"]`, BRIDGEADDRESS: `0x${'11'.repeat(20)}` },
      '--json',
    )
    expect([status, JSON.parse(stdout)]).toMatchObject([
      4,
      { error: { code: 'ChainUnavailable', retry: 'safe' } },
    ])
  })
})

describe.runIf(started.kind === 'started')('chain wallet on the real contracts', () => {
  if (started.kind === 'missing') return
  const { devnet } = started
  let wallet: DevnetWallet
  beforeAll(async () => {
    wallet = await devnet.createWallet(new Uint8Array(32).fill(7))
  })
  afterAll(() => devnet.stop())

  const pkh = 'a3c6b1ee4a49d9f2af3b3802974744fba924164a'
  const under = {
    ENDPOINTS: `["${devnet.url}"]`,
    BRIDGEADDRESS: devnet.bridge,
    CHAINID: String(devnet.chainId),
  }

  it('prints the wallet with its registry entry', () => {
    const { status, stdout } = chainWallet(`0x${pkh}`, under, '--json')
    expect([status, JSON.parse(stdout)]).toMatchObject([
      0,
      {
        walletPublicKeyHash: `0x${pkh}`,
        walletId: wallet.walletId,
        state: 'Live',
        pendingRedemptionsValue: '0',
        registry: { status: 'available', membersIdsHash: wallet.membersIdsHash },
      },
    ])
    const text = chainWallet(pkh, under)
    expect([text.status, text.stderr]).toEqual([0, ''])
    expect(text.stdout).toMatch(/^state: +Live$/m)
    expect(text.stdout).toMatch(/^registry status: +available$/m)
  })

  it('shows what a degraded read looks like, and ends with status 4', async () => {
    await devnet.setRegistryCode('0x60006000fd')
    const { status, stdout, stderr } = chainWallet(pkh, under)
    const json = chainWallet(pkh, under, '--json')
    await devnet.restoreRegistryCode()
    expect(status).toBe(4)
    expect(stdout).toMatch(/^state: +Live$/m)
    expect(stdout).toMatch(/^registry status: +UNAVAILABLE \(revert\): /m)
    expect(stderr).toContain('until the registry answers')
    expect([json.status, JSON.parse(json.stdout)]).toMatchObject([
      4,
      { walletId: wallet.walletId, registry: { status: 'unavailable', cause: 'revert' } },
    ])
  })

  it('ends with status 3 when a Live wallet has no registry entry', async () => {
    await devnet.setRegistryCode('0x60606000f3')
    const { status, stderr } = chainWallet(pkh, under)
    await devnet.restoreRegistryCode()
    expect([status, stderr]).toEqual([3, expect.stringContaining('no entry of a wallet in use')])
  })

  it('ends with status 1 for a hash that the Bridge does not know', () => {
    const { status, stdout } = chainWallet(unknownPkh, under, '--json')
    expect([status, JSON.parse(stdout)]).toMatchObject([1, { error: { code: 'WalletNotFound' } }])
  })

  it('prints a closed wallet with status 0: no registry entry is what belongs to it', async () => {
    const closed = await devnet.createWallet(new Uint8Array(32).fill(9))
    await devnet.closeWallet(closed)
    const { status, stdout } = chainWallet(Buffer.from(closed.pkh20).toString('hex'), under)
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^state: +Closed$/m)])
  })
})
