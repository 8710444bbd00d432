import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'

/** One stored row as text: as it is, and without what differs from one registration to the next. */
export type Row = { readonly exact: string; readonly masked: string }

/** Everything a data directory says, read without the product. */
export type Dump = {
  readonly tables: Readonly<Record<string, readonly Row[]>>
  /** Files that hold content of ours, by name without random digits; the database's own files stand in `names`. */
  readonly files: readonly Row[]
  /** Every name, random digits replaced. */
  readonly names: readonly string[]
}

const databaseName = 'wallets.db'
const inventoryName = 'wallets.inventory'
const variable =
  /^(attempt_id|opening_id|generation|store_generation|token|digest|created_at_ms|applied_at_ms|found_at_ms)$/
const maskHex = (text: string): string => text.replace(/[0-9a-f]{16,}/g, '*')

/** Reads a data directory through a copy, so that looking changes nothing. */
export function dump(dataDir: string, scratch: string): Dump {
  const names = existsSync(dataDir) ? listNames(dataDir) : []
  return {
    tables: dumpTables(dataDir, scratch),
    files: names.filter((name) => isContent(dataDir, name)).map((name) => fileRow(dataDir, name)),
    names: names.map(maskHex).sort(),
  }
}

const listNames = (dir: string): string[] =>
  (readdirSync(dir, { recursive: true }) as string[]).sort()

function isContent(dataDir: string, name: string): boolean {
  return !name.startsWith(databaseName) && statSync(join(dataDir, name)).isFile()
}

function fileRow(dataDir: string, name: string): Row {
  const bytes = readFileSync(join(dataDir, name))
  const hash = createHash('sha256').update(bytes).digest('hex')
  // Ciphertext differs every time; the inventory's times and random ids do.
  const masked =
    name === inventoryName
      ? `${name} ${maskHex(bytes.toString('utf8')).replace(/\d{12,}/g, '#')}`
      : maskHex(name)
  return { exact: `${name} ${hash}`, masked }
}

function dumpTables(dataDir: string, scratch: string): Dump['tables'] {
  if (!existsSync(join(dataDir, databaseName))) return {}
  rmSync(scratch, { recursive: true, force: true })
  mkdirSync(scratch)
  for (const suffix of ['', '-wal']) {
    const from = join(dataDir, `${databaseName}${suffix}`)
    if (existsSync(from)) copyFileSync(from, join(scratch, `copy.db${suffix}`))
  }
  const database = new Database(join(scratch, 'copy.db'))
  try {
    const tables = database
      .prepare("select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'")
      .pluck()
      .all() as string[]
    return Object.fromEntries(tables.sort().map((table) => [table, dumpTable(database, table)]))
  } finally {
    database.close()
    rmSync(scratch, { recursive: true, force: true })
  }
}

function dumpTable(database: Database.Database, table: string): readonly Row[] {
  const rows = database.prepare(`select * from "${table}"`).safeIntegers().all() as object[]
  return rows.map(rowOf).sort((a, b) => (a.exact < b.exact ? -1 : 1))
}

function rowOf(row: object): Row {
  const text = (hide: boolean): string =>
    JSON.stringify(row, (key, value: unknown) => {
      if (hide && variable.test(key)) return value === null ? null : '*'
      if (typeof value === 'bigint') return String(value)
      if (isBuffer(value)) return Buffer.from(value.data).toString('hex')
      return value
    })
  return { exact: text(false), masked: text(true) }
}

/** What `JSON.stringify` hands to its replacer for a Buffer. */
function isBuffer(value: unknown): value is { readonly data: number[] } {
  return typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer'
}

/** Differences between two dumps, empty when they are the same. */
export function differences(found: Dump, wanted: Dump, by: 'exact' | 'masked'): readonly string[] {
  const tables = [...new Set([...Object.keys(found.tables), ...Object.keys(wanted.tables)])]
  return [
    ...tables.flatMap((table) =>
      rowDifferences(table, found.tables[table] ?? [], wanted.tables[table] ?? [], by),
    ),
    ...rowDifferences('file', found.files, wanted.files, by),
  ]
}

function rowDifferences(
  what: string,
  found: readonly Row[],
  wanted: readonly Row[],
  by: 'exact' | 'masked',
): readonly string[] {
  const left = wanted.map((row) => row[by])
  const extra: string[] = []
  for (const row of found) {
    const at = left.indexOf(row[by])
    if (at === -1) extra.push(row[by])
    else left.splice(at, 1)
  }
  const line = (sign: string) => (text: string) => `${sign} ${what}: ${text.slice(0, 160)}`
  return [...extra.map(line('+')), ...left.map(line('-'))]
}

/** What `found` has beyond `base`, and what of `base` it has lost. */
export function beyond(
  found: Dump,
  base: Dump,
): { readonly added: Dump; readonly lost: readonly string[] } {
  const lost: string[] = []
  const without = (what: string, rows: readonly Row[], known: readonly Row[]): readonly Row[] => {
    const exact = new Set(rows.map((row) => row.exact))
    for (const row of known)
      if (!exact.has(row.exact)) lost.push(`- ${what}: ${row.exact.slice(0, 160)}`)
    const had = new Set(known.map((row) => row.exact))
    return rows.filter((row) => !had.has(row.exact))
  }
  const names = [...new Set([...Object.keys(found.tables), ...Object.keys(base.tables)])]
  const tables = Object.fromEntries(
    names.map((table) => [
      table,
      without(table, found.tables[table] ?? [], base.tables[table] ?? []),
    ]),
  )
  return { added: { tables, files: without('file', found.files, base.files), names: [] }, lost }
}
