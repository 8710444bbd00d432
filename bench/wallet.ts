import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { openHoldfast } from '../src/index.js'
import { insertInto, selectFrom, walletTableNames } from '../src/store/sqlite/wallet-rows.js'
import { deriveCandidate } from '../src/wallet/candidate.js'
import { benchDerivation, derivationRatioMin } from './derivation.js'
import { type Figure, heldBytes, median, timeMs } from './measure.js'

const network = 'testnet'

/** Everything issue "a wallet that registers all or nothing" asks to be measured. */
export async function* benchWallet(): AsyncGenerator<Figure> {
  yield await registrationAgainstItsParts()
  yield derivation()
  yield* syncsPerRegistration()
  yield* await loadingOneThousand()
}

function temporary(): { readonly path: string; readonly remove: () => void } {
  const root = mkdtempSync(join(tmpdir(), 'holdfast-bench-'))
  return { path: root, remove: () => rmSync(root, { recursive: true, force: true }) }
}

/** A registration beside the sum of what it cannot do without: its derivations and its commits. */
async function registrationAgainstItsParts(): Promise<Figure> {
  const folder = temporary()
  const holdfast = await openHoldfast({ dataDir: join(folder.path, 'data') })
  const bare = bareCommits(folder.path)
  const rounds = { whole: [] as number[], derive: [] as number[], commit: [] as number[] }
  for (let round = 0; round < 60; round++) {
    const seed = new Uint8Array(randomBytes(64))
    const whole = await timeMs(() => holdfast.wallets.createFromSeedBytes({ seed, network }))
    const other = new Uint8Array(randomBytes(64))
    const derive = await timeMs(() =>
      deriveCandidate({ seed: other, network, birthHeight: 0, createdAtMs: Date.now() }),
    )
    const commit = await timeMs(() => bare.registerOnce())
    // The first rounds warm up the compiler for all three alike.
    if (round < 10) continue
    rounds.whole.push(whole)
    rounds.derive.push(derive)
    rounds.commit.push(commit)
  }
  bare.close()
  await holdfast.close()
  folder.remove()
  const ratios = rounds.whole.map(
    (whole, n) => whole / ((rounds.derive[n] ?? 0) + (rounds.commit[n] ?? 0)),
  )
  const ms = (list: readonly number[]): string => median(list).toFixed(2)
  return {
    what: 'registration / (derivations + commits alone)',
    value: median(ratios),
    unit: 'x',
    bound: { kind: 'at most', value: 1.5 },
    detail: `${ms(rounds.whole)} ms against ${ms(rounds.derive)} + ${ms(rounds.commit)} ms, 50 rounds in turn`,
  }
}

/** The two commits and the inventory line of one registration, same rows, nothing else. */
function bareCommits(root: string): { registerOnce: () => void; close: () => void } {
  const db = new Database(join(root, 'bare.db'))
  db.pragma('locking_mode = EXCLUSIVE')
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = FULL')
  db.exec(readFileSync(new URL('../sql/sqlite/wallets/000001.sql', import.meta.url), 'utf8'))
  const rows = sampleRows(root)
  const insert = new Map(walletTableNames.map((table) => [table, db.prepare(insertInto[table])]))
  const reserve = db.prepare(
    `insert into pending_registrations values (?, ?, null, ?, ?, 'reserved', 0)`,
  )
  const unreserve = db.prepare('delete from pending_registrations where attempt_id = ?')
  const inventory = openSync(join(root, 'bare.inventory'), 'a', 0o600)
  const line = Buffer.alloc(300, 'x')
  return {
    registerOnce() {
      const walletId = randomBytes(32)
      const attempt = randomBytes(16)
      db.transaction(() => reserve.run(attempt, walletId, attempt, attempt)).immediate()
      db.transaction(() => {
        for (const { table, values } of rows) insert.get(table)?.run(walletId, ...values.slice(1))
        unreserve.run(attempt)
      }).immediate()
      writeSync(inventory, line)
      fsyncSync(inventory)
    },
    close() {
      closeSync(inventory)
      db.close()
    },
  }
}

type RowValues = { readonly table: (typeof walletTableNames)[number]; readonly values: unknown[] }

/** The rows that the product itself wrote for one wallet. */
function sampleRows(root: string): readonly RowValues[] {
  const maker = fileURLToPath(new URL('make-wallets.ts', import.meta.url))
  const sample = join(root, 'sample')
  runScript([maker, sample, '1'])
  const db = new Database(join(sample, 'wallets.db'), { readonly: true })
  const [id] = db.prepare('select wallet_id from wallets').pluck().all()
  const rows = walletTableNames.flatMap((table) =>
    db
      .prepare(selectFrom[table])
      .raw()
      .all(id)
      .map((values) => ({ table, values: values as unknown[] })),
  )
  db.close()
  return rows
}

