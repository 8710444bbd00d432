import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { inspect } from 'node:util'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fromHex, toHex } from '../../src/base/bytes.js'
import { publicKeyOf } from '../../src/base/curve.js'
import { noWallet } from '../../src/base/ids.js'
import { parseRequestId } from '../../src/covenant/job.js'
import type { Hex } from '../../src/covenant/request.js'
import { encodeDerSignature } from '../../src/signer/der.js'
import { openVaultSigner } from '../../src/signer/vault-signer.js'
import { openFileVault } from '../../src/vault/file.js'
import type { FileVault } from '../../src/vault/folder-vault.js'
import { bytes, fileOf, freshVault, newAttempt } from '../vault/fixture.js'

const signal: AbortSignal = new AbortController().signal
const context = { requestId: parseRequestId('kcs_qc_0000000000000001') }
const secretOne: Uint8Array = fromHex('c0ffee'.padStart(64, '1'))
const secretTwo: Uint8Array = fromHex('decade'.padStart(64, '2'))
const hexOf = (secret: Uint8Array): Hex => `0x${toHex(publicKeyOf(secret))}`
const refOf = (label: string) => ({ walletId: noWallet, label })
const halfOrder = (secp256k1.Point.Fn.ORDER - 1n) / 2n

async function bound(vault: FileVault, label: string, secret: Uint8Array): Promise<Hex> {
  await vault.put(refOf(label), Uint8Array.from(secret))
  await vault.bind(refOf(label), publicKeyOf(secret))
  return hexOf(secret)
}

const codeOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => 'none',
    (error: { code?: string; name: string }) => error.code ?? error.name,
  )

describe('the vault signer', () => {
  it('gives the signature that RFC 6979 has for key and digest, in DER with low S', async () => {
    const { vault } = await freshVault()
    const publicKey = await bound(vault, 'key', secretOne)
    const signer = await openVaultSigner(vault)
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 32, maxLength: 32 }), async (digest) => {
        const signature = await signer.sign(publicKey, digest, context, signal)
        const options = { prehash: false, lowS: true, format: 'der' } as const
        expect(toHex(signature)).toBe(toHex(secp256k1.sign(digest, secretOne, options)))
        expect(secp256k1.verify(signature, digest, publicKeyOf(secretOne), options)).toBe(true)
        const { s } = secp256k1.Signature.fromBytes(signature, 'der')
        expect(s <= halfOrder).toBe(true)
      }),
      { numRuns: 200 },
    )
  })

  it('signs with the key that was asked for, and knows no other', async () => {
    const { vault } = await freshVault()
    const one = await bound(vault, 'one', secretOne)
    const two = await bound(vault, 'two', secretTwo)
    await vault.put(refOf('unbound'), Uint8Array.from(randomBytes(32)))
    const signer = await openVaultSigner(vault)
    expect(signer.publicKeys).toEqual([one, two])
    const upper: Hex = `0x${two.slice(2).toUpperCase()}`
    expect(await signer.controls(upper, signal)).toBe(true)
    const digest = Uint8Array.from(randomBytes(32))
    const signature = await signer.sign(upper, digest, context, signal)
    const options = { prehash: false, format: 'der' } as const
    expect(secp256k1.verify(signature, digest, fromHex(two.slice(2)), options)).toBe(true)
    const stranger = hexOf(fromHex('77'.repeat(32)))
    expect(await signer.controls(stranger, signal)).toBe(false)
    expect(await codeOf(signer.sign(stranger, digest, context, signal))).toBe('SignerKeyUnbound')
  })

  it('wipes the secret after each signature, and also when there is none', async () => {
    const { vault } = await freshVault()
    const publicKey = await bound(vault, 'key', secretOne)
    const handed: Uint8Array[] = []
    const watched = {
      locked: false,
      listBound: () => vault.listBound(),
      async read(ref: ReturnType<typeof refOf>) {
        const secret = handed.length === 2 ? Uint8Array.from(secretTwo) : await vault.read(ref)
        if (secret !== undefined) handed.push(secret)
        return secret
      },
    }
    const signer = await openVaultSigner(watched)
    expect(handed).toHaveLength(0)
    for (const digest of [new Uint8Array(32), new Uint8Array(32).fill(9)]) {
      await signer.sign(publicKey, digest, context, signal)
    }
    const refused = signer.sign(publicKey, new Uint8Array(32), context, signal)
    expect(await codeOf(refused)).toBe('SignerKeyUnusable')
    expect(handed.map(toHex)).toEqual(Array(3).fill('00'.repeat(32)))
  })

  it('refuses a binding that somebody changed on the disk, and a secret that is gone', async () => {
    const { dir, folder, vault } = await freshVault()
    await bound(vault, 'key', secretOne)
    const path = fileOf(folder, refOf('key'))
    const changed = readFileSync(path, 'utf8').replace(
      toHex(publicKeyOf(secretOne)),
      toHex(publicKeyOf(secretTwo)),
    )
    writeFileSync(path, changed)
    const signer = await openVaultSigner(vault)
    const digest = new Uint8Array(32)
    const two = hexOf(secretTwo)
    expect(await codeOf(signer.sign(two, digest, context, signal))).toBe('SignerKeyUnusable')
    await vault.remove(refOf('key'))
    expect(await codeOf(signer.sign(two, digest, context, signal))).toBe('SignerKeyUnusable')
    const locked = await openFileVault(dir, undefined)
    expect(await codeOf(openVaultSigner(locked))).toBe('VaultLocked')
  })

  it('signs nothing for a caller who has gone, or a digest of another length', async () => {
    const { vault } = await freshVault()
    const publicKey = await bound(vault, 'key', secretOne)
    const signer = await openVaultSigner(vault)
    const gone = AbortSignal.abort()
    expect(await codeOf(signer.sign(publicKey, new Uint8Array(32), context, gone))).toBe('Aborted')
    const short = signer.sign(publicKey, new Uint8Array(31), context, signal)
    expect(await codeOf(short)).toBe('RangeError')
  })

  it('shows no byte of a key in errors, inspection or JSON', async () => {
    const { folder, vault } = await freshVault()
    const publicKey = await bound(vault, 'key', secretOne)
    await vault.put(refOf('word'), bytes('CANARY'.repeat(5)))
    const signer = await openVaultSigner(vault)
    const digest = new Uint8Array(32)
    const failures: unknown[] = [signer, await vault.listBound(), vault]
    const keep = (error: unknown): void => void failures.push(error)
    await signer.sign(hexOf(secretTwo), digest, context, signal).catch(keep)
    await vault.bind(refOf('key'), publicKeyOf(secretTwo)).catch(keep)
    await vault.bind(refOf('word'), publicKeyOf(secretTwo)).catch(keep)
    await signer.sign(publicKey, new Uint8Array(31), context, signal).catch(keep)
    writeFileSync(fileOf(folder, refOf('key')), '{"version":1,')
    await signer.sign(publicKey, digest, context, signal).catch(keep)
    expect(failures).toHaveLength(8)
    const shown = { showHidden: true, depth: Number.POSITIVE_INFINITY, getters: true } as const
    const text = failures
      .map(
        (it) =>
          `${inspect(it, shown)} ${JSON.stringify(it)} ${it instanceof Error ? it.stack : ''}`,
      )
      .join('\n')
    for (const secret of [secretOne, secretTwo, bytes('CANARY'.repeat(5))]) {
      const buffer = Buffer.from(secret)
      const spellings = [buffer.toString('latin1'), buffer.toString('hex')]
      spellings.push(buffer.toString('base64').slice(0, 42), [...secret].join(', '))
      spellings.push([...secret].join(','), BigInt(`0x${buffer.toString('hex')}`).toString())
      spellings.push([...secret].map((byte) => byte.toString(16).padStart(2, '0')).join(' '))
      for (const spelling of spellings) expect(text).not.toContain(spelling)
    }
  })
})

