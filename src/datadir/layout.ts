import { join } from 'node:path'
import { lockFileName } from '../base/directory-lock.js'
import { walletFiles } from '../store/sqlite/index.js'

type Part =
  | 'lock'
  | 'wallets'
  | 'inventory'
  | 'jobs'
  | 'ledger'
  | 'vault'
  | 'adminToken'
  | 'quarantine'
  | 'backups'

/** Names of what a data directory holds; everything else in it is foreign. */
export const fileNames: Readonly<Record<Part, string>> = {
  lock: lockFileName,
  wallets: walletFiles.database,
  inventory: walletFiles.inventory,
  jobs: 'jobs.db',
  ledger: 'ledger.jsonl',
  vault: 'vault',
  adminToken: 'admin-token',
  quarantine: walletFiles.quarantine,
  backups: 'backups',
}

/** Absolute paths of one data directory. */
export type Layout = { readonly root: string } & Readonly<Record<Part, string>>

/** Where each part of a data directory stands. */
export function layoutOf(root: string): Layout {
  const parts = Object.entries(fileNames).map(([part, name]) => [part, join(root, name)])
  return { root, ...(Object.fromEntries(parts) as Record<Part, string>) } // every part has a name
}

/** Files that belong to a SQLite database besides the one it is named by. */
export const databaseFiles = (path: string): readonly string[] => [path, `${path}-wal`]
