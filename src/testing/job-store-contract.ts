import { acceptCases } from './job-store-cases/accept.js'
import { damageCases } from './job-store-cases/damage.js'
import { faultCases } from './job-store-cases/fault.js'
import { importCases } from './job-store-cases/import.js'
import { operateCases } from './job-store-cases/operate.js'
import { refusalCases } from './job-store-cases/refusal.js'
import { runCases } from './job-store-cases/run.js'
import type { JobStoreHarness } from './job-store-cases/steps.js'
import type { ContractCase } from './wallet-store-contract.js'

export { jobFaultPointNames } from './job-fault-points.js'
export type { JobStoreHarness } from './job-store-cases/steps.js'

/**
 * What every `JobStore` must do, for any test runner: run each case, in any order; it fails by rejecting.
 *
 * @param name of the adapter, put before each case's name
 * @param makeHarness a fresh, empty storage for each case
 */
export function jobStoreContract(
  name: string,
  makeHarness: () => Promise<JobStoreHarness>,
): readonly ContractCase[] {
  const cases = [
    acceptCases,
    runCases,
    operateCases,
    importCases,
    damageCases,
    faultCases,
    refusalCases,
  ]
  return cases.flatMap(Object.entries).map(([title, body]: [string, CaseBody]) => ({
    name: `${name}: ${title}`,
    run: async () => {
      const harness = await makeHarness()
      try {
        await body(harness)
      } finally {
        await harness.dispose()
      }
    },
  }))
}

type CaseBody = (harness: JobStoreHarness) => Promise<void>
