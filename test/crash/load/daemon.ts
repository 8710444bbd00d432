import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { type Address, openRaw, type RawConnection } from '../../daemon/raw-http.js'

/** `holdfast start` as a process of its own: its configuration, its log and where it listens. */
export type Site = {
  /** The folder of the build that runs. */
  readonly dist: string
  readonly dataDir: string
  readonly config: string
  readonly log: string
  readonly address: Address
}

export type Daemon = {
  readonly child: ChildProcess
  /** Resolves when the process is gone: its status, or the signal that ended it. */
  readonly exit: Promise<number | string | null>
}

/** Writes a configuration whose rate buckets nobody will find empty. */
export async function makeSite(folder: string, dataDir: string, dist: string): Promise<Site> {
  const address = { host: '127.0.0.1', port: await freePort() }
  const config = join(folder, 'holdfast.toml')
  const lines = [
    `dataDir = "${dataDir}"`,
    '[covenantSigner]',
    `port = ${address.port}`,
    'enableSelfV1 = true',
    `eip712Salt = "0x${'00'.repeat(32)}"`,
    '[limits]',
    ...['submitCapacity = 1000000', 'submitRefillMs = 1'],
    ...['pollCapacity = 1000000', 'pollRefillMs = 1'],
    ...['[admin]', 'port = 0'],
  ]
  writeFileSync(config, `${lines.join('\n')}\n`)
  chmodSync(config, 0o600)
  return { dist, dataDir, config, log: join(folder, 'daemon.log'), address }
}

/** Starts the daemon of a site; it may be gone at once. */
export function startDaemon(site: Site): Daemon {
  const log = openSync(site.log, 'a', 0o600)
  const program = join(site.dist, 'cli', 'main.js')
  const child = spawn(process.execPath, [program, 'start', '--config', site.config], {
    stdio: ['ignore', log, log],
    env: { PATH: process.env.PATH ?? '' },
  })
  closeSync(log)
  const exit = new Promise<number | string | null>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? code))
  })
  return { child, exit }
}

/** A connection as soon as the daemon takes one. @throws Error when it ends instead */
export async function connectTo(site: Site, daemon: Daemon): Promise<RawConnection> {
  for (;;) {
    try {
      return await openRaw(site.address)
    } catch (cause) {
      if (daemon.child.exitCode !== null || daemon.child.signalCode !== null) {
        throw new Error(`the daemon ended: ${lastOf(site)}`, { cause })
      }
      await wait(2)
    }
  }
}

/** Asks the daemon to stop, and waits until it has. */
export async function stopDaemon(site: Site, { child, exit }: Daemon): Promise<void> {
  child.kill('SIGTERM')
  const ended = await exit
  if (ended !== 0) throw new Error(`the daemon stopped with ${ended}: ${lastOf(site)}`)
}

/** The end of its log. */
export function lastOf({ log }: Site): string {
  return readFileSync(log, 'utf8').split('\n').slice(-8).join('\n')
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new TypeError('no port')
  return address.port
}
