import { describe, expect, it } from 'vitest'
import { neverAborted } from '../../src/base/abort.js'
import { fromHex, toHex } from '../../src/base/bytes.js'
import { hash160 } from '../../src/base/curve.js'
import { walletStates } from '../../src/chain/ethereum/reader.js'
import { verifyApproval } from '../../src/covenant/certificate.js'
import { approvalDigest } from '../../src/covenant/digest.js'
import { createHeightGuard } from '../../src/covenant/height.js'
import { type IssueDeps, issueCertificate } from '../../src/covenant/issue.js'
import type { Hex, IssueInput, SignerApproval } from '../../src/covenant/request.js'
import type { Signer } from '../../src/covenant/signer.js'
import { signingEngine } from '../../src/covenant/signing-engine.js'
import type { CertificateNote } from '../../src/covenant/store.js'
import { createWalletLocks } from '../../src/covenant/wallet-lock.js'
import { memoryJobDisk, memoryJobStore } from '../../src/store/memory-jobs.js'
import { manualTime } from '../../src/testing/manual-time.js'
import { memoryBitcoin } from '../../src/testing/memory-bitcoin.js'
import { memoryEthereum } from '../../src/testing/memory-ethereum.js'
import { scriptedSigner } from '../../src/testing/scripted-signer.js'
import {
  draftOf,
  keys,
  makeIssue,
  makeSubmit,
  pinningRoots,
  some,
  testDomain,
  testNowMs,
} from './factory.js'
import { refusal } from './service-world.js'
import { bridgeAddress } from './signing-world.js'

const pkhOf = (compressed: string): Hex => `0x${toHex(hash160(fromHex(compressed.slice(2))))}`
const walletKey = keys.signer.compressed

/** Everything that issues a certificate, in memory; the wallet is Live and free. */
function issuing(options: { readonly findsKeys?: boolean } = {}) {
  const { findsKeys = true } = options
  const time = manualTime(testNowMs)
  const ethereum = memoryEthereum({ height: 100_000n })
  ethereum.register(walletKey)
  const scripted = scriptedSigner({ secrets: [keys.signer.secret] })
  const findKey = async (pkh20: Uint8Array): Promise<Hex | undefined> =>
    `0x${toHex(pkh20)}` === pkhOf(walletKey) ? walletKey : undefined
  const signer: Signer = findsKeys ? { ...bound(scripted), findKey } : bound(scripted)
  const engine = signingEngine({
    wallets: ethereum,
    bitcoin: memoryBitcoin(),
    signer,
    gate: { confirmed: true, bridgeAddress },
    domain: testDomain,
    honestThreshold: 51,
  })
  const store = memoryJobStore({ disk: memoryJobDisk(), clock: time })
  const notes: CertificateNote[] = []
  const locks = createWalletLocks()
  const deps: IssueDeps = {
    trustRoots: pinningRoots(makeSubmit()),
    domain: testDomain,
    engine: { issueSignerApprovalCertificate: some(engine.issueSignerApprovalCertificate) },
    guard: createHeightGuard({ heights: engine.heights, store, clock: time }),
    locks,
    scheduler: time,
    record: async (note) => void notes.push(note),
    walletWaitMs: 5000,
  }
  const ask = (change: Partial<IssueInput> = {}): IssueInput => ({
    ...makeIssue(),
    walletPublicKeyHash: pkhOf(walletKey),
    ...change,
  })
  const issue = (
    change?: Partial<IssueInput>,
    more: Partial<IssueDeps> = {},
  ): Promise<SignerApproval> => issueCertificate({ ...deps, ...more }, ask(change), neverAborted)
  return { time, ethereum, signer: scripted, notes, locks, ask, issue }
}

function bound({ controls, sign }: Signer): Signer {
  return { controls, sign }
}

describe('a certificate that is issued', () => {
  it('is taken by the verifier for the request that it was asked for', async () => {
    const world = issuing()
    const certificate = await world.issue()
    const { request } = makeSubmit()
    const digest = approvalDigest(some(request.artifactApprovals).payload, testDomain)
    expect(certificate).toMatchObject({
      certificateVersion: 2,
      signatureAlgorithm: 'tecdsa-secp256k1',
      approvalDigest: digest,
      walletPublicKey: keys.signer.uncompressed,
      endBlock: 123_456n,
    })
    const draft = draftOf(request)
    draft.signerApproval = draftOf(certificate)
    const deps = { wallets: world.ethereum, domain: testDomain, honestThreshold: 51 }
    await expect(verifyApproval(deps, draft, neverAborted)).resolves.toBeUndefined()
    expect(world.signer.asked).toHaveLength(1)
  })

  it('is on record before the wallet is asked, and not signed where it cannot be recorded', async () => {
    const world = issuing()
    const hang = world.signer.script.sign.hangNext()
    const issued = world.issue()
    await hang.begun
    const { payload } = some(makeSubmit().request.artifactApprovals)
    const note = { approvalDigest: approvalDigest(payload, testDomain), endBlock: 123_456n }
    expect(world.notes).toEqual([{ walletKey, ...note }])
    hang.release()
    expect(await issued).toMatchObject(note)
    const record = (): Promise<void> => Promise.reject(new RangeError('test: the disk is full'))
    expect((await refusal(world.issue({}, { record }))).message).toContain('the disk is full')
    expect(world.signer.asked).toHaveLength(1)
  })

  it('has the full range of ends', async () => {
    const endBlock = 2n ** 64n - 1n
    expect(await issuing().issue({ endBlock })).toMatchObject({ endBlock })
  })

  it('needs no signer that knows its keys by their hash', async () => {
    const world = issuing({ findsKeys: false })
    expect(await world.issue()).toMatchObject({ walletPublicKey: keys.signer.uncompressed })
    const other = keys.other.compressed
    world.ethereum.register(other)
    const error = await refusal(world.issue({ walletPublicKeyHash: pkhOf(other) }))
    expect(error.message).toBe('wallet is not controlled by this node')
  })
})

