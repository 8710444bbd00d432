import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isHoldfastError } from '../../src/base/errors.js'
import { openFileVault } from '../../src/vault/file.js'
import { kdfFloor } from '../../src/vault/kdf.js'
import {
  decodeHeader,
  decodeSecretFile,
  encodeHeader,
  encodeSecretFile,
} from '../../src/vault/secret-file.js'
import { bytes, fileOf, freshVault, passphrase, seedOfA } from './fixture.js'

const filled = (length: number, byte = 0xab): Uint8Array => new Uint8Array(length).fill(byte)
const header = {
  kdf: kdfFloor,
  salt: filled(32),
  verify: { nonce: filled(24, 1), ciphertext: filled(34, 2) },
}
const file = { header, sealed: { nonce: filled(24, 3), ciphertext: filled(40, 4) } }

type Document = Record<string, unknown> & { header: Record<string, unknown> }
const documentOf = (content: Uint8Array): Document =>
  JSON.parse(new TextDecoder().decode(content)) as Document
const asFile = (document: unknown): Uint8Array => bytes(`${JSON.stringify(document)}\n`)

/** The code of what decoding throws. */
function refusalOf(content: Uint8Array): string {
  try {
    decodeSecretFile(content, 'file')
    return 'none'
  } catch (error) {
    return isHoldfastError(error) ? error.code : String(error)
  }
}

describe('the file of a secret', () => {
  it('decodes to what was encoded', () => {
    const byteArray = (min: number, max = min) => fc.uint8Array({ minLength: min, maxLength: max })
    fc.assert(
      fc.property(byteArray(32), byteArray(24), byteArray(34), byteArray(16, 300), (...parts) => {
        const [salt, nonce, token, ciphertext] = parts
        const made = {
          header: { kdf: kdfFloor, salt, verify: { nonce, ciphertext: token } },
          sealed: { nonce, ciphertext },
        }
        expect(decodeSecretFile(encodeSecretFile(made), 'file')).toEqual(made)
        expect(decodeHeader(encodeHeader(made.header))).toEqual(made.header)
      }),
      { numRuns: 50 },
    )
  })

  it('has sorted keys and lower-case hex', () => {
    const text = new TextDecoder().decode(encodeSecretFile(file))
    expect(text).toMatch(
      /^\{"ciphertext":"(04){40}","header":\{"kdf":\{"id":1,"m_kib":19456,"p":1,"t":2\},"salt":"(ab){32}","verify_ct":"(02){34}","verify_nonce":"(01){24}","version":1\},"nonce":"(03){24}","version":1\}\n$/,
    )
  })

  it('names a version it does not know before it looks at anything else', () => {
    expect(refusalOf(asFile({ version: 2 }))).toBe('VersionUnsupported')
    expect(refusalOf(asFile({ version: 2, nonce: 7, more: [] }))).toBe('VersionUnsupported')
    const document = documentOf(encodeSecretFile(file))
    document.header.version = 2
    expect(refusalOf(asFile(document))).toBe('VersionUnsupported')
  })

  it.each<[string, (document: Document) => unknown]>([
    ['an extra field', (document) => ({ ...document, extra: 1 })],
    ['an extra header field', (it) => ({ ...it, header: { ...it.header, extra: 1 } })],
    ['a missing field', ({ nonce: _, ...rest }) => rest],
    ['no version', ({ version: _, ...rest }) => rest],
    ['a version that is a text', (document) => ({ ...document, version: '1' })],
    ['a nonce of 1 byte', (document) => ({ ...document, nonce: 'ab' })],
    ['upper-case hex', (document) => ({ ...document, nonce: 'AB'.repeat(24) })],
    ['half a byte', (document) => ({ ...document, ciphertext: `${'ab'.repeat(20)}c` })],
    ['a ciphertext shorter than a tag', (it) => ({ ...it, ciphertext: 'ab'.repeat(15) })],
    ['a ciphertext beyond the bound', (it) => ({ ...it, ciphertext: 'ab'.repeat(9000) })],
    ['a number as ciphertext', (document) => ({ ...document, ciphertext: 7 })],
    ['a list as header', (document) => ({ ...document, header: [] })],
    ['other order of keys', ({ version, ...rest }) => ({ version, ...rest })],
    ['null', () => null],
  ])('refuses %s as malformed', (_, change) => {
    const whole = encodeSecretFile(file)
    expect(refusalOf(whole)).toBe('none')
    expect(refusalOf(asFile(change(documentOf(whole))))).toBe('MalformedVault')
  })

  it.each([
    { id: 2, m_kib: 19_456, p: 1, t: 2 },
    { id: 1, m_kib: 19_455, p: 1, t: 2 },
    { id: 1, m_kib: 1_048_577, p: 1, t: 2 },
    { id: 1, m_kib: 19_456, p: 1, t: 17 },
    { id: 1, m_kib: 19_456, p: 1, t: 2.5 },
    { id: 1, m_kib: 19_456, p: 9, t: 2 },
  ])('refuses a key derivation outside the bounds: %j', (kdf) => {
    const document = documentOf(encodeSecretFile(file))
    document.header.kdf = kdf
    expect(refusalOf(asFile(document))).toBe('MalformedVault')
  })

  it('refuses every prefix, trailing bytes, deep nesting and bytes that are no text', () => {
    const whole = encodeSecretFile(file)
    for (let length = 0; length < whole.length; length++) {
      expect(refusalOf(whole.subarray(0, length))).toBe('MalformedVault')
    }
    expect(refusalOf(Buffer.concat([whole, bytes('\n')]))).toBe('MalformedVault')
    expect(refusalOf(bytes('['.repeat(60_000)))).toBe('MalformedVault')
    expect(refusalOf(filled(100, 0xff))).toBe('MalformedVault')
    expect(refusalOf(Buffer.concat([filled(3, 0xef), whole]))).toBe('MalformedVault')
  })
})

