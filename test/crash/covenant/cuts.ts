import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Disk, type DiskStep, imageKey, stepsIn, traceForImages } from '../images.js'
import type { Ran } from '../run.js'
import { type CutImage, type Lane, type Prepared, triesMax } from './lane.js'
import type { LifeConfig } from './life.mjs'
import { decidingCall, enumerate } from './points.js'
import { diedAtSync, killAtSync } from './prepare.js'
import { type Event, eventsIn, runLife } from './run.js'

/** A life whose power is cut, everywhere; `hurt` makes one of its calls fail before. */
export type CutRun = {
  readonly name: string
  readonly start: string
  readonly hurt: Hurt | undefined
}
type Hurt = { readonly call: string; readonly step: string; readonly error: 'EIO' | 'ENOSPC' }

export const cutRuns: readonly CutRun[] = [
  { name: 'serve', start: 'serve', hurt: undefined },
  { name: 'fresh', start: 'fresh', hurt: undefined },
  { name: 'again', start: 'again', hurt: undefined },
  ...['accepted', 'intended', 'asked', 'settled', 'torn', 'hurt'].map((name) => ({
    name: `resume/${name}`,
    start: `resume/${name}`,
    hurt: undefined,
  })),
  {
    name: 'unclear/accept',
    start: 'serve',
    hurt: { call: 'fsync', step: 'job.accept.beforeCommit', error: 'EIO' },
  },
  {
    name: 'unclear/intend',
    start: 'serve',
    hurt: { call: 'fsync', step: 'job.intend.beforeCommit', error: 'EIO' },
  },
  {
    name: 'refused/accept',
    start: 'serve',
    hurt: { call: 'pwrite64', step: 'job.accept/ledger.append.before', error: 'ENOSPC' },
  },
  {
    name: 'refused/intend',
    start: 'serve',
    hurt: { call: 'pwrite64', step: 'job.intend/ledger.append.before', error: 'ENOSPC' },
  },
  {
    name: 'refused/settle',
    start: 'serve',
    hurt: { call: 'pwrite64', step: 'job.settle/ledger.append.before', error: 'ENOSPC' },
  },
]

/** Traces a life and answers every distinct image a power cut could leave, in a fixed order. */
export async function cutImages(
  lane: Lane,
  prepared: Prepared,
  { name, hurt }: CutRun,
): Promise<Iterable<CutImage>> {
  const inject = hurt === undefined ? [] : await injectionOf(lane, prepared, hurt)
  const { left } = prepared
  const killing = left === undefined ? [] : await killAtSync(lane, left)
  for (let tries = 0; tries < triesMax; tries += 1) {
    lane.reset(left?.template ?? prepared.template, prepared.said)
    const disk = new Disk(lane.root)
    if (left !== undefined) {
      const before = await trace(lane, lane.config(left), killing)
      // What a life said that is not among `said` would be held against the product.
      if (!diedAtSync(before.ran)) continue
      for (const step of before.steps) disk.run(step)
    }
    const { ran, steps, isHurt } = await trace(lane, lane.config(prepared), inject)
    if (ran.timedOut || ran.signal !== null || isHurt !== (hurt !== undefined)) continue
    return distinctImages(name, disk, steps, prepared)
  }
  throw new Error(`${name}: its lives did not go as they should in ${triesMax} tries`)
}

/** A life with what a disk saw of it. */
async function trace(
  lane: Lane,
  config: LifeConfig,
  inject: readonly string[],
): Promise<{
  readonly ran: Ran
  readonly steps: readonly DiskStep[]
  readonly isHurt: boolean
}> {
  const log = join(lane.dir, 'images.log')
  const ran = await runLife(config, ['-o', log, ...traceForImages, ...inject])
  const text = readFileSync(log, 'utf8')
  return { ran, steps: stepsIn(text, lane.root), isHurt: text.includes('(INJECTED)') }
}

async function injectionOf(lane: Lane, prepared: Prepared, hurt: Hurt): Promise<readonly string[]> {
  lane.reset(prepared.template, prepared.said)
  const { calls } = await enumerate(lane.config(prepared), lane.root)
  const { when } = decidingCall(calls, hurt.call, hurt.step)
  return ['-e', `inject=${hurt.call}:error=${hurt.error}:when=${when}`]
}

function* distinctImages(
  name: string,
  disk: Disk,
  steps: readonly DiskStep[],
  { start }: Prepared,
): Generator<CutImage> {
  const seen = new Set<string>()
  const said: Event[] = []
  let at = 'open'
  let isInside = start.from === undefined
  for (const step of steps) {
    disk.run(step)
    if (step.kind === 'say') {
      for (const event of eventsIn(step.text.split('\n'))) {
        if (event.word === 'AT') at = String(event.detail)
        else said.push(event)
      }
      if (at === start.from) isInside = true
      if (at === start.to) return
    }
    if (!isInside) continue
    for (const [label, image] of disk.images()) {
      const key = `${said.length} ${imageKey(image)}`
      if (seen.has(key)) continue
      seen.add(key)
      yield { name: `${name}/CUT/image#${seen.size}`, step: at, label, image, said: [...said] }
    }
  }
}