function runScript(args: readonly string[], ...wrapper: readonly string[]): string {
  const command = [...wrapper, process.execPath, '--import', 'tsx', ...args]
  const run = spawnSync(command[0] ?? '', command.slice(1), {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  if (run.status !== 0) throw new Error(`bench: ${command.join(' ')} failed: ${run.stderr}`)
  return run.stdout
}

function derivation(): Figure {
  const { ratio, oursUs, theirsUs } = benchDerivation()
  return {
    what: 'address derivation, @scure/bip32 / ours',
    value: ratio,
    unit: 'x',
    bound: { kind: 'at least', value: derivationRatioMin },
    detail: `${oursUs.toFixed(1)} us against ${theirsUs.toFixed(1)} us an address`,
  }
}

/** Counts sync calls between the markers that the traced process prints after each registration. */
function syncsPerRegistration(): readonly Figure[] {
  if (spawnSync('strace', ['-V']).error !== undefined) {
    process.stderr.write('bench: strace is missing, syncs per registration were NOT measured\n')
    return []
  }
  const folder = temporary()
  const log = join(folder.path, 'trace')
  const maker = fileURLToPath(new URL('make-wallets.ts', import.meta.url))
  runScript(
    [maker, join(folder.path, 'data'), '50', 'mark'],
    'strace',
    ...['-f', '-o', log, '-e', 'trace=fsync,fdatasync,sync_file_range,write'],
  )
  const counts: number[] = []
  let syncs = 0
  for (const text of readFileSync(log, 'utf8').split('\n')) {
    if (/ (fsync|fdatasync|sync_file_range)\(/.test(text)) syncs++
    if (!text.includes('"REGISTERED')) continue
    counts.push(syncs)
    syncs = 0
  }
  folder.remove()
  // The first count also holds the opening of a fresh directory.
  const each = counts.slice(1)
  return [
    {
      what: 'syncs per registration without vault',
      value: median(each),
      unit: 'syncs',
      bound: { kind: 'at most', value: 3 },
      detail: `median of ${each.length}, most ${Math.max(...each)}`,
    },
  ]
}

/** Loading beside bare SQL that reads the same rows and turns them into the same plain records. */
async function loadingOneThousand(): Promise<readonly Figure[]> {
  const folder = temporary()
  const dataDir = join(folder.path, 'data')
  runScript([fileURLToPath(new URL('make-wallets.ts', import.meta.url)), dataDir, '1000'])
  const ratios: number[] = []
  const times = { ours: [] as number[], bare: [] as number[] }
  let held = 0
  for (let round = 0; round < 7; round++) {
    const bare = await timeMs(() => readBare(join(dataDir, 'wallets.db')))
    const holdfast = await openHoldfast({ dataDir })
    const before = heldBytes()
    const ours = await timeMs(async () => {
      const { loaded } = await holdfast.wallets.loadAll()
      if (loaded.length !== 1000) throw new Error(`bench: loaded ${loaded.length} wallets of 1000`)
    })
    held = Math.max(held, heldBytes() - before)
    await holdfast.close()
    times.ours.push(ours)
    times.bare.push(bare)
    ratios.push(ours / bare)
  }
  folder.remove()
  return [
    {
      what: 'loadAll of 1,000 wallets / bare SQL reading and decoding',
      value: median(ratios),
      unit: 'x',
      bound: { kind: 'at most', value: 3 },
      detail: `${median(times.ours).toFixed(0)} ms against ${median(times.bare).toFixed(0)} ms, 7 rounds in turn`,
    },
    {
      what: 'memory held by 1,000 loaded wallets',
      value: held / 2 ** 20,
      unit: 'MiB',
      bound: { kind: 'at most', value: 120 },
      detail: 'heap and buffers after collection, largest of 7',
    },
  ]
}

/** Every row of every wallet as a record, ids as hex, pools unpacked to one object an address. */
function readBare(file: string): number {
  const db = new Database(file, { readonly: true })
  db.defaultSafeIntegers()
  const selects = walletTableNames.map((table) => db.prepare(selectFrom[table]))
  const wallets: unknown[] = []
  const hex = (value: unknown): unknown => (Buffer.isBuffer(value) ? value.toString('hex') : value)
  for (const id of db.prepare('select wallet_id from wallets order by wallet_id').pluck().all()) {
    const tables = selects.map((select) =>
      (select.all(id) as Record<string, unknown>[]).map((row) => {
        const { entries, ...columns } = row
        const record = Object.fromEntries(
          Object.entries(columns).map(([name, value]) => [name, hex(value)]),
        )
        return Buffer.isBuffer(entries) ? { ...record, entries: unpack(entries) } : record
      }),
    )
    wallets.push(tables)
  }
  db.close()
  return wallets.length
}

function unpack(entries: Buffer): readonly object[] {
  const unpacked: object[] = []
  for (let at = 0; at < entries.length; at += 58) {
    unpacked.push({
      state: entries[at],
      hash160: entries.subarray(at + 5, at + 25),
      publicKey: entries.subarray(at + 25, at + 58),
    })
  }
  return unpacked
}
