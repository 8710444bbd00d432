import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { JobIdentity } from '../../src/covenant/job.js'
import type { AcceptOutcome, FindOutcome, Intent, JobStore } from '../../src/covenant/store.js'
import type { Bit } from './places.js'
import type { Product } from './product.js'
import {
  type Files,
  handTimers,
  holdsOutpoint,
  never,
  type Seed,
  stageOf,
  transitionOf,
} from './seed-store.js'

/**
 * What became of one flipped bit, worst first.
 *
 * - `refused whole`: the store does not open, closes itself, or takes no new key.
 * - `fenced`: keys stay closed although their requests came again.
 * - `healed`: keys were closed until their requests came again.
 * - `repaired`: the store put right by itself what was wrong.
 * - `unnoticed`: nothing differs: the bit stood in bytes that say nothing, or in what is never read again.
 */
export const endings = ['refused whole', 'fenced', 'healed', 'repaired', 'unnoticed'] as const
export type Ending = (typeof endings)[number]

export type Trial = {
  readonly bit: Bit
  readonly ending: Ending
  /** Code of the error that refused the store; '' when it opened. */
  readonly code: string
  /** Keys that were not answered before any request came again, and after all came. */
  readonly closedAtFirst: number
  readonly closedAtLast: number
  /** What must never happen, in words. */
  readonly violations: readonly string[]
}

/** What a trial needs to be judged against. */
export type Setting = {
  readonly product: Product
  readonly seed: Seed
  readonly cast: Cast
  /** What an opening of the whole seed does by itself. */
  readonly usual: Work
}

/** Requests of a trial by number: as they were accepted, sent again, and those of other jobs for the same outpoints. */
export type Cast = {
  readonly jobs: readonly JobIdentity[]
  readonly again: readonly JobIdentity[]
  readonly rivals: readonly JobIdentity[]
}

function castOf({ sampleJob }: Product, count: number): Cast {
  const numbers = Array.from({ length: count }, (_, n) => n)
  return {
    jobs: numbers.map((n) => sampleJob(n)),
    again: numbers.map((n) => sampleJob(n, { attempt: 1 })),
    rivals: numbers.map((n) => sampleJob(10_000 + n, { outpoint: n })),
  }
}

/** How much an opening had to do: steps of comparing, and where the ledger's head came to stand. */
export type Work = { readonly steps: number; readonly head: string }

/** The directories of the seed, opened without any damage. */
export async function measureUsual(
  product: Product,
  seed: Seed,
  dir: string,
): Promise<{ readonly settled: Setting; readonly logged: Setting }> {
  const cast = castOf(product, seed.jobs)
  const measure = async (files: Files): Promise<Setting> => {
    place(dir, files)
    const steps = { count: 0 }
    const store = await open(product, dir, steps)
    await store.ready(never)
    const usual = { steps: steps.count, head: headOf(store) }
    await store.close()
    return { product, seed, cast, usual }
  }
  return { settled: await measure(seed.settled), logged: await measure(seed.logged) }
}

/** Flips one bit of a fresh copy of the seed and asks everything that must hold. */
export async function tryBit(setting: Setting, bit: Bit, dir: string): Promise<Trial> {
  const files = setting.seed[bit.place.files]
  place(dir, files, bit)
  const violations: string[] = []
  const note = (text: string): void => void (violations.length < 20 && violations.push(text))
  const findings = await examine(setting, dir, note)
  if (findings.code === '') await examineAgain(setting, dir, note)
  return { bit, ...findings, violations }
}

function place(dir: string, files: Files, bit?: Bit): void {
  rmSync(dir, { recursive: true, force: true })
  mkdirSync(dir, { mode: 0o700 })
  for (const [name, bytes] of files) {
    const written = bit?.place.file === name ? Buffer.from(bytes) : bytes
    if (bit?.place.file === name) {
      written[bit.offset] = (written[bit.offset] ?? 0) ^ (1 << bit.bit)
    }
    writeFileSync(join(dir, name), written, { mode: 0o600 })
  }
}

function open(product: Product, dir: string, steps: { count: number }): Promise<JobStore> {
  const reach = (point: string): void => {
    if (point.startsWith('reconcile.step')) steps.count += 1
  }
  const faults = { reach, pause: async (point: string) => reach(point) }
  return product.openSqliteJobStore(dir, { later: handTimers().later, faults })
}

const headOf = (store: JobStore): string =>
  store.readiness().checks.find(({ name }) => name === 'ledger')?.detail ?? ''

type Findings = Omit<Trial, 'bit' | 'violations'>
type Note = (text: string) => void

