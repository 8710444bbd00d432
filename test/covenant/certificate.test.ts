import { describe, expect, it } from 'vitest'
import { neverAborted } from '../../src/base/abort.js'
import { concatBytes, fromHex, toHex } from '../../src/base/bytes.js'
import { hash160 } from '../../src/base/curve.js'
import { type RegistryView, walletStates } from '../../src/chain/ethereum/reader.js'
import { type CertificateDeps, verifyApproval } from '../../src/covenant/certificate.js'
import { parseDerSignature } from '../../src/covenant/der.js'
import { certificateDigest, signerSetHash } from '../../src/covenant/digest.js'
import type { Action, Request, SignerApproval } from '../../src/covenant/request.js'
import { checkCertificateTimely } from '../../src/covenant/validate-certificate.js'
import { type MemoryEthereum, memoryEthereum } from '../../src/testing/memory-ethereum.js'
import {
  draftOf,
  encodeDer,
  keys,
  type Mutable,
  makeSubmit,
  type SubmitOptions,
  signAs,
  some,
  testDomain,
  testKey,
} from './factory.js'
import { refusal } from './service-world.js'

const order = 2n ** 256n - 0x14551231950b75fc4402da1732fc9bebfn

type Chain = { readonly deps: CertificateDeps; readonly ethereum: MemoryEthereum }

/** A Bridge that knows the tests' wallet, Live. */
function chain(honestThreshold = 51): Chain {
  const ethereum = memoryEthereum()
  ethereum.register(keys.signer.compressed)
  return { ethereum, deps: { wallets: ethereum, domain: testDomain, honestThreshold } }
}

/** A request whose certificate is the wallet's own, but for what `edit` does before it is signed or after. */
async function certified(
  { deps, ethereum }: Chain,
  options: SubmitOptions & { readonly endBlock?: bigint } = {},
  edit: (request: Mutable<Request>) => void = () => undefined,
): Promise<Request> {
  const { endBlock = 123_456n, ...submit } = options
  const { request } = makeSubmit({ ...submit, certificate: { endBlock } })
  const draft = draftOf(request)
  const certificate = some(draft.signerApproval)
  const wallet = await ethereum.getWallet(hash160(fromHex(keys.signer.compressed.slice(2))))
  const { registry, walletId } = wallet
  certificate.signerSetHash = signerSetHash({
    walletId,
    walletPublicKey: keys.signer.uncompressed,
    membersIdsHash: registry.status === 'available' ? registry.membersIdsHash : '',
    honestThreshold: deps.honestThreshold,
  })
  edit(draft)
  return draft
}

const judge = (deps: CertificateDeps, request: Request): Promise<void> =>
  verifyApproval(deps, request, neverAborted)

describe('figures of the specification', () => {
  it.each([
    [123_456n, '636bf1d70b67dd7f54e1d4e090fd258928cce229b66a9a8cae3a5e75e288e19d'],
    [4_295_090_752n, '67e035629f14cad309d349046c6c6ec0ec2c18a79b0c948796a6668b15d4dd60'],
  ])('the certificate digest that ends at %s', (endBlock, digest) => {
    const approvalDigest = `0x${'11'.repeat(32)}`
    expect(certificateDigest({ approvalDigest, endBlock })).toBe(`0x${digest}`)
  })

  it('the wallet of the key 07, as the double registers it', () => {
    const { compressed, uncompressed } = testKey(0x07)
    const { walletId } = memoryEthereum().register(compressed)
    expect(walletId).toBe('0x704f64d16f07c8f7e50973174a62316623ad457f02cdc5d997ded67a383ec569')
    const pkh = hash160(fromHex(compressed.slice(2)))
    expect(toHex(pkh)).toBe('a3c6b1ee4a49d9f2af3b3802974744fba924164a')
    const membersIdsHash = '0x62e243217b24f0adeab63b697d9c38d64bd4cbf540c9915772ddc377b45b411c'
    const set = { walletId, walletPublicKey: uncompressed, membersIdsHash, honestThreshold: 51 }
    expect(signerSetHash(set)).toBe(
      '0x3421f5d671c5b35c49ab5bde0aadb458412d527cbb62b6e4da43c2a8c4c6e10e',
    )
  })
})

