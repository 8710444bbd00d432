// Opens a store, reads sample wallet 1 and says on stdout what it was told: node read-child.ts DIR
import { writeSync } from 'node:fs'
import { StoreFailed } from '../../../src/base/persistence.js'
import { openSqliteWalletStore } from '../../../src/store/sqlite/index.js'
import { sampleChangeset } from '../../../src/testing/sample-changeset.js'

const store = await openSqliteWalletStore(process.argv[2] ?? '')
writeSync(1, 'read\n')
try {
  const outcome = await store.read(sampleChangeset(1).walletId)
  writeSync(1, `${outcome.kind}\n`)
} catch (error) {
  if (!(error instanceof StoreFailed)) throw error
  writeSync(1, `failed ${error.kind}\n`)
}
await store.close()
