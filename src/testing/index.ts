// What others need to prove their own stores and to script failures.
export {
  type FaultAction,
  type FaultRule,
  faultPointNames,
  InjectedFault,
  type ScriptedFaults,
  scriptedFaults,
} from './faults.js'
export * from './wallet-store-contract.js'
