// One life in a process of its own that may be killed anywhere: node op.mjs CONFIG_JSON
//
// Prints one line per event, straight to the descriptor, so that a trace shows them in their true order:
//   AT point | TAKEN {name,requestId} | SIGN {requestId,outpoint,sighash} | ANSWER {...} | WARN {...} | ERR {...} |
//   STUCK | HELD | DONE
// Plain JavaScript over the built package: no loader stands between the product and the trace.
import { writeSync, writevSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { live } from './life.mjs'

const config = JSON.parse(process.argv[2])
const { StoreFailed } = await import(pathToFileURL(`${config.dist}/base/persistence.js`).href)
const faults = [...config.faults]
let group = 'open'

/** Two pieces make it a writev, which nothing else here calls: libuv's own wake-ups share the count of write. */
function tell(word, detail) {
  const rest = detail === undefined ? '\n' : ` ${JSON.stringify(detail)}\n`
  writevSync(1, [Buffer.from(word), Buffer.from(rest)])
  // A job that has to wait is told in the same way, but nothing is wrong with it.
  const isTrouble = word === 'ERR' || (word === 'WARN' && detail.code !== undefined)
  if (isTrouble && config.afterError === 'die') process.kill(process.pid, 'SIGKILL')
}

/** Says where the product is, and dies or fails there when the config says so. */
function reach(point) {
  const [own] = /^(job\.\w+|run\.\w+|reconcile|opened|close)/.exec(point) ?? []
  if (own !== undefined) group = own
  // What the ledger does belongs to what it is done for.
  const name = point.startsWith('ledger.') ? `${group}/${point}` : point
  writeSync(1, `AT ${name}\n`)
  const at = faults.findIndex((fault) => fault.point === name)
  if (at === -1) return
  const [{ action }] = faults.splice(at, 1)
  if (action === 'die') process.kill(process.pid, 'SIGKILL')
  throw new StoreFailed(`crash lab at ${name}`, 'transient')
}

const hold = async () => {
  if (config.op !== 'hold') return
  tell('HELD', undefined)
  await new Promise((resolve) => setTimeout(resolve, 60_000))
}

await live(config, tell, reach, hold)
