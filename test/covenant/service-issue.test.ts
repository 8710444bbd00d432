import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fromHex, toHex } from '../../src/base/bytes.js'
import { hash160 } from '../../src/base/curve.js'
import { openCovenantService } from '../../src/covenant/service.js'
import { signingEngine } from '../../src/covenant/signing-engine.js'
import { openSqliteJobStore } from '../../src/store/sqlite/index.js'
import { memoryBitcoin } from '../../src/testing/memory-bitcoin.js'
import { memoryEthereum } from '../../src/testing/memory-ethereum.js'
import { scriptedEngine } from '../../src/testing/scripted-engine.js'
import { scriptedSigner } from '../../src/testing/scripted-signer.js'
import { keys, makeIssue, makeSubmit, pinningRoots, some, testDomain } from './factory.js'
import { bridgeAddress } from './signing-world.js'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-issue-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

const linesOf = (): readonly { readonly what?: string; readonly subject?: string }[] =>
  readFileSync(join(dir, 'ledger.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))

describe('the service', () => {
  it('has a certificate in the ledger, synced, when the wallet is asked to sign it', async () => {
    const store = await openSqliteJobStore(dir)
    const signer = scriptedSigner({ secrets: [keys.signer.secret] })
    const ethereum = memoryEthereum({ height: 100_000n })
    ethereum.register(keys.signer.compressed)
    const engine = signingEngine({
      ...{ wallets: ethereum, bitcoin: memoryBitcoin(), signer, domain: testDomain },
      gate: { confirmed: true, bridgeAddress },
      honestThreshold: 51,
    })
    const trustRoots = pinningRoots(makeSubmit())
    const service = openCovenantService({ store, engine, signer, trustRoots, domain: testDomain })
    const hang = signer.script.sign.hangNext()
    const walletPublicKeyHash =
      `0x${toHex(hash160(fromHex(keys.signer.compressed.slice(2))))}` as const
    const issued = some(service.issue)({ ...makeIssue(), walletPublicKeyHash })
    await hang.begun
    const noted = linesOf().filter(({ what }) => what === 'certificate')
    expect(noted.map(({ subject }) => subject)).toEqual([
      expect.stringMatching(new RegExp(`^${keys.signer.compressed} 0x[0-9a-f]{64} 123456$`)),
    ])
    hang.release()
    const { approvalDigest } = await issued
    expect(noted[0]?.subject).toContain(approvalDigest)
    await service.stop()
    await store.close()
  })

  it('issues none with an engine that cannot', async () => {
    const store = await openSqliteJobStore(dir)
    const signer = scriptedSigner({ secrets: [] })
    const engine = scriptedEngine({ heightBlocks: 1n })
    const trustRoots = pinningRoots(makeSubmit())
    const service = openCovenantService({ store, engine, signer, trustRoots, domain: testDomain })
    expect(service.issue).toBeUndefined()
    await service.stop()
    await store.close()
  })
})
