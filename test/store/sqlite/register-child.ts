// Registers wallets one after the other and says on stdout what it was told: node register-child.ts DIR COUNT
// It dies by SIGKILL at its end, so that nothing is tidied up.
import { writeSync } from 'node:fs'
import { newAttemptId } from '../../../src/base/ids.js'
import { StoreFailed } from '../../../src/base/persistence.js'
import { openSqliteWalletStore } from '../../../src/store/sqlite/index.js'
import { sampleChangeset } from '../../../src/testing/sample-changeset.js'

const [dir = '', count = '1'] = process.argv.slice(2)
const say = (text: string): void => void writeSync(1, `${text}\n`)

// Without a handler the signal of the file size limit would end the process.
process.on('SIGXFSZ', () => undefined)

const store = await openSqliteWalletStore(dir)
for (let number = 1; number <= Number(count); number += 1) {
  const changeset = sampleChangeset(number)
  const attempt = newAttemptId()
  say(`reserve ${number}`)
  try {
    await store.reserve({ walletId: changeset.walletId, attempt, createdAtMs: number })
    say(`promote ${number}`)
    await store.promote(attempt, changeset, { replaceQuarantined: false })
    say(`promoted ${number}`)
  } catch (error) {
    if (!(error instanceof StoreFailed)) throw error
    say(`failed ${number} ${error.kind} ${error.outcome}`)
    const next = await store.list().then(
      () => 'usable',
      () => 'refuses',
    )
    say(`store ${next}`)
  }
}
say('end')
process.kill(process.pid, 'SIGKILL')
