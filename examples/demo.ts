// The main job in the open: a wallet whose second registration is killed half way, then covenants signed on a devnet,
// through a kill and an outage. Everything happens in a temporary folder and on loopback, with public test keys.

import { startWorld, type World } from './covenant-world.js'
import { killPart, registryPart } from './faults-part.js'
import { signingPart } from './signing-part.js'
import { command, openSite, say } from './site.js'
import { walletPart } from './wallet-part.js'

const once = process.argv.includes('--once')
const site = openSite()
let endDemo: (signal: string) => void = () => process.exit(130)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => endDemo(signal))
}
process.once('exit', () => {
  if (once) site.remove()
})

let world: World | undefined
try {
  await walletPart(site)
  world = await startWorld(site)
  if (world !== undefined) {
    const first = await signingPart(world)
    await killPart(world)
    await registryPart(world, first)
  }
  tellEnd(world)
  if (world !== undefined && !once) await untilSignal()
} catch (error) {
  say(`  DEMO FAILED: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
} finally {
  await world?.stop()
}

function tellEnd(running: World | undefined): void {
  if (once) {
    say('Done; processes are ended and the folder is removed.')
    return
  }
  say('Done. Look around:')
  const program = `node ${command}`
  if (running === undefined) {
    say(`  ${program} wallet list --data-dir ${site.dataDir}`)
  } else {
    const { config, adminPort } = running.files
    for (const verb of ['wallet list', 'covenant list', 'status']) {
      say(`  ${program} ${verb} --config ${config}`)
    }
    say(`  http://127.0.0.1:${adminPort}/readyz?verbose and the log ${running.daemon.log}`)
    say('Daemon and devnet are up until Ctrl-C.')
  }
  say(
    `Remove ${site.folder} when you have seen enough ("npm run demo -- --once" does so by itself).`,
  )
}

function untilSignal(): Promise<string> {
  return new Promise((resolve) => {
    // Promises keep no process alive, and what runs are other processes.
    const alive = setInterval(() => undefined, 60_000)
    endDemo = (signal) => {
      clearInterval(alive)
      resolve(signal)
    }
  })
}
