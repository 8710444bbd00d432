import type { JobProgress } from '../covenant/job.js'

/** What a client reads of a job that nobody has looked at yet. */
const acceptedDetail = 'accepted for covenant signing'

/** How a job begins. */
export function initialProgress(createdAt: string, nextAtMs: number): JobProgress {
  const moving = { updatedAt: createdAt, attempts: 0, nextAtMs, held: false }
  return { state: 'SUBMITTED', detail: acceptedDetail, ...moving }
}

/** What a job waits for, and until when. */
export type Wait = {
  readonly detail: string
  readonly nextAtMs: number
  readonly attempts: number
  /** RFC 3339, UTC. */
  readonly at: string
}

/** A job that was put back to wait. */
export function waiting(
  { detail, nextAtMs, attempts, at }: Wait,
  held: boolean,
): Pick<JobProgress, 'state' | 'detail' | 'updatedAt' | 'attempts' | 'nextAtMs' | 'held'> {
  return { state: 'PENDING', detail, updatedAt: at, attempts, nextAtMs, held }
}
