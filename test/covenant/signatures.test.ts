import { createPublicKey, generateKeyPairSync, sign as signEd25519 } from 'node:crypto'
import { secp256k1 as oracle } from '@noble/curves/secp256k1.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fromHex } from '../../src/base/bytes.js'
import {
  checkCertificateSignature,
  checkEthereumSignature,
  checkScriptKeySignature,
  ethereumAddress,
  verifyQuoteSignature,
} from '../../src/covenant/signatures.js'
import { encodeDer, quoteIssuer } from './factory.js'

const n = oracle.Point.CURVE().n
const halfN = n / 2n

const scalar = (value: bigint): Uint8Array => fromHex(value.toString(16).padStart(64, '0'))
const compactOf = (r: bigint, s: bigint): Uint8Array => Uint8Array.of(...scalar(r), ...scalar(s))
const secretOf = (seed: bigint): Uint8Array => scalar((seed % (n - 1n)) + 1n)
const signer = (seed: bigint) => {
  const secret = secretOf(seed)
  const uncompressed = oracle.getPublicKey(secret, false)
  return {
    secret,
    compressed: oracle.getPublicKey(secret, true),
    uncompressed,
    address: keccak_256(uncompressed.subarray(1)).subarray(12),
  }
}

const raw = { prehash: false, lowS: true } as const
const digest32 = fc.uint8Array({ minLength: 32, maxLength: 32 })
const seed = fc.bigInt({ min: 0n, max: n })
const form = fc.constantFrom('der', 'compact' as const, 'recoverable', 'ethereum')

function signWith(secret: Uint8Array, digest: Uint8Array, how: string): Uint8Array {
  if (how === 'der') return oracle.sign(digest, secret, { ...raw, format: 'der' })
  if (how === 'compact') return oracle.sign(digest, secret, { ...raw, format: 'compact' })
  const recovered = oracle.sign(digest, secret, { ...raw, format: 'recovered' })
  const v = (recovered[0] ?? 0) + (how === 'ethereum' ? 27 : 0)
  return Uint8Array.of(...recovered.subarray(1), v)
}

/** What the oracle says of script-key bytes, the form being picked by length as the specification has it. */
function oracleAccepts(signature: Uint8Array, digest: Uint8Array, key: Uint8Array): boolean {
  const last = signature[64] ?? -1
  const compact =
    signature.length === 64 || (signature.length === 65 && [0, 1, 27, 28].includes(last))
  return oracleVerifies(compact ? signature.subarray(0, 64) : signature, digest, key, compact)
}

function oracleVerifies(
  signature: Uint8Array,
  digest: Uint8Array,
  key: Uint8Array,
  compact: boolean,
): boolean {
  try {
    return oracle.verify(signature, digest, key, { ...raw, format: compact ? 'compact' : 'der' })
  } catch {
    // The oracle throws for bytes that are no signature at all.
    return false
  }
}

function oracleRecovers(signature: Uint8Array, digest: Uint8Array, address: Uint8Array): boolean {
  const v = signature[64] ?? -1
  if (signature.length !== 65 || ![0, 1, 27, 28].includes(v)) return false
  try {
    const parsed = oracle.Signature.fromBytes(signature.subarray(0, 64), 'compact')
    if (parsed.hasHighS()) return false
    const point = parsed.addRecoveryBit(v % 27).recoverPublicKey(digest)
    const found = keccak_256(point.toBytes(false).subarray(1)).subarray(12)
    return Buffer.compare(found, address) === 0
  } catch {
    // As above.
    return false
  }
}

function isPoint(bytes: Uint8Array): boolean {
  try {
    oracle.Point.fromBytes(bytes)
    return true
  } catch {
    // No point has this x.
    return false
  }
}

/** Flips, inserts, cuts or appends a byte, or leaves all as it is. */
const mutation = fc.oneof(
  fc.constant({ kind: 'none' as const }),
  fc.record({ kind: fc.constant('flip' as const), at: fc.nat(80), bit: fc.nat(7) }),
  fc.record({ kind: fc.constant('insert' as const), at: fc.nat(80), byte: fc.nat(255) }),
  fc.record({ kind: fc.constant('cut' as const), at: fc.nat(80) }),
  fc.record({ kind: fc.constant('append' as const), byte: fc.nat(255) }),
)
type Mutation = typeof mutation extends fc.Arbitrary<infer M> ? M : never

