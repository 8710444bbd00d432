import { spawnSync } from 'node:child_process'
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { afterEach, expect } from 'vitest'
import { type Generation, newAttemptId } from '../../../src/base/ids.js'
import {
  openSqliteWalletStore,
  type SqliteWalletStoreOptions,
} from '../../../src/store/sqlite/index.js'
import { sampleChangeset } from '../../../src/testing/sample-changeset.js'
import type { Changeset } from '../../../src/wallet/changeset.js'
import type { WalletStore } from '../../../src/wallet/store.js'

const made: string[] = []
afterEach(() => {
  for (const dir of made.splice(0)) rmSync(dir, { recursive: true, force: true })
})

/** A directory of this test alone, removed after it. */
export function temporaryDirectory(): string {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-sqlite-'))
  made.push(dir)
  return dir
}

export const databaseOf = (dir: string): string => join(dir, 'wallets.db')

export async function register(store: WalletStore, changeset: Changeset): Promise<Generation> {
  const attempt = newAttemptId()
  await store.reserve({ walletId: changeset.walletId, attempt, createdAtMs: 1 })
  return store.promote(attempt, changeset, { replaceQuarantined: false })
}

/** Runs with the store of a directory open. */
export async function withStore<T>(
  dir: string,
  run: (store: WalletStore) => Promise<T>,
  options: SqliteWalletStoreOptions = {},
): Promise<T> {
  const store = await openSqliteWalletStore(dir, options)
  try {
    return await run(store)
  } finally {
    await store.close()
  }
}

/** A directory with the sample wallets of these numbers, closed again. */
export async function directoryWith(...numbers: readonly number[]): Promise<string> {
  const dir = temporaryDirectory()
  await withStore(dir, async (store) => {
    for (const number of numbers) await register(store, sampleChangeset(number))
  })
  return dir
}

/** Runs with a raw handle on the database of a closed store. */
export function withDatabase<T>(dir: string, run: (db: Database.Database) => T): T {
  const db = new Database(databaseOf(dir))
  try {
    return run(db)
  } finally {
    db.close()
  }
}

/** Every file of a directory by name, as hex. */
export function filesOf(dir: string): Record<string, string> {
  const names = readdirSync(dir, { withFileTypes: true }).filter((entry) => entry.isFile())
  return Object.fromEntries(
    names.map(({ name }) => [name, readFileSync(join(dir, name)).toString('hex')]),
  )
}

export const registerChild = fileURLToPath(new URL('register-child.ts', import.meta.url))

/** A directory whose last process died without closing: its log is not empty. */
export function directoryOfKilledProcess(wallets = 2): string {
  const dir = temporaryDirectory()
  const child = spawnSync(
    process.execPath,
    ['--import', 'tsx', registerChild, dir, String(wallets)],
    {
      encoding: 'utf8',
    },
  )
  expect([child.signal, child.stdout.includes(`promoted ${wallets}`), child.stderr]).toEqual([
    'SIGKILL',
    true,
    '',
  ])
  expect(lstatSync(join(dir, 'wallets.db-wal')).size).toBeGreaterThan(0)
  return dir
}
