import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { type Job, requestIdOf } from '../src/covenant/job.js'
import { fileNameOf } from '../src/store/keep-core/job-file.js'
import { fileText, keepCoreJob, readyJob } from '../test/store/keep-core-files.js'
import type { Site } from './transcript-site.js'

/** What is typed to show one state and its way out; each plays in a folder of its own. */
export const sessions: Readonly<Record<string, (site: Site) => Promise<void>>> = {
  async 'first-start'(site) {
    writeSecrets(site)
    site.run('holdfast config check --config holdfast.toml')
    site.run('holdfast vault init --data-dir data --passphrase-file passphrase')
    site.run(
      'holdfast vault add --data-dir data --label wallet-1 --key-file wallet-1.hex --passphrase-file passphrase',
    )
    site.run(
      `holdfast covenant bind ${walletKey} --data-dir data --secret wallet-1 --passphrase-file passphrase`,
    )
    site.run('holdfast vault list --data-dir data')
    site.run('holdfast doctor --data-dir data')
    site.say('holdfast start --config holdfast.toml')
    await site.start()
    // When the jobs are loaded depends on the machine.
    site.showLog(/^(?!.*jobs loaded)/)
    site.run('holdfast status --config holdfast.toml')
    site.run(`curl -s 'http://127.0.0.1:${site.adminPort}/readyz'`)
    site.run(
      `curl -s 'http://127.0.0.1:${site.adminPort}/readyz?verbose' | jq -c '.checks[]' | head -3`,
    )
    site.run(
      `curl -s 'http://127.0.0.1:${site.adminPort}/metrics' | grep -E '^holdfast_(ready|degraded|jobs|blocks)'`,
    )
  },

  async 'chain-down'(site) {
    writeSecrets(site)
    site.prepare('holdfast vault init --data-dir data --passphrase-file passphrase')
    site.configure(chains)
    await site.start()
    site.showLog(/fraud/)
    site.run(failing)
    site.run(`holdfast chain wallet ${'07'.repeat(20)} --config holdfast.toml`)
  },

  async 'vault-wrong-passphrase'(site) {
    writeSecrets(site)
    site.prepare('holdfast vault init --data-dir data --passphrase-file passphrase')
    site.write('passphrase', 'not the passphrase\n')
    site.configure(chains)
    site.run('holdfast start --quiet --config holdfast.toml')
    site.configure(chains.replace(/\[vault\]\n.*\n/, ''))
    site.run('holdfast start --quiet --config holdfast.toml')
    site.write('passphrase', 'correct horse battery staple\n', 0o644)
    site.configure(chains)
    site.run('holdfast start --quiet --config holdfast.toml')
  },

  async 'keep-core'(site) {
    keepCore(site)
    site.run('holdfast covenant check keep')
    site.run('holdfast covenant import keep --data-dir data')
    site.run('holdfast covenant import keep --data-dir data --yes --reason "moving from keep-core"')
    site.run('holdfast covenant list --data-dir data')
    const held = jobs[1]?.requestId
    site.run(`holdfast covenant show ${held} --data-dir data`)
    site.run(
      `holdfast covenant resume ${held} --data-dir data --reason "old signer is gone" --dry-run`,
    )
    site.run(`holdfast covenant resume ${held} --data-dir data --reason "old signer is gone"`)
    site.run('holdfast covenant export back --data-dir data')
  },

  async 'truncated-file'(site) {
    keepCore(site)
    truncateSync(site.at('keep', 'covenant-signer-jobs', fileNameOf(job(1).requestId)), 311)
    const list = nextIn(site.run('holdfast covenant import keep --data-dir data --yes'))
    site.say('1')
    const show = nextIn(site.run(list))
    site.say('2')
    const shown = site.run(show)
    const way = [...shown.matchAll(/^ +(holdfast quarantine resolve .*)$/gm)]
      .map(([, command = '']) => command)
      .find((command) => !command.includes(' FILE'))
    site.say('3')
    const tried = site.run(way ?? 'false')
    site.say('4')
    site.run(/^To do it.*?: (holdfast .*)$/m.exec(tried)?.[1] ?? 'false')
  },

  async 'damaged-row'(site) {
    imported(site)
    sql(site, `update job set detail = 'x' where seq = (select max(seq) from job)`)
    await site.start()
    site.showLog(/set aside|loaded/)
    site.run(failing)
    const show = nextIn(site.run('holdfast quarantine list --config holdfast.toml'))
    const way = recommendedIn(site.run(show))
    site.run(way)
    site.run(`${way} --yes`)
    site.run('holdfast status --quiet --config holdfast.toml | head -1')
  },

  async 'ledger-line'(site) {
    imported(site)
    scratchLine(site, 3)
    site.run('holdfast ledger verify --quiet --data-dir data')
    site.run('holdfast store verify --quiet --data-dir data | head -8')
    site.run('holdfast ledger verify --quiet --data-dir data | head -4')
  },

  async 'ledger-gone'(site) {
    imported(site)
    site.prepare('mv data/ledger.jsonl lost')
    await site.start()
    site.showLog(/set aside|no new keys/)
    site.run(failing)
    const show = nextIn(site.run('holdfast quarantine list --config holdfast.toml'))
    const way = recommendedIn(site.run(`${show} | tail -6`))
    site.run(way)
    site.run(`${way} --yes`)
    site.run('holdfast status --quiet --config holdfast.toml | head -1')
  },

  async 'ledger-moved'(site) {
    imported(site)
    await site.start()
    site.prepare('mv data/ledger.jsonl lost; sleep 1.2')
    site.run(failing)
    site.say('the daemon is stopped')
    await site.stop()
    site.run('mv lost data/ledger.jsonl')
    site.run('holdfast store verify --quiet --data-dir data | head -6')
  },

  async 'both-damaged'(site) {
    imported(site)
    sql(site, 'delete from job where seq = (select max(seq) from job)')
    scratchLine(site, 7)
    site.run('holdfast store verify --quiet --data-dir data | grep "NOT OK"')
    const show = nextIn(site.run('holdfast quarantine list --data-dir data'))
    const way = recommendedIn(site.run(`${show} | tail -4`))
    site.run(`${way} --yes`)
  },

  async 'lock-held'(site) {
    imported(site)
    await site.start()
    site.run('holdfast start --quiet --config holdfast.toml')
    site.run('holdfast covenant list --data-dir data')
    site.run('holdfast covenant list --quiet --config holdfast.toml | head -1')
  },

  async 'release-intent'(site) {
    imported(site)
    const { requestId, outpoint } = job(0)
    site.run(
      `holdfast covenant show ${requestId} --data-dir data | grep -E "state|outpoint|sighash"`,
    )
    const release = `holdfast covenant release-intent ${outpoint} --data-dir data --reason "the plan is withdrawn"`
    site.run(`${release} --dry-run`)
    site.run(release)
  },

  async 'host-height'(site) {
    imported(site)
    const reset =
      'holdfast covenant host-height --reset 21000000 --data-dir data --reason "endpoint was wrong"'
    site.run(`${reset} --dry-run`)
    site.run(reset)
  },

  async 'admin-token'(site) {
    imported(site)
    await site.start()
    site.run('rm data/admin-token')
    site.run('holdfast covenant list --config holdfast.toml')
    site.say('the daemon is started again')
    await site.stop()
    await site.start()
    site.run('stat -c "%a %s" data/admin-token')
    site.run('holdfast covenant list --quiet --config holdfast.toml | head -1')
  },

  async rollback(site) {
    imported(site)
    site.prepare('mkdir other-disk')
    site.configure('[ledger]\nwitnessPath = "other-disk/head"\n')
    await site.start()
    await site.stop()
    site.prepare('cp -a data old')
    keepCore(site, 'more', 4)
    site.prepare('holdfast covenant import more --data-dir data --yes')
    await site.start()
    await site.stop()
    site.prepare('rm -rf data; mv old data')
    site.say('the data directory was put back to an older copy, and the daemon started')
    await site.start()
    site.run(failing)
    site.run('cut -c1-12 other-disk/head')
    site.run('holdfast ledger head --config holdfast.toml')
    const show = nextIn(site.run('holdfast quarantine list --config holdfast.toml'))
    site.run(`${show} | tail -6`)
  },

  async 'no-database'(site) {
    imported(site)
    site.prepare('head -c 4096 /dev/zero > data/jobs.db')
    site.run('holdfast start --quiet --config holdfast.toml')
  },
}

