import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type Image, writeImage } from '../images.js'
import { injection, wasHit } from '../points.js'
import type { Ran } from '../run.js'
import { type Helper, startHelper } from './helper.js'
import type { LifeConfig, WireRequest } from './life.mjs'
import type { AfterError, Point } from './points.js'
import { requestsNamed } from './requests.js'
import { type Event, eventsIn, runLife, saidOf } from './run.js'
import { batchJobs, type Start } from './starts.js'
import { type Asked, violationsOf } from './verdict.js'

/** A start with everything that lives from it need. */
export type Prepared = {
  readonly start: Start
  /** A tree that may hold `data`; copied, never used itself. */
  readonly template: string
  /** What the lives that made it said; those of other clients' jobs left out. */
  readonly said: readonly Event[]
  readonly lives: number
  /** What the life before began with, when what it left is not on the disk yet. */
  readonly left?: Prepared
}

/** What one run came to. `missed`: the fault did not meet its call, so nothing was tested. */
export type Outcome = {
  readonly name: string
  readonly step: string
  readonly kind: string
  readonly missed: boolean
  readonly violations: readonly string[]
  readonly lines: readonly string[]
}

/** Runs of one point until its fault meets its call. */
export const triesMax = 4

/** One working place: a directory, and a helper that judges what happens in it. */
export class Lane {
  readonly dir: string
  readonly dist: string
  readonly helper: Helper = startHelper()
  /** Violations by content: a process killed before it changed anything leaves the same every time. */
  readonly #judged = new Map<string, readonly string[]>()

  constructor(dir: string, dist: string) {
    this.dir = dir
    this.dist = dist
    mkdirSync(dir, { recursive: true })
    this.#write('requests', requestsNamed('a'))
    this.#write('warming', requestsNamed('w'))
    this.#write('none', [])
  }