function mutate(bytes: Uint8Array, change: Mutation): Uint8Array {
  const out = [...bytes]
  if (change.kind === 'flip') {
    const at = change.at % out.length
    out[at] = (out[at] ?? 0) ^ (1 << change.bit)
  }
  if (change.kind === 'insert') out.splice(change.at % out.length, 0, change.byte)
  if (change.kind === 'cut') out.splice(change.at % out.length, 1)
  if (change.kind === 'append') out.push(change.byte)
  return Uint8Array.from(out)
}

describe('a signature by a script key', () => {
  it('is accepted in every form exactly where an independent library verifies it', () => {
    let accepted = 0
    fc.assert(
      fc.property(seed, digest32, form, mutation, (which, digest, how, change) => {
        const { secret, compressed } = signer(which)
        const signature = mutate(signWith(secret, digest, how), change)
        const verdict = checkScriptKeySignature(signature, digest, compressed)
        expect(verdict === 'valid').toBe(oracleAccepts(signature, digest, compressed))
        if (verdict === 'valid') accepted += 1
        if (change.kind === 'none') expect(verdict).toBe('valid')
      }),
      { numRuns: 600 },
    )
    expect(accepted).toBeGreaterThan(10)
  })

  it('is refused as high S when S is replaced by n - S, in DER and in 64 and 65 bytes', () => {
    fc.assert(
      fc.property(seed, digest32, (which, digest) => {
        const { secret, compressed } = signer(which)
        const compact = oracle.sign(digest, secret, { ...raw, format: 'compact' })
        const { r, s } = oracle.Signature.fromBytes(compact, 'compact')
        const high = compactOf(r, n - s)
        for (const bytes of [high, Uint8Array.of(...high, 27), encodeDer(high)]) {
          expect(checkScriptKeySignature(bytes, digest, compressed)).toBe('highS')
        }
      }),
      { numRuns: 50 },
    )
  })

  const key = signer(5n)
  const digest = new Uint8Array(32).fill(7)
  const check = (bytes: Uint8Array) => checkScriptKeySignature(bytes, digest, key.compressed)

  it('draws the line of low S at floor(n / 2)', () => {
    expect(check(compactOf(1n, halfN))).toBe('mismatch')
    expect(check(compactOf(1n, halfN + 1n))).toBe('highS')
    expect(check(encodeDer(compactOf(1n, halfN)))).toBe('mismatch')
    expect(check(encodeDer(compactOf(1n, halfN + 1n)))).toBe('highS')
  })

  it('does not verify with r or s of zero, or r of the order, in 64 bytes', () => {
    expect(check(compactOf(0n, 1n))).toBe('mismatch')
    expect(check(compactOf(1n, 0n))).toBe('mismatch')
    expect(check(compactOf(n, 1n))).toBe('mismatch')
  })

  it('takes 65 bytes as r and s whatever the last byte of 0, 1, 27 and 28 says', () => {
    const compact = signWith(key.secret, digest, 'compact')
    for (const v of [0, 1, 27, 28]) expect(check(Uint8Array.of(...compact, v))).toBe('valid')
    for (const v of [2, 26, 29, 255]) {
      expect(check(Uint8Array.of(...compact, v))).toBe('unparseable')
    }
  })

  it('has one DER encoding only', () => {
    const der = encodeDer(signWith(key.secret, digest, 'compact'))
    const rSize = der[3] ?? 0
    const sAt = 4 + rSize
    const s = der.subarray(sAt + 2)
    const wrapped = (body: readonly number[]) => Uint8Array.of(0x30, body.length, ...body)
    const r = [...der.subarray(2, sAt)]
    const loose: Readonly<Record<string, Uint8Array>> = {
      'a byte after the end': Uint8Array.of(...der, 0),
      'a byte inside after s': wrapped([...r, 0x02, s.length, ...s, 0]),
      'a padded s': wrapped([...r, 0x02, s.length + 1, 0, ...s]),
      'a long-form length': Uint8Array.of(0x30, 0x81, der.length - 2, ...der.subarray(2)),
      'an indefinite length': Uint8Array.of(0x30, 0x80, ...der.subarray(2), 0, 0),
      'another outer tag': Uint8Array.of(0x31, ...der.subarray(1)),
      'another inner tag': wrapped([0x03, ...r.slice(1), 0x02, s.length, ...s]),
      'an s of no bytes': wrapped([...r, 0x02, 0]),
      'a negative s': wrapped([...r, 0x02, 1, 0x80]),
      'an s of zero': wrapped([...r, 0x02, 1, 0]),
      'an r of the order': encodeDer(compactOf(n, 1n)),
      'an s cut short': der.subarray(0, der.length - 1),
      'no bytes': new Uint8Array(),
    }
    expect(check(der)).toBe('valid')
    const found = Object.entries(loose).filter(([, bytes]) => check(bytes) !== 'unparseable')
    expect(found.map(([what]) => what)).toEqual([])
  })

  it('does not verify under a key that is uncompressed, hybrid, x-only or off the curve', () => {
    const signature = signWith(key.secret, digest, 'der')
    const { compressed, uncompressed } = key
    const off = [...Array(50).keys()]
      .map((x) => Uint8Array.of(2, ...scalar(BigInt(x))))
      .find((bytes) => !isPoint(bytes))
    const hybrid = Uint8Array.of(6 + ((uncompressed[64] ?? 0) & 1), ...uncompressed.subarray(1))
    const wrong = [
      uncompressed,
      hybrid,
      compressed.subarray(1),
      off ?? compressed,
      new Uint8Array(),
    ]
    expect(wrong.map((bytes) => checkScriptKeySignature(signature, digest, bytes))).toEqual(
      wrong.map(() => 'mismatch'),
    )
  })

  it('is a programmer error to check over a digest that is not 32 bytes', () => {
    const signature = signWith(key.secret, digest, 'der')
    const short = digest.subarray(1)
    expect(() => checkScriptKeySignature(signature, short, key.compressed)).toThrow()
  })

  it('reads bytes that no one meant as a signature without throwing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(['unparseable', 'highS', 'mismatch']).toContain(check(bytes))
      }),
      { numRuns: 500 },
    )
  })
})