describe('a binding', () => {
  it('is made only for the private key of the public key', async () => {
    const { vault } = await freshVault()
    await vault.put(refOf('key'), Uint8Array.from(secretOne))
    const other = publicKeyOf(secretTwo)
    expect(await codeOf(vault.bind(refOf('key'), other))).toBe('KeyMismatch')
    expect(await codeOf(vault.bind(refOf('none'), other))).toBe('NoEntry')
    await vault.put(refOf('words'), bytes('not a key'))
    expect(await codeOf(vault.bind(refOf('words'), other))).toBe('KeyMismatch')
    expect((await vault.listBound()).bound).toEqual([])
  })

  it('outlives reopening and a new password around it, and ends with another secret', async () => {
    const { dir, vault } = await freshVault()
    await bound(vault, 'key', secretOne)
    await vault.bind(refOf('key'), publicKeyOf(secretOne))
    const listed = { ...refOf('key'), publicKey: publicKeyOf(secretOne) }
    const again = await openFileVault(dir, undefined)
    expect(await again.listBound()).toEqual({ bound: [listed], damaged: [] })
    await vault.reprotect(refOf('key'), undefined, bytes('an object password'))
    expect((await vault.listBound()).bound).toEqual([listed])
    const { attempt, tag } = newAttempt()
    await vault.stage(refOf('key'), Uint8Array.from(secretTwo), attempt)
    expect(await vault.finalise(refOf('key'), tag)).toBe('displaced')
    expect((await vault.listBound()).bound).toEqual([])
  })

  it('of a damaged file is unknown, and the others stay', async () => {
    const { folder, vault } = await freshVault()
    await bound(vault, 'one', secretOne)
    await bound(vault, 'two', secretTwo)
    writeFileSync(fileOf(folder, refOf('one')), '{"version":1,')
    const { bound: left, damaged } = await vault.listBound()
    expect(left.map(({ label }) => label)).toEqual(['two'])
    expect(damaged).toEqual([refOf('one')])
  })
})

describe('the DER encoding of a signature', () => {
  it('is that of an independent library', () => {
    const scalar = fc.bigInt({ min: 1n, max: secp256k1.Point.Fn.ORDER - 1n })
    fc.assert(
      fc.property(scalar, scalar, (r, s) => {
        const signature = new secp256k1.Signature(r, s)
        expect(toHex(encodeDerSignature(signature.toBytes('compact')))).toBe(signature.toHex('der'))
      }),
    )
    expect(() => encodeDerSignature(new Uint8Array(64))).toThrow(RangeError)
  })
})