  #write(name: string, requests: readonly WireRequest[]): void {
    writeFileSync(join(this.dir, `${name}.json`), JSON.stringify(requests))
  }

  get root(): string {
    return join(this.dir, 'root')
  }

  get dataDir(): string {
    return join(this.root, 'data')
  }

  /** The signer's own record. */
  get askedFile(): string {
    return join(this.dir, 'asked')
  }

  /** Puts a fresh copy of a tree in place; the signer remembers what it was asked before. */
  reset(template: string, said: readonly Event[]): void {
    rmSync(this.root, { recursive: true, force: true })
    cpSync(template, this.root, { recursive: true })
    this.remember(said)
  }

  /** Sets the signer's record to what these events say. */
  remember(said: readonly Event[]): void {
    const asked = saidOf<Asked>(said, 'SIGN')
    writeFileSync(this.askedFile, asked.map((line) => `${JSON.stringify(line)}\n`).join(''))
  }

  /** How the life after those of a start is run. */
  config({ start, lives }: Prepared, more: Partial<LifeConfig> = {}): LifeConfig {
    const requests = more.requests ?? (start.op === 'batch' ? 'none' : 'requests')
    return {
      dist: this.dist,
      dataDir: this.dataDir,
      life: lives + 1,
      op: start.op,
      asked: this.askedFile,
      engine: 'steady',
      nonce: 'random',
      batch: batchJobs,
      afterError: 'goOn',
      faults: [],
      ...more,
      requests: join(this.dir, `${requests}.json`),
    }
  }

  /** Runs one point and judges what is left. */
  async point(prepared: Prepared, point: Point, afterError: AfterError): Promise<Outcome> {
    this.reset(prepared.template, prepared.said)
    const name = point.name.replace(/\/(EIO|ENOSPC|DEAD|FULL)\//, `/$1+${afterError}/`)
    const kind = point.kind === 'named' ? point.action : point.fault
    const { ran, hit } = await this.#run(prepared, point, afterError)
    const outcome = { name, step: point.step, kind, lines: ran.lines }
    if (!hit) return { ...outcome, missed: true, violations: [] }
    return { ...outcome, missed: false, violations: await this.judge(prepared, name, ran) }
  }

  /** On a busy machine node now and then makes one call of its own more or less: then the run counts for nothing. */
  async #run(
    prepared: Prepared,
    point: Point,
    afterError: AfterError,
  ): Promise<{ ran: Ran; hit: boolean }> {
    if (point.kind === 'named') {
      const { action } = point
      const config = this.config(prepared, { faults: [{ point: point.point, action }], afterError })
      const ran = await runLife(config)
      return { ran, hit: ran.lines.includes(`AT ${point.point}`) }
    }
    const log = join(this.dir, 'fault.log')
    const config = this.config(prepared, { afterError })
    for (let tries = 1; ; tries += 1) {
      const ran = await runLife(config, injection(point.call, point.fault, log))
      const hit = wasHit(readFileSync(log, 'utf8'), point.call, point.fault, this.root)
      if (hit || tries === triesMax) return { ran, hit }
      this.reset(prepared.template, prepared.said)
    }
  }

  /** Judges the directory that a process left. */
  judge(prepared: Prepared, name: string, ran: Ran): Promise<readonly string[]> {
    if (ran.timedOut) return Promise.resolve(['the process hung'])
    if (ran.signal !== null && ran.signal !== 'SIGKILL') {
      return Promise.resolve([`the process died of ${ran.signal}\n${ran.stderr}`])
    }
    const hasEnded = ran.signal === null
    return this.#judge(prepared, name, eventsIn(ran.lines), hasEnded)
  }

  async #judge(
    prepared: Prepared,
    name: string,
    own: readonly Event[],
    hasEnded: boolean,
  ): Promise<readonly string[]> {
    const { start, said, lives } = prepared
    const { engine, nonce } = worldFor(name)
    const all = [...said, ...own.filter(({ word }) => word !== 'AT')]
    const key = `${start.name} ${engine} ${nonce} ${hasEnded} ${JSON.stringify(all)} ${treeKey(this.root)}`
    const known = this.#judged.get(key)
    if (known !== undefined) return known
    const taken = new Set(saidOf<{ requestId: string }>(all, 'TAKEN').map((one) => one.requestId))
    const config = this.config({ ...prepared, lives: lives + 1 }, { engine, nonce })
    let violations: readonly string[]
    try {
      const findings = await this.helper.judge(config, join(this.dir, 'scratch'), [...taken])
      const asked = this.#asked()
      violations = violationsOf({ start, said: all, own, asked, engine, hasEnded, findings })
    } catch (error) {
      violations = [error instanceof Error ? error.message : String(error)]
    }
    this.#judged.set(key, violations)
    return violations
  }

  #asked(): readonly Asked[] {
    if (!existsSync(this.askedFile)) return []
    const lines = readFileSync(this.askedFile, 'utf8').split('\n')
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Asked)
  }

  /** Puts one image of a power cut in place and judges it. */
  async image(prepared: Prepared, cut: CutImage): Promise<Outcome> {
    writeImage(cut.image, this.root)
    this.remember([...prepared.said, ...cut.said])
    const { name, step, label } = cut
    const violations = await this.#judge(prepared, name, cut.said, false)
    return { name, step, kind: 'power cut', missed: false, violations, lines: [label] }
  }
}

/** One image of a power cut, and what the process had said by then. */
export type CutImage = {
  readonly name: string
  readonly step: string
  readonly label: string
  readonly image: Image
  readonly said: readonly Event[]
}

/** In half of the cases the world has changed when the next life begins, and the engine builds another spend. */
function worldFor(name: string): Pick<LifeConfig, 'engine' | 'nonce'> {
  const engine = fractionOf(`engine ${name}`) < 0.5 ? 'drifting' : 'steady'
  const nonce = fractionOf(`nonce ${name}`) < 0.5 ? 'deterministic' : 'random'
  return { engine, nonce }
}

/** An even number from 0 up to 1 that depends on the text alone. */
export function fractionOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0) / 2 ** 32
}

function treeKey(root: string): string {
  const hash = createHash('sha256')
  const names = existsSync(root) ? (readdirSync(root, { recursive: true }) as string[]).sort() : []
  for (const name of names) {
    const path = join(root, name)
    hash.update(`${name}\0`)
    if (statSync(path).isFile()) hash.update(readFileSync(path)).update('\0')
  }
  return hash.digest('hex')
}
