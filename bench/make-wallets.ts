// Registers wallets of random seeds in one process: make-wallets.ts DIR COUNT [mark]
import { randomBytes } from 'node:crypto'
import { writeSync } from 'node:fs'
import { openHoldfast } from '../src/index.js'

const [dataDir = '', count = '1', mark] = process.argv.slice(2)
const holdfast = await openHoldfast({ dataDir })
for (let n = 0; n < Number(count); n++) {
  const seed = new Uint8Array(randomBytes(64))
  await holdfast.wallets.createFromSeedBytes({ seed, network: 'testnet', birthHeight: 0 })
  // Straight to the descriptor, so that the trace shows it in its place.
  if (mark !== undefined) writeSync(1, `REGISTERED ${n}\n`)
}
await holdfast.close()
