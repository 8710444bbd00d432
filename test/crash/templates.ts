import { cpSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Lane, Prepared } from './lane.js'
import { type AfterError, enumerate, type Point, pointsOf } from './points.js'
import { leftRunOf, makeLeft } from './prepare.js'
import { saidIn } from './run.js'
import { opConfig, type Start, startOf } from './starts.js'

/** Makes the starts of these names, and what they are based on, with one built product. */
export async function makeTemplates(
  lane: Lane,
  names: readonly string[],
  trees: string,
): Promise<Map<string, Prepared>> {
  const made = new Map<string, Prepared>()
  const template = (start: Start): string => join(trees, start.name.replace('/', '-'))
  const make = async (start: Start): Promise<Prepared> => {
    const known = made.get(start.name)
    if (known) return known
    let prepared: Prepared
    if (start.rollsBack) {
      const { template, reference } = await make(startOf(start.base))
      prepared = { start, template, reference, left: undefined }
    } else if (start.made === undefined) {
      await lane.helper.makeWhole(start, join(template(start), 'data'), lane.dist)
      lane.reset(template(start))
      const reference = await lane.helper.referenceOf(start, lane.dataDir, lane.dist)
      prepared = { start, template: template(start), reference, left: undefined }
    } else {
      const base = await make(startOf(start.base))
      lane.reset(base.template)
      const run = await leftRunOf(start, base.start, lane.root, lane.dist)
      lane.reset(base.template)
      await makeLeft(start, run, lane.root)
      cpSync(lane.root, template(start), { recursive: true })
      const left = { run, template: base.template }
      prepared = { start, template: template(start), reference: base.reference, left }
    }
    made.set(start.name, prepared)
    return prepared
  }
  mkdirSync(trees, { recursive: true })
  for (const name of names) await make(startOf(name))
  return made
}

/** Every point of one start, from one run without faults. */
export async function findPoints(lane: Lane, prepared: Prepared): Promise<readonly Point[]> {
  lane.reset(prepared.template)
  const { calls, named, ran } = await enumerate(opConfig(prepared.start, lane.dist), lane.root)
  const { done, error } = saidIn(ran.lines)
  if (!done || (error?.code === 'RestoreFailed') !== prepared.start.rollsBack) {
    throw new Error(
      `${prepared.start.name}: the run without faults failed\n${ran.lines.join('\n')}\n${ran.stderr}`,
    )
  }
  return pointsOf(prepared.start, calls, named)
}

/** One run of one point. */
export type Job = {
  readonly prepared: Prepared
  readonly point: Point
  readonly afterError: AfterError
}

export function jobsOf(prepared: Prepared, points: readonly Point[]): readonly Job[] {
  return points.flatMap((point) =>
    point.afterErrors.map((afterError) => ({ prepared, point, afterError })),
  )
}
