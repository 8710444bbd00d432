import { appendFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { newAttemptId, parseGeneration, parseWalletId } from '../../../src/base/ids.js'
import type { Logger } from '../../../src/base/log.js'
import { Inventory, type InventoryEntry } from '../../../src/store/sqlite/inventory.js'
import { scriptedFaults } from '../../../src/testing/faults.js'
import { sampleChangeset } from '../../../src/testing/sample-changeset.js'
import {
  databaseOf,
  directoryWith,
  register,
  temporaryDirectory,
  withDatabase,
  withStore,
} from './fixture.js'

const inventoryOf = (dir: string): string => join(dir, 'wallets.inventory')
const linesOf = (dir: string): string[] => readFileSync(inventoryOf(dir), 'utf8').split(/(?<=\n)/)

function listening(): Logger & { readonly warnings: string[] } {
  const warnings: string[] = []
  return {
    warnings,
    info: () => undefined,
    warn: (_fields, message) => void warnings.push(message),
  }
}

const rowOf = (number: number): Buffer => Buffer.from(sampleChangeset(number).walletId, 'hex')

describe('the inventory beside the wallet database', () => {
  it('has one line for each promote', async () => {
    const dir = await directoryWith(1, 2)
    const lines = linesOf(dir).map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(lines.map(({ v, kind, walletId }) => [v, kind, walletId])).toEqual([
      [1, 'promote', sampleChangeset(1).walletId],
      [1, 'promote', sampleChangeset(2).walletId],
    ])
  })

  it('names a wallet whose rows the database lost', async () => {
    const dir = await directoryWith(1, 2)
    withDatabase(dir, (db) => {
      db.pragma('foreign_keys = ON')
      db.prepare('delete from wallets where wallet_id = ?').run(rowOf(1))
    })
    await withStore(dir, async (store) => {
      expect(await store.lost()).toEqual([sampleChangeset(1).walletId])
      expect(await store.list()).toEqual([sampleChangeset(2).walletId])
    })
  })

  it('names every wallet when the database is gone', async () => {
    const dir = await directoryWith(1, 2)
    rmSync(databaseOf(dir))
    await withStore(dir, async (store) => {
      expect(await store.lost()).toEqual([1, 2].map((number) => sampleChangeset(number).walletId))
    })
  })

  it('lets a wallet whose own row alone was lost be registered again', async () => {
    const dir = await directoryWith(1)
    withDatabase(dir, (db) => {
      db.pragma('foreign_keys = OFF')
      db.prepare('delete from wallets').run()
    })
    await withStore(dir, async (store) => {
      expect(await store.lost()).toHaveLength(1)
      await register(store, sampleChangeset(1))
      expect((await store.read(sampleChangeset(1).walletId)).kind).toBe('wallet')
      expect(await store.lost()).toEqual([])
    })
  })

  it('exposes a row that was rolled back to an older generation', async () => {
    const dir = await directoryWith(1)
    const old = readFileSync(databaseOf(dir))
    const { walletId } = sampleChangeset(1)
    await withStore(dir, async (store) => {
      await store.quarantine(walletId, { kind: 'decodeError', detail: 'a test' })
      const attempt = newAttemptId()
      await store.reserve({ walletId, attempt, createdAtMs: 1 })
      await store.promote(attempt, sampleChangeset(1), { replaceQuarantined: true })
    })
    writeFileSync(databaseOf(dir), old)
    await withStore(dir, async (store) => {
      const outcome = await store.read(walletId)
      expect(outcome).toMatchObject({ corruption: { kind: 'manifestIntegrityMismatch' } })
    })
  })

  it('exposes a row whose digest fits and is not the one that was promoted', async () => {
    const [dir, other] = [await directoryWith(1), temporaryDirectory()]
    const generation = withDatabase(dir, (db) =>
      db.prepare('select generation from wallets').pluck().get(),
    ) as Buffer
    await withStore(other, async (store) => {
      await register(store, { ...sampleChangeset(1), birthHeight: 5 })
    })
    // A row with a good digest, of the same generation, and other content.
    const { rowDigest } = await import('../../../src/store/row-digest.js')
    withDatabase(dir, (db) => {
      const row = db.prepare('select * from wallets').raw(true).safeIntegers(true).get() as never[]
      const values = [...row.slice(0, 4), 5n as never, ...row.slice(5, 9)]
      db.prepare('update wallets set birth_height = 5, digest = ?').run(
        rowDigest('wallets', values),
      )
      expect(db.prepare('select generation from wallets').pluck().get()).toEqual(generation)
    })
    await withStore(dir, async (store) => {
      const outcome = await store.read(sampleChangeset(1).walletId)
      expect(outcome).toMatchObject({ corruption: { kind: 'manifestIntegrityMismatch' } })
    })
  })

  it('drops a torn tail and adds the line again', async () => {
    const dir = await directoryWith(1, 2)
    const whole = readFileSync(inventoryOf(dir), 'utf8')
    const [first = ''] = linesOf(dir)
    for (const length of [first.length, first.length + 1, first.length + 150, whole.length - 1]) {
      truncateSync(inventoryOf(dir), length)
      await withStore(dir, async (store) => {
        expect(await store.lost()).toEqual([])
        expect(await store.list()).toHaveLength(2)
      })
      expect(readFileSync(inventoryOf(dir), 'utf8')).toBe(whole)
    }
  })

  it('replaces a line that was changed, and says so', async () => {
    const dir = await directoryWith(1, 2)
    const whole = readFileSync(inventoryOf(dir), 'utf8')
    writeFileSync(inventoryOf(dir), whole.replace('"digest":"', `${'"digest":"0'.slice(0, -1)}f`))
    const logger = listening()
    await withStore(dir, async (store) => expect(await store.lost()).toEqual([]), { logger })
    expect(logger.warnings).toEqual(['wallet inventory: unreadable lines'])
    expect(linesOf(dir).sort()).toEqual(whole.split(/(?<=\n)/).sort())
  })

  it('is made again when it is missing beside rows, and says so', async () => {
    const dir = await directoryWith(1, 2)
    const whole = readFileSync(inventoryOf(dir), 'utf8')
    rmSync(inventoryOf(dir))
    const logger = listening()
    await withStore(dir, async (store) => expect(await store.list()).toHaveLength(2), { logger })
    expect(logger.warnings).toEqual(['wallet inventory: missing beside rows, made again'])
    expect(readFileSync(inventoryOf(dir), 'utf8')).toBe(whole)
  })

  it('does not take a damaged row for a new one', async () => {
    const dir = await directoryWith(1)
    rmSync(inventoryOf(dir))
    withDatabase(dir, (db) => db.exec('update wallets set birth_height = birth_height + 1'))
    await withStore(dir, async (store) => {
      expect((await store.read(sampleChangeset(1).walletId)).kind).toBe('damaged')
    })
    expect(readFileSync(inventoryOf(dir), 'utf8')).toBe('')
  })

  it('gets no line for a promote that failed', async () => {
    const dir = temporaryDirectory()
    const faults = scriptedFaults({ point: 'promote.beforeCommit', action: 'transient' })
    await withStore(
      dir,
      async (store) => {
        await expect(register(store, sampleChangeset(1))).rejects.toMatchObject({
          code: 'StoreFailed',
        })
      },
      { faults },
    )
    expect(readFileSync(inventoryOf(dir), 'utf8')).toBe('')
  })

  it('forgets superseded and deleted wallets when most lines are dead', () => {
    const path = inventoryOf(temporaryDirectory())
    const logger = listening()
    const entry = (number: number, generation: number, kind: InventoryEntry['kind']) => ({
      kind,
      walletId: parseWalletId(number.toString(16).padStart(64, '0')),
      generation: parseGeneration(generation.toString(16).padStart(32, '0')),
      digest: 'ab'.repeat(32),
    })
    const inventory = new Inventory(path, logger)
    for (let at = 1; at <= 40; at += 1) {
      inventory.append([entry(at, at, 'promote'), entry(at, at, 'delete')])
    }
    inventory.append([entry(50, 50, 'promote'), entry(50, 51, 'promote')])
    expect(inventory.judge(entry(50, 50, 'promote'))).toBe('superseded')
    expect(inventory.judge(entry(1, 1, 'promote'))).toBe('superseded')
    expect(inventory.judge(entry(1, 2, 'promote'))).toBe('ahead')
    inventory.close()
    expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(83)

    const again = new Inventory(path, logger)
    expect(again.alive()).toEqual([entry(50, 51, 'promote').walletId])
    again.append([entry(60, 60, 'promote')])
    again.close()
    expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(3)
    const last = new Inventory(path, logger)
    expect(last.alive()).toHaveLength(2)
    last.close()
    expect(logger.warnings).toEqual([])
  })

  it('keeps reading past a line of garbage', () => {
    const path = inventoryOf(temporaryDirectory())
    const logger = listening()
    const inventory = new Inventory(path, logger)
    const walletId = parseWalletId('ab'.repeat(32))
    const generation = parseGeneration('cd'.repeat(16))
    inventory.append([{ kind: 'promote', walletId, generation, digest: '00'.repeat(32) }])
    inventory.close()
    const line = readFileSync(path, 'utf8')
    writeFileSync(path, `garbage\n${line}`)
    appendFileSync(path, Buffer.from([0, 255, 10, 0]))
    const again = new Inventory(path, logger)
    expect(again.alive()).toEqual([walletId])
    again.close()
    expect(readFileSync(path, 'utf8')).toBe(line)
  })
})
