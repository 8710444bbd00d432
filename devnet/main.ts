// Keeps a devnet up until it is told to stop, and says what is where: npm run devnet
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { toHex } from '../src/base/bytes.js'
import type { Route } from '../src/covenant/index.js'
import { requestJson } from './request-json.js'
import { covenantRequest } from './requests.js'
import { type DevnetStack, startDevnetStack } from './stack.js'
import { devnetDomain, type StackFiles, writeStackFiles } from './stack-files.js'

/** Resolves when the process is asked to end. From its start on, so that a signal during the start counts too. */
const asked = new Promise<string>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, resolve)
})
const say = (text = ''): void => void process.stdout.write(`${text}\n`)

const startedAt = performance.now()
const started = await startDevnetStack()
if (started.kind === 'missing') {
  say(`No devnet on this machine: ${started.reason}.`)
  process.exitCode = 4
} else {
  const { stack } = started
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-devnet-'))
  try {
    await tell(stack, folder)
    say()
    say(`${await asked}: the devnet ends.`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
    await stack.stop()
  }
}

/** Says where everything is, with files to start a daemon from and two requests that it signs. */
async function tell(stack: DevnetStack, folder: string): Promise<void> {
  const { evm, bitcoin, electrum, wallet } = stack
  const passphraseFile = join(folder, 'passphrase')
  writeFileSync(passphraseFile, 'a passphrase for the devnet only\n', { mode: 0o600 })
  const dataDir = join(folder, 'data')
  const files = await writeStackFiles(folder, stack, { dataDir, passphraseFile })
  const bodies = [
    await writeBody(stack, folder, 'self_v1'),
    await writeBody(stack, folder, 'qc_v1'),
  ]
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  say(`Up after ${seconds} s, on loopback only. Ctrl-C ends it.`)
  say(`  Ethereum   ${evm.url}  chain ${evm.chainId}`)
  say(`  Bridge     ${evm.bridge}   WalletRegistry ${evm.registry}`)
  say(`  wallet     0x${toHex(wallet.pkh20)}  Live, key 0x${toHex(wallet.compressedKey)}`)
  say(`  Bitcoin    ${bitcoin.rpcUrl}  regtest, tip ${await bitcoin.tip()}`)
  say(`             user ${bitcoin.user}, password in ${join(folder, 'bitcoin-password')}`)
  say(`  Electrum   tcp://${electrum.host}:${electrum.port}, ssl on ${electrum.tlsPort}`)
  say(`             ssl fingerprint ${electrum.certificate.fingerprint}`)
  say(`  requests   ${bodies.join('  ')}`)
  say()
  say('A daemon that signs here:')
  for (const line of commands(stack, files, { dataDir, passphraseFile, folder })) say(`  ${line}`)
}

/** A covenant output that is deep enough, and the body of the request that spends it. */
async function writeBody(stack: DevnetStack, folder: string, route: Route): Promise<string> {
  const covenant = await stack.fundCovenant({ route })
  const { wallet } = stack
  const input = covenantRequest({
    ...{ covenant, wallet, name: `devnet_${route}`, domain: devnetDomain },
    // Trust roots for quotes are pinned for both routes.
    quotedAtMs: Date.now(),
  })
  const path = join(folder, `${route}.json`)
  writeFileSync(path, `${requestJson(input)}\n`)
  return path
}

function commands(
  { wallet }: DevnetStack,
  { config, keyFile, port, token }: StackFiles,
  paths: { readonly dataDir: string; readonly passphraseFile: string; readonly folder: string },
): readonly string[] {
  const { dataDir, passphraseFile, folder } = paths
  const program = `node ${fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))}`
  const place = `--data-dir ${dataDir} --passphrase-file ${passphraseFile}`
  const key = `0x${toHex(wallet.compressedKey)}`
  return [
    `${program} vault init ${place}`,
    `${program} vault add --label wallet --key-file ${keyFile} ${place}`,
    `${program} covenant bind ${key} --secret wallet ${place}`,
    `${program} start --config ${config}`,
    `curl -H 'Authorization: Bearer ${token}' -d @${join(folder, 'self_v1.json')} http://127.0.0.1:${port}/v1/self_v1/signer/requests`,
  ]
}
