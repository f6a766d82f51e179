import type { FastifyBaseLogger } from 'fastify'
import { TroubleLog } from '../kit/trouble-log.ts'
import { Connection } from './connection.ts'
import { openFile } from './driver.ts'
import { Leases } from './leases.ts'
import type { ResolvedOptions } from './options.ts'
import { Pump } from './pump.ts'
import { Sweeper } from './retention.ts'
import { Schedules } from './schedules.ts'
import { migrate } from './schema.ts'
import { Suspects } from './suspects.ts'

/** The database, as this process has opened it, and all that moves jobs in and out of it. */
export class Engine {
  readonly connection: Connection
  readonly schedules: Schedules
  readonly pump: Pump
  readonly sweeper: Sweeper

  /** @throws FST_ERR_BGT_MISSING_PEER, FST_ERR_BGT_NEWER_SCHEMA, FST_ERR_BGT_QUEUE_UNAVAILABLE */
  static async open (options: ResolvedOptions, log: FastifyBaseLogger): Promise<Engine> {
    const { file, database, busyTimeout } = options
    const connection = new Connection(database ?? await openFile(file!), { owned: database === undefined, busyTimeout })
    try {
      await connection.setUp()
      await migrate(connection)
    } catch (error) {
      connection.close()
      throw error
    }
    return new Engine(connection, options, new TroubleLog(log, 'sqlite'))
  }

  private constructor (connection: Connection, options: ResolvedOptions, log: TroubleLog) {
    const { lease, maxStalled, pollInterval, retention } = options
    this.connection = connection
    this.schedules = new Schedules(connection, log)
    const leases = new Leases(connection, lease, maxStalled)
    const suspects = new Suspects(connection, lease, pollInterval)
    this.pump = new Pump(connection, leases, suspects, this.schedules, options, log)
    this.sweeper = new Sweeper(connection, retention, log)
  }

  close (): void {
    this.sweeper.stop()
    this.connection.close()
  }
}
