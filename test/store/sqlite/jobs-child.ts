import { writeSync } from 'node:fs'
import { openSqliteJobStore } from '../../../src/store/sqlite/index.js'
import { sampleJob } from '../../../src/testing/sample-job.js'

/** Accepts jobs, so many at a time, between two marks on stdout. */
const [dir = '', count = '0', inFlight = '1'] = process.argv.slice(2)
const store = await openSqliteJobStore(dir)
await store.ready(new AbortController().signal)
const jobs = Array.from({ length: Number(count) }, (_, n) => sampleJob(n))
writeSync(1, 'BEGIN\n')
const next = jobs.values()
await Promise.all(
  Array.from({ length: Number(inFlight) }, async () => {
    for (const job of next) await store.accept(job)
  }),
)
writeSync(1, 'END\n')
await store.close()
