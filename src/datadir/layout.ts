import { join } from 'node:path'
import { lockFileName } from '../base/directory-lock.js'

/** Names of what a data directory holds; everything else in it is foreign. */
export const fileNames = {
  lock: lockFileName,
  wallets: 'wallets.db',
  inventory: 'wallets.inventory',
  jobs: 'jobs.db',
  ledger: 'ledger.jsonl',
  vault: 'vault',
  adminToken: 'admin-token',
  quarantine: 'quarantine',
  backups: 'backups',
} as const

/** Absolute paths of one data directory. */
export type Layout = { readonly root: string } & {
  readonly [Part in keyof typeof fileNames]: string
}

/** Where each part of a data directory stands. */
export function layoutOf(root: string): Layout {
  const at = (name: string): string => join(root, name)
  return {
    root,
    lock: at(fileNames.lock),
    wallets: at(fileNames.wallets),
    inventory: at(fileNames.inventory),
    jobs: at(fileNames.jobs),
    ledger: at(fileNames.ledger),
    vault: at(fileNames.vault),
    adminToken: at(fileNames.adminToken),
    quarantine: at(fileNames.quarantine),
    backups: at(fileNames.backups),
  }
}

/** Files that belong to a SQLite database besides the one it is named by. */
export const databaseFiles = (path: string): readonly string[] => [path, `${path}-wal`]
