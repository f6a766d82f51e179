/** On a request: its reply, which Fastify does not link. */
export const kReply: unique symbol = Symbol('fastify-background-tasks.reply')

/** On a request: its background tasks. */
export const kTasks: unique symbol = Symbol('fastify-background-tasks.tasks')

/** On a reply: the watch that waits for the end of its response. */
export const kWatch: unique symbol = Symbol('fastify-background-tasks.watch')

/** On a request: something in it threw. */
export const kErrored: unique symbol = Symbol('fastify-background-tasks.errored')

/** On a socket: the watches of pipelined responses that it does not carry yet. */
export const kPipelined: unique symbol = Symbol('fastify-background-tasks.pipelined')
