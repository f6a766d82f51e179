/** On a request: its reply, which Fastify does not link. */
export const kReply: unique symbol = Symbol('fastify-background-tasks.reply')

/** On a request: its collector. */
export const kCollector: unique symbol = Symbol('fastify-background-tasks.collector')

/** On a raw response: who waits for its end. */
export const kWatch: unique symbol = Symbol('fastify-background-tasks.watch')

/** On a request: something in it threw. */
export const kErrored: unique symbol = Symbol('fastify-background-tasks.errored')

/** On a socket: who waits for the pipelined responses that it does not carry yet. */
export const kPipelined: unique symbol = Symbol('fastify-background-tasks.pipelined')

/** On a defined task. Registered, so that two installed copies of this package know each other's tasks. */
export const kTask: unique symbol = Symbol.for('fastify-background-tasks.task')
