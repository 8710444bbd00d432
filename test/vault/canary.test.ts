import { writeFileSync } from 'node:fs'
import { inspect } from 'node:util'
import { expect, it } from 'vitest'
import { openFileVault } from '../../src/vault/file.js'
import {
  bytes,
  dataDir,
  fileOf,
  freshVault,
  newAttempt,
  passphrase,
  seedOfA,
  snapshot,
  walletB,
} from './fixture.js'

const secret = bytes('CANARY-secret-0123456789')
const password = bytes('CANARY-object-password')
const words = bytes('CANARY-vault-passphrase')

/** Every spelling in which secret bytes could come to light. */
function spellings(value: Uint8Array): readonly string[] {
  const buffer = Buffer.from(value)
  const list = [...value]
  return [
    buffer.toString('latin1'),
    buffer.toString('hex'),
    buffer.toString('base64').replace(/=+$/, ''),
    list.join(','),
    list.join(', '),
    list.map((byte) => byte.toString(16).padStart(2, '0')).join(' '),
  ]
}

function expectClean(text: string): void {
  for (const value of [secret, password, words, passphrase]) {
    for (const spelling of spellings(value)) expect(text).not.toContain(spelling)
  }
}

it('shows no secret byte in files, errors, inspection or JSON', async () => {
  const { dir, folder, vault } = await freshVault()
  const { attempt, tag } = newAttempt()
  const hidden = { walletId: walletB, label: 'hidden' }
  await vault.put(seedOfA, bytes('something else'))
  await vault.stage(seedOfA, secret, attempt)
  await vault.finalise(seedOfA, tag)
  await vault.put(hidden, secret, password)
  writeFileSync(fileOf(folder, { walletId: walletB, label: 'torn' }), '{"version":1,')

  const failures = await Promise.all(
    [
      () => openFileVault(dir, words),
      () => openFileVault(dir, secret.subarray(0, 4)),
      () => openFileVault(dataDir(), words),
      () => vault.read(hidden),
      () => vault.read(hidden, words),
      () => vault.read(seedOfA, password),
      () => vault.read({ walletId: walletB, label: 'torn' }),
      () => vault.put({ walletId: walletB, label: 'CANARY-secret-0123456789' }, secret),
      () => vault.put(hidden, secret, secret.subarray(0, 4)),
      () => vault.stage(seedOfA, new Uint8Array(9000).fill(0x41), attempt, password),
    ].map((call) =>
      call().then(
        () => undefined,
        (error: unknown) => error,
      ),
    ),
  )
  expect(failures).not.toContain(undefined)

  const shown = { showHidden: true, depth: Number.POSITIVE_INFINITY, getters: true } as const
  for (const it of [vault, await vault.list(), ...failures]) {
    expectClean(inspect(it, shown))
    expectClean(JSON.stringify(it))
    expectClean(it instanceof Error ? `${it.stack} ${JSON.stringify(it.cause)}` : '')
  }
  expect(JSON.stringify(vault)).toBe('{"locked":false,"warnings":[]}')
  for (const [name, content] of Object.entries(snapshot(folder))) {
    expectClean(name)
    expectClean(Buffer.from(content, 'hex').toString('latin1'))
  }
  expect(await vault.read(seedOfA)).toEqual(secret)
})