async function examine(setting: Setting, dir: string, note: Note): Promise<Findings> {
  const { product, seed, usual } = setting
  const steps = { count: 0 }
  let store: JobStore
  try {
    store = await open(product, dir, steps)
  } catch (error) {
    const all = seed.jobs
    return {
      ending: 'refused whole',
      code: codeOf(error, note),
      closedAtFirst: all,
      closedAtLast: all,
    }
  }
  const trial = new Questions(setting, store, note)
  try {
    await trial.lookAtSome()
    await store.ready(never).catch((error: unknown) => void codeOf(error, note))
    const isRepaired = steps.count > usual.steps || headOf(store) !== usual.head
    const closedAtFirst = await trial.lookAtAll()
    const newKeys = await trial.commitOutpointsElsewhere()
    await trial.resubmitAll()
    const closedAtLast = await trial.lookAtAll()
    const report = await store.reconcile(never).catch((error: unknown) => void codeOf(error, note))
    if (report?.indexesRebuilt) await trial.lookAtAll()
    const closed = { closedAtFirst, closedAtLast }
    const isWhole = !newKeys || closedAtLast === seed.jobs
    const mended = isRepaired || report?.indexesRebuilt === true
    return { ending: isWhole ? 'refused whole' : endingOf(closed, mended), code: '', ...closed }
  } finally {
    await store.close()
  }
}

function endingOf(
  { closedAtFirst, closedAtLast }: Pick<Trial, 'closedAtFirst' | 'closedAtLast'>,
  mended: boolean,
): Ending {
  if (closedAtLast > 0) return 'fenced'
  if (closedAtFirst > 0) return 'healed'
  return mended ? 'repaired' : 'unnoticed'
}

/** What was put right must stay right: the store is opened once more, and its ledger read from end to end. */
async function examineAgain(setting: Setting, dir: string, note: Note): Promise<void> {
  const { product } = setting
  let store: JobStore
  try {
    store = await open(product, dir, { count: 0 })
  } catch (error) {
    codeOf(error, note)
    return
  }
  try {
    await store.ready(never).catch((error: unknown) => void codeOf(error, note))
    const trial = new Questions(setting, store, (text) => note(`opened again: ${text}`))
    await trial.lookAtAll()
    await trial.countKeys()
    await trial.lookAtOutpoints()
  } finally {
    await store.close()
  }
  const { damaged } = await product.replayLedger(dir, () => undefined)
  for (const { reason, fromSeq, toSeq } of damaged) {
    if (reason !== 'fork') note(`ledger: ${reason} lines ${fromSeq} to ${toSeq} were not repaired`)
  }
}

/** The code of a typed error; another error is a violation. */
function codeOf(error: unknown, note: Note): string {
  if (error instanceof Error && 'code' in error && 'remedy' in error) return String(error.code)
  note(`an untyped error: ${error instanceof Error ? error.stack : String(error)}`)
  return 'untyped'
}

/** Everything that is asked of one opened store. */
class Questions {
  readonly #product: Product
  readonly #cast: Cast
  readonly #store: JobStore
  readonly #note: Note
  /** How often all jobs were looked at; before the first time the witnesses may not be compared yet. */
  #looks = 0
  /** Sighashes that may be signed now, by outpoint. */
  readonly #committed = new Map<string, Set<string>>()

  constructor({ product, cast }: Setting, store: JobStore, note: Note) {
    this.#product = product
    this.#cast = cast
    this.#store = store
    this.#note = note
    for (const [n, job] of cast.jobs.entries()) {
      if (holdsOutpoint(n)) this.#commit(product.sampleIntent(job))
    }
  }

