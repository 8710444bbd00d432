import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/base/clock.js'
import { noFaults } from '../../../src/base/fault-points.js'
import { silent } from '../../../src/base/log.js'
import { openLedger } from '../../../src/store/ledger.js'
import type { AppendedEntry, Ledger } from '../../../src/store/ledger-port.js'
import type { Connection } from '../../../src/store/sqlite/connection.js'
import { jobDatabase, jobDatabaseName } from '../../../src/store/sqlite/index.js'
import { WriteQueue, type Written } from '../../../src/store/sqlite/jobs-write-queue.js'
import { openDatabase } from '../../../src/store/sqlite/open.js'
import { temporaryDirectory } from './fixture.js'
import { linesOf, manualTimers } from './jobs-fixture.js'

type Bench = {
  readonly dir: string
  readonly connection: Connection
  readonly ledger: Ledger
  readonly queue: WriteQueue
  /** Names of what became visible. */
  readonly published: string[]
  /** A change that keeps a record of so many bytes and has a line. */
  readonly keep: (name: string, bytes: number) => (seq: bigint) => Written<string>
  readonly stored: () => readonly unknown[]
}

async function withQueue(work: (bench: Bench) => Promise<void>): Promise<void> {
  const dir = temporaryDirectory()
  const file = join(dir, jobDatabaseName)
  const options = { guard: () => undefined, clock: systemClock, logger: silent }
  const connection = await openDatabase({ file, kind: jobDatabase(), create: true, ...options })
  const ledger = openLedger(dir, { storeId: '5f'.repeat(16) })
  const queue = new WriteQueue({
    connection,
    ledger,
    faults: noFaults,
    logger: silent,
    later: manualTimers().later,
    extras: { write: () => undefined, written: () => undefined },
    reindex: () => undefined,
    onFatal: () => undefined,
  })
  const published: string[] = []
  const isStored = (name: string): boolean =>
    connection.row('select 1 from quarantine where id = ?', name) !== undefined
  const keep = (name: string, bytes: number) => (seq: bigint) => {
    const insert = "insert into quarantine values (?, 'test', 'test', zeroblob(?), 0, null)"
    connection.run(insert, name, BigInt(bytes))
    return {
      answer: `${name} ${seq}`,
      entries: [operateEntry(name)],
      isStored: () => isStored(name),
      publish: () => void published.push(name),
    }
  }
  const stored = (): readonly unknown[] =>
    connection.rows('select id from quarantine order by id').map(([id]) => id)
  try {
    await work({ dir, connection, ledger, queue, published, keep, stored })
  } finally {
    queue.close()
    connection.close()
    await ledger.close()
  }
}

function operateEntry(subject: string): AppendedEntry {
  return { kind: 'operate', who: 'a test', what: 'keep', why: 'to see', subject }
}

const kindsOf = (outcomes: readonly PromiseSettledResult<unknown>[]): readonly string[] =>
  outcomes.map((outcome) => (outcome.status === 'fulfilled' ? 'kept' : outcome.reason.outcome))

describe('the write queue', () => {
  it('commits what one turn brings together, in order, with sequences in a row', () =>
    withQueue(async ({ dir, ledger, queue, published, keep, stored }) => {
      const first = Number(ledger.nextSeq())
      const names = ['a', 'b', 'c']
      const answers = await Promise.all(names.map((name) => queue.add('accept', keep(name, 10))))
      expect(answers).toEqual(names.map((name, n) => `${name} ${first + n}`))
      expect([published, stored()]).toEqual([names, names])
      expect((await linesOf(dir)).slice(1)).toMatchObject(names.map((subject) => ({ subject })))
    }))

  it('rolls one change back alone, and gives its sequence to the next', () =>
    withQueue(async ({ dir, ledger, queue, keep, stored }) => {
      const next = ledger.nextSeq()
      const outcomes = await Promise.allSettled([
        queue.add('accept', keep('a', 10)),
        queue.add('settle', (seq) => {
          keep('b', 10)(seq)
          throw new RangeError('no')
        }),
        queue.add('accept', keep('c', 10)),
      ])
      expect(outcomes).toMatchObject([
        { value: `a ${next}` },
        { reason: { message: 'no' } },
        { value: `c ${next + 1n}` },
      ])
      expect(stored()).toEqual(['a', 'c'])
      expect((await linesOf(dir)).slice(1)).toMatchObject([{ subject: 'a' }, { subject: 'c' }])
    }))

  it('answers for none of a batch that a full disk ended, whatever was made of the error', () =>
    withQueue(async ({ dir, connection, ledger, queue, published, keep, stored }) => {
      await queue.add('accept', keep('first', 10))
      const pages = connection.row('pragma page_count')?.[0]
      connection.handle.pragma(`max_page_count = ${Number(pages) + 4}`, { simple: true })
      const head = ledger.head()
      const swallowing = (seq: bigint): Written<string> => {
        try {
          return keep('b', 1_000_000)(seq)
        } catch {
          return { answer: 'nothing to see' }
        }
      }
      const outcomes = await Promise.allSettled([
        queue.add('accept', keep('a', 10)),
        queue.add('accept', swallowing),
        queue.add('accept', keep('c', 10)),
      ])
      expect(kindsOf(outcomes)).toEqual(['notWritten', 'notWritten', 'notWritten'])
      expect(stored()).toEqual(['first'])
      expect(published).toEqual(['first'])
      expect(ledger.head()).toEqual(head)
      // The fresh handle has its bound from the file system again.
      await queue.add('accept', keep('d', 1_000_000))
      expect(stored()).toEqual(['d', 'first'])
      expect((await linesOf(dir)).slice(1)).toMatchObject([{ subject: 'first' }, { subject: 'd' }])
    }))
})
