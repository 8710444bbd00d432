import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type AttemptId, attemptTag, newAttemptId, parseWalletId } from '../../src/base/ids.js'
import { createFileVault } from '../../src/vault/file.js'
import type { FileVault } from '../../src/vault/folder-vault.js'
import { kdfFloor } from '../../src/vault/kdf.js'
import type { SecretRef } from '../../src/vault/vault.js'

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
export const passphrase: Uint8Array = bytes('correct horse battery')
export const walletA = parseWalletId('a1'.repeat(32))
export const walletB = parseWalletId('b2'.repeat(32))
export const seedOfA: SecretRef = { walletId: walletA, label: 'seed' }

/** A data directory that goes away with the test. */
export function dataDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-vault-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** A fresh vault at the cheapest cost. */
export async function freshVault(): Promise<{ dir: string; folder: string; vault: FileVault }> {
  const dir = dataDir()
  const vault = await createFileVault(dir, passphrase, { kdf: kdfFloor })
  return { dir, folder: join(dir, 'vault'), vault }
}

export function newAttempt(): { attempt: AttemptId; tag: string } {
  const attempt = newAttemptId()
  return { attempt, tag: attemptTag(attempt) }
}

export const fileOf = (folder: string, ref: SecretRef, suffix = ''): string =>
  join(folder, `${ref.walletId}.${ref.label}${suffix}`)

/** Names and contents of a folder, for "nothing changed". */
export function snapshot(folder: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(folder)
      .sort()
      .map((name) => [name, readFileSync(join(folder, name), 'hex')]),
  )
}
