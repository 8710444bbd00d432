export type { Check } from './check.js'
export { type Diagnosis, doctor } from './doctor.js'
export { databaseFiles, fileNames, type Layout, layoutOf } from './layout.js'
export { initVault, listVault, requireVault } from './vault.js'