describe('a signature by a wallet over a certificate', () => {
  it('is accepted exactly where an independent library verifies it as DER', () => {
    fc.assert(
      fc.property(seed, digest32, form, mutation, (which, digest, how, change) => {
        const { secret, uncompressed } = signer(which)
        const signature = mutate(signWith(secret, digest, how), change)
        const verdict = checkCertificateSignature(signature, digest, uncompressed)
        expect(verdict === 'valid').toBe(oracleVerifies(signature, digest, uncompressed, false))
        if (how === 'der' && change.kind === 'none') expect(verdict).toBe('valid')
        if (how !== 'der' && change.kind === 'none') expect(verdict).toBe('unparseable')
      }),
      { numRuns: 300 },
    )
  })

  it('is refused under a key that is compressed, hybrid or off the curve', () => {
    const { secret, compressed, uncompressed } = signer(9n)
    const digest = new Uint8Array(32).fill(3)
    const signature = signWith(secret, digest, 'der')
    const hybrid = Uint8Array.of(6 + ((uncompressed[64] ?? 0) & 1), ...uncompressed.subarray(1))
    const off = Uint8Array.of(...uncompressed.subarray(0, 64), (uncompressed[64] ?? 0) ^ 1)
    expect(checkCertificateSignature(signature, digest, uncompressed)).toBe('valid')
    for (const key of [compressed, hybrid, off]) {
      expect(checkCertificateSignature(signature, digest, key)).toBe('mismatch')
    }
  })
})