/** What is wrong, and what to do. */
const failing = "holdfast status --quiet --config holdfast.toml | grep -A1 '!!'"

const walletKey = '02466d7fcae563e5cb09a0d1870bb580344804617879a14949cf22285f1bae3f27'

/** Sources where nobody listens. */
const chains = [
  '[ethereum]',
  `bridgeAddress = "0x${'5e'.repeat(20)}"`,
  'endpoints = ["http://127.0.0.1:9"]',
  '[bitcoin]',
  'sources = [{ url = "tcp://127.0.0.1:9" }]',
  '[vault]',
  'passphraseFile = "passphrase"',
  '',
].join('\n')

function writeSecrets(site: Site): void {
  site.write('passphrase', 'correct horse battery staple\n')
  site.write('wallet-1.hex', '22'.repeat(32))
}

/** Four jobs as keep-core has them; the first is finished. */
const jobs: readonly Job[] = jobsFrom(0)

function jobsFrom(first: number): readonly Job[] {
  return Array.from({ length: 4 }, (_, at) => {
    const number = first + at
    const id = new Uint8Array(8).fill(0x11 * (number + 1))
    const own = {
      requestId: requestIdOf('self_v1', id),
      routeRequestId: `deposit-${number + 1}`,
    }
    return at === 0 ? readyJob(number, own) : keepCoreJob(number, own)
  })
}

function job(index: number): Job {
  const found = jobs[index]
  if (found === undefined) throw new RangeError(`job ${index}: there are ${jobs.length}`)
  return found
}

function keepCore(site: Site, name = 'keep', first = 0): void {
  site.prepare(`mkdir -p ${name}/covenant-signer-jobs`)
  for (const one of jobsFrom(first)) {
    site.write(`${name}/covenant-signer-jobs/${fileNameOf(one.requestId)}`, fileText(one), 0o600)
  }
}

function imported(site: Site): void {
  keepCore(site)
  site.prepare('holdfast covenant import keep --data-dir data --yes')
}

function nextIn(output: string): string {
  return /^next: +(.*)$/im.exec(output)?.[1] ?? 'false'
}

/** Changes the database behind the store's back. */
function sql(site: Site, text: string): void {
  const database = new Database(site.at('data', 'jobs.db'))
  database.exec(text)
  database.close()
}

/** Damages one line of the ledger, counted from 0. */
function scratchLine(site: Site, index: number): void {
  const path = site.at('data', 'ledger.jsonl')
  const lines = readFileSync(path, 'utf8').split('\n')
  lines[index] = (lines[index] ?? '').replace('"', '#')
  writeFileSync(path, lines.join('\n'))
}

function recommendedIn(shown: string): string {
  return /^ +(holdfast quarantine resolve .*)$/m.exec(shown)?.[1] ?? 'false'
}
