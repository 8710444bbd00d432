import { quarantineMax } from '../../base/limits.js'
import { StoreFailed } from '../../base/persistence.js'
import type { QuarantineRecord } from '../../covenant/store.js'
import type { ImportedRecord } from '../keep-core/import-target.js'
import { looksDamaged } from './classify.js'
import type { JobCore } from './jobs-core.js'
import { replaceRow } from './jobs-heal.js'
import { operate } from './jobs-operate.js'
import { decodeQuarantine, encodeQuarantine } from './jobs-rows.js'
import { sql } from './jobs-sql.js'

/** Keeps a record with its bytes and closes what it blocks. */
export function setAsideFile(core: JobCore, imported: ImportedRecord): 'recorded' | 'present' {
  const { raw, ...record } = imported
  if (core.setAside.has(record.id)) {
    // An earlier process may have ended before the bytes were kept, or their row was lost.
    if (core.fences.get(record.id) !== undefined && findRaw(core, record.id) === undefined) {
      keepRaw(core, imported)
    }
    return 'present'
  }
  if (core.fences.size >= quarantineMax) {
    const cause = new RangeError(`quarantine: ${quarantineMax} records are set aside already`)
    throw new StoreFailed('job store: set aside', 'constraint', { cause })
  }
  keepRaw(core, imported)
  const by = core.imports.by ?? { who: 'import', why: '' }
  const open: QuarantineRecord = { ...record, state: 'open' }
  operate(core, { who: by.who, why: by.why }, { kind: 'set-aside', record: open }, () =>
    // Closed at once: should the row be refused, its line is there.
    fenceFile(core, open),
  )
  return 'recorded'
}

/** Keeps the bytes of a file; before its line is written, so that no line is without them. */
export function keepRaw(core: JobCore, record: ImportedRecord): void {
  const values = encodeQuarantine(record)
  replaceRow(core, undefined, () => core.connection.run(sql.insertQuarantine, ...values))
}

/** The bytes that were kept of a file; undefined when their row is lost or damaged. */
export function findRaw(core: JobCore, recordId: string): Uint8Array | undefined {
  try {
    const row = core.connection.row(sql.selectQuarantine, recordId)
    return row === undefined ? undefined : decodeQuarantine(row)
  } catch (error) {
    if (error instanceof RangeError || looksDamaged(error)) return undefined
    throw error
  }
}

/** Closes what a file that was set aside blocks, and stops jobs under its keys. */
export function fenceFile(core: JobCore, record: QuarantineRecord): void {
  core.setAside.add(record.id)
  core.fences.add(record)
  for (const { route, routeRequestId } of record.blocks.keys) {
    for (const seq of core.witness.jobsByKey(route, routeRequestId)) core.schedule.remove(seq)
  }
}
