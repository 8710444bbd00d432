// Asks one source for its tip and prints what kind of answer it gave.
import { neverAborted } from '../../../src/base/abort.js'
import { bitcoinSource } from '../../../src/chain/bitcoin/source.js'

const [url = ''] = process.argv.slice(2)
const reader = bitcoinSource({ url, network: 'regtest', requestTimeoutMs: 10_000 })
const answer = await reader.tipHeight(neverAborted)
await reader.close()
process.stdout.write(`${answer.kind === 'unavailable' ? answer.causes[0]?.kind : answer.kind}\n`)
