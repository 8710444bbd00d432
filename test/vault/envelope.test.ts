import { encode } from 'cborg'
import { describe, expect, it } from 'vitest'
import { decodeEnvelope, unwrapSecret, wrapSecret } from '../../src/vault/envelope.js'
import { openFileVault } from '../../src/vault/file.js'
import { kdfDefault, kdfFloor } from '../../src/vault/kdf.js'
import { bytes, freshVault, passphrase, seedOfA, snapshot, walletA, walletB } from './fixture.js'

const password = bytes('object password')
const code = (name: string) => expect.objectContaining({ code: name })
const filled = (length: number): Uint8Array => new Uint8Array(length).fill(7)

describe('an object password', () => {
  it('is asked for in both directions, and only the right one opens', async () => {
    const { vault } = await freshVault()
    const open = { walletId: walletA, label: 'open' }
    await vault.put(seedOfA, bytes('secret'), password)
    await vault.put(open, bytes('plain'))
    expect(await vault.read(seedOfA, password)).toEqual(bytes('secret'))
    await expect(vault.read(seedOfA, bytes('other password'))).rejects.toEqual(
      code('WrongPassword'),
    )
    await expect(vault.read(seedOfA, bytes('short'))).rejects.toEqual(code('WrongPassword'))
    await expect(vault.read(seedOfA)).rejects.toEqual(code('NeedsPassword'))
    await expect(vault.read(open, password)).rejects.toEqual(code('ExpectedProtectedButUnsealed'))
    expect(await vault.read(open)).toEqual(bytes('plain'))
    expect(await vault.read({ walletId: walletB, label: 'none' }, password)).toBeUndefined()
    await expect(vault.put(open, bytes('x'), bytes('short'))).rejects.toEqual(
      code('PassphraseLength'),
    )
  })

  it('survives finalising, since it is bound to the base label', async () => {
    const { vault } = await freshVault()
    const attempt = '0123456789abcdef0123456789abcdef' as Parameters<typeof vault.stage>[2]
    await vault.stage(seedOfA, bytes('secret'), attempt, password)
    expect(await vault.finalise(seedOfA, '0123456789abcdef')).toBe('moved')
    expect(await vault.read(seedOfA, password)).toEqual(bytes('secret'))
  })

  it('is changed, added and taken away in place', async () => {
    const { dir, folder, vault } = await freshVault()
    await vault.put(seedOfA, bytes('secret'))
    await vault.reprotect(seedOfA, undefined, password)
    await expect(vault.read(seedOfA)).rejects.toEqual(code('NeedsPassword'))
    const before = snapshot(folder)
    await expect(vault.reprotect(seedOfA, bytes('wrong one'), undefined)).rejects.toEqual(
      code('WrongPassword'),
    )
    await expect(vault.reprotect(seedOfA, password, bytes('short'))).rejects.toEqual(
      code('PassphraseLength'),
    )
    expect(snapshot(folder)).toEqual(before)
    await vault.reprotect(seedOfA, password, undefined)
    const reopened = await openFileVault(dir, passphrase)
    expect(await reopened.read(seedOfA)).toEqual(bytes('secret'))
    await expect(
      vault.reprotect({ walletId: walletB, label: 'none' }, undefined, password),
    ).rejects.toEqual(code('NoEntry'))
  })
})

describe('an envelope', () => {
  it('under a password is bound to its wallet and label', async () => {
    const wrapped = await wrapSecret(seedOfA, bytes('secret'), password, kdfFloor)
    const envelope = decodeEnvelope(seedOfA, wrapped)
    expect(await unwrapSecret(seedOfA, envelope, password)).toEqual(bytes('secret'))
    for (const ref of [
      { ...seedOfA, walletId: walletB },
      { ...seedOfA, label: 'other' },
    ]) {
      await expect(unwrapSecret(ref, envelope, password)).rejects.toEqual(code('WrongPassword'))
    }
  })

  it('of an unknown version is named as such, whatever else it holds', () => {
    for (const fields of [[2], [2, 0, filled(3)], [0, { any: 'thing' }]]) {
      expect(() => decodeEnvelope(seedOfA, encode(fields))).toThrow(
        code('UnsupportedEnvelopeVersion'),
      )
    }
    const trailing = Buffer.concat([encode([2]), filled(2)])
    expect(() => decodeEnvelope(seedOfA, trailing)).toThrow(code('UnsupportedEnvelopeVersion'))
  })

  const cost = [1, kdfFloor.memoryKib, kdfFloor.iterations, 1]
  const valid = [1, 1, cost, filled(32), filled(24), filled(20)]
  const at = (index: number, value: unknown) => valid.map((it, i) => (i === index ? value : it))
  it.each<[string, Uint8Array]>([
    ['no bytes', new Uint8Array()],
    ['trailing bytes', Buffer.concat([encode([1, 0, filled(3)]), filled(1)])],
    ['no array', encode({ version: 1 })],
    ['no version', encode(['1', 0, filled(3)])],
    ['an unknown scheme', encode([1, 2, filled(3)])],
    ['a text as secret', encode([1, 0, 'secret'])],
    ['a fourth field', encode([1, 0, filled(3), 1])],
    ['a longer spelling of a number', Uint8Array.from([0x83, 0x18, 0x01, 0x00, 0x41, 0x07])],
    ['an unending array', Uint8Array.from([0x9f, 0x01, 0x00, 0x41, 0x07, 0xff])],
    ['a short salt', encode(at(3, filled(31)))],
    ['a short nonce', encode(at(4, filled(23)))],
    ['a ciphertext shorter than a tag', encode(at(5, filled(15)))],
    ['memory above the default', encode(at(2, [1, kdfDefault.memoryKib + 1, 2, 1]))],
    ['passes above the default', encode(at(2, [1, kdfFloor.memoryKib, 4, 1]))],
    ['memory below the floor', encode(at(2, [1, 8, 2, 1]))],
    ['another derivation', encode(at(2, [2, kdfFloor.memoryKib, 2, 1]))],
  ])('with %s is corrupt', (_, content) => {
    expect(decodeEnvelope(seedOfA, encode(valid))).toMatchObject({ scheme: 1 })
    expect(() => decodeEnvelope(seedOfA, content)).toThrow(code('Corruption'))
  })
})
