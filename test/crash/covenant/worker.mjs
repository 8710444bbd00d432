// Judges directories in a resident process, so that the lab itself never opens one: answers what it found, and what
// that means is for verdict.ts to say.
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import Database from 'better-sqlite3'
import { live } from './life.mjs'

/** Lets a last life end everything, sends every request again, and opens the directory once more. */
async function judge({ config, scratch, taken }) {
  const { dataDir, dist, life } = config
  const witnesses = readWitnesses(dataDir, scratch)
  const first = await collect({ ...config, op: 'resume' }, async (open) => {
    const { store } = open
    const atFirst = await findAll(open, taken)
    const ended = await jobsOf(open)
    const quarantined = await store.listQuarantined(100)
    const { newKeys } = store.readiness()
    const resent = []
    for (const request of open.requests()) {
      const requestId = await open.drive(open.submit(request))
      resent.push({ name: request.name, requestId })
    }
    await open.finish(resent.map(({ requestId }) => requestId).filter((id) => id !== undefined))
    // The first report also says what the opening had mended.
    await store.reconcile(AbortSignal.timeout(30_000))
    const report = await store.reconcile(AbortSignal.timeout(30_000))
    const { rows, linesAppended, fenced } = report
    const again = { rows: String(rows), linesAppended, fenced }
    const atLast = await findAll(open, taken)
    return { atFirst, ended, quarantined, newKeys, resent, again, atLast, jobs: await jobsOf(open) }
  })
  const { replayLedger } = await import(pathToFileURL(`${dist}/store/ledger-replay.js`).href)
  const { damaged, tornTail } = await replayLedger(dataDir, () => undefined)
  const second = await collect({ ...config, life: life + 1, op: 'hold' }, async (open) => {
    const { length: quarantined } = await open.store.listQuarantined(100)
    return { jobs: await jobsOf(open), quarantined, newKeys: open.store.readiness().newKeys }
  })
  const ledger = { damaged: damaged.map(({ reason }) => reason), isTorn: tornTail !== undefined }
  return { witnesses, first, second, ledger }
}

async function collect(config, ask) {
  const events = []
  let found
  const tell = (word, detail) => void events.push({ word, detail })
  await live(
    config,
    tell,
    () => undefined,
    async (open) => {
      found = await ask(open)
    },
  )
  return { events, found }
}

async function findAll({ store }, ids) {
  const found = []
  for (const id of ids) {
    const outcome = await store.find(id)
    found.push({ id, kind: outcome.kind, state: outcome.job?.state })
  }
  return found
}

async function jobsOf({ store }) {
  const jobs = await store.list({ limit: 10_000 })
  return jobs.map((job) => {
    const { requestId, route, routeRequestId, state, detail, reason } = job
    const { psbtHash, transactionHex, handoff } = job
    const result = JSON.stringify({ detail, reason, psbtHash, transactionHex, handoff })
    return { requestId, key: `${route} ${routeRequestId}`, state, result }
  })
}

/** Outpoints and sighashes as both witnesses have them, read without the product and without changing anything. */
function readWitnesses(dataDir, scratch) {
  return { rows: readRows(dataDir, scratch), lines: readLines(dataDir) }
}

function readRows(dataDir, scratch) {
  if (!existsSync(join(dataDir, 'jobs.db'))) return []
  rmSync(scratch, { recursive: true, force: true })
  mkdirSync(scratch)
  for (const suffix of ['', '-wal']) {
    const from = join(dataDir, `jobs.db${suffix}`)
    if (existsSync(from)) copyFileSync(from, join(scratch, `copy.db${suffix}`))
  }
  const database = new Database(join(scratch, 'copy.db'))
  try {
    const isMade = database.prepare("select 1 from sqlite_schema where name = 'intent'").get()
    if (isMade === undefined) return []
    const rows = database.prepare('select outpoint, sighash from intent').all()
    return rows.map(({ outpoint, sighash }) => `${outpoint} ${sighash}`)
  } finally {
    database.close()
  }
}

function readLines(dataDir) {
  if (!existsSync(dataDir)) return []
  const names = readdirSync(dataDir).filter((name) => /^ledger.*\.jsonl$/.test(name))
  const text = names.map((name) => readFileSync(join(dataDir, name), 'utf8')).join('')
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  return whole.split('\n').flatMap((line) => {
    try {
      const { kind, outpoint, sighash } = JSON.parse(line)
      return kind === 'intend' ? [`${outpoint} ${sighash}`] : []
    } catch {
      return []
    }
  })
}

/** A lease that ended may change nothing, whatever its holder still wants. */
async function stale({ config }) {
  const found = []
  const product = await import(pathToFileURL(`${config.dist}/store/sqlite/jobs-open.js`).href)
  const { sampleIntent, sampleJob } = await import(
    pathToFileURL(`${config.dist}/testing/sample-job.js`).href
  )
  const later = 8_000_000_000_000
  const at = '2026-03-04T05:06:07Z'
  const failed = (detail) => ({ state: 'FAILED', reason: 'PROVIDER_FAILED', detail })
  const expect = (what, { kind }) => {
    if (kind !== 'stale') found.push(`${what} with a lease that ended was ${kind}, want stale`)
  }
  let store = await product.openJobStore(config.dataDir)
  await store.ready(AbortSignal.timeout(30_000))
  await store.accept(sampleJob(1))
  const [old] = await store.claim('slow', later, 1)
  await store.defer(old.lease, { detail: 'waits', nextAtMs: 0, attempts: 1, at })
  const [current] = await store.claim('quick', later, 1)
  expect('intend', await store.intend(old.lease, sampleIntent(old.job, 2)))
  const wait = { detail: 'late', nextAtMs: later, attempts: 2, at }
  expect('defer', await store.defer(old.lease, wait))
  expect('settle', await store.settle(old.lease, failed('late'), { releaseIntent: true, at }))
  const intended = await store.intend(current.lease, sampleIntent(current.job, 1))
  if (intended.kind !== 'recorded') found.push(`the holder's own intent was ${intended.kind}`)
  await store.close()
  store = await product.openJobStore(config.dataDir)
  await store.ready(AbortSignal.timeout(30_000))
  expect(
    'settle after a restart',
    await store.settle(current.lease, failed('late'), { releaseIntent: false, at }),
  )
  const [last] = await store.claim('quick', later, 1)
  expect(
    'settle of a lease from before',
    await store.settle(current.lease, failed('late'), { releaseIntent: false, at }),
  )
  const settled = await store.settle(last.lease, failed('right'), { releaseIntent: false, at })
  if (settled.kind !== 'settled') found.push(`the holder could not settle: ${settled.kind}`)
  const { job } = await store.find(sampleJob(1).requestId)
  if (job?.detail !== 'right') found.push(`the job ended as its old holder wanted: ${job?.detail}`)
  await store.close()
  return found
}

process.on('message', (request) => {
  const work = request.kind === 'judge' ? judge(request) : stale(request)
  work.then(
    (value) => process.send({ ok: true, value }),
    (error) => process.send({ ok: false, problem: error?.stack ?? String(error) }),
  )
})
// The lab is gone: nobody waits for answers any more.
process.on('disconnect', () => process.exit(0))
