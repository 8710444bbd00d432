import type { Clock } from '../base/clock.js'

/** One thing that was looked at; `remedy` is '' when all is well. */
export type Finding = {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
  readonly remedy: string
  /** What a finding that is not ok means for the whole; `notReady` when it does not say. */
  readonly severity?: 'degraded' | 'notReady'
}

/** Something that readiness looks at. */
export type ReadinessSource = {
  readonly name: string
  /** What to do when it does not answer. */
  readonly remedy: string
  readonly look: () => readonly Finding[] | Promise<readonly Finding[]>
}

export type ReadinessStatus = 'ready' | 'degraded' | 'notReady'

/** What all sources said together. */
export type ReadinessReport = {
  readonly status: ReadinessStatus
  readonly checkedAtMs: number
  readonly checks: readonly Finding[]
}

/** Looks at everything that readiness depends on. */
export interface Readiness {
  /** Never rejects, and answers within the deadline whatever hangs; an answer is kept for a second. */
  read(): Promise<ReadinessReport>
}

export type ReadinessSettings = {
  /** Milliseconds for each source; default 1500. */
  readonly deadlineMs?: number
  /** Milliseconds that a report is given again; default 1000. */
  readonly keptMs?: number
}

/** @param sources looked at in parallel */
export function createReadiness(
  sources: readonly ReadinessSource[],
  clock: Clock,
  { deadlineMs = 1500, keptMs = 1000 }: ReadinessSettings = {},
): Readiness {
  const looking = new Map<ReadinessSource, Promise<readonly Finding[]>>()
  let kept: ReadinessReport | undefined
  let reading: Promise<ReadinessReport> | undefined

  /** A source that hangs is not asked again before it has answered. */
  function look(source: ReadinessSource): Promise<readonly Finding[]> {
    const before = looking.get(source)
    if (before !== undefined) return before
    const now = (async () => {
      try {
        return await source.look()
      } catch (cause) {
        const detail = cause instanceof Error ? cause.message : 'unknown failure'
        return [{ name: source.name, ok: false, detail, remedy: source.remedy }]
      } finally {
        looking.delete(source)
      }
    })()
    looking.set(source, now)
    return now
  }

  async function ask(source: ReadinessSource): Promise<readonly Finding[]> {
    let timer: NodeJS.Timeout | undefined
    const timeUp = new Promise<readonly Finding[]>((resolve) => {
      const detail = `no answer within ${deadlineMs} ms`
      const late = { name: source.name, ok: false, detail, remedy: source.remedy }
      timer = setTimeout(() => resolve([late]), deadlineMs)
    })
    try {
      return await Promise.race([look(source), timeUp])
    } finally {
      clearTimeout(timer)
    }
  }

  async function readAll(): Promise<ReadinessReport> {
    const checks = (await Promise.all(sources.map(ask))).flat()
    kept = { status: statusOf(checks), checkedAtMs: clock.nowMs(), checks }
    return kept
  }

  return {
    async read() {
      if (kept !== undefined && Math.abs(clock.nowMs() - kept.checkedAtMs) < keptMs) return kept
      reading ??= readAll().finally(() => {
        reading = undefined
      })
      return reading
    },
  }
}

function statusOf(checks: readonly Finding[]): ReadinessStatus {
  const failing = checks.filter(({ ok }) => !ok)
  if (failing.length === 0) return 'ready'
  return failing.every(({ severity }) => severity === 'degraded') ? 'degraded' : 'notReady'
}
