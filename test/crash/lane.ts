import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { CheckRequest, Reference, Verdict } from './checker.js'
import { type Helper, startHelper } from './helper.js'
import {
  Disk,
  type DiskStep,
  type Image,
  imageKey,
  stepsIn,
  traceForImages,
  writeImage,
} from './images.js'
import { type AfterError, closing, injection, type Point, wasHit } from './points.js'
import type { LeftRun } from './prepare.js'
import {
  finish,
  killGroup,
  type Ran,
  runOp,
  type Said,
  saidIn,
  startOp,
  waitForLine,
  waitForStop,
} from './run.js'
import { opConfig, type Start } from './starts.js'

/** A start with everything that runs from it need. */
export type Prepared = {
  readonly start: Start
  /** A tree that holds `data`; copied, never used itself. */
  readonly template: string
  readonly reference: Reference
  /** How the image was made, and from which tree; undefined for a whole start. */
  readonly left: { readonly run: LeftRun; readonly template: string } | undefined
}

/** What one run came to. `missed`: the fault did not meet its call, so nothing was tested. */
export type Outcome = {
  readonly name: string
  readonly step: string
  readonly kind: string
  readonly missed: boolean
  readonly state: Verdict['state'] | undefined
  readonly violations: readonly string[]
  readonly lines: readonly string[]
}

/** Runs of one point until its fault meets its call. */
const triesMax = 4
/** Milliseconds a second opener may take to be refused, the start of its process included. */
const refusalMs = 5000

/** One working place: a directory, and a helper that judges what happens in it. */
export class Lane {
  readonly dir: string
  readonly dist: string
  readonly helper: Helper = startHelper()
  /** Verdicts by content: a process killed before it changed anything leaves the same image every time. */
  readonly #judged = new Map<string, Verdict>()

  constructor(dir: string, dist: string) {
    this.dir = dir
    this.dist = dist
    mkdirSync(dir, { recursive: true })
  }

  get root(): string {
    return join(this.dir, 'root')
  }

  get dataDir(): string {
    return join(this.root, 'data')
  }

  /** Puts a fresh copy of a tree in place. */
  reset(template: string): void {
    rmSync(this.root, { recursive: true, force: true })
    cpSync(template, this.root, { recursive: true })
  }

  /** Runs one point and judges what is left. */
  async point(prepared: Prepared, point: Point, afterError: AfterError): Promise<Outcome> {
    this.reset(prepared.template)
    const plain = point.kind === 'named' || point.fault === 'KILL'
    const outcome = {
      name: plain
        ? point.name
        : point.name.replace(/\/(EIO|ENOSPC|DEAD|FULL)\//, `/$1+${afterError}/`),
      step: point.step,
      kind: point.kind === 'named' ? point.action : point.fault,
    }
    const { ran, hit, violations } =
      point.kind === 'named'
        ? await this.#runNamed(point, afterError)
        : await this.#runCall(prepared, point, afterError)
    if (!hit)
      return { ...outcome, missed: true, state: undefined, violations: [], lines: ran.lines }
    const verdict = await this.judge(prepared, ran)
    return {
      ...outcome,
      missed: false,
      state: verdict.state,
      violations: [...violations, ...verdict.violations],
      lines: ran.lines,
    }
  }

  /** On a busy machine node now and then makes one call of its own more or less: then the run counts for nothing. */
  async #runCall(
    { start, template }: Prepared,
    point: Extract<Point, { kind: 'call' }>,
    afterError: AfterError,
  ): Promise<{ ran: Ran; hit: boolean; violations: string[] }> {
    const log = join(this.dir, 'fault.log')
    const config = opConfig(start, this.dist, { afterError })
    for (let tries = 1; ; tries += 1) {
      const ran = await runOp(this.dataDir, config, injection(point.call, point.fault, log))
      const hit = wasHit(readFileSync(log, 'utf8'), point.call, point.fault, this.root)
      if (hit || tries === triesMax) return { ran, hit, violations: [] }
      this.reset(template)
    }
  }

