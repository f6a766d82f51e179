import pg from 'pg'
import t from 'tap'
import { Database } from '../../../lib/adapters/pg-boss/database.ts'
import { sharedPostgres } from '../../helpers/postgres.ts'

await t.test('a server that goes as it has let a client in does not end the process', async t => {
  const pool = new pg.Pool({ connectionString: await sharedPostgres(t), max: 1 })
  const database = new Database(pool, () => {})
  t.teardown(() => database.close(true))
  // As when its last words come with its first.
  pool.once('acquire', (client: pg.PoolClient) => process.nextTick(() => client.emit('error', new Error('terminating connection'))))
  t.match(await database.query('SELECT 1 AS one'), { rows: [{ one: 1 }] })
})
