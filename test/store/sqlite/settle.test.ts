import { describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/base/clock.js'
import { silent } from '../../../src/base/log.js'
import { StoreFailed } from '../../../src/base/persistence.js'
import type { Connection } from '../../../src/store/sqlite/connection.js'
import { walletDatabase } from '../../../src/store/sqlite/index.js'
import { migrationOf } from '../../../src/store/sqlite/migrate.js'
import { openDatabase } from '../../../src/store/sqlite/open.js'
import { commitOrSettle } from '../../../src/store/sqlite/settle.js'
import { databaseOf, temporaryDirectory, withDatabase } from './fixture.js'

const notes = migrationOf(2, '000002.sql', 'create table notes (note text primary key) strict')
const withCode = (code: string): Error => Object.assign(new Error(code), { code })

async function openNotes(dir: string, guard = (): void => undefined): Promise<Connection> {
  const kind = walletDatabase()
  return openDatabase({
    file: databaseOf(dir),
    kind: { ...kind, migrations: [...kind.migrations, notes] },
    create: true,
    guard,
    clock: systemClock,
    logger: silent,
  })
}

const has = (connection: Connection, note: string): boolean =>
  connection.row('select 1 from notes where note = ?', note) !== undefined

/** Writes a note; `fault` is thrown where the options say. */
function write(
  connection: Connection,
  note: string,
  options: { readonly inside?: Error; readonly committed?: Error; readonly blind?: boolean } = {},
): string {
  return commitOrSettle(connection, {
    what: 'note',
    run: () => {
      connection.run('insert into notes values (?)', note)
      if (options.inside) throw options.inside
      return 'written'
    },
    committed: () => {
      if (options.committed) throw options.committed
    },
    readBack: () => (!options.blind && has(connection, note) ? 'found' : undefined),
  })
}

function failureOf(run: () => unknown): StoreFailed {
  try {
    run()
  } catch (error) {
    if (error instanceof StoreFailed) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('one transaction', () => {
  it('answers what it did when all went well', async () => {
    const connection = await openNotes(temporaryDirectory())
    expect(write(connection, 'a')).toBe('written')
    expect(has(connection, 'a')).toBe(true)
    connection.close()
  })

  for (const [code, kind] of [
    ['SQLITE_BUSY', 'transient'],
    ['SQLITE_LOCKED', 'transient'],
    ['SQLITE_FULL', 'transient'],
    ['SQLITE_CONSTRAINT_UNIQUE', 'constraint'],
    ['SQLITE_ERROR', 'fatal'],
  ] as const) {
    it(`is rolled back on the same handle after ${code}`, async () => {
      const connection = await openNotes(temporaryDirectory())
      const { handle } = connection
      const failure = failureOf(() => write(connection, 'a', { inside: withCode(code) }))
      expect([failure.kind, failure.outcome]).toEqual([kind, 'notWritten'])
      expect(connection.handle).toBe(handle)
      expect([handle.inTransaction, has(connection, 'a')]).toEqual([false, false])
      expect(write(connection, 'a')).toBe('written')
      connection.close()
    })
  }

  it('is rolled back and its own error comes through when the caller refuses', async () => {
    const connection = await openNotes(temporaryDirectory())
    const own = new StoreFailed('note', 'constraint')
    expect(failureOf(() => write(connection, 'a', { inside: own }))).toBe(own)
    expect(() => write(connection, 'a', { inside: new RangeError('mine') })).toThrow('mine')
    expect(has(connection, 'a')).toBe(false)
    connection.close()
  })

  it('asks the guard first and writes nothing when it refuses', async () => {
    let held = true
    const connection = await openNotes(temporaryDirectory(), () => {
      if (!held) throw new RangeError('lock lost')
    })
    held = false
    expect(() => write(connection, 'a')).toThrow('lock lost')
    expect(has(connection, 'a')).toBe(false)
    held = true
    expect(write(connection, 'a')).toBe('written')
    connection.close()
  })
})

describe('an unclear outcome', () => {
  for (const code of ['SQLITE_IOERR_FSYNC', 'SQLITE_CORRUPT_VTAB', 'SQLITE_NOTADB']) {
    it(`is settled on a new handle after ${code} inside the transaction: absent`, async () => {
      const dir = temporaryDirectory()
      const connection = await openNotes(dir)
      const { handle } = connection
      const failure = failureOf(() => write(connection, 'a', { inside: withCode(code) }))
      expect([failure.kind, failure.outcome]).toEqual(['transient', 'notWritten'])
      expect(connection.handle).not.toBe(handle)
      expect(connection.rows('select * from settle_marker')).toEqual([])
      expect(write(connection, 'a')).toBe('written')
      connection.close()
      withDatabase(dir, (db) =>
        expect(db.prepare('select * from notes').pluck().all()).toEqual(['a']),
      )
    })
  }

  it('is settled on a new handle after an error of COMMIT: present', async () => {
    const connection = await openNotes(temporaryDirectory())
    const { handle } = connection
    expect(write(connection, 'a', { committed: withCode('SQLITE_IOERR_FSYNC') })).toBe('found')
    expect(connection.handle).not.toBe(handle)
    connection.close()
  })

  it('is found absent only after the marker was committed', async () => {
    const connection = await openNotes(temporaryDirectory())
    const markers: number[] = []
    const failure = failureOf(() =>
      commitOrSettle(connection, {
        what: 'note',
        run: () => {
          throw withCode('SQLITE_IOERR_WRITE')
        },
        readBack: () => {
          markers.push(connection.rows('select * from settle_marker').length)
          return undefined
        },
      }),
    )
    expect(failure.outcome).toBe('notWritten')
    expect(markers).toEqual([0, 1])
    connection.close()
  })

  it('is settled when the caller swallowed an error that ended the transaction', async () => {
    const connection = await openNotes(temporaryDirectory())
    const failure = failureOf(() =>
      commitOrSettle(connection, {
        what: 'note',
        run: () => {
          connection.run('insert into notes values (?)', 'a')
          connection.run('rollback')
          return 'swallowed'
        },
        readBack: () => (has(connection, 'a') ? 'found' : undefined),
      }),
    )
    expect([failure.kind, failure.outcome]).toEqual(['transient', 'notWritten'])
    connection.close()
  })

  it('is unknown when reading back fails, and nothing is answered after that', async () => {
    const dir = temporaryDirectory()
    const connection = await openNotes(dir)
    const failure = failureOf(() =>
      commitOrSettle(connection, {
        what: 'note',
        run: () => connection.run('insert into notes values (?)', 'a'),
        committed: () => {
          throw withCode('SQLITE_IOERR_FSYNC')
        },
        readBack: () => {
          throw withCode('SQLITE_IOERR_READ')
        },
      }),
    )
    expect([failure.kind, failure.outcome]).toEqual(['persisterClosed', 'unknown'])
    expect(failure.cause).toBeInstanceOf(AggregateError)
    expect(failureOf(() => write(connection, 'b')).kind).toBe('persisterClosed')
    expect(failureOf(() => has(connection, 'a')).kind).toBe('persisterClosed')

    // The next opening of the same process knows.
    const again = await openNotes(dir)
    expect([has(again, 'a'), has(again, 'b')]).toEqual([true, false])
    again.close()
  })

  it('is unknown when the directory lock was lost meanwhile', async () => {
    let held = true
    const connection = await openNotes(temporaryDirectory(), () => {
      if (!held) throw new RangeError('lock lost')
    })
    const failure = failureOf(() =>
      commitOrSettle(connection, {
        what: 'note',
        run: () => {
          held = false
          throw withCode('SQLITE_IOERR_WRITE')
        },
        readBack: () => undefined,
      }),
    )
    expect(failure.outcome).toBe('unknown')
  })
})
