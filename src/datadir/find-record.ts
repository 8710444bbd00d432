import type { JobStore, QuarantineDetail } from '../covenant/store.js'
import { RecordNotFound } from '../store/job-refusals.js'

/** Reads one quarantined record of an open store. @throws RecordNotFound */
export async function requireRecord(store: JobStore, id: string): Promise<QuarantineDetail> {
  const detail = await store.findQuarantined(id)
  if (detail === undefined) throw new RecordNotFound(id)
  return detail
}
