// What others need to prove their own stores and to script failures.
export {
  type FaultAction,
  type FaultRule,
  faultPointNames,
  InjectedFault,
  type ScriptedFaults,
  scriptedFaults,
} from './faults.js'
export * from './job-store-contract.js'
export { type ManualTime, manualTime } from './manual-time.js'
export { type MemoryBitcoin, memoryBitcoin } from './memory-bitcoin.js'
export { type MemoryEthereum, memoryEthereum } from './memory-ethereum.js'
export * from './scripted-engine.js'
export * from './scripted-signer.js'
export * from './wallet-store-contract.js'
