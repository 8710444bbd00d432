const fixedColumns = [
  'seq',
  'request_id',
  'route',
  'route_request_id',
  'request_digest',
  'depositor_eth_address',
  'outpoint',
  'wallet_key',
  'end_block',
  'created_at',
] as const
const movingColumns = [
  'state',
  'detail',
  'updated_at',
  'attempts',
  'next_at_ms',
  'held',
  'settle_seq',
] as const
const jobColumns = [...fixedColumns, 'fixed_digest', ...movingColumns, 'digest']
const columns = jobColumns.join(', ')
/** Columns of a job that never change, `seq` first. */
export const fixedCount: number = fixedColumns.length
const marks = (count: number): string => Array.from({ length: count }, () => '?').join(', ')

/** Statements on jobs and what belongs to them; the columns of a row come in the order of its encoder. */
export const sql: {
  readonly insertJob: string
  readonly selectJob: string
  readonly selectJobByKey: string
  readonly selectJobById: string
  readonly selectJobsAfter: string
  readonly insertRequest: string
  readonly replaceRequest: string
  readonly selectRequest: string
  readonly insertResult: string
  readonly selectResult: string
  readonly selectResultsAfter: string
  readonly updateJob: string
  readonly insertIntent: string
  readonly selectUnreleased: string
  readonly selectIntentOfJob: string
  readonly selectIntent: string
  readonly selectIntentsAfter: string
  readonly releaseIntent: string
  readonly insertOperate: string
  readonly selectOperate: string
  readonly selectOperatesAfter: string
  readonly insertQuarantine: string
  readonly selectQuarantine: string
  readonly selectSetAside: string
  readonly selectMeta: string
  readonly replaceMeta: string
} = {
  insertJob: `insert into job (${columns}) values (${marks(jobColumns.length)})`,
  selectJob: `select ${columns} from job where seq = ?`,
  selectJobByKey: `select ${columns} from job where route = ? and route_request_id = ?`,
  selectJobById: `select ${columns} from job where request_id = ?`,
  selectJobsAfter: `select ${columns} from job where seq > ? order by seq limit ?`,
  insertRequest: 'insert into request (seq, body, digest) values (?, ?, ?)',
  replaceRequest: 'insert or replace into request (seq, body, digest) values (?, ?, ?)',
  selectRequest: 'select seq, body, digest from request where seq = ?',
  insertResult: 'insert or replace into result values (?, ?, ?, ?, ?, ?)',
  selectResult: 'select * from result where seq = ?',
  selectResultsAfter: 'select * from result where seq > ? order by seq limit ?',
  updateJob: `update job set ${[...movingColumns, 'digest'].map((name) => `${name} = ?`).join(', ')} where seq = ?`,
  insertIntent: 'insert into intent values (?, ?, ?, ?, ?, ?, ?, ?)',
  selectUnreleased: 'select * from intent where outpoint = ? and released_seq is null',
  selectIntentOfJob: 'select * from intent where job_seq = ? and released_seq is null',
  selectIntent: 'select * from intent where seq = ?',
  selectIntentsAfter: 'select * from intent where seq > ? order by seq limit ?',
  releaseIntent: 'update intent set released_seq = ?, released_digest = ? where seq = ?',
  insertOperate: 'insert or replace into operate values (?, ?, ?, ?, ?, ?, ?)',
  selectOperate: 'select * from operate where seq = ?',
  selectOperatesAfter: 'select * from operate where seq > ? order by seq limit ?',
  insertQuarantine: 'insert or replace into quarantine values (?, ?, ?, ?, ?, ?)',
  selectQuarantine: 'select * from quarantine where id = ?',
  selectSetAside: "select 1 from operate where what = 'set-aside' limit 1",
  selectMeta: 'select name, value, digest from meta where name = ?',
  replaceMeta: 'insert or replace into meta values (?, ?, ?)',
}
