import { looksDamaged } from './classify.js'
import type { Connection, Row } from './connection.js'

const resultOfJob = 'select * from result where seq = (select settle_seq from job where seq = ?)'

/** The rows of a job as they stand in the database, as JSON; null for one that is lost or cannot be read. */
export function rawJob(connection: Connection, seq: bigint): Buffer {
  return textOf({
    job: rowOf(connection, 'select * from job where seq = ?', seq),
    request: rowOf(connection, 'select * from request where seq = ?', seq),
    result: rowOf(connection, resultOfJob, seq),
  })
}

/** As `rawJob`, of an intent. */
export function rawIntent(connection: Connection, seq: bigint): Buffer {
  return textOf({ intent: rowOf(connection, 'select * from intent where seq = ?', seq) })
}

function textOf(rows: Readonly<Record<string, Row | null>>): Buffer {
  return Buffer.from(
    JSON.stringify(rows, (_, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    ),
  )
}

function rowOf(connection: Connection, statement: string, seq: bigint): Row | null {
  try {
    return connection.row(statement, seq) ?? null
  } catch (error) {
    if (looksDamaged(error)) return null
    throw error
  }
}