  #commit({ outpoint, sighash }: Intent): void {
    const known = this.#committed.get(outpoint) ?? new Set()
    this.#committed.set(outpoint, known.add(sighash))
    if (known.size > 1) this.#note(`outpoint ${outpoint}: a second sighash`)
  }

  /** A few jobs before the witnesses were compared. */
  async lookAtSome(): Promise<void> {
    for (const n of [2, 3, 4, this.#cast.jobs.length - 2]) await this.#look(n)
  }

  /** Answers how many keys are closed. */
  async lookAtAll(): Promise<number> {
    let closed = 0
    this.#looks += 1
    for (const n of this.#cast.jobs.keys()) if ((await this.#look(n)) === 'closed') closed += 1
    return closed
  }

  async #look(n: number): Promise<'served' | 'closed'> {
    const job = this.#cast.jobs[n]
    if (job === undefined) return 'closed'
    const answers = await Promise.all([
      this.#ask(() => this.#store.find(job.requestId)),
      this.#ask(() => this.#store.findByRoute(job.route, job.routeRequestId)),
    ])
    for (const answer of answers) this.#judge(n, job, answer)
    return answers.every((answer) => answer?.kind === 'found') ? 'served' : 'closed'
  }

  async #ask<T>(call: () => Promise<T>): Promise<T | undefined> {
    try {
      return await call()
    } catch (error) {
      codeOf(error, this.#note)
      return undefined
    }
  }

  #judge(n: number, known: JobIdentity, answer: FindOutcome | undefined): void {
    if (answer?.kind === 'absent') this.#note(`job ${n} is answered as absent`)
    if (answer?.kind !== 'found') return
    const { job } = answer
    if (job.requestId !== known.requestId) this.#note(`job ${n} is answered as another one`)
    if (job.requestDigest !== known.requestDigest) this.#note(`job ${n} has another digest`)
    // Decoding takes most of the time, and the row of the request has a digest of its own.
    const isRead = n % 8 === this.#looks % 8
    if (isRead && job.request.idempotencyKey !== known.request.idempotencyKey) {
      this.#note(`job ${n} has another request`)
    }
    const wanted = transitionOf(n)
    const { state, detail, reason, transactionHex } = job
    if (wanted === undefined) {
      const isOurs = state === 'FAILED' && detail === rivalEnding.detail
      if (state !== 'SUBMITTED' && state !== 'PENDING' && !isOurs) {
        this.#note(`job ${n} (${stageOf(n)}) is ${state}`)
      }
      return
    }
    // Before the ledger was replayed a lost settlement may still be unknown.
    if (this.#looks === 0 && (state === 'SUBMITTED' || state === 'PENDING')) return
    const isSame =
      state === wanted.state &&
      detail === wanted.detail &&
      reason === wanted.reason &&
      transactionHex === wanted.transactionHex
    if (!isSame) this.#note(`job ${n} (${stageOf(n)}) has another result: ${state} ${detail}`)
  }

  /**
   * Other jobs want every outpoint for another transaction, and fail; unsigned jobs of the seed want another one too.
   *
   * @returns whether any new key was taken
   */
  async commitOutpointsElsewhere(): Promise<boolean> {
    const { rivals } = this.#cast
    const taken = await Promise.all(rivals.map((job) => this.#ask(() => this.#store.accept(job))))
    const isRival = new Set<string>(rivals.map(({ requestId }) => requestId))
    const due = Date.now() + 60_000
    const claims = (await this.#ask(() => this.#store.claim('rival', due, 4096))) ?? []
    const intended = await Promise.all(
      claims.map(async ({ job, lease, intent: recorded }) => {
        const intent = this.#product.sampleIntent(job, isRival.has(job.requestId) ? 3 : 2)
        const outcome = await this.#ask(() => this.#store.intend(lease, intent))
        if (outcome?.kind === 'recorded' || outcome?.kind === 'same') this.#commit(intent)
        const isRefused = outcome?.kind === 'conflict' || outcome?.kind === 'fenced'
        return { lease, releaseIntent: isRefused && recorded === undefined }
      }),
    )
    // Who was refused gives back what it never had: nothing of anybody else's.
    await Promise.all(
      intended.map(({ lease, releaseIntent }) =>
        this.#ask(() => this.#store.settle(lease, rivalEnding, { releaseIntent, at: endedAt })),
      ),
    )
    await this.lookAtOutpoints()
    return taken.some((outcome: AcceptOutcome | undefined) => outcome?.kind === 'accepted')
  }

  /** An outpoint that is committed must stay so. */
  async lookAtOutpoints(): Promise<void> {
    for (const [n, job] of this.#cast.jobs.entries()) {
      if (!holdsOutpoint(n)) continue
      const intent = await this.#ask(async () => {
        return (await this.#store.findIntent(job.outpoint)) ?? 'free'
      })
      if (intent === 'free') this.#note(`outpoint of job ${n} (${stageOf(n)}) is free again`)
      else if (intent && intent.sighash !== this.#product.sampleIntent(job).sighash) {
        this.#note(`outpoint of job ${n} is committed to another sighash`)
      }
    }
  }

  /** Every client sends its request again. */
  async resubmitAll(): Promise<void> {
    const outcomes = await Promise.all(
      this.#cast.again.map((job) => this.#ask(() => this.#store.accept(job))),
    )
    for (const [n, outcome] of outcomes.entries()) {
      if (outcome?.kind === 'accepted') this.#note(`job ${n} was accepted a second time`)
      if (outcome?.kind === 'payloadMismatch') this.#note(`job ${n} has another digest`)
      if (outcome?.kind === 'existing' && outcome.job.requestId !== this.#cast.jobs[n]?.requestId) {
        this.#note(`job ${n} has another id`)
      }
    }
  }

  /** No key may have two jobs. */
  async countKeys(): Promise<void> {
    const seen = new Set<string>()
    const listed = (await this.#ask(() => this.#store.list({ limit: 10_000 }))) ?? []
    for (const { route, routeRequestId } of listed) {
      const key = `${route} ${routeRequestId}`
      if (seen.has(key)) this.#note(`key ${key} has two jobs`)
      seen.add(key)
    }
  }
}

const endedAt = '2026-03-03T04:05:06Z'
const rivalEnding = { state: 'FAILED', reason: 'POLICY_REJECTED', detail: 'a rival' } as const
