import { join } from 'node:path'
import { type FaultProxy, startFaultProxy } from '../devnet/fault-proxy-http.js'
import { startTcpFaultProxy, type TcpFaultProxy } from '../devnet/fault-proxy-tcp.js'
import { type Covenant, covenantRequest } from '../devnet/requests.js'
import { type DevnetStack, startDevnetStack } from '../devnet/stack.js'
import { devnetDomain, type StackFiles, writeStackFiles } from '../devnet/stack-files.js'
import { toHex } from '../src/base/bytes.js'
import type { SubmitInput } from '../src/covenant/index.js'
import { type Daemon, startDaemon } from './daemon.js'
import { expect, type Site, say } from './site.js'

/** The devnet with a fault proxy before each chain, and the daemon that signs on it. */
export type World = {
  readonly site: Site
  readonly stack: DevnetStack
  readonly ethereum: FaultProxy
  readonly bitcoin: TcpFaultProxy
  readonly files: StackFiles
  daemon: Daemon
  /** A request that spends a covenant output; the same name is the same request. */
  request(covenant: Covenant, name: string): SubmitInput
  stop(): Promise<void>
}

/** Brings everything up; undefined, and said why, where a part of it is not installed. */
export async function startWorld(site: Site): Promise<World | undefined> {
  say('6. A devnet on loopback: real tBTC contracts, a Bitcoin node on regtest, a Live wallet.')
  const startedAt = performance.now()
  const started = await startDevnetStack()
  if (started.kind === 'missing') {
    say(`  not on this machine: ${started.reason}. The covenant part of the demo is left out.`)
    return undefined
  }
  const { stack } = started
  const { evm, bitcoin: node, electrum, wallet } = stack
  const ms = (performance.now() - startedAt).toFixed(0)
  say(`  up after ${ms} ms: Ethereum ${evm.url}, Bitcoin ${node.rpcUrl},`)
  say(`  Electrum tcp://${electrum.host}:${electrum.port}, Bridge ${evm.bridge}`)
  say()
  const [ethereum, bitcoin] = await Promise.all([
    startFaultProxy(evm.url),
    startTcpFaultProxy(Number(new URL(node.rpcUrl).port)),
  ])
  const files = await writeStackFiles(join(site.folder, 'files'), stack, {
    dataDir: site.dataDir,
    passphraseFile: site.passphrase,
    ethereumUrl: ethereum.url,
    bitcoinUrl: `http://127.0.0.1:${bitcoin.port}`,
  })
  say("7. The wallet's key goes into the vault, and the daemon starts.")
  await bindKey(site, files, `0x${toHex(wallet.compressedKey)}`)
  const issuedAtMs = Date.now()
  const world: World = {
    ...{ site, stack, ethereum, bitcoin, files },
    daemon: await startDaemon(site, files),
    request: (covenant, name) =>
      covenantRequest({
        ...{ covenant, wallet, name, domain: devnetDomain },
        quotedAtMs: issuedAtMs,
      }),
    async stop() {
      await world.daemon.stop()
      await Promise.all([ethereum.stop(), bitcoin.stop(), stack.stop()])
    },
  }
  say(`  process ${world.daemon.pid} serves http://127.0.0.1:${files.port}, log in daemon.log`)
  say()
  return world
}

async function bindKey(site: Site, { keyFile }: StackFiles, publicKey: string): Promise<void> {
  const passphrase = ['--passphrase-file', site.passphrase]
  const added = await site.holdfast(
    'vault',
    'add',
    '--label',
    'covenants',
    '--key-file',
    keyFile,
    ...passphrase,
  )
  expect('the key is added', added.status === 0)
  const bound = await site.holdfast(
    'covenant',
    'bind',
    publicKey,
    '--secret',
    'covenants',
    ...passphrase,
  )
  expect('the key is bound', bound.status === 0)
}
