// The main job in the open: register a wallet, kill a second registration half way, show that nothing is left,
// retry, and list the result. Everything happens in a temporary folder, offline, with public test words.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const once = process.argv.includes('--once')
const command = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
const killed = fileURLToPath(new URL('killed-registration.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'holdfast-demo-'))
const dataDir = join(folder, 'data')

// Published test phrases of BIP-39: never use them for anything else.
const firstWords = writeSecret('first-words', `${'abandon '.repeat(11)}about`)
const secondWords = writeSecret(
  'second-words',
  'legal winner thank year wave sausage worth useful legal winner thank yellow',
)
const passphrase = writeSecret('passphrase', 'a passphrase for the demo only')

function writeSecret(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, `${text}\n`, { mode: 0o600 })
  return path
}

function say(text = ''): void {
  process.stdout.write(`${text}\n`)
}

/** Runs the product's command as a user would and answers what it printed as JSON. */
function holdfast(...args: readonly string[]): {
  status: number | null
  json: Record<string, unknown>
} {
  say(
    `$ holdfast ${args.map((arg) => (arg.startsWith(folder) ? relative(folder, arg) : arg)).join(' ')}`,
  )
  const run = spawnSync(process.execPath, [command, ...args, '--data-dir', dataDir, '--json'], {
    encoding: 'utf8',
  })
  if (run.error !== undefined) throw run.error
  return { status: run.status, json: JSON.parse(run.stdout) as Record<string, unknown> }
}

function expect(what: string, holds: boolean): void {
  if (holds) return
  say(`  DEMO FAILED: ${what}`)
  process.exitCode = 1
  throw new Error(what)
}

type Listed = { walletId: string; network: string; state: string }
const listed = (json: Record<string, unknown>): Listed[] => json.wallets as Listed[]
const short = (id: unknown): string => `${String(id).slice(0, 16)}…`
const create = (words: string): readonly string[] => [
  'wallet',
  'create',
  '--network',
  'testnet',
  '--words-file',
  words,
  '--keep-secret',
  '--passphrase-file',
  passphrase,
]

try {
  say('1. A vault for secrets, and a wallet from twelve words.')
  expect(
    'the vault is made',
    holdfast('vault', 'init', '--passphrase-file', passphrase).status === 0,
  )
  const first = holdfast(...create(firstWords))
  expect('the first wallet is registered', first.status === 0)
  say(
    `  registered ${short(first.json.walletId)} with ${(first.json.accounts as unknown[]).length} accounts`,
  )
  say()

  say('2. A second registration, killed with SIGKILL just before its commit.')
  const child = spawnSync(
    process.execPath,
    ['--import', 'tsx', killed, dataDir, secondWords, passphrase],
    { encoding: 'utf8', cwd: fileURLToPath(new URL('..', import.meta.url)) },
  )
  expect(`the process dies by SIGKILL: ${child.stderr}`, child.signal === 'SIGKILL')
  say(`  the process died of ${child.signal}; it had written a journal row and a staged secret:`)
  for (const file of readdirSync(join(dataDir, 'vault')).sort())
    say(`    vault/${file.replace(/[0-9a-f]{48}\./, '….')}`)
  say()

  say('3. The next start finds nothing of it.')
  const after = holdfast('wallet', 'list')
  expect('one wallet is listed', after.status === 0 && listed(after.json).length === 1)
  const staged = readdirSync(join(dataDir, 'vault')).filter((name) => name.includes('.staged-'))
  expect('no staged secret is left', staged.length === 0)
  for (const wallet of listed(after.json))
    say(`  ${short(wallet.walletId)} ${wallet.network} ${wallet.state}`)
  say('  no second wallet, no journal row, no staged secret')
  say()

  say('4. The same call, made again, succeeds.')
  const second = holdfast(...create(secondWords))
  expect('the retry succeeds', second.status === 0)
  say(`  registered ${short(second.json.walletId)}`)
  say()

  say('5. Both wallets, with an address to receive on.')
  for (const wallet of listed(holdfast('wallet', 'list').json)) {
    const { address, path } = holdfast('wallet', 'address', wallet.walletId).json
    say(`  ${short(wallet.walletId)} ${wallet.state}  ${String(address)}  ${String(path)}`)
  }
  say()
  if (once) {
    say('Done; the folder is removed.')
  } else {
    say(`Done. Look around with: node dist/cli/main.js wallet list --data-dir ${dataDir}`)
    say(`Remove ${folder} when you have seen enough ("npm run demo -- --once" does so by itself).`)
  }
} finally {
  if (once && existsSync(folder)) rmSync(folder, { recursive: true })
}