describe('a certificate that is refused', () => {
  it('with a wallet that this node does not hold, before the chain is asked', async () => {
    const world = issuing()
    const error = await refusal(world.issue({ walletPublicKeyHash: pkhOf(keys.other.compressed) }))
    expect([error.code, error.message]).toEqual([
      'InvalidInput',
      'walletPublicKeyHash does not resolve to a wallet controlled by this node',
    ])
    expect(world.ethereum.looks).toBe(0)
  })

  it('with a wallet that the Bridge does not know', async () => {
    const world = issuing()
    world.ethereum.forget(walletKey)
    const error = await refusal(world.issue())
    expect([error.code, error.message]).toEqual([
      'InvalidInput',
      'walletPublicKeyHash must resolve to a registered on-chain wallet',
    ])
  })

  it.each(walletStates.filter((state) => state !== 'Live'))(
    'with a wallet in state %s, whatever the registry says',
    async (state) => {
      const world = issuing()
      world.ethereum.setState(walletKey, state)
      world.ethereum.setRegistry({ status: 'absent' })
      const error = await refusal(world.issue())
      expect([error.code, error.message]).toEqual([
        'InvalidInput',
        `walletPublicKeyHash resolves to a wallet in state [${state}] that is not eligible for covenant signing`,
      ])
      expect(world.signer.asked).toEqual([])
    },
  )

  it('while the registry is away', async () => {
    const world = issuing()
    world.ethereum.setRegistry({ status: 'unavailable', cause: 'http', detail: 'status 500' })
    const error = await refusal(world.issue())
    expect(error.code).toBe('WalletRegistryUnavailable')
    expect(error.message).toContain('wallet registry unavailable: http')
    expect(world.signer.asked).toEqual([])
  })

  it.each([99_999n, 100_000n])('with the end %s at height 100000', async (endBlock) => {
    const world = issuing()
    const error = await refusal(world.issue({ endBlock }))
    expect([error.code, error.message]).toEqual([
      'InvalidInput',
      `endBlock [${endBlock}] must be greater than the current host-chain block [100000]`,
    ])
    expect(world.notes).toEqual([])
  })

  it('when signing took until after its end, and not when it took until its end', async () => {
    for (const [height, isGood] of [
      [100_010n, true],
      [100_011n, false],
    ] as const) {
      const world = issuing()
      const hang = world.signer.script.sign.hangNext()
      const issued = world.issue({ endBlock: 100_010n })
      await hang.begun
      world.ethereum.height = height
      hang.release()
      if (isGood) expect(await issued).toMatchObject({ endBlock: 100_010n })
      else {
        const error = await refusal(issued)
        expect(error.message).toBe(
          'endBlock [100010] passed while the certificate was being signed',
        )
      }
    }
  })

  it('when the signer answers with a signature of another key', async () => {
    const world = issuing()
    const foreign = scriptedSigner({ secrets: [keys.other.secret] })
    const digest = new Uint8Array(32).fill(1)
    const context = { requestId: 'kcs_qc_0000000000000000' as never }
    const signature = await foreign.sign(keys.other.compressed, digest, context, neverAborted)
    world.signer.script.sign.next(signature)
    expect((await refusal(world.issue())).code).toBe('CertificateMalformed')
  })

  it('as busy while the wallet is being signed with, and nothing is recorded', async () => {
    const world = issuing()
    let release = (): void => undefined
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const signing = world.locks.run(walletKey, neverAborted, () => held)
    const issued = refusal(world.issue())
    for (let at = 0; at < 20; at++) await Promise.resolve()
    await new Promise((resolve) => setImmediate(resolve))
    world.time.advance(5000)
    const error = await issued
    expect(error.code).toBe('IssuerBusy')
    expect([world.notes, world.signer.asked]).toEqual([[], []])
    release()
    await signing
    expect(await world.issue()).toMatchObject({ endBlock: 123_456n })
  })

  it('as busy at once while a signer that does not listen still holds the wallet', async () => {
    const world = issuing()
    const never = new Promise<void>(() => undefined)
    await world.locks.run(walletKey, neverAborted, async (extend) => void extend(never))
    expect((await refusal(world.issue())).code).toBe('IssuerBusy')
  })
})