describe('a signer approval certificate', () => {
  it('is taken when the live wallet signed it', async () => {
    const live = chain()
    await expect(judge(live.deps, await certified(live))).resolves.toBeUndefined()
    const far = await certified(live, { endBlock: 2n ** 64n - 1n })
    await expect(judge(live.deps, far)).resolves.toBeUndefined()
  })

  it('may hold its hex in any letter case', async () => {
    const live = chain()
    const request = await certified(live, {}, ({ signerApproval }) => {
      const certificate = some(signerApproval)
      const loud = (hex: string): string => `0x${hex.slice(2).toUpperCase()}`
      certificate.approvalDigest = loud(certificate.approvalDigest)
      certificate.signerSetHash = loud(certificate.signerSetHash)
      certificate.walletPublicKey = loud(certificate.walletPublicKey)
    })
    await expect(judge(live.deps, request)).resolves.toBeUndefined()
  })

  type Edit = (request: Mutable<Request>) => void
  const on =
    (change: (certificate: Mutable<SignerApproval>) => void): Edit =>
    ({ signerApproval }) =>
      change(some(signerApproval))
  const invalid = 'request.signerApproval is invalid: '
  const resigned = (form: 'highS' | 'padded' | 'compact'): Edit =>
    on((certificate) => {
      const compact = some(parseDerSignature(fromHex(certificate.signature.slice(2))))
      const s = order - BigInt(`0x${toHex(compact.subarray(32))}`)
      const high = concatBytes(compact.subarray(0, 32), fromHex(s.toString(16).padStart(64, '0')))
      const der = encodeDer(compact)
      const forms = {
        highS: encodeDer(high),
        padded: Uint8Array.of(0x30, (der[1] ?? 0) + 1, 2, (der[3] ?? 0) + 1, 0, ...der.slice(4)),
        compact,
      }
      certificate.signature = `0x${toHex(forms[form])}`
    })

  it.each<readonly [string, Edit, string]>([
    [
      'no certificate',
      (draft) => {
        draft.signerApproval = undefined
      },
      'request.signerApproval is required',
    ],
    [
      'no approvals',
      (draft) => {
        draft.artifactApprovals = undefined
      },
      'request.artifactApprovals is required when request.signerApproval is present',
    ],
    [
      'a tampered digest',
      on((certificate) => {
        certificate.approvalDigest = `0x${'11'.repeat(32)}`
      }),
      'request.signerApproval.approvalDigest must match the canonical artifactApprovals payload digest',
    ],
    [
      'a signer key that is none',
      ({ scriptTemplate }) => {
        Object.assign(scriptTemplate, { signerPublicKey: '0x02' })
      },
      'request.scriptTemplate.signerPublicKey must be a compressed secp256k1 public key',
    ],
    [
      'a compressed wallet key',
      on((certificate) => {
        certificate.walletPublicKey = keys.signer.compressed
      }),
      'request.signerApproval.walletPublicKey must match request.scriptTemplate.signerPublicKey',
    ],
    [
      'the key of another wallet',
      on((certificate) => {
        certificate.walletPublicKey = keys.other.uncompressed
      }),
      'request.signerApproval.walletPublicKey must match request.scriptTemplate.signerPublicKey',
    ],
    [
      'version 1',
      on((certificate) => {
        certificate.certificateVersion = 1
      }),
      `${invalid}certificateVersion must equal 2`,
    ],
    [
      'another algorithm',
      on((certificate) => {
        certificate.signatureAlgorithm = 'ecdsa'
      }),
      `${invalid}signatureAlgorithm must equal tecdsa-secp256k1`,
    ],
    [
      'another signer set',
      on((certificate) => {
        certificate.signerSetHash = `0x${'22'.repeat(32)}`
      }),
      `${invalid}signerSetHash does not match the signer set of the wallet`,
    ],
    [
      'no end',
      on((certificate) => {
        certificate.endBlock = null
      }),
      `${invalid}endBlock is required`,
    ],
    [
      'a tampered end',
      on((certificate) => {
        certificate.endBlock = 123_457n
      }),
      `${invalid}signature does not verify against the wallet public key`,
    ],
    [
      'no signature',
      on((certificate) => {
        certificate.signature = '0x'
      }),
      `${invalid}signature must be a 0x-prefixed hex string`,
    ],
    ['a high S', resigned('highS'), `${invalid}signature must have a low S`],
    ['padded DER', resigned('padded'), `${invalid}signature must be a strict DER ECDSA signature`],
    [
      'a compact signature',
      resigned('compact'),
      `${invalid}signature must be a strict DER ECDSA signature`,
    ],
    [
      'a signature over the bare approval digest',
      on((certificate) => {
        const digest = fromHex(certificate.approvalDigest.slice(2))
        certificate.signature = signAs('der', digest, keys.signer.secret)
      }),
      `${invalid}signature does not verify against the wallet public key`,
    ],
  ])('is refused with %s', async (_, edit, message) => {
    const live = chain()
    const error = await refusal(judge(live.deps, await certified(live, {}, edit)))
    expect([error.code, error.message]).toEqual(['InvalidInput', message])
  })

  it('binds wallet id, key, members and threshold', async () => {
    const base = {
      walletId: `0x${'01'.repeat(32)}`,
      walletPublicKey: keys.signer.uncompressed as string,
      membersIdsHash: `0x${'02'.repeat(32)}`,
      honestThreshold: 51,
    }
    const changes = [
      { walletId: `0x${'03'.repeat(32)}` },
      { walletPublicKey: keys.other.uncompressed as string },
      { membersIdsHash: `0x${'03'.repeat(32)}` },
      { honestThreshold: 52 },
    ]
    const hashes = [base, ...changes.map((change) => ({ ...base, ...change }))].map(signerSetHash)
    expect(new Set(hashes).size).toBe(5)
    const live = chain(51)
    const request = await certified(live)
    const error = await refusal(judge({ ...live.deps, honestThreshold: 52 }, request))
    expect(error.message).toContain('signerSetHash does not match')
  })

  it('is good up to and with its end', async () => {
    const { signerApproval } = await certified(chain(), { endBlock: 100n })
    expect(() => checkCertificateTimely(signerApproval, 100n)).not.toThrow()
    expect(() => checkCertificateTimely(signerApproval, 101n)).toThrow(
      'signer approval certificate has expired',
    )
  })
})

