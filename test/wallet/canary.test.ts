// No secret byte of a run may be found in any file of the data directory, in errors, events or logs.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterEach, expect, it } from 'vitest'
import type { Logger } from '../../src/base/log.js'
import { scriptedFaults } from '../../src/testing/faults.js'
import { derivePath256 } from '../../src/wallet/derive.js'
import { newPhrase, seedFromPhrase } from '../../src/wallet/mnemonic.js'
import { DataDir, passphrase } from './data-dir.js'

const dirs: DataDir[] = []
afterEach(async () => {
  for (const dir of dirs.splice(0)) await dir.remove()
})

/** Every way a secret could be written down: raw, hex, base64 and as words; in pieces long enough to be no accident. */
function canaries(phrase: string): readonly Buffer[] {
  const seed = seedFromPhrase(phrase)
  const keys = ['m', "m/44'/1'/0'", "m/9'/1'/17'/0'/0'"].map(
    (path) => derivePath256({ seed, path, network: 'testnet' }).privateKey,
  )
  const words = phrase.split(' ')
  return [seed, seed.subarray(0, 32), seed.subarray(32), ...keys, passphrase]
    .flatMap((bytes) => {
      const raw = Buffer.from(bytes.subarray(0, 16))
      return [
        raw,
        Buffer.from(raw.toString('hex')),
        Buffer.from(raw.toString('base64').slice(0, 20)),
      ]
    })
    .concat([Buffer.from(words.slice(0, 2).join(' ')), Buffer.from(words.slice(3, 5).join(' '))])
}

function everyFile(folder: string): readonly Buffer[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    return statSync(path).isDirectory() ? everyFile(path) : [readFileSync(path)]
  })
}

function expectNone(where: string, haystack: Buffer, secrets: readonly Buffer[]): void {
  for (const [n, secret] of secrets.entries()) {
    expect(haystack.includes(secret), `${where} holds canary ${n}`).toBe(false)
  }
}

it('leaves no secret byte in files, errors, events or logs, whatever fails', async () => {
  const dir = new DataDir()
  dirs.push(dir)
  await dir.withVault()
  const phrases = [newPhrase(24), newPhrase(12), newPhrase(24), newPhrase(24)]
  const secrets = phrases.flatMap((phrase) => canaries(phrase))
  const said: unknown[] = []
  const log: Logger = {
    info: (fields, message) => said.push(fields, message),
    warn: (fields, message) => said.push(fields, message),
  }
  const points = [undefined, 'secret.stage.after', 'promote.beforeCommit', 'secret.finalise.before']
  for (const [n, phrase] of phrases.entries()) {
    const point = points[n]
    const faults = scriptedFaults(point === undefined ? [] : [{ point, action: 'transient' }])
    const { wallets, vault, close } = await dir.open({
      passphrase,
      faults,
      log,
      onEvent: (e) => said.push(e),
    })
    const result: unknown = await wallets
      .createFromMnemonic({ phrase, network: 'testnet', persistSecret: { label: 'seed' } })
      .catch((error) => error)
    said.push(result, wallets, vault, JSON.stringify(result), String(result))
    said.push(
      await wallets
        .createFromMnemonic({ phrase: `${phrase} zoo`, network: 'testnet' })
        .catch((e) => e),
    )
    for (const file of everyFile(dir.path)) expectNone('a file while open', file, secrets)
    await close()
  }
  for (const file of everyFile(dir.path)) expectNone('a file', file, secrets)
  const shown = inspect(said, {
    depth: 30,
    showHidden: true,
    maxArrayLength: null,
    maxStringLength: null,
  })
  expectNone('what was said', Buffer.from(shown), secrets)
  expect(shown.length).toBeGreaterThan(10_000)
})

it('would notice a seed that was written down', () => {
  const phrase = newPhrase(12)
  const secrets = canaries(phrase)
  for (const leak of [
    seedFromPhrase(phrase),
    phrase,
    Buffer.from(seedFromPhrase(phrase)).toString('hex'),
  ]) {
    expect(() => expectNone('a leak', Buffer.from(leak as string), secrets)).toThrow(/holds canary/)
  }
})
