/**
 * The compiled modules, as users run them, with the types of their sources: the loader that runs the benches names
 * every function at run time, which costs a tenth of a submit.
 */
async function load<T>(path: string): Promise<T> {
  return await import(new URL(`../dist/${path}`, import.meta.url).href)
}

export const { fromHex } = await load<typeof import('../src/base/bytes.js')>('base/bytes.js')
export const { decodeSubmit } =
  await load<typeof import('../src/covenant/decode.js')>('covenant/decode.js')
export const { parseDerSignature } =
  await load<typeof import('../src/covenant/der.js')>('covenant/der.js')
export const { approvalDigest } =
  await load<typeof import('../src/covenant/digest.js')>('covenant/digest.js')
export const { identityOf } =
  await load<typeof import('../src/covenant/identity.js')>('covenant/identity.js')
export const { requestIdOf } =
  await load<typeof import('../src/covenant/job.js')>('covenant/job.js')
export const { normalizeRequest } =
  await load<typeof import('../src/covenant/normalize.js')>('covenant/normalize.js')
export const { openCovenantService } =
  await load<typeof import('../src/covenant/service.js')>('covenant/service.js')
export const { noTrustRoots } =
  await load<typeof import('../src/covenant/trust.js')>('covenant/trust.js')
export const { openCompatibleListener } =
  await load<typeof import('../src/daemon/compatible.js')>('daemon/compatible.js')
export const { listSegments } = await load<typeof import('../src/store/ledger-segments.js')>(
  'store/ledger-segments.js',
)
export const { memoryJobStore } =
  await load<typeof import('../src/store/memory-jobs.js')>('store/memory-jobs.js')
export const { openSqliteJobStore } = await load<typeof import('../src/store/sqlite/jobs-open.js')>(
  'store/sqlite/jobs-open.js',
)
export const { sampleIntent } =
  await load<typeof import('../src/testing/sample-job.js')>('testing/sample-job.js')
export const { scriptedEngine } = await load<typeof import('../src/testing/scripted-engine.js')>(
  'testing/scripted-engine.js',
)
export const { scriptedSigner } = await load<typeof import('../src/testing/scripted-signer.js')>(
  'testing/scripted-signer.js',
)
