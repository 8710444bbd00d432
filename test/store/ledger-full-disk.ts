import { statSync } from 'node:fs'
import { join } from 'node:path'
import { openLedger } from '../../src/store/ledger.js'
import { LedgerAppendFailed } from '../../src/store/ledger-file.js'
import { accept, storeId } from './ledger-fixture.js'

/** Appends until the disk is full, says how far it came and ends without closing anything. */
const dir = process.argv[2] ?? ''
const ledger = openLedger(dir, { storeId })
let taken = 0
for (; ; taken += 1) {
  try {
    ledger.append([accept(taken)])
  } catch (error) {
    if (error instanceof LedgerAppendFailed) break
    throw error
  }
}
ledger.retry()
const { size } = statSync(join(dir, 'ledger.jsonl'))
const report = { taken, waiting: ledger.waiting(), state: ledger.state(), size }
process.stdout.write(JSON.stringify(report))
process.exit(0)
