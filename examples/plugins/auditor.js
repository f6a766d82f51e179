import fp from 'fastify-plugin'

/** `request.audit(action)` leaves a trace of an action, written once the response is over. */
async function auditor (app, { write }) {
  app.decorateRequest('audit', function (action) {
    const entry = { time: new Date().toISOString(), request: this.id, action }
    // What was tried and refused belongs into the trail too.
    this.backgroundTasks.add({ name: 'audit', when: 'always' }, () => write(entry))
  })
}

export default fp(auditor, { name: 'auditor', dependencies: ['fastify-background-tasks'] })
