import type { QuarantineDetail, QuarantineRecord, Resolution } from '../../covenant/store.js'
import { rawSummary } from '../job-fences.js'
import { ResolutionRefused } from '../job-refusals.js'
import { readableFields } from '../keep-core/readable.js'
import type { AcceptEntry } from '../ledger-entry.js'
import type { JobCore } from './jobs-core.js'
import { findAcceptedKey } from './jobs-import.js'
import { typedFor } from './jobs-plan.js'
import { planResolution } from './jobs-quarantine.js'
import { rawIntent, rawJob } from './jobs-raw.js'
import type { JobRow } from './jobs-rows.js'
import { findRaw } from './jobs-set-aside.js'

type Says = QuarantineDetail['witnesses'][number]

/** Everything that is known of a record. */
export function detailOf(core: JobCore, recordId: string): QuarantineDetail | undefined {
  const record = core.fences.get(recordId)
  if (record === undefined) return undefined
  const ways = waysOf(core, record)
  if (record.kind === 'file') return { record, ...fileDetail(core, record), ways }
  const [, digits] = /^(?:job|intent)-(\d+)$/.exec(recordId) ?? []
  const seq = digits === undefined ? undefined : BigInt(digits)
  if (seq === undefined || record.kind === 'ledger') {
    const says = core.ledger.trouble() || `at line ${core.ledger.head().seq}`
    const witnesses = [{ name: 'ledger', says }]
    return { record, raw: Buffer.from(record.reason), readable: {}, witnesses, ways }
  }
  const { connection } = core
  const raw = record.kind === 'job' ? rawJob(connection, seq) : rawIntent(connection, seq)
  const detail = record.kind === 'job' ? jobDetail(core, seq) : intentDetail(core, seq)
  return { record: { ...record, ...rawSummary(raw) }, raw, ...detail, ways }
}

type Told = Pick<QuarantineDetail, 'readable' | 'witnesses'>

function jobDetail(core: JobCore, seq: bigint): Told {
  const reading = core.tables.glance(seq)
  const body = core.tables.body(seq)
  const line = core.witness.accepted(seq)
  const row = reading.kind === 'row' ? reading.row : undefined
  const said = { row: 'readable', missing: 'lost', damaged: 'damaged' } as const
  const database = row === undefined ? said[reading.kind] : `${row.state}, updated ${row.updatedAt}`
  const witnesses: readonly Says[] = [
    { name: 'database', says: `record ${database}; request ${said[body.kind]}` },
    {
      name: 'ledger',
      says: line === undefined ? 'its line cannot be read' : `accepted ${line.createdAt}`,
    },
  ]
  return { readable: fieldsOf(row ?? line), witnesses }
}

function fieldsOf(known: JobRow | AcceptEntry | undefined): Readonly<Record<string, string>> {
  if (known === undefined) return {}
  const { requestId, route, routeRequestId, requestDigest, outpoint, createdAt } = known
  const state = 'state' in known ? { state: known.state } : {}
  return { requestId, route, routeRequestId, requestDigest, outpoint, createdAt, ...state }
}

function intentDetail(core: JobCore, seq: bigint): Told {
  const reading = core.tables.intent(seq)
  const line = core.witness.entry(seq)
  const entry = line?.kind === 'intend' ? line : undefined
  const known = reading.kind === 'row' ? reading.row : entry
  const witnesses = [
    { name: 'database', says: reading.kind === 'row' ? `sighash ${reading.row.sighash}` : 'lost' },
    {
      name: 'ledger',
      says: entry === undefined ? 'its line cannot be read' : `sighash ${entry.sighash}`,
    },
  ]
  if (known === undefined) return { readable: {}, witnesses }
  const { outpoint, sighash, unsignedTransaction } = known
  return { readable: { outpoint, sighash, unsignedTransaction }, witnesses }
}

function fileDetail(core: JobCore, record: QuarantineRecord): Told & Pick<QuarantineDetail, 'raw'> {
  const kept = findRaw(core, record.id)
  const raw = kept ?? new Uint8Array()
  const readable: Record<string, string> = {}
  for (const [name, value] of Object.entries(readableFields(raw))) readable[name] = value
  const file = kept === undefined ? 'its bytes are lost; look at the file' : record.reason
  return { raw, readable, witnesses: [{ name: 'file', says: file }, ...storeSays(core, record)] }
}

/** What the store has under the keys and the id of a file. */
function storeSays(core: JobCore, { blocks, requestId }: QuarantineRecord): readonly Says[] {
  const byId = requestId === undefined ? undefined : findAcceptedKey(core, requestId)
  const keys = [...blocks.keys, ...(byId === undefined ? [] : [byId.key])]
  const jobs = new Set(
    keys.flatMap(({ route, routeRequestId }) => core.witness.jobsByKey(route, routeRequestId)),
  )
  const database: string[] = []
  const ledger: string[] = []
  for (const seq of jobs) {
    const reading = core.tables.glance(seq)
    const line = core.witness.accepted(seq)
    if (reading.kind === 'row') database.push(`${reading.row.requestId} ${reading.row.state}`)
    if (line !== undefined) ledger.push(`${line.requestId} accepted ${line.createdAt}`)
  }
  const none = 'nothing of its key'
  return [
    { name: 'database', says: database.join(', ') || none },
    { name: 'ledger', says: ledger.join(', ') || none },
  ]
}

/** Ways that would be taken now, the recommended one first. */
function waysOf(core: JobCore, record: QuarantineRecord): QuarantineDetail['ways'] {
  const release: Resolution = { kind: 'release', typedKey: typedFor(record) }
  const ways: QuarantineDetail['ways'][number][] = []
  const tried = (how: Resolution, note = ''): void => {
    const effect = effectOf(core, record, how)
    if (effect !== undefined) ways.push({ how: how.kind, effect: `${effect}${note}` })
  }
  tried({ kind: 'restore', from: 'ledger' })
  if (mayAdopt(core, record)) {
    const effect = 'a mended request that validates takes its place; one that does not is refused'
    ways.push({ how: 'adopt', effect })
  }
  if (record.state === 'open') tried({ kind: 'retire' })
  tried(release, `; type ${release.typedKey}`)
  return ways
}

function effectOf(core: JobCore, record: QuarantineRecord, how: Resolution): string | undefined {
  try {
    return planResolution(core, record, how).changes.join('; ')
  } catch (error) {
    if (error instanceof ResolutionRefused) return undefined
    throw error
  }
}

function mayAdopt(core: JobCore, record: QuarantineRecord): boolean {
  if (record.state === 'retired') return false
  if (record.kind === 'job') return core.witness.accepted(seqIn(record.id)) !== undefined
  if (record.kind !== 'file') return false
  const { route = '', routeRequestId = '' } = readableFields(
    findRaw(core, record.id) ?? Buffer.of(),
  )
  const { keys, everyNewKey } = record.blocks
  const isKnown = keys.length === 1 && !everyNewKey
  return isKnown || (keys.length === 0 && route !== '' && routeRequestId !== '')
}

function seqIn(recordId: string): bigint {
  return BigInt(recordId.replace(/^job-/, ''))
}
