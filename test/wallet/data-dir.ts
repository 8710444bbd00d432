// A data directory of its own for each test, and what is in it, byte for byte, without running the product.
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import Database from 'better-sqlite3'
import { type Holdfast, type HoldfastOptions, openHoldfast } from '../../src/index.js'
import { createFileVault } from '../../src/vault/file.js'
import { kdfFloor } from '../../src/vault/kdf.js'

export const phrase: string = `${'abandon '.repeat(11)}about`
export const otherPhrase: string =
  'legal winner thank year wave sausage worth useful legal winner thank yellow'
export const passphrase: Uint8Array = new TextEncoder().encode('correct horse battery staple')

export class DataDir {
  readonly root: string = mkdtempSync(join(tmpdir(), 'holdfast-test-'))
  readonly path: string = join(this.root, 'data')
  readonly #open: Holdfast[] = []

  async open(options: Partial<HoldfastOptions> = {}): Promise<Holdfast> {
    const holdfast = await openHoldfast({ dataDir: this.path, ...options })
    this.#open.push(holdfast)
    return holdfast
  }

  async withVault(): Promise<this> {
    mkdirSync(this.path, { mode: 0o700 })
    const vault = await createFileVault(this.path, passphrase, { kdf: kdfFloor })
    vault.close()
    return this
  }

  /** Every row of every table, every vault file and the inventory; nothing may hold the directory. */
  dump(): Record<string, unknown> {
    const rows: Record<string, unknown> = {}
    const file = join(this.path, 'wallets.db')
    if (existsSync(file)) {
      const db = new Database(file, { readonly: true })
      const tables = db
        .prepare(`select name from sqlite_schema where type = 'table' order by name`)
        .pluck()
        .all() as string[]
      for (const table of tables) {
        // The marker that settles an unclear commit says nothing of any wallet.
        if (table === 'settle_marker') continue
        rows[table] = db
          .prepare(`select * from "${table}"`)
          .raw()
          .all()
          .map((row) => JSON.stringify(row, hexBytes))
          .sort()
      }
      db.close()
    }
    return { ...rows, files: this.files().filter(([name]) => !/^wallets\.db|^lock$/.test(name)) }
  }

  /** Every file with the hash of its content. */
  files(): [string, string][] {
    const found: [string, string][] = []
    const walk = (folder: string): void => {
      for (const name of readdirSync(folder).sort()) {
        const path = join(folder, name)
        if (statSync(path).isDirectory()) walk(path)
        else
          found.push([
            relative(this.path, path),
            createHash('sha256').update(readFileSync(path)).digest('hex'),
          ])
      }
    }
    if (existsSync(this.path)) walk(this.path)
    return found
  }

  async remove(): Promise<void> {
    for (const holdfast of this.#open) await holdfast.close().catch(() => undefined)
    rmSync(this.root, { recursive: true, force: true })
  }
}

function hexBytes(_key: string, value: unknown): unknown {
  if (typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer') {
    return Buffer.from((value as unknown as { data: number[] }).data).toString('hex')
  }
  return value
}
