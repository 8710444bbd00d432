import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, it } from 'vitest'
import { memoryJobDisk, memoryJobStore } from '../../src/store/memory-jobs.js'
import { openSqliteJobStore } from '../../src/store/sqlite/index.js'
import { type JobStoreHarness, jobStoreContract } from '../../src/testing/job-store-contract.js'

const inMemory = async (): Promise<JobStoreHarness> => {
  const disk = memoryJobDisk()
  return {
    open: async (faults) => memoryJobStore(faults ? { disk, faults } : { disk }),
    damage: async (id) => disk.damage(id),
    lose: async (id) => disk.lose(id),
    dispose: async () => undefined,
  }
}

const onSqlite = async (): Promise<JobStoreHarness> => {
  const dir = mkdtempSync(join(tmpdir(), 'job-store-'))
  const change = (sql: string, id: string): void => {
    const db = new Database(join(dir, 'jobs.db'))
    db.prepare(sql).run(id)
    db.close()
  }
  return {
    open: (faults) => openSqliteJobStore(dir, faults ? { faults } : {}),
    damage: async (id) =>
      change("update job set created_at = created_at || ' ' where request_id = ?", id),
    lose: async (id) => change('delete from job where request_id = ?', id),
    dispose: async () => rmSync(dir, { recursive: true, force: true }),
  }
}

describe('every job store', () => {
  for (const { name, run } of jobStoreContract('memory', inMemory)) it(name, run)
  for (const { name, run } of jobStoreContract('sqlite', onSqlite)) it(name, run)
})
