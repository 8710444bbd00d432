import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, type Ran, type Site, say, short } from './site.js'

const killed = fileURLToPath(new URL('killed-registration.ts', import.meta.url))
const root = fileURLToPath(new URL('..', import.meta.url))

type Listed = { readonly walletId: string; readonly network: string; readonly state: string }
const listed = (json: Readonly<Record<string, unknown>>): readonly Listed[] =>
  json.wallets as readonly Listed[]

/** Registers a wallet, kills a second registration half way, shows that nothing is left, and retries. */
export async function walletPart(site: Site): Promise<void> {
  // Published test phrases of BIP-39: never use them for anything else.
  const firstWords = site.writeSecret('first-words', `${'abandon '.repeat(11)}about`)
  const secondWords = site.writeSecret(
    'second-words',
    'legal winner thank year wave sausage worth useful legal winner thank yellow',
  )
  say('1. A vault for secrets, and a wallet from twelve words.')
  const vault = await site.holdfast('vault', 'init', '--passphrase-file', site.passphrase)
  expect('the vault is made', vault.status === 0)
  const first = await create(site, firstWords)
  const accounts = first.json.accounts as readonly unknown[]
  say(`  registered ${short(first.json.walletId)} with ${accounts.length} accounts`)
  say()
  say('2. A second registration, killed with SIGKILL just before its commit.')
  killHalfWay(site, secondWords)
  say()
  say('3. The next start finds nothing of it.')
  const after = await site.holdfast('wallet', 'list')
  expect('one wallet is listed', after.status === 0 && listed(after.json).length === 1)
  const names = readdirSync(join(site.dataDir, 'vault'))
  expect('no staged secret is left', !names.some((name) => name.includes('.staged-')))
  for (const wallet of listed(after.json)) {
    say(`  ${short(wallet.walletId)} ${wallet.network} ${wallet.state}`)
  }
  say('  no second wallet, no journal row, no staged secret')
  say()
  say('4. The same call, made again, succeeds.')
  say(`  registered ${short((await create(site, secondWords)).json.walletId)}`)
  say()
  say('5. Both wallets, with an address to receive on.')
  for (const wallet of listed((await site.holdfast('wallet', 'list')).json)) {
    const { json } = await site.holdfast('wallet', 'address', wallet.walletId)
    const { address, path } = json
    say(`  ${short(wallet.walletId)} ${wallet.state}  ${String(address)}  ${String(path)}`)
  }
  say()
}

async function create(site: Site, words: string): Promise<Ran> {
  const secrets = ['--words-file', words, '--keep-secret', '--passphrase-file', site.passphrase]
  const created = await site.holdfast('wallet', 'create', '--network', 'testnet', ...secrets)
  expect('the wallet is registered', created.status === 0)
  return created
}

function killHalfWay({ dataDir, passphrase }: Site, words: string): void {
  const child = spawnSync(
    process.execPath,
    ['--import', 'tsx', killed, dataDir, words, passphrase],
    { encoding: 'utf8', cwd: root },
  )
  expect(`the process dies by SIGKILL: ${child.stderr}`, child.signal === 'SIGKILL')
  say(`  the process died of ${child.signal}; it had written a journal row and a staged secret:`)
  for (const file of readdirSync(join(dataDir, 'vault')).sort()) {
    say(`    vault/${file.replace(/[0-9a-f]{48}\./, '….')}`)
  }
}
