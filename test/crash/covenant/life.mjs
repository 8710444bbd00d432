// One life of a covenant signer over a data directory: the built product's store and service, a scripted engine and
// signer, and time that moves only from timer to timer, so that the same life makes the same system calls every time.
import { createHash } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

/** 2026-03-01; every life begins an hour after the one before. */
const epochMs = 1_772_323_200_000
const hourMs = 3_600_000
/** Timers that one piece of work runs at most, and turns of the event loop between two of them. */
const stepsMax = 3000
const turns = 8
/** Looks that find no timer before a life counts as stuck; a comparison may take its turns without any. */
const idleMax = 200
/** Sends of one request; the client gives up for good after them. */
const sendsMax = 4

const sha256 = (text) => createHash('sha256').update(text).digest()
const testKey = new Uint8Array(32).fill(0x22)

/**
 * Runs one life from opening to closing.
 *
 * @param config what `LifeConfig` in life.d.mts says
 * @param tell gets every event: a word and what belongs to it
 * @param reach is called at every named point of the product
 * @param ask runs before the end, with the store still open
 */
export async function live(config, tell, reach, ask = async () => undefined) {
  const product = await load(config.dist)
  const life = new Life(config, tell, reach, product)
  if (!(await life.open())) return
  try {
    if (config.op === 'batch') await life.acceptBatch()
    else if (config.op === 'serve') await life.serve()
    else if (config.op === 'resume') await life.finishAll()
    await ask(life)
  } catch (error) {
    life.fail(config.op, error)
  }
  await life.close()
}

async function load(dist) {
  const from = (file) => import(pathToFileURL(`${dist}/${file}`).href)
  const files = [
    ...['store/sqlite/jobs-open.js', 'covenant/service.js', 'covenant/decode.js'],
    ...['covenant/trust.js', 'covenant/job.js', 'testing/manual-time.js'],
    ...['testing/scripted-engine.js', 'testing/scripted-signer.js', 'testing/sample-job.js'],
  ]
  return Object.assign({}, ...(await Promise.all(files.map(from))))
}

class Life {
  #config
  #tell
  #faults
  #product
  #time
  #outpoints = new Map()
  #deferred = new Set()
  #shown = new Set()
  store
  service

  constructor(config, tell, reach, product) {
    this.#config = config
    this.#tell = tell
    this.#faults = { reach, pause: async (point) => reach(point) }
    this.#product = product
    this.#time = product.manualTime(epochMs + config.life * hourMs)
  }