describe('the wallet behind a certificate', () => {
  const actions: readonly Action[] = ['MIGRATION', 'REDEEM', 'RENEW']
  const matrix = actions.flatMap((action) => walletStates.map((state) => [action, state] as const))

  it.each(matrix)('%s: a wallet in state %s', async (action, state) => {
    const live = chain()
    const request = await certified(live, { action })
    live.ethereum.setState(keys.signer.compressed, state)
    if (state === 'Live') {
      await expect(judge(live.deps, request)).resolves.toBeUndefined()
      return
    }
    // The registry is looked at after the state: a closed wallet has no entry there, and that is no outage.
    live.ethereum.setRegistry({ status: 'absent' })
    const error = await refusal(judge(live.deps, request))
    expect([error.code, error.message]).toEqual([
      'InvalidInput',
      `request.signerApproval.walletPublicKey resolves to a wallet in state [${state}] that is not eligible for covenant signing`,
    ])
  })

  it('must be registered', async () => {
    const live = chain()
    const request = await certified(live)
    const error = await refusal(judge({ ...live.deps, wallets: memoryEthereum() }, request))
    expect([error.code, error.message]).toEqual([
      'InvalidInput',
      'request.signerApproval.walletPublicKey must resolve to a registered on-chain wallet',
    ])
  })

  it.each<readonly [RegistryView, string]>([
    [
      { status: 'unavailable', cause: 'timeout', detail: 'no answer' },
      'wallet registry unavailable: timeout, wallet WALLET, registry 0x4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e',
    ],
    [
      { status: 'absent' },
      'wallet registry inconsistent: it holds no such wallet, and the Bridge says it is Live, wallet WALLET, registry',
    ],
    [
      { status: 'inconsistent', detail: 'its key is another one' },
      'wallet registry inconsistent: its key is another one, wallet WALLET, registry',
    ],
  ])('is not judged while the registry is $status', async (view, words) => {
    const live = chain()
    const request = await certified(live)
    const { walletId } = await live.ethereum.getWallet(
      hash160(fromHex(keys.signer.compressed.slice(2))),
    )
    live.ethereum.setRegistry(view)
    const error = await refusal(judge(live.deps, request))
    expect(error.code).toBe('WalletRegistryUnavailable')
    expect(error.message).toContain(words.replace('WALLET', walletId))
    live.ethereum.setRegistry(undefined)
    await expect(judge(live.deps, request)).resolves.toBeUndefined()
  })

  it('is not judged when the Bridge is away or the registry tells zeros', async () => {
    const live = chain()
    const request = await certified(live)
    live.ethereum.fail('connection')
    expect((await refusal(judge(live.deps, request))).code).toBe('ChainUnavailable')
    live.ethereum.fail()
    const zeros = { membersIdsHash: `0x${'00'.repeat(32)}`, publicKey: '0x' } as const
    live.ethereum.setRegistry({ status: 'available', ...zeros })
    expect((await refusal(judge(live.deps, request))).code).toBe('RegistryDataMissing')
  })
})
