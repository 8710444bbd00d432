// Registers a wallet and dies by SIGKILL just before the commit: node killed-registration.ts DIR WORDS PASSPHRASE
import { readFileSync } from 'node:fs'
import { openHoldfast } from '../src/index.js'
import { scriptedFaults } from '../src/testing/index.js'

const [dataDir = '', wordsFile = '', passphraseFile = ''] = process.argv.slice(2)
const passphrase = new TextEncoder().encode(readFileSync(passphraseFile, 'utf8').trim())
const holdfast = await openHoldfast({
  dataDir,
  passphrase,
  faults: scriptedFaults({ point: 'promote.beforeCommit', action: 'kill' }),
})
await holdfast.wallets.createFromMnemonic({
  phrase: readFileSync(wordsFile, 'utf8').trim(),
  network: 'testnet',
  persistSecret: { label: 'seed' },
})
throw new Error('killed registration: still alive after the point that kills')