describe('one changed byte', () => {
  it('in a secret file gives a typed error, and only in the header copy may the secret still open', async () => {
    const { folder, vault } = await freshVault()
    const secret = bytes('canary secret')
    await vault.put(seedOfA, secret)
    const path = fileOf(folder, seedOfA)
    const whole = readFileSync(path)
    const copyStart = whole.indexOf('"header"')
    const copyEnd = whole.indexOf('"nonce"', whole.indexOf('"version"'))
    const outcomes = new Set<string>()
    for (let at = 0; at < whole.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const changed = Buffer.from(whole)
        changed[at] = (whole[at] ?? 0) ^ (1 << bit)
        writeFileSync(path, changed)
        const result = await vault.read(seedOfA).catch((error: unknown) => error)
        if (result instanceof Uint8Array) {
          expect(at).toBeGreaterThan(copyStart)
          expect(at).toBeLessThan(copyEnd)
          expect(result).toEqual(secret)
          outcomes.add('read')
        } else {
          if (!isHoldfastError(result)) throw result
          outcomes.add(result.code)
        }
      }
    }
    expect(outcomes).toEqual(
      new Set(['read', 'Corruption', 'MalformedVault', 'VersionUnsupported']),
    )
  })

  it('in the header file leaves the vault usable through a copy, or gives a typed error', async () => {
    const { dir, folder, vault } = await freshVault()
    await vault.put(seedOfA, bytes('secret'))
    const path = join(folder, 'header')
    const whole = readFileSync(path)
    const places = fc.record({ at: fc.nat({ max: whole.length - 1 }), bit: fc.nat({ max: 7 }) })
    await fc.assert(
      fc.asyncProperty(places, async ({ at, bit }) => {
        const changed = Buffer.from(whole)
        changed[at] = (whole[at] ?? 0) ^ (1 << bit)
        writeFileSync(path, changed)
        const opened = await openFileVault(dir, passphrase).catch((error: unknown) => error)
        if (opened instanceof Error) {
          expect(opened).toMatchObject({ code: 'VersionUnsupported' })
          return
        }
        const reopened = opened as Awaited<ReturnType<typeof openFileVault>>
        expect(reopened.warnings).toEqual(['headerDamaged'])
        expect(await reopened.read(seedOfA)).toEqual(bytes('secret'))
      }),
      { numRuns: 40 },
    )
  })
})