  async #runNamed(
    point: Extract<Point, { kind: 'named' }>,
    afterError: AfterError,
  ): Promise<{ ran: Ran; hit: boolean; violations: string[] }> {
    const { start, action } = point
    const fault = { point: point.point, action }
    const config = opConfig(start, this.dist, { fault, afterError })
    if (action === 'stop') return this.#runStopped(config)
    const ran = await runOp(this.dataDir, config)
    return { ran, hit: ran.lines.includes(`AT ${point.point}`), violations: [] }
  }

  /** Stops the process where it stands, lets a second one try, then kills the first. */
  async #runStopped(
    config: ReturnType<typeof opConfig>,
  ): Promise<{ ran: Ran; hit: boolean; violations: string[] }> {
    const child = startOp(this.dataDir, config, undefined)
    const ended = finish(child)
    if (!(await waitForLine(child, 'STOPPED')) || child.pid === undefined) {
      return { ran: await ended, hit: false, violations: [] }
    }
    await waitForStop(child.pid)
    const violations = await secondOpener(this.dataDir, this.dist)
    killGroup(child)
    return { ran: await ended, hit: true, violations }
  }

  /** Judges the directory that a process left. */
  async judge(prepared: Prepared, ran: Ran): Promise<Verdict> {
    if (ran.timedOut) return { state: 'TORN', violations: ['the process hung'], retry: '-' }
    const said = saidIn(ran.lines)
    const acked = said.acked !== undefined || said.retry?.id !== undefined
    const verdict = await this.#check(prepared, {
      said,
      promised: acked ? 'ALL' : undefined,
      killed: ran.signal === 'SIGKILL',
    })
    return ran.signal !== null && ran.signal !== 'SIGKILL'
      ? { ...verdict, violations: [...verdict.violations, `the process died of ${ran.signal}`] }
      : verdict
  }

  async #check(
    { start, reference }: Prepared,
    facts: Pick<CheckRequest, 'said' | 'promised' | 'killed'>,
  ): Promise<Verdict> {
    const key = `${start.name} ${JSON.stringify(withoutText(facts))} ${treeKey(this.root)}`
    const known = this.#judged.get(key)
    if (known !== undefined) return known
    const { dataDir, dist } = this
    const verdict = await this.helper
      .check({ dataDir, dist, start, reference, ...facts })
      .catch((error: Error) => ({
        state: 'TORN' as const,
        violations: [error.message],
        retry: '-',
      }))
    this.#judged.set(key, verdict)
    return verdict
  }

  /** Traces the run of one start and answers every distinct image a power cut could leave, in a fixed order. */
  async cutImages(prepared: Prepared): Promise<Iterable<CutImage>> {
    const { start, left } = prepared
    this.reset(left?.template ?? prepared.template)
    const disk = new Disk(this.root)
    // The images of the first run belong to another start; here they only tell what is not yet durable.
    if (left !== undefined) for (const step of await this.#trace(left.run)) disk.run(step)
    const steps = await this.#trace({ config: opConfig(start, this.dist), inject: [] })
    return distinctImages(disk, steps, prepared)
  }

  async #trace(run: LeftRun): Promise<readonly DiskStep[]> {
    const log = join(this.dir, 'images.log')
    await runOp(this.dataDir, run.config, ['-o', log, ...traceForImages, ...run.inject])
    return stepsIn(readFileSync(log, 'utf8'), this.root)
  }

  /** Puts one image in place and judges it. */
  async cut(prepared: Prepared, cut: CutImage): Promise<Outcome> {
    writeImage(cut.image, this.root)
    const { promised } = cut
    const verdict = await this.#check(prepared, { said: undefined, promised, killed: true })
    const { name, step, label } = cut
    const { state, violations } = verdict
    return { name, step, kind: 'power cut', missed: false, state, violations, lines: [label] }
  }
}

/** One image of a power cut, and what the process had promised by then. */
export type CutImage = {
  readonly name: string
  readonly step: string
  readonly label: string
  readonly image: Image
  readonly promised: CheckRequest['promised']
}

function* distinctImages(
  disk: Disk,
  steps: readonly DiskStep[],
  { start, reference }: Prepared,
): Generator<CutImage> {
  const seen = new Set<string>()
  let reached = start.from === undefined
  let promised: CheckRequest['promised']
  let at = 'open'
  for (const step of steps) {
    disk.run(step)
    if (step.kind === 'say') {
      const said = saidIn(step.text.split('\n'))
      if (said.acked) promised = 'ALL'
      if (said.opened) promised = said.opened.loaded.includes(reference.walletId) ? 'ALL' : 'ZERO'
      at = promised === undefined ? (/^AT (.*)/.exec(step.text)?.[1] ?? at) : closing
    }
    reached ||= at === start.from
    if (!reached) continue
    for (const [label, image] of disk.images()) {
      const key = `${promised} ${imageKey(image)}`
      if (seen.has(key)) continue
      seen.add(key)
      const name = `${start.name}/CUT/image#${seen.size}`
      yield { name, step: at, label, image, promised }
    }
  }
}

/** A second process must be refused at once, with the right name. Answers what went wrong. */
export async function secondOpener(dataDir: string, dist: string): Promise<string[]> {
  const began = performance.now()
  const config = opConfig({ op: 'recover', secret: false, rollsBack: false }, dist)
  const { error } = saidIn((await runOp(dataDir, config)).lines)
  const tookMs = performance.now() - began
  return [
    ...(error?.code === 'DataDirLocked' ? [] : [`a second opener got ${error?.code ?? 'in'}`]),
    ...(tookMs < refusalMs ? [] : [`the second opener waited ${Math.round(tookMs)} ms`]),
  ]
}

/** Error texts hold ids and stacks; they do not change what must be true. */
function withoutText(facts: Pick<CheckRequest, 'said' | 'promised' | 'killed'>): unknown {
  const strip = (error: Said['retry']): unknown => (error ? { ...error, shown: '' } : undefined)
  const { said } = facts
  if (said === undefined) return facts
  const { error, closeError, retry } = said
  return {
    ...facts,
    said: { ...said, error: strip(error), closeError: strip(closeError), retry: strip(retry) },
  }
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
