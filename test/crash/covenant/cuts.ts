import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Disk, type DiskStep, imageKey, stepsIn, traceForImages } from '../images.js'
import type { Call } from '../points.js'
import type { CutImage, Lane, Prepared } from './lane.js'
import { enumerate } from './points.js'
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
  lane.reset(prepared.template, prepared.said)
  const disk = new Disk(lane.root)
  const log = join(lane.dir, 'images.log')
  await runLife(lane.config(prepared), ['-o', log, ...traceForImages, ...inject])
  return distinctImages(name, disk, stepsIn(readFileSync(log, 'utf8'), lane.root), prepared)
}

async function injectionOf(lane: Lane, prepared: Prepared, hurt: Hurt): Promise<readonly string[]> {
  lane.reset(prepared.template, prepared.said)
  const { calls } = await enumerate(lane.config(prepared), lane.root)
  const met = calls.find((call: Call) => call.name === hurt.call && call.step === hurt.step)
  if (met === undefined) throw new Error(`the call to fail never comes: ${JSON.stringify(hurt)}`)
  return ['-e', `inject=${hurt.call}:error=${hurt.error}:when=${met.when}`]
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