  /** Whether the store could be opened. */
  async open() {
    const { dataDir } = this.#config
    const time = this.#time
    const log = {
      info: () => undefined,
      warn: ({ cause }, message) => this.#warn(message, cause),
    }
    try {
      this.store = await this.#product.openJobStore(dataDir, {
        faults: this.#faults,
        clock: time,
        later: (work, delayMs) => time.after(delayMs, work),
        logger: log,
      })
    } catch (error) {
      this.fail('open', error)
      return false
    }
    try {
      await this.store.ready(AbortSignal.timeout(30_000))
    } catch (error) {
      this.fail('ready', error)
    }
    this.service = await this.#openService(log)
    this.#faults.reach('opened')
    return true
  }

  async #openService(log) {
    const { openCovenantService, noTrustRoots, scriptedSigner } = this.#product
    const { life, nonce } = this.#config
    let drawn = 0
    const signer = scriptedSigner({ secrets: [testKey], nonce })
    // A life draws other nonces than those before it.
    for (let n = 0; n < 8 * life && nonce === 'random'; n += 1) await burn(signer)
    signer.script.sign.always((asked) => this.#record(asked))
    const service = openCovenantService({
      store: this.store,
      engine: this.#engine(),
      signer,
      trustRoots: noTrustRoots,
      domain: { chainId: 0n, salt: `0x${'0'.repeat(64)}` },
      clock: this.#time,
      scheduler: this.#time,
      random: (size) => {
        drawn += 1
        return sha256(`random ${life} ${drawn}`).subarray(0, size)
      },
      faults: this.#faults,
      log,
      settings: { submitWaitMs: 0 },
    })
    service.start()
    return service
  }

  /** The signer's own record, kept where no fault of ours reaches: every sighash it was ever asked for. */
  #record({ requestId, sighash }) {
    const outpoint = this.#outpoints.get(requestId)
    const line = { requestId, outpoint, sighash }
    const file = openSync(this.#config.asked, 'a')
    writeSync(file, `${JSON.stringify(line)}\n`)
    fsyncSync(file)
    closeSync(file)
    this.#tell('SIGN', line)
    return undefined
  }

  /** Requests say in their ids what becomes of them; a drifting engine builds another spend in every life. */
  #engine() {
    const { scriptedEngine, scriptedIntent, scriptedResult, verifiesDer } = this.#product
    const { engine: kind, life } = this.#config
    const engine = scriptedEngine()
    const spend = (job) => {
      this.#outpoints.set(job.requestId, job.outpoint)
      const intent = scriptedIntent(job)
      const own = kind === 'drifting' ? sha256(`${intent.sighash} ${life}`).toString('hex') : ''
      const sighash = own === '' ? intent.sighash : `0x${own}`
      return {
        kind: 'sign',
        intent: { ...intent, sighash },
        publicKey: job.walletKey,
        plan: sighash,
      }
    }
    engine.script.prepare.always((job) => {
      const name = job.request.facadeRequestId
      if (name.includes('fails')) {
        return { kind: 'fail', reason: 'POLICY_REJECTED', detail: 'the wallet is closed' }
      }
      if (name.includes('defers') && !this.#deferred.has(job.requestId)) {
        this.#deferred.add(job.requestId)
        return { kind: 'defer', detail: 'the chain cannot be read' }
      }
      return spend(job)
    })
    engine.script.confirm.always(spend)
    engine.script.finish.always(({ job, signature }) => {
      const digest = Buffer.from(spend(job).plan.slice(2), 'hex')
      if (!verifiesDer(signature, digest, job.walletKey)) {
        return { kind: 'defer', detail: 'the signature does not verify' }
      }
      return { kind: 'done', transition: scriptedResult(job, signature) }
    })
    return engine
  }

  #warn(message, error) {
    this.#tell('WARN', { message, ...describe(error) })
  }

  fail(stage, error) {
    this.#tell('ERR', { stage, ...describe(error) })
  }

  requests() {
    return JSON.parse(readFileSync(this.#config.requests, 'utf8'))
  }

  /** Clients send their requests round by round and ask until each has an end; one is sent once more. */
  async serve() {
    const all = this.requests()
    const rounds = [...new Set(all.map(({ round }) => round))].sort()
    for (const round of rounds) {
      const here = all.filter((request) => request.round === round)
      const ids = await this.drive(Promise.all(here.map((request) => this.submit(request))))
      await this.finish((ids ?? []).filter((id) => id !== undefined))
    }
    const [first] = all
    if (first !== undefined) await this.drive(this.submit(first))
    await this.store.reconcile(AbortSignal.timeout(30_000))
  }

  /** Jobs far larger than the page cache in one batch, straight into the store. */
  async acceptBatch() {
    const { sampleJob } = this.#product
    const jobs = Array.from({ length: this.#config.batch }, (_, n) =>
      sampleJob(n, { payload: String(n % 10).repeat(1_500_000) }),
    )
    const accept = async (job) => {
      for (let sends = 1; sends <= sendsMax; sends += 1) {
        try {
          const { kind, ...rest } = await this.store.accept(job)
          if (kind === 'accepted' || kind === 'existing') {
            this.#tell('TAKEN', { requestId: rest.job.requestId })
          }
          return
        } catch (error) {
          this.fail('submit', error)
          await this.#sleep(1500)
        }
      }
    }
    await this.drive(Promise.all(jobs.map(accept)))
  }

  /** Sends one request until it is taken. Answers the id of its job. */
  async submit({ name, route, body }) {
    const { decodeSubmit } = this.#product
    for (let sends = 1; sends <= sendsMax; sends += 1) {
      try {
        const answer = await this.service.submit(decodeSubmit(Buffer.from(body)), route)
        this.#tell('TAKEN', { name, requestId: answer.requestId })
        this.#show(answer)
        return answer.requestId
      } catch (error) {
        this.fail('submit', error)
        await this.#sleep(1500)
      }
    }
    return undefined
  }

  /** Waits until every job has an end, and shows each end as soon as it is there. */
  async finish(ids) {
    let idle = 0
    for (let step = 0; step < stepsMax && idle < idleMax; step += 1) {
      await quiet()
      let waiting = 0
      for (const id of ids) {
        const found = await this.store.find(id)
        if (found.kind === 'found' && this.#product.isFinal(found.job.state)) {
          this.#show(this.#product.stepResult(found.job))
        } else if (found.kind === 'found') waiting += 1
      }
      if (waiting === 0) return
      idle = this.#time.step() ? 0 : idle + 1
    }
    this.#tell('STUCK', { ids })
  }

  /** Everything that is in the store, without any client's help. */
  async finishAll() {
    const jobs = await this.store.list({ limit: 10_000 })
    await this.finish(jobs.map(({ requestId }) => requestId))
  }

  #show(answer) {
    if (answer.status === 'PENDING' || this.#shown.has(answer.requestId)) return
    this.#shown.add(answer.requestId)
    this.#tell('ANSWER', answer)
  }

  #sleep(ms) {
    return new Promise((resolve) => this.#time.after(ms, resolve))
  }

  /** Moves time until the work has ended; undefined when it never does. */
  async drive(work) {
    let outcome
    work.then(
      (value) => {
        outcome = { value }
      },
      (error) => {
        outcome = { error }
      },
    )
    await quiet()
    let idle = 0
    for (let step = 0; outcome === undefined && step < stepsMax && idle < idleMax; step += 1) {
      idle = this.#time.step() ? 0 : idle + 1
      await quiet()
    }
    if (outcome === undefined) this.#tell('STUCK', { ids: [] })
    if (outcome?.error !== undefined) throw outcome.error
    return outcome?.value
  }

  async close() {
    this.#faults.reach('close')
    try {
      await this.drive(this.service.stop())
      await this.drive(this.store.close())
      this.#tell('DONE', undefined)
    } catch (error) {
      this.fail('close', error)
    }
  }
}

async function burn(signer) {
  const publicKey = '0x02466d7fcae563e5cb09a0d1870bb580344804617879a14949cf22285f1bae3f27'
  const never = new AbortController().signal
  await signer.sign(publicKey, new Uint8Array(32).fill(1), { requestId: 'burn' }, never)
}

async function quiet() {
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

function describe(error) {
  if (!(error instanceof Error)) return { code: undefined, typed: false, shown: String(error) }
  const causes = []
  for (let one = error; one instanceof Error && causes.length < 5; one = one.cause) {
    causes.push(`${one.code ?? one.name}: ${one.message}`)
  }
  const typed = typeof error.code === 'string' && typeof error.remedy === 'string'
  return { code: error.code, typed, shown: causes.join(' <- ').slice(0, 600) }
}
