import { copyFileSync, lstatSync, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { attemptTag } from '../base/ids.js'
import { openSqliteWalletStore } from '../store/sqlite/index.js'
import { listFolder } from '../vault/vault-folder.js'
import type { JournalRow, WalletStore } from '../wallet/store.js'
import { type Check, failed, probe } from './check.js'
import { databaseFiles, type Layout } from './layout.js'

/**
 * Opens a private copy of the wallet store and reads every wallet in it.
 *
 * @remarks The directory lock must be held: closing a second descriptor of a database file would drop the
 * locks of a connection in this process. The copy also keeps recovery and migrations off the original.
 */
export async function checkWallets(layout: Layout): Promise<readonly Check[]> {
  let copy: string | undefined
  try {
    copy = copyStore(layout)
    const store = await openSqliteWalletStore(copy)
    try {
      return await checkStore(store, layout)
    } finally {
      await store.close()
    }
  } catch (error) {
    return [failed('wallets', error)]
  } finally {
    if (copy !== undefined) rmSync(copy, { recursive: true, force: true })
  }
}

/** Looks for staged secrets that no registration of the journal explains. */
export function checkVault(layout: Layout, journal: readonly JournalRow[]): Promise<Check> {
  return probe('stagedSecrets', async () => {
    const staged = (listFolder(layout.vault)?.entries ?? []).filter((it) => it.state === 'staged')
    const known = new Set(journal.map(({ attempt }) => attemptTag(attempt)))
    const stray = staged.filter((it) => it.attemptTag === undefined || !known.has(it.attemptTag))
    if (stray.length === 0) return `${staged.length} staged, all of registrations in the journal`
    const names = stray.slice(0, 5).map(({ walletId, label }) => `${walletId}.${label}`)
    throw new Error(
      `${stray.length} staged secrets belong to no registration and are kept: ${names.join(', ')}`,
    )
  })
}

function copyStore(layout: Layout): string {
  const sources = [...databaseFiles(layout.wallets), layout.inventory].filter(
    (path) => lstatSync(path, { throwIfNoEntry: false })?.isFile() === true,
  )
  const wantedBytes = sources.reduce((sum, path) => sum + lstatSync(path).size, 0)
  const { bavail, bsize } = statfsSync(tmpdir(), { bigint: true })
  if (bavail * bsize < 2n * BigInt(wantedBytes)) {
    throw new Error(`no room for a copy of ${wantedBytes} bytes in the temporary directory`)
  }
  const copy = mkdtempSync(join(tmpdir(), 'holdfast-doctor-'))
  try {
    for (const path of sources) copyFileSync(path, join(copy, basename(path)))
    return copy
  } catch (error) {
    rmSync(copy, { recursive: true, force: true })
    throw error
  }
}

async function checkStore(store: WalletStore, layout: Layout): Promise<readonly Check[]> {
  const journal = await store.journal()
  return [
    await probe('wallets', () => readAll(store)),
    pendingCheck(journal),
    await probe('quarantined', async () => {
      const found = await store.quarantined()
      if (found.length === 0) return 'none'
      const names = found.slice(0, 5).map((it) => `${it.walletId} (${it.corruption.kind})`)
      throw new Error(`${found.length} set aside as damaged: ${names.join(', ')}`)
    }),
    await probe('inventory', async () => {
      const lost = await store.lost()
      if (lost.length === 0) return 'every wallet it names is in the database'
      throw new Error(`${lost.length} wallets vanished: ${lost.slice(0, 5).join(', ')}`)
    }),
    await checkVault(layout, journal),
  ]
}

async function readAll(store: WalletStore): Promise<string> {
  const damaged: string[] = []
  const ids = await store.list()
  for (const id of ids) {
    const outcome = await store.read(id)
    if (outcome.kind === 'damaged') damaged.push(`${id} (${outcome.corruption.kind})`)
  }
  if (damaged.length === 0) return `${ids.length} whole`
  throw new Error(`${damaged.length} of ${ids.length} damaged: ${damaged.slice(0, 5).join(', ')}`)
}

/** Left-over registrations block nobody, so they are told and not blamed. */
function pendingCheck(journal: readonly JournalRow[]): Check {
  const detail =
    journal.length === 0
      ? 'none'
      : `${journal.length} left by a stopped process; the next command that writes removes them`
  return { name: 'pending', ok: true, detail }
}
