// Whole jobs on the published contracts and a full node: engine specification, section 10 (T2, T5, T7, T8).
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { DevnetWallet } from '../../devnet/evm-wallets.js'
import type { TcpFault } from '../../devnet/fault-proxy-tcp.js'
import { devnetSecrets } from '../../devnet/request-keys.js'
import { signDigest } from '../../devnet/requests.js'
import { fromHex, toHex } from '../../src/base/bytes.js'
import { noWallet } from '../../src/base/ids.js'
import { completeHandoff, verifyHandoff } from '../../src/covenant/handoff.js'
import type { StepResult } from '../../src/covenant/job.js'
import type { SubmitInput } from '../../src/covenant/request.js'
import { openVaultSigner } from '../../src/signer/vault-signer.js'
import { scriptedSigner } from '../../src/testing/scripted-signer.js'
import { createFileVault } from '../../src/vault/file.js'
import { kdfFloor } from '../../src/vault/kdf.js'
import { some } from '../covenant/factory.js'
import { refusal } from '../covenant/service-world.js'
import { type Node, openNode } from './node.js'
import { type WatchedSigner, watchedSigner } from './watched-signer.js'
import { devnet, folder, missing, settled } from './world.js'

describe.skipIf(missing !== undefined)('a whole job on the devnet', () => {
  if (missing !== undefined) return
  const world = devnet()
  const { stack } = world
  const { evm, bitcoin: chain } = stack
  let closing: DevnetWallet
  let signer: WatchedSigner
  let node: Node

  beforeAll(async () => {
    closing = await evm.createWallet(new Uint8Array(32).fill(0x6e))
    const dataDir = folder(afterAll)
    const passphrase = new TextEncoder().encode('a passphrase for tests')
    await bindKeys(dataDir, passphrase, [stack.wallet, closing])
    node = await openNode({
      ...{ chains: world.chains, dataDir, passphrase },
      bitcoinTimeoutMs: 3000,
      async signer({ vault }) {
        signer = watchedSigner(await openVaultSigner(some(vault)))
        return signer
      },
    })
  })
  afterAll(() => node?.close())
  afterEach(() => {
    world.bitcoin.set({ kind: 'none' })
    world.ethereum.heal()
  })

  it('gives a self_v1 transaction that the node refuses while the next block is not above maturity, and mines after', async () => {
    const covenant = await stack.fundCovenant({ route: 'self_v1' })
    const ready = await node.submit(world.request(covenant))
    expect(ready).toMatchObject({ status: 'READY', detail: 'self_v1 artifact ready' })
    const transaction = fromHex(some(ready.transactionHex).slice(2))

    await chain.mine(covenant.maturityHeight - 1 - (await chain.tip()))
    expect(await chain.broadcast(transaction)).toEqual({ kind: 'refused', reason: 'non-final' })
    await chain.mine(1)
    await expectMined(transaction)
  })

  it('gives a qc_v1 bundle that a custodian verifies, completes and has mined', async () => {
    const covenant = await stack.fundCovenant({ route: 'qc_v1' })
    const input = world.request(covenant)
    const ready = await node.submit(input)
    expect(ready).toMatchObject({ status: 'READY' })
    expect(ready.transactionHex).toBeUndefined()
    const transaction = completed(input, ready)

    await chain.mine(covenant.maturityHeight - (await chain.tip()))
    await expectMined(transaction)
  })

  it('answers the same submit and a poll with the very same artefact, and signs once', async () => {
    const input = world.request(await stack.fundCovenant({ route: 'self_v1' }))
    const first = await node.submit(input)
    expect(first.status).toBe('READY')
    expect(await node.submit(input)).toEqual(first)
    expect(await node.poll(input, first.requestId)).toEqual(first)
    expect(signer.asked(first.requestId)).toHaveLength(1)
  })

  it('fails a job whose outpoint is spent in a block, and asks for no signature', async () => {
    const covenant = await stack.fundCovenant({
      route: 'self_v1',
      maturityHeight: (await chain.tip()) + 7,
    })
    const ready = await node.submit(world.request(covenant))
    await chain.mine(Math.max(0, covenant.maturityHeight - (await chain.tip())))
    await expectMined(fromHex(some(ready.transactionHex).slice(2)))

    const late = await node.submit(world.request(covenant))
    expect(late).toMatchObject({ status: 'FAILED', reason: 'INVALID_INPUT' })
    expect(late.detail).toContain('spent')
    expect(signer.asked(late.requestId)).toEqual([])
  })

  it('fails a job whose plan names another amount than the output has', async () => {
    const covenant = await stack.fundCovenant({ route: 'self_v1' })
    const failed = await node.submit(world.request(covenant, { planValueSats: 999_999n }))
    expect(failed).toMatchObject({ status: 'FAILED', reason: 'INVALID_INPUT' })
    expect(failed.detail).toContain('active outpoint value is 1000000 sat')
    expect(signer.asked(failed.requestId)).toEqual([])
  })

  it('waits for confirmations, and then signs', async () => {
    const covenant = await stack.fundCovenant({ route: 'self_v1', confirmations: 2 })
    const waiting = await node.submit(world.request(covenant))
    expect(waiting).toMatchObject({
      status: 'PENDING',
      detail: 'active outpoint confirmations: have 2, need 6',
    })
    expect(signer.asked(waiting.requestId)).toEqual([])
    await chain.mine(4)
    expect((await settled(node, waiting.requestId)).state).toBe('ARTIFACT_READY')
    expect(signer.asked(waiting.requestId)).toHaveLength(1)
  })

  const outages: readonly TcpFault[] = [
    { kind: 'refuse' },
    { kind: 'reset' },
    { kind: 'hang' },
    { kind: 'truncate', bytes: 40 },
  ]
  for (const outage of outages) {
    it(`waits for a Bitcoin backend that fails by ${outage.kind}, and then signs once`, async () => {
      const covenant = await stack.fundCovenant({ route: 'qc_v1' })
      world.bitcoin.set(outage)
      const waiting = await node.submit(world.request(covenant))
      expect(waiting.status).toBe('PENDING')
      expect(waiting.detail).toMatch(/^Bitcoin backend is unavailable/)
      world.bitcoin.set({ kind: 'none' })
      expect((await settled(node, waiting.requestId)).state).toBe('HANDOFF_READY')
      expect(signer.asked(waiting.requestId)).toHaveLength(1)
    })
  }

  it('is not taken in by a backend that answers with another transaction', async () => {
    const [covenant, other] = [
      await stack.fundCovenant({ route: 'self_v1' }),
      await stack.fundCovenant({ route: 'self_v1' }),
    ]
    world.bitcoin.set({ kind: 'ask', from: covenant.txid, to: other.txid })
    const waiting = await node.submit(world.request(covenant))
    expect(waiting.status).toBe('PENDING')
    expect(signer.asked(waiting.requestId)).toEqual([])
    world.bitcoin.set({ kind: 'none' })
    expect((await settled(node, waiting.requestId)).state).toBe('ARTIFACT_READY')
  })

  it('asks a busy signer again, for the same sighash', async () => {
    const covenant = await stack.fundCovenant({ route: 'self_v1' })
    signer.busyTimes = 2
    const waiting = await node.submit(world.request(covenant))
    expect(waiting.status).toBe('PENDING')
    expect((await settled(node, waiting.requestId)).state).toBe('ARTIFACT_READY')
    const asked = signer.asked(waiting.requestId)
    expect(asked).toHaveLength(3)
    expect(new Set(asked).size).toBe(1)
  })

  it('refuses a wallet that closes after its request was accepted, and one that is closed', async () => {
    const covenant = await stack.fundCovenant({ route: 'self_v1', wallet: closing })
    world.bitcoin.set({ kind: 'refuse' })
    const waiting = await node.submit(world.request(covenant, { wallet: closing }))
    expect(waiting.status).toBe('PENDING')
    await evm.closeWallet(closing)
    world.bitcoin.set({ kind: 'none' })
    const job = await settled(node, waiting.requestId)
    expect(job).toMatchObject({ state: 'FAILED' })
    expect(job.detail).toContain('[Closed]')
    expect(signer.asked(waiting.requestId)).toEqual([])

    const next = await stack.fundCovenant({ route: 'self_v1', wallet: closing })
    const said = await refusal(node.submit(world.request(next, { wallet: closing })))
    expect(said).toMatchObject({ code: 'InvalidInput' })
    expect(said.message).toContain('wallet in state [Closed]')
  })

  it('refuses a certificate while the registry is away, names the registry, and takes the same submit later', async () => {
    const covenant = await stack.fundCovenant({ route: 'self_v1' })
    const input = world.request(covenant)
    world.ethereum.fail({ to: evm.registry }, { kind: 'status', status: 503 })
    const said = await refusal(node.submit(input))
    expect(said).toMatchObject({ code: 'WalletRegistryUnavailable', retry: 'safe' })
    expect(said.message).toContain('unavailable: http')
    expect(said.message).toContain(evm.registry)
    expect(said.message).toContain(stack.wallet.walletId)
    const read = await node.ethereum.getWallet(stack.wallet.pkh20)
    expect(read).toMatchObject({ state: 'Live', registry: { status: 'unavailable' } })
    world.ethereum.heal()
    expect((await node.submit(input)).status).toBe('READY')
  })

  it('signs on what an Electrum server alone tells', async () => {
    const { host, port } = stack.electrum
    const secrets = [stack.wallet.secret]
    const other = await openNode({
      chains: { ...world.chains, bitcoin: [{ url: `tcp://${host}:${port}` }] },
      dataDir: folder(),
      signer: () => scriptedSigner({ secrets }),
    })
    try {
      const covenant = await stack.fundCovenant({ route: 'self_v1' })
      expect((await other.submit(world.request(covenant))).status).toBe('READY')
    } finally {
      await other.close()
    }
  })

  async function expectMined(transaction: Uint8Array): Promise<void> {
    const sent = await chain.broadcast(transaction)
    if (sent.kind === 'refused') expect.fail(`the node refuses it: ${sent.reason}`)
    const height = await chain.mine(1)
    const [block] = await chain.blocks(height, 1)
    expect(block?.transactions.map(({ txid }) => txid)).toContain(sent.txid)
  }

  function completed(input: SubmitInput, ready: StepResult): Uint8Array {
    const handoff = some(ready.handoff)
    const changed = { ...handoff, signerSignature: `${String(handoff.signerSignature)}00` }
    expect(verifyHandoff(changed, input.request)).toMatchObject({ kind: 'refused' })
    const verdict = verifyHandoff(handoff, input.request)
    if (verdict.kind === 'refused') expect.fail(`the bundle is refused: ${verdict.reason}`)
    const signature = signDigest(`0x${toHex(verdict.spend.sighash)}`, devnetSecrets.custodian)
    return completeHandoff(verdict.spend, verdict.bundle, fromHex(signature.slice(2)))
  }
})

/** A vault that holds the keys of wallets, each bound. */
async function bindKeys(
  dataDir: string,
  passphrase: Uint8Array,
  wallets: readonly DevnetWallet[],
): Promise<void> {
  const vault = await createFileVault(dataDir, passphrase, { kdf: kdfFloor })
  for (const [at, { secret, compressedKey }] of wallets.entries()) {
    const ref = { walletId: noWallet, label: `wallet-${at}` }
    await vault.put(ref, secret)
    await vault.bind(ref, compressedKey)
  }
  vault.close()
}
