// One operation of the product, in a process of its own that may be killed anywhere: node op.mjs DIR CONFIG_JSON
//
// Prints one line per event, straight to the descriptor, so that a trace shows them in their true order:
//   BEGIN | AT point | OPEN {skipped} | ACK {id,...} | ERR {stage,code,...} | RETRY {...} | STOPPED point | DONE
// Plain JavaScript over the built package: no loader stands between the product and the trace.
import { writeSync, writevSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { inspect } from 'node:util'

const [dataDir, json] = process.argv.slice(2)
const config = JSON.parse(json)
const seed = Uint8Array.from(Buffer.from(config.seedHex, 'hex'))
const passphrase = config.secret ? new TextEncoder().encode(config.passphrase) : undefined

// Two pieces make it a writev, which nothing else here calls: libuv's own wake-ups share the count of write.
const say = (word, detail) =>
  writevSync(1, [
    Buffer.from(word),
    Buffer.from(detail === undefined ? '\n' : ` ${JSON.stringify(detail)}\n`),
  ])

/** Reports where the product is, and fails, stops or dies there when the config says so. */
function reach(point) {
  writeSync(1, `AT ${point}\n`)
  const at = config.faults.findIndex((fault) => fault.point === point)
  if (at === -1) return
  const [{ action }] = config.faults.splice(at, 1)
  if (action === 'die') process.kill(process.pid, 'SIGKILL')
  if (action === 'stop') {
    writeSync(1, `STOPPED ${point}\n`)
    process.kill(process.pid, 'SIGSTOP')
    return
  }
  throw new StoreFailed(`crash lab at ${point}`, action)
}
const faults = { reach, pause: async (point) => reach(point) }

function describe(stage, error, holdfast) {
  const shown = inspect(error, { depth: 8, showHidden: true, maxArrayLength: 256 })
  return {
    stage,
    code: error?.code,
    typed: typeof error?.code === 'string' && typeof error?.remedy === 'string',
    retry: error?.retry,
    cleanup: error?.cleanup,
    leak: shown.includes(config.seedHex) || shown.includes(config.passphrase),
    // Nothing was loaded before, so whatever is in memory now or was announced came from the failed call.
    visible: stage !== 'close' && (holdfast?.wallets.list().length > 0 || events.length > 0),
    shown: shown.slice(0, 4000),
  }
}

const events = []
const load = (file) => import(pathToFileURL(`${config.dist}/${file}`).href)
const { openHoldfast } = await load('holdfast.js')
const { StoreFailed } = await load('base/persistence.js')
say('BEGIN')
let stage = 'open'
let holdfast
let failed = false
const register = () =>
  holdfast.wallets.createFromSeedBytes({
    seed,
    network: 'testnet',
    birthHeight: config.birthHeight,
    ...(config.secret ? { persistSecret: { label: config.label } } : {}),
  })

try {
  holdfast = await openHoldfast({ dataDir, ...(passphrase ? { passphrase } : {}), faults })
  holdfast.wallets.on(({ type }) => {
    if (type === 'walletRegistered' || type === 'walletLoaded') events.push(type)
  })
  if (config.op === 'recover') {
    const { loaded, skipped } = await holdfast.wallets.loadAll()
    say('OPEN', { loaded, skipped, report: holdfast.wallets.recoveryReport() })
  } else {
    stage = 'register'
    const wallet = await register()
    say('ACK', { id: wallet.id, warnings: wallet.warnings })
  }
} catch (error) {
  failed = true
  say('ERR', describe(stage, error, holdfast))
  if (config.afterError === 'die') process.kill(process.pid, 'SIGKILL')
  if (config.afterError === 'retry' && stage === 'register') {
    try {
      const wallet = await register()
      say('RETRY', { id: wallet.id, warnings: wallet.warnings })
    } catch (again) {
      say('RETRY', describe('retry', again, holdfast))
    }
  }
}
try {
  await holdfast?.close()
  say('DONE')
} catch (error) {
  say('ERR', describe('close', error, holdfast))
  failed = true
}
process.exitCode = failed ? 3 : 0