describe('a signature by an Ethereum wallet', () => {
  it('is accepted exactly where an independent library recovers the address', () => {
    let accepted = 0
    fc.assert(
      fc.property(seed, digest32, form, mutation, (which, digest, how, change) => {
        const { secret, address } = signer(which)
        const signature = mutate(signWith(secret, digest, how), change)
        const verdict = checkEthereumSignature(signature, digest, address)
        expect(verdict === 'valid').toBe(oracleRecovers(signature, digest, address))
        if (verdict === 'valid') accepted += 1
        const wallet = how === 'ethereum' || how === 'recoverable'
        if (wallet && change.kind === 'none') expect(verdict).toBe('valid')
      }),
      { numRuns: 600 },
    )
    expect(accepted).toBeGreaterThan(10)
  })

  const { secret, address, uncompressed } = signer(11n)
  const digest = new Uint8Array(32).fill(13)
  const signature = signWith(secret, digest, 'ethereum')
  const check = (bytes: Uint8Array) => checkEthereumSignature(bytes, digest, address)
  const withV = (v: number) => Uint8Array.of(...signature.subarray(0, 64), v)

  it('names length, S, recovery id, recovery and address in this order', () => {
    const high = compactOf(1n, n - 1n)
    expect(check(Uint8Array.of(...high, 99, 0))).toBe('wrongLength')
    expect(check(high)).toBe('wrongLength')
    expect(check(Uint8Array.of(...high, 99))).toBe('highS')
    expect(check(Uint8Array.of(...compactOf(0n, 0n), 99))).toBe('badRecoveryId')
    expect(check(Uint8Array.of(...compactOf(0n, 0n), 27))).toBe('unrecoverable')
    expect(check(Uint8Array.of(...compactOf(n, 1n), 27))).toBe('unrecoverable')
    expect(checkEthereumSignature(signature, digest, new Uint8Array(20))).toBe('mismatch')
  })

  it('takes v of 0 and 27 as one, 1 and 28 as the other, and nothing else', () => {
    const parity = (signature[64] ?? 0) - 27
    expect([parity, parity + 27].map((v) => check(withV(v)))).toEqual(['valid', 'valid'])
    expect([1 - parity, 28 - parity].map((v) => check(withV(v)))).toEqual(['mismatch', 'mismatch'])
    for (const v of [2, 3, 26, 29, 30, 37, 255]) expect(check(withV(v))).toBe('badRecoveryId')
  })

  it('says "unrecoverable" for an r that no point has', () => {
    const r = [2n, 3n, 4n, 5n, 6n, 7n].find((x) => !isPoint(Uint8Array.of(2, ...scalar(x))))
    expect(check(Uint8Array.of(...compactOf(r ?? 0n, 1n), 27))).toBe('unrecoverable')
  })

  it('names wallets as Ethereum does', () => {
    expect(Buffer.from(ethereumAddress(uncompressed)).equals(Buffer.from(address))).toBe(true)
    // The address of private key 1, known from every Ethereum tool.
    const one = oracle.getPublicKey(scalar(1n), false)
    expect(Buffer.from(ethereumAddress(one)).toString('hex')).toBe(
      '7e5f4552091a69125d5dfcb7b8c2659029395bdf',
    )
  })
})

describe('a signature over a quote', () => {
  it('verifies under its own key and hash only, and refuses other lengths', () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519')
    fc.assert(
      fc.property(digest32, mutation, (hash, change) => {
        const good = new Uint8Array(signEd25519(null, hash, privateKey))
        const bytes = mutate(good, change)
        const same = Buffer.compare(bytes, good) === 0
        expect(verifyQuoteSignature(bytes, hash, publicKey)).toBe(same)
        const other = createPublicKey(quoteIssuer.publicKeyPem)
        expect(verifyQuoteSignature(good, hash, other)).toBe(false)
      }),
      { numRuns: 200 },
    )
  })

  it('refuses an S that is not below the group order, which would verify by another encoding', () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519')
    const hash = new Uint8Array(32).fill(1)
    const good = new Uint8Array(signEd25519(null, hash, privateKey))
    const order = 2n ** 252n + 27742317777372353535851937790883648493n
    const s = BigInt(`0x${Buffer.from(good.subarray(32)).reverse().toString('hex')}`)
    const shifted = fromHex((s + order).toString(16).padStart(64, '0')).reverse()
    const bytes = Uint8Array.of(...good.subarray(0, 32), ...shifted)
    expect(verifyQuoteSignature(good, hash, publicKey)).toBe(true)
    expect(verifyQuoteSignature(bytes, hash, publicKey)).toBe(false)
  })

  it('is a programmer error to check with a key that is not Ed25519', () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
    expect(() => verifyQuoteSignature(new Uint8Array(64), new Uint8Array(32), publicKey)).toThrow(
      TypeError,
    )
  })
})
