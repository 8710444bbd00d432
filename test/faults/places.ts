import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { Seed } from './seed-store.js'

/** A part of a directory in which bits are flipped, all parts equally often. */
export type Place = {
  readonly name: string
  readonly kind: 'page' | 'index' | 'log' | 'ledger'
  /** Which of the two directories of the seed it belongs to. */
  readonly files: 'settled' | 'logged'
  readonly file: string
  /** Stretches of the file, in bytes. */
  readonly stretches: readonly Stretch[]
}
export type Stretch = { readonly offset: number; readonly size: number }

/** One bit, and where it stands. */
export type Bit = {
  readonly place: Place
  readonly offset: number
  readonly bit: number
}

const walHeaderBytes = 32
const walFrameHeaderBytes = 24

/** Every part of a seed that holds something. */
export function placesOf(seed: Seed): readonly Place[] {
  const log = fileOf(seed.logged, 'jobs.db-wal')
  const ledger = fileOf(seed.settled, 'ledger.jsonl')
  const pageBytes = fileOf(seed.settled, 'jobs.db').readUInt16BE(16)
  return [
    ...pagesOf(fileOf(seed.settled, 'jobs.db'), pageBytes),
    ...logPlaces(log, pageBytes),
    {
      name: 'ledger',
      kind: 'ledger',
      files: 'settled',
      file: 'ledger.jsonl',
      stretches: [{ offset: 0, size: ledger.length }],
    },
  ]
}

/** A bit of the place, each byte equally likely. */
export function bitIn(place: Place, random: () => number): Bit {
  const total = place.stretches.reduce((sum, { size }) => sum + size, 0)
  let left = Math.floor(random() * total)
  const bit = Math.floor(random() * 8)
  for (const { offset, size } of place.stretches) {
    if (left < size) return { place, offset: offset + left, bit }
    left -= size
  }
  throw new RangeError(`${place.name}: holds nothing`)
}

function fileOf(files: Seed['settled'], name: string): Buffer {
  const bytes = files.get(name)
  if (bytes === undefined) throw new RangeError(`seed: ${name} is missing`)
  return bytes
}

type PageRow = { name: string; pageno: number; pagetype: string }

/** Pages by what they hold, as the engine itself tells. */
function pagesOf(bytes: Buffer, pageBytes: number): readonly Place[] {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-pages-'))
  mkdirSync(dir, { recursive: true })
  const path = join(dir, 'copy.db')
  writeFileSync(path, bytes)
  const database = new Database(path)
  try {
    const indexes = indexNames(database)
    const rows = database
      .prepare('select name, pageno, pagetype from dbstat order by pageno')
      .all() as PageRow[]
    const found = new Map<string, { kind: Place['kind']; stretches: Stretch[] }>()
    for (const row of rows) {
      const { name, kind } = placeOf(row, indexes)
      const place = found.get(name) ?? { kind, stretches: [] }
      found.set(name, place)
      place.stretches.push({ offset: (row.pageno - 1) * pageBytes, size: pageBytes })
    }
    return [...found].map(([name, place]) => ({
      name,
      ...place,
      files: 'settled',
      file: 'jobs.db',
    }))
  } finally {
    database.close()
    rmSync(dir, { recursive: true, force: true })
  }
}

const tables = /^(job|request|intent|result|meta|operate)$/

function placeOf(
  { name, pageno, pagetype }: PageRow,
  indexes: ReadonlyMap<string, string>,
): { readonly name: string; readonly kind: Place['kind'] } {
  const index = indexes.get(name)
  if (pageno === 1) return { name: 'header and schema', kind: 'page' }
  if (pagetype === 'internal') {
    return index === undefined
      ? { name: 'inner pages of tables', kind: 'page' }
      : { name: 'inner pages of indexes', kind: 'index' }
  }
  if (index !== undefined) return { name: `index ${index}`, kind: 'index' }
  return { name: tables.test(name) ? `table ${name}` : 'other tables and the schema', kind: 'page' }
}

/** Indexes of jobs and intents with what they are on. */
function indexNames(database: Database.Database): ReadonlyMap<string, string> {
  const names = new Map<string, string>()
  for (const table of ['job', 'intent']) {
    const indexes = database.pragma(`index_list(${table})`) as { name: string }[]
    for (const { name } of indexes) {
      const columns = database.pragma(`index_info(${name})`) as { name: string }[]
      names.set(name, `${table} (${columns.map((column) => column.name).join(', ')})`)
    }
  }
  return names
}

function logPlaces(log: Buffer, pageBytes: number): readonly Place[] {
  const frames: number[] = []
  const step = walFrameHeaderBytes + pageBytes
  for (let at = walHeaderBytes; at + step <= log.length; at += step) frames.push(at)
  const place = (name: string, stretches: readonly Stretch[]): Place => {
    return { name, kind: 'log', files: 'logged', file: 'jobs.db-wal', stretches }
  }
  return [
    place('log header', [{ offset: 0, size: walHeaderBytes }]),
    place(
      'log frame headers',
      frames.map((offset) => ({ offset, size: walFrameHeaderBytes })),
    ),
    place(
      'log pages',
      frames.map((offset) => ({ offset: offset + walFrameHeaderBytes, size: pageBytes })),
    ),
  ]
}
